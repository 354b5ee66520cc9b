//! The writer thread: the only one that writes either file. It gathers what is queued into one transaction a file, and
//! goes on when a disk fails: what could not be written waits in the queue, and is tried again later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use redb::WriteTransaction;
use tokio::sync::watch;

mod bodies;
mod lane;
mod rewrap;

use super::body::Room;
use super::crypt::{DataKey, KeyWrap};
use super::open::{Fault, File, guarded};
use super::queue::{BATCH, Queue};
use super::record::LogRecord;
use super::retain::{self, Step};
use super::{Condition, Options, Retention, StoreError, apply, history, log};
use crate::base::time::Timestamp;
use lane::Lane;
pub(super) use rewrap::rewrap;

/// Between two looks for rows to forget.
const TRIM_EVERY: Duration = Duration::from_mins(1);
/// Between two steps while more is to be forgotten: the queue goes first.
const TRIM_PAUSE: Duration = Duration::from_millis(10);
/// So many log rows bring the next look forward.
const TRIM_AFTER_ROWS: usize = 10_000;
/// And so much of what the log file may take: one part of so many.
const TRIM_AFTER_PART: u64 = 64;

/// What the writer thread and everybody else share.
pub(super) struct Shared {
    pub(super) queue: Queue,
    /// What is held for bodies.
    pub(super) room: Arc<Room>,
    pub(super) state: File,
    pub(super) log: File,
    /// Unwrapped at opening, or made by the writer on first need.
    pub(super) key: RwLock<Option<Arc<DataKey>>>,
    pub(super) keys: Arc<dyn KeyWrap>,
    pub(super) options: Options,
    pub(super) retention: Mutex<Retention>,
    pub(super) status: Mutex<Status>,
    /// The next generation number.
    pub(super) generation: Mutex<u64>,
    /// Told after each commit of log rows.
    pub(super) logged: watch::Sender<()>,
}

/// How writing goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Status {
    pub(super) state: Condition,
    pub(super) log: Condition,
    pub(super) last_commit: Option<Timestamp>,
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    State,
    Log,
}

