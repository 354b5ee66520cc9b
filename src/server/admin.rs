//! The admin operations: one table. The Unix socket and the command line use it; the panel's routes will.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::base::id::hex;
use crate::base::time::Timestamp;
use crate::pool::candidate::NEVER;
use crate::runtime::account::AccountState;
use crate::server::Gateway;
use crate::store::Condition;

/// What a caller must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Read,
    /// Change.
    Write,
}

/// One operation.
pub struct Operation {
    /// Its name on the command line.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path under [`BASE`].
    pub path: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Who may.
    pub role: Role,
    /// Does it.
    pub run: fn(&Gateway) -> Value,
}

/// Where the paths begin.
pub const BASE: &str = "/admin/api/v1";

/// The table.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "status",
        method: Method::GET,
        path: "/status",
        summary: "what runs: configuration, accounts, queue, store",
        role: Role::Read,
        run: status,
    },
    Operation {
        name: "state backup",
        method: Method::POST,
        path: "/state/backup",
        summary: "copy the state into a new file in the state folder, to be moved away",
        role: Role::Write,
        run: backup,
    },
];

/// Runs the operation at this method and path. Blocks on the disk where the operation does.
///
/// # Errors
/// 404 for an unknown path, 405 for a known one with another method.
pub fn run(gateway: &Gateway, method: &Method, path: &str) -> Result<Value, StatusCode> {
    let path = path.strip_prefix(BASE).ok_or(StatusCode::NOT_FOUND)?;
    let mut known = OPERATIONS.iter().filter(|op| op.path == path).peekable();
    known.peek().ok_or(StatusCode::NOT_FOUND)?;
    let operation = known
        .find(|op| op.method == *method)
        .ok_or(StatusCode::METHOD_NOT_ALLOWED)?;
    Ok((operation.run)(gateway))
}

fn status(gateway: &Gateway) -> Value {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let reload = runtime.reload.lock().clone();
    let health = runtime.store.health();
    let now = Timestamp::now();
    let accounts: Vec<_> = snapshot
        .accounts
        .values()
        .map(|account| describe(account, now))
        .collect();
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
        "listen": snapshot.config.server.listen.to_string(),
        "config": {
            "generation": snapshot.generation,
            "revision": hex(&snapshot.revision),
            "errors": reload.errors,
            "after_restart": reload.restart,
        },
        "accounts": accounts,
        "waiting": gateway.dispatcher.queue.len(),
        "store": {
            "state": condition(&health.state),
            "log": condition(&health.log),
            "dropped_logs": health.dropped_logs,
            "dropped_writes": health.dropped_writes,
        },
    })
}

/// The copy's name in the state folder, or why there is none.
fn backup(gateway: &Gateway) -> Value {
    match gateway.dispatcher.runtime.store.backup() {
        Ok(path) => json!({"file": path.file_name().map(|name| name.to_string_lossy())}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn describe(account: &AccountState, now: Timestamp) -> Value {
    let (standing, whole, models) = account.health();
    let benched = |until: Timestamp| (until > now).then(|| until.to_string());
    let state = match account.ready_at() {
        NEVER => standing.as_str(),
        until if until > now => "cooling",
        _ => "active",
    };
    let link = match &standing {
        crate::pool::state::Standing::NeedsVerification(link) => link.clone(),
        _ => None,
    };
    json!({
        "name": account.id.as_str(),
        "upstream": account.upstream.as_str(),
        "state": state,
        "link": link,
        "cooling_until": whole.and_then(|c| benched(c.until)),
        "in_flight": account.in_flight.count(),
        "tier": account.project.known().and_then(|p| p.tier),
        "last_used": (account.last_used().0 > 0).then(|| account.last_used().to_string()),
        "models": models
            .iter()
            .filter_map(|(model, c)| {
                benched(c.until).map(|until| json!({"model": model, "until": until, "class": c.class.as_str()}))
            })
            .collect::<Vec<_>>(),
    })
}
