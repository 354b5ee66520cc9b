//! The admin operations over HTTP, for whoever is signed in or has a token of `[admin.tokens]` (see `who`). They are where
//! clients are, or at `admin.listen`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use warp::reply::Response;

use crate::base::error::ErrorKind;
use crate::config::model::Admin;
use crate::server::admin::{self, Done, Refusal, session, who};
use crate::server::{Gateway, body, metrics};

/// Largest body of a request in bytes: a configuration is not larger.
pub(in crate::server) const MAX_BODY: usize = 64 << 20;

/// Which listener a request came in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `server.listen`.
    Clients,
    /// `admin.listen`.
    Admin,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The address.
    pub addr: SocketAddr,
    /// Whether it came over TLS.
    pub tls: bool,
}

/// A request to the admin API.
pub struct Asked {
    /// Where it came in.
    pub at: At,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// Where it came from.
    pub peer: Option<Peer>,
}

/// Whether the admin API is at this listener.
pub fn served(admin: &Admin, at: At) -> bool {
    let here = if admin.listen.is_some() {
        At::Admin
    } else {
        At::Clients
    };
    admin.enabled && at == here
}

/// Answers an operation. Who asks is settled before a byte of the body is read.
pub async fn operation<B: Buf>(
    gateway: Arc<Gateway>,
    asked: Asked,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    if let Some(route) = session::route(&asked.uri) {
        return session::answer(route, gateway, asked, body).await;
    }
    let done = async {
        let snapshot = gateway.dispatcher.runtime.snapshot();
        let caller = who::allowed(&gateway, &snapshot, &asked).await?;
        drop(snapshot);
        let length = asked
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|n| n.to_str().ok()?.parse().ok());
        let body =
            body::read(body, length, MAX_BODY as u64)
                .await
                .map_err(|error| match error.kind {
                    ErrorKind::TooLarge => Refusal::of(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        format!("the body is larger than {} MiB", MAX_BODY >> 20),
                    ),
                    _ => Refusal::mistake(error.message),
                })?;
        let Asked { method, uri, .. } = asked;
        admin::answer(gateway, caller, &method, &uri, body).await
    };
    match done.await {
        Ok(Done::Value(value)) => told(StatusCode::OK, value.to_string()),
        Ok(Done::Response(response)) => *response,
        Err(refusal) => refused(&refusal),
    }
}

/// Answers a scrape of the metrics.
pub async fn scrape(gateway: Arc<Gateway>, asked: Asked) -> Response {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    match who::allowed(&gateway, &snapshot, &asked).await {
        Ok(_) => metrics::scrape(gateway).await,
        Err(refusal) => refused(&refusal),
    }
}

/// A refusal.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let mut response = told(refusal.status, refusal.body());
    if let Some(wait) = refusal.retry_after {
        // Whole seconds, rounded up, at least 1, as clients of models are told.
        let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
        if let Ok(value) = HeaderValue::try_from(seconds) {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
    }
    response
}

/// A body of JSON.
pub(super) fn told(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Bytes::from(body).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"agp admin\""),
        );
    }
    response
}
