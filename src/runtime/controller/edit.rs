//! An edit of the files: made and proved on their texts, everything built that it asks for, then saved, then put in force.
//! Whatever fails before the save leaves files and snapshot as they were.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::time::Timestamp;
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::edit::{
    self, Change, Edited, FileDiff, FileText, Intent, NoPatch, Patch, Refused,
};
use crate::config::source::{Files, Revision};
use crate::config::watch::vanished;
use crate::config::write::{self, Plan, Step, WriteError};
use crate::config::{self, render};
use crate::runtime::controller::files::taken;
use crate::runtime::controller::history::{By, Cause, compare, config_of, tell, unpacked, words};
use crate::runtime::controller::journal::{Book, mend};
use crate::runtime::controller::{Controller, LOOKS, REST, Read};
use crate::store::Store;

/// What somebody asks for.
#[derive(Debug)]
pub struct Ask {
    /// What is to change.
    pub intents: Vec<Intent>,
    /// The revision that they saw; `None` where whatever is there now will do.
    pub seen: Option<Revision>,
    /// Whether to touch nothing where the files mean it already, be it by a default.
    pub if_needed: bool,
    /// Whether only to say what would become of it: nothing is saved.
    pub dry_run: bool,
    /// Who asks.
    pub by: By,
    /// Told what became of it.
    pub reply: oneshot::Sender<Result<Done, NotDone>>,
}

/// What became of an edit.
#[derive(Debug)]
pub struct Done {
    /// Whether it changes what the files say.
    pub changed: bool,
    /// Whether it was saved.
    pub saved: bool,
    /// Why it could not be saved, where that was tried.
    pub unsaved: Option<String>,
    /// What it changes in the files, secrets masked.
    pub diff: Vec<FileDiff>,
    /// What it changes in what they say; `None` where nothing changes.
    pub plan: Option<config::plan::Plan>,
    /// What is found in the files with it that was not found before.
    pub warnings: Vec<Diagnostic>,
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
        /// Their texts as they are now, secrets masked.
        texts: Vec<FileText>,
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
    /// No such generation is kept.
    NoGeneration(u64),
    /// A key that is to open again was not taken away.
    NotRevoked(String),
    /// It would change something of high risk, which was not agreed to: what, a line each.
    High(Vec<String>),
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
            Self::NoGeneration(n) => format!("generation {n} is not kept: see `agp history`"),
            Self::NotRevoked(error) => error.clone(),
            Self::High(what) => format!("it is of high risk:\n{}", what.join("\n")),
        }
    }
}

/// An edit that can be saved.
pub(super) struct Draft {
    before: Files,
    plan: Plan,
    pub(super) read: Arc<Read>,
    pub(super) done: Done,
}

impl Controller {
    /// Does it, or changes nothing, and tells.
    pub(super) async fn edit(&mut self, ask: Ask) {
        let words = words(&ask.intents);
        let (desk, said) = (self.desk(), words.clone());
        let drafted = aside(move || desk.draft(&ask.intents, ask.seen, ask.if_needed)).await;
        let done = match drafted {
            Ok(Ok(draft)) if ask.dry_run => self.rehearse(draft).await,
            Ok(Ok(draft)) => self.carry_out(draft, Cause::asked(ask.by, words)).await,
            Ok(Err(done)) => Ok(done),
            Err(error) => Err(error),
        };
        if !ask.dry_run {
            tell(&said, &done);
        }
        // Whoever asked may have gone.
        let _ = ask.reply.send(done);
    }

