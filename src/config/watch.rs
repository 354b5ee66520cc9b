//! Tells when a file in play has changed, however it was changed: written in place, renamed over, swapped behind a link.
//!
//! Events say only that something moved; what counts are the digests. They are taken after each burst of events and every
//! few seconds besides, since some file systems send no events at all. So one change is told once, by whichever way it
//! was seen, and what changes nothing (an editor's swap file, a read) is not told. An included file that became empty or
//! vanished is told only once it has stayed so for a while: that is how a save in progress looks.

mod folders;
mod mounts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::base::task::Tasks;
use crate::config::source::{self, Files};
use crate::config::watch::folders::Folders;

pub use mounts::single_files;

/// How long things take. The defaults are those of agp-toml.md and architecture.md 2.2.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// From one look at the digests to the next where no event came.
    pub poll: Duration,
    /// Silence after which a burst of events is over.
    pub quiet: Duration,
    /// Longest burst that is waited for.
    pub longest: Duration,
    /// How long an included file must stay empty or away.
    pub vanish: Duration,
    /// Whether to listen to the system's events at all.
    pub events: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            quiet: Duration::from_millis(200),
            longest: Duration::from_secs(1),
            vanish: Duration::from_secs(2),
            events: true,
        }
    }
}

/// The files to watch.
#[derive(Debug, Clone, Default)]
pub struct WatchSet {
    root: PathBuf,
    /// What was read of each file.
    known: BTreeMap<PathBuf, Stamp>,
    patterns: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl WatchSet {
    /// The root as given, the files that were just read from it, and those that `secret::files` names. Reads the latter: to
    /// be made before anything else reads them, so that what changes after that is told.
    pub fn new(root: &Path, files: &Files, others: Vec<PathBuf>) -> Self {
        let mut known: BTreeMap<PathBuf, Stamp> = (others.iter())
            .map(|path| (path.clone(), Stamp::read(path)))
            .collect();
        known.extend(
            files
                .iter()
                .map(|file| (file.path.clone(), Stamp::of(file.digest))),
        );
        Self {
            root: root.to_owned(),
            known,
            patterns: files.patterns().to_vec(),
            others,
        }
    }

    /// The same for files that can't be used: which others they name nobody knows, so that those of `present` stay.
    pub fn broken(files: &Files, present: &Self) -> Self {
        let of_files = Self::new(&present.root, files, Vec::new());
        let known = present
            .known
            .iter()
            .filter(|(path, _)| present.others.contains(path));
        Self {
            known: known
                .map(|(path, stamp)| (path.clone(), *stamp))
                .chain(of_files.known)
                .collect(),
            others: present.others.clone(),
            ..of_files
        }
    }

    /// The files as they were read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.known.keys().map(PathBuf::as_path)
    }

    /// The paths whose digests count, as things stand now.
    fn paths(&self) -> BTreeSet<PathBuf> {
        let mut paths: BTreeSet<PathBuf> = self.known.keys().cloned().collect();
        paths.insert(self.root.clone());
        paths.extend(self.others.iter().cloned());
        for pattern in &self.patterns {
            paths.extend(source::expand(pattern).unwrap_or_default());
        }
        paths
    }

    fn look(&self) -> Seen {
        self.paths()
            .into_iter()
            .map(|path| {
                let stamp = Stamp::read(&path);
                (path, stamp)
            })
            .collect()
    }

    fn is_include(&self, path: &Path) -> bool {
        path != self.root && !self.others.iter().any(|other| other == path)
    }
}

/// What a file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    /// Not there, or not readable.
    Absent,
    /// There, with nothing in it.
    Empty,
    /// There, with bytes of this digest.
    Bytes([u8; 32]),
}

impl Stamp {
    fn of(digest: [u8; 32]) -> Self {
        let nothing: [u8; 32] = Sha256::digest(b"").into();
        if digest == nothing {
            Self::Empty
        } else {
            Self::Bytes(digest)
        }
    }

