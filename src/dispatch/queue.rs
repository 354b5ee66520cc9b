//! The fair wait for a slot: first come, first served among those who want the same, with a deadline and a length.
//!
//! A waiter leaves a closure that tries to take a slot. Whenever one may have become free, [`Queue::pump`] walks the
//! waiters in order and hands out what it can, so nobody overtakes and no herd wakes up. The closures run under the
//! queue's lock: they only read and swap atomics.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::pool::select::Choice;

/// Why nothing could be had just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Slots are full: one may become free at any time.
    Full,
    /// All accounts cool; the first is ready then.
    Cooling(Timestamp),
    /// All quotas are used up; the first is full again then.
    NoQuota(Timestamp),
    /// The model itself cools until then.
    ModelCooling(Timestamp),
    /// Those that are left wait for a person.
    NeedsPerson,
    /// There is no account for this request, or none is left to try.
    Exhausted,
}

impl Blocked {
    /// What selection says where it has nobody to use.
    pub fn of(choice: Choice) -> Self {
        match choice {
            Choice::Wait(until) => Self::Cooling(until),
            Choice::NoQuota(until) => Self::NoQuota(until),
            Choice::NeedsPerson => Self::NeedsPerson,
            Choice::Exhausted => Self::Exhausted,
            // Whoever was to be used and could not be had was full.
            Choice::Full(_) | Choice::Use(_) => Self::Full,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("all slots are taken"),
            Self::Cooling(until) => write!(f, "all accounts cool, the first until {until}"),
            Self::NoQuota(until) => write!(f, "all quotas are used up, the first until {until}"),
            Self::ModelCooling(until) => write!(f, "the model cools until {until}"),
            Self::NeedsPerson => f.write_str("every account waits for a person"),
            Self::Exhausted => f.write_str("there is no account for this"),
        }
    }
}

/// Why a wait ended without a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It makes no sense to wait, or the wait is over: what blocked at last.
    Blocked(Blocked),
    /// Too many are waiting already.
    QueueFull,
}

type Attempt<T> = Box<dyn FnMut() -> Result<T, Blocked> + Send>;

struct Waiter<T> {
    id: u64,
    /// Waiters with the same tag want the same: when one of them can't be served, the others can't either.
    tag: Option<u64>,
    attempt: Attempt<T>,
    slot: oneshot::Sender<T>,
    blocked: Blocked,
}

struct Inner<T> {
    waiters: VecDeque<Waiter<T>>,
    next_id: u64,
}

/// The queue.
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    waiting: AtomicUsize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                waiters: VecDeque::new(),
                next_id: 0,
            }),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// Takes a waiter out when its request goes away.
struct Leave<'a, T> {
    queue: &'a Queue<T>,
    id: u64,
}

impl<T> Drop for Leave<'_, T> {
    fn drop(&mut self) {
        let gone = {
            let mut inner = self.queue.inner.lock();
            let at = inner.waiters.iter().position(|w| w.id == self.id);
            let gone = at.and_then(|at| inner.waiters.remove(at));
            self.queue
                .waiting
                .store(inner.waiters.len(), Ordering::Release);
            gone
        };
        // Dropped outside the lock: the closure may hold what pumps on drop.
        drop(gone);
    }
}