/// The writer thread's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    state: Lane,
    log: Lane,
    /// A data key that is in use but not yet written.
    unsaved_key: Option<Vec<u8>>,
    /// Whether it was told that bodies can't be kept.
    told_no_bodies: bool,
    next_trim: Instant,
    rows_since_trim: usize,
    bytes_since_trim: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let lane = Lane::new(&shared.options);
        Self {
            shared,
            state: lane,
            log: lane,
            unsaved_key: None,
            told_no_bodies: false,
            next_trim: Instant::now() + TRIM_PAUSE,
            rows_since_trim: 0,
            bytes_since_trim: 0,
        }
    }

    /// Writes until the store is closed.
    pub(super) fn run(mut self) {
        loop {
            let (state, log, trim) = (self.state, self.log, self.next_trim);
            let options = &self.shared.options;
            self.shared.queue.wait(|rows, logs| {
                let rows = state.due(rows, options).unwrap_or(trim);
                let logs = log.due(logs, options).unwrap_or(trim);
                rows.min(logs).min(trim)
            });
            if self.shared.queue.take_trim_asked() {
                self.next_trim = Instant::now();
            }
            for ack in self.shared.queue.take_rewraps() {
                let _ = ack.try_send(self.rewrap());
            }
            let flushes = self.shared.queue.take_flushes();
            let closing = self.shared.queue.closing();
            if closing || !flushes.is_empty() {
                let outcome = self.drain();
                for ack in flushes {
                    let _ = ack.try_send(outcome.clone());
                }
                if closing {
                    break;
                }
            }
            // After a flush too: who flushes again and again must not keep rows from being forgotten.
            self.turn();
        }
        self.shared.queue.end();
        self.shared.state.close();
        self.shared.log.close();
    }

    /// Does what is due.
    fn turn(&mut self) {
        let now = Instant::now();
        let options = &self.shared.options;
        let (rows, logs) = self.shared.queue.backlogs();
        let rows_due = self.state.due(rows, options).is_some_and(|at| at <= now);
        let logs_due = self.log.due(logs, options).is_some_and(|at| at <= now);
        // The outcome is told by status and acknowledgements.
        if rows_due {
            let _ = self.write_rows();
        }
        if logs_due {
            let _ = self.write_logs().and_then(|()| self.write_bodies());
        }
        if self.next_trim <= now {
            self.trim();
        }
    }

    /// Writes all that waits at this moment, whatever its time; stops at the first failure of each file.
    fn drain(&mut self) -> Result<(), StoreError> {
        let (rows, logs) = self.shared.queue.backlogs();
        let rows = (0..rows.len.div_ceil(BATCH)).try_for_each(|_| self.write_rows());
        let logs = (0..logs.len.div_ceil(BATCH)).try_for_each(|_| self.write_logs());
        let bodies = self.drain_bodies();
        rows.and(logs).and(bodies)
    }

    fn write_rows(&mut self) -> Result<(), StoreError> {
        let mut items = self.shared.queue.take_rows();
        if items.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let of_history = apply::wants_key(&items);
        let ready = if apply::needs_key(&items) {
            self.ensure_key()
        } else {
            if of_history && let Err(Fault::Key(why)) = self.ensure_key() {
                tracing::warn!(why, "the history keeps no texts: they can't be encrypted");
            }
            Ok(())
        };
        let most = shared.retention.lock().history.into();
        let most_bytes = shared.options.history_bytes;
        let result = ready.and_then(|()| {
            let key = shared.key.read().clone();
            attempt(&shared.state, false, |txn| {
                if let Some(wrapped) = &self.unsaved_key {
                    apply::write_key(txn, wrapped)?;
                }
                let lost = apply::state(txn, &items, key.as_deref())?;
                if of_history {
                    history::trim(txn, most, most_bytes)?;
                }
                Ok((lost, true))
            })
        });
        let outcome = match result {
            Ok(lost) => {
                self.unsaved_key = None;
                self.shared.queue.count_dropped_rows(lost);
                self.settle(Which::State, None);
                Ok(())
            }
            Err(fault) => Err(self.settle(Which::State, Some(&fault))),
        };
        let outcome = outcome.map_err(|e| e.unwrap_or(StoreError::Closed));
        for item in &mut items {
            for ack in item.acks.drain(..) {
                let _ = ack.try_send(outcome.clone());
            }
        }
        if outcome.is_err() {
            self.shared.queue.restore_rows(items);
        }
        outcome
    }

    fn write_logs(&mut self) -> Result<(), StoreError> {
        let records = self.shared.queue.take_logs();
        if records.is_empty() {
            return Ok(());
        }
        let result = attempt(&self.shared.log, true, |txn| {
            Ok((log::append(txn, &records)?, true))
        });
        match result {
            Ok(lost) => {
                self.shared.queue.done_logs(lost);
                self.settle(Which::Log, None);
                self.shared.logged.send_replace(());
                self.grew(records.len(), records.iter().map(LogRecord::weight).sum());
                Ok(())
            }
            Err(fault) => {
                let error = self.settle(Which::Log, Some(&fault));
                self.shared.queue.restore_logs(records);
                Err(error.unwrap_or(StoreError::Closed))
            }
        }
    }

    /// The log has so much more in it: after much the next look for rows to forget comes forward.
    fn grew(&mut self, rows: usize, bytes: usize) {
        self.rows_since_trim += rows;
        self.bytes_since_trim += bytes as u64;
        let many = self.shared.retention.lock().log_bytes / TRIM_AFTER_PART;
        if self.rows_since_trim >= TRIM_AFTER_ROWS || self.bytes_since_trim >= many {
            self.next_trim = self.next_trim.min(Instant::now());
        }
    }

    /// Makes the data key where there is none. It is written with the first value that it seals.
    fn ensure_key(&mut self) -> Result<(), Fault> {
        if self.shared.key.read().is_some() {
            return Ok(());
        }
        let (key, bytes) = DataKey::generate().map_err(Fault::Key)?;
        let wrapped = self.shared.keys.wrap(&bytes).map_err(Fault::Key)?;
        self.unsaved_key = Some(wrapped);
        *self.shared.key.write() = Some(Arc::new(key));
        Ok(())
    }

    /// One step of forgetting in each file that can be written.
    fn trim(&mut self) {
        let options = &self.shared.options;
        let retention = *self.shared.retention.lock();
        let (used, now) = (self.shared.log.place.used(), Timestamp::now());
        let (mut more, mut faults) = (false, Vec::new());
        if self.state.retry_at.is_none() {
            match attempt(&self.shared.state, false, |txn| {
                let step = retain::trim_state(txn, now, options, &retention)?;
                Ok((step, step.changed))
            }) {
                Ok(Step { more: left, .. }) => more |= left,
                Err(fault) => faults.push((Which::State, fault)),
            }
        }
        if self.log.retry_at.is_none() {
            match attempt(&self.shared.log, true, |txn| {
                let step = retain::trim_log(txn, now, options.usage_retention, &retention, used)?;
                Ok((step, step.changed))
            }) {
                Ok(Step { more: left, .. }) => more |= left,
                Err(fault) => faults.push((Which::Log, fault)),
            }
        }
        for (which, fault) in faults {
            self.settle(which, Some(&fault));
        }
        (self.rows_since_trim, self.bytes_since_trim) = (0, 0);
        self.next_trim = Instant::now() + if more { TRIM_PAUSE } else { TRIM_EVERY };
    }

    /// Keeps account of a success or failure, and tells of it where it changes how things stand. Gives the error.
    fn settle(&mut self, which: Which, fault: Option<&Fault>) -> Option<StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut status = shared.status.lock();
        let (lane, file) = match which {
            Which::State => (&mut self.state, &shared.state),
            Which::Log => (&mut self.log, &shared.log),
        };
        let Some(fault) = fault else {
            lane.succeeded(&shared.options);
            status.last_commit = Some(Timestamp::now());
            let old = std::mem::take(status.condition(which));
            drop(status);
            if let Condition::Failing { since, .. } = old {
                tracing::info!(file = file.place.name(), failing_since = %since, "store writes again");
            }
            return None;
        };
        lane.failed(Instant::now(), &shared.options);
        let error = file.tell(fault);
        let condition = status.condition(which);
        let since = match condition {
            Condition::Ok => None,
            Condition::Failing { since, .. } => Some(*since),
        };
        *condition = Condition::Failing {
            since: since.unwrap_or_else(Timestamp::now),
            error: error.to_string(),
        };
        drop(status);
        if since.is_none() {
            tracing::warn!(error = %error, "store can't write; it goes on trying");
        }
        Some(error)
    }
}

