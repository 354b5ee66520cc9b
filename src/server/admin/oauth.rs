//! Adding an account by its provider's consent page.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use warp::reply::Response;

use crate::base::id::{AccountId, UpstreamId};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::snapshot::Snapshot;
use crate::server::Gateway;
use crate::server::admin::api::accounts::AddAccount;
use crate::server::admin::api::oauth::{
    ConfirmOauth, OauthPending, OauthStarted, OauthStep, PasteOauth, StartOauth,
};
use crate::server::admin::{self, Params, Refusal, Responding, adding, remote};
use crate::server::login::cookie;
use crate::server::oauth::{Claim, Found, LIFE, SignIn, Stage};
use crate::upstream::oauth;

/// The browser that begins shows it when the provider's page leads it back. Lax, since that is another site.
const COOKIE_NAME: &str = "agp_oauth";
/// Where the provider's page leads back to.
pub const CALLBACK: &str = "/oauth-callback";
/// What the provider is asked is asked within this.
const PATIENCE: Duration = Duration::from_secs(45);

/// Begins: the consent page's address, and a cookie for the browser that begins.
pub(super) fn start(gateway: Arc<Gateway>, params: Params) -> Responding {
    Box::pin(async move { begin(&gateway, &params) })
}

fn begin(gateway: &Gateway, params: &Params) -> Result<Response, Refusal> {
    let asked: StartOauth = params.json()?;
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let account = asked.account.as_deref().map(AccountId::from);
    let upstream = upstream(&snapshot, asked.upstream.as_deref(), account.as_ref())?;
    let owner = &params.caller().owner();
    let begun = gateway
        .sign_ins
        .begin(owner, &upstream.id, account, Timestamp::now())
        .map_err(|error| Refusal::of(StatusCode::TOO_MANY_REQUESTS, error))?;
    let url = oauth::authorize_url(&upstream.oauth, &begun.state, &begun.challenge)
        .map_err(|error| Refusal::of(StatusCode::CONFLICT, error))?;
    let redirect = &upstream.oauth.redirect_uri;
    let (here, there) = (origin(&asked.origin), origin(redirect));
    let lands_here = here.is_some() && here == there;
    let started = OauthStarted {
        state: begun.state,
        url: url.into(),
        redirect_url: redirect.clone(),
        lands_here,
        move_to: here
            .zip(there)
            .and_then(|(here, there)| moved(&here, &there)),
        expires: begun.expires.to_string(),
    };
    let mut response = remote::told(StatusCode::OK, admin::told(&started)?.to_string());
    let secure = if asked.origin.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "{COOKIE_NAME}={}; Path={CALLBACK}; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        begun.cookie.expose(),
        LIFE.as_secs()
    );
    let mut cookie = HeaderValue::try_from(cookie).map_err(|_| Refusal::failed())?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// The upstream to sign in at: the account's, the one that is named, or the only one.
