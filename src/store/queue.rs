//! What waits to be written: the latest value of each row, and log rows in order. Both bounded; nothing here blocks.
//!
//! Deliberately absent: the disk. The mutex is held for a few map operations only.

mod asked;

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::StoreError;
use super::body::Waiting;
use super::change::{Change, Item, Row};
use super::record::LogRecord;

/// Most writes in one transaction.
pub(super) const BATCH: usize = 2048;

/// Most bodies that are packed in one go.
const BODIES: usize = 256;
/// About how many bytes of them, before they are packed.
const BODY_BYTES: usize = 4 << 20;

/// Where a durable write's outcome is sent. The channel holds one, so sending never blocks.
pub(super) type Ack = SyncSender<Result<(), StoreError>>;
/// The same for a data key that was wrapped anew.
pub(super) type Rewrap = SyncSender<Result<Option<Vec<u8>>, StoreError>>;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) rows: usize,
    pub(super) row_bytes: usize,
    pub(super) logs: usize,
    pub(super) log_bytes: usize,
}

/// One side of the queue as the writer's timing sees it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backlog {
    /// How many wait.
    pub(super) len: usize,
    /// Since when the first of them waits.
    pub(super) since: Option<Instant>,
    /// Whether somebody waits for one of them.
    pub(super) urgent: bool,
}

/// What the queue holds at a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    pub(super) rows: usize,
    pub(super) logs: usize,
    pub(super) dropped_rows: u64,
    pub(super) dropped_logs: u64,
}

#[derive(Default)]
struct Inner {
    rows: HashMap<Row, (Change, Vec<Ack>)>,
    order: VecDeque<Row>,
    row_bytes: usize,
    rows_since: Option<Instant>,
    urgent: usize,
    logs: VecDeque<LogRecord>,
    logs_since: Option<Instant>,
    log_bytes: usize,
    /// Rows and bytes that the writer has taken and not yet reported done: they count against the bounds.
    taken_logs: usize,
    taken_bytes: usize,
    bodies: VecDeque<Waiting>,
    bodies_since: Option<Instant>,
    flushes: Vec<Ack>,
    /// Who waits for the data key to be wrapped anew.
    rewraps: Vec<Rewrap>,
    /// Whether rows are to be forgotten before the next look is due.
    trim_asked: bool,
    closing: bool,
    closed: bool,
    dropped_rows: u64,
    dropped_logs: u64,
}

