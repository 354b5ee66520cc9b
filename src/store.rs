//! L2: what the gateway learns, in two redb files behind one writer thread.
//!
//! `agp.redb` holds tokens, accounts, quotas, cooldowns, signatures, lists of models, sign-ins and the history of the files; `agp-log.redb` holds the log, its
//! bodies where they are asked for, and its sums, and may be deleted while the gateway is stopped. There are two classes of writes: a *durable* one ([`Store::put_token`]) resolves
//! after the commit, every other is *relaxed*: it is queued, never blocks, and reaches the disk within a fraction of a
//! second. A full or failing disk stops nobody: the latest value of each row waits in memory, log rows wait up to a bound
//! and are counted beyond it, and writing resumes by itself. Nothing of redb leaks out of this module.

mod apply;
mod body;
mod change;
mod crypt;
#[cfg(test)]
mod fault;
mod history;
mod holder;
mod index;
mod journal;
mod log;
mod login;
mod migrate;
mod open;
mod place;
mod query;
mod queue;
mod reading;
mod record;
mod retain;
mod start;
mod table;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod types;
pub mod upkeep;
mod usage;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::id::{AccountId, KeyId, ModelName};
use crate::base::time::Timestamp;

pub use body::{BodyDraft, BodyPart, BodyRecord, MAX_BODY, Redact};
pub use crypt::KeyWrap;
pub use history::{FileText, Generation, GenerationRecord, PackedTexts};
pub use holder::Holder;
pub use journal::{JournalFile, JournalRecord};
pub use log::{Cursor, Filter, LogPage, MAX_PAGE, StatusFilter};
pub use login::SessionRecord;
pub use record::{
    AccountRecord, BookedRecord, BudgetOwner, BudgetRecord, CatalogModel, CatalogRecord,
    CooldownRecord, ErrorNote, LogRecord, MAX_CALL_IDS, MAX_MODELS, MAX_TRIES, MAX_VERDICTS,
    QuotaRecord, SignatureRecord, StandingRecord, TokenRecord, TryRecord, Verdict, call_digest,
    text_digest,
};
pub use tail::Tail;
pub use types::{Condition, Health, Learned, Options, Retention, StoreError};
pub use usage::{Histogram, RollUp, UsageBucket, UsageHead, UsageSums};

use change::Change;
use crypt::DataKey;
use open::File;
use place::{FilePlace, MemoryPlace, Place};
use start::{note_failure, share, start};
use writer::Shared;

/// A state file up to this size is verified page by page at opening; that takes about a second a gigabyte.
const CHECKED_SIZE: u64 = 64 << 20;

/// The store. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// The folder of the files; `None` in memory.
    dir: Option<PathBuf>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    /// The thread writes what is queued, and ends. [`Store::close`] waits for that, this does not.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.health()).finish()
    }
}

impl Store {
    /// Opens the store in a folder, which is made with mode 0700 where there is none. Blocks on the disk.
    ///
    /// A damaged log is set aside under a new name, told, and begun anew. A log file that the disk refuses is tried again
    /// later.
    ///
    /// # Errors
    /// Where a file is in use or of a newer agp, where `agp.redb` is damaged or can't be read, or where the data key in it
    /// can't be unwrapped. Nothing is moved or made anew then.
    pub fn open(dir: &Path, keys: Arc<dyn KeyWrap>, options: Options) -> Result<Self, StoreError> {
        place::make_dir(dir)?;
        let cache = options.cache_bytes;
        let state = FilePlace::new(dir.join("agp.redb"), cache).checked_up_to(CHECKED_SIZE);
        let log = FilePlace::new(dir.join("agp-log.redb"), cache);
        Self::open_in(Some(dir), Box::new(state), Box::new(log), keys, options)
    }

    /// A store without files, for tests and trials. What it holds is gone with its last clone.
    pub fn in_memory(keys: Arc<dyn KeyWrap>) -> Self {
        let state = File::state(Box::new(MemoryPlace("agp.redb")));
        let log = File::log(Box::new(MemoryPlace("agp-log.redb")));
        let options = Options {
            pace: Duration::ZERO,
            ..Options::default()
        };
        let shared = share(state, log, keys, options);
        for (file, which) in [(&shared.state, true), (&shared.log, false)] {
            if let Err(fault) = file.open(false) {
                note_failure(&shared, which, &file.tell(&fault));
            }
        }
        match start(Arc::clone(&shared), None) {
            Ok(store) => store,
            Err(error) => {
                note_failure(&shared, true, &error);
                shared.queue.end();
                Self(Arc::new(Inner {
                    shared,
                    dir: None,
                    thread: Mutex::new(None),
                }))
            }
        }
    }

