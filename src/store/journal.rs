//! The journal: an edit of several files, with all their texts, from before the first is written until all are. One at a
//! time, sealed, since texts may hold secrets. What is done with it is not decided here.

use std::fmt;
use std::sync::mpsc::sync_channel;

use redb::{ReadTransaction, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::crypt::DataKey;
use super::open::Fault;
use super::table::{self, JOURNAL};
use super::{Store, StoreError};

/// The one row's key: one thing at a time is under way.
const ROW: u64 = 0;

/// One file of an edit.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalFile {
    /// Its path as bytes: a path need not be UTF-8.
    pub path: Vec<u8>,
    /// Its bytes before the edit.
    pub before: Vec<u8>,
    /// Its bytes after it.
    pub after: Vec<u8>,
}

impl fmt::Debug for JournalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JournalFile({})", String::from_utf8_lossy(&self.path))
    }
}

/// An edit that is under way, its files in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// The files.
    pub files: Vec<JournalFile>,
}

impl JournalRecord {
    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let of = |file: &JournalFile| file.path.len() + file.before.len() + file.after.len() + 80;
        200 + self.files.iter().map(of).sum::<usize>()
    }
}

/// Writes the row. It is always encoded.
pub(super) fn write(
    txn: &WriteTransaction,
    key: &DataKey,
    record: &JournalRecord,
) -> Result<bool, Fault> {
    let value = table::seal(key, "journal", &[&ROW.to_le_bytes()], record).map_err(Fault::Key)?;
    txn.open_table(JOURNAL)?.insert(ROW, value.as_slice())?;
    Ok(true)
}

/// Takes the row out.
pub(super) fn clear(txn: &WriteTransaction) -> Result<bool, Fault> {
    txn.open_table(JOURNAL)?.remove(ROW)?;
    Ok(true)
}

/// The row, where there is one: `Err` where there is one that can't be read.
fn row(
    txn: &ReadTransaction,
    key: Option<&DataKey>,
) -> Result<Option<Result<JournalRecord, ()>>, Fault> {
    let journal = txn.open_table(JOURNAL)?;
    let Some(value) = journal.get(ROW)? else {
        return Ok(None);
    };
    let aad = ROW.to_le_bytes();
    let record = key.and_then(|key| table::open(key, "journal", &[&aad], value.value()));
    Ok(Some(record.ok_or(())))
}

impl Store {
    /// Keeps an edit that is about to begin; on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// Where it could not be written at once. It is then taken back.
    pub fn put_journal(&self, record: JournalRecord) -> Result<(), StoreError> {
        let outcome = self.durably(Change::Journal(record));
        if outcome.is_err() {
            // Else it would be written later, and believed at the next start.
            let (ack, _) = sync_channel(1);
            // With somebody to tell it is never dropped for want of room.
            self.0.shared.queue.put(Change::NoJournal, Some(ack));
        }
        outcome
    }

    /// Forgets the edit, which is done or undone; on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// Where it could not be written at once. It stays queued all the same.
    pub fn delete_journal(&self) -> Result<(), StoreError> {
        self.durably(Change::NoJournal)
    }

    /// The edit that was under way when the last run ended, or that could not be undone. Blocks on the disk.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read. A row that can't be opened is told in the log and passed over.
    pub fn journal(&self) -> Result<Option<JournalRecord>, StoreError> {
        let shared = &self.0.shared;
        let key = shared.key.read().clone();
        match shared.state.read(|txn| row(txn, key.as_deref()))? {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(())) => {
                tracing::warn!(
                    "an edit of the files was cut off, and what is kept of it can't be read"
                );
                Ok(None)
            }
        }
    }

    fn durably(&self, change: Change) -> Result<(), StoreError> {
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.put(change, Some(ack));
        self.answer(&done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;
    use crate::store::testing::NoKeys;

    fn edit(text: &str) -> JournalRecord {
        let file = |name: &str| JournalFile {
            path: name.into(),
            before: format!("{text} before").into(),
            after: format!("{text} after").into(),
        };
        JournalRecord {
            files: vec![file("agp.toml"), file("more.d/\u{fc}.toml")],
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_edit_is_there_for_the_next_run_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Store::open(
                folder.path(),
                std::sync::Arc::new(NoKeys),
                Options::default(),
            )
        };
        let store = open().unwrap();
        assert_eq!(store.journal().unwrap(), None);
        store.put_journal(edit("made-up-one")).unwrap();
        store.put_journal(edit("made-up-two")).unwrap();
        store.close().await;
        assert_eq!(store.put_journal(edit("late")), Err(StoreError::Closed));
        let bytes = std::fs::read(folder.path().join("agp.redb")).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"made-up"), "sealed");

        let store = open().unwrap();
        assert_eq!(store.journal().unwrap(), Some(edit("made-up-two")));
        store.delete_journal().unwrap();
        assert_eq!(store.journal().unwrap(), None);
        store.close().await;
        assert_eq!(open().unwrap().journal().unwrap(), None);
        assert!(!format!("{:?}", edit("made-up")).contains("made-up"));
    }
}
