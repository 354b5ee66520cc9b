//! The store's settings, its errors, and what it tells of itself.

use std::time::Duration;

use super::holder::Holder;
use super::login::SessionRecord;
use super::record::{
    AccountRecord, BudgetRecord, CatalogRecord, CooldownRecord, QuotaRecord, SignatureRecord,
    StandingRecord, TokenRecord,
};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;

/// Why the store could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{}", in_use(file, holder.as_ref()))]
    Locked {
        /// The file.
        file: String,
        /// Who has it open; `None` where that can't be told.
        holder: Option<Holder>,
    },
    /// The file was written by a newer agp.
    #[error(
        "`{file}` has schema {found}, this agp knows schemas up to {known}: use agp {needs} or newer"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its schema number.
        found: u32,
        /// The highest schema number known here.
        known: u32,
        /// The version of agp that introduced the file's schema.
        needs: String,
    },
    /// The file's content is damaged. It was neither moved nor made anew.
    #[error(
        "`{file}` is damaged: {detail}; `agp state check` tells more, `agp state restore FILE` puts back a backup; moving it away begins anew, which forgets rotated tokens"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        detail: String,
    },
    /// The data key can't be made, wrapped or unwrapped.
    #[error("the key of what is stored encrypted: {0}")]
    Key(String),
    /// The disk refused.
    #[error("`{file}`: {detail}")]
    Disk {
        /// The file.
        file: String,
        /// What the system said.
        detail: String,
    },
    /// The disk did not answer in time; the write stays queued.
    #[error("the disk takes too long; the write stays queued")]
    Slow,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// No thread could be started.
    #[error("the store's thread could not be started: {0}")]
    Thread(String),
}

/// What is in the way of opening a file, and what to do.
fn in_use(file: &str, holder: Option<&Holder>) -> String {
    let who = holder.map_or_else(|| "another process".to_owned(), Holder::to_string);
    format!("`{file}` is in use by {who}: stop that one, or give this one another `state.path`")
}

/// How long and how much is kept: agp-toml.md `[state]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Log rows older than this are forgotten.
    pub log_age: Duration,
    /// Log rows beyond this number are forgotten, the oldest first.
    pub log_rows: u64,
    /// Bytes of disk that `agp-log.redb` takes at most: before that, its oldest rows are forgotten.
    pub log_bytes: u64,
    /// Bodies of requests that began before this are forgotten.
    pub body_age: Duration,
    /// What is known of an account that left the configuration is forgotten after this; a list of models that was not
    /// renewed for so long too.
    pub orphan_age: Duration,
    /// Generations beyond this number are forgotten, the oldest first; 0 keeps none.
    pub history: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            log_age: Duration::from_hours(30 * 24),
            log_rows: 1_000_000,
            log_bytes: 2 << 30,
            body_age: Duration::from_hours(3 * 24),
            orphan_age: Duration::from_hours(30 * 24),
            history: 200,
        }
    }
}

/// Sizes and times of the store. The default is what the gateway uses; tests make them smaller.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is kept at first; [`super::Store::set_retention`] changes it.
    pub retention: Retention,
    /// Sums older than this are forgotten.
    pub usage_retention: Duration,
    /// A signature that was not used for so long is forgotten: a day at least, upstream-protocol.md 13.3.
    pub signature_life: Duration,
    /// Signatures beyond this number are forgotten, the longest unused first.
    pub max_signatures: usize,
    /// Most signatures that [`super::Store::load`] gives.
    pub load_signatures: usize,
    /// Most bytes of them.
    pub load_signature_bytes: usize,
    /// How long a write waits for others to join its transaction.
    pub gather: Duration,
    /// Least distance of two commits that nobody waits for.
    pub pace: Duration,
    /// How long a durable write waits for its commit before it says that the disk is slow.
    pub durable_wait: Duration,
    /// After a failure the first retry comes after this, each later one after twice as long.
    pub retry_min: Duration,
    /// Longest time between retries.
    pub retry_max: Duration,
    /// Most rows of the state file that wait, tokens not counted against it.
    pub queue_rows: usize,
    /// Most bytes of them.
    pub queue_row_bytes: usize,
    /// Most log rows that wait.
    pub queue_logs: usize,
    /// Most bytes of them.
    pub queue_log_bytes: usize,
    /// Most bytes held for bodies, from the begin of their requests until they are written.
    pub body_bytes: usize,
    /// Bytes that the texts of the history take at most; beyond that the oldest generations are forgotten.
    pub history_bytes: u64,
    /// redb's cache for each file, in bytes.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            usage_retention: Duration::from_hours(400 * 24),
            signature_life: Duration::from_hours(24),
            max_signatures: 50_000,
            load_signatures: 10_000,
            load_signature_bytes: 16 << 20,
            gather: Duration::from_millis(5),
            pace: Duration::from_millis(200),
            durable_wait: Duration::from_secs(5),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            queue_rows: 65_536,
            queue_row_bytes: 32 << 20,
            queue_logs: 16_384,
            queue_log_bytes: 16 << 20,
            body_bytes: 64 << 20,
            history_bytes: 64 << 20,
            cache_bytes: 8 << 20,
        }
    }
}

/// How writing a file goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// The last write went well.
    #[default]
    Ok,
    /// Writing fails; it is tried again and again.
    Failing {
        /// Since when.
        since: Timestamp,
        /// Why, at the last try.
        error: String,
    },
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Of `agp.redb`.
    pub state: Condition,
    /// Of `agp-log.redb`.
    pub log: Condition,
    /// Log rows that were lost since the start.
    pub dropped_logs: u64,
    /// Other writes that were lost since the start.
    pub dropped_writes: u64,
    /// Bodies that were lost since the start: for want of room, or since they could not be encrypted.
    pub dropped_bodies: u64,
    /// Log rows that wait.
    pub queued_logs: usize,
    /// Other writes that wait.
    pub queued_writes: usize,
    /// When something was last committed; `None` where nothing was since the start.
    pub last_commit: Option<Timestamp>,
}

impl Health {
    /// Whether both files can be written.
    pub fn is_ok(&self) -> bool {
        self.state == Condition::Ok && self.log == Condition::Ok
    }
}

/// What a start takes over from the last run.
#[derive(Debug, Default)]
pub struct Learned {
    /// Tokens; one whose fingerprint is not that of the configured credential is void.
    pub tokens: Vec<TokenRecord>,
    /// What is known of accounts.
    pub accounts: Vec<AccountRecord>,
    /// Quotas, however old.
    pub quotas: Vec<QuotaRecord>,
    /// Cooldowns, those too that ended within the last day: their counts are what doubling goes on from.
    pub cooldowns: Vec<CooldownRecord>,
    /// Accounts that were out of use, and why; one whose fingerprint is not that of the configured credential is void.
    pub standings: Vec<StandingRecord>,
    /// What keys and groups have used.
    pub budgets: Vec<BudgetRecord>,
    /// Lists of models, however old.
    pub catalogs: Vec<CatalogRecord>,
    /// Sessions at the panel, those too that have ended since.
    pub sessions: Vec<SessionRecord>,
    /// What they are signed with, where that was kept.
    pub signing: Option<Secret>,
    /// Signatures, the last used first.
    pub signatures: Vec<SignatureRecord>,
    /// Rows that could not be read. They are left as they are.
    pub unreadable: usize,
}
