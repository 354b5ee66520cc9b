//! The history of the files, plans and reloads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::plan::Plan;

/// A generation of the files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Generation {
    /// Its number.
    pub generation: u64,
    /// Whether it is in force.
    pub running: bool,
    /// Digest over its files.
    pub revision: String,
    /// When it was put in force.
    pub at: String,
    /// By whom.
    pub who: String,
    /// From where.
    pub from: String,
    /// What changed.
    pub what: String,
    /// Whether its texts are kept.
    pub texts: bool,
}

/// The generations that are kept, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct History {
    /// The one in force.
    pub running: u64,
    /// The generations.
    pub generations: Vec<Generation>,
}

/// What differs between two generations.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GenerationDiff {
    /// The first.
    pub before: u64,
    /// The second.
    pub after: u64,
    /// The one in force.
    pub running: u64,
    /// As a diff, secrets masked.
    pub diff: String,
    /// In words, where that was asked for.
    pub plan: Option<Plan>,
}

/// What a rollback is asked with.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AskRollback {
    /// Keys that are to open again although they were taken away since.
    pub restore_keys: Vec<String>,
    /// The revision that the plan was made from.
    pub revision: Option<String>,
    /// Whether what is of high risk is agreed to.
    pub high: bool,
}

/// A key that stays as it is now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeptKey {
    /// The key.
    pub name: String,
    /// How.
    pub how: String,
}

/// What a rollback would do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RollbackPlan {
    /// Where to.
    pub generation: u64,
    /// The one in force.
    pub running: u64,
    /// What the rollback is to be asked with.
    pub revision: String,
    /// In words.
    pub plan: Plan,
    /// What of it is of high risk.
    pub high: Vec<String>,
    /// As a diff, secrets masked.
    pub diff: String,
    /// Keys that were taken away since, and stay so.
    pub keys_kept: Vec<KeptKey>,
    /// Keys that open again.
    pub keys_restored: Vec<String>,
    /// Files that are left as they are.
    pub files_left: Vec<String>,
}

/// What a configuration would change here.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Planned {
    /// The generation that it was compared with.
    pub generation: u64,
    /// In words.
    pub plan: Plan,
}

/// What came of reading the files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reloaded {
    /// `applied`, `unchanged` or `refused`.
    pub outcome: String,
    /// The generation in force, unless refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What changed, where something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Settings that wait for a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_restart: Option<Vec<String>>,
    /// Why they were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<String>>,
}

/// What came of wrapping the store's key anew.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Rotated {
    /// Whom it is wrapped for now; null where nothing is stored encrypted.
    pub recipients: Option<Vec<String>>,
}

/// A copy of the state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BackedUp {
    /// Its name in the state folder.
    pub file: Option<String>,
}
