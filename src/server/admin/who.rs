//! Who asks for an admin operation over HTTP: by a token of `[admin.tokens]`, by the session of a cookie, or by the password
//! itself where the file allows it.
//!
//! In front of all of them stand two checks of what a browser says: the `Host` header must name this gateway, and an `Origin`
//! must be the gateway's own where something may change.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::uri::Authority;
use http::{Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::config::model::{Admin, AdminToken, Config, Role};
use crate::runtime::snapshot::Snapshot;
use crate::server::Gateway;
use crate::server::admin::remote::Asked;
use crate::server::admin::{Caller, How, Refusal};
use crate::server::auth::bearer;
use crate::server::login::{Denied, address, cookie, password};

/// Longer than any token; a longer text is not digested.
const MAX_TOKEN: usize = 512;

/// The header in which a page sends back what it was given with its session.
const CSRF: &str = "x-agp-csrf";

/// Who asks.
///
/// # Errors
/// 421 and 403 for what a page of another site sends, 401, and 429 for a password that was tried too often.
pub(super) async fn allowed(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: &Asked,
) -> Result<Caller, Refusal> {
    checked(snapshot, asked)?;
    let from = client(snapshot, asked);
    let admin = &snapshot.config.admin;
    let Some(given) = asked.headers.get(AUTHORIZATION) else {
        return session(gateway, snapshot, asked, from);
    };
    let given = given.to_str().unwrap_or_default();
    let token = bearer(given).filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN);
    if let Some((name, token)) = token.and_then(|token| holder(admin, token)) {
        return Ok(Caller {
            name: format!("token:{name}"),
            from,
            role: token.role,
            how: How::Token(token.sha256),
        });
    }
    let whole = with_each_request(given).filter(|_| admin.password_as_bearer);
    let Some(whole) = whole else {
        return Err(unknown(match token {
            Some(_) => "the token is not valid",
            None => NEEDED,
        }));
    };
    let known = snapshot.sign_in.password.as_ref();
    let checked = gateway.login.check_again(known, from, whole).await;
    match (checked, known) {
        (Ok(()), Some(known)) => Ok(Caller {
            name: PANEL.to_owned(),
            from,
            role: Role::Write,
            how: How::Password(known.clone()),
        }),
        (Ok(()) | Err(Denied::Wrong), _) => Err(unknown("neither a valid token nor the password")),
        (Err(denied), _) => Err(refused(denied)),
    }
}

const NEEDED: &str =
    "sign in, or send a token of `[admin.tokens]` as `Authorization: Bearer <token>`";

/// Whoever knows the password, in the log and the history.
const PANEL: &str = "panel";

fn unknown(message: &str) -> Refusal {
    Refusal::of(StatusCode::UNAUTHORIZED, message)
}

/// What whoever gave a password hears.
pub(super) fn refused(denied: Denied) -> Refusal {
    match denied {
        Denied::Wrong => Refusal::field("password", "the password is not the right one")
            .with(StatusCode::UNAUTHORIZED),
        Denied::Throttled(wait) => {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let message = format!("too many tries: wait {seconds} s");
            let mut refusal = Refusal::of(StatusCode::TOO_MANY_REQUESTS, message);
            refusal.retry_after = Some(wait);
            refusal
        }
        Denied::Failed => Refusal::failed(),
    }
}

/// The session of the request's cookie.
fn session(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: &Asked,
    from: Option<IpAddr>,
) -> Result<Caller, Refusal> {
    let mut cookies = cookie::given(&asked.headers);
    let session = cookies.find_map(|text| gateway.login.session(snapshot, text));
    let session = session.ok_or_else(|| unknown(NEEDED))?;
    if changes(&asked.method) {
        let sent = asked
            .headers
            .get(CSRF)
            .map_or(&[][..], |sent| sent.as_bytes());
        if !bool::from(sent.ct_eq(session.csrf.expose().as_bytes())) {
            return Err(Refusal::of(
                StatusCode::FORBIDDEN,
                "the header `X-AGP-CSRF` must hold the session's `csrf`, as `GET /session` tells it",
            ));
        }
    }
    Ok(Caller {
        name: PANEL.to_owned(),
        from,
        role: Role::Write,
        how: How::Session(session),
    })
}

