//! The consent page of the simulated login, and what a press on its buttons leads to (upstream-protocol.md 1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hyper::header::{HeaderValue, LOCATION};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::oauth::Grant;
use super::reply::{Reply, whole};
use super::script::Script;
use super::state::State;
use crate::base::time::Timestamp;

const HTML: &str = "text/html; charset=utf-8";

/// The page, a refusal, or the redirect of `sim_account` and `sim_deny`, which the page's own buttons send.
pub(super) fn answer(state: &State, script: &Script, query: &BTreeMap<String, String>) -> Reply {
    if let Err((status, error, why)) = check(script, query) {
        let page = format!(
            "<!doctype html><title>Error {status}</title><h1>Access blocked</h1><p>Error {status}: {error}</p><p>{}</p>",
            escape(&why)
        );
        return whole(status, HTML, page);
    }
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    if query.contains_key("sim_deny") {
        return back(query, "error", "access_denied");
    }
    let chosen = field("sim_account").trim();
    if chosen.is_empty() {
        return whole(200, HTML, page(state, script, query));
    }
    let now = Timestamp::now();
    let mut oauth = state.oauth.lock();
    let again = oauth.known.contains(chosen);
    let grant = Grant {
        email: chosen.to_owned(),
        redirect_uri: field("redirect_uri").to_owned(),
        challenge: field("code_challenge").to_owned(),
        scope: field("scope").to_owned(),
        refresh: field("access_type") == "offline" && (field("prompt") == "consent" || !again),
    };
    oauth.known.insert(chosen.to_owned());
    let code = oauth.code(grant, now);
    drop(oauth);
    back(query, "code", &code)
}

type Refusal = (u16, &'static str, String);

fn check(script: &Script, query: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let bad = |why: &str| Err((400, "invalid_request", why.to_owned()));
    if field("client_id") != script.client_id() {
        let why = "The OAuth client was not found.".to_owned();
        return Err((401, "invalid_client", why));
    }
    if !loopback(field("redirect_uri")) {
        let why = format!(
            "The redirect URI `{}` is no loopback address of an installed app.",
            field("redirect_uri")
        );
        return Err((400, "redirect_uri_mismatch", why));
    }
    if field("response_type") != "code" {
        let why = "response_type must be code".to_owned();
        return Err((400, "unsupported_response_type", why));
    }
    let scopes: BTreeSet<&str> = field("scope").split_whitespace().collect();
    let known = |s: &&str| {
        s.starts_with("https://www.googleapis.com/auth/")
            || matches!(*s, "openid" | "email" | "profile")
    };
    if scopes.is_empty() || !scopes.iter().all(known) {
        let why = format!("Some requested scopes were invalid: {}", field("scope"));
        return Err((400, "invalid_scope", why));
    }
    if field("state").len() < 16 {
        return bad("state must be at least 16 characters that nobody can guess");
    }
    if field("code_challenge_method") != "S256" {
        return bad("code_challenge_method must be S256");
    }
    let challenge = field("code_challenge");
    let base64url = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if challenge.len() != 43 || !challenge.bytes().all(base64url) {
        return bad("code_challenge must be 43 characters of base64url");
    }
    Ok(())
}

/// Whether an installed app may be sent back there.
fn loopback(uri: &str) -> bool {
    let Ok(uri) = uri.parse::<hyper::Uri>() else {
        return false;
    };
    uri.scheme_str() == Some("http")
        && matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Back to the app, with `name=value` and the state.
fn back(query: &BTreeMap<String, String>, name: &str, value: &str) -> Reply {
    let uri = query.get("redirect_uri").map_or("", String::as_str);
    let state = query.get("state").map_or("", String::as_str);
    let joint = if uri.contains('?') { '&' } else { '?' };
    let mut target = format!(
        "{uri}{joint}state={}&{name}={}",
        encode(state),
        encode(value)
    );
    if name == "code" {
        let scope = query.get("scope").map_or("", String::as_str);
        let _ = write!(target, "&scope={}", encode(scope));
    }
    let mut reply = whole(302, HTML, "");
    if let Ok(target) = HeaderValue::from_str(&target) {
        reply.headers_mut().insert(LOCATION, target);
    }
    reply
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn page(state: &State, script: &Script, query: &BTreeMap<String, String>) -> String {
    let mut emails: BTreeSet<String> = script.accounts().into_iter().collect();
    emails.extend(state.oauth.lock().known.iter().cloned());
    let mut hidden = String::new();
    for (name, value) in query.iter().filter(|(name, _)| !name.starts_with("sim_")) {
        let (name, value) = (escape(name), escape(value));
        let _ = write!(
            hidden,
            r#"<input type="hidden" name="{name}" value="{value}">"#
        );
    }
    let mut buttons = String::new();
    for email in &emails {
        let email = escape(email);
        let _ = write!(
            buttons,
            r#"<p><button name="sim_account" value="{email}">Continue as {email}</button></p>"#
        );
    }
    let scope = escape(query.get("scope").map_or("", String::as_str));
    format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated sign-in</title>
<h1>Simulated sign-in</h1><p>Nothing here is real: this is agp's simulated upstream. The app asks for: {scope}</p>
<form method="get">{hidden}{buttons}</form>
<form method="get">{hidden}<p><label>Another address <input type="email" name="sim_account" required></label>
<button>Continue</button></p></form>
<form method="get">{hidden}<p><button name="sim_deny" value="1">Cancel</button></p></form></html>"#
    )
}
