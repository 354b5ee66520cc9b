//! An intention to new texts of the files. Pure: files and environment come in, texts go out, [`crate::config::write`]
//! saves them. Nothing else changes a file, and a configuration is never written out from its decoded form.
//!
//! The texts are spliced: an intention becomes a few byte ranges and what goes in their place, found in the token stream
//! of `toml_parser`. `toml_edit` reads and writes the values, but not the document, for two reasons. Rendering one again
//! turns CRLF into LF and drops the byte order mark, and it has forgotten where a table's name stands a second time. With
//! splices it needs no proof that what is outside of them stays to the byte, line breaks, number formats and quotes too;
//! what is left to prove is that they are the right ones. So each edit is proved when it is made: the intention is done
//! to the decoded values by themselves, and the edited texts must then mean just that, or the edit is refused.
//!
//! What goes where: a value stays in the file and the style in which its table is written (header, dotted keys, inline
//! table); a new table goes after its siblings, into the file where most of them are. What is taken away takes the comment
//! lines directly above it along, but no key that somebody has commented out.

mod diff;
mod docs;
mod intent;
mod layout;
mod lines;
mod list;
mod literal;
mod meaning;
mod mention;
mod patch;
mod set;
mod table;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::base::time::Timestamp;
use crate::config::diagnostic::Diagnostics;
use crate::config::source::{Files, Revision};
use crate::config::tree::{KeyPath, Node, Origin, Value};
use crate::config::{Loaded, decode, load_at, load_parsed, overlay};

use docs::Docs;
use intent::shown;
use meaning::{Meaning, segments};

pub use diff::{FileDiff, FileText, below, diff, texts};
pub use intent::{Intent, Section};
pub use literal::{Literal, NoValue};
pub use patch::{NoPatch, Patch, patch};
pub use warnings::warnings;

/// A file with another text.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its text so far.
    pub before: String,
    /// Its new text.
    pub after: String,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({})", self.path.display())
    }
}

/// What came of an edit.
#[derive(Debug)]
pub struct Edited {
    /// The files whose texts changed; none where they said so already.
    pub changes: Vec<Change>,
    /// All files with their new texts.
    pub files: Files,
    /// What they say.
    pub loaded: Loaded,
}

/// Why an edit was not made. Nothing of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The files are not those that the editor saw.
    #[error("the files have changed since: their revision is {now}")]
    Moved {
        /// The revision of the present files.
        now: Revision,
    },
    /// The environment gives this value.
    #[error("`{key}` is locked: environment variable `{variable}` gives it for this run")]
    Locked {
        /// The key.
        key: String,
        /// The variable.
        variable: String,
    },
    /// There is no such thing.
    #[error("there is no `{0}`")]
    Absent(String),
    /// There is one already.
    #[error("there is a `{0}` already")]
    Present(String),
    /// What is there is of another kind.
    #[error("{0}")]
    Unfit(String),
    /// The present files have errors, or the edited ones would.
    #[error("the files {} errors", if *.before { "have" } else { "would have" })]
    Invalid {
        /// Whether they have them already.
        before: bool,
        /// The files that the findings are about.
        files: Box<Files>,
        /// All findings.
        diagnostics: Diagnostics,
    },
    /// This can't be done without touching more than is meant.
    #[error("`{0}` is written in a way that can't be edited here: change it in the file")]
    ByHand(String),
}

impl Refused {
    fn absent(path: &[&str]) -> Self {
        Self::Absent(shown(path))
    }

    fn present(path: &[&str]) -> Self {
        Self::Present(shown(path))
    }

    fn by_hand(path: &[&str]) -> Self {
        Self::ByHand(shown(path))
    }
}