impl<T> Queue<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a slot by `attempt`, waiting at most `timeout` and among at most `max` others.
    ///
    /// # Errors
    /// What blocked, at once where no waiting can help within `timeout`.
    pub async fn acquire(
        self: &Arc<Self>,
        tag: Option<u64>,
        mut attempt: impl FnMut() -> Result<T, Blocked> + Send + 'static,
        timeout: Duration,
        max: usize,
    ) -> Result<T, Refused> {
        let deadline = Instant::now() + timeout;
        let mut blocked = Blocked::Full;
        // Nobody may overtake those who wait; an empty queue has nobody to overtake.
        if self.is_empty() {
            match attempt() {
                Ok(slot) => return Ok(slot),
                Err(why) => blocked = why,
            }
        }
        if !worth_waiting(blocked, deadline) {
            return Err(Refused::Blocked(blocked));
        }
        let (sender, mut receiver) = oneshot::channel();
        let id = {
            let mut inner = self.inner.lock();
            if inner.waiters.len() >= max {
                return Err(Refused::QueueFull);
            }
            let id = inner.next_id;
            inner.next_id += 1;
            inner.waiters.push_back(Waiter {
                id,
                tag,
                attempt: Box::new(attempt),
                slot: sender,
                blocked,
            });
            self.waiting.store(inner.waiters.len(), Ordering::Release);
            id
        };
        let _leave = Leave { queue: self, id };
        loop {
            // A slot may have become free between the try and the entry, or since the last look.
            self.pump();
            if let Ok(slot) = receiver.try_recv() {
                return Ok(slot);
            }
            let blocked = self.blocked(id).unwrap_or(Blocked::Full);
            if !worth_waiting(blocked, deadline) {
                // A slot may have been sent between the two looks.
                return receiver.try_recv().map_err(|_| Refused::Blocked(blocked));
            }
            let wake = match blocked {
                Blocked::Cooling(until)
                | Blocked::NoQuota(until)
                | Blocked::ModelCooling(until) => deadline
                    .min(Instant::now() + until.since(Timestamp::now()) + Duration::from_millis(1)),
                _ => deadline,
            };
            tokio::select! {
                slot = &mut receiver => return slot.map_err(|_| Refused::Blocked(blocked)),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn blocked(&self, id: u64) -> Option<Blocked> {
        self.inner
            .lock()
            .waiters
            .iter()
            .find(|w| w.id == id)
            .map(|w| w.blocked)
    }

    /// Hands out what has become free. Call after every release; cheap while nobody waits.
    pub fn pump(&self) {
        if self.is_empty() {
            return;
        }
        let mut unclaimed = Vec::new();
        let mut finished = Vec::new();
        {
            let mut inner = self.inner.lock();
            let mut failed = HashSet::new();
            let mut at = 0;
            while at < inner.waiters.len() {
                let waiter = &mut inner.waiters[at];
                if waiter.slot.is_closed() || waiter.tag.is_some_and(|tag| failed.contains(&tag)) {
                    at += 1;
                    continue;
                }
                match (waiter.attempt)() {
                    Ok(slot) => {
                        if let Some(waiter) = inner.waiters.remove(at) {
                            if let Err(slot) = waiter.slot.send(slot) {
                                unclaimed.push(slot);
                            }
                            finished.push(waiter.attempt);
                        }
                    }
                    Err(why) => {
                        waiter.blocked = why;
                        failed.extend(waiter.tag);
                        at += 1;
                    }
                }
            }
            self.waiting.store(inner.waiters.len(), Ordering::Release);
        }
        // What nobody took is given back outside the lock, since giving back pumps.
        drop(finished);
        drop(unclaimed);
    }
}

fn worth_waiting(blocked: Blocked, deadline: Instant) -> bool {
    let now = Instant::now();
    match blocked {
        Blocked::Full => now < deadline,
        Blocked::Cooling(until) | Blocked::NoQuota(until) | Blocked::ModelCooling(until) => {
            now < deadline && now + until.since(Timestamp::now()) <= deadline
        }
        Blocked::NeedsPerson | Blocked::Exhausted => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// One slot that several want.
    #[derive(Default)]
    struct Slot {
        taken: AtomicU32,
    }

    struct Held(Arc<Slot>, Arc<Queue<Held>>);

    impl Drop for Held {
        fn drop(&mut self) {
            self.0.taken.fetch_sub(1, Ordering::AcqRel);
            self.1.pump();
        }
    }

    fn take(
        slot: &Arc<Slot>,
        queue: &Arc<Queue<Held>>,
    ) -> impl FnMut() -> Result<Held, Blocked> + Send + 'static {
        let (slot, queue) = (Arc::clone(slot), Arc::clone(queue));
        move || {
            slot.taken
                .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)
                .map(|_| Held(Arc::clone(&slot), Arc::clone(&queue)))
                .map_err(|_| Blocked::Full)
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn serves_in_order_of_arrival() {
        let (slot, queue) = (Arc::<Slot>::default(), Arc::<Queue<Held>>::default());
        let first = queue
            .acquire(Some(1), take(&slot, &queue), LONG, 10)
            .await
            .unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut joins = tokio::task::JoinSet::new();
        for n in 0..5 {
            let (slot, own, order) = (slot.clone(), queue.clone(), order.clone());
            joins.spawn(async move {
                let held = own
                    .acquire(Some(1), take(&slot, &own), LONG, 10)
                    .await
                    .unwrap();
                order.lock().push(n);
                drop(held);
            });
            while queue.len() <= n {
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        while joins.join_next().await.is_some() {}
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
        assert_eq!(slot.taken.load(Ordering::Acquire), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_at_the_deadline_and_leaves_nothing_behind() {
        let (slot, queue) = (Arc::<Slot>::default(), Arc::<Queue<Held>>::default());
        let held = queue
            .acquire(None, take(&slot, &queue), LONG, 10)
            .await
            .unwrap();
        let refused = queue
            .acquire(None, take(&slot, &queue), LONG, 10)
            .await
            .err();
        assert_eq!(refused, Some(Refused::Blocked(Blocked::Full)));
        assert!(queue.is_empty());
        let refused = queue
            .acquire(None, take(&slot, &queue), LONG, 0)
            .await
            .err();
        assert_eq!(refused, Some(Refused::QueueFull));
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_goes_away_gives_its_turn_on() {
        let (slot, queue) = (Arc::<Slot>::default(), Arc::<Queue<Held>>::default());
        let held = queue
            .acquire(None, take(&slot, &queue), LONG, 10)
            .await
            .unwrap();
        {
            let gone = queue.acquire(None, take(&slot, &queue), LONG, 10);
            tokio::pin!(gone);
            assert!(futures_util::poll!(gone.as_mut()).is_pending());
            assert_eq!(queue.len(), 1);
        }
        assert!(queue.is_empty());
        drop(held);
        assert!(
            queue
                .acquire(None, take(&slot, &queue), LONG, 10)
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_what_can_not_come() {
        let queue = Arc::<Queue<()>>::default();
        for blocked in [
            Blocked::NeedsPerson,
            Blocked::Exhausted,
            Blocked::Cooling(Timestamp(i64::MAX)),
            Blocked::NoQuota(Timestamp(i64::MAX)),
        ] {
            let refused = queue
                .acquire(None, move || Err(blocked), LONG, 10)
                .await
                .err();
            assert_eq!(refused, Some(Refused::Blocked(blocked)));
        }
    }
}
