//! What lives across reloads: an account's health, slots and credential, and a model's over all accounts.
//!
//! The atomics ("cells") are written under the mutex and read without it; no lock is held across an await.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::base::id::{AccountId, UpstreamId};
use crate::base::time::Timestamp;
use crate::pool::cooldown::Limits;
use crate::pool::failure::{Class, Failure};
use crate::pool::state::{Cooldown, Effect, Machine, ModelMachine, Standing};
use crate::runtime::project::ProjectCell;
use crate::upstream::credential::Credential;

/// Counts calls in flight; never above its limit.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

impl InFlight {
    /// How many.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Takes a slot where fewer than `limit` are taken; `None` is no limit.
    pub fn take(&self, limit: Option<u32>) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                limit
                    .is_none_or(|limit| n < limit)
                    .then_some(n.saturating_add(1))
            })
            .is_ok()
    }

    /// Gives one back.
    pub fn give(&self) {
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
    }
}

/// One account's standing with one upstream model.
#[derive(Debug)]
pub struct Lane {
    /// The upstream's model id.
    pub model: String,
    ready_at: AtomicI64,
    /// Bits of an `f64`; NaN is unknown.
    remaining: AtomicU64,
    reset: AtomicI64,
}

impl Lane {
    fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            ready_at: AtomicI64::new(0),
            remaining: AtomicU64::new(f64::NAN.to_bits()),
            reset: AtomicI64::new(0),
        }
    }

    /// When the pair's own bench ends.
    pub fn ready_at(&self) -> Timestamp {
        Timestamp(self.ready_at.load(Ordering::Acquire))
    }

    /// Remaining share of the quota; `None` is unknown, and so is a reading whose reset has passed.
    pub fn remaining(&self, now: Timestamp) -> Option<f64> {
        let remaining = f64::from_bits(self.remaining.load(Ordering::Acquire));
        let reset = self.reset.load(Ordering::Acquire);
        (!remaining.is_nan() && (reset == 0 || now.0 < reset)).then_some(remaining)
    }

    /// Keeps a reading.
    pub fn set_quota(&self, remaining: Option<f64>, reset: Option<Timestamp>) {
        self.reset
            .store(reset.map_or(0, Timestamp::as_millis), Ordering::Release);
        self.remaining
            .store(remaining.unwrap_or(f64::NAN).to_bits(), Ordering::Release);
    }
}

/// What one account is known by while it lives.
pub struct AccountState {
    /// The name of its table.
    pub id: AccountId,
    /// Its upstream.
    pub upstream: UpstreamId,
    /// What it signs in with.
    pub credential: Credential,
    /// Calls in flight.
    pub in_flight: InFlight,
    /// Its project and tier.
    pub project: ProjectCell,
    ready_at: AtomicI64,
    last_used: AtomicI64,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    machine: Machine,
    lanes: HashMap<String, Arc<Lane>>,
}

impl AccountState {
    /// A fresh account.
    pub fn new(id: AccountId, upstream: UpstreamId, credential: Credential) -> Self {
        Self {
            id,
            upstream,
            credential,
            in_flight: InFlight::default(),
            project: ProjectCell::default(),
            ready_at: AtomicI64::new(0),
            last_used: AtomicI64::new(0),
            health: Mutex::default(),
        }
    }

    /// Its lane for an upstream model, made on first need.
    pub fn lane(&self, model: &str) -> Arc<Lane> {
        let mut health = self.health.lock();
        if let Some(lane) = health.lanes.get(model) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane::new(model));
        lane.ready_at
            .store(health.machine.model_ready_at(model).0, Ordering::Release);
        health.lanes.insert(model.to_owned(), Arc::clone(&lane));
        lane
    }

    /// When the account as a whole can be used; `pool::candidate::NEVER` while a person must act.
    pub fn ready_at(&self) -> Timestamp {
        Timestamp(self.ready_at.load(Ordering::Acquire))
    }

    /// When it last served, or the epoch.
    pub fn last_used(&self) -> Timestamp {
        Timestamp(self.last_used.load(Ordering::Acquire))
    }

    /// Its standing and benches, for people.
    pub fn health(&self) -> (Standing, Option<Cooldown>, Vec<(String, Cooldown)>) {
        let health = self.health.lock();
        let machine = &health.machine;
        (
            machine.standing.clone(),
            machine.whole,
            machine
                .models
                .iter()
                .map(|(m, c)| (m.clone(), *c))
                .collect(),
        )
    }

    /// A call on `model` went well. Returns whether a bench ended by it.
    pub fn success(&self, model: &str, now: Timestamp) -> bool {
        self.last_used.store(now.0, Ordering::Release);
        let mut health = self.health.lock();
        let was_benched = health.machine.models.contains_key(model);
        health.machine.success(model);
        self.publish(&health, model);
        was_benched
    }

    /// A call on `model` failed.
    pub fn failure(
        &self,
        model: &str,
        failure: &Failure,
        now: Timestamp,
        limits: &Limits,
    ) -> Effect {
        let mut health = self.health.lock();
        let effect = health.machine.failure(model, failure, now, limits);
        self.publish(&health, model);
        effect
    }

    /// Puts back a bench that the store kept; `model` of `None` is the whole account.
    pub fn restore(&self, model: Option<&str>, cooldown: Cooldown) {
        let mut health = self.health.lock();
        match model {
            Some(model) => {
                health.machine.models.insert(model.to_owned(), cooldown);
            }
            None => health.machine.whole = Some(cooldown),
        }
        self.publish(&health, model.unwrap_or_default());
    }

    /// The bench of the pair, else of the account, where one is in force.
    pub fn bench(&self, model: &str, class: Class) -> Option<(Option<String>, Cooldown)> {
        let health = self.health.lock();
        let machine = &health.machine;
        let pair = machine.models.get(model).filter(|c| c.class == class);
        pair.map(|c| (Some(model.to_owned()), *c)).or_else(|| {
            machine
                .whole
                .filter(|c| c.class == class)
                .map(|c| (None, c))
        })
    }

    fn publish(&self, health: &Health, model: &str) {
        self.ready_at
            .store(health.machine.ready_at().0, Ordering::Release);
        if let Some(lane) = health.lanes.get(model) {
            lane.ready_at
                .store(health.machine.model_ready_at(model).0, Ordering::Release);
        }
    }
}

/// One model of one upstream, over all its accounts.
#[derive(Debug, Default)]
pub struct ModelState {
    /// Calls in flight.
    pub in_flight: InFlight,
    /// Round robin's pointer.
    pub turn: AtomicUsize,
    ready_at: AtomicI64,
    machine: Mutex<ModelMachine>,
}

impl ModelState {
    /// When it can be used.
    pub fn ready_at(&self) -> Timestamp {
        Timestamp(self.ready_at.load(Ordering::Acquire))
    }

    /// A call went well.
    pub fn success(&self) {
        let mut machine = self.machine.lock();
        machine.success();
        self.ready_at.store(0, Ordering::Release);
    }

    /// The upstream had no capacity.
    pub fn capacity(&self, failure: &Failure, now: Timestamp, limits: &Limits) {
        let mut machine = self.machine.lock();
        machine.capacity(failure.delay, now, limits);
        self.ready_at.store(machine.until.0, Ordering::Release);
    }
}
