//! What selection reads of a route's accounts, row by row in the order of its seats: what the file says, and where on the
//! board their cells are.

use std::ops::{ControlFlow, Range};

use crate::base::time::Timestamp;
use crate::pool::candidate::{Fixed, Verdict, share};
use crate::pool::select::Best;
use crate::runtime::board::{AccountCell, Board, InFlight, Spots, adjoins};
use crate::runtime::lane::{LaneCell, ModelState};
use crate::runtime::numbers::AccountSet;
use crate::runtime::snapshot::Seat;

/// The rows of one step of a route.
#[derive(Debug)]
pub struct Rows {
    fixed: Vec<Fixed>,
    places: Vec<Place>,
    runs: Vec<Run>,
    best: Best,
    accounts: Spots<AccountCell>,
    in_flight: Spots<InFlight>,
    lanes: Spots<LaneCell>,
}

/// One account's.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its number: of its calls in flight, and in keys' rights.
    number: u32,
    /// Its row on the board.
    row: u32,
    limit: Option<u32>,
    credits: bool,
}

/// Accounts in a row whose cells lie together, too.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The index of the first.
    first: usize,
    len: usize,
}

impl Run {
    fn all(places: &[Place]) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let follows = |before: &Place| {
                (place.row, place.number) == (before.row + 1, before.number + 1)
                    && adjoins(place.row)
                    && adjoins(place.number)
            };
            match runs.last_mut() {
                Some(run) if follows(&places[index - 1]) => run.len += 1,
                _ => runs.push(Self {
                    first: index,
                    len: 1,
                }),
            }
        }
        runs
    }
}

impl Rows {
    /// Of these seats, which are served by this model.
    pub fn of(seats: &[Seat], board: &Board, model: &ModelState) -> Self {
        let fixed: Vec<_> = seats
            .iter()
            .map(|seat| Fixed {
                hash: seat.account.hash,
                weight: seat.weight,
                tier: seat.tier,
            })
            .collect();
        let places = seats.iter().map(|seat| Place {
            number: seat.account.number,
            row: seat.account.row(),
            limit: seat.limit,
            credits: seat.credits,
        });
        let places: Vec<_> = places.collect();
        Self {
            runs: Run::all(&places),
            best: Best::of(fixed.iter().copied()),
            places,
            fixed,
            accounts: board.accounts(),
            in_flight: board.all_in_flight(),
            lanes: model.lanes(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.fixed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fixed.is_empty()
    }

    /// What the file says of the one at this index.
    #[inline]
    pub fn fixed(&self, index: usize) -> Fixed {
        self.fixed[index]
    }

    /// What the file says of all.
    pub fn best(&self) -> Best {
        self.best
    }

    /// The number of the account at this index.
    #[inline]
    pub fn number(&self, index: usize) -> u32 {
        self.places[index].number
    }

    /// The calls in flight of the account at this index.
    pub fn in_flight(&self, index: usize) -> u32 {
        self.in_flight.of(self.places[index].number).count()
    }

    /// How the one at this index stands.
    #[inline]
    pub fn verdict(&self, index: usize, now: Timestamp) -> Verdict {
        let place = &self.places[index];
        let (account, lane) = (self.accounts.of(place.row), self.lanes.of(place.row));
        place.verdict(account, lane, self.in_flight.of(place.number).count(), now)
    }

    /// What is left of the one at this index: quota × health.
    pub fn share(&self, index: usize, now: Timestamp) -> f64 {
        let place = &self.places[index];
        let lane = self.lanes.of(place.row).view(place.credits, now);
        share(lane.remaining, lane.health)
    }

    /// Tells of each from the index `from` on, in order, until it is told to stop: its index, how it stands, its calls in
    /// flight. Whom `mask` leaves out is excluded.
    #[inline]
    pub fn each<B>(
        &self,
        from: usize,
        mask: &Mask<'_>,
        now: Timestamp,
        mut told: impl FnMut(usize, Verdict, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let first = self.runs.partition_point(|run| run.first + run.len <= from);
        for run in &self.runs[first..] {
            let first = run.first.max(from);
            let span = first..run.first + run.len;
            let number = self.places[first].number;
            // Who was tried is in few runs; the others are walked without looking for them.
            match mask.key {
                _ if mask.touches(number, span.len()) => {
                    self.span(span, now, |n| mask.leaves_out(n), &mut told)?;
                }
                Some(key) => self.span(span, now, |n| !key.contains(n), &mut told)?,
                None => self.span(span, now, |_| false, &mut told)?,
            }
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn span<B>(
        &self,
        span: Range<usize>,
        now: Timestamp,
        skip: impl Fn(u32) -> bool,
        told: &mut impl FnMut(usize, Verdict, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let (first, len) = (span.start, span.len());
        let places = &self.places[span];
        let (row, number) = (places[0].row, places[0].number);
        let cells = self
            .accounts
            .run(row, len)
            .iter()
            .zip(self.lanes.run(row, len));
        let cells = cells.zip(self.in_flight.run(number, len));
        for ((index, place), ((account, lane), in_flight)) in (first..).zip(places).zip(cells) {
            let in_flight = in_flight.count();
            let verdict = if skip(place.number) {
                Verdict::Excluded
            } else {
                place.verdict(account, lane, in_flight, now)
            };
            told(index, verdict, in_flight)?;
        }
        ControlFlow::Continue(())
    }
}

/// Whom a request leaves out, by the accounts' numbers.
#[derive(Debug, Clone, Copy)]
pub struct Mask<'a> {
    /// Everybody.
    pub all: bool,
    /// Those that are not among these; `None` is nobody.
    pub key: Option<&'a AccountSet>,
    /// These.
    pub tried: &'a [u32],
}

impl Mask<'_> {
    /// Whether it leaves this one out.
    #[inline]
    pub fn leaves_out(&self, account: u32) -> bool {
        self.all
            || self.key.is_some_and(|key| !key.contains(account))
            || (!self.tried.is_empty() && self.tried.contains(&account))
    }

    /// Whether more than the key says is to be asked of some of so many from this number on.
    fn touches(&self, number: u32, len: usize) -> bool {
        let mut tried = self.tried.iter();
        self.all || tried.any(|account| (account.wrapping_sub(number) as usize) < len)
    }
}

impl Place {
    #[inline]
    fn verdict(
        &self,
        account: &AccountCell,
        lane: &LaneCell,
        in_flight: u32,
        now: Timestamp,
    ) -> Verdict {
        let whole = account.ready_at();
        let (pair, exhausted) = lane.ready(self.credits);
        let ready_at = whole.max(pair);
        if ready_at > now {
            return Verdict::closed(ready_at, exhausted && pair >= whole);
        }
        let limit = if account.on_trial() {
            Some(1)
        } else {
            self.limit
        };
        if limit.is_some_and(|limit| in_flight >= limit) {
            Verdict::Full
        } else {
            Verdict::Usable
        }
    }
}
