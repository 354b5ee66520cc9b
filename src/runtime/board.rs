//! The board: what selection reads of accounts lies close together in memory, so that looking at thousands of them is one
//! pass over a few long stretches. A cell keeps its address while the board grows, and belongs to an account's state, not
//! to a snapshot: so it holds across reloads.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::base::id::UpstreamId;
use crate::base::time::Timestamp;
use crate::runtime::lane::ModelState;

/// Cells that lie together: what is made at once when the board grows.
const CHUNK: usize = 64;

/// Cells by number, made on first need.
#[derive(Debug)]
pub struct Slab<T>(Mutex<Vec<Arc<[T]>>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Slab<T> {
    /// The cell of this number.
    pub fn spot(&self, number: u32) -> Spot<T> {
        let (chunk, at) = place(number);
        let mut chunks = self.0.lock();
        if chunks.len() <= chunk {
            // Numbers that nobody asks for take no memory but this.
            chunks.resize_with(chunk + 1, || Arc::from(Vec::new()));
        }
        if chunks[chunk].is_empty() {
            chunks[chunk] = (0..CHUNK).map(|_| T::default()).collect();
        }
        Spot {
            chunk: Arc::clone(&chunks[chunk]),
            at,
        }
    }
}

impl<T> Slab<T> {
    /// All cells that there are by now, to be read without a lock.
    pub fn spots(&self) -> Spots<T> {
        Spots(self.0.lock().clone())
    }
}

fn place(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / CHUNK, number % CHUNK)
}

/// Whether the cell of this number lies right behind the one before.
pub fn adjoins(number: u32) -> bool {
    place(number).1 != 0
}

/// One cell.
#[derive(Debug)]
pub struct Spot<T> {
    chunk: Arc<[T]>,
    at: usize,
}

impl<T> Clone for Spot<T> {
    fn clone(&self) -> Self {
        Self {
            chunk: Arc::clone(&self.chunk),
            at: self.at,
        }
    }
}

impl<T> Deref for Spot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.chunk[self.at]
    }
}

/// The cells of a slab as far as they were there when it was asked.
#[derive(Debug)]
pub struct Spots<T>(Vec<Arc<[T]>>);

impl<T> Spots<T> {
    /// So many cells from this number on, which must have been asked of the slab before and lie together.
    #[inline]
    pub fn run(&self, number: u32, len: usize) -> &[T] {
        let (chunk, at) = place(number);
        &self.0[chunk][at..at + len]
    }

    /// The cell of this number, which must have been asked of the slab before.
    #[inline]
    pub fn of(&self, number: u32) -> &T {
        let (chunk, at) = place(number);
        &self.0[chunk][at]
    }
}

/// Counts calls in flight; never above its limit.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

impl InFlight {
    /// How many.
    #[inline]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Takes a slot where fewer than `limit` are taken; `None` is no limit.
    pub fn take(&self, limit: Option<u32>) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                limit
                    .is_none_or(|limit| n < limit)
                    .then_some(n.saturating_add(1))
            })
            .is_ok()
    }

    /// Gives one back, and says how many are left.
    pub fn give(&self) -> u32 {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .map_or(0, |before| before - 1)
    }

    /// Whether one could be taken.
    #[inline]
    pub fn has_room(&self, limit: Option<u32>) -> bool {
        limit.is_none_or(|limit| self.count() < limit)
    }
}

/// What selection reads of an account as a whole. Written under the account's mutex, read without it.
#[derive(Debug, Default)]
pub struct AccountCell {
    ready_at: AtomicI64,
    trial: AtomicBool,
}

impl AccountCell {
    /// When the account as a whole can be used; `pool::candidate::NEVER` while a person must act.
    #[inline]
    pub fn ready_at(&self) -> Timestamp {
        Timestamp(self.ready_at.load(Ordering::Acquire))
    }

    /// Whether it gets one call at a time.
    #[inline]
    pub fn on_trial(&self) -> bool {
        self.trial.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, ready_at: Timestamp, trial: bool) {
        self.trial.store(trial, Ordering::Release);
        self.ready_at.store(ready_at.0, Ordering::Release);
    }
}