    /// Opens the store wherever its files lie.
    #[cfg(test)]
    fn open_places(
        state: Box<dyn Place>,
        log: Box<dyn Place>,
        keys: Arc<dyn KeyWrap>,
        options: Options,
    ) -> Result<Self, StoreError> {
        Self::open_in(None, state, log, keys, options)
    }

    fn open_in(
        dir: Option<&Path>,
        state: Box<dyn Place>,
        log: Box<dyn Place>,
        keys: Arc<dyn KeyWrap>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let shared = share(File::state(state), File::log(log), keys, options);
        let state = &shared.state;
        state.open(false).map_err(|fault| state.tell(&fault))?;
        if let Some(wrapped) = state.read(query::wrapped_key)? {
            let bytes = shared.keys.unwrap(&wrapped).map_err(StoreError::Key)?;
            let key = DataKey::from_bytes(&bytes).map_err(StoreError::Key)?;
            *shared.key.write() = Some(Arc::new(key));
        }
        *shared.generation.lock() = state.read(query::generation)?;
        match shared.log.open_or_renew(false) {
            Ok(_) => {}
            Err(fault) => match shared.log.tell(&fault) {
                error @ (StoreError::Locked { .. } | StoreError::Newer { .. }) => {
                    return Err(error);
                }
                error => {
                    tracing::warn!(error = %error, "log can't be opened; it is tried again");
                    note_failure(&shared, false, &error);
                }
            },
        }
        start(shared, dir)
    }

    /// Everything that a start takes over. Blocks on the disk.
    ///
    /// # Errors
    /// Where `agp.redb` can't be read.
    pub fn load(&self) -> Result<Learned, StoreError> {
        let shared = &self.0.shared;
        let key = shared.key.read().clone();
        let now = Timestamp::now();
        let learned = shared
            .state
            .read(|txn| query::learned(txn, key.as_deref(), now, &shared.options))?;
        if learned.unreadable > 0 {
            tracing::warn!(rows = learned.unreadable, "stored rows can't be read");
        }
        Ok(learned)
    }

