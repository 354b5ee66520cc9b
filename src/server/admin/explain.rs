//! `explain`: what became of a request.

use serde_json::Value;

use crate::base::id::RequestId;
use crate::base::money::usd;
use crate::dispatch::ticket::told_later;
use crate::server::Gateway;
use crate::server::admin::api::logs::{Explained, LogError, LogRow, Try, Verdict};
use crate::server::admin::{Params, Refusal, told};
use crate::store::{LogRecord, Store, StoreError};

pub(super) fn explain(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let id = id(params)?;
    let store = &gateway.dispatcher.runtime.store;
    match queued_too(store, || store.log_record(id)) {
        Ok(Some(record)) => told(describe(&record)),
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
    RequestId::parse(bare(text)).ok_or_else(|| {
        let message =
            format!("`{text}` is no request id: take it from the answer's header `x-request-id`");
        Refusal::field("id", message)
    })
}

/// An id without what Anthropic's clients are sent in front of it.
pub(super) fn bare(id: &str) -> &str {
    id.strip_prefix("req_").unwrap_or(id)
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
fn describe(r: &LogRecord) -> Explained {
    let tries = r.tries.iter().map(|t| Try {
        n: t.n.into(),
        upstream: t.upstream.to_string(),
        account: t.account.to_string(),
        model: t.model.clone(),
        host: t.host.clone(),
        start_ms: t.start_ms,
        status: t.status,
        class: t.class.as_ref().map(ToString::to_string),
        latency_ms: t.latency_ms,
        first_byte_ms: t.first_byte_ms,
        detail: Some(t.detail.clone()).filter(|detail| !detail.is_empty()),
    });
    let verdicts = r.verdicts.iter().map(|verdict| {
        let (after, text) = told_later(&verdict.text);
        Verdict {
            after: after.map(u64::from),
            account: verdict.account.to_string(),
            verdict: text.to_owned(),
        }
    });
    let (later_verdicts, verdicts) = verdicts.partition(|verdict| verdict.after.is_some());
    Explained {
        row: row(r),
        verdicts,
        later_verdicts,
        more_verdicts: r.more_verdicts.into(),
        tries: tries.collect(),
    }
}

/// A row as lists show it.
pub(super) fn row(r: &LogRecord) -> LogRow {
    LogRow {
        id: r.id.to_string(),
        at: r.at.to_string(),
        key: r.key.as_ref().map(ToString::to_string),
        dialect: r.dialect.as_str().to_owned(),
        requested: r.requested.clone(),
        model: r.model.as_ref().map(ToString::to_string),
        stream: r.stream,
        status: r.status,
        stop: r.stop.as_ref().map(ToString::to_string),
        error: r.error.as_ref().map(|e| LogError {
            kind: e.kind.to_string(),
            fault: e.origin.as_str().to_owned(),
            message: e.message.clone(),
            detail: e.detail.clone(),
        }),
        account: r.account.as_ref().map(ToString::to_string),
        latency_ms: r.latency_ms,
        first_token_ms: r.first_token_ms,
        queue_ms: r.queue_ms,
        input_tokens: Some(r.usage.input_total()),
        output_tokens: Some(r.usage.output_total()),
        cost_usd: r.cost.map(usd),
        losses: r.losses.clone(),
    }
}
