//! The fair wait for a place: first come, first served among those who want the same, with a deadline and a length.
//!
//! A waiter leaves behind what it wants. Whenever a place may have become free, the waiters whom that can help are walked
//! in order and handed what can be had, so nobody overtakes and no herd wakes up. A walk runs under the queue's lock: it
//! reads and swaps atomics only. What it learns it uses: who wants the same as one that could not be served is not tried
//! again, nor is anybody of a route on which nobody at all could be served; and it ends when what was freed is taken.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::dispatch::blocked::{Blocked, Refused};
use crate::pool::candidate::NEVER;
use crate::runtime::lane::ModelState;
use crate::runtime::snapshot::{KeyEntry, Seat};

/// What a request waits for.
pub trait Want: Send {
    /// What it gets.
    type Place: Send;

    /// Takes it where it can be had now. Gives nothing back that would walk the queue.
    ///
    /// # Errors
    /// What stands in the way.
    fn take(&mut self) -> Result<Self::Place, Blocked>;

    /// What it shares with others.
    fn tags(&self) -> Tags;

    /// Whether what was freed can help it.
    fn gains(&self, freed: &Freed<'_>) -> bool;

    /// What stands in the way of everybody on its route, whatever key and tries before; `None` where somebody could be
    /// served.
    fn nobody(&self) -> Option<Blocked>;
}

/// What waiters share: by equal numbers. They are addresses of what the waiter holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tags {
    /// The route.
    pub route: usize,
    /// The accounts that it may use: who shares these and the route wants the same of the pool. `None` where it leaves out
    /// some that it has tried.
    pub accounts: Option<usize>,
    /// Its key, where that is limited and has not let it in yet.
    pub key: Option<usize>,
    /// Its key's group, likewise.
    pub group: Option<usize>,
}

/// What may have become free.
#[derive(Clone, Copy)]
pub enum Freed<'a> {
    /// A call's: a slot of an account and of a model.
    Call(&'a Seat, &'a ModelState),
    /// A request's: a slot of a key and of its group.
    Request(&'a KeyEntry),
    /// Anything.
    Anything,
}

struct Waiter<T> {
    /// Rises along the queue.
    id: u64,
    want: Box<dyn Want<Place = T>>,
    tags: Tags,
    slot: oneshot::Sender<T>,
    blocked: Blocked,
    /// Told when `blocked` changes.
    told: Arc<Notify>,
}

impl<T> Waiter<T> {
    fn set(&mut self, why: Blocked) {
        if self.blocked != why {
            self.blocked = why;
            self.told.notify_one();
        }
    }
}

struct Inner<T> {
    waiters: VecDeque<Waiter<T>>,
    next_id: u64,
}

impl<T> Inner<T> {
    fn position(&self, id: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&id, |w| w.id).ok()
    }
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
struct Leave<'a, T: Send> {
    queue: &'a Queue<T>,
    id: u64,
}

impl<T: Send> Drop for Leave<'_, T> {
    fn drop(&mut self) {
        let gone = {
            let mut inner = self.queue.inner.lock();
            let at = inner.position(self.id);
            let gone = at.and_then(|at| inner.waiters.remove(at));
            self.queue.publish(&inner);
            gone
        };
        // Dropped outside the lock: what it wants may hold what walks the queue on drop.
        drop(gone);
    }
}

/// What one walk has learnt.
#[derive(Default)]
struct Known {
    /// Those who want the same of the pool, and why they can't have it.
    same: HashMap<(usize, usize), Blocked>,
    /// Routes, and why nobody at all can be served there, if so.
    routes: HashMap<usize, Option<Blocked>>,
    /// Keys and groups that are full.
    full: HashMap<usize, Blocked>,
}

impl Known {
    /// Why a waiter of these tags needs no try.
    fn of(&self, tags: &Tags) -> Option<Blocked> {
        let mut full = [tags.key, tags.group].into_iter().flatten();
        let full = full.find_map(|tag| self.full.get(&tag));
        let same = || self.same.get(&(tags.route, tags.accounts?));
        let route = || self.routes.get(&tags.route).and_then(Option::as_ref);
        full.or_else(same).or_else(route).copied()
    }

    /// A try was in vain.
    fn note<T: Send>(&mut self, want: &dyn Want<Place = T>, tags: &Tags, why: Blocked) {
        match why {
            Blocked::KeyFull => self.full.extend(tags.key.map(|key| (key, why))),
            Blocked::GroupFull => self.full.extend(tags.group.map(|group| (group, why))),
            _ => {
                if let Some(accounts) = tags.accounts {
                    self.same.insert((tags.route, accounts), why);
                }
                self.routes
                    .entry(tags.route)
                    .or_insert_with(|| want.nobody());
            }
        }
    }
}

/// What a walk leaves to be dropped outside the lock.
struct Left<T> {
    /// Places that nobody took.
    places: Vec<T>,
    /// Wants of those who were served.
    wants: Vec<Box<dyn Want<Place = T>>>,
}

