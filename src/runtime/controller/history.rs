//! Generations and the store's history: who put what in force, and the texts of what was in force before.

use std::path::Path;
use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::config::edit::Intent;
use crate::config::model::Config;
use crate::config::plan::{self, Facts, MarkKey, Plan};
use crate::config::source::{File, Files, Revision, folder_of};
use crate::config::{self, edit};
use crate::runtime::controller::{Controller, Done, NotDone, Places, Read, wire};
use crate::runtime::keyring::Keyring;
use crate::runtime::registry::Registry;
use crate::runtime::snapshot::Snapshot;
use crate::store::{FileText, GenerationRecord, PackedTexts, Store};

/// Who changes the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// `cli:UID`, `token:NAME`, `password@ADDRESS`, or `file` for a change made by hand.
    pub who: String,
    /// An address, `socket`, or for a change made by hand how it was found: `start` or `reload`.
    pub from: String,
}

impl By {
    /// A change made by hand.
    fn hand(from: &str) -> Self {
        Self {
            who: "file".to_owned(),
            from: from.to_owned(),
        }
    }
}

/// What is asked for, in words; of many changes the first few.
pub(super) fn words(intents: &[Intent]) -> String {
    const TOLD: usize = 5;
    let mut words: Vec<String> = (intents.iter().take(TOLD))
        .map(ToString::to_string)
        .collect();
    if let Some(more) = intents.len().checked_sub(TOLD).filter(|n| *n > 0) {
        words.push(format!("{more} more"));
    }
    words.join("; ")
}

/// What became of a change of the files, for the log.
pub(super) fn tell(words: &str, done: &Result<Done, NotDone>) {
    match done {
        Ok(done) if done.saved => {
            tracing::info!(edit = words, revision = %done.revision, "files edited");
        }
        Ok(_) => {}
        Err(error) => tracing::info!(edit = words, "not edited: {}", error.message()),
    }
}

/// What a generation comes from.
#[derive(Debug)]
pub(super) struct Cause {
    by: By,
    /// What was asked for, in words.
    words: Option<String>,
}

impl Cause {
    /// The files changed by hand.
    pub(super) fn hand() -> Self {
        Self {
            by: By::hand("reload"),
            words: None,
        }
    }

    /// Somebody asked for it.
    pub(super) fn asked(by: By, words: String) -> Self {
        Self {
            by,
            words: Some(words),
        }
    }

    /// The entry of the generation that it leads to, in which `what` changes.
    fn record(self, generation: u64, revision: Revision, what: &str) -> GenerationRecord {
        GenerationRecord {
            generation,
            revision: revision.0,
            at: Timestamp::now(),
            who: self.by.who,
            from: self.by.from,
            what: match self.words {
                Some(words) if what.is_empty() => words,
                Some(words) => format!("{words} ({what})"),
                None if what.is_empty() => "texts without effect".to_owned(),
                None => what.to_owned(),
            },
            bytes: 0,
        }
    }
}

/// What a new generation adds to the history.
#[derive(Debug)]
pub(super) struct Entry {
    /// What changes, in a line.
    pub(super) what: String,
    /// The texts; `None` where the generation stays the same.
    pub(super) texts: Option<PackedTexts>,
}

/// The texts of files for the store, with their paths below the root file's folder.
pub(super) fn packed(files: &Files) -> PackedTexts {
    let folder = files.root().map_or(Path::new(""), File::folder);
    let texts = files.iter().map(|file| {
        let path = edit::below(&file.path, folder);
        (path.to_string_lossy().into_owned(), &*file.text)
    });
    PackedTexts::new(texts)
}

/// What the store kept, as the files that it was.
pub(super) fn unpacked(texts: Vec<FileText>, root: &Path) -> Files {
    let folder = folder_of(root);
    let files = texts.into_iter().map(|file| {
        // As the reading of the files makes it: the root as it is given, the others joined to its folder.
        let path = match root.file_name() {
            Some(name) if *name == *file.path => root.to_owned(),
            _ => folder.join(&file.path),
        };
        (path, file.text)
    });
    Files::from_texts(files)
}

