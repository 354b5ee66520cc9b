//! A [`Failure`] in the words of the shared error vectors: what becomes of the account and of the try.

use std::time::Duration;

use crate::pool::failure::{Class, Failure, OtherAccount, Scope};

/// A stated delay below this is waited out on the same account (9.3).
const WORTH_WAITING: Duration = Duration::from_secs(3);

/// What table 9.3 says to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// `keep`, `refresh`, `cooldown`, `disable` or `needs_operator`.
    pub account: &'static str,
    /// `none`, `account`, `account_model`, `model` or `upstream`.
    pub scope: &'static str,
    /// The upstream's delay, else the table's fixed one; `None` where the pool's doubling decides.
    pub delay: Option<Duration>,
    /// Whether the same account may be tried again at once, or after `delay`.
    pub retry_same: bool,
    /// Whether another account may be tried.
    pub retry_other: bool,
}

/// Reads a failure's row of table 9.3.
pub fn decision(failure: &Failure) -> Decision {
    let class = failure.class;
    Decision {
        account: match class {
            Class::AuthExpired => "refresh",
            Class::AccountInvalid => "disable",
            Class::NeedsValidation => "needs_operator",
            Class::Forbidden
            | Class::RateLimited
            | Class::QuotaExhausted
            | Class::ModelNotFound => "cooldown",
            _ => "keep",
        },
        scope: match class.scope() {
            Scope::None => "none",
            Scope::Account => "account",
            Scope::AccountModel => "account_model",
            Scope::Model => "model",
            Scope::Upstream => "upstream",
        },
        delay: failure.delay.or(match class {
            Class::Forbidden | Class::QuotaExhausted => Some(Duration::from_hours(1)),
            Class::ModelNotFound => Some(Duration::from_mins(10)),
            _ => None,
        }),
        retry_same: match class {
            Class::AuthExpired
            | Class::Capacity
            | Class::SignatureInvalid
            | Class::ServerError
            | Class::Network
            | Class::EmptyAnswer => true,
            Class::RateLimited => failure.delay.is_some_and(|delay| delay < WORTH_WAITING),
            _ => false,
        },
        retry_other: class.other_account() != OtherAccount::No,
    }
}
