//! What each key has used, of all quarter hours that are kept. Those that are over do not change any more: they are read
//! once and kept in memory, so that a list of ten thousand keys reads the last quarter hours only.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::money::Nanos;
use crate::base::time::Timestamp;
use crate::store::{RollUp, Store, StoreError, UsageSums};

/// A quarter hour in milliseconds.
const QUARTER: i64 = 900_000;
/// Quarter hours in a day.
const DAY: usize = 96;
/// A quarter hour that ended so long ago gets no more rows: they wait for the disk for less than a second.
const SETTLED: Duration = Duration::from_mins(1);
/// After this all is read anew, so that what the store has forgotten goes here too.
const ANEW: Duration = Duration::from_hours(7 * 24);

/// What a key has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) requests: u64,
    pub(super) tokens: u64,
    pub(super) cost: Nanos,
    /// Requests of the last 24 hours, to a quarter hour.
    pub(super) day: u64,
    /// The begin of the last quarter hour in which it was used.
    pub(super) last: Option<Timestamp>,
}

impl Used {
    fn add(&mut self, start: Timestamp, sums: &UsageSums) {
        let tokens = [sums.input, sums.cached, sums.cache_write, sums.output];
        self.requests = self.requests.saturating_add(sums.requests);
        self.tokens = tokens.into_iter().fold(self.tokens, u64::saturating_add);
        self.cost = self.cost.saturating_add(sums.cost);
        self.day = self.day.saturating_add(sums.requests);
        self.last = self.last.max(Some(start));
    }
}

/// The sums of all keys.
#[derive(Default)]
pub struct KeySums(Mutex<Sums>);

#[derive(Default)]
struct Sums {
    /// When they were read anew.
    anew: Option<Timestamp>,
    /// Up to here they are in.
    until: Timestamp,
    by_key: HashMap<String, Used>,
    /// The requests of each of the last quarter hours that are in, oldest first.
    day: VecDeque<(Timestamp, HashMap<String, u64>)>,
}

impl KeySums {
    /// What each key has used. Blocks on the disk, the first time for as long as all sums take.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub(super) fn read(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> Result<HashMap<String, Used>, StoreError> {
        let mut sums = self.0.lock();
        if sums.anew.is_none_or(|at| now.since(at) > ANEW || now < at) {
            *sums = Sums {
                anew: Some(now),
                ..Sums::default()
            };
        }
        let settled = i64::try_from(SETTLED.as_millis()).unwrap_or_default();
        let over = Timestamp((now.0 - settled).div_euclid(QUARTER) * QUARTER);
        let (from, end) = (sums.until, Timestamp(now.0.saturating_add(QUARTER)));
        if from < over {
            store.each_usage(RollUp::Key, from, over, |start, name, used| {
                sums.settle(start, name, &used);
            })?;
            sums.until = over;
        }
        let day = i64::try_from(DAY).unwrap_or_default() * QUARTER;
        sums.forget(Timestamp(now.0.saturating_sub(day)));
        let mut all = sums.by_key.clone();
        store.each_usage(RollUp::Key, sums.until, end, |start, name, used| {
            all.entry(name.to_owned()).or_default().add(start, &used);
        })?;
        Ok(all)
    }
}

impl Sums {
    fn settle(&mut self, start: Timestamp, name: &str, used: &UsageSums) {
        self.by_key
            .entry(name.to_owned())
            .or_default()
            .add(start, used);
        if self.day.back().is_none_or(|(last, _)| *last < start) {
            self.day.push_back((start, HashMap::new()));
            // Of a long time that is read at once no more than a day stays here.
            while self.day.len() > DAY {
                self.forget_first();
            }
        }
        if let Some((_, requests)) = self.day.back_mut() {
            *requests.entry(name.to_owned()).or_default() += used.requests;
        }
    }

    /// Takes quarter hours that began before out of the last day.
    fn forget(&mut self, oldest: Timestamp) {
        while self.day.front().is_some_and(|(start, _)| *start < oldest) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        for (name, requests) in self.day.pop_front().into_iter().flat_map(|(_, all)| all) {
            if let Some(used) = self.by_key.get_mut(&name) {
                used.day = used.day.saturating_sub(requests);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use super::*;
    use crate::base::id::{Dialect, RequestId};
    use crate::store::LogRecord;
    use crate::store::testing::NoKeys;

    /// The quarter hour at the test's start: older ones are forgotten.
    static START: LazyLock<i64> =
        LazyLock::new(|| Timestamp::now().0.div_euclid(QUARTER) * QUARTER);

    fn at(quarter: i64, minute: i64) -> Timestamp {
        Timestamp(*START + quarter * QUARTER + minute * 60_000)
    }

    async fn used(store: &Store, key: &str, at: Timestamp) {
        let mut record = LogRecord::new(
            RequestId::from_u128(u128::from(at.0.unsigned_abs())),
            at,
            Dialect::OpenAiChat,
        );
        record.key = Some(key.into());
        record.usage.input = Some(10);
        record.cost = Some(3);
        store.log(record);
        store.flush().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_over_is_read_once_and_the_rest_each_time() {
        let store = Store::in_memory(Arc::new(NoKeys));
        let sums = KeySums::default();
        let read = |now| sums.read(&store, now).unwrap();
        assert!(read(at(0, 5)).is_empty());
        used(&store, "a", at(0, 1)).await;
        used(&store, "a", at(0, 2)).await;
        used(&store, "b", at(0, 3)).await;
        let all = read(at(0, 5));
        assert_eq!(
            (all["a"].requests, all["a"].tokens, all["a"].cost),
            (2, 20, 6)
        );
        assert_eq!((all["a"].day, all["a"].last), (2, Some(at(0, 0))));
        // Just over: a row may still come.
        assert_eq!(read(at(1, 0))["b"].requests, 1);
        used(&store, "b", at(0, 14)).await;
        assert_eq!(read(at(1, 2))["b"].requests, 2);
        assert_eq!(sums.0.lock().until, at(1, 0));
        used(&store, "b", at(1, 3)).await;
        let all = read(at(1, 4));
        assert_eq!((all["b"].requests, all["b"].last), (3, Some(at(1, 0))));
        // A day later it is not of the last day any more.
        let all = read(at(96, 0));
        assert_eq!((all["a"].requests, all["a"].day, all["b"].day), (2, 2, 3));
        let all = read(at(96, 2));
        assert_eq!((all["a"].requests, all["a"].day, all["b"].day), (2, 0, 1));
        let all = read(at(200, 2));
        assert_eq!((all["b"].requests, all["b"].day), (3, 0));
        assert!(sums.0.lock().day.is_empty());
        store.close().await;
    }
}
