//! reqwest clients by proxy, certificate authorities and connect limit; the limits on an answer; the body stream.
//!
//! No proxy is ever taken from the environment, no redirect is followed: a call goes where the configuration says.

mod body;
mod echo;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use parking_lot::Mutex;
use reqwest::{Certificate, Proxy, RequestBuilder};
use sha2::{Digest, Sha256};

pub use self::body::BodyStream;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::config::model;
use crate::pool::failure::{Class, Failure};
use crate::upstream::classify::{Endpoint, Refusal, classify, classify_transport};

/// Most of a refusal's body that is read.
const MAX_REFUSAL: usize = 64 << 10;
/// Most of a whole JSON answer that is read (the list of models is the largest, some hundred kilobytes).
const MAX_ANSWER: usize = 8 << 20;
/// A refusal whose body does not come within this is classed by what came.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer with its headers read and its body still to come.
pub struct Answer {
    /// HTTP status: always a success.
    pub status: u16,
    /// The body.
    pub body: BodyStream,
}

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the call's begin to the answer's headers. The connect, which has a shorter limit of its own, is part of it.
    pub first_byte: Duration,
    /// Silence inside the body.
    pub idle: Duration,
}

/// What distinguishes one client from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Digest of the proxy's address, which may hold a password.
    proxy: Option<[u8; 32]>,
    /// Path and digest of the certificate file: a file that changed makes a new client.
    ca: Option<(PathBuf, [u8; 32])>,
    connect_timeout: Duration,
}

/// Clients, each with a connection pool, shared by all upstreams of the same settings. A client goes when its last user
/// goes, so that reloads do not pile them up.
#[derive(Default)]
pub struct HttpClients {
    cache: Mutex<HashMap<Key, Weak<reqwest::Client>>>,
}

impl HttpClients {
    /// No clients yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for an upstream's settings. Reads `ca_file`.
    ///
    /// # Errors
    /// The certificate file can't be read or holds none, or the proxy's address is none.
    pub fn get(&self, upstream: &model::Upstream) -> Result<Arc<reqwest::Client>, String> {
        let pem = match &upstream.ca_file {
            None => None,
            Some(path) => Some((
                path,
                std::fs::read(path).map_err(|error| {
                    format!("can't read `ca_file` `{}`: {error}", path.display())
                })?,
            )),
        };
        let key = Key {
            proxy: upstream
                .proxy
                .as_ref()
                .map(|proxy| Sha256::digest(proxy.expose().as_bytes()).into()),
            ca: pem
                .as_ref()
                .map(|(path, pem)| ((*path).clone(), Sha256::digest(pem).into())),
            connect_timeout: upstream.connect_timeout,
        };
        let mut cache = self.cache.lock();
        if let Some(client) = cache.get(&key).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let pem = pem.as_ref().map(|(_, pem)| pem.as_slice());
        let client = Arc::new(build(
            upstream.proxy.as_ref(),
            pem,
            upstream.connect_timeout,
        )?);
        cache.retain(|_, client| client.strong_count() > 0);
        cache.insert(key, Arc::downgrade(&client));
        Ok(client)
    }
}

fn build(
    proxy: Option<&Secret>,
    pem: Option<&[u8]>,
    connect_timeout: Duration,
) -> Result<reqwest::Client, String> {
    let authorities = match pem {
        None => Vec::new(),
        Some(pem) => Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|found| !found.is_empty())
            .ok_or("expected PEM certificates in `ca_file`, found none that can be read")?,
    };
    let proxy = match proxy {
        None => None,
        // The error's own text would repeat the address, password and all.
        Some(address) => Some(Proxy::all(address.expose()).map_err(|_| {
            "expected an address such as `http://127.0.0.1:7890` in `proxy`, found none".to_owned()
        })?),
    };
    let base = || {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_secs(90))
            .tcp_keepalive(Duration::from_mins(1))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(15));
        match &proxy {
            None => builder,
            Some(proxy) => builder.proxy(proxy.clone()),
        }
    };
    base()
        .tls_certs_merge(authorities.clone())
        .build()
        .or_else(|error| {
            // A machine without certificate authorities can still speak plain HTTP, and HTTPS to those of `ca_file`.
            let client = base().tls_certs_only(authorities).build();
            if client.is_ok() {
                tracing::warn!(%error, "no system certificate authorities are trusted");
            }
            client
        })
        .map_err(|error| format!("can't set up the HTTP client: {}", error.without_url()))
}

