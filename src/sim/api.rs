//! The door of the API: who calls, which method, and what the script does before anybody answers.

use std::sync::Arc;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::faults;
use super::http::{Call, Done, not_found};
use super::oauth::{self, Bearer};
use super::reply::{Problem, Reply};
use super::script::{Behaviour, Script};
use super::state::{Live, State};
use super::{generate, setup, strict};
use crate::base::time::Timestamp;

/// Whose a call is where a lenient script asks for no token.
const ANYONE: &str = "anyone@example.com";

/// Whether the script lets a call go on.
pub(super) enum Stop {
    Go,
    Reply(Box<Reply>),
    Drop,
}

/// Does what the script wants done before an answer: waits, drops, refuses.
pub(super) async fn interfere(state: &State, b: &Behaviour, account: &str, model: &str) -> Stop {
    if let Some(delay) = &b.first_byte_delay {
        tokio::time::sleep(delay.value).await;
    }
    if b.drop == Some(true) {
        return Stop::Drop;
    }
    if !faults::refuses(b) {
        return Stop::Go;
    }
    if b.revoke == Some(true) {
        state.oauth.lock().revoke(account);
    }
    let mut reply = faults::reply(b, model, Timestamp::now());
    extra(&mut reply, b);
    Stop::Reply(Box::new(reply))
}

/// Puts the headers of a good answer on it.
pub(super) fn head(reply: &mut Reply, b: &Behaviour, content_type: &'static str) {
    let value = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, value);
    extra(reply, b);
}

/// The headers that the script adds.
fn extra(reply: &mut Reply, b: &Behaviour) {
    if let Some(value) = b.content_type.as_deref().and_then(|t| t.parse().ok()) {
        reply.headers_mut().insert(CONTENT_TYPE, value);
    }
    for (name, value) in b.headers.iter().flatten() {
        let name = HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            reply.headers_mut().insert(name, value);
        }
    }
}

/// The account of the call's access token. A lenient script takes a token it never saw, and none.
fn caller(state: &State, script: &Script, call: &Call) -> Option<String> {
    let header = call.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    match state.oauth.lock().bearer(token, Timestamp::now()) {
        Bearer::Good(email) => Some(email),
        Bearer::Unknown if script.settings.lenient => Some(ANYONE.to_owned()),
        Bearer::Unknown | Bearer::Spent => None,
    }
}

/// Whether an account may name that project: its own, or one that is nobody else's here.
pub(super) fn may_use_project(script: &Script, account: &str, project: &str) -> bool {
    let others = script.settings.accounts.values();
    let mut taken = others.filter_map(|a| a.project.as_deref());
    project == script.project(account)
        || !(project.starts_with("sim-project-") || taken.any(|p| p == project))
}

/// The 403 of a project that is somebody else's.
pub(super) fn foreign_project(project: &str) -> Problem {
    Problem::new(
        403,
        format!("Permission denied on resource project {project}."),
    )
    .with_info(
        "CONSUMER_INVALID",
        json!({"consumer": format!("projects/{project}")}),
    )
}

/// Whether a model was rolled out to an account.
pub(super) fn may_use_model(script: &Script, account: &str, model: &str) -> bool {
    let account = script.settings.accounts.get(account);
    let models = account.and_then(|a| a.models.as_deref());
    models.is_none_or(|m| m.iter().any(|m| WildMatch::new(m).matches(model)))
}

/// `POST /v1internal:METHOD` and `GET /v1internal/operations/ID`; `rest` is what follows `/v1internal`.
pub(super) async fn answer(
    state: &Arc<State>,
    live: &Live,
    call: &Call,
    verb: &Method,
    rest: &str,
) -> Done {
    let method = match (verb, rest.strip_prefix(':')) {
        (&Method::GET, None) if rest.starts_with("/operations/") => "operations",
        (&Method::POST, Some(method)) if METHODS.contains(&method) => method,
        _ => return Done::plain("", not_found(&call.path)),
    };
    let Some(account) = caller(state, &live.script, call) else {
        return Done::plain(method, Problem::unauthenticated().reply());
    };
    if call.headers.contains_key("x-goog-user-project") && !live.script.settings.lenient {
        // upstream-protocol.md section 2: the header makes Google check that project's own services.
        let problem = Problem::new(
            403,
            "Caller does not have required permission to use the project named in x-goog-user-project.",
        )
        .with_info("USER_PROJECT_DENIED", json!({}));
        return Done {
            account,
            ..Done::plain(method, problem.reply())
        };
    }
    if matches!(method, "generateContent" | "streamGenerateContent") {
        return generate::answer(state, live, call, account, method).await;
    }
    let model = if method == "countTokens" {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let model = strict::text(&body["request"], "model");
        model.strip_prefix("models/").unwrap_or(model).to_owned()
    } else {
        String::new()
    };
    ruled(state, live, call, method, account, model, |account| {
        setup::answer(state, &live.script, call, method, account, rest)
    })
    .await
}

const METHODS: &[&str] = &[
    "loadCodeAssist",
    "onboardUser",
    "fetchAvailableModels",
    "generateContent",
    "streamGenerateContent",
    "countTokens",
];

/// Answers a call that no model generates for: a rule that names its method may come first.
async fn ruled(
    state: &State,
    live: &Live,
    call: &Call,
    method: &str,
    account: String,
    model: String,
    answer: impl FnOnce(&str) -> Reply,
) -> Done {
    let rule = live.rule(&account, &model, &call.host, method);
    let mut done = Done {
        method: method.to_owned(),
        account,
        model,
        rule,
        reply: None,
    };
    // The script's top level speaks of generations, so here only a rule counts.
    if rule.is_some() {
        match interfere(state, live.behaviour(rule), &done.account, &done.model).await {
            Stop::Go => {}
            Stop::Drop => return done,
            Stop::Reply(reply) => {
                done.reply = Some(*reply);
                return done;
            }
        }
    }
    done.reply = Some(answer(&done.account));
    done
}

/// `POST /token`.
pub(super) async fn token(state: &State, live: &Live, call: &Call) -> Done {
    // The rule's account is the one whose refresh token it is; a code's account is known only after the exchange.
    let form = call.form();
    let name = form
        .get("refresh_token")
        .and_then(|t| t.strip_prefix("sim-refresh-"))
        .map(|name| name.split('~').next().unwrap_or_default());
    let account = name.map(oauth::email_of).unwrap_or_default();
    let mut proved = String::new();
    let mut done = ruled(state, live, call, "token", account, String::new(), |_| {
        let (email, reply) = oauth::token(state, &live.script, call);
        proved = email;
        reply
    })
    .await;
    if !proved.is_empty() {
        done.account = proved;
    }
    done
}

/// `GET /oauth2/v2/userinfo`.
pub(super) async fn userinfo(state: &State, live: &Live, call: &Call) -> Done {
    let account = caller(state, &live.script, call);
    let name = account.clone().unwrap_or_default();
    ruled(state, live, call, "userinfo", name, String::new(), |_| {
        oauth::userinfo(state, &live.script, account.as_deref())
    })
    .await
}
