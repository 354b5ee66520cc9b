//! The machine of a model, over all accounts of its upstream.

use std::time::Duration;

use crate::base::time::Timestamp;
use crate::pool::cooldown::Limits;

/// What is known of one model of an upstream, over all accounts: only `capacity` speaks to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelMachine {
    in_row: u32,
    benches: u32,
    since: Timestamp,
    /// It cools until then.
    pub until: Timestamp,
}

impl ModelMachine {
    /// A call went well.
    pub fn success(&mut self) {
        *self = Self::default();
    }

    /// The upstream had no capacity: from the third time in a row the model cools, doubling.
    pub fn capacity(&mut self, stated: Option<Duration>, now: Timestamp, limits: &Limits) {
        self.tick(now);
        self.in_row = self.in_row.saturating_add(1);
        if self.in_row >= 3 {
            self.benches = self.benches.saturating_add(1);
            self.in_row = 0;
            let length = stated.unwrap_or_else(|| limits.doubling(self.benches));
            let until = now.plus(length);
            if until > self.until {
                (self.since, self.until) = (now, until);
            }
        }
    }

    /// Time has passed: where the clock was set back, the bench keeps the length that it was given.
    pub fn tick(&mut self, now: Timestamp) {
        if now < self.since {
            let length = self.until.since(self.since);
            (self.since, self.until) = (now, now.plus(length));
        }
    }
}
