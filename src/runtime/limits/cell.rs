//! One owner's ledger, and its way to the disk.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::pool::limit::{Amount, Booked, Bounds, Claim, Hold, Kept, Ledger, Over, Span, Use};
use crate::store::{BookedRecord, BudgetOwner, BudgetRecord, Condition, Store};

/// How long a request waits for the disk, at most: a disk that takes longer is told by the store's health, and books late.
const PATIENCE: Duration = Duration::from_secs(1);

/// The ledger of a key or a group. The lock is held for a few operations on numbers only.
pub(super) struct Cell {
    owner: BudgetOwner,
    /// Made with the first use: most keys of a large file are not in use.
    ledger: Mutex<Option<Box<Ledger>>>,
    /// Told when a write is done.
    written: Notify,
}

impl Cell {
    pub(super) fn new(owner: BudgetOwner) -> Self {
        Self {
            owner,
            ledger: Mutex::new(None),
            written: Notify::new(),
        }
    }

    pub(super) fn restored(record: &BudgetRecord) -> Self {
        let cell = Self::new(record.owner.clone());
        *cell.ledger.lock() = Some(Box::new(Ledger::restored(kept(record))));
        cell
    }

    fn with<T>(&self, f: impl FnOnce(&mut Ledger) -> T) -> T {
        f(self.ledger.lock().get_or_insert_default())
    }

    pub(super) fn reserve(
        &self,
        bounds: &Bounds,
        amount: Amount,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<Hold, Over> {
        self.with(|ledger| ledger.reserve(bounds, amount, now, zone))
    }

    pub(super) fn extend(
        &self,
        bounds: &Bounds,
        hold: &mut Hold,
        more: Amount,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<(), Over> {
        self.with(|ledger| ledger.extend(bounds, hold, more, now, zone))
    }

    pub(super) fn shorten(&self, hold: &mut Hold, less: Amount) {
        self.with(|ledger| ledger.shorten(hold, less));
    }

    /// Books what was used. Where that is more than the disk knows of, it is written without anybody waiting.
    pub(super) fn settle(
        &self,
        bounds: &Bounds,
        hold: Hold,
        used: Option<Amount>,
        now: Timestamp,
        zone: &TimeZone,
        store: &Store,
    ) {
        self.with(|ledger| {
            ledger.settle(hold, used, now, zone);
            if let Claim::Write(asked) = ledger.claim(bounds) {
                store.put_budget_relaxed(record(&self.owner, &ledger.kept(), None));
                ledger.committed(asked);
            }
        });
    }

    /// Sees to it that what is reserved is on the disk; says whether it is already.
    pub(super) fn cover(self: &Arc<Self>, bounds: &Bounds, store: &Store, tasks: &Tasks) -> bool {
        let mut ledger = self.ledger.lock();
        let ledger = ledger.get_or_insert_default();
        let asked = match ledger.claim(bounds) {
            Claim::Covered => return true,
            Claim::Waits => return false,
            Claim::Write(asked) => asked,
        };
        // Queued under the lock, so that the records of one owner are written in their order.
        let written = store.put_budget(record(&self.owner, &ledger.kept(), None));
        if matches!(store.health().state, Condition::Failing { .. }) {
            // Nobody waits for a disk that fails: the record stays queued until it can be written.
            ledger.committed(asked);
            return true;
        }
        let cell = Arc::clone(self);
        tasks.spawn(async move {
            // What could not be written stays queued; requests go on all the same.
            let _ = tokio::time::timeout(PATIENCE, written).await;
            cell.with(|ledger| ledger.committed(asked));
            cell.written.notify_waiters();
        });
        false
    }

    /// Waits until what is reserved is on the disk, or until the disk has had its time.
    pub(super) async fn covered(self: &Arc<Self>, bounds: &Bounds, store: &Store, tasks: &Tasks) {
        loop {
            let written = self.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if self.cover(bounds, store, tasks) {
                return;
            }
            written.await;
        }
    }

    pub(super) fn uses(&self, bounds: &Bounds, now: Timestamp, zone: &TimeZone) -> Vec<Use> {
        match &mut *self.ledger.lock() {
            Some(ledger) => ledger.uses(bounds, now, zone),
            // A look makes no ledger.
            None => Ledger::default().uses(bounds, now, zone),
        }
    }

    /// Gives back what is leased and not used.
    pub(super) fn give_back(&self, left: Option<Timestamp>, store: &Store) {
        if let Some(ledger) = &mut *self.ledger.lock()
            && let Some(kept) = ledger.give_back()
        {
            store.put_budget_relaxed(record(&self.owner, &kept, left));
        }
    }

    /// Whether it has sums that are kept in the store.
    pub(super) fn lasts(&self) -> bool {
        let ledger = self.ledger.lock();
        ledger.as_ref().is_some_and(|l| l.kept() != Kept::default())
    }

    /// Whether nothing is counted.
    pub(super) fn is_blank(&self, now: Timestamp) -> bool {
        let ledger = self.ledger.lock();
        ledger.as_ref().is_none_or(|l| l.is_blank(now))
    }

    /// What is to be kept.
    pub(super) fn record(&self, left: Option<Timestamp>) -> BudgetRecord {
        let ledger = self.ledger.lock();
        let kept = ledger.as_ref().map(|l| l.kept()).unwrap_or_default();
        record(&self.owner, &kept, left)
    }
}

fn record(owner: &BudgetOwner, kept: &Kept, left: Option<Timestamp>) -> BudgetRecord {
    let booked = |booked: &Booked| BookedRecord {
        start: booked.span.start,
        end: booked.span.end,
        tokens: booked.amount.tokens,
        nanos: booked.amount.nanos,
    };
    BudgetRecord {
        owner: owner.clone(),
        day: booked(&kept.day),
        month: booked(&kept.month),
        open_tokens: kept.open.tokens,
        open_nanos: kept.open.nanos,
        left,
    }
}

fn kept(record: &BudgetRecord) -> Kept {
    let booked = |booked: &BookedRecord| Booked {
        span: Span {
            start: booked.start,
            end: booked.end,
        },
        amount: Amount {
            tokens: booked.tokens,
            nanos: booked.nanos,
        },
    };
    Kept {
        day: booked(&record.day),
        month: booked(&record.month),
        open: Amount {
            tokens: record.open_tokens,
            nanos: record.open_nanos,
        },
    }
}
