//! What keys and groups may use and have used: one cell for each that has limits, shared across reloads.
//!
//! A reload changes the bounds, which stand in the snapshot; the cells keep what is counted. Requests take a [`Permit`]
//! before they do anything, under a short lock of each cell; it is settled when it is dropped, at the latest. What lasts
//! longer than a minute is on the disk before a prompt goes out, in blocks, so that most requests wait for no disk.

mod cell;
mod permit;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use parking_lot::Mutex;

use crate::base::id::KeyId;
use crate::base::task::Tasks;
use crate::base::time::{Clock, Timestamp};
use crate::config::model;
use crate::pool::limit::{Bounds, Budget, Over, Use};
use crate::store::{BudgetOwner, BudgetRecord, Store};

use cell::Cell;
pub use permit::Permit;

/// Whose a limit is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A key's own, by the name of its table.
    Key(KeyId),
    /// A group's, by the name of its table.
    Group(String),
}

/// A cell with its bounds, as one snapshot sees it.
pub struct Limited {
    whose: Whose,
    bounds: Bounds,
    zone: TimeZone,
    cell: Arc<Cell>,
}

impl Limited {
    /// Whose it is.
    pub fn whose(&self) -> &Whose {
        &self.whose
    }

    /// Whether money is limited, so that a model must have a price.
    pub fn has_budget(&self) -> bool {
        self.bounds.budget.is_some()
    }

    /// Where each limit stands.
    pub fn uses(&self, now: Timestamp) -> Vec<Use> {
        self.cell.uses(&self.bounds, now, &self.zone)
    }
}

/// A limit that a request would go over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose limit.
    pub whose: Whose,
    /// Which, and when it resets.
    pub over: Over,
    /// When it was refused.
    pub now: Timestamp,
}

/// All cells, and how they are kept.
pub struct Limits {
    cells: Mutex<HashMap<BudgetOwner, Known>>,
    /// What limits go by.
    pub clock: Clock,
    store: Store,
    tasks: Tasks,
}

struct Known {
    cell: Arc<Cell>,
    /// Since when no configuration names its owner.
    gone: Option<Timestamp>,
}

impl Limits {
    /// The cells that the store kept.
    pub fn new(store: Store, tasks: Tasks, kept: Vec<BudgetRecord>) -> Self {
        let known = |record: BudgetRecord| {
            let gone = record.left;
            let cell = Arc::new(Cell::restored(&record));
            (record.owner, Known { cell, gone })
        };
        Self {
            cells: Mutex::new(kept.into_iter().map(known).collect()),
            clock: Clock::default(),
            store,
            tasks,
        }
    }

    /// The limits of one owner; `None` where it has none.
    pub fn of(
        &self,
        owner: BudgetOwner,
        whose: Whose,
        limits: &model::Limits,
        zone: &TimeZone,
    ) -> Option<Arc<Limited>> {
        let bounds = Bounds {
            rpm: limits.rpm,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_day: limits.tokens_per_day,
            budget: limits.budget.map(|(nanos, per)| Budget { nanos, per }),
        };
        if bounds.is_none() {
            return None;
        }
        let mut cells = self.cells.lock();
        let known = cells.entry(owner.clone()).or_insert_with(|| Known {
            cell: Arc::new(Cell::new(owner)),
            gone: None,
        });
        Some(Arc::new(Limited {
            whose,
            bounds,
            zone: zone.clone(),
            cell: Arc::clone(&known.cell),
        }))
    }

    /// Says which owners the configuration names: what others have used waits for their return so long.
    pub fn retain(&self, named: impl Fn(&BudgetOwner) -> bool, wait: Duration) {
        let now = self.clock.now();
        self.cells.lock().retain(|owner, known| {
            let named = named(owner);
            let was_gone = known.gone.is_some();
            known.gone = (!named).then(|| known.gone.unwrap_or(now));
            if known.gone.is_some() != was_gone && known.cell.lasts() {
                self.store.put_budget_relaxed(known.cell.record(known.gone));
            }
            self.keep(owner, known, now, wait)
        });
    }

    /// Time has passed: blocks that nobody uses are given back, and who is gone for long is forgotten.
    pub fn tick(&self, wait: Duration) {
        let now = self.clock.now();
        self.cells.lock().retain(|owner, known| {
            self.give_back(known);
            self.keep(owner, known, now, wait)
        });
    }

    /// The program ends: what is kept is exactly what was used.
    pub fn close(&self) {
        for known in self.cells.lock().values() {
            self.give_back(known);
        }
    }

    fn give_back(&self, known: &Known) {
        known.cell.give_back(known.gone, &self.store);
    }

    fn keep(&self, owner: &BudgetOwner, known: &Known, now: Timestamp, wait: Duration) -> bool {
        let Some(gone) = known.gone else {
            return true;
        };
        let over = now.since(gone) >= wait;
        let lasts = known.cell.lasts();
        if over && lasts {
            self.store.delete_budget(owner.clone());
        }
        !over && (lasts || !known.cell.is_blank(now))
    }
}

#[cfg(test)]
mod tests;