/// Sends a call and reads the answer's headers. `sent` are the secrets in it.
///
/// # Errors
/// `network` or `timeout`; for an answer that is no success, the class that [`classify`] gives it.
pub async fn send(
    request: RequestBuilder,
    endpoint: Endpoint,
    limits: Limits,
    sent: &[&str],
) -> Result<http::Response<reqwest::Body>, Failure> {
    match send_any(request, limits).await? {
        response if response.status().is_success() => Ok(response),
        response => Err(refused(response, endpoint, sent).await.failure),
    }
}

/// A refusal with the beginning of its body, for callers that look for a reason of their own in it.
pub(super) struct Refused {
    pub(super) failure: Failure,
    pub(super) body: Vec<u8>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            body: Vec::new(),
        }
    }
}

pub(super) async fn send_any(
    request: RequestBuilder,
    limits: Limits,
) -> Result<http::Response<reqwest::Body>, Failure> {
    match tokio::time::timeout(limits.first_byte, request.send()).await {
        Ok(Ok(response)) => Ok(response.into()),
        Ok(Err(error)) => Err(classify_transport(&error)),
        Err(_) => Err(Failure::new(
            Class::Timeout,
            format!("no answer within {:?}", limits.first_byte),
        )),
    }
}

/// Reads a refusal. What it repeats of `sent`, the secrets of the call, is hidden.
pub(super) async fn refused(
    response: http::Response<reqwest::Body>,
    endpoint: Endpoint,
    sent: &[&str],
) -> Refused {
    let (head, body) = response.into_parts();
    let body = BodyStream::new(body, REFUSAL_TIMEOUT)
        .read_start(MAX_REFUSAL, REFUSAL_TIMEOUT)
        .await;
    let body = echo::hide(body, sent);
    let failure = classify(&Refusal {
        status: head.status.as_u16(),
        retry_after: head
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()),
        body: &body,
        endpoint,
        now: Timestamp::now(),
    });
    Refused { failure, body }
}

/// Reads a whole answer.
///
/// # Errors
/// `timeout` and `network` as they come; `upstream_garbage` where it is longer than any answer is.
pub(super) async fn whole(
    response: http::Response<reqwest::Body>,
    limits: Limits,
) -> Result<Vec<u8>, Failure> {
    BodyStream::new(response.into_body(), limits.idle)
        .read_all(MAX_ANSWER)
        .await
}

/// A call whose answer is small, as of the OAuth endpoints: one limit for all of it.
///
/// # Errors
/// As [`send`].
pub(super) async fn small_call(
    request: RequestBuilder,
    endpoint: Endpoint,
    limit: Duration,
    sent: &[&str],
) -> Result<Vec<u8>, Failure> {
    let limits = Limits {
        first_byte: limit,
        idle: limit,
    };
    let call = async {
        let response = send(request, endpoint, limits, sent).await?;
        BodyStream::new(response.into_body(), limit)
            .read_all(MAX_REFUSAL)
            .await
    };
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        Err(Failure::new(
            Class::Timeout,
            format!("no whole answer within {limit:?}"),
        ))
    })
}

/// Takes a success as a stream of server-sent events. What says of itself that it is a page, a text or one JSON value is
/// none (upstream-protocol.md 2): an error object in it is classed as if it were a chunk, the rest is garbage. Bodies that
/// lie about themselves are the SSE parser's to find.
///
/// # Errors
/// `upstream_garbage`, or what the error object says.
pub async fn events(
    response: http::Response<reqwest::Body>,
    limits: Limits,
    sent: &[&str],
) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    let other = [
        "text/html",
        "text/plain",
        "application/json",
        "application/xhtml+xml",
    ];
    if other.iter().any(|name| kind.eq_ignore_ascii_case(name)) {
        return Err(refused(response, Endpoint::Generate, sent).await.failure);
    }
    Ok(Answer {
        status,
        body: BodyStream::new(response.into_body(), limits.idle),
    })
}

#[cfg(test)]
mod tests;