fn upstream(
    snapshot: &Snapshot,
    named: Option<&str>,
    account: Option<&AccountId>,
) -> Result<Arc<UpstreamHandle>, Refusal> {
    let of_account = match account {
        Some(account) => {
            let known = snapshot.config.accounts.get(account).ok_or_else(|| {
                let message = format!("there is no account `{}` in the file", account.as_str());
                Refusal::field("account", message).with(StatusCode::NOT_FOUND)
            })?;
            Some(known.upstream.clone())
        }
        None => None,
    };
    let wanted = of_account.or_else(|| named.map(UpstreamId::from));
    let mut all = snapshot.upstreams.values();
    let found = match &wanted {
        Some(name) => snapshot.upstreams.get(name),
        None => all.next().filter(|_| all.next().is_none()),
    };
    found.cloned().ok_or_else(|| match wanted {
        Some(name) => {
            let message = format!(
                "there is no upstream `{}` that people sign in to",
                name.as_str()
            );
            Refusal::field("upstream", message).with(StatusCode::NOT_FOUND)
        }
        None if snapshot.upstreams.is_empty() => Refusal::of(
            StatusCode::CONFLICT,
            "no upstream has an OAuth client: give one its `oauth` in the file first",
        ),
        None => Refusal::field("upstream", "there are several upstreams: say which"),
    })
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> Option<(String, String, u16)> {
    let uri: Uri = address.parse().ok()?;
    let scheme = uri.scheme_str()?.to_owned();
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

type Origin = (String, String, u16);

/// Where the panel is to be opened instead: it is open at another name of this machine than the one that the provider
/// leads back to, and cookies go by name.
fn moved(here: &Origin, there: &Origin) -> Option<String> {
    let local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let other = here.1 != there.1 && local(&here.1) && local(&there.1);
    let same = here.0 == there.0 && here.2 == there.2;
    (other && same).then(|| format!("{}://{}:{}", there.0, there.1, there.2))
}

/// A sign-in of whoever asks.
fn own(gateway: &Gateway, params: &Params) -> Result<SignIn, Refusal> {
    let state = params.need("state")?;
    let owner = &params.caller().owner();
    let found = gateway.sign_ins.of(state, owner, Timestamp::now());
    found.ok_or_else(|| {
        Refusal::unknown(
            "state",
            "there is no such sign-in of this session: it may have taken too long",
        )
    })
}

/// How far it is.
pub(super) fn show(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    admin::told(told(gateway, own(gateway, params)?))
}

/// Forgets it.
pub(super) fn cancel(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let sign_in = own(gateway, params)?;
    gateway
        .sign_ins
        .forget(&sign_in.state, &params.caller().owner());
    admin::told(told(gateway, sign_in))
}

/// Takes the address that the browser ended at.
pub(super) fn paste(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let asked: PasteOauth = params.json()?;
    let owner = &params.caller().owner();
    let claim = gateway
        .sign_ins
        .pasted(&asked.address, owner, Timestamp::now())
        .map_err(|error| Refusal::field("address", error.to_string()))?;
    let state = claim.state.clone();
    let handle = tokio::runtime::Handle::try_current().map_err(|_| Refusal::failed())?;
    handle.block_on(complete(gateway, claim));
    let sign_in = gateway.sign_ins.of(&state, owner, Timestamp::now());
    let sign_in =
        sign_in.ok_or_else(|| Refusal::not_found("the sign-in took too long: begin anew"))?;
    admin::told(told(gateway, sign_in))
}

/// Makes the account, or gives the one that is signed in again its new token.
pub(super) fn confirm(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let asked: ConfirmOauth = params.json()?;
    let sign_in = own(gateway, params)?;
    let Stage::Found(found) = &sign_in.stage else {
        let message = "the provider has not told yet who signed in";
        return Err(Refusal::of(StatusCode::CONFLICT, message));
    };
    let again = sign_in.account.as_ref();
    if let Some(account) = again {
        is_the_same(gateway, account, found.email.as_deref())?;
    }
    let wanted = AddAccount {
        name: asked.name.filter(|_| again.is_none()),
        upstream: Some(sign_in.upstream.as_str().to_owned()),
        email: found.email.clone(),
        refresh_token: found.refresh_token.expose().to_owned(),
        tags: asked.tags,
        ..AddAccount::default()
    };
    let added = adding::one(gateway, params, &wanted, again.map(AccountId::as_str))?;
    if !params.dry_run() {
        gateway
            .sign_ins
            .forget(&sign_in.state, &params.caller().owner());
    }
    admin::told(&added)
}

/// An account that is signed in again stays the same person's.
fn is_the_same(gateway: &Gateway, account: &AccountId, email: Option<&str>) -> Result<(), Refusal> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let known = snapshot.config.accounts.get(account);
    let known = known.and_then(|known| known.email.as_deref());
    match (known, email) {
        (Some(known), Some(email)) if !known.eq_ignore_ascii_case(email) => {
            let message = format!(
                "account `{}` is {known}, and {email} signed in: choose {known} at the provider, or add {email} as an account of \
                 its own",
                account.as_str()
            );
            Err(Refusal::of(StatusCode::CONFLICT, message))
        }
        _ => Ok(()),
    }
}

/// The provider's page led a browser back. `None` where it is not the one that began: then its address is to be copied.
pub async fn returned(gateway: &Gateway, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let query = uri.query()?;
    let state = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("state="))?;
    let state = &*percent_decode_str(state).decode_utf8_lossy();
    let cookie = cookie::named(headers, COOKIE_NAME).next()?;
    let now = Timestamp::now();
    if let Ok(claim) = gateway.sign_ins.returned(query, state, cookie, now)? {
        complete(gateway, claim).await;
    }
    let mut response = Response::new(bytes::Bytes::new().into());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // The state is one of ours: base64url.
    let to = HeaderValue::try_from(format!("/oauth/{state}")).ok()?;
    let gone = format!("{COOKIE_NAME}=; Path={CALLBACK}; HttpOnly; SameSite=Lax; Max-Age=0");
    response.headers_mut().insert(LOCATION, to);
    response
        .headers_mut()
        .insert(SET_COOKIE, HeaderValue::try_from(gone).ok()?);
    Some(response)
}

