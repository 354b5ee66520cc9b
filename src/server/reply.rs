//! Errors and answers as HTTP responses.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sync_wrapper::SyncStream;
use warp::Reply as _;
use warp::reply::Response;

use crate::base::error::Error;
use crate::base::id::RequestId;
use crate::base::metrics::Page;
use crate::dispatch::{Answer, Answered};
use crate::wire::front::Front;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's packages look for the request's id.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const DROPPED: HeaderName = HeaderName::from_static("x-agp-dropped");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON body with this status.
pub fn json(status: StatusCode, body: Vec<u8>, request: RequestId) -> Response {
    shared(status, body.into(), request)
}

/// The same with a body that others hold too.
fn shared(status: StatusCode, body: Bytes, request: RequestId) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    identify(headers, request);
    response
}

/// A page of metrics.
pub fn metrics(page: String) -> Response {
    let mut response = Response::new(Bytes::from(page).into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(Page::CONTENT_TYPE));
    response
}

/// What the metrics' own address has at every other path.
pub fn no_metrics() -> Response {
    let mut response = Response::new(Bytes::from_static(b"metrics are at /metrics\n").into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// What the admin API's own address has at every other path.
pub fn no_admin() -> Response {
    let text = b"there is nothing at this path: the admin API is under /admin/api/v1\n";
    let mut response = Response::new(Bytes::from_static(text).into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn identify(headers: &mut HeaderMap, request: RequestId) {
    if let Ok(id) = HeaderValue::try_from(request.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// The same where the dialect has a header of its own.
fn identify_to(front: Front, headers: &mut HeaderMap, request: RequestId) {
    if front == Front::Anthropic {
        let id = format!("req_{}", request.to_string().to_ascii_lowercase());
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(ANTHROPIC_REQUEST_ID, id);
        }
    }
}

/// A good answer that is small and made at once.
pub fn found(front: Front, body: Vec<u8>, request: RequestId) -> Response {
    let mut response = json(StatusCode::OK, body, request);
    identify_to(front, response.headers_mut(), request);
    response
}

/// An error in the client's dialect, with `Retry-After` where the moment to come back is known.
pub fn error(front: Front, error: &Error, request: RequestId) -> Response {
    let (status, body) = front.render_error(error, request);
    let mut response = json(
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        body,
        request,
    );
    identify_to(front, response.headers_mut(), request);
    if let Some(after) = error.retry_after {
        // Whole seconds, rounded up, at least 1 (upstream-protocol.md 9.2).
        let seconds = after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
    }
    response
}

/// An answer, whole or streamed.
pub fn answer(front: Front, answered: Answered, request: RequestId) -> Response {
    let mut response = match answered.answer {
        Answer::Whole(body) => shared(StatusCode::OK, body, request),
        Answer::Stream(relay) => {
            // warp's body wants `Sync`; the stream is only ever polled by its connection.
            let body = SyncStream::new(Box::pin(
                relay.into_stream().map(Ok::<_, std::convert::Infallible>),
            ));
            let mut response = warp::reply::stream(body).into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            // So that proxies in front pass chunks on at once (upstream-protocol.md 10.3).
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            identify(headers, request);
            response
        }
    };
    identify_to(front, response.headers_mut(), request);
    if let Some(dropped) = answered
        .dropped
        .and_then(|line| HeaderValue::try_from(line).ok())
    {
        response.headers_mut().insert(DROPPED, dropped);
    }
    response
}
