//! The one task behind all streams of events: it looks at what may have changed while somebody listens, and tells.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::runtime::controller::{Drift, Reload, drift};
use crate::runtime::snapshot::{Seat, Snapshot};
use crate::server::Gateway;
use crate::server::admin::api::events::{AttentionCount, ChangedAccounts, Event};
use crate::server::admin::api::overview::{ConfigState, Live, Urgency};
use crate::server::admin::{attention, explain, overview};
use crate::server::survey;

/// Between two looks at the log and at jobs.
const TICK: Duration = Duration::from_millis(250);
/// Every so many of them the pool is looked at.
const POOL: u32 = 4;
/// And the numbers of this moment.
const LIVE: u32 = 8;
/// And the files, where nobody told that they were read.
const FILES: u32 = 40;
/// Most rows of an event.
const ROWS: u64 = 100;
/// Most accounts that an event names.
const NAMES: usize = 100;

/// What was seen last.
#[derive(Default)]
pub(super) struct Seen {
    /// Each account's state and quotas as one number.
    accounts: HashMap<AccountId, u64>,
    config: Option<ConfigState>,
    /// What [`ConfigState`] was made of, and how the files stood.
    files: Option<(u64, Reload, Option<Drift>)>,
    attention: Option<(u64, u64)>,
    live: Option<Live>,
    jobs: HashMap<String, u64>,
    next: u64,
}

/// Tells the hub that the task has ended, however it does.
struct Producing(Arc<Gateway>, u64);

impl Drop for Producing {
    fn drop(&mut self) {
        self.0.shared.events.ended(self.1);
    }
}

/// Looks for the first time, then runs beside the streams until none is left or the program drains.
pub(super) async fn begin(gateway: &Arc<Gateway>, number: u64) {
    let producing = Producing(Arc::clone(gateway), number);
    let own = Arc::clone(gateway);
    let jobs = gateway.shared.jobs.changes();
    let logged = gateway.dispatcher.runtime.store.logged();
    let first = tokio::task::spawn_blocking(move || {
        let mut seen = Seen::default();
        let hub = &own.shared.events;
        // A log that can't be read now is one that begins anew.
        let tail = own.dispatcher.runtime.store.log_after(u64::MAX, 0);
        seen.next = tail.map_or(0, |tail| tail.next);
        hub.begin(seen.next);
        for (version, job) in own.shared.jobs.all() {
            seen.jobs.insert(job.id, version);
        }
        for event in seen.pool(&own, true) {
            // Who begins has a list to read, and is told of the configuration at once.
            if matches!(event, Event::Attention(_)) {
                hub.tell(&event);
            }
        }
        seen.look_live(&own);
        seen
    });
    let Ok(seen) = first.await else {
        return;
    };
    let tasks = gateway.dispatcher.runtime.tasks.clone();
    tasks.spawn(run(producing, seen, logged, jobs));
}

async fn run(
    producing: Producing,
    mut seen: Seen,
    mut logged: watch::Receiver<()>,
    mut jobs: watch::Receiver<()>,
) {
    let gateway = Arc::clone(&producing.0);
    let drain = gateway.dispatcher.runtime.tasks.drain().clone();
    let mut swaps = gateway.dispatcher.runtime.swaps();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut n = 0u32;
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if gateway.shared.events.is_idle(producing.1) {
            return;
        }
        n = n.wrapping_add(1);
        let files = n.is_multiple_of(FILES);
        let pool = changed(&mut swaps) || files || n.is_multiple_of(POOL);
        let due = Due {
            rows: changed(&mut logged),
            jobs: changed(&mut jobs),
            pool: pool.then_some(files),
            live: n.is_multiple_of(LIVE),
        };
        if !(due.rows || due.jobs || due.pool.is_some() || due.live) {
            continue;
        }
        let own = Arc::clone(&gateway);
        let looked = tokio::task::spawn_blocking(move || {
            seen.look(&own, due);
            seen
        });
        match looked.await {
            Ok(back) => seen = back,
            Err(_) => return,
        }
    }
}

/// Whether something came since the last look.
fn changed(watch: &mut watch::Receiver<()>) -> bool {
    let changed = watch.has_changed().unwrap_or(false);
    watch.mark_unchanged();
    changed
}

/// What is to be looked at.
#[derive(Debug, Clone, Copy)]
struct Due {
    rows: bool,
    jobs: bool,
    /// Accounts, and whether the files too.
    pool: Option<bool>,
    live: bool,
}

