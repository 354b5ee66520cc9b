//! `/healthz` and `/readyz`.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde::Serialize;
use warp::reply::Response;

use crate::base::id::{RequestId, hex};
use crate::server::{Gateway, reply};

/// Open to all, so it names no account and no error's text.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    generation: u64,
    revision: String,
    reload: &'static str,
    /// The codes of what is wrong with the files, where they were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<&'static str>,
    store: &'static str,
}

/// 200 while the process answers.
pub fn health(gateway: &Gateway) -> Response {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let reload = runtime.reload.lock().clone();
    let health = Health {
        status: "ok",
        generation: snapshot.generation,
        revision: hex(&snapshot.revision[..6]),
        reload: if reload.errors.is_empty() {
            "ok"
        } else {
            "refused"
        },
        errors: reload.codes.iter().map(|code| code.as_str()).collect(),
        store: if runtime.store.health().is_ok() {
            "ok"
        } else {
            "failing"
        },
    };
    let body = serde_json::to_vec(&health).unwrap_or_default();
    reply::json(StatusCode::OK, body, RequestId::generate())
}

/// 200 once store, snapshot and listener are up, also with all accounts cooling; 503 while starting and draining.
pub fn ready(gateway: &Gateway) -> Response {
    let (status, body) = if gateway.ready.load(Ordering::Acquire) {
        (StatusCode::OK, r#"{"status":"ready"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not ready"}"#)
    };
    reply::json(status, body.into(), RequestId::generate())
}
