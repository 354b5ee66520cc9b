//! What lives across reloads: an account's health, slots and credential.
//!
//! Its cells on the board are written under the mutex and read without it; no lock is held across an await.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::base::id::{AccountId, UpstreamId};
use crate::base::time::Timestamp;
use crate::pool::cooldown::Limits;
use crate::pool::failure::{Class, Failure};
use crate::pool::report::{Offer, Report, report};
use crate::pool::state::{Cooldown, Effect, Machine, Relief, Standing};
use crate::runtime::board::{Board, InFlight, Row, Spot};
use crate::runtime::lane::{Lane, Reading};
use crate::runtime::numbers::stable_hash;
use crate::runtime::project::ProjectCell;
use crate::upstream::credential::Credential;

/// What one account is known by while it lives.
pub struct AccountState {
    /// The name of its table.
    pub id: AccountId,
    /// Its number, by which keys know it.
    pub number: u32,
    /// Stands for its name where conversations look for their home.
    pub hash: u64,
    /// Its upstream.
    pub upstream: UpstreamId,
    /// What it signs in with.
    pub credential: Credential,
    /// Calls in flight; a new credential takes over those of the one before.
    pub in_flight: Spot<InFlight>,
    /// Its project and tier.
    pub project: ProjectCell,
    row: Row,
    last_used: AtomicI64,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    machine: Machine,
    lanes: HashMap<String, Arc<Lane>>,
}

impl AccountState {
    /// A fresh account. Where its name had another credential before, calls in flight go on being counted.
    pub fn new(
        id: AccountId,
        number: u32,
        upstream: UpstreamId,
        credential: Credential,
        board: &Arc<Board>,
    ) -> Self {
        Self {
            hash: stable_hash([id.as_str()]),
            number,
            id,
            upstream,
            credential,
            in_flight: board.in_flight(number),
            project: ProjectCell::default(),
            row: board.row(),
            last_used: AtomicI64::new(0),
            health: Mutex::default(),
        }
    }

    /// Takes over what is known of an account that was this one under another name.
    pub(super) fn inherit(&self, before: &Self) {
        let (machine, lanes) = {
            let known = before.health.lock();
            (known.machine.clone(), known.lanes.clone())
        };
        if let Some(project) = before.project.known() {
            self.project.set(project);
        }
        for (model, lane) in lanes {
            self.lane(&model).inherit(&lane);
        }
        self.restore_standing(machine);
    }

    /// Its quotas, as they were read.
    pub(super) fn readings(&self) -> Vec<(String, Reading)> {
        let health = self.health.lock();
        let lanes = health.lanes.iter();
        lanes
            .map(|(model, lane)| (model.clone(), lane.reading()))
            .collect()
    }

    /// Its lane for an upstream model, made on first need.
    pub fn lane(&self, model: &str) -> Arc<Lane> {
        let mut health = self.health.lock();
        if let Some(lane) = health.lanes.get(model) {
            return Arc::clone(lane);
        }
        let state = self.row.board().model(&self.upstream, model);
        let lane = Arc::new(state.lane(model, self.row.number));
        lane.set_bench(health.machine.models.get(model));
        health.lanes.insert(model.to_owned(), Arc::clone(&lane));
        lane
    }

    /// When the account as a whole can be used; `pool::candidate::NEVER` while a person must act.
    pub fn ready_at(&self) -> Timestamp {
        self.row.cell.ready_at()
    }

    /// The number of its row on the board.
    pub fn row(&self) -> u32 {
        self.row.number
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

    /// Whether it has to show that it is well: one call at a time.
    pub fn on_trial(&self) -> bool {
        self.row.cell.on_trial()
    }

    /// Its state for people, as far as these models go.
    pub fn report<'a>(&self, offers: impl Iterator<Item = Offer<'a>>, now: Timestamp) -> Report {
        report(&self.health.lock().machine, offers, now)
    }

    /// Tells of each bench in force: whether it is of the whole account, and what brought it.
    pub fn benches(&self, now: Timestamp, mut tell: impl FnMut(bool, Class)) {
        let health = self.health.lock();
        for bench in health.machine.whole.iter().filter(|b| b.holds(now)) {
            tell(true, bench.class);
        }
        for bench in health.machine.models.values().filter(|b| b.holds(now)) {
            tell(false, bench.class);
        }
    }

