//! `playground`: a request as a client of a key would send it, served as any other. `model test`: a short one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::base::error::Error;
use crate::base::id::RequestId;
use crate::base::time::Timestamp;
use crate::config::model::LogBodies;
use crate::dispatch::{Answer, Answered, Asker};
use crate::runtime::snapshot::{KeyEntry, Snapshot};
use crate::server::admin::api::models::{ModelTest, TestModel};
use crate::server::admin::api::playground::{Dialect, Play};
use crate::server::admin::explain::queued_too;
use crate::server::admin::{Params, Refusal, Responding, told};
use crate::server::{Gateway, reply};
use crate::wire::front::Front;

/// What a test asks.
const PROMPT: &str = "Answer with the single word: ready";
/// Longest that a test takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// Characters of an answer that are told.
const SHOWN: usize = 200;

/// The key of this name, where a client could use it.
fn key(snapshot: &Snapshot, name: &str) -> Result<Arc<KeyEntry>, Refusal> {
    let Some(key) = snapshot.key_named(name) else {
        let message = format!("there is no key `{name}` in the file");
        return Err(Refusal::field("key", message).with(StatusCode::NOT_FOUND));
    };
    if key.is_valid(Timestamp::now()) {
        return Ok(key);
    }
    let message = format!("key `{name}` is disabled or has expired: a client of it is refused");
    Err(Refusal::field("key", message).with(StatusCode::CONFLICT))
}

pub(super) fn play(gateway: Arc<Gateway>, params: Params) -> Responding {
    Box::pin(async move {
        let play: Play = params.json()?;
        let snapshot = gateway.dispatcher.runtime.snapshot();
        let key = key(&snapshot, &play.key)?;
        let most = snapshot.config.server.max_body;
        let body = Bytes::from(play.request.get().to_owned());
        if body.len() as u64 > most {
            let message = format!("`request` is larger than `server.max_body`, {most} bytes");
            return Err(Refusal::field("request", message).with(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let front = match play.dialect {
            Dialect::Openai => Front::OpenAiChat,
            Dialect::Anthropic => Front::Anthropic,
        };
        let id = RequestId::generate();
        let asker = asker(snapshot, key, front, id, &body);
        let mut response = match Box::pin(answer(&gateway, asker, &body)).await {
            Ok(answered) => reply::answer(front, answered, id),
            Err(error) => reply::error(front, &error, id),
        };
        let no_store = HeaderValue::from_static("no-store");
        let headers = response.headers_mut();
        headers.insert(http::header::CACHE_CONTROL, no_store);
        Ok(response)
    })
}

fn asker(
    snapshot: Arc<Snapshot>,
    key: Arc<KeyEntry>,
    front: Front,
    id: RequestId,
    body: &Bytes,
) -> Asker {
    let kept = snapshot.config.state.log_bodies != LogBodies::None;
    Asker {
        id,
        snapshot,
        key,
        front,
        body: kept.then(|| body.clone()),
    }
}

/// As the door for clients does, once it has key and body.
async fn answer(gateway: &Gateway, asker: Asker, body: &Bytes) -> Result<Answered, Error> {
    match asker.front.decode_request(body) {
        Ok(request) => gateway.dispatcher.chat(asker, request).await,
        Err(error) => {
            gateway.dispatcher.refused(asker, &error);
            Err(error)
        }
    }
}

/// Sends a short request to a model and waits for the answer, on the blocking thread that operations run on.
pub(super) fn test(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let wanted: TestModel = params.json()?;
    let name = params.need("name")?;
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let key = match &wanted.key {
        Some(name) => key(&snapshot, name)?,
        None => Arc::new(KeyEntry::anybody()),
    };
    if snapshot.route(name).is_none() {
        let message = format!("there is no model `{name}`");
        return Err(Refusal::field("name", message).with(StatusCode::NOT_FOUND));
    }
    let (id, front) = (RequestId::generate(), Front::OpenAiChat);
    let body = json!({ "model": name, "messages": [{ "role": "user", "content": PROMPT }] });
    let body = Bytes::from(body.to_string());
    let asker = asker(snapshot, key, front, id, &body);
    let handle = tokio::runtime::Handle::try_current().map_err(|_| Refusal::failed())?;
    let begun = Instant::now();
    let asked = Box::pin(answer(gateway, asker, &body));
    let asked = handle.block_on(tokio::time::timeout(PATIENCE, asked));
    let latency = begun.elapsed();
    let (text, error) = match asked {
        Ok(Ok(answered)) => (said(&answered), None),
        Ok(Err(error)) => (None, Some(error.message.to_string())),
        Err(_) => {
            let message = format!("no answer within {} s", PATIENCE.as_secs());
            (None, Some(message))
        }
    };
    let store = &gateway.dispatcher.runtime.store;
    // A log that can't be read takes nothing from the outcome.
    let record = queued_too(store, || store.log_record(id)).ok().flatten();
    let record = record.as_ref();
    told(&ModelTest {
        ok: error.is_none(),
        request: id.to_string(),
        account: record.and_then(|r| Some(r.account.as_ref()?.to_string())),
        upstream: record.and_then(|r| Some(r.upstream.as_ref()?.to_string())),
        latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        text,
        error,
    })
}

/// The begin of what was answered in words.
fn said(answered: &Answered) -> Option<String> {
    let Answer::Whole(body) = &answered.answer else {
        return None;
    };
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = body["choices"][0]["message"]["content"].as_str()?;
    Some(text.chars().take(SHOWN).collect())
}