/// Whether a request of this method may change something.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Whether whoever asked may still ask, for who holds on to an answer for longer than a request: an event stream ends where
/// this is false.
pub fn still_allowed(gateway: &Gateway, caller: &Caller) -> bool {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let admin = &snapshot.config.admin;
    match &caller.how {
        How::Socket => true,
        _ if !admin.enabled => false,
        How::Token(sha256) => {
            let mut tokens = admin.tokens.values();
            tokens.any(|token| token.sha256 == *sha256 && token.role == caller.role)
        }
        How::Password(known) => {
            admin.password_as_bearer && snapshot.sign_in.password.as_ref() == Some(known)
        }
        How::Session(session) => gateway.login.lasts(&snapshot, &session.id),
    }
}

/// The address that a request comes from, behind proxies that the file trusts.
pub(super) fn client(snapshot: &Snapshot, asked: &Asked) -> Option<IpAddr> {
    let trusted = &snapshot.config.server.trusted_proxies;
    let peer = asked.peer?.addr.ip();
    Some(address::client(peer, &asked.headers, trusted))
}

/// Checks what a page of another site can't choose.
///
/// # Errors
/// 421, 403.
pub(in crate::server) fn checked(snapshot: &Snapshot, asked: &Asked) -> Result<(), Refusal> {
    let config = &snapshot.config;
    let host = host(asked).filter(|host| is_ours(host, config));
    let Some(host) = host else {
        return Err(Refusal::of(
            StatusCode::MISDIRECTED_REQUEST,
            "the `Host` header is none of this gateway's: expected its address, `localhost`, or the host of `server.public_url`",
        ));
    };
    let origin = asked.headers.get(ORIGIN).filter(|_| changes(&asked.method));
    let origin = origin.map(|origin| origin.to_str().unwrap_or_default());
    if origin.is_some_and(|origin| !is_own_origin(origin, host, config)) {
        return Err(Refusal::of(
            StatusCode::FORBIDDEN,
            "the `Origin` header names another site: expected that of the `Host` header, or `server.public_url`",
        ));
    }
    Ok(())
}

/// The host that a request names.
fn host(asked: &Asked) -> Option<&str> {
    let in_uri = asked.uri.authority().map(Authority::as_str);
    in_uri.or_else(|| asked.headers.get(HOST)?.to_str().ok())
}

/// A password that comes with a request: `Bearer <password>`, or `Basic` with the user `admin`. A colon in it is part of it.
fn with_each_request(authorization: &str) -> Option<Secret> {
    let fits = |text: &str| (1..=password::LONGEST).contains(&text.len());
    if let Some(text) = bearer(authorization) {
        return fits(text).then(|| Secret::new(text));
    }
    let (scheme, text) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || text.len() > 2 * password::LONGEST {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
    let (user, text) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    (user == "admin" && fits(text)).then(|| Secret::new(text))
}

/// Whose token it is. Every one is looked at, whichever fits.
fn holder<'a>(admin: &'a Admin, token: &str) -> Option<(&'a str, &'a AdminToken)> {
    let digest: [u8; 32] = Sha256::digest(token).into();
    let mut found = None;
    for (name, token) in &admin.tokens {
        if bool::from(token.sha256.ct_eq(&digest)) {
            found = Some((name.as_str(), token));
        }
    }
    found
}

