//! What an operator wants to know first.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::server::admin::api::usage::{Sums, UsagePoint, UsageRow};

/// What an operator wants to know first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Overview {
    /// When this was so.
    pub at: String,
    /// The process.
    pub gateway: GatewayState,
    /// Accounts by state.
    pub accounts: AccountCounts,
    /// Since the day began in `admin.time_zone`.
    pub today: Sums,
    /// The day before up to the same time of day.
    pub yesterday: Sums,
    /// The last 24 hours, by the hour.
    pub series: Vec<UsagePoint>,
    /// Today by public model, most requests first.
    pub models: Vec<UsageRow>,
    /// This moment.
    pub live: Live,
    /// What needs a person, the worst first.
    pub attention: Vec<Attention>,
    /// The configuration in force.
    pub config: ConfigState,
}

/// The process.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GatewayState {
    /// Its version.
    pub version: String,
    /// When it was started.
    pub started: String,
    /// Whether it takes requests: not while it starts or drains.
    pub ready: bool,
    /// Where clients find it, without a slash at the end: `server.public_url`, else the address that it listens on.
    pub url: String,
}

/// Accounts by state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AccountCounts {
    /// All accounts of the files.
    pub total: u64,
    /// Those that can serve some model now.
    pub active: u64,
    /// How many are in each state.
    pub by_state: BTreeMap<String, u64>,
}

/// This moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Live {
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that wait for an account.
    pub waiting: u64,
    /// Requests that ended within the last minute.
    pub requests_per_minute: u64,
    /// Their tokens.
    pub tokens_per_minute: u64,
}

/// How urgent something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Something does not work.
    Error,
    /// Something soon won't.
    Warning,
    /// Something is not done yet.
    Info,
}

/// What kind of thing needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// An account must be signed in again.
    SignIn,
    /// An account must be verified at its provider.
    Verify,
    /// An account is out of use for another reason that only a person can mend.
    Account,
    /// The files have errors: what ran before still runs.
    Reload,
    /// The files differ from what runs.
    Drift,
    /// A setting waits for a restart.
    Restart,
    /// A key or group has used most of a budget.
    Budget,
    /// The store can't be written.
    Store,
    /// There is no account.
    NoAccount,
    /// There is no key.
    NoKey,
}

/// Something that needs a person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Attention {
    /// What kind.
    pub kind: AttentionKind,
    /// How urgent.
    pub urgency: Urgency,
    /// In words.
    pub message: String,
    /// What to do.
    pub step: Option<String>,
    /// The account that it is about.
    pub account: Option<String>,
    /// The key that it is about.
    pub key: Option<String>,
    /// The group that it is about.
    pub group: Option<String>,
    /// The file that it is about.
    pub file: Option<String>,
    /// The line in that, from 1.
    pub line: Option<u64>,
    /// Where to go, at the account's provider.
    pub link: Option<String>,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigState {
    /// Its number.
    pub generation: u64,
    /// Digest over its files.
    pub revision: String,
    /// Why the files as they are now were refused; empty where they were not.
    pub errors: Vec<String>,
    /// How the files differ from what runs; null where they do not.
    pub differs: Option<String>,
    /// Settings that wait for a restart.
    pub after_restart: Vec<String>,
    /// Whether edits are saved: else they are answered with a patch.
    pub write_back: bool,
}
