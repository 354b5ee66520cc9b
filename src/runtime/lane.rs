//! One account's standing with one model, and one model over all accounts of an upstream.

use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::base::time::Timestamp;
use crate::pool::candidate::NEVER;
use crate::pool::cooldown::{self, Limits};
use crate::pool::failure::{Class, Failure};
use crate::pool::state::{Cooldown, ModelMachine};
use crate::runtime::board::{InFlight, Slab, Spot, Spots};

/// How much one call changes the failure rate: the last five calls make two thirds of it.
const NEWEST: f32 = 0.2;
/// The latest end of a bench: half of all time.
const LATEST: i64 = i64::MAX >> 1;
/// Health never falls below this: an account that failed must get calls to show that it is well again.
const LEAST_HEALTH: f32 = 0.1;

/// One account's standing with one upstream model.
#[derive(Debug)]
pub struct Lane {
    /// The upstream's model id.
    pub model: String,
    cell: Spot<LaneCell>,
}

impl Deref for Lane {
    type Target = LaneCell;

    fn deref(&self) -> &LaneCell {
        &self.cell
    }
}

/// What selection reads of it, on the board. Written under the account's mutex, read without it.
#[derive(Debug)]
pub struct LaneCell {
    /// The bench's end, twice; plus one where it is for lack of quota.
    bench: AtomicI64,
    /// Nothing is left of the quota until then; 0 where something is, or nobody knows.
    empty_until: AtomicI64,
    /// When a reading of the quota is void: its reset, 0 for never.
    reset: AtomicI64,
    /// Two `f32`: the quota's remaining share (NaN is unknown), the failure rate.
    quota_and_failures: AtomicU64,
}

/// What a provider said of a quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Remaining share; `None` is unknown.
    pub(super) remaining: Option<f64>,
    /// When it is full again, where that is known.
    pub(super) reset: Option<Timestamp>,
}

/// What selection reads of a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneView {
    /// When the pair can be used: after its bench and, where nothing is left, after its quota's reset.
    pub ready_at: Timestamp,
    /// Whether that is a quota's reset.
    pub exhausted: bool,
    /// Remaining share of the quota; `None` is unknown.
    pub remaining: Option<f64>,
    /// How well the last calls went, [`LEAST_HEALTH`] to 1.
    pub health: f64,
}

fn pack(quota: f32, failures: f32) -> u64 {
    (u64::from(quota.to_bits()) << 32) | u64::from(failures.to_bits())
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are 32 bits")]
fn unpack(bits: u64) -> (f32, f32) {
    (
        f32::from_bits((bits >> 32) as u32),
        f32::from_bits(bits as u32),
    )
}

impl Default for LaneCell {
    fn default() -> Self {
        Self {
            bench: AtomicI64::new(0),
            empty_until: AtomicI64::new(0),
            reset: AtomicI64::new(0),
            quota_and_failures: AtomicU64::new(pack(f32::NAN, 0.0)),
        }
    }
}

impl LaneCell {
    /// When the pair's own bench ends.
    pub fn ready_at(&self) -> Timestamp {
        self.ready(true).0
    }

    pub(super) fn set_bench(&self, bench: Option<&Cooldown>) {
        let bench = bench.map_or(0, |bench| {
            let spent = bench.class == Class::QuotaExhausted;
            2 * bench.until.0.clamp(0, LATEST) + i64::from(spent)
        });
        self.bench.store(bench, Ordering::Release);
    }

    /// When the pair can be used: after its bench and, where nothing is left and it may not go on past an empty quota
    /// (`credits`), after the reset. And whether that is a quota's reset.
    #[inline]
    pub fn ready(&self, credits: bool) -> (Timestamp, bool) {
        let bench = self.bench.load(Ordering::Acquire);
        let (until, spent) = (bench >> 1, bench & 1 == 1);
        let empty = if credits {
            0
        } else {
            self.empty_until.load(Ordering::Acquire)
        };
        (Timestamp(until.max(empty)), spent || empty > until)
    }

    /// What selection needs.
    pub fn view(&self, credits: bool, now: Timestamp) -> LaneView {
        let (quota, failures) = unpack(self.quota_and_failures.load(Ordering::Acquire));
        let reset = self.reset.load(Ordering::Acquire);
        let known = !quota.is_nan() && (reset == 0 || now.0 < reset);
        let (ready_at, exhausted) = self.ready(credits);
        LaneView {
            ready_at,
            exhausted,
            remaining: known.then_some(f64::from(quota)),
            health: f64::from((1.0 - failures).max(LEAST_HEALTH)),
        }
    }

    /// Remaining share of the quota; `None` is unknown, and so is a reading whose reset has passed.
    pub fn remaining(&self, now: Timestamp) -> Option<f64> {
        self.view(true, now).remaining
    }

    /// When a quota that is used up is full again.
    pub fn empty_until(&self, now: Timestamp) -> Option<Timestamp> {
        let empty = self.remaining(now).is_some_and(|left| left <= 0.0);
        empty.then(|| Timestamp(self.reset.load(Ordering::Acquire)))
    }

    /// When a quota that is known is full again, where the upstream told that.
    pub fn reset(&self, now: Timestamp) -> Option<Timestamp> {
        let reset = Timestamp(self.reset.load(Ordering::Acquire));
        (reset > now && self.remaining(now).is_some()).then_some(reset)
    }

    /// Keeps a reading of `at`. An empty quota without a reset is believed for an hour, so that the account is asked again
    /// also where no other reading comes.
    pub fn set_quota(&self, remaining: Option<f64>, reset: Option<Timestamp>, at: Timestamp) {
        let reset = match remaining {
            Some(left) if left <= 0.0 => Some(reset.unwrap_or(at.plus(cooldown::QUOTA)))
                .map(|r| r.min(Timestamp(NEVER.0 - 1))),
            _ => reset,
        };
        let reset = reset.map_or(0, Timestamp::as_millis);
        let empty = remaining.is_some_and(|left| left <= 0.0);
        self.empty_until
            .store(if empty { reset } else { 0 }, Ordering::Release);
        self.reset.store(reset, Ordering::Release);
        #[expect(clippy::cast_possible_truncation, reason = "a share needs no more")]
        let quota = remaining.map_or(f32::NAN, |left| left as f32);
        self.update(|_, failures| (quota, failures));
    }

    /// The reading at hand.
    pub(super) fn reading(&self) -> Reading {
        let (quota, _) = unpack(self.quota_and_failures.load(Ordering::Acquire));
        let reset = self.reset.load(Ordering::Acquire);
        Reading {
            remaining: Some(f64::from(quota)).filter(|quota| !quota.is_nan()),
            reset: Some(Timestamp(reset)).filter(|reset| reset.0 > 0),
        }
    }

    /// Takes over reading and failures of another one.
    pub(super) fn inherit(&self, before: &Self) {
        let reset = before.reset.load(Ordering::Acquire);
        let bits = before.quota_and_failures.load(Ordering::Acquire);
        self.reset.store(reset, Ordering::Release);
        self.quota_and_failures.store(bits, Ordering::Release);
    }

    /// Forgets the reading and the failures: a person says that the account is well.
    pub(super) fn forget(&self) {
        self.empty_until.store(0, Ordering::Release);
        self.reset.store(0, Ordering::Release);
        self.update(|_, _| (f32::NAN, 0.0));
    }

    /// Folds a call into the failure rate.
    pub(super) fn outcome(&self, failed: bool) {
        let newest = if failed { 1.0 } else { 0.0 };
        self.update(|quota, rate| (quota, rate + NEWEST * (newest - rate)));
    }

    fn update(&self, change: impl Fn(f32, f32) -> (f32, f32)) {
        let _ = self
            .quota_and_failures
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |bits| {
                let (quota, failures) = unpack(bits);
                let (quota, failures) = change(quota, failures);
                Some(pack(quota, failures))
            });
    }
}

