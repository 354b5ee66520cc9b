//! The pool at one moment: every account's state. Looks at all accounts, which takes milliseconds where they are many: not for
//! a thread that serves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::pool::report::{Report, State};
use crate::runtime::snapshot::{Route, Seat, Snapshot};

/// The names of the states of an account, in the order in which they are shown.
pub(super) const STATES: [&str; 7] = [
    "active",
    "cooling",
    "exhausted",
    "needs_verification",
    "needs_login",
    "disabled",
    "paused",
];

/// The place of a state among [`STATES`].
pub(super) fn place(state: &State) -> usize {
    let name = state.as_str();
    STATES.iter().position(|s| *s == name).unwrap_or_default()
}

/// Knows the state of every account.
pub(super) struct Survey<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    closed: HashMap<u32, Vec<&'a Seat>>,
}

impl<'a> Survey<'a> {
    /// Of all accounts of the file.
    pub(super) fn of(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        Self {
            snapshot,
            now,
            closed: closed_seats(snapshot, now),
        }
    }

    /// The state of an account. One that the file does not enable is paused.
    pub(super) fn state(&self, id: &AccountId) -> State {
        self.report(id).map_or(State::Paused, |report| report.state)
    }

    /// The same with its reasons, but for how many models an account lacks that is active all the same; `None` for one that
    /// the file does not enable.
    pub(super) fn report(&self, id: &AccountId) -> Option<Report> {
        let account = self.snapshot.accounts.get(id)?;
        let seats = self.closed.get(&account.number);
        let offers = seats.map_or(&[][..], Vec::as_slice).iter();
        Some(account.report(offers.map(|seat| seat.offer(self.now)), self.now))
    }
}

/// Every route once, whatever its names.
fn routes(snapshot: &Snapshot) -> Vec<&Arc<Route>> {
    let mut seen = HashSet::new();
    snapshot
        .routes()
        .filter(|route| seen.insert(Arc::as_ptr(route)))
        .collect()
}

/// The seats of each account none of whose models can serve, by its number. Those of the others do not matter, since such
/// an account is as a whole what its machine says: so the many that are well cost a look at one of their models.
fn closed_seats(snapshot: &Snapshot, now: Timestamp) -> HashMap<u32, Vec<&Seat>> {
    let routes = routes(snapshot);
    let seats = || {
        let targets = routes.iter().flat_map(|route| &route.targets);
        targets.flat_map(|target| &target.seats)
    };
    let mut open = HashSet::with_capacity(snapshot.accounts.len());
    for seat in seats() {
        if !open.contains(&seat.account.number) && seat.lane.view(seat.credits, now).ready_at <= now
        {
            open.insert(seat.account.number);
        }
    }
    let mut closed: HashMap<u32, Vec<&Seat>> = HashMap::new();
    for seat in seats().filter(|seat| !open.contains(&seat.account.number)) {
        closed.entry(seat.account.number).or_default().push(seat);
    }
    closed
}

/// The seats of the accounts that are wanted, by the account's number: one for each upstream model.
pub(super) fn seats(snapshot: &Snapshot, wanted: impl Fn(u32) -> bool) -> HashMap<u32, Vec<&Seat>> {
    let mut seats: HashMap<u32, Vec<&Seat>> = HashMap::new();
    let targets = routes(snapshot).into_iter().flat_map(|r| &r.targets);
    let all = targets.flat_map(|target| &target.seats);
    for seat in all.filter(|seat| wanted(seat.account.number)) {
        let of_account = seats.entry(seat.account.number).or_default();
        if !of_account.iter().any(|s| Arc::ptr_eq(&s.lane, &seat.lane)) {
            of_account.push(seat);
        }
    }
    seats
}