    /// Whether its quotas can be asked for: somebody can sign in with it, and a person wants it used.
    pub fn can_be_asked(&self) -> bool {
        let health = self.health.lock();
        let machine = &health.machine;
        let open = match machine.standing {
            Standing::Active | Standing::NeedsVerification(_) => true,
            Standing::NeedsLogin | Standing::Disabled(_) => false,
        };
        open && machine.paused.is_none()
    }

    /// Looks at what the machine knows, without a copy of it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        look(&self.health.lock().machine)
    }

    /// What the machine knows.
    pub fn machine(&self) -> Machine {
        self.health.lock().machine.clone()
    }

    /// A call on `model` went well: what that ended.
    pub fn success(&self, model: &str, now: Timestamp) -> Relief {
        self.last_used.store(now.0, Ordering::Release);
        let mut health = self.health.lock();
        let relief = health.machine.success(model, now);
        if let Some(lane) = health.lanes.get(model) {
            lane.outcome(false);
        }
        self.publish(&health, model);
        relief
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
        if failure.class.is_the_accounts()
            && let Some(lane) = health.lanes.get(model)
        {
            lane.outcome(true);
        }
        self.publish(&health, model);
        effect
    }

    /// Keeps a reading of the pair's quota that was asked for at `at`. Says whether it changed the pair's bench.
    pub fn quota(
        &self,
        model: &str,
        (remaining, reset): (Option<f64>, Option<Timestamp>),
        at: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.lane(model).set_quota(remaining, reset, at);
        if remaining.is_none_or(|left| left <= 0.0) {
            return false;
        }
        let mut health = self.health.lock();
        let changed = health.machine.something_left(model, at, now);
        if changed {
            self.publish(&health, model);
        }
        changed
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

    /// Puts back a standing that the store kept, or begins anew with one.
    pub fn restore_standing(&self, machine: Machine) {
        let mut health = self.health.lock();
        health.machine = machine;
        self.publish_all(&health);
    }

    /// A person ends all benches; who waited for a person is back on trial. Quotas are unknown until they are asked for.
    pub fn release(&self, now: Timestamp) {
        self.credential.revive();
        let mut health = self.health.lock();
        health.machine.release(now);
        for lane in health.lanes.values() {
            lane.forget();
        }
        self.publish_all(&health);
    }

    /// A person takes it out of use. Says whether that is news.
    pub fn pause(&self, now: Timestamp) -> bool {
        let mut health = self.health.lock();
        let news = health.machine.pause(now);
        self.publish_all(&health);
        news
    }

    /// A person takes it back into use. Says whether that is news.
    pub fn resume(&self) -> bool {
        let mut health = self.health.lock();
        let news = health.machine.resume();
        self.publish_all(&health);
        news
    }

    /// Time has passed.
    pub fn tick(&self, now: Timestamp) {
        let mut health = self.health.lock();
        health.machine.tick(now);
        self.publish_all(&health);
    }

    fn publish(&self, health: &Health, model: &str) {
        let machine = &health.machine;
        self.row.cell.set(machine.ready_at(), machine.trial);
        if let Some(lane) = health.lanes.get(model) {
            lane.set_bench(machine.models.get(model));
        }
    }

    fn publish_all(&self, health: &Health) {
        self.publish(health, "");
        for (model, lane) in &health.lanes {
            lane.set_bench(health.machine.models.get(model));
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::base::secret::Secret;
    use crate::base::task::Tasks;
    use crate::upstream::credential::Exchange;
    use crate::upstream::oauth::Grant;

    /// Nobody signs in here.
    struct Nobody;

    impl Exchange for Nobody {
        fn refresh(
            &self,
            _: Secret,
        ) -> futures_util::future::BoxFuture<'static, Result<Grant, Failure>> {
            Box::pin(std::future::pending())
        }
    }

    /// An account of this name.
    pub(crate) fn account(name: &str) -> AccountState {
        let secret = Secret::new("made-up");
        let exchange = Arc::new(Nobody);
        let credential = Credential::new(secret, "id", exchange, None, None, Tasks::new());
        AccountState::new(name.into(), 0, "u".into(), credential, &Arc::default())
    }
}