/// One model of one upstream, over all its accounts.
#[derive(Debug, Default)]
pub struct ModelState {
    /// Calls in flight.
    pub in_flight: InFlight,
    /// Round robin's pointer: the slot after the one that was used last.
    pub turn: AtomicUsize,
    ready_at: AtomicI64,
    machine: Mutex<ModelMachine>,
    lanes: Slab<LaneCell>,
}

impl ModelState {
    /// The lane of the account of this row, as if nothing were known of it.
    pub(super) fn lane(&self, model: &str, row: u32) -> Lane {
        let cell = self.lanes.spot(row);
        // The row may have been another account's.
        cell.set_bench(None);
        cell.forget();
        Lane {
            model: model.to_owned(),
            cell,
        }
    }

    /// All its lanes, by row.
    pub fn lanes(&self) -> Spots<LaneCell> {
        self.lanes.spots()
    }

    /// When it can be used.
    pub fn ready_at(&self) -> Timestamp {
        Timestamp(self.ready_at.load(Ordering::Acquire))
    }

    /// A call went well. Says whether that ended a bench.
    pub fn success(&self, now: Timestamp) -> bool {
        let mut machine = self.machine.lock();
        let benched = machine.until > now;
        machine.success();
        self.ready_at.store(0, Ordering::Release);
        benched
    }

    /// The upstream had no capacity.
    pub fn capacity(&self, failure: &Failure, now: Timestamp, limits: &Limits) {
        let mut machine = self.machine.lock();
        machine.capacity(failure.delay, now, limits);
        self.ready_at.store(machine.until.0, Ordering::Release);
    }

    /// Time has passed.
    pub fn tick(&self, now: Timestamp) {
        let mut machine = self.machine.lock();
        machine.tick(now);
        self.ready_at.store(machine.until.0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn unknown_is_full_and_so_is_a_passed_reset() {
        let lane = LaneCell::default();
        assert_eq!(lane.view(false, NOW).remaining, None);
        let reset = NOW.plus(Duration::from_mins(1));
        lane.set_quota(Some(0.0), Some(reset), NOW);
        let view = lane.view(false, NOW);
        assert_eq!((view.ready_at, view.exhausted), (reset, true));
        assert_eq!(lane.empty_until(NOW), Some(reset));
        let view = lane.view(true, NOW);
        assert_eq!((view.ready_at, view.remaining), (Timestamp(0), Some(0.0)));
        let view = lane.view(false, reset);
        assert_eq!((view.ready_at <= reset, view.remaining), (true, None));
    }

    #[test]
    fn an_empty_quota_without_a_reset_is_believed_for_an_hour() {
        let lane = LaneCell::default();
        lane.set_quota(Some(0.0), None, NOW);
        assert_eq!(lane.empty_until(NOW), Some(NOW.plus(cooldown::QUOTA)));
        lane.set_quota(Some(0.3), None, NOW);
        assert_eq!(lane.empty_until(NOW), None);
    }

    #[test]
    fn health_falls_and_rises_and_has_a_floor() {
        let lane = LaneCell::default();
        let health = || lane.view(false, NOW).health;
        assert!((health() - 1.0).abs() < 1e-6);
        lane.outcome(true);
        assert!((health() - 0.8).abs() < 1e-6);
        for _ in 0..100 {
            lane.outcome(true);
        }
        assert!((health() - 0.1).abs() < 1e-6);
        for _ in 0..20 {
            lane.outcome(false);
        }
        assert!(health() > 0.98);
    }
}
