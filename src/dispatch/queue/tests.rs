use std::collections::HashSet;
use std::sync::atomic::AtomicU32;

use proptest::prelude::*;

use super::*;

/// One slot that several want.
#[derive(Default)]
struct Slot {
    taken: AtomicU32,
    tries: AtomicU32,
}

struct Held(Arc<Slot>, Arc<Queue<Held>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        let taken = || self.0.taken.load(Ordering::Acquire) > 0;
        self.1.freed(Freed::Anything, taken);
    }
}

/// Wants the slot; who has the same number wants the same.
struct Wanting {
    slot: Arc<Slot>,
    queue: Arc<Queue<Held>>,
    number: usize,
    /// What others of the same route may have.
    nobody: Option<Blocked>,
    /// Shut out by its key.
    key: Option<usize>,
}

const FULL: Blocked = Blocked::Full(NEVER);

impl Want for Wanting {
    type Place = Held;

    fn take(&mut self) -> Result<Held, Blocked> {
        self.slot.tries.fetch_add(1, Ordering::AcqRel);
        if self.key.is_some() {
            return Err(Blocked::KeyFull);
        }
        self.slot
            .taken
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| Held(Arc::clone(&self.slot), Arc::clone(&self.queue)))
            .map_err(|_| FULL)
    }

    fn tags(&self) -> Tags {
        Tags {
            route: self.number % 3,
            accounts: Some(self.number),
            key: self.key,
            group: None,
        }
    }

    fn gains(&self, _: &Freed<'_>) -> bool {
        true
    }

    fn nobody(&self) -> Option<Blocked> {
        self.nobody
    }
}

fn want(slot: &Arc<Slot>, queue: &Arc<Queue<Held>>, number: usize) -> Wanting {
    Wanting {
        slot: Arc::clone(slot),
        queue: Arc::clone(queue),
        number,
        nobody: Some(FULL),
        key: None,
    }
}

/// Can never be had for this reason.
struct Never(Blocked);

impl Want for Never {
    type Place = ();

    fn take(&mut self) -> Result<(), Blocked> {
        Err(self.0)
    }

    fn tags(&self) -> Tags {
        Tags::default()
    }

    fn gains(&self, _: &Freed<'_>) -> bool {
        true
    }

    fn nobody(&self) -> Option<Blocked> {
        Some(self.0)
    }
}

const LONG: Duration = Duration::from_mins(1);

type Rig = (Arc<Slot>, Arc<Queue<Held>>);

#[tokio::test(start_paused = true)]
async fn serves_in_order_of_arrival() {
    let (slot, queue) = Rig::default();
    let first = queue.acquire(want(&slot, &queue, 1), LONG, 10).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut joins = tokio::task::JoinSet::new();
    for n in 0..5 {
        let (slot, own, order) = (slot.clone(), queue.clone(), order.clone());
        joins.spawn(async move {
            let held = own.acquire(want(&slot, &own, n % 2), LONG, 10).await;
            order.lock().push(n);
            drop(held.unwrap());
        });
        while queue.len() <= n {
            tokio::task::yield_now().await;
        }
    }
    drop(first.unwrap());
    while joins.join_next().await.is_some() {}
    assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
    assert_eq!(slot.taken.load(Ordering::Acquire), 0);
}

