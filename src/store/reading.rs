//! What is read from a running store: a consistent view of what is committed. All of it blocks on the disk.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};

use tokio::sync::watch;

use super::crypt::DataKey;
use super::log::{self, Cursor, Filter, LogPage};
use super::open::Fault;
use super::query::Wanted;
use super::{
    Condition, LogRecord, RollUp, SignatureRecord, Store, StoreError, Tail, UsageBucket, UsageHead,
    UsageSums, query, tail, upkeep,
};
use crate::base::id::{KeyId, RequestId};
use crate::base::time::Timestamp;

impl Store {
    /// The newest log rows that match and are older than `cursor`, at most `limit` (and [`super::MAX_PAGE`]), without their tries.
    /// Blocks on the disk, for a bounded time: see [`LogPage`].
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn query(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let log = &self.0.shared.log;
        log.read(|txn| log::page(txn, filter, cursor, limit))
    }

    /// One log row with its tries; `None` where it is not (or no longer) there. Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn log_record(&self, id: RequestId) -> Result<Option<LogRecord>, StoreError> {
        self.0.shared.log.read(|txn| log::record(txn, id))
    }

    /// The quarter hours of one kind that begin in `from..to`, in order of time and name; those of one name only where it
    /// is given. Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn usage(
        &self,
        kind: RollUp,
        name: Option<&str>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageBucket>, StoreError> {
        let log = &self.0.shared.log;
        let names = name.map(|name| [name]);
        let wanted = Wanted {
            kind,
            names: names.as_ref().map(<[&str; 1]>::as_slice),
            from,
            to,
        };
        log.read(|txn| query::usage(txn, &wanted))
    }

    /// The sums of each name over the quarter hours that begin in `from..to`. Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn usage_totals(
        &self,
        kind: RollUp,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<HashMap<String, UsageSums>, StoreError> {
        let names = None;
        let wanted = Wanted {
            kind,
            names,
            from,
            to,
        };
        self.0.shared.log.read(|txn| query::totals(txn, &wanted))
    }

    /// The same without the histograms, which is quicker; of these names only where some are given.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn usage_heads(
        &self,
        kind: RollUp,
        names: Option<&[&str]>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<HashMap<String, UsageHead>, StoreError> {
        let wanted = Wanted {
            kind,
            names,
            from,
            to,
        };
        self.0.shared.log.read(|txn| query::heads(txn, &wanted))
    }

    /// The names of one kind that something was summed for from this time on, as far as `most` of the newest sums tell.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn usage_names(
        &self,
        kind: RollUp,
        from: Timestamp,
        most: usize,
    ) -> Result<BTreeSet<String>, StoreError> {
        let log = &self.0.shared.log;
        log.read(|txn| query::names(txn, kind, from, most))
    }

    /// Told after each commit of log rows: [`Self::log_after`] then has them.
    pub fn logged(&self) -> watch::Receiver<()> {
        self.0.shared.logged.subscribe()
    }

    /// The newest `limit` rows from number `from` on, in the order in which they were written, without their tries; with
    /// `u64::MAX` only where the log ends. Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn log_after(&self, from: u64, limit: u64) -> Result<Tail, StoreError> {
        self.0.shared.log.read(|txn| tail::after(txn, from, limit))
    }

    /// Visits the quarter hours of one kind that begin in `from..to`, in order of time and name, each with its begin and the
    /// name that it is kept for. Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read; some may have been visited.
    pub fn each_usage(
        &self,
        kind: RollUp,
        from: Timestamp,
        to: Timestamp,
        mut visit: impl FnMut(Timestamp, &str, UsageSums),
    ) -> Result<(), StoreError> {
        let names = None;
        let wanted = Wanted {
            kind,
            names,
            from,
            to,
        };
        let log = &self.0.shared.log;
        log.read(|txn| query::each_usage(txn, &wanted, &mut visit))
    }

    /// A signature by the id of a call, for those that [`Self::load`] had no room for. Blocks on the disk.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read.
    pub fn signature_of_call(
        &self,
        key: &KeyId,
        call_id: &str,
    ) -> Result<Option<SignatureRecord>, StoreError> {
        self.sealed(|txn, data_key| query::signature_of_call(txn, data_key, key.as_str(), call_id))
    }

    /// A signature by its digest: [`super::text_digest`] or [`super::call_digest`]. Blocks on the disk.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read.
    pub fn signature_of_digest(
        &self,
        key: &KeyId,
        digest: &[u8; 32],
    ) -> Result<Option<SignatureRecord>, StoreError> {
        self.sealed(|txn, data_key| query::signature_of_digest(txn, data_key, key.as_str(), digest))
    }

    /// The data key as it is kept, wrapped; `None` where nothing was ever encrypted. Blocks on the disk.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read.
    pub fn wrapped_key(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.shared.state.read(query::wrapped_key)
    }

    /// Wraps the data key anew, as [`super::KeyWrap`] wraps now, and gives it so; `None` where there is none. Blocks until
    /// it is on the disk.
    ///
    /// # Errors
    /// Where the key can't be opened or wrapped, or can't be written. The file is then as before.
    pub fn rewrap(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.rewrap(ack);
        match done.recv_timeout(self.0.shared.options.durable_wait) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => Err(StoreError::Slow),
            Err(RecvTimeoutError::Disconnected) => Err(StoreError::Closed),
        }
    }

    fn sealed<T>(
        &self,
        f: impl FnOnce(&redb::ReadTransaction, &DataKey) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, StoreError> {
        let shared = &self.0.shared;
        let key = shared.key.read().clone();
        match key {
            Some(key) => shared.state.read(|txn| f(txn, &key)),
            // Without a data key nothing was ever sealed.
            None => Ok(None),
        }
    }

    /// Writes what is queued, and copies `agp.redb` as it is then into a new file in its folder, for whoever asks to move
    /// away. Others go on writing meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// Where it can't be written; the store in memory has no folder.
    pub fn backup(&self) -> Result<PathBuf, StoreError> {
        let Some(dir) = &self.0.dir else {
            return Err(StoreError::Disk {
                file: "agp.redb (in memory)".to_owned(),
                detail: "expected a store in a folder".to_owned(),
            });
        };
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.flush(ack);
        match done.recv_timeout(self.0.shared.options.durable_wait) {
            // A failing log keeps nothing out of the backup.
            Ok(Err(error)) if self.health().state != Condition::Ok => return Err(error),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Err(StoreError::Slow),
            Err(RecvTimeoutError::Disconnected) => return Err(StoreError::Closed),
        }
        let to = upkeep::backup_name(dir).map_err(|error| StoreError::Disk {
            file: dir.display().to_string(),
            detail: error.to_string(),
        })?;
        let state = &self.0.shared.state;
        state.read(|txn| Ok(upkeep::copy_to(txn, &to)))??;
        Ok(to)
    }
}
