//! Google's OAuth as upstream-protocol.md section 1 describes it: consent page, code exchange, refresh, userinfo.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::consent;
use super::http::Call;
use super::reply::{Problem, Reply, json};
use super::script::Script;
use super::state::State;
use crate::base::time::Timestamp;

/// How long an authorization code can be exchanged.
const CODE_LIFE: Duration = Duration::from_mins(10);
/// Tokens and codes kept at most.
const TOKENS_MAX: usize = 10_000;

#[derive(Debug, Clone)]
struct Access {
    email: String,
    expires: Timestamp,
    revoked: bool,
}

/// What an authorization code stands for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) email: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) scope: String,
    /// Whether the exchange hands out a refresh token: only with `access_type=offline`, and again only with `prompt=consent`.
    pub(super) refresh: bool,
}

/// The tokens in use. Refresh tokens are not kept: `sim-refresh-NAME` is good, or `sim-refresh-NAME~N` after N rotations.
#[derive(Debug, Default)]
pub(super) struct OAuth {
    access: HashMap<String, Access>,
    codes: HashMap<String, (Grant, Timestamp)>,
    rotations: HashMap<String, u64>,
    pub(super) known: BTreeSet<String>,
}

/// Who an access token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bearer {
    Good(String),
    /// It was good once.
    Spent,
    Unknown,
}

/// A random name that can't be guessed, of lower-case letters and digits.
pub(super) fn nonce() -> String {
    ulid::Ulid::generate().to_string().to_lowercase()
}

/// The account that a refresh token's name stands for.
pub(super) fn email_of(name: &str) -> String {
    if name.contains('@') {
        name.to_owned()
    } else {
        format!("{name}@example.com")
    }
}

impl OAuth {
    /// A new access token.
    fn issue(&mut self, email: &str, life: u64, now: Timestamp) -> String {
        if self.access.len() >= TOKENS_MAX {
            self.access.retain(|_, a| a.expires > now && !a.revoked);
        }
        if self.access.len() >= TOKENS_MAX {
            self.access.clear();
        }
        let token = format!("sim-access-{}", nonce());
        let access = Access {
            email: email.to_owned(),
            expires: now.plus(Duration::from_secs(life)),
            revoked: false,
        };
        self.access.insert(token.clone(), access);
        self.known.insert(email.to_owned());
        token
    }

    /// Who a token belongs to.
    pub(super) fn bearer(&self, token: &str, now: Timestamp) -> Bearer {
        match self.access.get(token) {
            None => Bearer::Unknown,
            Some(access) if access.revoked || access.expires <= now => Bearer::Spent,
            Some(access) => Bearer::Good(access.email.clone()),
        }
    }

    /// Makes every access token of an account worthless.
    pub(super) fn revoke(&mut self, email: &str) {
        for access in self.access.values_mut().filter(|a| a.email == email) {
            access.revoked = true;
        }
    }

    /// A new authorization code.
    pub(super) fn code(&mut self, grant: Grant, now: Timestamp) -> String {
        self.codes.retain(|_, (_, until)| *until > now);
        if self.codes.len() >= TOKENS_MAX {
            self.codes.clear();
        }
        let code = format!("4/sim-{}", nonce());
        self.codes
            .insert(code.clone(), (grant, now.plus(CODE_LIFE)));
        code
    }

    fn refresh_token(&self, email: &str) -> String {
        let name = email.strip_suffix("@example.com").unwrap_or(email);
        match self.rotations.get(email) {
            None => format!("sim-refresh-{name}"),
            Some(n) => format!("sim-refresh-{name}~{n}"),
        }
    }

    /// The account of a refresh token that is still the right one.
    fn refreshes(&self, token: &str) -> Option<String> {
        let name = token.strip_prefix("sim-refresh-")?;
        let name = name.split_once('~').map_or(name, |(name, _)| name);
        let email = email_of(name);
        let fresh = !name.is_empty() && self.refresh_token(&email) == token;
        fresh.then_some(email)
    }
}

/// An OAuth error, in the shape of upstream-protocol.md 1.2.
fn refuse(status: u16, error: &str, description: &str) -> Reply {
    json(
        status,
        &json!({"error": error, "error_description": description}),
    )
}

/// `GET /o/oauth2/v2/auth`: the consent page, or the way back when a button was pressed.
pub(super) fn auth(state: &State, call: &Call) -> Reply {
    let live = state.live();
    consent::answer(state, &live.script, &call.query())
}