/// Trades the code, asks who it is, and keeps what was heard.
async fn complete(gateway: &Gateway, claim: Claim) {
    let Claim {
        state,
        upstream,
        code,
        verifier,
    } = claim;
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let said = match snapshot.upstreams.get(&upstream) {
        Some(handle) => tokio::time::timeout(PATIENCE, ask(handle, &code, &verifier))
            .await
            .unwrap_or_else(|_| Err("the provider does not answer: begin anew".to_owned())),
        None => Err(format!("upstream `{}` left the file", upstream.as_str())),
    };
    gateway.sign_ins.heard(&state, said);
}

async fn ask(handle: &UpstreamHandle, code: &Secret, verifier: &Secret) -> Result<Found, String> {
    let grant = oauth::exchange(&handle.http, &handle.oauth, code, verifier)
        .await
        .map_err(|failure| explain(&failure))?;
    let refresh_token = grant.refresh_token.ok_or(
        "the provider gave no refresh token: remove this gateway's access in the account's settings, then begin anew",
    )?;
    let who = oauth::userinfo(&handle.http, &handle.oauth, &grant.access_token)
        .await
        .map_err(|failure| format!("who signed in could not be read: {}", failure.message))?;
    Ok(Found {
        email: who.email,
        refresh_token,
    })
}

/// What a failed exchange means here (upstream-protocol.md 1.2).
fn explain(failure: &Failure) -> String {
    match failure.class {
        Class::AccountInvalid => "the code is used up or too old: begin anew".to_owned(),
        Class::OauthConfig => format!(
            "the provider refuses the OAuth client ({}): check `oauth` of this upstream",
            failure.detail
        ),
        _ => format!("{} ({}): begin anew", failure.message, failure.detail),
    }
}

fn told(gateway: &Gateway, sign_in: SignIn) -> OauthPending {
    let (step, email, error) = match sign_in.stage {
        Stage::Waiting | Stage::Asked => (OauthStep::Waiting, None, None),
        Stage::Found(found) => (OauthStep::Found, found.email, None),
        Stage::Failed(why) => (OauthStep::Failed, None, Some(why)),
    };
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let same = email.as_deref().and_then(|email| {
        let mut accounts = snapshot.config.accounts.iter();
        let fits = |given: &str| given.eq_ignore_ascii_case(email);
        accounts
            .find(|(_, one)| {
                one.upstream == sign_in.upstream && one.email.as_deref().is_some_and(fits)
            })
            .map(|(name, _)| name.clone())
    });
    let account = sign_in.account.or(same);
    OauthPending {
        state: sign_in.state,
        upstream: sign_in.upstream.as_str().to_owned(),
        step,
        name: account.is_none().then(|| email.clone()).flatten(),
        account: account.map(|name| name.as_str().to_owned()),
        email,
        error,
        expires: sign_in.expires.to_string(),
    }
}
