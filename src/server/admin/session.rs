//! Signing in and out: the operations that set a cookie, which is why they are not in the table. Types: [`super::api::session`].

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, HeaderValue, SET_COOKIE};
use http::{Method, StatusCode, Uri};
use serde::Serialize;
use warp::reply::Response;

use crate::base::error::ErrorKind;
use crate::base::secret::Secret;
use crate::config::model::{Config, Role};
use crate::runtime::snapshot::Snapshot;
use crate::server::admin::api::session as api;
use crate::server::admin::remote::{self, Asked};
use crate::server::admin::{BASE, Caller, How, Refusal, params, who};
use crate::server::login::{Begun, Session, cookie, password};
use crate::server::{Gateway, body};

/// Largest body of a sign-in in bytes: a password of 1024 bytes, each escaped.
const MAX_BODY: u64 = 16 << 10;

/// Their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Route {
    /// `/login`.
    Login,
    /// `/session`.
    Session,
    /// `/logout`.
    Logout,
}

/// Which of them is at this address.
pub(in crate::server) fn route(uri: &Uri) -> Option<Route> {
    match uri.path().strip_prefix(BASE)? {
        "/login" => Some(Route::Login),
        "/session" => Some(Route::Session),
        "/logout" => Some(Route::Logout),
        _ => None,
    }
}

/// A body, and what the browser is to do with its cookie.
type Answer = Result<(String, Option<HeaderValue>), Refusal>;

/// Answers one of them.
pub(super) async fn answer<B: Buf>(
    route: Route,
    gateway: Arc<Gateway>,
    asked: Asked,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    // One for the whole answer: a session is begun under the password that was checked.
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let done = match (route, &asked.method) {
        (Route::Login, &Method::GET) => page(&snapshot, &asked),
        (Route::Login, &Method::POST) => match who::checked(&snapshot, &asked) {
            Ok(()) => sign_in(&gateway, &snapshot, &asked, body).await,
            Err(refusal) => Err(refusal),
        },
        (Route::Session, &Method::GET) => shown(&gateway, &snapshot, &asked).await,
        (Route::Logout, &Method::POST) => sign_out(&gateway, &snapshot, &asked).await,
        (_, method) => Err(Refusal::of(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this path does not take {method}"),
        )),
    };
    let (mut response, cookie) = match done {
        Ok((body, cookie)) => (remote::told(StatusCode::OK, body), cookie),
        Err(refusal) => (remote::refused(&refusal), None),
    };
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn text(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|_| Refusal::failed())
}

fn page(snapshot: &Snapshot, asked: &Asked) -> Answer {
    who::checked(snapshot, asked)?;
    let remember = snapshot.config.admin.remember_ttl;
    let page = api::SignInPage {
        password: snapshot.sign_in.password.is_some(),
        remember_seconds: remember.map(|life| life.as_secs()),
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok((text(&page)?, None))
}

async fn sign_in<B: Buf>(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: &Asked,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Answer {
    let (given, remember) = credentials(asked, body).await?;
    let from = who::client(snapshot, asked);
    let known = snapshot.sign_in.password.as_ref();
    let signed_in = match gateway.login.check(known, from, given).await {
        Ok(()) => gateway.login.begin(snapshot, remember).await,
        Err(denied) => Err(denied),
    };
    let begun = signed_in.map_err(who::refused)?;
    tracing::info!(from = ?from, remember, "signed in at the panel");
    let body = api::SignedIn {
        session: of_session(&begun.session),
    };
    Ok((text(&body)?, set(&begun, asked, &snapshot.config)))
}

/// What a sign-in gives: read within bounds, whoever sends it.
async fn credentials<B: Buf>(
    asked: &Asked,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<(Secret, bool), Refusal> {
    let length = asked.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|n| n.to_str().ok()?.parse().ok());
    let body = body::read(body, length, MAX_BODY).await;
    let body: Bytes = body.map_err(|error| match error.kind {
        ErrorKind::TooLarge => Refusal::of(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {MAX_BODY} bytes"),
        ),
        _ => Refusal::mistake(error.message),
    })?;
    let given: api::Credentials = params::object(&body)?;
    let secret = Secret::new(given.password);
    match secret.expose().len() {
        0 => Err(Refusal::field("password", "the password is empty")),
        n if n > password::LONGEST => {
            let message = format!("the password is longer than {} bytes", password::LONGEST);
            Err(Refusal::field("password", message))
        }
        _ => Ok((secret, given.remember)),
    }
}

async fn shown(gateway: &Gateway, snapshot: &Snapshot, asked: &Asked) -> Answer {
    let caller = who::allowed(gateway, snapshot, asked).await?;
    let mut cookies = cookie::given(&asked.headers);
    let renewed = match &caller.how {
        How::Session(_) => cookies.find_map(|token| gateway.login.renewed(snapshot, token)),
        _ => None,
    };
    let Some(renewed) = renewed else {
        return Ok((described(&caller)?, None));
    };
    let body = text(&of_session(&renewed.session))?;
    Ok((body, set(&renewed, asked, &snapshot.config)))
}

async fn sign_out(gateway: &Gateway, snapshot: &Snapshot, asked: &Asked) -> Answer {
    let caller = who::allowed(gateway, snapshot, asked).await?;
    let How::Session(session) = caller.how else {
        return Ok((text(&api::Done {})?, None));
    };
    gateway.login.end(session.id).await;
    tracing::info!(from = ?caller.from, "signed out of the panel");
    let cleared = cookie::cleared(is_secure(asked, &snapshot.config));
    Ok((text(&api::Done {})?, cleared))
}

/// Who asks, as JSON.
pub(in crate::server) fn described(caller: &Caller) -> Result<String, Refusal> {
    let (_, name) = caller.name.split_once(':').unwrap_or(("", "admin"));
    let how = match &caller.how {
        How::Session(session) => return text(&of_session(session)),
        How::Token(_) => api::How::Token,
        How::Password(_) => api::How::Password,
        How::Socket => api::How::Socket,
    };
    text(&api::Session {
        name: name.to_owned(),
        role: match caller.role {
            Role::Read => api::Role::Read,
            Role::Write => api::Role::Write,
        },
        how,
        csrf: None,
        expires: None,
        remembered: false,
    })
}

fn of_session(session: &Session) -> api::Session {
    api::Session {
        name: "admin".to_owned(),
        role: api::Role::Write,
        how: api::How::Session,
        csrf: Some(session.csrf.expose().to_owned()),
        expires: Some(session.expires.to_string()),
        remembered: session.remembered,
    }
}

/// The cookie of a session. One that is not remembered ends with the browser, too.
fn set(begun: &Begun, asked: &Asked, config: &Config) -> Option<HeaderValue> {
    let life: Option<Duration> = begun.session.remembered.then_some(begun.life);
    cookie::set(begun.token.expose(), life, is_secure(asked, config))
}

/// Whether the browser came over TLS, to the gateway or to what stands in front of it.
fn is_secure(asked: &Asked, config: &Config) -> bool {
    let public = config.server.public_url.as_deref().unwrap_or_default();
    asked.peer.is_some_and(|peer| peer.tls) || public.starts_with("https:")
}
