//! The plain numbers that selection sees of an account, and its verdict in words.

use std::fmt;

use crate::base::time::Timestamp;

/// One account that a route may use, as it stands at this moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its place in the route's list.
    pub slot: usize,
    /// Lower tiers go first.
    pub tier: u32,
    /// Declared weight, finite and not negative; 0: only when no other can.
    pub weight: f64,
    /// Remaining share of this model's quota, 0–1; `None` is unknown and counts as full.
    pub remaining: Option<f64>,
    /// Cooling until then; [`NEVER`] while a person must act first.
    pub ready_at: Timestamp,
    /// Calls in flight.
    pub in_flight: u32,
    /// Most calls in flight; `None` is no limit.
    pub limit: Option<u32>,
    /// Not for this request: tried already, or not allowed for its key.
    pub excluded: bool,
}

/// The `ready_at` of an account that waits for a person.
pub const NEVER: Timestamp = Timestamp(i64::MAX);

/// Why a candidate is used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can serve now.
    Usable,
    /// This request has tried it, or may not use it.
    Excluded,
    /// It is benched until then.
    Cooling(Timestamp),
    /// A person must act first.
    NeedsPerson,
    /// Its quota for this model is used up.
    NoQuota,
    /// All its slots are taken.
    Full,
}

impl Candidate {
    /// The verdict at `now`.
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        if self.excluded {
            Verdict::Excluded
        } else if self.ready_at == NEVER {
            Verdict::NeedsPerson
        } else if self.ready_at > now {
            Verdict::Cooling(self.ready_at)
        } else if self.limit.is_some_and(|limit| self.in_flight >= limit) {
            Verdict::Full
        } else {
            Verdict::Usable
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("usable"),
            Self::Excluded => f.write_str("not for this request"),
            Self::Cooling(until) => write!(f, "cooling until {until}"),
            Self::NeedsPerson => f.write_str("waits for a person"),
            Self::NoQuota => f.write_str("no quota left"),
            Self::Full => f.write_str("all slots taken"),
        }
    }
}
