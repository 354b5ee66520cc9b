//! Takes a slot: which account serves, and the permit that holds its place.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::dispatch::admission::Admission;
use crate::dispatch::blocked::Blocked;
use crate::dispatch::queue::{Freed, Queue};
use crate::pool::candidate::{Fixed, NEVER, Verdict};
use crate::pool::select::{Best, Choice, Draw, Pick, Pool, select};
use crate::runtime::rows::{Mask, Rows};
use crate::runtime::snapshot::{KeyEntry, Route, RouteTarget, Seat};
use crate::store;

/// A place on an account, given back by drop.
pub struct Held {
    route: Arc<Route>,
    target: usize,
    seat: usize,
    queue: Arc<Queue<Held>>,
    /// What let the request in, until the request keeps it.
    pub admission: Option<Admission>,
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
        let (model, seat) = (&self.target().state, self.seat());
        let left = (seat.in_flight.give(), model.in_flight.give());
        // Whoever takes it raises the count again; what others give back meanwhile they hand out themselves.
        let taken = || seat.in_flight.count() > left.0 && model.in_flight.count() > left.1;
        self.queue.freed(Freed::Call(seat, model), taken);
    }
}

/// None is left out.
static NOBODY: Excluded = Excluded {
    accounts: Vec::new(),
    upstreams: Vec::new(),
};

/// When to look again after so many lost races.
const AGAIN: Duration = Duration::from_millis(5);

/// Which accounts a pick leaves out.
#[derive(Debug, Clone, Default)]
pub struct Excluded {
    /// The accounts of these numbers.
    pub accounts: Vec<u32>,
    /// All accounts of these upstreams (their sign-in is misconfigured).
    pub upstreams: Vec<crate::base::id::UpstreamId>,
}