/// All cells, and the models whose cells are apart.
#[derive(Debug, Default)]
pub struct Board {
    accounts: Slab<AccountCell>,
    in_flight: Slab<InFlight>,
    models: Mutex<HashMap<(UpstreamId, String), Arc<ModelState>>>,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    next: u32,
    free: Vec<u32>,
}

impl Board {
    /// A row for the state of an account.
    pub fn row(self: &Arc<Self>) -> Row {
        let number = {
            let mut rows = self.rows.lock();
            rows.free.pop().unwrap_or_else(|| {
                let next = rows.next;
                rows.next = next.saturating_add(1);
                next
            })
        };
        let cell = self.accounts.spot(number);
        cell.set(Timestamp(0), false);
        Row {
            number,
            cell,
            board: Arc::clone(self),
        }
    }

    /// The calls in flight of the account of this number (`runtime::numbers`): they belong to its name, whatever it signs
    /// in with.
    pub fn in_flight(&self, account: u32) -> Spot<InFlight> {
        self.in_flight.spot(account)
    }

    /// The accounts' cells, by row.
    pub fn accounts(&self) -> Spots<AccountCell> {
        self.accounts.spots()
    }

    /// The accounts' calls in flight, by the accounts' numbers.
    pub fn all_in_flight(&self) -> Spots<InFlight> {
        self.in_flight.spots()
    }

    /// The state of a model of an upstream.
    pub fn model(&self, upstream: &UpstreamId, model: &str) -> Arc<ModelState> {
        let mut models = self.models.lock();
        let key = (upstream.clone(), model.to_owned());
        Arc::clone(models.entry(key).or_default())
    }

    /// How many models cool for all accounts.
    pub fn cooling_models(&self, now: Timestamp) -> usize {
        let models = self.models.lock();
        models.values().filter(|m| m.ready_at() > now).count()
    }

    /// Time has passed: where the clock was set back, models' benches keep their length.
    pub fn tick(&self, now: Timestamp) {
        for model in self.models.lock().values() {
            model.tick(now);
        }
    }
}

/// The row of one account's state: free again once nobody holds the state.
#[derive(Debug)]
pub struct Row {
    /// By which its cells are known.
    pub number: u32,
    /// Of the account as a whole.
    pub cell: Spot<AccountCell>,
    board: Arc<Board>,
}

impl Row {
    /// The board that it is on.
    pub fn board(&self) -> &Board {
        &self.board
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.board.rows.lock().free.push(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_its_place_while_the_slab_grows() {
        let slab = Slab::<InFlight>::default();
        let first = slab.spot(3);
        assert!(first.take(Some(1)));
        let before = slab.spots();
        let far = slab.spot(5000);
        assert!(std::ptr::eq(&raw const *first, before.of(3)));
        let after = slab.spots();
        assert!(std::ptr::eq(&raw const *first, after.of(3)));
        assert!(std::ptr::eq(&raw const *far, after.of(5000)));
        assert_eq!((after.of(3).count(), after.of(5000).count()), (1, 0));
    }

    #[test]
    fn rows_are_used_again_and_come_clean() {
        let board = Arc::new(Board::default());
        let rows: Vec<Row> = (0..600).map(|_| board.row()).collect();
        let numbers: std::collections::HashSet<u32> = rows.iter().map(|r| r.number).collect();
        assert_eq!(numbers.len(), 600);
        rows[7].cell.set(Timestamp(9), true);
        drop(rows);
        for _ in 0..1000 {
            let row = board.row();
            assert!(row.number < 600 && row.cell.ready_at().0 == 0 && !row.cell.on_trial());
        }
    }

    #[test]
    fn threads_never_take_more_than_the_limit() {
        let slots = InFlight::default();
        let most = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if slots.take(Some(3)) {
                            most.fetch_max(slots.count(), Ordering::AcqRel);
                            slots.give();
                        }
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(slots.count(), 0);
    }
}