/// What taking one configuration's place by another would change. Neither side leaves the program.
pub(super) fn compare(before: &Config, after: &Config, root: &Path) -> Plan {
    let folder = root.parent().unwrap_or(Path::new(""));
    let key = MarkKey::new([0; 32]);
    let facts = |config| Facts::of(config, folder, &key);
    plan::plan(&facts(before), &facts(after), Timestamp::now())
}

/// What changes, in a line.
pub(super) fn what(before: &Config, after: &Config, root: &Path) -> String {
    compare(before, after, root).summary()
}

impl Controller {
    /// Puts a snapshot in force that is a new generation.
    pub(super) fn put_numbered(&self, snapshot: Snapshot, read: &Read, cause: Cause, entry: Entry) {
        let record = cause.record(snapshot.generation, read.files.revision(), &entry.what);
        self.put(snapshot);
        self.runtime.reload.lock().applied = Some(Arc::new(record.clone()));
        let texts = entry.texts.unwrap_or_else(|| packed(&read.files));
        let generation = record.generation;
        // So that the number is never used again, also after a restart; nothing waits for the disk.
        let kept = self.runtime.store.put_generation(record, texts);
        self.runtime.tasks.spawn(async move {
            if let Err(error) = kept.await {
                tracing::warn!(generation, %error, "the generation is not in the history yet");
            }
        });
    }
}

/// The generation that a start begins with.
#[derive(Debug)]
pub struct Beginning {
    record: GenerationRecord,
    /// Its texts, where it is a new one.
    texts: Option<PackedTexts>,
}

impl Beginning {
    /// Its snapshot, and its entry of the history. Where it is new it is kept first; that takes until it is on the disk, or a
    /// while where the disk fails.
    ///
    /// # Errors
    /// A line for each secret that can't be read; nothing is kept then.
    pub async fn wired(
        self,
        store: &Store,
        read: &Read,
        registry: &Registry,
        keyring: &Keyring,
    ) -> Result<(Snapshot, GenerationRecord), String> {
        let Self { record, texts } = self;
        let first = wire(read, registry, keyring, None, record.generation);
        let first = first.map_err(|errors| errors.join("\n"))?;
        if let Some(texts) = texts
            && let Err(error) = store.put_generation(record.clone(), texts).await
        {
            tracing::warn!(%error, "the generation is not in the history yet");
        }
        Ok((first, record))
    }
}

/// The generation that the files as read are: the one that was in force last where they say the same as then, else a new
/// one. Blocks on the disk.
pub fn begin(store: &Store, read: &Read, places: &Places) -> Beginning {
    let newest = store.history(1).unwrap_or_else(|error| {
        tracing::warn!(%error, "the history can't be read");
        Vec::new()
    });
    let newest = newest.into_iter().next();
    let (generation, revision) = (store.upcoming_generation(), read.files.revision());
    // A number without an entry is of files that nobody knows any more.
    let last = newest.filter(|record| record.generation + 1 == generation);
    let what = match last {
        Some(record) if record.revision == revision.0 => {
            return Beginning {
                record,
                texts: None,
            };
        }
        Some(record) => {
            let texts = store.generation(record.generation).ok().flatten();
            let before = texts.and_then(|found| Some(unpacked(found.texts?, &places.root)));
            let before = before.and_then(|files| config_of(&files));
            before.map_or_else(
                || "found at the start".to_owned(),
                |before| {
                    let what = what(&before, &read.config, &places.root);
                    format!("found at the start ({what})")
                },
            )
        }
        None => "what there was at the start".to_owned(),
    };
    let cause = Cause {
        by: By::hand("start"),
        words: None,
    };
    Beginning {
        record: cause.record(generation, revision, &what),
        texts: Some(packed(&read.files)),
    }
}

/// What files say in this environment; `None` where they have errors.
pub(super) fn config_of(files: &Files) -> Option<Config> {
    config::load(files, config::environment().into_iter()).config
}
