//! The only writer of the snapshot. One message at a time: read the files, load, build, swap — or change nothing and say
//! why.

mod edit;
mod files;
mod history;
mod identity;
mod journal;
mod outcome;
mod rehearsal;
mod rollback;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::config::diagnostic::{Code, Severity};
use crate::config::model::Config;
use crate::config::source::Revision;
use crate::config::watch::{Settling, Timing, Told, WatchSet, Watcher, single_files, vanished};
use crate::runtime::Runtime;
use crate::runtime::keyring::Keyring;
use crate::runtime::snapshot::Snapshot;

pub use edit::{Ask, Done, NotDone};
pub use files::{Places, Read, Unreadable, environment, read, wire};
pub use history::{Beginning, By, begin};
pub use journal::mend;
pub use outcome::{Drift, Outcome, Reload, drift, drift_of, waits_for_restart};
pub use rollback::{Prepared, Rollback, Target, between, prepare, risky, texts};

use history::{Cause, Entry};

/// How long an included file must stay empty or away before it counts as gone.
const VANISH: Duration = Duration::from_secs(2);
/// From one look to the next at files that are being written.
const REST: Duration = Duration::from_millis(200);
/// Most looks at files that never come to rest.
const LOOKS: u32 = 10;

/// What the controller is asked for.
#[derive(Debug)]
pub enum Message {
    /// The files may have changed.
    Files,
    /// Read the files now, and say what came of it.
    Reload(oneshot::Sender<Outcome>),
    /// An upstream's list of models changed: wire the routes anew.
    Catalog,
    /// Somebody wants the files changed.
    Edit(Ask),
    /// Somebody wants the files of an earlier generation.
    Rollback(Rollback),
}

/// What a config decides beside the snapshot: the listener, the log.
pub trait Surroundings: Send + Sync {
    /// Makes ready what `config` asks for, changing nothing. The closure puts it in force.
    ///
    /// # Errors
    /// Why it can't be had: the reload is then refused whole.
    fn prepare(&self, config: &Config) -> Result<Box<dyn FnOnce() + Send>, String>;
}

/// The controller.
pub struct Controller {
    runtime: Arc<Runtime>,
    keyring: Arc<Keyring>,
    places: Places,
    surroundings: Arc<dyn Surroundings>,
    watcher: Watcher,
    /// What the program was started with.
    started: Arc<Config>,
    present: Arc<Read>,
    /// The revision before, for whoever still has it in an editor.
    previous: Option<Arc<Read>>,
    settling: Settling,
    /// Who waits for the outcome of the next reload.
    asked: Vec<oneshot::Sender<Outcome>>,
}

/// What is made of files and not yet in force.
struct Ready {
    snapshot: Snapshot,
    entry: Entry,
    commit: Box<dyn FnOnce() + Send>,
    /// Whether it is what is in force already.
    same: bool,
}

/// When to look at the files again without being told.
type Again = Option<Duration>;

impl Controller {
    /// Takes over with what is in force.
    pub fn new(
        runtime: Arc<Runtime>,
        keyring: Arc<Keyring>,
        places: Places,
        surroundings: Arc<dyn Surroundings>,
        present: Read,
    ) -> Self {
        for path in single_files(present.watch.files()) {
            tracing::warn!(
                path = %path.display(),
                "this file is mounted by itself (as by Kubernetes' subPath): a file that takes its place is never seen \
                 here, only one written in place; mount its folder"
            );
        }
        let watcher = Watcher::start(&runtime.tasks, present.watch.clone(), Timing::default());
        runtime.reload.lock().root.clone_from(&places.root);
        Self {
            runtime,
            keyring,
            places,
            surroundings,
            watcher,
            started: Arc::clone(&present.config),
            present: Arc::new(present),
            previous: None,
            settling: Settling::default(),
            asked: Vec::new(),
        }
    }