#[tokio::test(start_paused = true)]
async fn ends_at_the_deadline_and_leaves_nothing_behind() {
    let (slot, queue) = Rig::default();
    let held = queue.acquire(want(&slot, &queue, 1), LONG, 10).await;
    let refused = queue.acquire(want(&slot, &queue, 1), LONG, 10).await.err();
    assert_eq!(refused, Some(Refused::Blocked(FULL)));
    assert!(queue.is_empty());
    let refused = queue.acquire(want(&slot, &queue, 1), LONG, 0).await.err();
    assert_eq!(refused, Some(Refused::QueueFull));
    assert!(queue.is_empty());
    drop(held.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_away_gives_its_turn_on() {
    let (slot, queue) = Rig::default();
    let held = queue.acquire(want(&slot, &queue, 1), LONG, 10).await;
    {
        let gone = queue.acquire(want(&slot, &queue, 1), LONG, 10);
        tokio::pin!(gone);
        assert!(futures_util::poll!(gone.as_mut()).is_pending());
        assert_eq!(queue.len(), 1);
    }
    assert!(queue.is_empty());
    drop(held.unwrap());
    let next = queue.acquire(want(&slot, &queue, 1), LONG, 10).await;
    assert!(next.is_ok());
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_for_what_can_not_come() {
    let queue = Arc::<Queue<()>>::default();
    for blocked in [
        Blocked::NeedsPerson,
        Blocked::Exhausted,
        Blocked::Cooling(NEVER),
        Blocked::NoQuota(NEVER),
    ] {
        let refused = queue.acquire(Never(blocked), LONG, 10).await.err();
        assert_eq!(refused, Some(Refused::Blocked(blocked)));
    }
}

/// Blocked as told from outside.
struct Told(Arc<Mutex<Result<(), Blocked>>>);

impl Want for Told {
    type Place = ();

    fn take(&mut self) -> Result<(), Blocked> {
        *self.0.lock()
    }

    fn tags(&self) -> Tags {
        Tags::default()
    }

    fn gains(&self, _: &Freed<'_>) -> bool {
        true
    }

    fn nobody(&self) -> Option<Blocked> {
        self.0.lock().err()
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_slot_also_looks_when_a_bench_ends() {
    let queue = Arc::<Queue<()>>::default();
    let soon = Timestamp::now().plus(Duration::from_millis(10));
    let state = Arc::new(Mutex::new(Err(Blocked::Full(soon))));
    let waits = queue.acquire(Told(Arc::clone(&state)), LONG, 10);
    tokio::pin!(waits);
    assert!(futures_util::poll!(waits.as_mut()).is_pending());
    *state.lock() = Ok(());
    while Timestamp::now() < soon {
        std::thread::yield_now();
    }
    // Nothing was given back, and still it is served long before its deadline.
    let begun = Instant::now();
    assert_eq!(waits.await, Ok(()));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_learns_from_others_walks_that_the_way_has_changed() {
    let queue = Arc::<Queue<()>>::default();
    let state = Arc::new(Mutex::new(Err(FULL)));
    let waits = queue.acquire(Told(Arc::clone(&state)), LONG, 10);
    tokio::pin!(waits);
    assert!(futures_util::poll!(waits.as_mut()).is_pending());
    // The account that was full is benched for longer than anybody waits: told at once.
    let late = Timestamp::now().plus(Duration::from_hours(1));
    *state.lock() = Err(Blocked::Cooling(late));
    queue.freed(Freed::Anything, || false);
    let begun = Instant::now();
    assert_eq!(waits.await, Err(Refused::Blocked(Blocked::Cooling(late))));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_keeps_nobody_out_who_can_be_served() {
    let (slot, queue) = Rig::default();
    let shut_out = Wanting {
        key: Some(9),
        ..want(&slot, &queue, 1)
    };
    let waits = queue.acquire(shut_out, LONG, 1);
    tokio::pin!(waits);
    assert!(futures_util::poll!(waits.as_mut()).is_pending());
    assert_eq!(queue.len(), 1);
    // The one that waits for its own key's slot is in front, wants the same of the pool, and fills the queue.
    let held = queue.acquire(want(&slot, &queue, 1), LONG, 1).await;
    assert!(held.is_ok());
    let refused = queue.acquire(want(&slot, &queue, 1), LONG, 1).await.err();
    assert_eq!(refused, Some(Refused::QueueFull));
}

/// Lets so many wait, of so many kinds each, for a slot that is taken; gives the tries that one release costs.
async fn tries_of_a_release(waiters: usize, kinds: usize, nobody: Option<Blocked>) -> u32 {
    let (slot, queue) = Rig::default();
    let held = queue.acquire(want(&slot, &queue, 0), LONG, 1).await;
    let mut waits: Vec<_> = (0..waiters)
        .map(|n| {
            let want = Wanting {
                nobody,
                ..want(&slot, &queue, n % kinds)
            };
            Box::pin(queue.acquire(want, LONG, waiters))
        })
        .collect();
    for wait in &mut waits {
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
    }
    assert_eq!(queue.len(), waiters);
    slot.tries.store(0, Ordering::Release);
    // Somebody says that a slot is free, which is not so: a walk that finds nothing.
    queue.freed(Freed::Anything, || false);
    let in_vain = slot.tries.swap(0, Ordering::AcqRel);
    // One is given back: the first gets it, and then it is taken.
    drop(held.unwrap());
    assert_eq!(slot.tries.swap(0, Ordering::AcqRel), 1);
    assert_eq!(queue.len(), waiters - 1);
    in_vain
}

#[tokio::test(start_paused = true)]
async fn a_walk_tries_few_of_many() {
    // All want the same, or are of three routes on which nobody can be served.
    assert_eq!(tries_of_a_release(1000, 1, Some(FULL)).await, 1);
    assert_eq!(tries_of_a_release(1000, 1000, Some(FULL)).await, 3);
    // Somebody could be served, but none of those who wait: each kind is tried once.
    assert_eq!(tries_of_a_release(1000, 20, None).await, 20);
}

proptest! {
    /// Whatever the walks skip, whoever can have the slot gets it, in order among those who want the same.
    #[test]
    fn everybody_is_served_in_turn(kinds in proptest::collection::vec(0usize..6, 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let order = runtime.block_on(async {
            let (slot, queue) = Rig::default();
            let first = queue.acquire(want(&slot, &queue, 0), LONG, 1).await.unwrap();
            let order = Arc::new(Mutex::new(Vec::new()));
            let waits: Vec<_> = kinds
                .iter()
                .enumerate()
                .map(|(n, kind)| {
                    let (queue, slot, order) = (&queue, &slot, &order);
                    async move {
                        let held = queue.acquire(want(slot, queue, *kind), LONG, 99).await;
                        order.lock().push((n, *kind));
                        drop(held.unwrap());
                    }
                })
                .collect();
            let mut all = Box::pin(futures_util::future::join_all(waits));
            assert!(futures_util::poll!(all.as_mut()).is_pending());
            drop(first);
            all.as_mut().await;
            assert!(queue.is_empty() && slot.taken.load(Ordering::Acquire) == 0);
            drop(all);
            Arc::into_inner(order).unwrap().into_inner()
        });
        prop_assert_eq!(order.len(), kinds.len());
        for kind in kinds.iter().collect::<HashSet<_>>() {
            let turns: Vec<_> = order.iter().filter(|(_, k)| k == kind).collect();
            prop_assert!(turns.is_sorted());
        }
    }
}