/// The queue between everybody and the writer thread.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    bounds: Bounds,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            inner: Mutex::default(),
            wake: Condvar::new(),
            bounds,
        }
    }

    /// Queues a change. With `ack` it is never dropped for want of room: such rows are as few as accounts.
    pub(super) fn put(&self, change: Change, ack: Option<Ack>) {
        let mut inner = self.inner.lock();
        if inner.closed {
            inner.dropped_rows += 1;
            if let Some(ack) = ack {
                let _ = ack.send(Err(StoreError::Closed));
            }
            return;
        }
        let row = change.row();
        // Generations may be large: half of the room stays for what others write.
        let bytes = match change {
            Change::Applied(_) => self.bounds.row_bytes / 2,
            _ => self.bounds.row_bytes,
        };
        let room = inner.rows.len() < self.bounds.rows && inner.row_bytes < bytes;
        if ack.is_none() && !room && !inner.rows.contains_key(&row) {
            inner.dropped_rows += 1;
            return;
        }
        let first = inner.rows.is_empty();
        let urgent = ack.is_some();
        inner.insert(row, change, ack.into_iter().collect(), false);
        if first {
            inner.rows_since = Some(Instant::now());
        }
        if first || urgent || inner.rows.len() == BATCH {
            self.wake.notify_one();
        }
    }

    /// Queues a log row, or counts it as dropped.
    pub(super) fn log(&self, mut record: LogRecord) {
        record.bound();
        let weight = record.weight();
        let mut inner = self.inner.lock();
        if inner.closed
            || inner.logs.len() + inner.taken_logs >= self.bounds.logs
            || inner.log_bytes + inner.taken_bytes + weight > self.bounds.log_bytes
        {
            inner.dropped_logs += 1;
            return;
        }
        let first = inner.logs.is_empty();
        inner.log_bytes += weight;
        inner.logs.push_back(record);
        if first {
            inner.logs_since = Some(Instant::now());
        }
        if first || inner.logs.len() == BATCH {
            self.wake.notify_one();
        }
    }

    /// Queues bodies, which hold their room already; `false` once the writer has ended.
    pub(super) fn body(&self, body: Waiting) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        inner.bodies.push_back(body);
        if inner.bodies_since.is_none() {
            inner.bodies_since = Some(Instant::now());
            self.wake.notify_one();
        }
        true
    }

    /// Asks the writer to write all that waits, and to end.
    pub(super) fn close(&self) {
        self.inner.lock().closing = true;
        self.wake.notify_one();
    }

    /// The writer has ended: what comes from now on is counted as dropped.
    pub(super) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.closing = true;
        inner.closed = true;
        inner.dropped_rows += inner.rows.len() as u64;
        inner.dropped_logs += inner.logs.len() as u64;
        inner.rows.clear();
        inner.order.clear();
        inner.logs.clear();
        inner.bodies.clear();
        inner.flushes.clear();
        inner.rewraps.clear();
        (inner.row_bytes, inner.log_bytes, inner.urgent) = (0, 0, 0);
    }

    /// Whether [`Self::close`] was called.
    pub(super) fn closing(&self) -> bool {
        self.inner.lock().closing
    }

    /// Both backlogs, rows first.
    pub(super) fn backlogs(&self) -> (Backlog, Backlog) {
        self.inner.lock().backlogs()
    }

    /// Sleeps until `due` says that it is time, or somebody closes or flushes. `due` is asked again at every change.
    pub(super) fn wait(&self, mut due: impl FnMut(Backlog, Backlog) -> Instant) {
        let mut inner = self.inner.lock();
        while !inner.closing
            && inner.flushes.is_empty()
            && inner.rewraps.is_empty()
            && !inner.trim_asked
        {
            let (rows, logs) = inner.backlogs();
            let until = due(rows, logs);
            if until <= Instant::now() {
                return;
            }
            self.wake.wait_until(&mut inner, until);
        }
    }

    /// The oldest changes, at most a batch.
    pub(super) fn take_rows(&self) -> Vec<Item> {
        let mut inner = self.inner.lock();
        let mut items = Vec::new();
        while items.len() < BATCH {
            let Some(row) = inner.order.pop_front() else {
                break;
            };
            if let Some((change, acks)) = inner.rows.remove(&row) {
                inner.row_bytes = inner.row_bytes.saturating_sub(change.weight());
                inner.urgent -= usize::from(!acks.is_empty());
                items.push(Item { row, change, acks });
            }
        }
        inner.rows_since = (!inner.rows.is_empty()).then(Instant::now);
        items
    }

    /// Puts back changes that could not be written, unless newer ones of their rows came meanwhile.
    pub(super) fn restore_rows(&self, items: Vec<Item>) {
        let mut inner = self.inner.lock();
        for Item { row, change, acks } in items.into_iter().rev() {
            match inner.rows.remove(&row) {
                Some((newer, newer_acks)) => {
                    inner.row_bytes = inner.row_bytes.saturating_sub(newer.weight());
                    let merged = Change::merge(change, newer);
                    inner.row_bytes += merged.weight();
                    inner.rows.insert(row, (merged, newer_acks));
                }
                None => inner.insert(row, change, acks, true),
            }
        }
        if inner.rows_since.is_none() && !inner.rows.is_empty() {
            inner.rows_since = Some(Instant::now());
        }
    }

    /// The oldest log rows, at most a batch. Each taking is ended by [`Self::done_logs`] or [`Self::restore_logs`].
    pub(super) fn take_logs(&self) -> Vec<LogRecord> {
        let mut inner = self.inner.lock();
        let n = inner.logs.len().min(BATCH);
        let taken: Vec<LogRecord> = inner.logs.drain(..n).collect();
        let weight = taken.iter().map(LogRecord::weight).sum();
        inner.taken_logs = n;
        inner.taken_bytes = weight;
        inner.log_bytes = inner.log_bytes.saturating_sub(weight);
        inner.logs_since = (!inner.logs.is_empty()).then(Instant::now);
        taken
    }

    /// The rows taken last are written, but for `lost` of them that could not be encoded.
    pub(super) fn done_logs(&self, lost: u64) {
        let mut inner = self.inner.lock();
        inner.dropped_logs += lost;
        inner.taken_logs = 0;
        inner.taken_bytes = 0;
    }

    /// Puts the rows taken last back in front.
    pub(super) fn restore_logs(&self, records: Vec<LogRecord>) {
        let mut inner = self.inner.lock();
        inner.log_bytes += inner.taken_bytes;
        inner.taken_logs = 0;
        inner.taken_bytes = 0;
        for record in records.into_iter().rev() {
            inner.logs.push_front(record);
        }
        if inner.logs_since.is_none() && !inner.logs.is_empty() {
            inner.logs_since = Some(Instant::now());
        }
    }

    /// The oldest bodies: as many as may be packed without keeping others waiting.
    pub(super) fn take_bodies(&self) -> Vec<Waiting> {
        let mut inner = self.inner.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < BODIES && bytes < BODY_BYTES {
            let Some(body) = inner.bodies.pop_front() else {
                break;
            };
            bytes += body.held();
            taken.push(body);
        }
        inner.bodies_since = (!inner.bodies.is_empty()).then(Instant::now);
        taken
    }

    /// Puts the bodies taken last back in front.
    pub(super) fn restore_bodies(&self, bodies: Vec<Waiting>) {
        let mut inner = self.inner.lock();
        for body in bodies.into_iter().rev() {
            inner.bodies.push_front(body);
        }
        if inner.bodies_since.is_none() && !inner.bodies.is_empty() {
            inner.bodies_since = Some(Instant::now());
        }
    }

    /// How many bodies wait.
    pub(super) fn bodies(&self) -> usize {
        self.inner.lock().bodies.len()
    }

    /// Counts changes that can't be written at all.
    pub(super) fn count_dropped_rows(&self, n: u64) {
        self.inner.lock().dropped_rows += n;
    }

    /// How much is queued, and how much was lost. What the writer holds just now counts as queued.
    pub(super) fn sizes(&self) -> Sizes {
        let inner = self.inner.lock();
        Sizes {
            rows: inner.rows.len(),
            logs: inner.logs.len() + inner.taken_logs,
            dropped_rows: inner.dropped_rows,
            dropped_logs: inner.dropped_logs,
        }
    }
}

