//! What a key or a group of keys may use, and has used: requests and tokens in a minute, tokens in a day, money in a day or
//! month. An amount is reserved before a call and settled after it.
//!
//! Nothing is ever above its bound but by what a settling adds above its reservation. What is open when a period ends counts
//! in the next one, since that is when it is settled.

mod lease;
mod ledger;
mod period;
mod window;

use crate::base::money::{Nanos, Per};
use crate::base::time::Timestamp;

pub use lease::Claim;
pub use ledger::{Booked, Hold, Kept, Ledger};
pub use period::Span;
pub use window::Window;

/// Tokens and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Input and output.
    pub tokens: u64,
    /// Their price; 0 where the model has none.
    pub nanos: Nanos,
}

impl Amount {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            nanos: self.nanos.saturating_add(other.nanos),
        }
    }

    /// What this has more than `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            nanos: self.nanos.saturating_sub(other.nanos),
        }
    }

    /// Of each the larger.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            nanos: self.nanos.max(other.nanos),
        }
    }

    /// Whether neither part of `other` is larger.
    pub fn covers(self, other: Self) -> bool {
        self.tokens >= other.tokens && self.nanos >= other.nanos
    }

    /// Whether there is nothing of either.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// Money for a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// So much.
    pub nanos: Nanos,
    /// In each.
    pub per: Per,
}

/// What one owner may use at most; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Requests in a minute.
    pub rpm: Option<u32>,
    /// Tokens in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a day.
    pub tokens_per_day: Option<u64>,
    /// Money.
    pub budget: Option<Budget>,
}

impl Bounds {
    /// Whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is counted for longer than a minute.
    pub fn lasting(&self) -> bool {
        self.tokens_per_day.is_some() || self.budget.is_some()
    }
}

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Requests in a minute.
    Requests,
    /// Tokens in a minute.
    TokensPerMinute,
    /// Tokens in a day.
    TokensPerDay,
    /// Money in a period, in nanos.
    Money(Per),
}

impl Limit {
    /// As the file names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "rpm",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::Money(_) => "budget",
        }
    }
}

/// Where one limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Which.
    pub limit: Limit,
    /// What is used, with what is reserved.
    pub used: u64,
    /// The most that may be.
    pub bound: u64,
    /// When there is room again: in a minute's window for what was asked, else when the period ends.
    pub reset: Timestamp,
}

/// A limit that what was asked for would go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// How the limit stands; it resets when there is room for what was asked.
    pub limit: Use,
    /// What was asked for.
    pub asked: u64,
}