impl Excluded {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.upstreams.is_empty()
    }

    /// Whether the account of this number is left out.
    #[inline]
    pub fn holds(&self, account: u32) -> bool {
        !self.accounts.is_empty() && self.accounts.contains(&account)
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
    /// Takes a place on the first target that has one, for a request that has been let in.
    ///
    /// # Errors
    /// What stands in the way, over all targets: the most hopeful reason.
    pub fn take(&self, excluded: &Excluded) -> Result<Held, Blocked> {
        let taken = self.attempt(excluded, false, Timestamp::now());
        if taken.is_err() {
            // Who looked meanwhile may have seen what this try held for a moment.
            self.queue.freed(Freed::Anything, || false);
        }
        taken
    }

    /// As [`Self::take`]; with `admit` also the slots of key and group, all or none. Gives nothing back that would walk the
    /// queue.
    ///
    /// # Errors
    /// What stands in the way.
    pub(super) fn attempt(
        &self,
        excluded: &Excluded,
        admit: bool,
        now: Timestamp,
    ) -> Result<Held, Blocked> {
        if admit && let Some(whose) = self.key.slots.full() {
            return Err(whose.into());
        }
        let mut blocked = Blocked::Exhausted;
        for target in 0..self.route.targets.len() {
            match self.take_on(target, excluded, admit, now) {
                Ok(held) => return Ok(held),
                Err(why) => blocked = blocked.or(why),
            }
        }
        Err(blocked)
    }

    /// Whether the route has an account that is not left out, ready or not.
    pub fn any_left(&self, excluded: &Excluded) -> bool {
        let mut targets = self.route.targets.iter();
        targets.any(|target| {
            let view = self.view(target, excluded);
            (0..view.len()).any(|index| !view.leaves_out(index))
        })
    }

    /// An account that is well, whether or not its slots are taken: for calls that send no prompt to be answered.
    pub fn idle(&self, excluded: &Excluded) -> Option<(&RouteTarget, &Seat)> {
        let now = Timestamp::now();
        self.route.targets.iter().find_map(|target| {
            let view = View {
                unlimited: true,
                ..self.view(target, excluded)
            };
            match select(&view, self.pick(target), self.home, draw(), now) {
                Choice::Use(slot) => Some((target, &target.seats[slot])),
                _ => None,
            }
        })
    }

    fn take_on(
        &self,
        at: usize,
        excluded: &Excluded,
        admit: bool,
        now: Timestamp,
    ) -> Result<Held, Blocked> {
        let target = &self.route.targets[at];
        if let Some(cooling) = model_cools(target, now) {
            return Err(cooling);
        }
        // The race for a last slot may be lost: pick again, a bounded number of times.
        for _ in 0..8 {
            if !target.state.in_flight.has_room(target.limit) {
                return Err(Blocked::Full(NEVER));
            }
            let view = self.view(target, excluded);
            match select(&view, self.pick(target), self.home, draw(), now) {
                Choice::Use(slot) => {
                    if let Some(held) = self.claim(at, slot, admit)? {
                        return Ok(held);
                    }
                }
                other => return Err(Blocked::of(other)),
            }
        }
        Err(Blocked::Full(now.plus(AGAIN)))
    }

    /// Takes the slots of a place, all or none; `None` where another was quicker.
    fn claim(&self, at: usize, slot: usize, admit: bool) -> Result<Option<Held>, Blocked> {
        let target = &self.route.targets[at];
        let (model, seat) = (&target.state, &target.seats[slot]);
        if admit {
            self.key.slots.take()?;
        }
        let model_taken = model.in_flight.take(target.limit);
        if !model_taken || !seat.in_flight.take(seat.limit()) {
            if model_taken {
                model.in_flight.give();
            }
            if admit {
                self.key.slots.give();
            }
            return Ok(None);
        }
        model.turn.store(slot + 1, Ordering::Relaxed);
        Ok(Some(Held {
            route: Arc::clone(&self.route),
            target: at,
            seat: slot,
            queue: Arc::clone(&self.queue),
            admission: admit.then(|| Admission::of_taken(&self.key, &self.queue)),
        }))
    }

    /// What stands in the way of everybody on a target, whatever key and tries before.
    pub(super) fn nobody_on(&self, target: &RouteTarget, now: Timestamp) -> Option<Blocked> {
        if let Some(cooling) = model_cools(target, now) {
            return Some(cooling);
        }
        if !target.state.in_flight.has_room(target.limit) {
            return Some(Blocked::Full(NEVER));
        }
        let mut view = self.view(target, &NOBODY);
        view.mask.key = None;
        match select(&view, Pick::FillFirst, None, Draw::new(0), now) {
            Choice::Use(_) => None,
            other => Some(Blocked::of(other)),
        }
    }

    /// A target's accounts as this request sees them.
    pub(super) fn view<'a>(&'a self, target: &'a RouteTarget, excluded: &'a Excluded) -> View<'a> {
        View {
            rows: &target.rows,
            mask: Mask {
                all: excluded.upstreams.contains(&target.upstream.id),
                key: self.key.accounts(),
                tried: &excluded.accounts,
            },
            unlimited: false,
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
        let view = self.view(target, excluded);
        (0..view.len()).map(move |index| view.verdict(index, now))
    }

    /// What was decided of each account, for the log, and of how many more; the chosen one is always among them.
    pub fn verdicts(&self, chosen: Option<&Held>) -> (Vec<store::Verdict>, usize) {
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
            let texts = self.target_verdicts(target, &NOBODY);
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
    rows: &'a Rows,
    mask: Mask<'a>,
    /// For calls that take no slot.
    unlimited: bool,
}

impl View<'_> {
    #[inline]
    fn leaves_out(&self, index: usize) -> bool {
        self.mask.leaves_out(self.rows.number(index))
    }

    #[inline]
    fn seen(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Full if self.unlimited => Verdict::Usable,
            verdict => verdict,
        }
    }
}

impl Pool for View<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn fixed(&self, index: usize) -> Fixed {
        self.rows.fixed(index)
    }

    fn best(&self) -> Best {
        self.rows.best()
    }

    #[inline]
    fn verdict(&self, index: usize, now: Timestamp) -> Verdict {
        if self.leaves_out(index) {
            return Verdict::Excluded;
        }
        self.seen(self.rows.verdict(index, now))
    }

    fn share(&self, index: usize, now: Timestamp) -> f64 {
        self.rows.share(index, now)
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.rows.in_flight(index)
    }

    #[inline]
    fn each<B>(
        &self,
        from: usize,
        now: Timestamp,
        mut told: impl FnMut(usize, Verdict, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let told = |index, verdict, in_flight| told(index, self.seen(verdict), in_flight);
        self.rows.each(from, &self.mask, now, told)
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

#[cfg(test)]
mod tests;
