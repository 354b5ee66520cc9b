//! The history: every generation that was in force, with the full texts of its files. What is told of one stands in clear,
//! as the log's rows do; the texts may hold secrets, so they are compressed and sealed, in a table of their own: a list
//! of generations opens none of them.
//!
//! A generation's number and its entry are queued together, so that they reach the disk in one transaction. While the
//! disk fails entries wait within half of the queue's room, so that the rest of it is left to others; what is beyond
//! that is dropped and counted.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::mpsc::sync_channel;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata as _, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::crypt::DataKey;
use super::open::Fault;
use super::record::cut;
use super::table::{self, HISTORY, HISTORY_TEXT};
use super::{Store, StoreError};
use crate::base::time::Timestamp;

/// Of the room for all texts, one generation takes at most one part of so many: of a larger one only the entry is kept.
const PART: u64 = 4;
/// Most bytes of texts that an entry is unpacked to: more was never packed.
const MAX_UNPACKED: u64 = 128 << 20;
/// Longest name of who changed something, in bytes.
const MAX_WHO: usize = 200;
/// Longest account of what changed, in bytes.
const MAX_WHAT: usize = 1000;

/// What is told of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// Its number.
    pub generation: u64,
    /// The revision of its files.
    pub revision: [u8; 32],
    /// When it was put in force.
    pub at: Timestamp,
    /// Who changed the files.
    pub who: String,
    /// From where.
    pub from: String,
    /// What changed, in words.
    pub what: String,
    /// Bytes that its texts take in the store; 0 where they are not kept.
    pub bytes: u64,
}

impl GenerationRecord {
    fn bound(&mut self) {
        cut(&mut self.who, MAX_WHO);
        cut(&mut self.from, MAX_WHO);
        cut(&mut self.what, MAX_WHAT);
    }

    fn weight(&self) -> usize {
        200 + self.who.len() + self.from.len() + self.what.len()
    }
}

/// One file of a generation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileText {
    /// Its path, relative to the root file's folder where it is below it.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl fmt::Debug for FileText {
    /// A text may hold secrets: only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileText({}, {} bytes)", self.path, self.text.len())
    }
}

/// A generation that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// What is told of it.
    pub record: GenerationRecord,
    /// Its files, the root first; `None` where they are not kept or can't be opened.
    pub texts: Option<Vec<FileText>>,
}

/// The texts of a generation, compressed.
#[derive(Clone)]
pub struct PackedTexts(Option<Vec<u8>>);

impl fmt::Debug for PackedTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_ref().map(Vec::len);
        f.debug_tuple("PackedTexts").field(&bytes).finish()
    }
}

impl PackedTexts {
    /// Compresses the texts of files, each with its path, the root first. Takes about a second for each 50 MB.
    pub fn new<'t>(files: impl IntoIterator<Item = (String, &'t str)>) -> Self {
        let files: Vec<(String, &str)> = files.into_iter().collect();
        let packed = table::encode(&files).and_then(|plain| {
            let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
            deflate.write_all(&plain).ok()?;
            deflate.finish().ok()
        });
        Self(packed)
    }

    /// Without texts that take more than so many bytes.
    fn within(self, most: u64) -> Self {
        let bytes = self.0.as_ref().map_or(0, Vec::len);
        if bytes as u64 <= most {
            return self;
        }
        tracing::warn!(
            bytes,
            most,
            "the files are too large for the history: only what changed is kept"
        );
        Self(None)
    }
}

fn unpack(packed: &[u8]) -> Option<Vec<FileText>> {
    let mut plain = Vec::new();
    let inflate = DeflateDecoder::new(packed);
    inflate.take(MAX_UNPACKED).read_to_end(&mut plain).ok()?;
    table::decode(&plain)
}

/// A generation that is to be kept.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) record: GenerationRecord,
    texts: PackedTexts,
}

impl Applied {
    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.record.weight() + self.texts.0.as_ref().map_or(0, Vec::len)
    }
}

/// Writes an entry; without a key only what is told of it, never a text in clear. Whether it could be encoded.
pub(super) fn write(
    txn: &WriteTransaction,
    key: Option<&DataKey>,
    applied: &Applied,
) -> Result<bool, Fault> {
    let mut record = applied.record.clone();
    let generation = record.generation;
    let sealed = match (key, &applied.texts.0) {
        (Some(key), Some(texts)) => {
            let row = generation.to_be_bytes();
            Some(key.seal("history", &[&row], texts).map_err(Fault::Key)?)
        }
        _ => None,
    };
    record.bytes = sealed.as_ref().map_or(0, |sealed| sealed.len() as u64);
    if let Some(sealed) = sealed {
        txn.open_table(HISTORY_TEXT)?
            .insert(generation, sealed.as_slice())?;
    }
    let Some(value) = table::encode(&record) else {
        return Ok(false);
    };
    txn.open_table(HISTORY)?
        .insert(generation, value.as_slice())?;
    Ok(true)
}