    /// Runs until the program drains.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let drain = self.runtime.tasks.drain().clone();
        let mut changes = self.watcher.changes();
        let mut again: Again = None;
        loop {
            let settled = async {
                match again {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            let (message, told) = tokio::select! {
                () = drain.cancelled() => return,
                () = settled => (Message::Files, None),
                changed = changes.changed() => match changed {
                    Ok(()) => (Message::Files, Some(changes.borrow_and_update().clone())),
                    Err(_) => return,
                },
                message = messages.recv() => match message {
                    Some(message) => (message, None),
                    None => return,
                },
            };
            match message {
                Message::Files => again = self.reload(told).await,
                Message::Reload(asked) => {
                    self.asked.push(asked);
                    again = self.reload(None).await;
                }
                Message::Catalog => self.rewire().await,
                Message::Edit(ask) => self.edit(ask).await,
                Message::Rollback(ask) => self.roll_back(ask).await,
            }
        }
    }

    /// Reads the files and applies them. Where an included file has only just gone, says how long to wait for it.
    async fn reload(&mut self, told: Option<Told>) -> Again {
        let read = match self.at_rest(told.as_ref()).await? {
            Ok(read) => read,
            Err(unreadable) => {
                let Unreadable {
                    files,
                    errors,
                    codes,
                } = *unreadable;
                let set = WatchSet::broken(&files, &self.present.watch);
                self.watcher.update(set);
                self.refuse(errors, codes);
                return None;
            }
        };
        let mut gone = vanished(&self.present.files, &read.files);
        // What the watcher tells to be gone has been away for long enough.
        gone.retain(|path| !told.as_ref().is_some_and(|told| told.is_gone(path)));
        if let Some(left) = self.settling.wait(&gone, Instant::now(), VANISH) {
            self.runtime.reload.lock().missing = gone.into_iter().collect();
            return Some(left);
        }
        self.watcher.update(read.watch.clone());
        self.apply(Arc::new(read)).await;
        None
    }

    /// The files once they stay as they are: what was told to have come to rest may be written again by now. `None` where
    /// the program goes down.
    async fn at_rest(&self, told: Option<&Told>) -> Option<Result<Read, Box<Unreadable>>> {
        let mut before: Option<Revision> = None;
        let mut looks = 0;
        loop {
            let root = self.places.root.clone();
            let read = tokio::task::spawn_blocking(move || read(&root))
                .await
                .ok()?;
            let files = match &read {
                Ok(read) => &read.files,
                Err(unreadable) => &unreadable.files,
            };
            let now = files.revision();
            looks += 1;
            if told.is_none_or(|told| told.fits(files)) || before == Some(now) || looks == LOOKS {
                return Some(read);
            }
            before = Some(now);
            tokio::time::sleep(REST).await;
        }
    }

    async fn apply(&mut self, read: Arc<Read>) {
        match self.ready(&read).await {
            Ok(ready) => self.enact(read, ready, Cause::hand()),
            Err(errors) => self.refuse(errors, Vec::new()),
        }
    }

    /// Makes what the files ask for, whichever identity opens them.
    async fn made(&self, read: &Arc<Read>) -> Result<Ready, Vec<String>> {
        let present = self.runtime.snapshot();
        let same = read.files.revision().0 == present.revision && *read.config == *present.config;
        // A number is for a revision: a secret file that changed by itself makes a new snapshot of the same one.
        let generation = present.generation + u64::from(!same);
        let (snapshot, entry) = self.build(read, present, generation).await?;
        let (surroundings, config) = (Arc::clone(&self.surroundings), Arc::clone(&read.config));
        // It may read files.
        let prepared = tokio::task::spawn_blocking(move || surroundings.prepare(&config));
        let commit = prepared.await.unwrap_or_else(|e| Err(e.to_string()));
        Ok(Ready {
            snapshot,
            entry,
            commit: commit.map_err(|error| vec![error])?,
            same,
        })
    }

    /// Puts it in force.
    fn enact(&mut self, read: Arc<Read>, ready: Ready, cause: Cause) {
        let Ready {
            snapshot,
            entry,
            commit,
            same,
        } = ready;
        let runtime = Arc::clone(&self.runtime);
        let generation = snapshot.generation;
        let restart = outcome::needs_restart(&self.started, &read.config);
        for path in vanished(&self.present.files, &read.files) {
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
        self.keyring.set_recipients(&read.config.secrets.recipients);
        if self.keyring.adopt() {
            self.leave_identity();
        }
        let what = entry.what.clone();
        if same {
            self.put(snapshot);
        } else {
            self.put_numbered(snapshot, &read, cause, entry);
        }
        runtime.metrics().applied.inc();
        if !same {
            tracing::info!(
                generation,
                revision = %read.files.revision(),
                what,
                accounts = read.config.accounts.len(),
                keys = read.config.keys.len(),
                models = read.config.models.len(),
                "configuration applied"
            );
        }
        for setting in &restart {
            tracing::warn!(setting, "takes effect after a restart");
        }
        self.note(Vec::new(), Vec::new(), restart.clone());
        self.answer(&if same {
            Outcome::Unchanged {
                generation,
                restart,
            }
        } else {
            Outcome::Applied {
                generation,
                what,
                restart,
            }
        });
        let before = std::mem::replace(&mut self.present, read);
        if !same {
            self.previous = Some(before);
        }
    }

    /// Makes the snapshot, off the threads that serve: secrets are read and opened, texts compressed.
    async fn build(
        &self,
        read: &Arc<Read>,
        present: Arc<Snapshot>,
        generation: u64,
    ) -> Result<(Snapshot, Entry), Vec<String>> {
        let (runtime, keyring) = (Arc::clone(&self.runtime), Arc::clone(&self.keyring));
        let (before, read) = (Arc::clone(&self.present), Arc::clone(read));
        let root = self.places.root.clone();
        let built = tokio::task::spawn_blocking(move || {
            let registry = &runtime.registry;
            let snapshot = wire(&read, registry, &keyring, Some(&present), generation)?;
            let changed = *before.config != *read.config;
            let what = changed.then(|| history::what(&before.config, &read.config, &root));
            let entry = Entry {
                what: what.unwrap_or_default(),
                texts: (generation > present.generation).then(|| history::packed(&read.files)),
            };
            Ok((snapshot, entry))
        });
        built.await.unwrap_or_else(|e| Err(vec![e.to_string()]))
    }

    /// The same config with what upstreams have told since.
    async fn rewire(&mut self) {
        let present = self.runtime.snapshot();
        let generation = present.generation;
        match self.build(&self.present, present, generation).await {
            Ok((snapshot, _)) => self.put(snapshot),
            Err(errors) => tracing::warn!(
                errors = errors.join("; "),
                "routes keep the models known before"
            ),
        }
    }

    fn put(&self, snapshot: Snapshot) {
        let wait = snapshot.config.state.orphan_retention;
        let named = |id: &AccountId| snapshot.accounts.contains_key(id);
        self.runtime.registry.retain(named, wait, Timestamp::now());
        self.runtime
            .registry
            .limits
            .retain(|owner| snapshot.names(owner), wait);
        self.runtime.put(snapshot);
    }

    fn refuse(&mut self, errors: Vec<String>, codes: Vec<Code>) {
        for error in &errors {
            tracing::error!("{error}");
        }
        tracing::error!(
            errors = errors.len(),
            "the changed configuration is refused: the one before stays in force"
        );
        self.runtime.metrics().refused.inc();
        let restart = outcome::needs_restart(&self.started, &self.present.config);
        self.note(errors.clone(), codes, restart);
        self.answer(&Outcome::Refused { errors });
    }

    fn note(&self, errors: Vec<String>, codes: Vec<Code>, restart: Vec<String>) {
        let mut reload = self.runtime.reload.lock();
        reload.at = Timestamp::now();
        reload.errors = errors;
        reload.codes = codes;
        reload.restart = restart;
        reload.missing.clear();
    }

    fn answer(&mut self, outcome: &Outcome) {
        for asked in self.asked.drain(..) {
            // Who asked may have gone.
            let _ = asked.send(outcome.clone());
        }
    }
}
