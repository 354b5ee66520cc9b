//! The plain numbers that selection sees of an account, and how it stands.

use std::borrow::Cow;
use std::fmt;

use crate::base::time::Timestamp;

/// What the file says of an account, which changes with the file only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fixed {
    /// Stands for its name where conversations look for their home: evenly spread.
    pub hash: u64,
    /// Declared weight, finite and not negative; 0: only when no other can.
    pub weight: f64,
    /// Lower tiers go first.
    pub tier: u32,
}

/// The end of the bench of an account that waits for a person.
pub const NEVER: Timestamp = Timestamp(i64::MAX);

/// How an account stands for a request: why it is used or not.
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

/// What is left of an account for a model, 0–1: quota × health. An unknown quota counts as full.
pub fn share(remaining: Option<f64>, health: f64) -> f64 {
    remaining.unwrap_or(1.0).clamp(0.0, 1.0) * health.clamp(0.0, 1.0)
}

impl Verdict {
    /// Of one that can't be used before `ready_at`; `exhausted` where that is the reset of a used-up quota.
    #[inline]
    pub fn closed(ready_at: Timestamp, exhausted: bool) -> Self {
        match (ready_at, exhausted) {
            (NEVER, _) => Self::NeedsPerson,
            (until, true) => Self::NoQuota(until),
            (until, false) => Self::Cooling(until),
        }
    }

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
