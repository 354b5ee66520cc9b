//! What `agp rotate` does to the files: every sealed value sealed anew for the present recipients. Nothing but the bytes of
//! sealed values changes, wherever they stand: in values of whatever quotes, and in comments, where an account may wait
//! for its return.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use crate::config::diagnostic::Span;
use crate::config::edit::Change;
use crate::config::model::SecretRef;
use crate::config::seal::{Identity, Recipients, SealError, find, named_in};
use crate::config::secret::Reference;
use crate::config::source::{Files, Position};

/// What came of it.
#[derive(Debug)]
pub struct Renewed {
    /// The files that change.
    pub changes: Vec<Change>,
    /// Sealed values that were sealed anew.
    pub values: usize,
    /// Those that are for the present recipients already.
    pub fresh: usize,
    /// Those in comments that don't open, and stay as they are.
    pub left: Vec<Left>,
}

/// A sealed value that can't be opened and that nothing uses.
#[derive(Debug)]
pub struct Left {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub at: Position,
    /// Why.
    pub why: SealError,
}

/// Seals anew what is not for just these recipients. Values of other programs, which name no recipients,
/// always are.
///
/// # Errors
/// A line for each value in use that can't be sealed anew: it does not open, or is no plain piece of a file's text.
pub fn renew(
    files: &Files,
    references: &[Reference],
    identity: &Identity,
    recipients: &Recipients,
) -> Result<Renewed, Vec<String>> {
    let sealed = references.iter().filter_map(|r| match &r.secret {
        SecretRef::Sealed(text) => Some((text.as_str(), r)),
        _ => None,
    });
    let used: HashMap<&str, &Reference> = sealed.collect();
    let names: BTreeSet<String> = recipients.names().into_iter().collect();
    let is_fresh = |sealed| named_in(sealed).into_iter().collect::<BTreeSet<_>>() == names;
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    let mut done = Renewed {
        changes: Vec::new(),
        values: 0,
        fresh: 0,
        left: Vec::new(),
    };
    for file in files {
        let mut after = String::with_capacity(file.text.len());
        let mut from = 0;
        for (at, sealed) in find(&file.text) {
            seen.insert(sealed);
            let again = identity.open(sealed).and_then(|secret| {
                let stale = !is_fresh(sealed);
                stale.then(|| recipients.seal(&secret)).transpose()
            });
            match (again, used.get(sealed)) {
                (Ok(None), _) => done.fresh += 1,
                (Ok(Some(again)), _) => {
                    done.values += 1;
                    after.push_str(&file.text[from..at]);
                    after.push_str(&again);
                    from = at + sealed.len();
                }
                (Err(why), Some(reference)) => errors.push(format!("`{}`: {why}", reference.key)),
                (Err(why), None) => done.left.push(Left {
                    path: file.path.clone(),
                    at: files.position(&Span {
                        file: file.id,
                        range: at..at,
                    }),
                    why,
                }),
            }
        }
        after.push_str(&file.text[from..]);
        if *after != *file.text {
            done.changes.push(Change {
                path: file.path.clone(),
                before: file.text.to_string(),
                after,
            });
        }
    }
    for reference in references {
        let SecretRef::Sealed(text) = &reference.secret else {
            continue;
        };
        if !seen.contains(text.as_str()) {
            let key = &reference.key;
            errors.push(match reference.span {
                Some(_) => format!("`{key}`: the sealed value is not written in one piece: write it so, then it can be sealed anew"),
                None => format!("`{key}`: the sealed value is in the environment: move it into a file, then it can be sealed anew"),
            });
        }
    }
    if errors.is_empty() {
        Ok(done)
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::config::load;

    fn identity() -> Identity {
        let dir = tempfile::tempdir().unwrap();
        Identity::create(&dir.path().join("id")).unwrap()
    }

    fn files(root: &str, included: &str) -> Files {
        Files::from_texts([
            ("agp.toml".into(), root.to_owned()),
            ("conf.d/a.toml".into(), included.to_owned()),
        ])
    }

    fn secrets(files: &Files) -> Vec<Reference> {
        load(files, std::iter::empty()).secrets
    }

    const ROOT: &str =
        "version = 1\r\ninclude = [\"conf.d/*.toml\"]\r\n[upstreams.g]\r\nkind = \"gemini\"\r\n";

    #[test]
    fn only_the_bytes_of_sealed_values_change_in_every_file_and_comment() {
        let (old, new) = (identity(), identity());
        let sealed = |text: &str| old.seal(&Secret::new(text)).unwrap();
        let (a, b, c) = (sealed("aa"), sealed("bb"), sealed("cc"));
        let root = format!(
            "{ROOT}[accounts.a]\r\nupstream = \"g\" # g\r\napi_key = {{sealed='{a}'}} # x\r\n"
        );
        let included = format!(
            "#[accounts.c]\n# api_key = {{ sealed = \"{c}\" }}\n[accounts.b]\nupstream = \"g\"\napi_key.sealed = \"\"\"{b}\"\"\""
        );
        let files = files(&root, &included);
        let recipients = old.recipients(&[new.recipient()]).unwrap();
        let done = renew(&files, &secrets(&files), &old, &recipients).unwrap();
        assert_eq!((done.values, done.fresh, done.left.len()), (3, 0, 0));
        assert_eq!(done.changes.len(), 2);
        for (change, text, values) in [
            (&done.changes[0], &root, &[(&a, "aa")][..]),
            (&done.changes[1], &included, &[(&c, "cc"), (&b, "bb")]),
        ] {
            assert_eq!(&change.before, text);
            let found: Vec<_> = find(&change.after).map(|(_, sealed)| sealed).collect();
            let mut back = change.after.clone();
            for (now, (before, plain)) in found.into_iter().zip(values) {
                assert_eq!(new.open(now).unwrap().expose(), *plain);
                back = back.replace(now, before);
            }
            assert_eq!(&back, text, "nothing else changed");
        }
        // Once more there is nothing to do.
        let again = Files::from_texts(
            done.changes
                .iter()
                .map(|c| (c.path.clone(), c.after.clone())),
        );
        let done = renew(&again, &secrets(&again), &new, &recipients).unwrap();
        assert_eq!((done.values, done.fresh, done.changes.len()), (0, 3, 0));
    }

    #[test]
    fn what_is_used_and_does_not_open_is_told_by_its_key_and_nothing_changes() {
        let (own, other) = (identity(), identity());
        let theirs = other.seal(&Secret::new("x")).unwrap();
        let ours = own.seal(&Secret::new("y")).unwrap();
        let account = |name: &str, value: &str| {
            format!("[accounts.{name}]\nupstream = \"g\"\napi_key = {{ sealed = {value} }}\n")
        };
        let (front, back) = ours.split_at(100);
        let broken = format!("\"\"\"{front}\\\n  {back}\"\"\"");
        let included = format!(
            "{}{}# {theirs}\n",
            account("a", &format!("'{theirs}'")),
            account("b", &broken)
        );
        let found = files(ROOT, &included);
        let recipients = own.recipients(&[]).unwrap();
        let errors = renew(&found, &secrets(&found), &own, &recipients).unwrap_err();
        let text = errors.join("\n");
        for word in [
            "`accounts.a.api_key`",
            &other.recipient(),
            "`accounts.b.api_key`",
            "in one piece",
        ] {
            assert!(text.contains(word), "no `{word}`: {text}");
        }
        // In a comment it is left.
        let found = files(ROOT, &format!("\n # {theirs}\n"));
        let done = renew(&found, &secrets(&found), &own, &recipients).unwrap();
        assert_eq!((done.left.len(), done.changes.len()), (1, 0));
        assert_eq!((done.left[0].at.line, done.left[0].at.column), (2, 4));
    }
}
