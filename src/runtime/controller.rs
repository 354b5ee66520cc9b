//! The only writer of the snapshot. One message at a time: read the files, load, build, swap — or change nothing and say
//! why.

mod edit;
mod read;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::config::diagnostic::Severity;
use crate::config::model::Config;
use crate::config::secret::{self, Resolver};
use crate::config::source::Files;
use crate::config::watch::{Settling, WatchSet, Watcher, vanished};
use crate::runtime::Runtime;
use crate::runtime::build::{Context, build};
use crate::runtime::keyring::Keyring;
use crate::runtime::registry::Registry;
use crate::runtime::snapshot::Snapshot;

pub use edit::{Ask, Done, NotDone};
pub use read::{Read, Unreadable, environment, read};

/// How long an included file must stay empty or away before it counts as gone.
const VANISH: Duration = Duration::from_secs(2);

/// What the controller is asked for.
#[derive(Debug)]
pub enum Message {
    /// The files may have changed.
    Files,
    /// An upstream's list of models changed: wire the routes anew.
    Catalog,
    /// Somebody wants the files changed.
    Edit(Ask),
}

/// What happened to the last reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reload {
    /// When the files were last read.
    pub at: Timestamp,
    /// Why they were not applied; empty where they were.
    pub errors: Vec<String>,
    /// What takes effect after a restart only.
    pub restart: Vec<String>,
}

/// What a config decides beside the snapshot: the listener, the log.
pub trait Surroundings: Send + Sync {
    /// Makes ready what `config` asks for, changing nothing. The closure puts it in force.
    ///
    /// # Errors
    /// Why it can't be had: the reload is then refused whole.
    fn prepare(&self, config: &Config) -> Result<Box<dyn FnOnce() + Send>, String>;
}

/// Where the files and the state are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The root file, as given.
    pub root: PathBuf,
    /// What `state.path` and `secrets.identity` are relative to.
    pub state_dir: PathBuf,
}

/// Builds a snapshot of what was read.
///
/// # Errors
/// One line for each secret that can't be read.
pub fn wire(
    read: &Read,
    registry: &Registry,
    keyring: &Keyring,
    present: Option<&Snapshot>,
    generation: u64,
) -> Result<Snapshot, Vec<String>> {
    keyring.set_sealed(secret::has_sealed(&read.secrets));
    let identity = keyring.identity().map_err(|error| vec![error])?;
    let env = |name: &str| std::env::var(name).ok();
    let secrets = Resolver::new(env, identity.as_ref(), keyring.path().to_owned());
    let revision = read.files.revision().0;
    build(
        Arc::clone(&read.config),
        &Context {
            secrets: &secrets,
            registry,
            present,
            generation,
            revision,
        },
    )
}

/// What to watch for changes.
pub fn watch_set(root: &Path, files: &Files, secrets: Vec<PathBuf>) -> WatchSet {
    WatchSet::new(root, files, secrets)
}

/// What is made of files and not yet in force.
struct Ready {
    snapshot: Snapshot,
    commit: Box<dyn FnOnce() + Send>,
    /// Whether it is of the revision in force.
    same: bool,
}

/// The controller.
pub struct Controller {
    runtime: Arc<Runtime>,
    keyring: Arc<Keyring>,
    places: Places,
    surroundings: Arc<dyn Surroundings>,
    watcher: Watcher,
    present: Read,
    /// The files of the revision before, for whoever still has them in an editor.
    previous: Option<Files>,
    settling: Settling,
}

impl Controller {
    /// Takes over with what is in force.
    pub fn new(
        runtime: Arc<Runtime>,
        keyring: Arc<Keyring>,
        places: Places,
        surroundings: Arc<dyn Surroundings>,
        present: Read,
    ) -> Self {
        let set = watch_set(
            &places.root,
            &present.files,
            secret::files(&present.secrets, &present.config),
        );
        let watcher = Watcher::start(&runtime.tasks, set, crate::config::watch::Timing::default());
        Self {
            runtime,
            keyring,
            places,
            surroundings,
            watcher,
            present,
            previous: None,
            settling: Settling::default(),
        }
    }

    /// Runs until the program drains.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let drain = self.runtime.tasks.drain().clone();
        let mut changes = self.watcher.changes();
        let mut settle: Option<Duration> = None;
        loop {
            let settled = async {
                match settle {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                () = drain.cancelled() => return,
                () = settled => Message::Files,
                changed = changes.changed() => match changed {
                    Ok(()) => Message::Files,
                    Err(_) => return,
                },
                message = messages.recv() => match message {
                    Some(message) => message,
                    None => return,
                },
            };
            settle = match message {
                Message::Files => self.reload(),
                Message::Catalog => {
                    self.rewire();
                    settle
                }
                Message::Edit(ask) => {
                    self.edit(ask);
                    settle
                }
            };
        }
    }