impl Seen {
    fn look(&mut self, gateway: &Gateway, due: Due) {
        let hub = &gateway.shared.events;
        if let Some(files) = due.pool {
            for event in self.pool(gateway, files) {
                hub.tell(&event);
            }
        }
        if due.rows {
            self.look_rows(gateway);
        }
        if due.jobs {
            let all = gateway.shared.jobs.all();
            self.jobs
                .retain(|id, _| all.iter().any(|(_, job)| job.id == *id));
            for (version, job) in all.into_iter().rev() {
                if self.jobs.insert(job.id.clone(), version) != Some(version) {
                    hub.tell(&Event::Job(job));
                }
            }
        }
        if due.live {
            self.look_live(gateway);
        }
    }

    fn look_live(&mut self, gateway: &Gateway) {
        let live = overview::live(gateway);
        if self.live.as_ref() != Some(&live) {
            gateway.shared.events.tell(&Event::Live(live.clone()));
            self.live = Some(live);
        }
    }

    fn look_rows(&mut self, gateway: &Gateway) {
        let store = &gateway.dispatcher.runtime.store;
        let Ok(tail) = store.log_after(self.next, ROWS) else {
            return;
        };
        self.next = tail.next;
        let rows: Vec<_> = tail.rows.iter().map(explain::row).collect();
        if !rows.is_empty() || tail.missed > 0 {
            gateway.shared.events.rows(rows, tail.missed, tail.next);
        }
    }

    /// Looks at the configuration, at every account, and at what needs a person.
    fn pool(&mut self, gateway: &Gateway, files: bool) -> Vec<Event> {
        let snapshot = gateway.dispatcher.runtime.snapshot();
        let now = Timestamp::now();
        let mut events = Vec::new();
        let config = self.config(gateway, &snapshot, files);
        if self.config.as_ref() != Some(&config) {
            events.push(Event::Config(config.clone()));
            self.config = Some(config.clone());
        }
        let accounts = fingerprints(&snapshot, now);
        let mut names: Vec<String> = accounts
            .iter()
            .filter(|(id, print)| self.accounts.get(*id) != Some(*print))
            .map(|(id, _)| id)
            .chain(
                self.accounts
                    .keys()
                    .filter(|id| !accounts.contains_key(*id)),
            )
            .map(ToString::to_string)
            .collect();
        self.accounts = accounts;
        if !names.is_empty() {
            names.sort_unstable();
            let more = names.len() > NAMES;
            names.truncate(NAMES);
            events.push(Event::Accounts(ChangedAccounts { names, more }));
        }
        let all = attention::attention(gateway, &snapshot, &config, now);
        let errors = all.iter().filter(|a| a.urgency == Urgency::Error).count();
        let (count, errors) = (all.len() as u64, errors as u64);
        if self.attention != Some((count, errors)) {
            self.attention = Some((count, errors));
            events.push(Event::Attention(AttentionCount { count, errors }));
        }
        events
    }

    /// The configuration in force. The files are read where something was told of them, or it is time.
    fn config(&mut self, gateway: &Gateway, snapshot: &Snapshot, files: bool) -> ConfigState {
        let reload = gateway.dispatcher.runtime.reload.lock().clone();
        let known = self.files.as_ref().filter(|(generation, seen, _)| {
            !files && *generation == snapshot.generation && *seen == reload
        });
        let differs = match known {
            Some((_, _, differs)) => *differs,
            None => drift(&reload, snapshot),
        };
        self.files = Some((snapshot.generation, reload.clone(), differs));
        overview::in_force(snapshot, reload, differs)
    }
}

/// Each account's state and quotas as one number.
fn fingerprints(snapshot: &Snapshot, now: Timestamp) -> HashMap<AccountId, u64> {
    let ids = snapshot.config.accounts.keys();
    ids.map(|id| {
        let mut hasher = DefaultHasher::new();
        let state = survey::state(snapshot, id, now);
        state.as_str().hash(&mut hasher);
        state.until().hash(&mut hasher);
        let live = snapshot.accounts.get(id);
        live.map(|live| live.project.known().and_then(|project| project.tier))
            .hash(&mut hasher);
        let seats = live.map(|live| snapshot.seats(live.number));
        for seat in seats.into_iter().flatten() {
            quota(seat, now).hash(&mut hasher);
        }
        (id.clone(), hasher.finish())
    })
    .collect()
}

/// What is left in thousandths, and when the model can be had.
fn quota(seat: &Seat, now: Timestamp) -> (Option<i64>, Option<Timestamp>) {
    let view = seat.lane.view(seat.credits, now);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share from 0 to 1, in thousandths"
    )]
    let left = view.remaining.map(|left| (left * 1000.0).round() as i64);
    (left, Some(view.ready_at).filter(|at| *at > now))
}
