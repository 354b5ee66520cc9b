//! Names of tables, made of foreign texts.

use std::collections::{HashMap, HashSet};

/// Longest name of a table that is made.
const MAX_NAME: usize = 64;

/// The names that are taken in one kind of table.
#[derive(Default)]
pub struct Names {
    taken: HashSet<String>,
    /// The last number that a name got.
    last: HashMap<String, usize>,
}

impl Names {
    /// These are taken.
    pub fn with<'a>(taken: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            taken: taken.into_iter().map(str::to_owned).collect(),
            last: HashMap::new(),
        }
    }

    /// Takes just this name. Says whether it was free.
    pub fn claim(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// A free name close to what is wanted, of characters that need no quotes; `fallback` where nothing is left of it.
    pub fn take(&mut self, wanted: &str, fallback: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_bare_and_never_taken_twice() {
        let mut names = Names::with(["bob"]);
        assert_eq!(names.take("Alice Ä. Smith", "x"), "alice-smith");
        assert_eq!(names.take("alice--smith!", "x"), "alice-smith-2");
        assert_eq!(names.take("日本", "account"), "account");
        assert_eq!(names.take("", "account"), "account-2");
        assert_eq!(names.take("Bob", "x"), "bob-2");
        assert!(names.claim("carol") && !names.claim("bob-2"));
        assert_eq!(names.take("carol", "x"), "carol-2");
        assert!(names.take(&"long ".repeat(100), "x").len() <= MAX_NAME);
    }
}
