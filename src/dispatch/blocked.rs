//! Why nothing could be had, and which of two reasons gives more hope.

use std::fmt;

use crate::base::time::Timestamp;
use crate::pool::candidate::NEVER;
use crate::pool::select::Choice;

/// Why nothing could be had just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Slots are full: one may become free at any time, or then, when an account without a full slot is ready; `NEVER` of
    /// `pool::candidate` where there is none.
    Full(Timestamp),
    /// The key has as many requests at once as it may have.
    KeyFull,
    /// The key's group has as many requests at once as it may have.
    GroupFull,
    /// All accounts cool; the first is ready then.
    Cooling(Timestamp),
    /// All quotas are used up; the first is full again then.
    NoQuota(Timestamp),
    /// The model itself cools until then.
    ModelCooling(Timestamp),
    /// Those that are left wait for a person.
    NeedsPerson,
    /// There is no account for this request, or none is left to try.
    Exhausted,
}

impl Blocked {
    /// What selection says where it has nobody to use.
    pub fn of(choice: Choice) -> Self {
        match choice {
            Choice::Wait(until) => Self::Cooling(until),
            Choice::NoQuota(until) => Self::NoQuota(until),
            Choice::NeedsPerson => Self::NeedsPerson,
            Choice::Exhausted => Self::Exhausted,
            Choice::Full(until) => Self::Full(until),
            // Whoever was to be used and could not be had was full.
            Choice::Use(_) => Self::Full(NEVER),
        }
    }

    /// When it ends by itself, where that is known.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Full(until)
            | Self::Cooling(until)
            | Self::NoQuota(until)
            | Self::ModelCooling(until) => Some(until).filter(|until| *until != NEVER),
            Self::KeyFull | Self::GroupFull | Self::NeedsPerson | Self::Exhausted => None,
        }
    }

    /// Of two ways that are both blocked: what blocks both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |blocked| match blocked {
            Self::KeyFull | Self::GroupFull => (0, 0),
            Self::Full(_) => (1, 0),
            Self::Cooling(until) | Self::NoQuota(until) => (2, until.0),
            Self::ModelCooling(until) => (2, until.0.saturating_add(1)),
            Self::NeedsPerson => (3, 0),
            Self::Exhausted => (4, 0),
        };
        let (first, second) = if rank(other) < rank(self) {
            (other, self)
        } else {
            (self, other)
        };
        match first {
            Self::Full(until) => Self::Full(second.until().map_or(until, |u| u.min(until))),
            first => first,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("all slots are taken"),
            Self::KeyFull => f.write_str("all slots of the key are taken"),
            Self::GroupFull => f.write_str("all slots of the key's group are taken"),
            Self::Cooling(until) => write!(f, "all accounts cool, the first until {until}"),
            Self::NoQuota(until) => write!(f, "all quotas are used up, the first until {until}"),
            Self::ModelCooling(until) => write!(f, "the model cools until {until}"),
            Self::NeedsPerson => f.write_str("every account waits for a person"),
            Self::Exhausted => f.write_str("there is no account for this"),
        }
    }
}

/// Why a wait ended without a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It makes no sense to wait, or the wait is over: what blocked at last.
    Blocked(Blocked),
    /// Too many are waiting already.
    QueueFull,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_blocked() -> impl Strategy<Value = Blocked> {
        let time = || prop_oneof![9 => (1i64..100).prop_map(Timestamp), 1 => Just(NEVER)];
        prop_oneof![
            time().prop_map(Blocked::Full),
            Just(Blocked::KeyFull),
            Just(Blocked::GroupFull),
            (1i64..100).prop_map(|t| Blocked::Cooling(Timestamp(t))),
            (1i64..100).prop_map(|t| Blocked::NoQuota(Timestamp(t))),
            (1i64..100).prop_map(|t| Blocked::ModelCooling(Timestamp(t))),
            Just(Blocked::NeedsPerson),
            Just(Blocked::Exhausted),
        ]
    }

    proptest! {
        #[test]
        fn of_two_ways_the_first_that_opens_is_told(a in any_blocked(), b in any_blocked()) {
            let both = a.or(b);
            let waits_for_key = |x| matches!(x, Blocked::KeyFull | Blocked::GroupFull);
            if waits_for_key(a) || waits_for_key(b) {
                prop_assert!(waits_for_key(both));
            } else {
                let first = [a.until(), b.until()].into_iter().flatten().min();
                prop_assert_eq!(both.until(), first);
                let full = |x| matches!(x, Blocked::Full(_));
                prop_assert_eq!(full(both), full(a) || full(b));
            }
            let hopeless = |x| matches!(x, Blocked::NeedsPerson | Blocked::Exhausted);
            prop_assert_eq!(hopeless(both), hopeless(a) && hopeless(b));
        }
    }
}