impl Inner {
    fn backlogs(&self) -> (Backlog, Backlog) {
        let rows = Backlog {
            len: self.rows.len(),
            since: self.rows_since,
            urgent: self.urgent > 0,
        };
        let logs = Backlog {
            len: self.logs.len(),
            // Bodies go with the rows.
            since: self.logs_since.into_iter().chain(self.bodies_since).min(),
            urgent: false,
        };
        (rows, logs)
    }

    fn insert(&mut self, row: Row, change: Change, mut acks: Vec<Ack>, front: bool) {
        let merged = if let Some((older, mut waiting)) = self.rows.remove(&row) {
            self.row_bytes = self.row_bytes.saturating_sub(older.weight());
            self.urgent -= usize::from(!waiting.is_empty());
            acks.append(&mut waiting);
            Change::merge(older, change)
        } else {
            if front {
                self.order.push_front(row.clone());
            } else {
                self.order.push_back(row.clone());
            }
            change
        };
        self.row_bytes += merged.weight();
        self.urgent += usize::from(!acks.is_empty());
        self.rows.insert(row, (merged, acks));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::base::id::{Dialect, RequestId};
    use crate::base::time::Timestamp;
    use crate::ir::SignatureFamily;
    use crate::store::record::{QuotaRecord, SignatureRecord};

    fn queue() -> Queue {
        Queue::new(Bounds {
            rows: 4,
            row_bytes: 10_000,
            logs: 3,
            log_bytes: 10_000,
        })
    }

    fn quota(account: &str, remaining: f64) -> Change {
        Change::Quota(QuotaRecord {
            account: account.into(),
            model: "m".into(),
            remaining: Some(remaining),
            reset: None,
            at: Timestamp(0),
        })
    }

    fn signature(call: &str, at: i64) -> SignatureRecord {
        SignatureRecord {
            key: "team".into(),
            family: SignatureFamily::Claude,
            signature: "made-up".into(),
            thinking: Some("thought".into()),
            call_ids: vec![call.into()],
            at: Timestamp(at),
        }
    }

    fn record(n: u128) -> LogRecord {
        LogRecord::new(RequestId::from_u128(n), Timestamp(0), Dialect::Anthropic)
    }

    fn values(items: &[Item]) -> Vec<f64> {
        items
            .iter()
            .filter_map(|item| match &item.change {
                Change::Quota(q) => q.remaining,
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_latest_value_of_a_row_is_written_in_the_row_s_first_place() {
        let queue = queue();
        queue.put(quota("a", 0.1), None);
        queue.put(quota("b", 0.2), None);
        queue.put(quota("a", 0.3), None);
        assert_eq!(values(&queue.take_rows()), [0.3, 0.2]);
        assert_eq!(queue.backlogs().0.len, 0);
    }

    #[test]
    fn what_comes_back_yields_to_what_came_meanwhile_and_goes_first() {
        let queue = queue();
        queue.put(quota("a", 0.1), None);
        queue.put(quota("b", 0.2), None);
        let taken = queue.take_rows();
        queue.put(quota("b", 0.9), None);
        queue.put(quota("c", 0.3), None);
        queue.restore_rows(taken);
        assert_eq!(values(&queue.take_rows()), [0.1, 0.9, 0.3]);
    }

    #[test]
    fn rows_beyond_the_bound_are_counted_but_tokens_pass() {
        let queue = queue();
        for n in 0..6 {
            queue.put(quota(&format!("a{n}"), 0.1), None);
        }
        assert_eq!(queue.sizes().rows, 4);
        assert_eq!(queue.sizes().dropped_rows, 2);
        queue.put(quota("a0", 0.5), None);
        assert_eq!(queue.sizes().dropped_rows, 2, "a known row has its place");
        let (ack, _done) = sync_channel(1);
        queue.put(quota("urgent", 0.1), Some(ack));
        assert_eq!(queue.sizes().rows, 5);
        assert!(queue.backlogs().0.urgent);
    }

    #[test]
    fn who_waited_for_an_older_value_is_told_with_the_newer_one() {
        let queue = queue();
        let (ack, _done) = sync_channel(1);
        queue.put(quota("a", 0.1), Some(ack));
        queue.put(quota("a", 0.2), None);
        let taken = queue.take_rows();
        assert_eq!(values(&taken), [0.2]);
        assert_eq!(taken[0].acks.len(), 1);
        assert!(!queue.backlogs().0.urgent);
    }

    #[test]
    fn signatures_join_their_calls_and_touches() {
        let queue = queue();
        let digest = signature("x", 1).digest();
        queue.put(Change::Touch("team".into(), digest, Timestamp(9)), None);
        queue.put(Change::Signature(signature("one", 1)), None);
        queue.put(Change::Signature(signature("two", 2)), None);
        queue.put(Change::Touch("team".into(), digest, Timestamp(5)), None);
        let taken = queue.take_rows();
        assert_eq!(taken.len(), 1);
        match &taken[0].change {
            Change::Signature(record) => {
                assert_eq!(record.call_ids, ["one", "two"]);
                assert_eq!(record.at, Timestamp(9));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn log_rows_in_the_writer_s_hands_count_against_the_bound() {
        let queue = queue();
        queue.log(record(1));
        queue.log(record(2));
        let taken = queue.take_logs();
        queue.log(record(3));
        queue.log(record(4));
        assert_eq!((queue.sizes().logs, queue.sizes().dropped_logs), (3, 1));
        queue.restore_logs(taken);
        let ids: Vec<u128> = queue.take_logs().iter().map(|r| r.id.as_u128()).collect();
        assert_eq!(ids, [1, 2, 3]);
        queue.done_logs(0);
        assert_eq!(queue.sizes().logs, 0);
        let mut large = record(5);
        large.losses = vec!["x".repeat(200); 60];
        queue.log(large.clone());
        queue.log(large);
        assert_eq!(queue.sizes().dropped_logs, 2, "bytes are bounded too");
    }
}
