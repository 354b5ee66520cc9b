//! Takes a slot: which account serves, and the permit that holds its place.

use std::borrow::Cow;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::dispatch::queue::{Blocked, Queue};
use crate::pool::candidate::{Candidate, Fixed, Verdict};
use crate::pool::select::{Best, Choice, Draw, Pick, Pool, select};
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
        self.seat().in_flight.give();
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
        self.take_at(excluded, Timestamp::now())
    }

    fn take_at(&self, excluded: &Excluded, now: Timestamp) -> Result<Held, Blocked> {
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
        let now = Timestamp::now();
        let mut targets = self.route.targets.iter();
        targets.any(|target| {
            let view = self.view(target, excluded, now);
            (0..view.len()).any(|index| !view.at(index).excluded)
        })
    }

    /// An account that is well, whether or not its slots are taken: for calls that send no prompt to be answered.
    pub fn idle(&self, excluded: &Excluded) -> Option<(&RouteTarget, &Seat)> {
        let now = Timestamp::now();
        self.route.targets.iter().find_map(|target| {
            let view = View {
                unlimited: true,
                ..self.view(target, excluded, now)
            };
            match select(&view, self.pick(target), self.home, draw(), now) {
                Choice::Use(slot) => Some((target, &target.seats[slot])),
                _ => None,
            }
        })
    }

    fn take_on(&self, at: usize, excluded: &Excluded, now: Timestamp) -> Result<Held, Blocked> {
        let target = &self.route.targets[at];
        if let Some(cooling) = model_cools(target, now) {
            return Err(cooling);
        }
        if !target.state.in_flight.take(target.limit) {
            return Err(Blocked::Full);
        }
        // The race for an account's last slot may be lost: pick again, a bounded number of times.
        for _ in 0..8 {
            let view = self.view(target, excluded, now);
            let choice = select(&view, self.pick(target), self.home, draw(), now);
            match choice {
                Choice::Use(slot) => {
                    let seat = &target.seats[slot];
                    if seat.in_flight.take(seat.limit()) {
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
                    return Err(Blocked::of(other));
                }
            }
        }
        target.state.in_flight.give();
        Err(Blocked::Full)
    }

    /// A target's accounts as this request sees them.
    pub(super) fn view<'a>(
        &'a self,
        target: &'a RouteTarget,
        excluded: &'a Excluded,
        now: Timestamp,
    ) -> View<'a> {
        View {
            key: &self.key,
            target,
            excluded,
            barred: excluded.upstreams.contains(&target.upstream.id),
            unlimited: false,
            now,
        }
    }

    fn pick(&self, target: &RouteTarget) -> Pick {
        target.pick(self.route.strategy)
    }

    /// Each seat's verdict as it stands, in the order of the seats.
    pub fn target_verdicts<'a>(
        &'a self,
        target: &'a RouteTarget,
        excluded: &'a Excluded,
    ) -> impl Iterator<Item = Verdict> + 'a {
        let now = Timestamp::now();
        let view = self.view(target, excluded, now);
        (0..view.len()).map(move |index| view.at(index).verdict(now))
    }

    /// What was decided of each account, for the log, and of how many more; the chosen one is always among them.
    pub fn verdicts(&self, chosen: Option<&Held>) -> (Vec<store::Verdict>, usize) {
        let nobody = Excluded::default();
        let now = Timestamp::now();
        let is_chosen = |target: &RouteTarget, seat: &Seat| {
            chosen.is_some_and(|held| ptr::eq(held.target(), target) && ptr::eq(held.seat(), seat))
        };
        let mut all = 0;
        let mut verdicts = Vec::new();
        let mut note = |account: &AccountId, text: Cow<'static, str>| {
            verdicts.push(store::Verdict {
                account: account.clone(),
                text,
            });
        };
        if let Some(held) = chosen {
            note(&held.seat().account.id, "chosen".into());
        }
        let mut left = VERDICTS;
        for target in &self.route.targets {
            all += target.seats.len() + target.left_out.len();
            let cools = model_cools(target, now).map(|why| why.to_string());
            let texts = self.target_verdicts(target, &nobody);
            let seats = target.seats.iter().zip(texts).take(left);
            for (seat, verdict) in seats.filter(|(seat, _)| !is_chosen(target, seat)) {
                let text = match (verdict, &cools) {
                    (Verdict::Excluded, _) => "not for this key".into(),
                    (Verdict::Usable, Some(why)) => why.clone().into(),
                    (verdict, _) => seat.account.verdict(&target.model, verdict),
                };
                note(&seat.account.id, text);
                left -= 1;
            }
            for (account, why) in target.left_out.iter().take(left) {
                note(account, (*why).into());
                left -= 1;
            }
        }
        let more = all.saturating_sub(verdicts.len());
        (verdicts, more)
    }
}

/// A target's accounts as one request sees them.
pub(super) struct View<'a> {
    key: &'a KeyEntry,
    target: &'a RouteTarget,
    excluded: &'a Excluded,
    /// The upstream itself is left out.
    barred: bool,
    /// For calls that take no slot.
    unlimited: bool,
    now: Timestamp,
}

impl Pool for View<'_> {
    fn len(&self) -> usize {
        self.target.seats.len()
    }

    fn fixed(&self, index: usize) -> Fixed {
        self.target.fixed[index]
    }

    fn at(&self, index: usize) -> Candidate {
        let seat = &self.target.seats[index];
        let excluded = self.barred || !self.key.may_use(seat) || self.excluded.holds(seat);
        let candidate = seat.candidate(index, excluded, self.now);
        Candidate {
            limit: candidate.limit.filter(|_| !self.unlimited),
            ..candidate
        }
    }

    fn best(&self) -> Best {
        self.target.best
    }
}

/// Most verdicts of one pick that are kept, besides the chosen one's.
const VERDICTS: usize = 64;

/// Whether the model itself cools.
pub(super) fn model_cools(target: &RouteTarget, now: Timestamp) -> Option<Blocked> {
    let until = target.state.ready_at();
    (until > now).then_some(Blocked::ModelCooling(until))
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

/// Of two reasons the one that ends first.
pub(super) fn more_hopeful(a: Blocked, b: Blocked) -> Blocked {
    let rank = |blocked| match blocked {
        Blocked::Full => (0, 0),
        Blocked::Cooling(until) | Blocked::NoQuota(until) => (1, until.0),
        Blocked::ModelCooling(until) => (1, until.0.saturating_add(1)),
        Blocked::NeedsPerson => (2, 0),
        Blocked::Exhausted => (3, 0),
    };
    if rank(b) < rank(a) { b } else { a }
}

#[cfg(test)]
mod tests;
