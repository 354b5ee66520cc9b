//! Tool names as every family takes them. upstream-protocol.md 5.5.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest name.
const LONGEST: usize = 64;

/// The spelling of each name of one request. Names that fit are never changed; no two names fall together.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Only the names that had to change.
    wire: HashMap<String, String>,
}

impl Names {
    /// Settles the spelling of all names of a request. The order of the names decides nothing but ties among bad ones.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut taken: HashSet<String> = HashSet::new();
        let mut bad: Vec<&str> = Vec::new();
        for name in names {
            if fits(name) {
                taken.insert(name.to_owned());
            } else if !bad.contains(&name) {
                bad.push(name);
            }
        }
        let mut wire = HashMap::new();
        for name in bad {
            let mut candidate = respell(name);
            if candidate.len() > LONGEST {
                candidate = hashed(&candidate, name, 0);
            }
            let mut round = 0;
            while taken.contains(&candidate) {
                candidate = hashed(&respell(name), name, round);
                round += 1;
            }
            taken.insert(candidate.clone());
            wire.insert(name.to_owned(), candidate);
        }
        Self { wire }
    }

    /// The name on the wire.
    pub(super) fn wire<'s>(&'s self, name: &'s str) -> &'s str {
        self.wire.get(name).map_or(name, String::as_str)
    }

    /// Names on the wire to the client's, where they differ.
    pub(super) fn into_client(self) -> HashMap<String, String> {
        self.wire
            .into_iter()
            .map(|(name, wire)| (wire, name))
            .collect()
    }
}

/// `^[A-Za-z_][A-Za-z0-9_-]{0,63}$`: what Gemini and Claude both take.
fn fits(name: &str) -> bool {
    name.len() <= LONGEST
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.chars().all(is_good)
}

fn is_good(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn respell(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || (!is_good(c)) || c == '_') {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if is_good(c) { c } else { '_' }));
    out
}

/// The beginning of the spelling and a hash of the whole name.
fn hashed(spelling: &str, name: &str, round: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update(round.to_be_bytes());
    let mut out: String = spelling.chars().take(LONGEST - 9).collect();
    out.push('_');
    for byte in &hash.finalize()[..4] {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_names_stay_and_bad_ones_are_respelled() {
        let long = "x".repeat(65);
        let list = ["get_weather", "fs/read", "1st", "fs_read", "", "é", &long];
        let names = Names::new(list.into_iter());
        assert_eq!(names.wire("get_weather"), "get_weather");
        assert_eq!(names.wire("fs_read"), "fs_read");
        assert!(names.wire("fs/read").starts_with("fs_read_"));
        assert_eq!(names.wire("1st"), "_1st");
        assert_eq!(names.wire("é"), names.wire("é"));
        assert_eq!(names.wire(&long).len(), LONGEST);
        let back = Names::new(list.into_iter()).into_client();
        assert_eq!(back.get("_1st").map(String::as_str), Some("1st"));
        assert!(!back.contains_key("get_weather"));
    }

    proptest! {
        #[test]
        fn names_fit_and_stay_apart(list in proptest::collection::hash_set(".{0,70}|[a-c/.]{1,3}", 0..12)) {
            let names = Names::new(list.iter().map(String::as_str));
            let wire: HashSet<&str> = list.iter().map(|n| names.wire(n)).collect();
            prop_assert_eq!(wire.len(), list.len());
            for name in &list {
                prop_assert!(fits(names.wire(name)), "{}", names.wire(name));
                prop_assert!(!fits(name) || names.wire(name) == name);
            }
        }
    }
}
