//! The files, what they say, and what is in force.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Something found in the files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finding {
    /// Its code: docs/diagnostics.md tells of each.
    pub code: String,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// In words.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The key that it is about.
    pub key: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column, from 1, in characters.
    pub column: Option<u64>,
    /// The line of the end.
    pub end_line: Option<u64>,
    /// The column behind the end.
    pub end_column: Option<u64>,
}

/// A file in play.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConfigFile {
    /// Its path.
    pub path: String,
    /// Its text, secrets masked: lines are those of the file.
    pub text: String,
}

/// The files as they are now, and what is in force.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Configuration {
    /// Digest over the files as they are now: what edits are asked with.
    pub revision: String,
    /// The generation in force.
    pub generation: u64,
    /// Digest over the files that are in force.
    pub running: String,
    /// How the files differ from what runs; null where they do not.
    pub differs: Option<String>,
    /// The same as a diff, secrets masked; empty where they do not, or where it is not known.
    pub drift: String,
    /// Why the files as they are now were refused.
    pub errors: Vec<String>,
    /// Whether edits are saved: else they are answered with a patch.
    pub write_back: bool,
    /// The files, the root first.
    pub files: Vec<ConfigFile>,
    /// What is found in them.
    pub findings: Vec<Finding>,
    /// Settings that the environment gives for this run, and the variable of each.
    pub locked: BTreeMap<String, String>,
    /// Settings that wait for a restart.
    pub after_restart: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// Nobody gave it.
    Default,
    /// A file.
    File {
        /// Its path.
        path: String,
        /// The line, from 1.
        line: u64,
    },
    /// A variable of the environment: the setting is locked.
    Variable {
        /// Its name.
        name: String,
    },
}

/// A value in force.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Setting {
    /// Its key's path, as edits take it.
    pub path: Vec<String>,
    /// The value as JSON, masked where it is secret; dates are texts.
    pub value: Value,
    /// Where it came from.
    pub source: Source,
    /// Whether anything uses it so far.
    pub in_effect: bool,
    /// Whether a change takes effect after a restart only.
    pub restart: bool,
    /// Whether it is a secret.
    pub secret: bool,
}

/// Every value in force.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Settings {
    /// Digest over the files: what edits are asked with.
    pub revision: String,
    /// The values, in the file's canonical order.
    pub settings: Vec<Setting>,
}
