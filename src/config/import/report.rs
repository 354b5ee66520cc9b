//! What an import tells: what came over in counts, and by name whatever did not. No value of the source is in it.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use crate::config::import::names::printable;

/// How much came over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Tables of `[upstreams]`.
    pub upstreams: usize,
    /// Tables of `[accounts]`.
    pub accounts: usize,
    /// Tables of `[keys]`.
    pub keys: usize,
    /// Tables of `[models]`.
    pub models: usize,
    /// Keys of the other tables.
    pub settings: usize,
}

/// Things that one sentence is true of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Their names in the source, or in the file that was made.
    pub what: Vec<String>,
    /// Why, and what to do.
    pub why: String,
}

/// Notes in the order in which their reasons came up; names that have one reason stand together, each once.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    list: Vec<Note>,
    /// Where a reason's note is, and which names it has: there may be very many.
    known: HashMap<String, (usize, HashSet<String>)>,
}

impl Notes {
    /// The notes.
    pub fn iter(&self) -> std::slice::Iter<'_, Note> {
        self.list.iter()
    }

    fn add(&mut self, what: &str, why: String) {
        let what = printable(what);
        let next = self.list.len();
        let (at, names) = self.known.entry(why).or_insert_with_key(|why| {
            self.list.push(Note {
                what: Vec::new(),
                why: why.clone(),
            });
            (next, HashSet::new())
        });
        if names.insert(what.clone()) {
            self.list[*at].what.push(what);
        }
    }
}

impl<'n> IntoIterator for &'n Notes {
    type Item = &'n Note;
    type IntoIter = std::slice::Iter<'n, Note>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Notes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

/// The report of one import.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The gateway that it came from.
    pub from: &'static str,
    /// How much came over.
    pub carried: Carried,
    /// What did not.
    pub dropped: Notes,
    /// What came over as something else.
    pub changed: Notes,
    /// What is in the file, but not yet in effect in this release.
    pub not_served: Notes,
    /// What a person must do.
    pub to_do: Vec<String>,
}

impl Report {
    /// Something that is not in the new file.
    pub(super) fn dropped(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        self.dropped.add(what.as_ref(), why.into());
    }

    /// Something that the new file says differently.
    pub(super) fn changed(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        self.changed.add(what.as_ref(), why.into());
    }

    /// Something that the new file says to no effect.
    pub(super) fn not_served(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        self.not_served.add(what.as_ref(), why.into());
    }

    /// Something to do.
    pub(super) fn ask(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.to_do.contains(&what) {
            self.to_do.push(what);
        }
    }

    /// The report for people.
    pub fn human(&self) -> String {
        let counts = [
            (self.carried.upstreams, "upstream"),
            (self.carried.accounts, "account"),
            (self.carried.keys, "key"),
            (self.carried.models, "model"),
            (self.carried.settings, "setting"),
        ];
        let counts: Vec<String> = counts
            .iter()
            .map(|(n, what)| format!("{n} {what}{}", if *n == 1 { "" } else { "s" }))
            .collect();
        let mut out = format!("imported from {}: {}\n", self.from, counts.join(", "));
        for (title, notes) in [
            ("not carried over", &self.dropped),
            ("changed", &self.changed),
            ("in the file, but not yet in effect", &self.not_served),
        ] {
            if !notes.list.is_empty() {
                let _ = writeln!(out, "\n{title}:");
            }
            for note in notes {
                let _ = writeln!(out, "  {}: {}", note.what.join(", "), note.why);
            }
        }
        if !self.to_do.is_empty() {
            out.push_str("\nto do:\n");
        }
        for what in &self.to_do {
            let _ = writeln!(out, "  - {what}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_one_reason_stand_together() {
        let mut report = Report {
            from: "somewhere",
            ..Report::default()
        };
        report.carried.keys = 1;
        report.dropped("A", "why");
        report.dropped("B\n", "why");
        report.dropped("A", "why");
        report.changed("C", "other");
        report.ask("look");
        report.ask("look");
        assert_eq!(
            report.human(),
            "imported from somewhere: 0 upstreams, 0 accounts, 1 key, 0 models, 0 settings\n\n\
             not carried over:\n  A, B\u{fffd}: why\n\nchanged:\n  C: other\n\nto do:\n  - look\n"
        );
    }
}
