//! Names and texts of foreign files, made fit for agp.toml and for a terminal.

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error};

pub(super) use crate::config::names::Names;

/// Longest foreign text that is shown.
const MAX_SHOWN: usize = 120;

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
