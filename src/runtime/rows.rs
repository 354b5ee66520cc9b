//! What selection reads of a route's accounts, row by row in the order of its seats: what the file says, and where on the
//! board their cells are.

use crate::base::time::Timestamp;
use crate::pool::candidate::{Candidate, Fixed};
use crate::pool::select::Best;
use crate::runtime::board::{AccountCell, Board, InFlight, Spots};
use crate::runtime::lane::{LaneCell, ModelState};
use crate::runtime::snapshot::Seat;

/// The rows of one step of a route.
#[derive(Debug)]
pub struct Rows {
    fixed: Vec<Fixed>,
    places: Vec<Place>,
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
        Self {
            best: Best::of(fixed.iter().copied()),
            places: places.collect(),
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

    /// The numbers that selection goes by.
    #[inline]
    pub fn candidate(&self, index: usize, excluded: bool, now: Timestamp) -> Candidate {
        let (place, fixed) = (&self.places[index], &self.fixed[index]);
        let account = self.accounts.of(place.row);
        let lane = self.lanes.of(place.row).view(place.credits, now);
        let whole = account.ready_at();
        Candidate {
            slot: index,
            tier: fixed.tier,
            weight: fixed.weight,
            remaining: lane.remaining,
            health: lane.health,
            ready_at: whole.max(lane.ready_at),
            exhausted: lane.exhausted && lane.ready_at >= whole,
            in_flight: self.in_flight.of(place.number).count(),
            limit: if account.on_trial() {
                Some(1)
            } else {
                place.limit
            },
            excluded,
            hash: fixed.hash,
        }
    }
}
