//! What a dialect could not say. Nothing is dropped without a line here.

use std::fmt::Write as _;

/// The paths of what was dropped on the way to the upstream, such as `logit_bias` or `tools[2] (web_search)`.
/// They go to the log row and to the `x-agp-dropped` header. Bounded: past 32 entries only the number grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    entries: Vec<String>,
    more: usize,
}

impl Losses {
    /// Notes that `what` was dropped. The same text is kept once.
    pub fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.entries.contains(&what) {
            return;
        }
        if self.entries.len() < 32 {
            self.entries.push(what);
        } else {
            self.more += 1;
        }
    }

    /// The entries in order of appearance.
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes over what another codec lost.
    pub fn extend(&mut self, other: Self) {
        for entry in other.entries {
            self.note(entry);
        }
        self.more += other.more;
    }

    /// One line for a header: ASCII, entries separated by `, `, at most `limit` bytes. `None` where nothing was lost.
    pub fn header(&self, limit: usize) -> Option<String> {
        if self.entries.is_empty() {
            return None;
        }
        let mut out = String::new();
        let mut more = self.more;
        for entry in &self.entries {
            if out.len() + entry.len() + 2 > limit {
                more += 1;
                continue;
            }
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.extend(entry.chars().map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    c
                } else {
                    '?'
                }
            }));
        }
        if more > 0 {
            let _ = write!(out, " (+{more})");
        }
        Some(out)
    }
}
