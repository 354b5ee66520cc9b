//! `log names`: the names that the log can be filtered by, those of the files and those of the log. Of the log only the last
//! quarter hours are looked at anew: the names before them are known.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::base::time::Timestamp;
use crate::server::Gateway;
use crate::server::admin::api::logs::LogNames;
use crate::server::admin::logs::unavailable;
use crate::server::admin::{Params, Refusal, told};
use crate::store::{RollUp, Store, StoreError};

/// Names are those of this time.
const OF: Duration = Duration::from_hours(30 * 24);
/// As far as so many sums of quarter hours tell, which takes a tenth of a second.
const LOOKED_AT: usize = 200_000;
/// After this all are read anew, so that what was not used for long goes.
const ANEW: Duration = Duration::from_hours(24);
/// What was read may have lacked rows of so long before: they wait for the disk.
const LATE: Duration = Duration::from_mins(16);
const KINDS: [RollUp; 3] = [RollUp::Model, RollUp::Account, RollUp::Key];

/// The names of the log that are known.
#[derive(Default)]
pub(in crate::server) struct Names(Mutex<Option<Known>>);

struct Known {
    /// When all were read.
    all: Timestamp,
    /// When the last ones were.
    last: Timestamp,
    names: [BTreeSet<String>; 3],
}

impl Names {
    /// Of models, accounts and keys. Blocks on the disk.
    fn read(&self, store: &Store, now: Timestamp) -> Result<[BTreeSet<String>; 3], StoreError> {
        let mut held = self.0.lock();
        let fresh = |known: &Known| now >= known.last && now.since(known.all) < ANEW;
        let mut known = held.take().filter(fresh).unwrap_or_else(|| Known {
            all: now,
            last: now.minus(OF),
            names: <[BTreeSet<String>; 3]>::default(),
        });
        let from = known.last.minus(LATE);
        for (names, kind) in known.names.iter_mut().zip(KINDS) {
            names.extend(store.usage_names(kind, from, LOOKED_AT)?);
        }
        known.last = now;
        let names = known.names.clone();
        *held = Some(known);
        Ok(names)
    }
}

pub(super) fn names(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let config = &snapshot.config;
    let names = &gateway.shared.names;
    let read = names.read(&runtime.store, Timestamp::now());
    let [mut models, mut accounts, mut keys] = read.map_err(|e| unavailable(&e))?;
    models.extend(config.models.keys().cloned());
    accounts.extend(config.accounts.keys().map(ToString::to_string));
    keys.extend(config.keys.keys().map(ToString::to_string));
    told(&LogNames {
        models: models.into_iter().collect(),
        accounts: accounts.into_iter().collect(),
        keys: keys.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::id::{Dialect, RequestId};
    use crate::store::LogRecord;
    use crate::store::testing::NoKeys;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_known_stays_and_new_names_come() {
        let store = Store::in_memory(Arc::new(NoKeys));
        let (names, now) = (Names::default(), Timestamp::now());
        for (key, hours) in [("old", 48), ("new", 0)] {
            let at = now.minus(Duration::from_hours(hours));
            let id = RequestId::from_u128(u128::from(at.0.unsigned_abs()));
            let mut record = LogRecord::new(id, at, Dialect::OpenAiChat);
            record.key = Some(key.into());
            store.log(record);
            store.flush().await.unwrap();
            assert!(names.read(&store, now).unwrap()[2].contains(key));
        }
        let known = names.read(&store, now).unwrap();
        assert_eq!(known[2].iter().collect::<Vec<_>>(), ["new", "old"]);
        assert!(known[0].is_empty() && known[1].is_empty());
        store.close().await;
    }
}