/// Forgets the oldest generations beyond so many, and those beyond whose texts there are so many bytes. Gives how many it
/// forgot.
pub(super) fn trim(txn: &WriteTransaction, most: u64, most_bytes: u64) -> Result<usize, Fault> {
    let mut history = txn.open_table(HISTORY)?;
    let mut surplus = history.len()?.saturating_sub(most);
    let mut sizes = Vec::new();
    for row in history.iter()? {
        let (generation, value) = row?;
        // One that can't be read is of no use, and takes its room all the same.
        let record: Option<GenerationRecord> = table::decode(value.value());
        sizes.push((generation.value(), record.map_or(0, |record| record.bytes)));
    }
    let mut bytes: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let mut texts = txn.open_table(HISTORY_TEXT)?;
    let mut removed = 0;
    for (generation, size) in sizes {
        if surplus == 0 && bytes <= most_bytes {
            break;
        }
        history.remove(generation)?;
        texts.remove(generation)?;
        surplus = surplus.saturating_sub(1);
        bytes = bytes.saturating_sub(size);
        removed += 1;
    }
    Ok(removed)
}

fn open(key: Option<&DataKey>, generation: u64, value: &[u8]) -> Option<Vec<FileText>> {
    let opened = key?.open("history", &[&generation.to_be_bytes()], value)?;
    unpack(&opened)
}

/// How many entries, and how many texts, can't be read.
pub(super) fn unreadable(txn: &ReadTransaction, key: Option<&DataKey>) -> Result<usize, Fault> {
    let mut unreadable = 0;
    for row in txn.open_table(HISTORY)?.iter()? {
        let record: Option<GenerationRecord> = table::decode(row?.1.value());
        unreadable += usize::from(record.is_none());
    }
    for row in txn.open_table(HISTORY_TEXT)?.iter()? {
        let (generation, value) = row?;
        unreadable += usize::from(open(key, generation.value(), value.value()).is_none());
    }
    Ok(unreadable)
}

impl Store {
    /// The number that the next generation gets: higher than any before.
    pub fn upcoming_generation(&self) -> u64 {
        *self.0.shared.generation.lock()
    }

    /// Keeps a generation that is in force, so that its number is never used again. Both are queued before this returns;
    /// what it returns resolves once they are on the disk.
    ///
    /// # Errors
    /// Where they could not be written at once. They stay queued, within bounds: see the module.
    pub fn put_generation(
        &self,
        mut record: GenerationRecord,
        texts: PackedTexts,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        record.bound();
        let shared = &self.0.shared;
        let (ack, done) = sync_channel(1);
        {
            let mut next = shared.generation.lock();
            *next = (*next).max(record.generation + 1);
            // Both under the lock, so that the numbers are queued in their order. The entry goes first, since the writer is
            // woken by the one that somebody waits for.
            if shared.retention.lock().history > 0 {
                let texts = texts.within(shared.options.history_bytes / PART);
                let applied = Change::Applied(Box::new(Applied { record, texts }));
                shared.queue.put(applied, None);
            }
            shared.queue.put(Change::Generation(*next), Some(ack));
        }
        let store = self.clone();
        async move { store.wait(done).await }
    }

    /// The newest generations, newest first, at most so many. Blocks on the disk, also for what is queued.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read. Entries that can't be read are passed over.
    pub fn history(&self, most: usize) -> Result<Vec<GenerationRecord>, StoreError> {
        self.settle();
        self.0.shared.state.read(|txn| {
            let mut found = Vec::new();
            for row in txn.open_table(HISTORY)?.iter()?.rev() {
                if found.len() >= most {
                    break;
                }
                found.extend(table::decode::<GenerationRecord>(row?.1.value()));
            }
            Ok(found)
        })
    }

    /// A generation with its texts; `None` where it is not kept. Blocks on the disk, also for what is queued.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read.
    pub fn generation(&self, generation: u64) -> Result<Option<Generation>, StoreError> {
        self.settle();
        let shared = &self.0.shared;
        let key = shared.key.read().clone();
        shared.state.read(|txn| {
            let history = txn.open_table(HISTORY)?;
            let Some(value) = history.get(generation)? else {
                return Ok(None);
            };
            let Some(record) = table::decode::<GenerationRecord>(value.value()) else {
                return Ok(None);
            };
            let texts = txn.open_table(HISTORY_TEXT)?.get(generation)?;
            let texts = texts.and_then(|value| open(key.as_deref(), generation, value.value()));
            Ok(Some(Generation { record, texts }))
        })
    }

    /// The texts of a revision, from the newest generation that had it. Blocks on the disk.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read.
    pub fn texts_of(&self, revision: [u8; 32]) -> Result<Option<Vec<FileText>>, StoreError> {
        let known = self.history(usize::MAX)?;
        let found = known.iter().find(|r| r.revision == revision && r.bytes > 0);
        let Some(found) = found else {
            return Ok(None);
        };
        let generation = self.generation(found.generation)?;
        Ok(generation.and_then(|found| found.texts))
    }

    /// Writes what is queued, or gives up after a while: what is read then is what was committed before.
    fn settle(&self) {
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.flush(ack);
        if let Ok(Err(error)) = done.recv_timeout(self.0.shared.options.durable_wait) {
            tracing::debug!(%error, "read without what is queued");
        }
    }
}