/// Whether an `Origin` is that of the page's own host, or the one that people use. Some proxies send a `Host` of their own.
fn is_own_origin(origin: &str, host: &str, config: &Config) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (origin.scheme_str(), origin.authority()) else {
        return false;
    };
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let is = |other: &Authority, usual_there: u16| {
        let port = |of: &Authority, usual| of.port_u16().unwrap_or(usual);
        authority.host().eq_ignore_ascii_case(other.host())
            && port(authority, usual) == port(other, usual_there)
    };
    // Behind a proxy that ends TLS the scheme of the request is not that of the page.
    let at_host = host.parse::<Authority>().is_ok_and(|host| is(&host, usual));
    let public = config.server.public_url.as_deref();
    let public = public.and_then(|url| url.parse::<Uri>().ok());
    let at_public = public.is_some_and(|url| {
        let usual = if url.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        url.scheme_str() == Some(scheme) && url.authority().is_some_and(|public| is(public, usual))
    });
    at_host || at_public
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
        // Off loopback there must be a password.
        let text = format!("version = 1\nadmin.password = {{ env = 'PASSWORD' }}\n{text}");
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
        let elsewhere = config("admin.listen = '192.0.2.7:1'\n");
        assert!(is_ours("192.0.2.7", &elsewhere));
    }

    #[test]
    fn a_token_is_its_holders() {
        let digest = |text: &str| format!("{:x}", Sha256::digest(text));
        let config = config(&format!(
            "admin.tokens.a = {{ sha256 = '{}', role = 'read' }}\nadmin.tokens.b = {{ sha256 = '{}', role = 'write' }}\n",
            digest("one"),
            digest("two")
        ));
        let holder = |token| holder(&config.admin, token).map(|(name, token)| (name, token.role));
        assert_eq!(holder("one"), Some(("a", Role::Read)));
        assert_eq!(holder("two"), Some(("b", Role::Write)));
        assert_eq!(holder("three"), None);
    }

    #[test]
    fn an_origin_must_be_the_pages_own() {
        let public = "[server]\npublic_url = 'https://gw.example/x'\n";
        let cases = [
            ("", "http://localhost:8088", "localhost:8088", true),
            ("", "http://LOCALHOST:8088", "localhost:8088", true),
            ("", "http://localhost", "localhost", true),
            ("", "http://localhost", "localhost:80", true),
            ("", "https://localhost", "localhost:443", true),
            // A proxy in front ends TLS.
            ("", "https://localhost", "localhost", true),
            ("", "http://[::1]:8088", "[::1]:8088", true),
            ("", "http://localhost:3000", "localhost:8088", false),
            ("", "http://127.0.0.1:8088", "localhost:8088", false),
            ("", "http://evil.example", "localhost:8088", false),
            (
                "",
                "http://localhost:8088.evil.example",
                "localhost:8088",
                false,
            ),
            ("", "null", "localhost:8088", false),
            ("", "", "localhost:8088", false),
            ("", "ftp://localhost:8088", "localhost:8088", false),
            (public, "https://gw.example", "127.0.0.1:8088", true),
            (public, "http://gw.example", "127.0.0.1:8088", false),
            (public, "https://gw.example:444", "127.0.0.1:8088", false),
            (public, "https://evil.example", "gw.example", false),
        ];
        for (server, origin, host, is) in cases {
            assert_eq!(
                is_own_origin(origin, host, &config(server)),
                is,
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn a_password_that_comes_along_is_taken_whole() {
        let basic = |text: &str| {
            let given = with_each_request(&format!("Basic {}", STANDARD.encode(text)))?;
            Some(given.expose().to_owned())
        };
        assert_eq!(
            basic("admin:pass:with:colons").as_deref(),
            Some("pass:with:colons")
        );
        assert_eq!(basic("admin: spaced ").as_deref(), Some(" spaced "));
        for none in ["root:password", "admin", "admin:", ":password", ""] {
            assert_eq!(basic(none), None, "{none}");
        }
        assert_eq!(basic(&format!("admin:{}", "x".repeat(1025))), None);
        let given = with_each_request("Bearer the password").unwrap();
        assert_eq!(given.expose(), "the password");
        for none in ["Bearer ", "Basic %%%", "Digest x", ""] {
            assert!(with_each_request(none).is_none(), "{none}");
        }
    }
}
