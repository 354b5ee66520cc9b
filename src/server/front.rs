//! The front doors: key, body, decode, dispatch, reply.

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use percent_encoding::percent_decode_str;
use warp::reply::Response;

use crate::base::error::{Error, ErrorKind};
use crate::base::id::RequestId;
use crate::base::time::Timestamp;
use crate::config::model::LogBodies;
use crate::dispatch::{Answered, Asker};
use crate::runtime::metrics::fault;
use crate::runtime::snapshot::{KeyEntry, Snapshot};
use crate::server::{Gateway, auth, body, front_of, reply, session};
use crate::wire::front::Front;
use crate::{ir, wire};

/// A chat request, whole or streamed.
pub async fn chat<B: Buf>(
    gateway: Arc<Gateway>,
    front: Front,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    let id = RequestId::generate();
    match answer(&gateway, front, id, &headers, body).await {
        Ok(answered) => reply::answer(front, answered, id),
        Err(error) => refuse(front, &error, id),
    }
}

async fn answer<B: Buf>(
    gateway: &Arc<Gateway>,
    front: Front,
    id: RequestId,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Answered, Error> {
    let (asker, request) = decode(gateway, front, id, headers, body).await?;
    gateway.dispatcher.chat(asker, request).await
}

/// Who asks is settled before a byte of the body is read.
async fn decode<B: Buf>(
    gateway: &Arc<Gateway>,
    front: Front,
    id: RequestId,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<(Asker, ir::Request), Error> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let key = allowed(gateway, front, headers, &snapshot)?;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|n| n.to_str().ok())
        .and_then(|n| n.parse().ok());
    let mut kept = None;
    let read = async {
        let bytes = body::read(body, length, snapshot.config.server.max_body).await?;
        if snapshot.config.state.log_bodies != LogBodies::None {
            kept = Some(bytes.clone());
        }
        front.decode_request(&bytes)
    };
    let read = read.await;
    let asker = Asker {
        id,
        snapshot,
        key,
        front,
        body: kept,
    };
    match read {
        Ok(mut request) => {
            // What the body says of its conversation goes first: it is the dialect's own word.
            if request.conversation.is_none() {
                request.conversation = session::named(headers).map(str::to_owned);
            }
            Ok((asker, request))
        }
        Err(error) => {
            gateway.dispatcher.refused(asker, &error);
            Err(error)
        }
    }
}

/// The key of a request; one that is refused is counted here, since it gets no ledger.
fn allowed(
    gateway: &Gateway,
    front: Front,
    headers: &HeaderMap,
    snapshot: &Snapshot,
) -> Result<Arc<KeyEntry>, Error> {
    auth::key(headers, snapshot, Timestamp::now()).inspect_err(|error| {
        let metrics = gateway.dispatcher.runtime.metrics();
        metrics.outcome(front.dialect(), Some(fault(error)));
    })
}

/// Refusals before there is a ledger are told at debug: anybody can cause them.
fn refuse(front: Front, error: &Error, id: RequestId) -> Response {
    tracing::debug!(request = %id, kind = error.kind.as_str(), message = %error.message, param = error.param, "refused");
    reply::error(front, error, id)
}

/// Anthropic's count of a prompt's tokens.
pub async fn count<B: Buf>(
    gateway: Arc<Gateway>,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    let id = RequestId::generate();
    let counted = async {
        let (asker, request) = decode(&gateway, Front::Anthropic, id, &headers, body).await?;
        let counted = gateway.dispatcher.count(asker, request).await;
        let metrics = gateway.dispatcher.runtime.metrics();
        let error = counted.as_ref().err().map(fault);
        metrics.outcome(Front::Anthropic.dialect(), error);
        counted
    };
    match counted.await {
        Ok(tokens) => reply::found(
            Front::Anthropic,
            wire::anthropic::encode_token_count(tokens),
            id,
        ),
        Err(error) => refuse(Front::Anthropic, &error, id),
    }
}

/// The models that the key may use.
pub async fn models(gateway: Arc<Gateway>, headers: HeaderMap) -> Response {
    let (id, front) = (RequestId::generate(), front_of(&headers));
    let mut snapshot = gateway.dispatcher.runtime.snapshot();
    match allowed(&gateway, front, &headers, &snapshot) {
        Ok(key) => {
            gateway.dispatcher.discovered(&mut snapshot).await;
            let models: Vec<_> = snapshot.models(&key).cloned().collect();
            reply::found(front, front.encode_models(&models), id)
        }
        Err(error) => refuse(front, &error, id),
    }
}

/// One model.
pub async fn model(name: warp::path::Tail, gateway: Arc<Gateway>, headers: HeaderMap) -> Response {
    let (id, front) = (RequestId::generate(), front_of(&headers));
    let mut snapshot = gateway.dispatcher.runtime.snapshot();
    let name = percent_decode_str(name.as_str()).decode_utf8_lossy();
    let found = match allowed(&gateway, front, &headers, &snapshot) {
        Ok(key) => {
            gateway.dispatcher.discovered(&mut snapshot).await;
            let found = snapshot
                .models(&key)
                .find(|model| model.id == name)
                .cloned();
            found.ok_or_else(|| Error {
                param: Some("model".to_owned()),
                ..Error::new(
                    ErrorKind::UnknownModel,
                    "this model does not exist, or this key may not use it",
                )
            })
        }
        Err(error) => Err(error),
    };
    match found {
        Ok(model) => reply::found(front, front.encode_model(&model), id),
        Err(error) => refuse(front, &error, id),
    }
}
