//! `status`: what runs.

use serde_json::Value;

use crate::base::id::hex;
use crate::base::time::Timestamp;
use crate::runtime::controller::{Drift, Reload, drift};
use crate::runtime::snapshot::Snapshot;
use crate::server::Gateway;
use crate::server::admin::accounts::list::described;
use crate::server::admin::api::status::{
    Applied, Status, StatusConfig, StatusFile, StatusStore, StatusUpstream,
};
use crate::server::admin::{Params, Refusal, state, told};
use crate::store::Condition;

pub(super) fn status(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let reload = runtime.reload.lock().clone();
    let now = Timestamp::now();
    let ids: Vec<_> = snapshot.config.accounts.keys().collect();
    let address = |addr: std::net::SocketAddr| addr.to_string();
    told(&Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: runtime.started.to_string(),
        ready: gateway.ready.load(std::sync::atomic::Ordering::Acquire),
        listen: address(
            gateway
                .public
                .addr()
                .unwrap_or(snapshot.config.server.listen),
        ),
        admin: gateway.admin.addr().map(address),
        metrics: gateway.metrics.addr().map(address),
        config: config(&snapshot, reload),
        upstreams: upstreams(&snapshot, now),
        accounts: described(&snapshot, &ids, &runtime.store, &gateway.shared.day, now),
        waiting: gateway.dispatcher.queue.len() as u64,
        store: store(gateway),
    })
}

fn config(snapshot: &Snapshot, reload: Reload) -> StatusConfig {
    StatusConfig {
        generation: snapshot.generation,
        revision: hex(&snapshot.revision),
        applied: reload.applied.as_ref().map(|record| Applied {
            at: record.at.to_string(),
            who: record.who.clone(),
            from: record.from.clone(),
            what: record.what.clone(),
        }),
        read: (reload.at > Timestamp::default()).then(|| reload.at.to_string()),
        differs: drift(&reload, snapshot).map(|drift| Drift::as_str(drift).to_owned()),
        errors: reload.errors,
        after_restart: reload.restart,
    }
}

fn store(gateway: &Gateway) -> StatusStore {
    let health = gateway.dispatcher.runtime.store.health();
    StatusStore {
        state: file(health.state),
        log: file(health.log),
        queued_logs: health.queued_logs as u64,
        queued_writes: health.queued_writes as u64,
        dropped_logs: health.dropped_logs,
        dropped_writes: health.dropped_writes,
        dropped_bodies: health.dropped_bodies,
        data_key: state::data_key(gateway),
    }
}

fn file(condition: Condition) -> StatusFile {
    match condition {
        Condition::Ok => StatusFile {
            state: "ok".to_owned(),
            since: None,
            error: None,
        },
        Condition::Failing { since, error } => StatusFile {
            state: "failing".to_owned(),
            since: Some(since.to_string()),
            error: Some(error),
        },
    }
}

/// Every upstream in effect, with the age of its list of models.
fn upstreams(snapshot: &Snapshot, now: Timestamp) -> Vec<StatusUpstream> {
    let upstreams = snapshot.upstreams.values();
    upstreams
        .map(|upstream| {
            let listed = upstream.listed();
            StatusUpstream {
                name: upstream.id.to_string(),
                models: listed.as_ref().map(|l| l.list.models.len() as u64),
                listed: listed.as_ref().map(|l| l.at.to_string()),
                age_s: listed.as_ref().map(|l| now.since(l.at).as_secs()),
                from_store: listed.as_ref().map(|l| l.from_store),
            }
        })
        .collect()
}
