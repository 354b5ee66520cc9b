//! Sums by name over long times. A quarter hour that is over does not change any more, so that the sums of a month up to now are
//! kept, and move along with the time: what has left is taken out, what has come is put in. Only the first look reads it all.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::time::Timestamp;
use crate::store::{RollUp, Store, StoreError, UsageSums};

/// A quarter hour in milliseconds.
const QUARTER: i64 = 900_000;
/// A quarter hour that ended so long ago gets no more rows: they wait for the disk for less than a second.
const SETTLED: i64 = 60_000;
/// Shorter times than this are read as they are asked for.
const LONG: i64 = 36 * 3_600_000;
/// After this all is read anew, so that what the store has forgotten goes here too.
const ANEW: Duration = Duration::from_hours(24);
/// Most times that are kept; the one that was asked for longest ago goes first.
const MOST: usize = 6;

type Names = HashMap<String, UsageSums>;

/// The times that were asked for lately.
#[derive(Default)]
pub(in crate::server::admin) struct Windows(Mutex<Vec<Window>>);

struct Window {
    kind: RollUp,
    from: Timestamp,
    /// Up to here everything is in: the begin of a quarter hour.
    until: Timestamp,
    /// When all of it was read.
    read: Timestamp,
    names: Names,
}

impl Windows {
    /// What [`Store::usage_totals`] gives. Blocks on the disk; who asks at the same time waits for the same reading.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub(super) fn totals(
        &self,
        store: &Store,
        kind: RollUp,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Names, StoreError> {
        let over = Timestamp((now.0 - SETTLED).div_euclid(QUARTER) * QUARTER);
        if to.0.saturating_sub(from.0) < LONG || to < over {
            return store.usage_totals(kind, from, to);
        }
        let mut windows = self.0.lock();
        let known = windows.iter().position(|known| {
            let near = from.0.abs_diff(known.from.0) <= LONG.unsigned_abs();
            let fresh = now >= known.read && now.since(known.read) < ANEW;
            known.kind == kind && near && fresh && known.from <= from && known.until <= over
        });
        let mut window = match known {
            Some(at) => windows.remove(at),
            None => Window {
                kind,
                from,
                until: from,
                read: now,
                names: Names::new(),
            },
        };
        // Where it can't be read the window is gone, half moved as it is.
        window.move_to(store, from, over)?;
        let mut names = window.names.clone();
        windows.truncate(MOST - 1);
        windows.insert(0, window);
        drop(windows);
        store.each_usage(kind, over, to, |_, name, sums| add(&mut names, name, &sums))?;
        Ok(names)
    }
}

impl Window {
    fn move_to(
        &mut self,
        store: &Store,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let Self { kind, names, .. } = self;
        store.each_usage(*kind, self.from, from.min(self.until), |_, name, sums| {
            if let Some(known) = names.get_mut(name) {
                known.remove(&sums);
                if known.requests == 0 {
                    names.remove(name);
                }
            }
        })?;
        store.each_usage(*kind, self.until.max(from), until, |_, name, sums| {
            add(names, name, &sums);
        })?;
        (self.from, self.until) = (from, until);
        Ok(())
    }
}

fn add(names: &mut Names, name: &str, sums: &UsageSums) {
    match names.get_mut(name) {
        Some(known) => known.merge(sums),
        None => drop(names.insert(name.to_owned(), sums.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::id::{Dialect, RequestId};
    use crate::store::LogRecord;
    use crate::store::testing::NoKeys;

    /// Every quarter hour of three days has a row of one of three names, and some fail.
    async fn filled(first: i64) -> Store {
        let store = Store::in_memory(Arc::new(NoKeys));
        for n in 0..3 * 96 {
            let at = Timestamp(first + n * QUARTER + 1000);
            let id = RequestId::from_u128(u128::from(at.0.unsigned_abs()));
            let mut record = LogRecord::new(id, at, Dialect::OpenAiChat);
            record.key = Some(["a", "b", "c"][usize::try_from(n).unwrap() / 7 % 3].into());
            record.usage.input = Some(u64::try_from(n).unwrap());
            record.latency_ms = u64::try_from(n * 37).unwrap();
            store.log(record);
        }
        store.flush().await.unwrap();
        store
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_time_that_moves_has_the_sums_that_a_reading_has() {
        let end = Timestamp::now().0.div_euclid(QUARTER) * QUARTER;
        let store = filled(end - 3 * 96 * QUARTER).await;
        let windows = Windows::default();
        // Forth by quarters, by a day, and back.
        for back in [95, 94, 93, 60, 12, 11, 0, 40] {
            let now = Timestamp(end - back * QUARTER + 5000);
            let from = Timestamp(end - (back + 2 * 96) * QUARTER);
            let told = windows
                .totals(&store, RollUp::Key, (from, now), now)
                .unwrap();
            let read = store.usage_totals(RollUp::Key, from, now).unwrap();
            assert_eq!(told.len(), 3);
            for (name, sums) in read {
                let mut told = told[&name].clone();
                // What is empty may be written in two ways.
                told.first_token = sums.first_token.clone();
                assert_eq!(told, sums, "{name} {back}");
            }
        }
        assert_eq!(windows.0.lock().len(), 2);
        store.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn short_and_past_times_are_not_kept() {
        let end = Timestamp::now().0.div_euclid(QUARTER) * QUARTER;
        let store = filled(end - 3 * 96 * QUARTER).await;
        let windows = Windows::default();
        let (now, day) = (Timestamp(end), 96 * QUARTER);
        for (from, to) in [(end - day, end), (end - 3 * day, end - day)] {
            let time = (Timestamp(from), Timestamp(to));
            let told = windows.totals(&store, RollUp::Key, time, now).unwrap();
            assert_eq!(
                told,
                store.usage_totals(RollUp::Key, time.0, time.1).unwrap()
            );
        }
        assert!(windows.0.lock().is_empty());
        store.close().await;
    }
}
