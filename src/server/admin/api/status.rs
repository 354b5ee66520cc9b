//! What runs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::server::admin::api::accounts::Account;

/// What runs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Status {
    /// agp's version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it was started.
    pub started: String,
    /// Whether it takes requests.
    pub ready: bool,
    /// Where clients connect.
    pub listen: String,
    /// Where the admin API is, if not there.
    pub admin: Option<String>,
    /// Where metrics are.
    pub metrics: Option<String>,
    /// The configuration.
    pub config: StatusConfig,
    /// Every upstream in effect.
    pub upstreams: Vec<StatusUpstream>,
    /// Every account.
    pub accounts: Vec<Account>,
    /// Requests that wait for an account.
    pub waiting: u64,
    /// The store.
    pub store: StatusStore,
}

/// The configuration in force.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusConfig {
    /// Its number.
    pub generation: u64,
    /// Digest over its files.
    pub revision: String,
    /// How it came to be in force.
    pub applied: Option<Applied>,
    /// When the files were last read.
    pub read: Option<String>,
    /// How the files differ from what runs.
    pub differs: Option<String>,
    /// Why the files as they are now were refused.
    pub errors: Vec<String>,
    /// Settings that wait for a restart.
    pub after_restart: Vec<String>,
}

/// How a configuration came to be in force.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Applied {
    /// When.
    pub at: String,
    /// By whom.
    pub who: String,
    /// From where.
    pub from: String,
    /// What changed.
    pub what: String,
}

/// An upstream in effect.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusUpstream {
    /// Its name.
    pub name: String,
    /// How many models it lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<u64>,
    /// When it told them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<String>,
    /// How long ago, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// Whether an earlier run heard them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_store: Option<bool>,
}

/// The store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusStore {
    /// Its state file.
    pub state: StatusFile,
    /// Its log file.
    pub log: StatusFile,
    /// Log rows that wait.
    pub queued_logs: u64,
    /// Other writes that wait.
    pub queued_writes: u64,
    /// Log rows lost since the start.
    pub dropped_logs: u64,
    /// Other writes lost since the start.
    pub dropped_writes: u64,
    /// Bodies lost since the start.
    pub dropped_bodies: u64,
    /// Whom the key of what is stored encrypted is wrapped for.
    pub data_key: serde_json::Value,
}

/// How writing a file goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusFile {
    /// `ok` or `failing`.
    pub state: String,
    /// Since when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