    fn read(path: &Path) -> Self {
        match source::read_bounded(path, source::MAX_FILE) {
            Ok(Some(bytes)) => Self::of(Sha256::digest(&bytes).into()),
            // Too large: its size is what can be told of it.
            Ok(None) => std::fs::metadata(path).map_or(Self::Absent, |meta| {
                Self::Bytes(Sha256::digest(meta.len().to_be_bytes()).into())
            }),
            Err(_) => Self::Absent,
        }
    }
}

type Seen = BTreeMap<PathBuf, Stamp>;

/// How the files were when they had come to rest.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Counts what was told.
    count: u64,
    seen: Arc<Seen>,
}

impl Told {
    /// Whether these files hold what was told.
    pub fn fits(&self, files: &Files) -> bool {
        files.iter().all(|file| {
            let seen = self.seen.get(&file.path);
            seen.is_none_or(|stamp| *stamp == Stamp::of(file.digest))
        })
    }

    /// Whether a file was away or empty, for long enough where it is an included one.
    pub fn is_gone(&self, path: &Path) -> bool {
        matches!(self.seen.get(path), Some(Stamp::Absent | Stamp::Empty))
    }
}

/// The included files of `before` that hold nothing in `after`, or are gone. A controller that reads files by itself (on
/// SIGHUP) asks this, and [`Settling`] for how long.
pub fn vanished(before: &Files, after: &Files) -> BTreeSet<PathBuf> {
    let now: BTreeMap<&Path, bool> = after
        .iter()
        .map(|file| (file.path.as_path(), file.text.is_empty()))
        .collect();
    before
        .iter()
        .skip(1)
        .filter(|file| !file.text.is_empty())
        .filter(|file| now.get(file.path.as_path()).is_none_or(|empty| *empty))
        .map(|file| file.path.clone())
        .collect()
}

/// Remembers since when included files are empty or away.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    since: BTreeMap<PathBuf, std::time::Instant>,
}

impl Settling {
    /// How long to wait before the files that are `gone` now count as gone; `None`: nothing to wait for. One that came back
    /// starts anew the next time.
    pub fn wait(
        &mut self,
        gone: &BTreeSet<PathBuf>,
        now: std::time::Instant,
        vanish: Duration,
    ) -> Option<Duration> {
        self.since.retain(|path, _| gone.contains(path));
        gone.iter()
            .filter_map(|path| {
                let since = *self.since.entry(path.clone()).or_insert(now);
                vanish.checked_sub(now.saturating_duration_since(since))
            })
            .filter(|left| !left.is_zero())
            .max()
    }
}

/// Watches until shutdown begins. Dropping it ends the watching.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    changes: watch::Receiver<Told>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held for a moment only; never while waiting or reading files.
    set: Mutex<WatchSet>,
    updated: Notify,
    events: Notify,
    ended: tokio_util::sync::CancellationToken,
}

impl Watcher {
    /// Begins to watch. Where the system gives no events (the limit of watches is reached, say), that is logged and the
    /// poll goes on alone.
    pub fn start(tasks: &Tasks, set: WatchSet, timing: Timing) -> Self {
        let shared = Arc::new(Shared {
            set: Mutex::new(set),
            ..Shared::default()
        });
        let (told, changes) = watch::channel(Told::default());
        let drain = tasks.drain().clone();
        let task = Watching {
            shared: shared.clone(),
            timing,
            told,
            last: Seen::new(),
            settling: Settling::default(),
        };
        tasks.spawn(async move {
            let ended = task.shared.ended.clone();
            tokio::select! {
                () = drain.cancelled() => {}
                () = ended.cancelled() => {}
                () = task.run() => {}
            }
        });
        Self { shared, changes }
    }

    /// Changes its value each time the files have changed and come to rest. What happens while nobody waits is not lost.
    pub fn changes(&self) -> watch::Receiver<Told> {
        self.changes.clone()
    }

