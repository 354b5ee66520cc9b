//! The admin operations over HTTP, for whoever has a token of `[admin.tokens]`. They are where clients are, or at
//! `admin.listen`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use warp::reply::Response;

use crate::base::error::ErrorKind;
use crate::config::model::{Admin, Config, Role};
use crate::server::admin::{self, Caller, Done, How, Refusal};
use crate::server::auth::bearer;
use crate::server::{Gateway, body, metrics};

/// Largest body of a request in bytes: a configuration is not larger.
pub(in crate::server) const MAX_BODY: usize = 64 << 20;

/// Longer than any token; a longer text is not digested.
const MAX_TOKEN: usize = 512;

/// Which listener a request came in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `server.listen`.
    Clients,
    /// `admin.listen`.
    Admin,
}

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

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
    let done = async {
        let caller = allowed(&gateway, &asked)?;
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
        Err(refusal) => told(refusal.status, refusal.body()),
    }
}

/// Answers a scrape of the metrics.
pub async fn scrape(gateway: Arc<Gateway>, asked: Asked) -> Response {
    match allowed(&gateway, &asked) {
        Ok(_) => metrics::scrape(gateway).await,
        Err(refusal) => told(refusal.status, refusal.body()),
    }
}

fn told(status: StatusCode, body: String) -> Response {
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

/// Who asks.
fn allowed(gateway: &Gateway, asked: &Asked) -> Result<Caller, Refusal> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let config = &snapshot.config;
    let host = asked
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| asked.headers.get(HOST)?.to_str().ok());
    if !host.is_some_and(|host| is_ours(host, config)) {
        return Err(Refusal::of(
            StatusCode::MISDIRECTED_REQUEST,
            "the `Host` header is none of this gateway's: expected its address, `localhost`, or the host of `server.public_url`",
        ));
    }
    let refused = |message| Refusal::of(StatusCode::UNAUTHORIZED, message);
    let given = asked
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| bearer(value.to_str().ok()?))
        .filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN)
        .ok_or_else(|| {
            refused(
                "a token of `[admin.tokens]` is needed: send it as `Authorization: Bearer <token>`",
            )
        })?;
    let (name, role) =
        holder(&config.admin, given).ok_or_else(|| refused("the token is not valid"))?;
    Ok(Caller {
        name: format!("token:{name}"),
        from: asked.peer.map(|peer| peer.0.ip()),
        role,
        how: How::Token,
    })
}

/// Whose token it is. Every one is looked at, whichever fits.
fn holder<'a>(admin: &'a Admin, token: &str) -> Option<(&'a str, Role)> {
    let digest: [u8; 32] = Sha256::digest(token).into();
    let mut found = None;
    for (name, token) in &admin.tokens {
        if bool::from(token.sha256.ct_eq(&digest)) {
            found = Some((name.as_str(), token.role));
        }
    }
    found
}

/// Whether a `Host` header names this gateway. A page of another site whose name was made to lead here (DNS rebinding) sends
/// that name, which is why a name must be one that the operator or the machine knows. Ports may be mapped, and are not looked
/// at.
fn is_ours(host: &str, config: &Config) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_end_matches('.');
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = literal.parse::<IpAddr>() {
        let listens = [Some(config.server.listen), config.admin.listen];
        let here = |at: SocketAddr| at.ip() == ip || at.ip().is_unspecified();
        if ip.is_loopback() || listens.into_iter().flatten().any(here) {
            return true;
        }
    }
    let public = config.server.public_url.as_deref();
    let public = public.and_then(|url| url.parse::<Uri>().ok());
    public.is_some_and(|url| url.host().is_some_and(|h| h.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Files;

    fn config(text: &str) -> Config {
        let text = format!("version = 1\n{text}");
        let files = Files::from_texts([("agp.toml".into(), text)]);
        crate::config::load(&files, std::iter::empty())
            .config
            .unwrap()
    }

    #[test]
    fn a_host_must_be_known() {
        let cases = [
            ("", "localhost:8088", true),
            ("", "LOCALHOST", true),
            ("", "127.0.0.1:1", true),
            ("", "[::1]:8088", true),
            ("", "192.0.2.7:8088", false),
            ("", "evil.example", false),
            ("", "localhost.evil.example", false),
            ("", "user@localhost", true),
            ("", "", false),
            ("", "a b", false),
            ("listen = '192.0.2.7:80'", "192.0.2.7", true),
            ("listen = '192.0.2.7:80'", "192.0.2.8", false),
            ("listen = '0.0.0.0:80'", "192.0.2.8:9000", true),
            ("listen = '0.0.0.0:80'", "evil.example", false),
            ("public_url = 'https://gw.example/x'", "gw.example", true),
            ("public_url = 'https://gw.example'", "GW.example.:443", true),
            ("public_url = 'https://gw.example'", "x.gw.example", false),
        ];
        for (server, host, ours) in cases {
            let config = config(&format!("[server]\n{server}\n"));
            assert_eq!(is_ours(host, &config), ours, "{server} {host}");
        }
        let elsewhere = config("[admin]\nlisten = '192.0.2.7:1'\n");
        assert!(is_ours("192.0.2.7", &elsewhere));
    }

    #[test]
    fn a_token_is_its_holders() {
        let digest = |text: &str| format!("{:x}", Sha256::digest(text));
        let config = config(&format!(
            "[admin.tokens]\na = {{ sha256 = '{}', role = 'read' }}\nb = {{ sha256 = '{}', role = 'write' }}\n",
            digest("one"),
            digest("two")
        ));
        assert_eq!(holder(&config.admin, "one"), Some(("a", Role::Read)));
        assert_eq!(holder(&config.admin, "two"), Some(("b", Role::Write)));
        assert_eq!(holder(&config.admin, "three"), None);
    }
}
