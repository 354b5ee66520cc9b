//! How many generations run, per account, per model and per pair, now and at most; and how many were abandoned.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// How many generations run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Right now.
    pub current: usize,
    /// At most since the start or the last [`super::Sim::clear`].
    pub peak: usize,
    /// Begun in all.
    pub total: u64,
}

impl Load {
    fn begin(&mut self) {
        self.current += 1;
        self.total += 1;
        self.peak = self.peak.max(self.current);
    }
}

/// Whose load it is: an account, a model, or both; an empty name stands for all.
type Key = (String, String);

/// Names beyond this many are not told apart any more, so that made-up names can't fill the memory.
const NAMES_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Counts {
    loads: HashMap<Key, Load>,
    cancelled: u64,
}

/// The counters. Its lock is held for a few additions only.
#[derive(Debug)]
pub(super) struct Flights {
    counts: Mutex<Counts>,
    changed: watch::Sender<u64>,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            counts: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Counts a generation until the guard is ended or dropped.
    pub(super) fn begin(self: &Arc<Self>, account: &str, model: &str) -> Flight {
        let mut keys = [
            (String::new(), String::new()),
            (account.to_owned(), String::new()),
            (String::new(), model.to_owned()),
            (account.to_owned(), model.to_owned()),
        ];
        let mut counts = self.counts.lock();
        for key in &mut keys {
            if counts.loads.len() >= NAMES_MAX && !counts.loads.contains_key(key) {
                *key = ("other".to_owned(), "other".to_owned());
            }
            counts.loads.entry(key.clone()).or_default().begin();
        }
        drop(counts);
        self.tell();
        Flight {
            flights: self.clone(),
            keys: Some(keys),
        }
    }

    /// The load of an account, a model, a pair, or (both empty) all.
    pub(super) fn load(&self, account: &str, model: &str) -> Load {
        let key = (account.to_owned(), model.to_owned());
        self.counts
            .lock()
            .loads
            .get(&key)
            .copied()
            .unwrap_or_default()
    }

    /// Every load with its account and model.
    pub(super) fn all(&self) -> Vec<(Key, Load)> {
        let counts = self.counts.lock();
        let mut all: Vec<_> = counts.loads.iter().map(|(k, l)| (k.clone(), *l)).collect();
        drop(counts);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Generations whose client went away before the end.
    pub(super) fn cancelled(&self) -> u64 {
        self.counts.lock().cancelled
    }

    /// Forgets peaks and totals; what runs still counts.
    pub(super) fn clear(&self) {
        let mut counts = self.counts.lock();
        counts.cancelled = 0;
        counts.loads.retain(|_, load| {
            load.peak = load.current;
            load.total = 0;
            load.current > 0
        });
    }

    /// Tells those who wait that something happened.
    pub(super) fn tell(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// To wait for something to happen.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// One generation under way. Dropped without [`Flight::end`], it counts as cancelled.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    keys: Option<[Key; 4]>,
}

impl Flight {
    /// The generation came to its end, be it a good or a scripted bad one.
    pub(super) fn end(&mut self) {
        self.settle(false);
    }

    fn settle(&mut self, cancelled: bool) {
        let Some(keys) = self.keys.take() else {
            return;
        };
        let mut counts = self.flights.counts.lock();
        for key in keys {
            if let Some(load) = counts.loads.get_mut(&key) {
                load.current = load.current.saturating_sub(1);
            }
        }
        counts.cancelled += u64::from(cancelled);
        drop(counts);
        self.flights.tell();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.settle(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_account_and_model() {
        let flights = Arc::new(Flights::new());
        let mut one = flights.begin("a", "m");
        let two = flights.begin("a", "n");
        assert_eq!(flights.load("a", "").current, 2);
        assert_eq!(flights.load("a", "m").current, 1);
        one.end();
        assert_eq!((flights.load("a", "").current, flights.cancelled()), (1, 0));
        drop(two);
        let load = flights.load("a", "");
        assert_eq!((load.current, load.peak, load.total), (0, 2, 2));
        assert_eq!(flights.cancelled(), 1);
        flights.clear();
        assert_eq!(flights.load("a", ""), Load::default());
        assert_eq!(flights.cancelled(), 0);
    }

    #[test]
    fn names_are_bounded() {
        let flights = Arc::new(Flights::new());
        for i in 0..5000 {
            drop(flights.begin(&format!("a{i}"), "m"));
        }
        assert!(flights.all().len() <= NAMES_MAX + 4);
    }
}
