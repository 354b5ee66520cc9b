//! The plain numbers that selection sees of an account, and its verdict in words.

use std::borrow::Cow;
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
    /// Remaining share of this model's quota, 0–1; `None` is unknown and counts as full. An empty one is told by
    /// `ready_at` and `exhausted`: here 0 means that it may go on all the same, at somebody's cost.
    pub remaining: Option<f64>,
    /// How well its last calls went, above 0 and at most 1.
    pub health: f64,
    /// Not before then: its bench or its quota's reset; [`NEVER`] while a person must act first.
    pub ready_at: Timestamp,
    /// Whether `ready_at` is the reset of a used-up quota.
    pub exhausted: bool,
    /// Calls in flight.
    pub in_flight: u32,
    /// Most calls in flight; `None` is no limit.
    pub limit: Option<u32>,
    /// Not for this request: tried already, or not allowed for its key.
    pub excluded: bool,
    /// Stands for the account's name where conversations look for their home: evenly spread.
    pub hash: u64,
}

/// What the file says of an account, which changes with the file only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fixed {
    /// As [`Candidate::hash`].
    pub hash: u64,
    /// As [`Candidate::weight`].
    pub weight: f64,
    /// As [`Candidate::tier`].
    pub tier: u32,
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
    /// Its quota for this model is used up until then.
    NoQuota(Timestamp),
    /// All its slots are taken.
    Full,
}

impl Candidate {
    /// The verdict at `now`.
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        if self.excluded {
            Verdict::Excluded
        } else if self.ready_at > now {
            match (self.ready_at, self.exhausted) {
                (NEVER, _) => Verdict::NeedsPerson,
                (until, true) => Verdict::NoQuota(until),
                (until, false) => Verdict::Cooling(until),
            }
        } else if self.limit.is_some_and(|limit| self.in_flight >= limit) {
            Verdict::Full
        } else {
            Verdict::Usable
        }
    }

    /// What of it the file says.
    pub fn fixed(&self) -> Fixed {
        Fixed {
            hash: self.hash,
            weight: self.weight,
            tier: self.tier,
        }
    }

    /// What is left of it: quota × health.
    pub(super) fn share(&self) -> f64 {
        self.remaining.unwrap_or(1.0).clamp(0.0, 1.0) * self.health.clamp(0.0, 1.0)
    }
}

impl Verdict {
    /// The verdict in words, for records.
    pub fn text(self) -> Cow<'static, str> {
        match self {
            Self::Usable => "usable".into(),
            Self::Excluded => "not for this request".into(),
            Self::Cooling(until) => format!("cooling until {until}").into(),
            Self::NeedsPerson => "waits for a person".into(),
            Self::NoQuota(until) => format!("no quota left until {until}").into(),
            Self::Full => "all slots taken".into(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
