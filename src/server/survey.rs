//! How accounts stand, with all that their models say. Of one account this is a look; of all of them it takes milliseconds
//! where they are many: not for a thread that serves.

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::pool::report::{Report, State};
use crate::runtime::snapshot::Snapshot;

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

/// The state of an account. One that the file does not enable is paused.
pub(super) fn state(snapshot: &Snapshot, id: &AccountId, now: Timestamp) -> State {
    report(snapshot, id, now).map_or(State::Paused, |report| report.state)
}

/// The same with its reasons; `None` for one that the file does not enable.
pub(super) fn report(snapshot: &Snapshot, id: &AccountId, now: Timestamp) -> Option<Report> {
    let account = snapshot.accounts.get(id)?;
    let seats = snapshot.seats(account.number);
    Some(account.report(seats.map(|seat| seat.offer(now)), now))
}