    /// Keeps a token; resolves once it is on the disk.
    ///
    /// # Errors
    /// Where it could not be written at once. It stays queued all the same, so the caller goes on with the token.
    pub async fn put_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.put(Change::Token(token), Some(ack));
        self.wait(done).await
    }

    /// Keeps a token without waiting: for one whose refresh token did not rotate.
    pub fn put_token_relaxed(&self, token: TokenRecord) {
        self.0.shared.queue.put(Change::Token(token), None);
    }

    /// Keeps what discovery found out.
    pub fn put_account(&self, account: AccountRecord) {
        self.0.shared.queue.put(Change::Account(account), None);
    }

    /// Keeps a quota.
    pub fn put_quota(&self, quota: QuotaRecord) {
        self.0.shared.queue.put(Change::Quota(quota), None);
    }

    /// Keeps a cooldown.
    pub fn put_cooldown(&self, cooldown: CooldownRecord) {
        self.0.shared.queue.put(Change::Cooldown(cooldown), None);
    }

    /// Forgets a cooldown: that of the whole account where no model is given.
    pub fn delete_cooldown(&self, account: AccountId, model: Option<ModelName>) {
        let change = Change::NoCooldown(account, model);
        self.0.shared.queue.put(change, None);
    }

    /// Keeps why an account is out of use, or that it is on trial.
    pub fn put_standing(&self, mut standing: StandingRecord) {
        standing.bound();
        self.0.shared.queue.put(Change::Standing(standing), None);
    }

    /// Forgets why an account was out of use: it is in use again.
    pub fn delete_standing(&self, account: AccountId) {
        self.0.shared.queue.put(Change::NoStanding(account), None);
    }

    /// Keeps what a key or a group has used. The record is queued before this returns, so that several of one owner stay in
    /// their order; what it returns resolves once the record is on the disk.
    ///
    /// # Errors
    /// Where it could not be written at once. It stays queued all the same.
    pub fn put_budget(
        &self,
        budget: BudgetRecord,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.put(Change::Budget(budget), Some(ack));
        let store = self.clone();
        async move { store.wait(done).await }
    }

    /// The same without waiting.
    pub fn put_budget_relaxed(&self, budget: BudgetRecord) {
        self.0.shared.queue.put(Change::Budget(budget), None);
    }

    /// Forgets what a key or a group has used.
    pub fn delete_budget(&self, owner: BudgetOwner) {
        self.0.shared.queue.put(Change::NoBudget(owner), None);
    }

    /// Keeps an upstream's list of models.
    pub fn put_catalog(&self, mut catalog: CatalogRecord) {
        catalog.bound();
        self.0.shared.queue.put(Change::Catalog(catalog), None);
    }

    /// Tells which accounts the configuration names. What is known of others is kept for their return, for as long as
    /// [`Retention::orphan_age`] from the first time they were missing.
    pub fn set_present(&self, accounts: Vec<AccountId>, now: Timestamp) {
        let change = Change::Present(accounts, now);
        self.0.shared.queue.put(change, None);
    }

    /// Changes how long and how much is kept, from now on.
    pub fn set_retention(&self, retention: Retention) {
        *self.0.shared.retention.lock() = retention;
        self.0.shared.queue.ask_trim();
    }

    /// Keeps a signature. One of the same digest is replaced, and keeps its call ids.
    pub fn put_signature(&self, signature: SignatureRecord) {
        self.0.shared.queue.put(Change::Signature(signature), None);
    }

    /// Notes that a signature was used, so that it lives on.
    pub fn touch_signature(&self, key: KeyId, digest: [u8; 32], at: Timestamp) {
        self.0
            .shared
            .queue
            .put(Change::Touch(key, digest, at), None);
    }

    /// Queues a log row; a row for which there is no room is dropped and counted.
    pub fn log(&self, record: LogRecord) {
        self.0.shared.queue.log(record);
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        let shared = &self.0.shared;
        let sizes = shared.queue.sizes();
        let status = shared.status.lock().clone();
        Health {
            state: status.state,
            log: status.log,
            dropped_logs: sizes.dropped_logs,
            dropped_writes: sizes.dropped_rows,
            dropped_bodies: shared.room.dropped(),
            queued_logs: sizes.logs,
            queued_writes: sizes.rows,
            last_commit: status.last_commit,
        }
    }

    /// Writes all that is queued now; resolves once it is on the disk.
    ///
    /// # Errors
    /// Where something could not be written. It stays queued.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let (ack, done) = sync_channel(1);
        self.0.shared.queue.flush(ack);
        self.wait(done).await
    }

    /// Waits for the writer's word on a blocking thread: a timer of tokio's would run ahead of the disk in tests with
    /// paused time.
    async fn wait(&self, done: Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
        let store = self.clone();
        let outcome = tokio::task::spawn_blocking(move || store.answer(&done)).await;
        outcome.unwrap_or(Err(StoreError::Closed))
    }

    /// The writer's word. Blocks.
    fn answer(&self, done: &Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
        match done.recv_timeout(self.0.shared.options.durable_wait) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => Err(StoreError::Slow),
            Err(RecvTimeoutError::Disconnected) => Err(StoreError::Closed),
        }
    }

    /// Writes what is queued, closes both files, and resolves once that is done. What comes later is dropped and counted.
    /// Waits as long as the disk takes: bound it where that matters.
    pub async fn close(&self) {
        self.0.shared.queue.close();
        let thread = self.0.thread.lock().take();
        if let Some(thread) = thread {
            let ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !matches!(ended, Ok(true)) {
                tracing::error!("the store's thread ended with a panic");
            }
            let lost = self.0.shared.queue.sizes();
            if lost.dropped_rows + lost.dropped_logs > 0 {
                tracing::warn!(
                    writes = lost.dropped_rows,
                    logs = lost.dropped_logs,
                    "the store lost writes in this run"
                );
            }
        }
    }
}