    /// Builds what a draft asks for, saves it, and puts it in force.
    pub(super) async fn carry_out(&mut self, draft: Draft, cause: Cause) -> Result<Done, NotDone> {
        let Draft {
            before,
            plan,
            read,
            mut done,
        } = draft;
        let ready = self.ready(&read).await.map_err(NotDone::Unusable)?;
        let (desk, after) = (self.desk(), read.files.clone());
        let unsaved = aside(move || desk.save(&before, &after, &plan)).await;
        if !matches!(unsaved, Ok(None)) {
            self.keyring.withdraw();
        }
        if let Some((why, patch)) = unsaved? {
            done.unsaved = Some(why);
            done.patch = Some(patch);
            return Ok(done);
        }
        self.watcher.update(read.watch.clone());
        done.revision = read.files.revision();
        self.enact(read, ready, cause);
        done.generation = self.runtime.snapshot().generation;
        done.saved = true;
        Ok(done)
    }

    pub(super) fn desk(&self) -> Desk {
        Desk {
            root: self.places.root.clone(),
            store: self.runtime.store.clone(),
            present: Arc::clone(&self.present),
            previous: self.previous.clone(),
            generation: self.runtime.snapshot().generation,
        }
    }
}

/// Runs what reads and writes files off the threads that serve.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotDone> + Send + 'static,
) -> Result<T, NotDone> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(NotDone::Unusable(vec![e.to_string()])))
}

/// What an edit needs to know of what is in force.
pub(super) struct Desk {
    pub(super) root: PathBuf,
    pub(super) present: Arc<Read>,
    previous: Option<Arc<Read>>,
    generation: u64,
    pub(super) store: Store,
}

impl Desk {
    /// Makes the edit on the files as they are now; done already where there is nothing to save.
    fn draft(
        self,
        intents: &[Intent],
        seen: Option<Revision>,
        if_needed: bool,
    ) -> Result<Result<Draft, Done>, NotDone> {
        self.mended()?;
        let files = self.at_rest(seen);
        let seen = seen.unwrap_or_else(|| files.revision());
        if files.revision() != seen || !vanished(&self.present.files, &files).is_empty() {
            return Err(self.moved(&files, seen));
        }
        let now = Timestamp::now();
        let edited = edit::edit(&files, &config::environment(), seen, intents, now);
        let edited = edited.map_err(NotDone::Refused)?;
        let before = if files.revision() == self.present.files.revision() {
            Some(Arc::clone(&self.present.config))
        } else {
            config_of(&files).map(Arc::new)
        };
        let (before, after) = (before.as_deref(), edited.loaded.config.as_ref());
        let same = if_needed && before == after;
        let changed = !same && !edited.changes.is_empty();
        let diff = edit::diff(&files, &edited.files);
        let plan = before.zip(after).filter(|_| changed);
        let plan = plan.map(|(before, after)| compare(before, after, &self.root));
        self.drafted(files, edited, changed, diff, plan)
    }

    /// What is to be saved of an edit of `files`; done already where there is nothing to save.
    pub(super) fn drafted(
        self,
        files: Files,
        edited: Edited,
        changed: bool,
        diff: Vec<FileDiff>,
        plan: Option<config::plan::Plan>,
    ) -> Result<Result<Draft, Done>, NotDone> {
        let mut done = Done {
            changed,
            saved: false,
            unsaved: None,
            diff: Vec::new(),
            plan: None,
            warnings: Vec::new(),
            patch: None,
            revision: files.revision(),
            generation: self.generation,
        };
        if !done.changed {
            return Ok(Err(done));
        }
        done.diff = diff;
        done.plan = plan;
        done.warnings = edit::warnings(&files, &config::environment(), &edited, Timestamp::now());
        if !self.present.config.admin.write_back {
            let why = "`admin.write_back` is false".to_owned();
            done.patch = Some(self.patch(&files, &edited.files, &why)?);
            done.unsaved = Some(why);
            return Ok(Err(done));
        }
        if edited.changes.len() > 1 {
            self.stays_findable(edited.loaded.config.as_ref())?;
        }
        let plan = steps(edited.changes);
        let read = taken(&self.root, edited.files, edited.loaded);
        let read = read.map_err(|unreadable| NotDone::Unusable(unreadable.errors))?;
        Ok(Ok(Draft {
            before: files,
            plan,
            read: Arc::new(read),
            done,
        }))
    }

