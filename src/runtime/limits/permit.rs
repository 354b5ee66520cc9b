//! What one request has reserved.

use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::pool::limit::{Amount, Hold, Over};
use crate::runtime::limits::{Limited, Limits, Refused};
use crate::runtime::snapshot::KeyEntry;

/// A reservation with a key's own limits and its group's. Dropped unsettled it counts for nothing.
pub struct Permit {
    limits: Arc<Limits>,
    holds: Vec<(Arc<Limited>, Hold)>,
    reserved: Amount,
    /// Whether the disk may not know yet of all that is reserved.
    uncovered: bool,
}

impl Permit {
    /// Reserves for one request of this key.
    ///
    /// # Errors
    /// The first limit that has no room. Nothing is reserved then.
    pub fn reserve(limits: &Arc<Limits>, key: &KeyEntry, amount: Amount) -> Result<Self, Refused> {
        let mut permit = Self {
            limits: Arc::clone(limits),
            holds: Vec::new(),
            reserved: amount,
            uncovered: false,
        };
        for limited in key.limits() {
            let now = limits.clock.now();
            let reserved = limited
                .cell
                .reserve(&limited.bounds, amount, now, &limited.zone);
            let hold = reserved.map_err(|over| refused(limited, over, now))?;
            permit.uncovered |= limited.bounds.lasting();
            permit.holds.push((Arc::clone(limited), hold));
        }
        Ok(permit)
    }

    /// Whether nothing limits the request.
    pub fn is_free(&self) -> bool {
        self.holds.is_empty()
    }

    /// What is reserved.
    pub fn reserved(&self) -> Amount {
        self.reserved
    }

    /// Reserves more.
    ///
    /// # Errors
    /// The first limit that has no room. The reservation stays as it is then.
    pub fn extend(&mut self, more: Amount) -> Result<(), Refused> {
        for n in 0..self.holds.len() {
            let now = self.limits.clock.now();
            let (limited, hold) = &mut self.holds[n];
            let extended = limited
                .cell
                .extend(&limited.bounds, hold, more, now, &limited.zone);
            if let Err(over) = extended {
                let refused = refused(limited, over, now);
                for (limited, hold) in &mut self.holds[..n] {
                    limited.cell.shorten(hold, more);
                }
                return Err(refused);
            }
        }
        self.reserved = self.reserved.plus(more);
        for (limited, _) in &self.holds {
            let Limits { store, tasks, .. } = &*self.limits;
            // Begins the write at once; who reads on waits for it.
            self.uncovered |= !limited.cell.cover(&limited.bounds, store, tasks);
        }
        Ok(())
    }

    /// Waits until the disk knows of what is reserved, where it does not yet; not longer than a second for a slow disk, and
    /// not at all for one that fails. May be dropped and asked again.
    pub async fn covered(&mut self) {
        if !self.uncovered {
            return;
        }
        for (limited, _) in &self.holds {
            let Limits { store, tasks, .. } = &*self.limits;
            limited.cell.covered(&limited.bounds, store, tasks).await;
        }
        self.uncovered = false;
    }

    /// Books what was used in place of what was reserved; `None`: the request did nothing, and counts for nothing.
    pub fn settle(mut self, used: Option<Amount>) {
        self.end(used);
    }

    fn end(&mut self, used: Option<Amount>) {
        for (limited, hold) in self.holds.drain(..) {
            let now = self.limits.clock.now();
            limited.cell.settle(
                &limited.bounds,
                hold,
                used,
                now,
                &limited.zone,
                &self.limits.store,
            );
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(None);
    }
}

fn refused(limited: &Limited, over: Over, now: Timestamp) -> Refused {
    Refused {
        whose: limited.whose.clone(),
        over,
        now,
    }
}
