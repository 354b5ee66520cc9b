//! The installed-app OAuth flow (upstream-protocol.md 1): pure builders and readers, and three thin calls.

mod callback;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use self::callback::{CallbackError, parse_callback};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::config::model;
use crate::pool::failure::{Class, Failure};
use crate::upstream::classify::Endpoint;
use crate::upstream::client;
use crate::upstream::lenient;

/// Token and userinfo answers are a few hundred bytes of JSON: this bounds one whole call, so that requests that wait for
/// a refresh do not wait for long.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Lifetime of a token whose answer does not say: Google's usual one.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
/// More than any access token lives; keeps sums of times far from overflow.
const LONGEST_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// The operator's OAuth client with its secrets resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuthClient {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
    /// Consent page.
    pub auth_url: String,
    /// Token endpoint.
    pub token_url: String,
    /// Who signed in.
    pub userinfo_url: String,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Where the consent page leads back to; byte-identical in the exchange.
    pub redirect_uri: String,
}

impl OAuthClient {
    /// The client that `oauth` describes, with the values that its references led to.
    pub fn new(oauth: &model::OAuth, client_id: &Secret, client_secret: Secret) -> Self {
        Self {
            // No secret by itself: it stands in every consent address.
            client_id: client_id.expose().to_owned(),
            client_secret,
            auth_url: oauth.auth_url.clone(),
            token_url: oauth.token_url.clone(),
            userinfo_url: oauth.userinfo_url.clone(),
            scopes: oauth.scopes.clone(),
            redirect_uri: oauth.redirect_uri.clone(),
        }
    }
}

/// A proof key (RFC 7636): the verifier stays here, the challenge goes into the consent address.
#[derive(Debug, Clone)]
pub struct Pkce {
    /// 43 characters of base64url.
    pub verifier: Secret,
    /// Base64url of the verifier's SHA-256.
    pub challenge: String,
}

impl Pkce {
    /// A new pair.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn new() -> Result<Self, String> {
        let verifier = random_text()?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        Ok(Self {
            verifier: Secret::new(verifier),
            challenge,
        })
    }
}

/// A new `state`: 32 random bytes as base64url, to be compared with what the callback brings.
///
/// # Errors
/// The system has no randomness to give.
pub fn new_state() -> Result<String, String> {
    random_text()
}

fn random_text() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("the system's random source failed: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The address that a person opens to consent (upstream-protocol.md 1.1).
///
/// # Errors
/// `auth_url` is no address.
pub fn authorize_url(client: &OAuthClient, state: &str, challenge: &str) -> Result<Url, String> {
    let mut url = Url::parse(&client.auth_url).map_err(|error| {
        format!(
            "expected an address in `oauth.auth_url`, found `{}`: {error}",
            client.auth_url
        )
    })?;
    url.query_pairs_mut()
        .append_pair("client_id", &client.client_id)
        .append_pair("redirect_uri", &client.redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", &client.scopes.join(" "))
        // Without these two a second sign-in of the same person brings no refresh token.
        .append_pair("access_type", "offline")
        .append_pair("prompt", "consent")
        .append_pair("state", state)
        .append_pair("code_challenge", challenge)
        .append_pair("code_challenge_method", "S256");
    Ok(url)
}

/// A form for the token endpoint. No `Debug`: its values are secrets.
pub struct Form<'a>(Vec<(&'static str, &'a str)>);

impl Form<'_> {
    /// The fields in order.
    pub fn fields(&self) -> &[(&'static str, &str)] {
        &self.0
    }
}

/// The form that trades a code for tokens (upstream-protocol.md 1.2).
pub fn exchange_form<'a>(
    client: &'a OAuthClient,
    code: &'a Secret,
    verifier: &'a Secret,
) -> Form<'a> {
    Form(vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("client_id", &client.client_id),
        ("client_secret", client.client_secret.expose()),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", verifier.expose()),
    ])
}

/// The form that gets a new access token (upstream-protocol.md 1.2).
pub fn refresh_form<'a>(client: &'a OAuthClient, refresh_token: &'a Secret) -> Form<'a> {
    Form(vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose()),
        ("client_id", &client.client_id),
        ("client_secret", client.client_secret.expose()),
    ])
}

