//! An edit of the files: made and proved on their texts, everything built that it asks for, then saved, then put in force.
//! Whatever fails before the save leaves files and snapshot as they were.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use crate::base::time::Timestamp;
use crate::config::diagnostic::Severity;
use crate::config::edit::{self, FileDiff, Intent, NoPatch, Patch, Refused};
use crate::config::secret;
use crate::config::source::{Files, Revision};
use crate::config::watch::vanished;
use crate::config::write::{self, Keeper, WriteError};
use crate::config::{self, render};
use crate::runtime::controller::read::taken;
use crate::runtime::controller::{Controller, watch_set};

/// What somebody asks for.
#[derive(Debug)]
pub struct Ask {
    /// What is to change.
    pub intents: Vec<Intent>,
    /// The revision that they saw; `None` where whatever is there now will do.
    pub seen: Option<Revision>,
    /// Told what became of it.
    pub reply: oneshot::Sender<Result<Done, NotDone>>,
}

/// What became of an edit.
#[derive(Debug)]
pub struct Done {
    /// Whether it changes what the files say.
    pub changed: bool,
    /// Why it was not saved; `None` where it was, or where there was nothing to save.
    pub unsaved: Option<String>,
    /// What it changes in the files, secrets masked.
    pub diff: Vec<FileDiff>,
    /// The same to be committed, where it was not saved.
    pub patch: Option<Patch>,
    /// The revision of the files as they are now.
    pub revision: Revision,
    /// The generation in force now.
    pub generation: u64,
}

/// Why an edit was not made. Nothing of it holds a secret.
#[derive(Debug)]
pub enum NotDone {
    /// The files are not those that were seen, or somebody saved them in the same instant.
    Moved {
        /// The revision of the files as they are now.
        now: Revision,
        /// What has changed in them since, as far as the texts before are known.
        diff: Vec<FileDiff>,
    },
    /// The edit itself can't be made.
    Refused(Refused),
    /// The files with the edit could not be put in force.
    Unusable(Vec<String>),
    /// They could not be written.
    Unwritten(WriteError),
    /// They may not be written, and there can be no patch.
    NoPatch {
        /// Why they may not.
        unsaved: String,
        /// Why there is none.
        error: NoPatch,
    },
}

impl NotDone {
    /// For people: a line, or several where there are several findings.
    pub fn message(&self) -> String {
        match self {
            Self::Moved { now, .. } => Refused::Moved { now: *now }.to_string(),
            Self::Refused(Refused::Invalid {
                files, diagnostics, ..
            }) => {
                let Self::Refused(refused) = self else {
                    return String::new();
                };
                let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
                let lines = errors.map(|d| render::line(files, d));
                std::iter::once(refused.to_string())
                    .chain(lines)
                    .collect::<Vec<_>>()
                    .join("\n")
            }
            Self::Refused(refused) => refused.to_string(),
            Self::Unusable(errors) => errors.join("\n"),
            Self::Unwritten(error) => error.to_string(),
            Self::NoPatch { unsaved, error } => format!("{unsaved}; {error}"),
        }
    }
}

impl Controller {
    /// Does it, or changes nothing, and tells.
    pub(super) fn edit(&mut self, ask: Ask) {
        let words: Vec<String> = ask.intents.iter().map(ToString::to_string).collect();
        let done = self.edited(&ask.intents, ask.seen);
        match &done {
            Ok(done) if done.changed && done.unsaved.is_none() => {
                tracing::info!(edit = words.join("; "), revision = %done.revision, "files edited");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::info!(edit = words.join("; "), "not edited: {}", error.message());
            }
        }
        // Whoever asked may have gone.
        let _ = ask.reply.send(done);
    }

    fn edited(&mut self, intents: &[Intent], seen: Option<Revision>) -> Result<Done, NotDone> {
        let files = Files::read(&self.places.root);
        let seen = seen.unwrap_or_else(|| files.revision());
        if files.revision() != seen || !vanished(&self.present.files, &files).is_empty() {
            return Err(self.moved(&files, seen));
        }
        let now = Timestamp::now();
        let edited = edit::edit(&files, &config::environment(), seen, intents, now);
        let edited = edited.map_err(NotDone::Refused)?;
        let mut done = Done {
            changed: edited.loaded.config.as_ref() != config_of(&files, now).as_ref(),
            unsaved: None,
            diff: edit::diff(&files, &edited.files),
            patch: None,
            revision: files.revision(),
            generation: self.runtime.snapshot().generation,
        };
        if !done.changed {
            done.diff.clear();
            return Ok(done);
        }
        if !self.present.config.admin.write_back {
            let why = "`admin.write_back` is false".to_owned();
            return self.patched(done, &files, &edited.files, why);
        }
        let [change] = edited.changes.as_slice() else {
            return Err(NotDone::Unusable(vec![
                "this changes several files at once: change them by hand".to_owned(),
            ]));
        };
        let after = edited.files.clone();
        let read = taken(edited.files, edited.loaded)
            .map_err(|unreadable| NotDone::Unusable(unreadable.errors))?;
        let ready = self.ready(&read).map_err(NotDone::Unusable)?;
        let keeper = Kept(self.places.state_dir.join(&self.present.config.state.path));
        let (old, new) = (change.before.as_bytes(), change.after.as_bytes());
        match write::save(&change.path, old, new, &keeper) {
            Ok(_) => {}
            Err(WriteError::Conflict(_)) => {
                return Err(self.moved(&Files::read(&self.places.root), seen));
            }
            Err(error @ WriteError::ReadOnly { .. }) => {
                return self.patched(done, &files, &after, error.to_string());
            }
            Err(error) => return Err(NotDone::Unwritten(error)),
        }
        let secrets = secret::files(&read.secrets, &read.config);
        let set = watch_set(&self.places.root, &read.files, secrets);
        self.watcher.update(set);
        done.revision = read.files.revision();
        self.enact(read, ready, &BTreeSet::new());
        done.generation = self.runtime.snapshot().generation;
        Ok(done)
    }

    /// The files are others than those of the revision `seen`, whose texts are known if it is the one in force or the one
    /// before.
    fn moved(&self, files: &Files, seen: Revision) -> NotDone {
        let mut known = std::iter::once(&self.present.files).chain(&self.previous);
        let known = known.find(|files| files.revision() == seen);
        let diff = known.map(|known| edit::diff(known, files));
        NotDone::Moved {
            now: files.revision(),
            diff: diff.unwrap_or_default(),
        }
    }

    fn patched(
        &self,
        mut done: Done,
        before: &Files,
        after: &Files,
        unsaved: String,
    ) -> Result<Done, NotDone> {
        match edit::patch(before, after, &self.present.config.admin.patch_prefix) {
            Ok(patch) => {
                done.patch = Some(patch);
                done.unsaved = Some(unsaved);
                Ok(done)
            }
            Err(error) => Err(NotDone::NoPatch { unsaved, error }),
        }
    }
}

/// What the files say as they are.
fn config_of(files: &Files, now: Timestamp) -> Option<config::model::Config> {
    let env = config::environment().into_iter();
    config::load_at(files, env, now).config
}

/// The old text of a file that can only be written in place, in the state folder.
struct Kept(PathBuf);

impl Keeper for Kept {
    fn keep(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Made with mode 0600, as temporary files are.
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(self.0.join(format!("before-edit-{name}")))?;
        std::fs::File::open(&self.0)?.sync_all()
    }
}
