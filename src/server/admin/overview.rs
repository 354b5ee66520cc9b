//! `overview`: what an operator wants to know first.

use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::base::id::hex;
use crate::base::time::Timestamp;
use crate::runtime::controller::{Drift, Reload, drift};
use crate::runtime::snapshot::Snapshot;
use crate::server::Gateway;
use crate::server::admin::api::overview::{
    AccountCounts, ConfigState, GatewayState, Live, Overview,
};
use crate::server::admin::attention::{self, MOST};
use crate::server::admin::logs::unavailable;
use crate::server::admin::usage::steps::{Step, hour, midnights};
use crate::server::admin::usage::sums::sums;
use crate::server::admin::usage::{rows, series, total};
use crate::server::admin::{Params, Refusal, told};
use crate::server::survey::{self, STATES};
use crate::store::RollUp;

/// The series is of so many hours, the one that runs among them.
const HOURS: i64 = 24;
/// Most models that are listed.
const MODELS: usize = 100;

pub(super) fn overview(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let (zone, now) = (&snapshot.config.admin.time_zone, Timestamp::now());
    let config = config(gateway, &snapshot);
    let mut attention = attention::attention(gateway, &snapshot, &config, now);
    attention.truncate(MOST);

    let (midnight, before) = midnights(now, zone);
    let first = Timestamp(hour(now, zone).0 - (HOURS - 1) * 3_600_000);
    let read = |from, to| runtime.store.usage(RollUp::All, Some(""), from, to);
    let read = |from, to| read(from, to).map_err(|e| unavailable(&e));
    let yesterday = read(before, before.plus(now.since(midnight)))?;
    let begins = Step::Hour.begins(first, now, zone, MODELS);
    let models = runtime.store.usage_totals(RollUp::Model, midnight, now);
    told(&Overview {
        at: now.to_string(),
        gateway: process(gateway, &snapshot),
        accounts: accounts(&snapshot, now),
        today: sums(&total(&read(midnight, now)?)),
        yesterday: sums(&total(&yesterday)),
        series: series(&begins, &read(first, now)?),
        models: rows(models.map_err(|e| unavailable(&e))?, MODELS),
        live: live(gateway),
        attention,
        config,
    })
}

fn process(gateway: &Gateway, snapshot: &Snapshot) -> GatewayState {
    let server = &snapshot.config.server;
    let listen = gateway.public.addr().unwrap_or(server.listen);
    let scheme = if server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let public = server.public_url.as_deref().map(|url| {
        let url = url.trim_end_matches('/');
        url.to_owned()
    });
    GatewayState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: gateway.dispatcher.runtime.started.to_string(),
        ready: gateway.ready.load(Ordering::Acquire),
        url: public.unwrap_or_else(|| format!("{scheme}://{listen}")),
    }
}

fn accounts(snapshot: &Snapshot, now: Timestamp) -> AccountCounts {
    let mut states = [0u64; STATES.len()];
    for id in snapshot.config.accounts.keys() {
        states[survey::place(&survey::state(snapshot, id, now))] += 1;
    }
    let by_state = STATES.iter().zip(states).filter(|(_, n)| *n > 0);
    AccountCounts {
        total: snapshot.config.accounts.len() as u64,
        active: states[0],
        by_state: by_state.map(|(name, n)| ((*name).to_owned(), n)).collect(),
    }
}

/// This moment.
pub(super) fn live(gateway: &Gateway) -> Live {
    let metrics = gateway.dispatcher.runtime.metrics();
    let (requests_per_minute, tokens_per_minute) = metrics.recent.minute();
    Live {
        in_flight: u64::try_from(metrics.in_flight.get()).unwrap_or(0),
        waiting: gateway.dispatcher.queue.len() as u64,
        requests_per_minute,
        tokens_per_minute,
    }
}

/// The configuration in force, and how the files stand to it. Reads the files.
pub(super) fn config(gateway: &Gateway, snapshot: &Snapshot) -> ConfigState {
    let reload = gateway.dispatcher.runtime.reload.lock().clone();
    let differs = drift(&reload, snapshot);
    in_force(snapshot, reload, differs)
}

/// The same where it is known how the files stand to it.
pub(super) fn in_force(snapshot: &Snapshot, reload: Reload, differs: Option<Drift>) -> ConfigState {
    ConfigState {
        generation: snapshot.generation,
        revision: hex(&snapshot.revision),
        errors: reload.errors,
        differs: differs.map(|drift| drift.as_str().to_owned()),
        after_restart: reload.restart,
        write_back: snapshot.config.admin.write_back,
    }
}
