//! What to do after a failed try: pure. The driver tells what happened, this says what may come next.
//!
//! The order is that of upstream-protocol.md 9.3: the next host, then another account that is free, and the same account
//! again only when none is — but for the repeat after a refresh, the repair of a signature and a stated delay under 3 s.

use std::time::Duration;

use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure, OtherAccount};

/// A stated delay below this is waited out on the same account.
const SHORT_DELAY: Duration = Duration::from_secs(3);

/// The operator's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls that send the prompt.
    pub max_attempts: u32,
    /// No new try later than this after the first failure.
    pub retry_within: Duration,
}

/// The course of one request so far.
#[derive(Debug, Clone)]
pub struct Plan {
    bounds: Bounds,
    attempts: u32,
    first_failure: Option<Timestamp>,
    /// The classes that bound their own tries and have struck, each as often as it did.
    bounded: Vec<Class>,
    repaired: bool,
    leveled: bool,
    /// Repeats on the account in hand.
    repeats: u32,
    refreshed: bool,
}

/// What the driver knows of the try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// Whether the upstream has a host that this account was not tried on yet.
    pub another_host: bool,
}

/// What may come next, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same account on the next host.
    NextHost,
    /// The same account at once, with a fresh token.
    Refresh,
    /// The same account at once, with signatures repaired (13.4).
    Repair,
    /// The same account at once, with a thinking budget in place of a level (5.6).
    Budget,
    /// The same account after this delay.
    Same(Duration),
    /// Another account. Where none is free: the same after the delay if one is given, else wait for another.
    Other {
        /// What the same account may do where no other is free.
        or_same: Option<Duration>,
        /// The latest moment for the next try.
        until: Timestamp,
    },
    /// Nothing: tell the client.
    GiveUp,
}

