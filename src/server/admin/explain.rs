//! `explain`: what became of a request.

use serde_json::{Value, json};

use crate::base::id::RequestId;
use crate::base::money::usd;
use crate::dispatch::ticket::told_later;
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal};
use crate::store::{LogRecord, Store, StoreError};

pub(super) fn explain(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let id = id(params)?;
    let store = &gateway.dispatcher.runtime.store;
    match queued_too(store, || store.log_record(id)) {
        Ok(Some(record)) => Ok(describe(&record)),
        Ok(None) => Err(Refusal::not_found(format!(
            "there is no request `{id}` in the log: it still runs, had no valid key, or is no longer kept"
        ))),
        Err(error) => Err(Refusal::of(
            http::StatusCode::SERVICE_UNAVAILABLE,
            error.to_string(),
        )),
    }
}

/// The request that is asked about.
pub(super) fn id(params: &Params) -> Result<RequestId, Refusal> {
    let text = params.need("id")?;
    RequestId::parse(text).ok_or_else(|| {
        Refusal::mistake(format!(
            "`{text}` is no request id: take it from the answer's header `x-request-id`"
        ))
    })
}

/// What is found, also where it was only just queued.
pub(super) fn queued_too<T>(
    store: &Store,
    find: impl Fn() -> Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    if let Some(found) = find()? {
        return Ok(Some(found));
    }
    // Operations run on blocking threads of the runtime; what can't be written is simply not found.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let _ = runtime.block_on(store.flush());
    }
    find()
}

/// A row with its tries and verdicts.
fn describe(r: &LogRecord) -> Value {
    let tries: Vec<_> = r
        .tries
        .iter()
        .map(|t| {
            json!({
                "n": t.n,
                "upstream": t.upstream.as_str(),
                "account": t.account.as_str(),
                "model": t.model,
                "host": t.host,
                "status": t.status,
                "class": t.class,
                "latency_ms": t.latency_ms,
                "first_byte_ms": t.first_byte_ms,
                "detail": t.detail,
            })
        })
        .collect();
    let (mut verdicts, mut later) = (Vec::new(), Vec::new());
    for verdict in &r.verdicts {
        let account = verdict.account.as_str();
        match told_later(&verdict.text) {
            (None, text) => verdicts.push(json!({ "account": account, "verdict": text })),
            (Some(n), text) => {
                later.push(json!({ "try": n, "account": account, "verdict": text }));
            }
        }
    }
    let mut row = row(r);
    row["verdicts"] = verdicts.into();
    row["later_verdicts"] = later.into();
    row["more_verdicts"] = r.more_verdicts.into();
    row["tries"] = tries.into();
    row
}

/// A row as lists show it.
pub(super) fn row(r: &LogRecord) -> Value {
    let error = r.error.as_ref().map(|e| {
        json!({
            "kind": e.kind,
            "fault": e.origin.as_str(),
            "message": e.message,
            "detail": e.detail,
        })
    });
    json!({
        "id": r.id.to_string(),
        "at": r.at.to_string(),
        "key": r.key.as_ref().map(crate::base::id::KeyId::as_str),
        "dialect": r.dialect.as_str(),
        "requested": r.requested,
        "model": r.model.as_ref().map(crate::base::id::ModelName::as_str),
        "stream": r.stream,
        "status": r.status,
        "stop": r.stop,
        "error": error,
        "account": r.account.as_ref().map(crate::base::id::AccountId::as_str),
        "latency_ms": r.latency_ms,
        "first_token_ms": r.first_token_ms,
        "queue_ms": r.queue_ms,
        "input_tokens": r.usage.input_total(),
        "output_tokens": r.usage.output_total(),
        "cost_usd": r.cost.map(usd),
        "losses": r.losses,
    })
}
