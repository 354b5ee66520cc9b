//! What the file says of clients' keys and their groups.

use crate::base::money::{Nanos, Per};
use crate::base::time::Timestamp;
use crate::config::model::SecretRef;

/// How a client key is known.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyValue {
    /// By the SHA-256 of the whole key.
    Sha256([u8; 32]),
    /// By the key itself, which is digested when the snapshot is built.
    Key(SecretRef),
}

/// `[groups.*]`: limits that several keys share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// Requests at once; `None` is no limit.
    pub max_concurrent: Option<u32>,
    /// What they may use together.
    pub limits: Limits,
}

/// What a key or a group may use at most; `None` is no limit, else it is above 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in a minute.
    pub rpm: Option<u32>,
    /// Tokens in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a day.
    pub tokens_per_day: Option<u64>,
    /// Money in a period.
    pub budget: Option<(Nanos, Per)>,
}

/// `[keys.*]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// For people; the table's name where none is given.
    pub name: String,
    /// How it is known.
    pub value: KeyValue,
    /// Limits of its own.
    pub limits: Limits,
    /// Globs of public model names.
    pub models: Vec<String>,
    /// Account names and `tag:NAME`; empty is every account.
    pub accounts: Vec<String>,
    /// The group whose limits it shares.
    pub group: Option<String>,
    /// Requests at once; `None` is no limit.
    pub max_concurrent: Option<u32>,
    /// Refused from this moment on.
    pub expires: Option<Timestamp>,
    /// Whether it is accepted.
    pub enabled: bool,
}