    /// No edit before is left half done: one that could not be undone at once is now.
    pub(super) fn mended(&self) -> Result<(), NotDone> {
        match mend(&self.store, &self.root) {
            Ok(None) => {}
            Ok(Some(told)) => tracing::warn!("{told}"),
            Err(error) => return Err(NotDone::Unusable(vec![error])),
        }
        Ok(())
    }

    /// The files as they are now. Others than those in force, which nobody has seen whole either, may be half of a save: they
    /// are looked at until they stay the same.
    pub(super) fn at_rest(&self, seen: Option<Revision>) -> Files {
        let mut files = Files::read(&self.root);
        let known = [seen, Some(self.present.files.revision())];
        for _ in 0..LOOKS {
            let revision = Some(files.revision());
            if known.contains(&revision) {
                break;
            }
            std::thread::sleep(REST);
            files = Files::read(&self.root);
            if Some(files.revision()) == revision {
                break;
            }
        }
        files
    }

    /// Saves it; where the file can't be written, why, and the patch.
    fn save(
        self,
        before: &Files,
        after: &Files,
        plan: &Plan,
    ) -> Result<Option<(String, Patch)>, NotDone> {
        match write::save_all(plan, &Book(&self.store)) {
            Ok(()) => Ok(None),
            Err(WriteError::Conflict(_)) => {
                let now = Files::read(&self.root);
                Err(NotDone::Moved {
                    now: now.revision(),
                    diff: edit::diff(before, &now),
                    texts: edit::texts(&now),
                })
            }
            Err(error @ WriteError::ReadOnly { .. }) => {
                let why = error.to_string();
                let patch = self.patch(before, after, &why)?;
                Ok(Some((why, patch)))
            }
            Err(error) => Err(NotDone::Unwritten(error)),
        }
    }

    /// The files are others than those of the revision `seen`, whose texts are known if it is the one in force, the one
    /// before, or kept in the history.
    pub(super) fn moved(&self, files: &Files, seen: Revision) -> NotDone {
        let mut known = std::iter::once(&self.present).chain(&self.previous);
        let known = known.find(|read| read.files.revision() == seen);
        let known = known.map(|read| read.files.clone()).or_else(|| {
            // Without it the answer is the same but for the diff.
            let texts = self.store.texts_of(seen.0).ok()??;
            Some(unpacked(texts, &self.root))
        });
        let diff = known.map(|known| edit::diff(&known, files));
        NotDone::Moved {
            now: files.revision(),
            diff: diff.unwrap_or_default(),
            texts: edit::texts(files),
        }
    }

    /// What a crash leaves of an edit of several files is looked for where the files, half of them edited, say that the
    /// state is: that place does not move in the same edit.
    fn stays_findable(&self, after: Option<&config::model::Config>) -> Result<(), NotDone> {
        let present = &self.present.config;
        let moved = after.is_some_and(|after| {
            after.state.path != present.state.path
                || after.secrets.identity != present.secrets.identity
        });
        if moved {
            let text = "`state.path` and `secrets.identity` can't change together with other files: change them by \
                        themselves";
            return Err(NotDone::Unusable(vec![text.to_owned()]));
        }
        Ok(())
    }

    fn patch(&self, before: &Files, after: &Files, why: &str) -> Result<Patch, NotDone> {
        let prefix = &self.present.config.admin.patch_prefix;
        edit::patch(before, after, prefix).map_err(|error| NotDone::NoPatch {
            unsaved: why.to_owned(),
            error,
        })
    }
}

fn steps(changes: Vec<Change>) -> Plan {
    let step = |change: Change| Step {
        path: change.path,
        before: change.before.into_bytes(),
        after: change.after.into_bytes(),
    };
    Plan {
        steps: changes.into_iter().map(step).collect(),
    }
}
