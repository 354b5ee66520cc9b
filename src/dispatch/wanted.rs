//! What a request that waits in the queue wants: a place for one call, and with the first also to be let in.

use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::dispatch::blocked::Blocked;
use crate::dispatch::queue::{Freed, Tags, Want};
use crate::dispatch::seat::{Excluded, Held, Seating};
use crate::runtime::snapshot::RouteTarget;

/// A place on a route.
pub struct Wanted {
    /// The route, and who asks.
    pub seating: Seating,
    /// Accounts that are left out.
    pub excluded: Excluded,
    /// Whether the request must be let in first.
    pub admit: bool,
}

impl Want for Wanted {
    type Place = Held;

    fn take(&mut self) -> Result<Held, Blocked> {
        let now = Timestamp::now();
        self.seating.attempt(&self.excluded, self.admit, now)
    }

    fn tags(&self) -> Tags {
        let key = &self.seating.key;
        let own = self.admit && key.slots.own.limit.is_some();
        let group = key.slots.group.as_ref().filter(|_| self.admit);
        Tags {
            route: Arc::as_ptr(&self.seating.route).addr(),
            accounts: self.excluded.is_empty().then(|| key.accounts_tag()),
            key: own.then(|| Arc::as_ptr(key).addr()),
            group: group.map(|group| Arc::as_ptr(group).addr()),
        }
    }

    fn gains(&self, freed: &Freed<'_>) -> bool {
        let key = &self.seating.key;
        let targets = &self.seating.route.targets;
        match freed {
            Freed::Anything => true,
            Freed::Request(other) => self.admit && key.slots.gain_from(&other.slots),
            Freed::Call(seat, model) => {
                let account = &seat.account;
                let may = key.may_use(account.number) && !self.excluded.holds(account.number);
                targets.iter().any(|target| {
                    let of_model = || {
                        target.limit.is_some() && std::ptr::eq(Arc::as_ptr(&target.state), *model)
                    };
                    (may && target.upstream.id == account.upstream) || of_model()
                })
            }
        }
    }

    fn nobody(&self) -> Option<Blocked> {
        let now = Timestamp::now();
        let blocked = |target: &RouteTarget| self.seating.nobody_on(target, now);
        let targets = self.seating.route.targets.iter();
        targets
            .map(blocked)
            .try_fold(Blocked::Exhausted, |all, one| {
                one.map(|blocked| all.or(blocked))
            })
    }
}
