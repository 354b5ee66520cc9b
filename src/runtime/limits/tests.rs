use crate::base::money::Per;
use crate::store::{KeyWrap, Learned};
use zeroize::Zeroizing;

use super::*;
use crate::pool::limit::Amount;
use crate::runtime::snapshot::KeyEntry;

struct NoKeys;

impl KeyWrap for NoKeys {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        Ok(data_key.to_vec())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Ok(Zeroizing::new(wrapped.to_vec()))
    }
}

const DAY: Duration = Duration::from_hours(24);

fn owner() -> BudgetOwner {
    BudgetOwner::Key([7; 32])
}

fn limits(store: &Store, kept: Vec<BudgetRecord>) -> Arc<Limits> {
    Arc::new(Limits::new(store.clone(), Tasks::new(), kept))
}

/// A key with these limits.
fn key(limits: &Limits, budget: Option<u64>, rpm: Option<u32>) -> KeyEntry {
    let bounds = model::Limits {
        rpm,
        budget: budget.map(|nanos| (nanos, Per::Month)),
        ..model::Limits::default()
    };
    let own = limits.of(owner(), Whose::Key("k".into()), &bounds, &TimeZone::UTC);
    KeyEntry {
        limits: [own, None],
        ..KeyEntry::anybody()
    }
}

fn money(nanos: u64) -> Amount {
    Amount { tokens: 1, nanos }
}

fn used(limits: &Limits, key: &KeyEntry) -> u64 {
    let now = limits.clock.now();
    key.limits().next().unwrap().uses(now)[0].used
}

async fn kept(store: &Store) -> Vec<BudgetRecord> {
    store.flush().await.unwrap();
    let Learned { budgets, .. } = store.load().unwrap();
    budgets
}

#[tokio::test]
async fn what_is_reserved_is_on_the_disk_before_anything_is_sent() {
    let store = Store::in_memory(Arc::new(NoKeys));
    let limits = limits(&store, Vec::new());
    let key = key(&limits, Some(64_000), None);
    let mut permit = Permit::reserve(&limits, &key, money(500)).unwrap();
    permit.covered().await;
    // As it is now, without a flush.
    let found = store.load().unwrap().budgets;
    assert_eq!(found.len(), 1);
    assert!(found[0].open_nanos >= 500, "{found:?}");
    permit.extend(money(5000)).unwrap();
    permit.covered().await;
    assert!(store.load().unwrap().budgets[0].open_nanos >= 5500);
    permit.settle(Some(money(700)));
    assert_eq!(used(&limits, &key), 700);
    limits.close();
    let found = kept(&store).await;
    assert_eq!((found[0].month.nanos, found[0].open_nanos), (700, 0));
}

#[tokio::test]
async fn a_permit_that_is_dropped_counts_for_nothing() {
    let store = Store::in_memory(Arc::new(NoKeys));
    let limits = limits(&store, Vec::new());
    let key = key(&limits, Some(64_000), None);
    drop(Permit::reserve(&limits, &key, money(500)).unwrap());
    assert_eq!(used(&limits, &key), 0);
    assert!(Permit::reserve(&limits, &key, money(64_001)).is_err());
    assert_eq!(used(&limits, &key), 0);
}

#[tokio::test]
async fn what_was_open_when_the_program_was_killed_is_booked() {
    let store = Store::in_memory(Arc::new(NoKeys));
    {
        let limits = limits(&store, Vec::new());
        let key = key(&limits, Some(64_000), None);
        let mut permit = Permit::reserve(&limits, &key, money(500)).unwrap();
        permit.covered().await;
        std::mem::forget(permit);
    }
    let limits = limits(&store, kept(&store).await);
    let key = key(&limits, Some(64_000), None);
    let found = used(&limits, &key);
    assert!((500..=500 + 64_000 / 64).contains(&found), "{found}");
}

#[tokio::test]
async fn who_left_the_file_is_waited_for_and_then_forgotten() {
    let store = Store::in_memory(Arc::new(NoKeys));
    let limits = limits(&store, Vec::new());
    let first = key(&limits, Some(64_000), None);
    let mut permit = Permit::reserve(&limits, &first, money(500)).unwrap();
    permit.covered().await;
    permit.settle(Some(money(500)));
    limits.retain(|_| true, DAY);
    assert_eq!(kept(&store).await[0].left, None);
    limits.retain(|_| false, DAY);
    let left = kept(&store).await[0].left;
    assert!(left.is_some());
    limits.clock.advance(DAY / 2);
    limits.tick(DAY);
    // The time of leaving outlives a restart.
    let again = Arc::new(Limits::new(store.clone(), Tasks::new(), kept(&store).await));
    again.retain(|_| false, DAY);
    assert_eq!(kept(&store).await[0].left, left);
    assert_eq!(used(&again, &key(&again, Some(64_000), None)), 500);
    again.clock.advance(DAY);
    again.tick(DAY);
    assert_eq!(kept(&store).await, Vec::new());
    assert_eq!(used(&again, &key(&again, Some(64_000), None)), 0);
}

#[tokio::test]
async fn a_key_without_lasting_limits_writes_nothing() {
    let store = Store::in_memory(Arc::new(NoKeys));
    let limits = limits(&store, Vec::new());
    let key = key(&limits, None, Some(1));
    let mut permit = Permit::reserve(&limits, &key, money(500)).unwrap();
    permit.covered().await;
    permit.settle(Some(money(500)));
    let refused = Permit::reserve(&limits, &key, money(500)).err().unwrap();
    assert_eq!(refused.whose, Whose::Key("k".into()));
    limits.tick(DAY);
    limits.close();
    assert_eq!(kept(&store).await, Vec::new());
    assert_eq!(limits.cells.lock().len(), 1);
    limits.clock.advance(Duration::from_mins(1));
    limits.retain(|_| false, DAY);
    assert_eq!(limits.cells.lock().len(), 0, "nothing is known of it");
}
