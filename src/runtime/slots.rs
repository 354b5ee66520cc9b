//! How many requests a client key, and the keys of a group together, have under way at once. The counters belong to the
//! key's digest and to the group's name, and hold across reloads; the limits are those of the snapshot that a request
//! began with.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::runtime::board::InFlight;

/// A counter with its limit.
#[derive(Debug, Default)]
pub struct Slots {
    in_flight: Arc<InFlight>,
    /// Most at once; `None` is no limit.
    pub limit: Option<u32>,
}

impl Slots {
    /// Under this limit.
    pub fn new(in_flight: Arc<InFlight>, limit: Option<u32>) -> Self {
        Self { in_flight, limit }
    }

    /// How many are taken.
    pub fn count(&self) -> u32 {
        self.in_flight.count()
    }

    fn has_room(&self) -> bool {
        self.in_flight.has_room(self.limit)
    }

    fn shares(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.in_flight, &other.in_flight)
    }
}

/// A group's slots.
#[derive(Debug)]
pub struct GroupSlots {
    /// The name of its table.
    pub name: String,
    /// Its own.
    pub slots: Slots,
}

/// Whose slots are all taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The key's own.
    Key,
    /// Those of its group.
    Group,
}

/// A key's slots and those of its group, taken and given together.
#[derive(Debug, Default)]
pub struct KeySlots {
    /// Its own.
    pub own: Slots,
    /// Its group's.
    pub group: Option<Arc<GroupSlots>>,
}

impl KeySlots {
    /// Whose slots are all taken at this moment, if any.
    pub fn full(&self) -> Option<Whose> {
        if !self.own.has_room() {
            return Some(Whose::Key);
        }
        let group = self.group.as_ref();
        let full = group.is_some_and(|group| !group.slots.has_room());
        full.then_some(Whose::Group)
    }

    /// Takes one of each, or none.
    ///
    /// # Errors
    /// Whose were all taken.
    pub fn take(&self) -> Result<(), Whose> {
        if !self.own.in_flight.take(self.own.limit) {
            return Err(Whose::Key);
        }
        match &self.group {
            Some(group) if !group.slots.in_flight.take(group.slots.limit) => {
                self.own.in_flight.give();
                Err(Whose::Group)
            }
            _ => Ok(()),
        }
    }

    /// Gives one of each back, and says how many of each are left.
    pub fn give(&self) -> (u32, u32) {
        let group = self.group.as_ref();
        let left = group.map(|group| group.slots.in_flight.give());
        (self.own.in_flight.give(), left.unwrap_or_default())
    }

    /// How many of each are taken.
    pub fn counts(&self) -> (u32, u32) {
        let group = self.group.as_ref().map(|group| group.slots.count());
        (self.own.count(), group.unwrap_or_default())
    }

    /// Whether what a request of `other` gives back is what one of these may wait for.
    pub fn gain_from(&self, other: &Self) -> bool {
        let own = self.own.limit.is_some() && self.own.shares(&other.own);
        let group = || match (&self.group, &other.group) {
            (Some(a), Some(b)) => a.slots.limit.is_some() && a.slots.shares(&b.slots),
            _ => false,
        };
        own || group()
    }
}

/// The counters of all keys and groups.
#[derive(Debug, Default)]
pub struct Counters {
    keys: Mutex<HashMap<[u8; 32], Arc<InFlight>>>,
    groups: Mutex<HashMap<String, Arc<InFlight>>>,
}

fn counter<K, Q>(of: &Mutex<HashMap<K, Arc<InFlight>>>, key: &Q) -> Arc<InFlight>
where
    K: Borrow<Q> + Eq + Hash,
    Q: ToOwned<Owned = K> + Eq + Hash + ?Sized,
{
    let mut all = of.lock();
    if let Some(known) = all.get(key) {
        return Arc::clone(known);
    }
    let new = Arc::<InFlight>::default();
    all.insert(key.to_owned(), Arc::clone(&new));
    new
}

impl Counters {
    /// That of the key of this digest.
    pub fn key(&self, digest: &[u8; 32]) -> Arc<InFlight> {
        counter(&self.keys, digest)
    }

    /// That of the group of this name.
    pub fn group(&self, name: &str) -> Arc<InFlight> {
        counter(&self.groups, name)
    }

    /// Forgets those that no snapshot and no request holds.
    pub fn retain(&self) {
        self.keys.lock().retain(|_, one| Arc::strong_count(one) > 1);
        self.groups
            .lock()
            .retain(|_, one| Arc::strong_count(one) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(counters: &Counters, key: u8, limit: u32, group: Option<u32>) -> KeySlots {
        KeySlots {
            own: Slots::new(counters.key(&[key; 32]), Some(limit)),
            group: group.map(|limit| {
                Arc::new(GroupSlots {
                    name: "g".to_owned(),
                    slots: Slots::new(counters.group("g"), Some(limit)),
                })
            }),
        }
    }

    #[test]
    fn both_are_taken_or_none() {
        let counters = Counters::default();
        let (a, b) = (
            slots(&counters, 1, 2, Some(3)),
            slots(&counters, 2, 9, Some(3)),
        );
        assert_eq!(
            (a.take(), a.take(), a.take()),
            (Ok(()), Ok(()), Err(Whose::Key))
        );
        assert_eq!(a.full(), Some(Whose::Key));
        assert_eq!((b.take(), b.take()), (Ok(()), Err(Whose::Group)));
        assert_eq!((b.own.count(), b.full()), (1, Some(Whose::Group)));
        a.give();
        assert_eq!((a.full(), b.full(), b.take()), (None, None, Ok(())));
    }

    #[test]
    fn counters_hold_across_reloads_and_go_when_nobody_holds_them() {
        let counters = Counters::default();
        let before = slots(&counters, 1, 2, Some(5));
        assert_eq!(before.take(), Ok(()));
        let after = slots(&counters, 1, 1, None);
        counters.retain();
        assert_eq!(after.take(), Err(Whose::Key));
        assert!(after.gain_from(&before) && before.gain_from(&after));
        before.give();
        assert_eq!(after.take(), Ok(()));
        after.give();
        drop((before, after));
        counters.retain();
        assert!(counters.keys.lock().is_empty() && counters.groups.lock().is_empty());
    }

    #[test]
    fn only_what_is_limited_waits() {
        let counters = Counters::default();
        let free = KeySlots {
            own: Slots::new(counters.key(&[1; 32]), None),
            group: None,
        };
        let limited = slots(&counters, 1, 1, None);
        assert!(limited.gain_from(&free) && !free.gain_from(&limited));
        assert!(!limited.gain_from(&slots(&counters, 2, 1, Some(1))));
    }
}