/// What the token endpoint grants.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Opens the API until it expires.
    pub access_token: Secret,
    /// How long it lives, counted from the answer.
    pub expires_in: Duration,
    /// Replaces the one that was sent, where there is one.
    pub refresh_token: Option<Secret>,
}

impl Grant {
    /// When the access token ends, if it was asked for at `asked`: a little early, never late.
    pub fn expires_at(&self, asked: Timestamp) -> Timestamp {
        asked.plus(self.expires_in)
    }
}

#[derive(Deserialize)]
struct GrantAnswer {
    #[serde(default, deserialize_with = "lenient::field")]
    access_token: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    expires_in: Option<lenient::Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    refresh_token: Option<String>,
}

/// Reads the token endpoint's 200.
///
/// # Errors
/// There is no access token in it: `server_error`, which passes by itself (upstream-protocol.md 9.3).
pub fn parse_grant(body: &[u8]) -> Result<Grant, Failure> {
    // What the body holds stays out of the detail: it may be half a token.
    let bad = |what: &str| Failure::new(Class::ServerError, format!("the token endpoint's {what}"));
    let answer: GrantAnswer =
        serde_json::from_slice(body).map_err(|_| bad("answer is not JSON"))?;
    let access_token = answer
        .access_token
        .filter(|token| is_token(token))
        .ok_or_else(|| bad("answer holds no usable `access_token`"))?;
    Ok(Grant {
        access_token: Secret::new(access_token),
        expires_in: answer.expires_in.map_or(USUAL_LIFETIME, |seconds| {
            Duration::from_secs(seconds.0).min(LONGEST_LIFETIME)
        }),
        refresh_token: answer
            .refresh_token
            .filter(|token| !token.is_empty())
            .map(Secret::new),
    })
}

/// Whether a token can stand in a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Userinfo {
    /// The e-mail address, as the provider writes it.
    pub email: Option<String>,
}

/// Reads the userinfo endpoint's 200 (upstream-protocol.md 1.3).
///
/// # Errors
/// The body is no JSON object: `upstream_garbage`.
pub fn parse_userinfo(body: &[u8]) -> Result<Userinfo, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default, deserialize_with = "lenient::field")]
        email: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| {
        Failure::new(
            Class::UpstreamGarbage,
            "the userinfo answer is no JSON object",
        )
    })?;
    Ok(Userinfo {
        email: answer.email.filter(|email| !email.is_empty()),
    })
}

/// Trades a code for tokens.
///
/// # Errors
/// What the token endpoint refused, by its codes (upstream-protocol.md 1.2).
pub async fn exchange(
    http: &reqwest::Client,
    client: &OAuthClient,
    code: &Secret,
    verifier: &Secret,
) -> Result<Grant, Failure> {
    post(http, client, &exchange_form(client, code, verifier)).await
}

/// Gets a new access token.
///
/// # Errors
/// What the token endpoint refused: `account_invalid` for a dead refresh token, `oauth_config` for the operator's client,
/// else a class that passes by itself.
pub async fn refresh(
    http: &reqwest::Client,
    client: &OAuthClient,
    refresh_token: &Secret,
) -> Result<Grant, Failure> {
    post(http, client, &refresh_form(client, refresh_token)).await
}

async fn post(
    http: &reqwest::Client,
    client: &OAuthClient,
    form: &Form<'_>,
) -> Result<Grant, Failure> {
    let request = http.post(&client.token_url).form(form.fields());
    let secrets = form.fields().iter().filter_map(|(name, value)| {
        let public = ["grant_type", "client_id", "redirect_uri"].contains(name);
        (!public).then_some(*value)
    });
    let secrets: Vec<&str> = secrets.collect();
    let body = client::small_call(request, Endpoint::Token, CALL_TIMEOUT, &secrets).await?;
    parse_grant(&body)
}

/// Asks who signed in.
///
/// # Errors
/// What the endpoint refused.
pub async fn userinfo(
    http: &reqwest::Client,
    client: &OAuthClient,
    access_token: &Secret,
) -> Result<Userinfo, Failure> {
    let request = http
        .get(&client.userinfo_url)
        .bearer_auth(access_token.expose());
    let body = client::small_call(
        request,
        Endpoint::Userinfo,
        CALL_TIMEOUT,
        &[access_token.expose()],
    )
    .await?;
    parse_userinfo(&body)
}

#[cfg(test)]
mod tests;