    /// The set to watch from now on, after each reload, whether it was applied or refused.
    pub fn update(&self, set: WatchSet) {
        *self.shared.set.lock() = set;
        self.shared.updated.notify_one();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.ended.cancel();
    }
}

struct Watching {
    shared: Arc<Shared>,
    timing: Timing,
    told: watch::Sender<Told>,
    last: Seen,
    settling: Settling,
}

impl Watching {
    async fn run(mut self) {
        let mut folders = Folders::new(self.timing.events, self.shared.clone());
        let mut wait = self.adopt(&mut folders).await;
        loop {
            let polled;
            tokio::select! {
                () = self.shared.updated.notified() => {
                    wait = self.adopt(&mut folders).await;
                    continue;
                }
                () = self.shared.events.notified() => {
                    self.rest().await;
                    polled = false;
                }
                () = tokio::time::sleep(wait) => polled = true,
            }
            let set = self.shared.set.lock().clone();
            let (mut seen, mut back) = look(set.clone(), folders).await;
            // Where no events come, a writer may be at work: what counts is what stays.
            let latest = Instant::now() + self.timing.longest;
            while polled && seen != self.last && Instant::now() < latest {
                tokio::time::sleep(self.timing.quiet).await;
                let (later, folders) = look(set.clone(), back).await;
                back = folders;
                if std::mem::replace(&mut seen, later) == seen {
                    break;
                }
            }
            folders = back;
            wait = self.judge(&set, seen);
        }
    }

    /// Waits until a burst of events is over.
    async fn rest(&self) {
        let latest = Instant::now() + self.timing.longest;
        loop {
            let quiet = (Instant::now() + self.timing.quiet).min(latest);
            tokio::select! {
                () = self.shared.events.notified() => {
                    if Instant::now() >= latest {
                        return;
                    }
                }
                () = tokio::time::sleep_until(quiet) => return,
            }
        }
    }

    /// Takes a new set over. What was known of its files stays known; what is new counts as it was read.
    async fn adopt(&mut self, folders: &mut Folders) -> Duration {
        let set = self.shared.set.lock().clone();
        let taken = std::mem::replace(folders, Folders::none());
        let (seen, back) = look(set.clone(), taken).await;
        *folders = back;
        let before = std::mem::take(&mut self.last);
        self.last = seen
            .iter()
            .map(|(path, stamp)| {
                let known = before.get(path).or_else(|| set.known.get(path));
                (path.clone(), *known.unwrap_or(stamp))
            })
            .collect();
        self.judge(&set, seen)
    }

    /// Tells a change, unless something must settle first; gives the time until the next look.
    fn judge(&mut self, set: &WatchSet, seen: Seen) -> Duration {
        if seen == self.last {
            self.settling = Settling::default();
            return self.timing.poll;
        }
        let gone = self
            .last
            .iter()
            .filter(|(path, stamp)| matches!(stamp, Stamp::Bytes(_)) && set.is_include(path))
            .filter(|(path, _)| !matches!(seen.get(*path), Some(Stamp::Bytes(_))))
            .map(|(path, _)| path.clone())
            .collect();
        let now = Instant::now().into_std();
        if let Some(left) = self.settling.wait(&gone, now, self.timing.vanish) {
            return left.min(self.timing.poll);
        }
        self.settling = Settling::default();
        self.told.send_modify(|told| {
            told.count += 1;
            told.seen = Arc::new(seen.clone());
        });
        self.last = seen;
        self.timing.poll
    }
}

/// Takes the digests, after making sure that the folders are watched: a change after that sends an event.
async fn look(set: WatchSet, mut folders: Folders) -> (Seen, Folders) {
    let task = tokio::task::spawn_blocking(move || {
        let paths = set.paths();
        folders.watch(paths.iter().chain(&set.patterns));
        (set.look(), folders)
    });
    match task.await {
        Ok(done) => done,
        // Only where the runtime is going down.
        Err(_) => (Seen::new(), Folders::none()),
    }
}

#[cfg(test)]
mod tests;