/// `POST /token`. The first value is the account, once it is known.
pub(super) fn token(state: &State, script: &Script, call: &Call) -> (String, Reply) {
    let nobody = |reply| (String::new(), reply);
    let kind = call.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return nobody(refuse(
            400,
            "invalid_request",
            "Could not parse the request: expected application/x-www-form-urlencoded",
        ));
    }
    let form = call.form();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("client_id") != script.client_id() {
        let text = "The OAuth client was not found.";
        return nobody(refuse(401, "invalid_client", text));
    }
    if field("client_secret") != script.client_secret() {
        return nobody(refuse(401, "invalid_client", "Unauthorized"));
    }
    let granted = match field("grant_type") {
        "authorization_code" => exchange(state, &field),
        "refresh_token" => refresh(state, script, &field),
        "" => Err(refuse(
            400,
            "invalid_request",
            "Missing required parameter: grant_type",
        )),
        other => Err(refuse(
            400,
            "unsupported_grant_type",
            &format!("Invalid grant_type: {other}"),
        )),
    };
    match granted {
        Err(reply) => nobody(reply),
        Ok((email, refresh_token, scope)) => {
            let life = script.account(&email).expires_in;
            let life = life.unwrap_or(script.settings.expires_in);
            let access = state.oauth.lock().issue(&email, life, Timestamp::now());
            let mut answer = json!({"access_token": access, "expires_in": life,
                "scope": scope, "token_type": "Bearer"});
            if let Some(token) = refresh_token {
                answer["refresh_token"] = Value::String(token);
            }
            (email, json(200, &answer))
        }
    }
}

/// Who is let in, the refresh token to hand out, and the scope.
type Granted = (String, Option<String>, String);

#[expect(
    clippy::result_large_err,
    reason = "the error is the reply itself, made once"
)]
fn exchange<'a>(state: &State, field: &impl Fn(&str) -> &'a str) -> Result<Granted, Reply> {
    let bad = |description| Err(refuse(400, "invalid_grant", description));
    let mut oauth = state.oauth.lock();
    // Taken out before anything is checked: a code is good for one attempt.
    let Some((grant, until)) = oauth.codes.remove(field("code")) else {
        return bad("Malformed auth code.");
    };
    if until <= Timestamp::now() {
        return bad("Code was already redeemed or has expired.");
    }
    if grant.redirect_uri != field("redirect_uri") {
        return Err(refuse(400, "redirect_uri_mismatch", "Bad Request"));
    }
    if field("code_verifier").is_empty() {
        return bad("Missing code verifier.");
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")));
    if digest != grant.challenge {
        return bad("Invalid code verifier.");
    }
    let token = grant.refresh.then(|| oauth.refresh_token(&grant.email));
    Ok((grant.email, token, grant.scope))
}

#[expect(
    clippy::result_large_err,
    reason = "the error is the reply itself, made once"
)]
fn refresh<'a>(
    state: &State,
    script: &Script,
    field: &impl Fn(&str) -> &'a str,
) -> Result<Granted, Reply> {
    let mut oauth = state.oauth.lock();
    let email = oauth.refreshes(field("refresh_token"));
    let Some(email) = email.filter(|email| !script.account(email).revoked) else {
        return Err(refuse(
            400,
            "invalid_grant",
            "Token has been expired or revoked.",
        ));
    };
    let mut rotated = None;
    if script.settings.rotate_refresh {
        *oauth.rotations.entry(email.clone()).or_default() += 1;
        rotated = Some(oauth.refresh_token(&email));
    }
    Ok((
        email,
        rotated,
        "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email".to_owned(),
    ))
}

/// `GET /oauth2/v2/userinfo`.
pub(super) fn userinfo(state: &State, script: &Script, email: Option<&str>) -> Reply {
    let Some(email) = email else {
        return Problem::unauthenticated().reply();
    };
    state.oauth.lock().known.insert(email.to_owned());
    let local = email.split('@').next().unwrap_or(email);
    let name = script
        .account(email)
        .name
        .unwrap_or_else(|| local.to_owned());
    let number = Sha256::digest(email)
        .iter()
        .take(8)
        .fold(0_u64, |n, b| (n << 8) | u64::from(*b));
    json(
        200,
        &json!({"id": number.to_string(), "email": email, "verified_email": true,
            "name": name, "picture": format!("https://example.com/{local}.png")}),
    )
}
