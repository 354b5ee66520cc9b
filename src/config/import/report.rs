//! What an import tells: what came over in counts, and by name whatever did not. No value of the source is in it.

use std::fmt::Write as _;

use serde::Serialize;

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

/// The report of one import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The gateway that it came from.
    pub from: &'static str,
    /// How much came over.
    pub carried: Carried,
    /// What did not.
    pub dropped: Vec<Note>,
    /// What came over as something else.
    pub changed: Vec<Note>,
    /// What is in the file, but not yet in effect in this release.
    pub not_served: Vec<Note>,
    /// What a person must do.
    pub to_do: Vec<String>,
}

impl Report {
    /// Something that is not in the new file.
    pub(super) fn dropped(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        add(&mut self.dropped, what.as_ref(), why.into());
    }

    /// Something that the new file says differently.
    pub(super) fn changed(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        add(&mut self.changed, what.as_ref(), why.into());
    }

    /// Something that the new file says to no effect.
    pub(super) fn not_served(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        add(&mut self.not_served, what.as_ref(), why.into());
    }

    /// Something to do.
    pub(super) fn to_do(&mut self, what: impl Into<String>) {
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
            if !notes.is_empty() {
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

/// Names that have one reason stand together.
fn add(notes: &mut Vec<Note>, what: &str, why: String) {
    let what = printable(what);
    match notes.iter_mut().find(|note| note.why == why) {
        Some(note) if note.what.contains(&what) => {}
        Some(note) => note.what.push(what),
        None => notes.push(Note {
            what: vec![what],
            why,
        }),
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
        report.to_do("look");
        report.to_do("look");
        assert_eq!(
            report.human(),
            "imported from somewhere: 0 upstreams, 0 accounts, 1 key, 0 models, 0 settings\n\n\
             not carried over:\n  A, B\u{fffd}: why\n\nchanged:\n  C: other\n\nto do:\n  - look\n"
        );
    }
}