impl Plan {
    /// Nothing tried yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            attempts: 0,
            first_failure: None,
            bounded: Vec::new(),
            repaired: false,
            leveled: false,
            repeats: 0,
            refreshed: false,
        }
    }

    /// Another account is in hand.
    pub fn new_account(&mut self) {
        self.repeats = 0;
        self.refreshed = false;
    }

    /// A call that sends the prompt begins.
    pub fn begin(&mut self) {
        self.attempts += 1;
    }

    /// How many calls have sent the prompt.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The latest moment for another try: `None` before the first failure.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.first_failure
            .map(|at| at.plus(self.bounds.retry_within))
    }

    /// Whether the account in hand was given a fresh token for this request: a 401 is news about it only then.
    pub fn refreshed(&self) -> bool {
        self.refreshed
    }

    /// Whether signatures are to be repaired from now on.
    pub fn repaired(&self) -> bool {
        self.repaired
    }

    /// Whether thinking levels are to be written as budgets from now on.
    pub fn leveled(&self) -> bool {
        self.leveled
    }

    /// A try failed before anything reached the client: what may come next.
    pub fn after(&mut self, failure: &Failure, facts: Facts) -> Next {
        let first = *self.first_failure.get_or_insert(facts.now);
        let until = first.plus(self.bounds.retry_within);
        if self.attempts >= self.bounds.max_attempts || facts.now > until {
            return Next::GiveUp;
        }
        if failure.level_refused && !self.leveled {
            self.leveled = true;
            return Next::Budget;
        }
        match failure.class {
            Class::AuthExpired if !self.refreshed => {
                self.refreshed = true;
                return Next::Refresh;
            }
            Class::SignatureInvalid if !self.repaired => {
                self.repaired = true;
                return Next::Repair;
            }
            Class::RateLimited if self.repeats == 0 => {
                if let Some(delay) = failure
                    .delay
                    .filter(|d| *d < SHORT_DELAY && facts.now.plus(*d) <= until)
                {
                    self.repeats += 1;
                    return Next::Same(delay);
                }
            }
            _ => {}
        }
        if failure.class.next_host() && facts.another_host {
            return Next::NextHost;
        }
        let most = match failure.class.other_account() {
            OtherAccount::No => return Next::GiveUp,
            OtherAccount::Once => Some(1),
            OtherAccount::Twice => Some(2),
            OtherAccount::Yes => None,
        };
        if let Some(most) = most {
            let before = self.bounded.iter().filter(|c| **c == failure.class);
            if before.count() >= most {
                return Next::GiveUp;
            }
            self.bounded.push(failure.class);
        }
        let or_same = self
            .same_delay(failure)
            .filter(|d| facts.now.plus(*d) <= until);
        Next::Other { or_same, until }
    }

    /// How long to wait before the same account is tried again; `None` where it may not be.
    fn same_delay(&self, failure: &Failure) -> Option<Duration> {
        let (first, most) = match failure.class {
            Class::Capacity => (Duration::from_millis(250), 3),
            Class::ServerError | Class::EmptyAnswer => (Duration::from_millis(500), 2),
            _ => return None,
        };
        (self.repeats < most).then(|| first * (1 << self.repeats))
    }

    /// The same account is tried again as [`Next::Other`] allowed.
    pub fn repeat_same(&mut self) {
        self.repeats += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const BOUNDS: Bounds = Bounds {
        max_attempts: 12,
        retry_within: Duration::from_secs(30),
    };

    fn plan() -> Plan {
        let mut plan = Plan::new(BOUNDS);
        plan.begin();
        plan
    }

    fn fail(class: Class) -> Failure {
        Failure::new(class, "")
    }

    fn facts(another_host: bool) -> Facts {
        Facts {
            now: NOW,
            another_host,
        }
    }

    #[test]
    fn a_clients_mistake_is_told_at_once() {
        for class in [Class::BadRequest, Class::ContextTooLong, Class::TooLarge] {
            assert_eq!(plan().after(&fail(class), facts(true)), Next::GiveUp);
        }
    }

    #[test]
    fn hosts_go_before_accounts() {
        for class in [
            Class::Network,
            Class::ServerError,
            Class::Capacity,
            Class::ModelNotFound,
        ] {
            assert_eq!(plan().after(&fail(class), facts(true)), Next::NextHost);
            assert!(matches!(
                plan().after(&fail(class), facts(false)),
                Next::Other { .. }
            ));
        }
        assert!(matches!(
            plan().after(&fail(Class::RateLimited), facts(true)),
            Next::Other { or_same: None, .. }
        ));
    }

    #[test]
    fn a_stale_token_is_refreshed_once_for_each_account() {
        let mut plan = plan();
        assert_eq!(
            plan.after(&fail(Class::AuthExpired), facts(false)),
            Next::Refresh
        );
        assert!(matches!(
            plan.after(&fail(Class::AuthExpired), facts(false)),
            Next::Other { or_same: None, .. }
        ));
        plan.new_account();
        assert_eq!(
            plan.after(&fail(Class::AuthExpired), facts(false)),
            Next::Refresh
        );
    }

    #[test]
    fn a_signature_is_repaired_once() {
        let mut plan = plan();
        assert_eq!(
            plan.after(&fail(Class::SignatureInvalid), facts(false)),
            Next::Repair
        );
        assert!(plan.repaired());
        assert_eq!(
            plan.after(&fail(Class::SignatureInvalid), facts(false)),
            Next::GiveUp
        );
    }

    #[test]
    fn a_refused_level_is_tried_as_a_budget() {
        let mut plan = plan();
        let refused = Failure {
            level_refused: true,
            ..fail(Class::BadRequest)
        };
        assert_eq!(plan.after(&refused, facts(false)), Next::Budget);
        assert_eq!(plan.after(&refused, facts(false)), Next::GiveUp);
    }

    #[test]
    fn a_short_stated_delay_is_waited_out_once() {
        let mut plan = plan();
        let short = Failure {
            delay: Some(Duration::from_millis(754)),
            ..fail(Class::RateLimited)
        };
        assert_eq!(
            plan.after(&short, facts(false)),
            Next::Same(Duration::from_millis(754))
        );
        assert!(matches!(
            plan.after(&short, facts(false)),
            Next::Other { .. }
        ));
        let long = Failure {
            delay: Some(Duration::from_secs(3)),
            ..fail(Class::RateLimited)
        };
        assert!(matches!(
            self::plan().after(&long, facts(false)),
            Next::Other { .. }
        ));
    }

    #[test]
    fn repeats_on_one_account_double_and_end() {
        let mut plan = plan();
        let mut delays = Vec::new();
        while let Next::Other {
            or_same: Some(delay),
            ..
        } = plan.after(&fail(Class::Capacity), facts(false))
        {
            plan.repeat_same();
            delays.push(delay.as_millis());
        }
        assert_eq!(delays, [250, 500, 1000]);
    }

    #[test]
    fn bounded_classes() {
        for (class, times) in [
            (Class::Timeout, 1),
            (Class::ModelNotFound, 1),
            (Class::EmptyAnswer, 2),
        ] {
            let mut plan = plan();
            for _ in 0..times {
                assert!(matches!(
                    plan.after(&fail(class), facts(false)),
                    Next::Other { .. }
                ));
            }
            assert_eq!(
                plan.after(&fail(class), facts(false)),
                Next::GiveUp,
                "{class:?}"
            );
        }
    }

    #[test]
    fn a_class_is_bounded_by_itself_alone() {
        let mut plan = plan();
        for class in [Class::Timeout, Class::ModelNotFound, Class::EmptyAnswer] {
            assert!(
                matches!(plan.after(&fail(class), facts(false)), Next::Other { .. }),
                "{class:?}"
            );
        }
        let again = plan.after(&fail(Class::Timeout), facts(false));
        assert_eq!(again, Next::GiveUp);
    }

    #[test]
    fn attempts_and_time_bound_everything() {
        let mut plan = plan();
        for _ in 1..BOUNDS.max_attempts {
            plan.begin();
        }
        assert_eq!(plan.after(&fail(Class::Network), facts(true)), Next::GiveUp);
        let mut plan = self::plan();
        plan.after(&fail(Class::Network), facts(true));
        let later = Facts {
            now: NOW.plus(Duration::from_secs(31)),
            another_host: true,
        };
        assert_eq!(plan.after(&fail(Class::Network), later), Next::GiveUp);
    }
}
