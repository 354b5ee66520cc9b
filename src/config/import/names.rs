//! Names and texts of foreign files, made fit for agp.toml and for a terminal.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error};

/// Longest name of a table that is made.
const MAX_NAME: usize = 64;
/// Longest foreign text that is shown.
const MAX_SHOWN: usize = 120;

/// The names that are taken in one kind of table.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The last number that a name got.
    last: HashMap<String, usize>,
}

impl Names {
    /// A free name close to what is wanted, of characters that need no quotes; `fallback` where nothing is left of it.
    pub(super) fn take(&mut self, wanted: &str, fallback: &str) -> String {
        let base = match slug(wanted) {
            empty if empty.is_empty() => fallback.to_owned(),
            name => name,
        };
        if self.taken.insert(base.clone()) {
            return base;
        }
        let n = self.last.entry(base.clone()).or_insert(1);
        loop {
            *n += 1;
            let name = format!("{base}-{n}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() >= MAX_NAME {
            break;
        }
    }
    out.trim_matches('-').to_owned()
}

/// A foreign text for people: without control characters, which could steer a terminal, and not too long.
pub(super) fn printable(text: &str) -> String {
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MAX_SHOWN)
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Whether a text may be a name of `[models]` or stand in a route, by the rules of the file.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= 128
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// Whether a text is what a type of the file takes.
pub(super) fn fits<'a, T: Deserialize<'a>>(text: &'a str) -> bool {
    T::deserialize(BorrowedStrDeserializer::<Error>::new(text)).is_ok()
}

/// Whether a text can name an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::{Addr, HttpUrl};

    #[test]
    fn names_are_short_bare_and_never_taken_twice() {
        let mut names = Names::default();
        assert_eq!(names.take("Alice Ä. Smith", "x"), "alice-smith");
        assert_eq!(names.take("alice--smith!", "x"), "alice-smith-2");
        assert_eq!(names.take("日本", "account"), "account");
        assert_eq!(names.take("", "account"), "account-2");
        assert!(names.take(&"long ".repeat(100), "x").len() <= MAX_NAME);
    }

    #[test]
    fn shown_texts_steer_no_terminal() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a\u{fffd}[31m\u{fffd}");
        assert_eq!(printable(&"é".repeat(500)).chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn texts_are_held_against_the_types_of_the_file() {
        assert!(fits::<HttpUrl>("https://example.com/v1"));
        assert!(!fits::<HttpUrl>("https://u:p@example.com"));
        assert!(fits::<Addr>("[::]:80") && !fits::<Addr>("localhost:80"));
        assert!(is_variable("A_1") && !is_variable("1A") && !is_variable("A-B"));
        assert!(is_name("a b/c") && !is_name(" a") && !is_name(""));
    }
}
