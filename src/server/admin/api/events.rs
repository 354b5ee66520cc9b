//! The event stream: server-sent events, each with the name and data of one of these. Nothing in the panel polls.

use schemars::JsonSchema;
use serde::Serialize;

use crate::server::admin::api::edits::Job;
use crate::server::admin::api::logs::LogRow;
use crate::server::admin::api::overview::{ConfigState, Live};

/// One event. Its name is `event`, its data the rest.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// The first of each stream.
    Hello(Hello),
    /// Another configuration is in force, or the files were refused, or differ from what runs.
    Config(ConfigState),
    /// Requests that ended and are in the log; topic `requests`.
    Requests(NewRequests),
    /// Accounts whose state or quota changed.
    Accounts(ChangedAccounts),
    /// Long work went on.
    Job(Job),
    /// This moment, when it changed; every two seconds at most.
    Live(Live),
    /// What needs a person changed.
    Attention(AttentionCount),
    /// The session ended: the stream does too.
    Ended(Ended),
}

/// The first event of each stream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Hello {
    /// The gateway's version.
    pub version: String,
    /// When it was started: another time means that it was restarted.
    pub started: String,
    /// The configuration.
    pub config: ConfigState,
}

/// Requests that ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NewRequests {
    /// The rows, oldest first.
    pub rows: Vec<LogRow>,
    /// How many there were besides, which this stream was too slow for: read the list again.
    pub missed: u64,
}

/// Accounts that changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChangedAccounts {
    /// Their names, 100 at most.
    pub names: Vec<String>,
    /// Whether there were more: read the list again.
    pub more: bool,
}

/// What needs a person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AttentionCount {
    /// How many things.
    pub count: u64,
    /// How many of them are errors.
    pub errors: u64,
}

/// Why the stream ends.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ended {
    /// `signed_out` or `stopping`.
    pub why: String,
}
