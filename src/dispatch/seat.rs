//! Takes a slot: which account serves, and the permit that holds its place.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::dispatch::queue::{Blocked, Queue};
use crate::pool::candidate::Candidate;
use crate::pool::select::{Choice, Draw, Pick, select};
use crate::runtime::snapshot::{KeyEntry, Route, RouteTarget, Seat};
use crate::store;

/// A place on an account, given back by drop.
pub struct Held {
    route: Arc<Route>,
    target: usize,
    seat: usize,
    queue: Arc<Queue<Held>>,
}

impl Held {
    /// The step of the route that is served.
    pub fn target(&self) -> &RouteTarget {
        &self.route.targets[self.target]
    }

    /// The account that serves.
    pub fn seat(&self) -> &Seat {
        &self.target().seats[self.seat]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.target().state.in_flight.give();
        self.seat().account.in_flight.give();
        self.queue.pump();
    }
}

/// Which accounts a pick leaves out.
#[derive(Debug, Clone, Default)]
pub struct Excluded {
    /// These accounts.
    pub accounts: Vec<AccountId>,
    /// All accounts of these upstreams (their sign-in is misconfigured).
    pub upstreams: Vec<crate::base::id::UpstreamId>,
}

impl Excluded {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.upstreams.is_empty()
    }

    fn holds(&self, seat: &Seat) -> bool {
        !self.accounts.is_empty() && self.accounts.contains(&seat.account.id)
    }
}

/// A route as one request sees it.
#[derive(Clone)]
pub struct Seating {
    /// The route.
    pub route: Arc<Route>,
    /// The client's key: which accounts it may use.
    pub key: Arc<KeyEntry>,
    /// Where to wait, and whom to tell when the place is free again.
    pub queue: Arc<Queue<Held>>,
    /// Stands for the conversation where one keeps its account.
    pub home: Option<u64>,
}

impl Seating {
    /// The same for all requests that want the same: one route under one key.
    pub fn tag(&self) -> u64 {
        let address = |at: usize| at as u64;
        address(Arc::as_ptr(&self.route).addr())
            ^ address(Arc::as_ptr(&self.key).addr()).rotate_left(32)
    }

    /// Takes a place on the first target that has one.
    ///
    /// # Errors
    /// What stands in the way, over all targets: the most hopeful reason.
    pub fn take(&self, excluded: &Excluded) -> Result<Held, Blocked> {
        let now = Timestamp::now();
        let mut blocked = Blocked::Exhausted;
        for target in 0..self.route.targets.len() {
            match self.take_on(target, excluded, now) {
                Ok(held) => return Ok(held),
                Err(why) => blocked = more_hopeful(blocked, why),
            }
        }
        Err(blocked)
    }

    /// Whether the route has an account that is not left out, ready or not.
    pub fn any_left(&self, excluded: &Excluded) -> bool {
        let mut targets = self.route.targets.iter();
        targets.any(|target| self.candidates(target, excluded).any(|c| !c.excluded))
    }

    /// An account that is well, whether or not its slots are taken: for calls that send no prompt to be answered.
    pub fn idle(&self, excluded: &Excluded) -> Option<(&RouteTarget, &Seat)> {
        let now = Timestamp::now();
        self.route.targets.iter().find_map(|target| {
            let unlimited = self
                .candidates(target, excluded)
                .map(|c| Candidate { limit: None, ..c });
            match select(unlimited, self.pick(target), self.home, draw(), now) {
                Choice::Use(slot) => Some((target, &target.seats[slot])),
                _ => None,
            }
        })
    }

    fn take_on(&self, at: usize, excluded: &Excluded, now: Timestamp) -> Result<Held, Blocked> {
        let target = &self.route.targets[at];
        let cooling = target.state.ready_at();
        if cooling > now {
            return Err(Blocked::ModelCooling(cooling));
        }
        if !target.state.in_flight.take(target.limit) {
            return Err(Blocked::Full);
        }
        // The race for an account's last slot may be lost: pick again, a bounded number of times.
        for _ in 0..8 {
            let candidates = self.candidates(target, excluded);
            let choice = select(candidates, self.pick(target), self.home, draw(), now);
            match choice {
                Choice::Use(slot) => {
                    let seat = &target.seats[slot];
                    if seat.account.in_flight.take(seat.limit()) {
                        target.state.turn.store(slot + 1, Ordering::Relaxed);
                        let (route, queue) = (Arc::clone(&self.route), Arc::clone(&self.queue));
                        return Ok(Held {
                            route,
                            target: at,
                            seat: slot,
                            queue,
                        });
                    }
                }
                other => {
                    target.state.in_flight.give();
                    return Err(match other {
                        Choice::Wait(until) => Blocked::Cooling(until),
                        Choice::NoQuota(until) => Blocked::NoQuota(until),
                        Choice::NeedsPerson => Blocked::NeedsPerson,
                        Choice::Exhausted => Blocked::Exhausted,
                        Choice::Full | Choice::Use(_) => Blocked::Full,
                    });
                }
            }
        }
        target.state.in_flight.give();
        Err(Blocked::Full)
    }

    fn candidates<'a>(
        &'a self,
        target: &'a RouteTarget,
        excluded: &'a Excluded,
    ) -> impl Iterator<Item = Candidate> + Clone + 'a {
        let now = Timestamp::now();
        let barred = excluded.upstreams.contains(&target.upstream.id);
        target.seats.iter().enumerate().map(move |(slot, seat)| {
            let excluded = barred || !self.key.may_use(seat) || excluded.holds(seat);
            seat.candidate(slot, excluded, now)
        })
    }

    fn pick(&self, target: &RouteTarget) -> Pick {
        target.pick(self.route.strategy)
    }

    /// Each account's verdict as it stands, for the log; at most 64.
    pub fn verdicts(&self, excluded: &Excluded) -> Vec<store::Verdict> {
        let now = Timestamp::now();
        let of_target = |target: &RouteTarget| {
            let candidates = self.candidates(target, excluded);
            let ids = target.seats.iter().map(|seat| seat.account.id.clone());
            let texts = candidates.map(|c| c.verdict(now).to_string().into());
            ids.zip(texts)
                .map(|(account, text)| store::Verdict { account, text })
                .take(64)
                .collect::<Vec<_>>()
        };
        self.route
            .targets
            .iter()
            .flat_map(of_target)
            .take(64)
            .collect()
    }
}

/// Random bits for one pick.
pub fn draw() -> Draw {
    // Fairness needs no secrecy: should the system have no randomness, the clock's bits will do.
    Draw::new(getrandom::u64().unwrap_or_else(|_| {
        Timestamp::now()
            .0
            .unsigned_abs()
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }))
}

fn more_hopeful(a: Blocked, b: Blocked) -> Blocked {
    let rank = |blocked| match blocked {
        Blocked::Full => (0, 0),
        Blocked::Cooling(until) | Blocked::NoQuota(until) => (1, until.0),
        Blocked::ModelCooling(until) => (1, until.0.saturating_add(1)),
        Blocked::NeedsPerson => (2, 0),
        Blocked::Exhausted => (3, 0),
    };
    if rank(b) < rank(a) { b } else { a }
}