impl Status {
    fn condition(&mut self, which: Which) -> &mut Condition {
        match which {
            Which::State => &mut self.state,
            Which::Log => &mut self.log,
        }
    }
}

/// One transaction, committed where `f` says so. A handle that an earlier failure made useless is opened again first;
/// with `renew` a file that turns out to be damaged is moved away and begun anew.
fn attempt<T>(
    file: &File,
    renew: bool,
    f: impl Fn(&WriteTransaction) -> Result<(T, bool), Fault>,
) -> Result<T, Fault> {
    let once = || {
        guarded(|| {
            let mut txn = file.begin_write()?;
            // Without it the opening after a crash walks the whole file.
            txn.set_quick_repair(true);
            let (out, commit) = f(&txn)?;
            if commit {
                txn.commit()?;
            } else {
                txn.abort()?;
            }
            Ok(out)
        })
    };
    match once() {
        Err(fault) if needs_opening(&fault) => {
            let check = fault.is_damage();
            if renew {
                file.open_or_renew(check)?;
            } else {
                file.open(check)?;
            }
            once()
        }
        other => other,
    }
}

fn needs_opening(fault: &Fault) -> bool {
    fault.is_damage()
        || matches!(
            fault,
            Fault::Db(
                redb::Error::PreviousIo
                    | redb::Error::DatabaseClosed
                    | redb::Error::LockPoisoned(_)
            )
        )
}
