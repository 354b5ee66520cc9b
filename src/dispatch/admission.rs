//! What lets a request in: a slot of its key and one of the key's group, from its first place in the pool to its end.

use std::sync::Arc;

use crate::dispatch::blocked::Blocked;
use crate::dispatch::queue::{Freed, Queue};
use crate::dispatch::seat::Held;
use crate::runtime::slots::Whose;
use crate::runtime::snapshot::KeyEntry;

/// A request's slots of its key and group, given back by drop.
pub struct Admission {
    key: Arc<KeyEntry>,
    queue: Arc<Queue<Held>>,
}

impl Admission {
    /// Owns slots that were taken of `key`.
    pub(super) fn of_taken(key: &Arc<KeyEntry>, queue: &Arc<Queue<Held>>) -> Self {
        Self {
            key: Arc::clone(key),
            queue: Arc::clone(queue),
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let slots = &self.key.slots;
        let left = slots.give();
        let alone = slots.group.is_none();
        // Whoever takes them raises the counts again.
        let taken = || {
            let (own, group) = slots.counts();
            own > left.0 && (alone || group > left.1)
        };
        self.queue.freed(Freed::Request(&self.key), taken);
    }
}

impl From<Whose> for Blocked {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Key => Self::KeyFull,
            Whose::Group => Self::GroupFull,
        }
    }
}
