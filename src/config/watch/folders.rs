//! The folders whose events tell of a change: those that hold the files, and each link on the way to them. Folders, not
//! files, because editors and mounts replace a file or a link by another one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::config::watch::{Shared, single_files};

/// Longest chain of links that is followed, as the system does.
const MAX_LINKS: usize = 40;

/// The folders being watched, each with what identifies it: one that was removed and made again is another one.
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, u64>,
}

impl Folders {
    /// Watches nothing yet.
    pub(super) fn new(events: bool, shared: Arc<Shared>) -> Self {
        let watcher = events
            .then(|| {
                notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                    if event.as_ref().map_or(true, |e| counts(e.kind)) {
                        shared.events.notify_one();
                    }
                })
                .map_err(|error| {
                    tracing::warn!(%error, "no file events: changes of the configuration are polled");
                })
                .ok()
            })
            .flatten();
        Self {
            watcher,
            watched: BTreeMap::new(),
        }
    }

    /// Never watches anything.
    pub(super) fn none() -> Self {
        Self {
            watcher: None,
            watched: BTreeMap::new(),
        }
    }

    /// Watches the folders of these paths, and no others.
    pub(super) fn watch<'p>(&mut self, paths: impl Iterator<Item = &'p PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let paths: Vec<&PathBuf> = paths.collect();
        // What is written into a file that is mounted by itself tells its folder on the other side only.
        let mounted = single_files(paths.iter().map(|path| path.as_path()));
        let wanted: BTreeMap<PathBuf, u64> = paths
            .into_iter()
            .flat_map(|path| on_the_way(path))
            .chain(mounted)
            .filter_map(|folder| identity(&folder).map(|id| (folder, id)))
            .collect();
        self.watched.retain(|folder, id| {
            let keep = wanted.get(folder) == Some(id);
            if !keep {
                // Fails where the folder is gone, and with it the watch.
                let _ = watcher.unwatch(folder);
            }
            keep
        });
        for (folder, id) in wanted {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder, id);
                }
                Err(error) => {
                    tracing::debug!(folder = %folder.display(), %error, "this folder is polled only");
                }
            }
        }
    }
}

/// Whether an event can mean a change. Reads do not, and would wake the watcher by its own looks.
fn counts(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The folders that hold the path's file, its links, and the links among its folders. A folder that is not there yet is
/// stood in for by the nearest one that is.
fn on_the_way(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut rest = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_LINKS {
        match first_link(&rest) {
            Some((link, target)) => {
                found.extend(link.parent().map(Path::to_owned));
                rest = target;
            }
            None => break,
        }
    }
    found.extend(
        rest.ancestors()
            .skip(1)
            .find(|folder| folder.is_dir())
            .map(Path::to_owned),
    );
    found
}

/// The first link on the way, and the whole path with the link replaced by what it points to.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut so_far = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        so_far.push(component);
        if !matches!(component, Component::Normal(_)) {
            continue;
        }
        if let Ok(target) = std::fs::read_link(&so_far) {
            let folder = so_far.parent().unwrap_or(Path::new("/"));
            let rest = components.as_path();
            let mut whole = folder.join(target);
            if rest != Path::new("") {
                whole.push(rest);
            }
            return Some((so_far, plain(&whole)));
        }
    }
    None
}

/// The path without `.` and `..`. Links before a `..` have been replaced by then, since links are taken from the left.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(unix)]
fn identity(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::metadata(folder).ok().map(|meta| meta.ino())
}

#[cfg(not(unix))]
fn identity(folder: &Path) -> Option<u64> {
    folder.is_dir().then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_on_the_way_has_its_folder_watched() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("mount/..v1")).unwrap();
        std::fs::create_dir(base.join("etc")).unwrap();
        std::fs::write(base.join("mount/..v1/agp.toml"), "").unwrap();
        std::os::unix::fs::symlink("..v1", base.join("mount/..data")).unwrap();
        std::os::unix::fs::symlink("..data/agp.toml", base.join("mount/agp.toml")).unwrap();
        std::os::unix::fs::symlink("../mount/agp.toml", base.join("etc/agp.toml")).unwrap();
        let found = on_the_way(&base.join("etc/agp.toml"));
        let wanted = [
            base.join("etc"),
            base.join("mount"),
            base.join("mount/..v1"),
        ];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_missing_folder_is_stood_in_for() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let found = on_the_way(&base.join("a/b/c.toml"));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [base]);
    }
}
