//! What came of a reload, and whether the files still say what runs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::config::diagnostic::Code;
use crate::config::model::Config;
use crate::config::source::{Files, Revision};
use crate::runtime::snapshot::Snapshot;
use crate::store::GenerationRecord;

/// What happened to the last reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reload {
    /// The root file.
    pub root: PathBuf,
    /// When the files were last read.
    pub at: Timestamp,
    /// Why they were not applied; empty where they were.
    pub errors: Vec<String>,
    /// The codes of those errors that have one, each once: fit for strangers.
    pub codes: Vec<Code>,
    /// What takes effect after a restart only.
    pub restart: Vec<String>,
    /// The generation in force, as the history has it; `None` before the start has one.
    pub applied: Option<Arc<GenerationRecord>>,
    /// Included files that went a moment ago and are waited for.
    pub missing: Vec<PathBuf>,
}

/// What came of a reload that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The files are in force.
    Applied {
        /// Their generation.
        generation: u64,
        /// What changed, in a line.
        what: String,
        /// What takes effect after a restart only.
        restart: Vec<String>,
    },
    /// The files say what is in force already.
    Unchanged {
        /// The generation in force.
        generation: u64,
        /// What takes effect after a restart only.
        restart: Vec<String>,
    },
    /// They can't be used: the generation before stays in force.
    Refused {
        /// Why, a line each.
        errors: Vec<String>,
    },
}

/// Why the files differ from what runs; `None` where they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// They were refused.
    Refused,
    /// An included file went: it counts as gone once it has stayed away.
    Waiting,
    /// They changed a moment ago and are about to be read.
    Unread,
}

impl Drift {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Waiting => "waiting for an included file",
            Self::Unread => "not read yet",
        }
    }
}

/// Compares the files as they are now with what runs. Reads them: not for a thread that serves.
pub fn drift(reload: &Reload, running: &Snapshot) -> Option<Drift> {
    drift_of(Files::read(&reload.root).revision(), reload, running)
}

/// The same of files that were read already.
pub fn drift_of(now: Revision, reload: &Reload, running: &Snapshot) -> Option<Drift> {
    if now.0 == running.revision && reload.errors.is_empty() {
        None
    } else if !reload.errors.is_empty() {
        Some(Drift::Refused)
    } else if !reload.missing.is_empty() {
        Some(Drift::Waiting)
    } else {
        Some(Drift::Unread)
    }
}

/// Whether only a start reads the setting of this path.
pub fn waits_for_restart(path: &str) -> bool {
    ["state.path", "secrets.identity", "secrets.identity.file"].contains(&path)
}

/// The settings that differ from those the program was started with and that only a start reads.
pub(super) fn needs_restart(started: &Config, now: &Config) -> Vec<String> {
    let mut settings = Vec::new();
    if started.state.path != now.state.path {
        settings.push("state.path".to_owned());
    }
    settings
}
