//! What would change if one configuration took another's place: every table that is new, gone, renamed or changed, field
//! by field, how risky that is and why, and what follows for models and keys. Pure: both sides are [`Facts`], which hold
//! no secret.

mod compare;
mod facts;
mod rules;
mod show;

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use compare::plan;
pub use facts::{Fact, Facts, MarkKey, Section, Table};
pub use rules::{Row, rows};
pub use show::{human, markdown};

/// How much a change can hurt whoever uses the gateway.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nobody is refused anything.
    Low,
    /// Some requests fare worse, or somebody may do more than before.
    Medium,
    /// Somebody is refused, or secrets go elsewhere.
    High,
}

impl Risk {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Why something is risky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// How risky.
    pub risk: Risk,
    /// In words.
    pub why: String,
}

/// What becomes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// Some of its fields change.
    Changed,
    /// The same credential or digest stands under another name; fields may change besides.
    Renamed,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
        }
    }
}

/// What is special about a field's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// It takes effect after a restart.
    Restart,
    /// Nothing uses the field so far.
    NotInEffect,
}

/// A field's change. Secrets are hidden: where both sides look the same, the secret itself changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The field; those of tables within are written with dots.
    pub field: String,
    /// As TOML writes it; `None` where it is not given.
    pub from: Option<String>,
    /// As TOML writes it; `None` where it is not given any more.
    pub to: Option<String>,
    /// What is special about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<Note>,
}

/// What becomes of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What it is about.
    pub section: Section,
    /// The table's path as written, such as `accounts.alice`; after the change, unless it goes.
    pub path: String,
    /// The path before, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub was: Option<String>,
    /// What becomes of it.
    pub kind: Kind,
    /// The fields that differ; of a new table, or one that goes, all.
    pub fields: Vec<FieldChange>,
    /// Why it is risky, the riskiest first; empty where it is not.
    pub reasons: Vec<Reason>,
}

impl Change {
    /// The riskiest of its reasons.
    pub fn risk(&self) -> Risk {
        let risks = self.reasons.iter().map(|reason| reason.risk);
        risks.max().unwrap_or(Risk::Low)
    }
}

/// What follows from the changes for a table that is not changed itself, or not in this way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// The table's path.
    pub path: String,
    /// How risky, and what happens.
    #[serde(flatten)]
    pub reason: Reason,
}

/// Everything that would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// By section and path.
    pub changes: Vec<Change>,
    /// By path.
    pub effects: Vec<Effect>,
    /// Settings that an environment variable holds, whatever the file says, with the variable's name.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub held: Vec<(String, String)>,
}

impl Plan {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The highest risk; `None` where nothing changes.
    pub fn risk(&self) -> Option<Risk> {
        let changes = self.changes.iter().map(Change::risk);
        changes
            .chain(self.effects.iter().map(|effect| effect.reason.risk))
            .max()
    }

    /// How many changes are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.changes.iter().filter(|c| c.kind == kind).count()
    }

    /// One line: the counts, and what the first few are.
    pub fn summary(&self) -> String {
        const NAMED: usize = 3;
        if self.is_empty() {
            return "nothing changes".to_owned();
        }
        let named = self.changes.iter().take(NAMED).map(|change| {
            let fields: Vec<&str> = match change.kind {
                Kind::Changed => change.fields.iter().map(|f| f.field.as_str()).collect(),
                _ => Vec::new(),
            };
            match fields[..] {
                [] => format!("{} {}", change.path, change.kind.as_str()),
                [field] => format!("{}.{field} changed", change.path),
                _ => format!("{} changed ({} fields)", change.path, fields.len()),
            }
        });
        let mut line = named.collect::<Vec<_>>().join(", ");
        if let Some(more) = self.changes.len().checked_sub(NAMED).filter(|n| *n > 0) {
            let _ = write!(line, " and {more} more");
        }
        line
    }
}

#[cfg(test)]
mod tests;
