//! `status`: what runs.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::id::hex;
use crate::base::time::Timestamp;
use crate::pool::report::State;
use crate::runtime::account::AccountState;
use crate::runtime::controller::{Drift, drift};
use crate::runtime::snapshot::{Seat, Snapshot};
use crate::server::Gateway;
use crate::server::admin::state;
use crate::store::Condition;

pub(super) fn status(gateway: &Gateway) -> Value {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let reload = runtime.reload.lock().clone();
    let health = runtime.store.health();
    let accounts = accounts(&snapshot, Timestamp::now());
    let condition = |condition: &Condition| match condition {
        Condition::Ok => json!({"state": "ok"}),
        Condition::Failing { since, error } => {
            json!({"state": "failing", "since": since.to_string(), "error": error})
        }
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": runtime.started.to_string(),
        "ready": gateway.ready.load(std::sync::atomic::Ordering::Acquire),
        "listen": gateway.public.addr().unwrap_or(snapshot.config.server.listen).to_string(),
        "admin": gateway.admin.addr().map(|addr| addr.to_string()),
        "metrics": gateway.metrics.addr().map(|addr| addr.to_string()),
        "config": {
            "generation": snapshot.generation,
            "revision": hex(&snapshot.revision),
            "applied": reload.applied.as_ref().map(|record| json!({
                "at": record.at.to_string(),
                "who": record.who,
                "from": record.from,
                "what": record.what,
            })),
            "read": (reload.at > Timestamp::default()).then(|| reload.at.to_string()),
            "differs": drift(&reload, &snapshot).map(Drift::as_str),
            "errors": reload.errors,
            "after_restart": reload.restart,
        },
        "upstreams": upstreams(&snapshot, Timestamp::now()),
        "accounts": accounts,
        "waiting": gateway.dispatcher.queue.len(),
        "store": {
            "state": condition(&health.state),
            "log": condition(&health.log),
            "queued_logs": health.queued_logs,
            "queued_writes": health.queued_writes,
            "dropped_logs": health.dropped_logs,
            "dropped_writes": health.dropped_writes,
            "dropped_bodies": health.dropped_bodies,
            "data_key": state::data_key(gateway),
        },
    })
}

/// Every upstream in effect, with the age of its list of models.
fn upstreams(snapshot: &Snapshot, now: Timestamp) -> Vec<Value> {
    let upstreams = snapshot.upstreams.values();
    upstreams
        .map(|upstream| match upstream.listed() {
            Some(listed) => json!({
                "name": upstream.id.as_str(),
                "models": listed.list.models.len(),
                "listed": listed.at.to_string(),
                "age_s": now.since(listed.at).as_secs(),
                "from_store": listed.from_store,
            }),
            None => json!({"name": upstream.id.as_str()}),
        })
        .collect()
}

/// Every account of the file, in order of names.
pub(super) fn accounts(snapshot: &Snapshot, now: Timestamp) -> Vec<Value> {
    let mut seats: HashMap<*const AccountState, Vec<&Seat>> = HashMap::new();
    for route in snapshot.routes() {
        for seat in route.targets.iter().flat_map(|target| &target.seats) {
            let of_account = seats.entry(Arc::as_ptr(&seat.account)).or_default();
            if !of_account.iter().any(|s| Arc::ptr_eq(&s.lane, &seat.lane)) {
                of_account.push(seat);
            }
        }
    }
    let accounts = snapshot.config.accounts.iter();
    accounts
        .map(|(id, account)| match snapshot.accounts.get(id) {
            Some(state) => {
                let seats = seats
                    .get(&Arc::as_ptr(state))
                    .map_or(&[][..], Vec::as_slice);
                describe(state, seats, now)
            }
            None => json!({
                "name": id.as_str(),
                "upstream": account.upstream.as_str(),
                "state": State::Paused.as_str(),
                "reason": "`enabled = false` in the file",
                "step": "set `enabled = true` in the file",
                "in_flight": 0,
                "models": [],
            }),
        })
        .collect()
}

/// One account, with what its models say.
pub(super) fn describe(account: &AccountState, seats: &[&Seat], now: Timestamp) -> Value {
    let offers = seats.iter().map(|seat| seat.offer(now));
    let report = account.report(offers, now);
    let (class, spent, link) = match &report.state {
        State::Cooling { class, .. } => (Some(class.as_str()), None, None),
        State::Exhausted { models, .. } => (None, Some(models), None),
        State::NeedsVerification(link) => (None, None, link.as_deref()),
        _ => (None, None, None),
    };
    let (_, whole, _) = account.health();
    let text = |time: Timestamp| time.to_string();
    json!({
        "name": account.id.as_str(),
        "upstream": account.upstream.as_str(),
        "state": report.state.as_str(),
        "reason": report.reason,
        "since": report.since.map(text),
        "step": report.step,
        "until": report.state.until().map(text),
        "class": class,
        "exhausted": spent,
        "link": link,
        "cooling_until": whole.filter(|c| c.holds(now)).map(|c| text(c.until)),
        "in_flight": account.in_flight.count(),
        "tier": account.project.known().and_then(|p| p.tier),
        "last_used": (account.last_used().0 > 0).then(|| text(account.last_used())),
        "models": seats.iter().filter_map(|seat| closed(account, seat, now)).collect::<Vec<_>>(),
        "quotas": seats.iter().map(|seat| quota(seat, now)).collect::<Vec<_>>(),
    })
}

/// A model that can't be had of this account now.
fn closed(account: &AccountState, seat: &Seat, now: Timestamp) -> Option<Value> {
    let view = seat.lane.view(seat.credits, now);
    let model = &seat.lane.model;
    let machine = account.machine();
    let bench = machine.models.get(model).filter(|bench| bench.holds(now));
    (view.ready_at > now).then(|| {
        json!({
            "model": model,
            "until": view.ready_at.to_string(),
            "class": bench.map(|bench| bench.class.as_str()),
        })
    })
}

fn quota(seat: &Seat, now: Timestamp) -> Value {
    let view = seat.lane.view(seat.credits, now);
    json!({
        "model": seat.lane.model,
        "remaining": view.remaining,
        "reset": seat.lane.reset(now).map(|at| at.to_string()),
        "health": view.health,
    })
}