    /// Reads the files and applies them. Where an included file has only just gone, says how long to wait for it.
    fn reload(&mut self) -> Option<Duration> {
        let root = self.places.root.clone();
        let (read, errors) = match read(&root) {
            Ok(read) => (Some(read), Vec::new()),
            Err(unreadable) => {
                let Unreadable { files, errors } = *unreadable;
                self.watcher.update(watch_set(
                    &root,
                    &files,
                    secret::files(&self.present.secrets, &self.present.config),
                ));
                (None, errors)
            }
        };
        let Some(read) = read else {
            self.refuse(errors);
            return None;
        };
        let gone = vanished(&self.present.files, &read.files);
        if let Some(left) = self.settling.wait(&gone, Instant::now(), VANISH) {
            return Some(left);
        }
        self.watcher.update(watch_set(
            &root,
            &read.files,
            secret::files(&read.secrets, &read.config),
        ));
        self.apply(read, &gone);
        None
    }

    fn apply(&mut self, read: Read, gone: &BTreeSet<PathBuf>) {
        match self.ready(&read) {
            Ok(ready) => self.enact(read, ready, gone),
            Err(errors) => self.refuse(errors),
        }
    }

    /// Makes everything that can fail, and changes nothing that is in force.
    fn ready(&self, read: &Read) -> Result<Ready, Vec<String>> {
        let present = self.runtime.snapshot();
        let same = read.files.revision().0 == present.revision && *read.config == *present.config;
        // A number is for a revision: a secret file that changed by itself makes a new snapshot of the same one.
        let generation = present.generation + u64::from(!same);
        let snapshot = wire(
            read,
            &self.runtime.registry,
            &self.keyring,
            Some(&present),
            generation,
        )?;
        let commit = self.surroundings.prepare(&read.config);
        Ok(Ready {
            snapshot,
            commit: commit.map_err(|error| vec![error])?,
            same,
        })
    }

    /// Puts it in force.
    fn enact(&mut self, read: Read, ready: Ready, gone: &BTreeSet<PathBuf>) {
        let Ready {
            snapshot,
            commit,
            same,
        } = ready;
        let runtime = Arc::clone(&self.runtime);
        let generation = snapshot.generation;
        let restart = needs_restart(&self.present.config, &read.config);
        for path in gone {
            tracing::warn!(path = %path.display(), "an included file is gone, and what it defined with it");
        }
        for (severity, line) in read
            .remarks
            .iter()
            .filter(|(severity, _)| *severity == Severity::Warning)
        {
            tracing::warn!(severity = severity.as_str(), "{line}");
        }
        commit();
        self.put(snapshot, !same);
        runtime.metrics().applied.inc();
        if !same {
            tracing::info!(
                generation,
                revision = %read.files.revision(),
                accounts = read.config.accounts.len(),
                keys = read.config.keys.len(),
                models = read.config.models.len(),
                "configuration applied"
            );
        }
        for setting in &restart {
            tracing::warn!(setting, "takes effect after a restart");
        }
        *runtime.reload.lock() = Reload {
            at: Timestamp::now(),
            errors: Vec::new(),
            restart,
        };
        let before = std::mem::replace(&mut self.present, read);
        if !same {
            self.previous = Some(before.files);
        }
    }

    /// The same config with what upstreams have told since.
    fn rewire(&mut self) {
        let present = self.runtime.snapshot();
        let wired = wire(
            &self.present,
            &self.runtime.registry,
            &self.keyring,
            Some(&present),
            present.generation,
        );
        match wired {
            Ok(snapshot) => self.put(snapshot, false),
            Err(errors) => tracing::warn!(
                errors = errors.join("; "),
                "routes keep the models known before"
            ),
        }
    }

    fn put(&self, snapshot: Snapshot, numbered: bool) {
        let wait = snapshot.config.state.orphan_retention;
        let named = |id: &AccountId| snapshot.accounts.contains_key(id);
        self.runtime.registry.retain(named, wait, Timestamp::now());
        self.runtime
            .registry
            .limits
            .retain(|owner| snapshot.names(owner), wait);
        self.runtime.put(snapshot);
        if numbered {
            let store = self.runtime.store.clone();
            // So that the number is never used again, also after a restart; nothing waits for the disk.
            self.runtime.tasks.spawn(async move {
                store.next_generation().await;
            });
        }
    }

    fn refuse(&self, errors: Vec<String>) {
        for error in &errors {
            tracing::error!("{error}");
        }
        tracing::error!(
            errors = errors.len(),
            "the changed configuration is refused: the one before stays in force"
        );
        self.runtime.metrics().refused.inc();
        *self.runtime.reload.lock() = Reload {
            at: Timestamp::now(),
            errors,
            restart: Vec::new(),
        };
    }
}

fn needs_restart(before: &Config, after: &Config) -> Vec<String> {
    let mut settings = Vec::new();
    if before.state.path != after.state.path {
        settings.push("state.path".to_owned());
    }
    if before.secrets.identity != after.secrets.identity {
        settings.push("secrets.identity".to_owned());
    }
    settings
}