impl<T: Send> Queue<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a place, waiting at most `timeout` and among at most `max` others.
    ///
    /// # Errors
    /// What blocked, at once where no waiting can help within `timeout`.
    pub async fn acquire(
        self: &Arc<Self>,
        mut want: impl Want<Place = T> + 'static,
        timeout: Duration,
        max: usize,
    ) -> Result<T, Refused> {
        let deadline = Instant::now() + timeout;
        // Nobody may overtake those who wait; an empty queue has nobody to overtake.
        if self.is_empty() {
            match want.take() {
                Ok(place) => return Ok(place),
                Err(why) => {
                    // Who looked meanwhile may have seen what this try held for a moment.
                    self.freed(Freed::Anything, || false);
                    if !worth_waiting(why, deadline) {
                        return Err(Refused::Blocked(why));
                    }
                }
            }
        }
        let told = Arc::new(Notify::new());
        let (sender, mut receiver) = oneshot::channel();
        let id = self.enter(Box::new(want), sender, Arc::clone(&told));
        let _leave = Leave { queue: self, id };
        self.look(id);
        if self.overflows(id, max) {
            return receiver.try_recv().map_err(|_| Refused::QueueFull);
        }
        loop {
            if let Ok(place) = receiver.try_recv() {
                return Ok(place);
            }
            let blocked = self.blocked(id).unwrap_or(Blocked::Full(NEVER));
            if !worth_waiting(blocked, deadline) {
                // A place may have been sent between the two looks.
                return receiver.try_recv().map_err(|_| Refused::Blocked(blocked));
            }
            let ready = blocked.until();
            let wake = ready.map_or(deadline, |until| {
                let left = until.since(Timestamp::now()) + Duration::from_millis(1);
                deadline.min(Instant::now() + left)
            });
            tokio::select! {
                place = &mut receiver => return place.map_err(|_| Refused::Blocked(blocked)),
                () = told.notified() => {}
                () = tokio::time::sleep_until(wake) => self.look(id),
            }
        }
    }

    fn enter(
        &self,
        want: Box<dyn Want<Place = T>>,
        slot: oneshot::Sender<T>,
        told: Arc<Notify>,
    ) -> u64 {
        let mut inner = self.inner.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.waiters.push_back(Waiter {
            id,
            tags: want.tags(),
            want,
            slot,
            // Until it is looked at: the epoch is always over.
            blocked: Blocked::Full(Timestamp(0)),
            told,
        });
        self.publish(&inner);
        id
    }

    /// Whether this waiter is one too many. Who could be served at once has left by now, so that those who wait for what
    /// others do not want keep nobody out.
    fn overflows(&self, id: u64, max: usize) -> bool {
        let inner = self.inner.lock();
        inner.position(id).is_some_and(|at| at >= max)
    }

    fn blocked(&self, id: u64) -> Option<Blocked> {
        let inner = self.inner.lock();
        inner.position(id).map(|at| inner.waiters[at].blocked)
    }

    fn publish(&self, inner: &Inner<T>) {
        self.waiting.store(inner.waiters.len(), Ordering::Release);
    }

    /// A waiter's time has come: those who want the same are walked, unless another's walk did so meanwhile.
    fn look(&self, id: u64) {
        let inner = self.inner.lock();
        let Some(at) = inner.position(id) else {
            return;
        };
        let waiter = &inner.waiters[at];
        let now = Timestamp::now();
        if waiter.blocked.until().is_none_or(|until| until > now) {
            return;
        }
        let tags = waiter.tags;
        let same = |other: &Waiter<T>| {
            other.id == id
                || (tags.accounts.is_some()
                    && (other.tags.route, other.tags.accounts) == (tags.route, tags.accounts))
        };
        self.walk(inner, same, || false);
    }

    /// Hands out what has become free, to those whom it helps, until it is `spent`. Call after every release; cheap while
    /// nobody waits.
    pub fn freed(&self, freed: Freed<'_>, spent: impl Fn() -> bool) {
        if !self.is_empty() {
            self.walk(self.inner.lock(), |w| w.want.gains(&freed), spent);
        }
    }

    fn walk(
        &self,
        mut inner: MutexGuard<'_, Inner<T>>,
        reach: impl Fn(&Waiter<T>) -> bool,
        spent: impl Fn() -> bool,
    ) {
        let mut left = Left {
            places: Vec::new(),
            wants: Vec::new(),
        };
        let mut known = Known::default();
        let mut at = 0;
        while at < inner.waiters.len() && !spent() {
            let waiter = &mut inner.waiters[at];
            if waiter.slot.is_closed() || !reach(waiter) {
                at += 1;
                continue;
            }
            if let Some(why) = known.of(&waiter.tags) {
                waiter.set(why);
                at += 1;
                continue;
            }
            match waiter.want.take() {
                Ok(place) => {
                    if let Some(waiter) = inner.waiters.remove(at) {
                        left.places.extend(waiter.slot.send(place).err());
                        left.wants.push(waiter.want);
                    }
                }
                Err(why) => {
                    known.note(waiter.want.as_ref(), &waiter.tags, why);
                    waiter.set(why);
                    at += 1;
                }
            }
        }
        self.publish(&inner);
        drop(inner);
        // What nobody took is given back outside the lock, since giving back walks.
        drop(left);
    }
}

fn worth_waiting(blocked: Blocked, deadline: Instant) -> bool {
    let now = Instant::now();
    let in_time = |until: Timestamp| now + until.since(Timestamp::now()) <= deadline;
    match blocked {
        Blocked::Full(_) | Blocked::KeyFull | Blocked::GroupFull => now < deadline,
        Blocked::Cooling(until) | Blocked::NoQuota(until) | Blocked::ModelCooling(until) => {
            now < deadline && in_time(until)
        }
        Blocked::NeedsPerson | Blocked::Exhausted => false,
    }
}

#[cfg(test)]
mod tests;
