//! What an edit is warned of: whoever makes it need not hear what was said of the files before.

use std::collections::{BTreeMap, HashSet};

use crate::base::time::Timestamp;
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::edit::{Edited, pairs};
use crate::config::load_at;
use crate::config::source::Files;

/// The warnings of the edited files that `before` did not give rise to. `env` lies over both.
pub fn warnings(
    before: &Files,
    env: &BTreeMap<String, String>,
    edited: &Edited,
    now: Timestamp,
) -> Vec<Diagnostic> {
    let told = |d: &&Diagnostic| d.severity == Severity::Warning;
    let after = edited.loaded.diagnostics.iter().filter(told);
    let after: Vec<&Diagnostic> = after.collect();
    if after.is_empty() {
        return Vec::new();
    }
    let before = load_at(before, pairs(env), now).diagnostics;
    // Places move with every line: a warning is the same where it says the same of the same key.
    let same = |d: &Diagnostic| (d.code, d.key.clone(), d.message.clone());
    let known: HashSet<_> = before.iter().map(same).collect();
    let new = after.into_iter().filter(|d| !known.contains(&same(d)));
    new.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::{Intent, edit};

    #[test]
    fn only_what_the_edit_brings_is_told_wherever_it_has_moved() {
        let text = "version = 1\n[upstreams.u]\nkind = \"antigravity\"\n\
                    oauth = { client_id = \"id\", client_secret = \"in clear, as before\" }\n\
                    [models.a]\nroute = [\"u/x\"]\n[models.b]\nroute = [\"u/y\"]\n";
        let files = Files::from_texts([("agp.toml".into(), text.to_owned())]);
        let env = BTreeMap::new();
        let told = |intent: Intent| {
            let edited = edit(&files, &env, files.revision(), &[intent], Timestamp(0)).unwrap();
            assert!(edited.loaded.diagnostics.count(Severity::Warning) > 0);
            let found = warnings(&files, &env, &edited, Timestamp(0));
            found.into_iter().map(|d| d.key).collect::<Vec<_>>()
        };
        let set = |path: &[&str], value: &str| Intent::Set {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            value: value.parse().unwrap(),
        };
        let hidden = set(&["models", "a", "aliases"], "[\"b\"]");
        assert_eq!(told(hidden), ["models.a.aliases[0]"]);
        let harmless = set(&["server", "listen"], "\"127.0.0.1:1\"");
        assert_eq!(told(harmless), Vec::<String>::new());
    }
}