/// Does the intentions one after the other, all or none. `env` is what lies over the files, as for
/// [`crate::config::load`]; `seen` is the revision that the intentions were made from.
///
/// # Errors
/// See [`Refused`]. The present files must parse and be read whole, the edited ones must load without an error.
pub fn edit(
    files: &Files,
    env: &BTreeMap<String, String>,
    seen: Revision,
    intents: &[Intent],
    now: Timestamp,
) -> Result<Edited, Refused> {
    if files.revision() != seen {
        return Err(Refused::Moved {
            now: files.revision(),
        });
    }
    let parsed = decode::parse(files);
    if !parsed.broken.is_empty() || !parsed.diagnostics.is_empty() {
        return Err(invalid(files, env, now, true));
    }
    let mut overlaid = parsed.tree;
    let mut meant = Meaning::from(&overlaid);
    overlay::apply(&mut overlaid, pairs(env));
    let mut docs = Docs::of(files);
    for intent in intents {
        allowed(&overlaid, intent)?;
        let before = matches!(intent, Intent::Set { .. }).then(|| meant.clone());
        meant.apply(intent);
        // Nothing to do, and so nothing to touch; what can't be done is left to say so.
        if before.is_none_or(|before| before != meant) {
            apply(&mut docs, intent)?;
        }
    }
    let edited = docs.files();
    let parsed = decode::parse(&edited);
    let said = Meaning::from(&parsed.tree);
    let (loaded, _) = load_parsed(&edited, parsed, pairs(env), now);
    if loaded.diagnostics.has_errors() {
        return Err(Refused::Invalid {
            before: false,
            files: Box::new(edited),
            diagnostics: loaded.diagnostics,
        });
    }
    faithful(said, meant, intents)?;
    let changes = files.iter().zip(&edited).filter(|(a, b)| a.text != b.text);
    let changes = changes.map(|(before, after)| Change {
        path: before.path.clone(),
        before: before.text.to_string(),
        after: after.text.to_string(),
    });
    Ok(Edited {
        changes: changes.collect(),
        files: edited,
        loaded,
    })
}

fn pairs(env: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    env.iter()
        .map(|(name, value)| (name.clone(), value.clone()))
}

fn invalid(files: &Files, env: &BTreeMap<String, String>, now: Timestamp, before: bool) -> Refused {
    Refused::Invalid {
        before,
        files: Box::new(files.clone()),
        diagnostics: load_at(files, pairs(env), now).diagnostics,
    }
}

fn apply(docs: &mut Docs, intent: &Intent) -> Result<(), Refused> {
    match intent {
        Intent::Set { path, value } => set::set(docs, &segments(path), value),
        Intent::Remove { path } => set::remove(docs, &segments(path)),
        Intent::Add {
            section,
            name,
            values,
        } => table::add(docs, *section, name, values),
        Intent::Rename { section, from, to } => table::rename(docs, *section, from, to),
        Intent::Delete {
            section,
            name,
            mentions,
        } => {
            set::remove(docs, &[section.as_str(), name])?;
            if *mentions {
                mention::forget(docs, *section, name)?;
            }
            Ok(())
        }
        Intent::Insert { path, at, value } => set::put(docs, &segments(path), *at, value),
        Intent::Take { path, at } => set::take(docs, &segments(path), *at),
    }
}

/// Whether the path may be edited: no variable gives it, anything in it, or what it is in; and not what decides which
/// files are in play.
fn allowed(overlaid: &Node, intent: &Intent) -> Result<(), Refused> {
    let path = intent.path();
    match path.as_slice() {
        [] | ["include", ..] => return Err(Refused::ByHand("include".to_owned())),
        _ => {}
    }
    let locked = |node: &Node| match (&node.origin, &node.value) {
        (Origin::Env(name), Value::Env(..)) => Some(name.to_string()),
        _ => None,
    };
    let mut node = overlaid;
    let (mut variable, mut is_there) = (None, true);
    for key in &path {
        let Some(child) = node.child(&(*key).into()) else {
            is_there = false;
            break;
        };
        node = child;
        variable = variable.or_else(|| locked(node));
    }
    let mut below = KeyPath::default();
    decode::walk(node, &mut below, &mut |node, _| {
        if variable.is_none() && is_there {
            variable = locked(node);
        }
    });
    match variable {
        Some(variable) => Err(Refused::Locked {
            key: shown(&path),
            variable,
        }),
        None => Ok(()),
    }
}

/// Whether the edited files say what was meant, and nothing else.
fn faithful(mut said: Meaning, mut meant: Meaning, intents: &[Intent]) -> Result<(), Refused> {
    if said == meant {
        return Ok(());
    }
    for intent in intents {
        meant.prune(&intent.path());
        said.prune(&intent.path());
    }
    if said == meant {
        return Ok(());
    }
    let path = intents.first().map(Intent::path).unwrap_or_default();
    Err(Refused::by_hand(&path))
}

#[cfg(test)]
mod tests;
