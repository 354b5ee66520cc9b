//! Edits of the files, and long work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::plan::Plan;

/// Changes to the files, made all or none.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// What to change, in order; 1 to 10,000.
    pub changes: Vec<Wanted>,
}

/// One change. A value is JSON for what the file has as TOML: a date is a text; `{"secret": "..."}` is a secret in clear,
/// which the file gets sealed; `{"env": "NAME"}` and `{"file": "path"}` are written as they are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wanted {
    /// A value, where there is one or none.
    Set {
        /// Keys from the root, such as `["routing", "strategy"]`.
        path: Vec<String>,
        /// The value.
        value: Value,
    },
    /// No value, so that the default holds.
    Remove {
        /// Keys from the root.
        path: Vec<String>,
    },
    /// A new table.
    Add {
        /// `upstreams`, `accounts`, `groups`, `keys` or `models`.
        section: String,
        /// Its name.
        name: String,
        /// Its values.
        values: BTreeMap<String, Value>,
    },
    /// Another name for a table, everywhere where it is mentioned.
    Rename {
        /// `upstreams`, `accounts`, `groups`, `keys` or `models`.
        section: String,
        /// Its name so far.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A table gone.
    Delete {
        /// `upstreams`, `accounts`, `groups`, `keys` or `models`.
        section: String,
        /// Its name.
        name: String,
        /// Whether its name goes from lists and keys that mention it; else the edit is refused where there are any.
        #[serde(default)]
        mentions: bool,
    },
}

/// Something that is allowed and may not be meant.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EditWarning {
    /// Its code: docs/diagnostics.md tells of each.
    pub code: String,
    /// The key that it is about; empty where there is none.
    pub key: String,
    /// In words.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What became of an edit; with `dry_run`, what would.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Edited {
    /// Whether it changes what the files say.
    pub changed: bool,
    /// Whether it was saved.
    pub saved: bool,
    /// Why it was not saved, where the files may not be written.
    pub why: Option<String>,
    /// What it changes in the files, secrets masked.
    pub diff: String,
    /// What it changes in words, and how risky that is; null where nothing changes.
    pub plan: Option<Plan>,
    /// What is found in the files with it that was not found before; a hundred at most.
    pub warnings: Vec<EditWarning>,
    /// To be committed, where the files may not be written.
    pub patch: Option<PatchText>,
    /// The revision of the files as they are now.
    pub revision: String,
    /// The generation in force now.
    pub generation: u64,
}

/// A patch to be committed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PatchText {
    /// Its text.
    pub text: String,
    /// The command that applies it.
    pub command: String,
}

/// Long work was begun.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobStarted {
    /// Its id.
    pub job: String,
}

/// How far a part of long work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Not begun.
    Waiting,
    /// Under way.
    Running,
    /// It went well.
    Done,
    /// It did not.
    Failed,
    /// It was not begun, since the work was cancelled.
    Cancelled,
}

/// A part of long work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JobItem {
    /// What it is about: an account.
    pub name: String,
    /// How far it is.
    pub state: ItemState,
    /// What came of it.
    pub message: Option<String>,
}

/// Long work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it does: `refresh`.
    pub kind: String,
    /// When it was begun.
    pub started: String,
    /// When it ended; null while it goes on.
    pub ended: Option<String>,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// How many parts it has.
    pub total: u64,
    /// How many of them have ended.
    pub done: u64,
    /// How many of those failed.
    pub failed: u64,
    /// Its parts.
    pub items: Vec<JobItem>,
}

/// Long work of late, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobList {
    /// The jobs, without their parts.
    pub jobs: Vec<Job>,
}
