//! The admin operations: one table. The Unix socket, HTTP with a token and the panel's sessions lead to it, and the `OpenAPI`
//! document is made of it.

mod accounts;
mod adding;
pub mod api;
mod attention;
mod caller;
mod configuration;
mod edits;
mod events;
mod explain;
mod export;
mod history;
mod jobs;
mod keys;
mod logs;
mod models;
mod names;
pub mod oauth;
pub mod openapi;
mod operation;
mod overview;
mod params;
mod pick;
mod plan;
mod playground;
mod refusal;
pub mod remote;
pub(in crate::server) mod session;
mod state;
mod status;
mod table;
mod usage;
pub(in crate::server) mod who;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;
use warp::reply::Response;

use crate::config::model::Role;
use crate::server::Gateway;

pub use caller::{Caller, How};
pub use keys::KeySums;
pub use operation::{Answer, Operation, Query, Responding, Run, Takes, Verb};
pub use params::Params;
pub use refusal::{Fault, Refusal};
pub use table::operations;
pub use who::still_allowed;

/// What operations share while the program runs.
#[derive(Default)]
pub struct Shared {
    day: accounts::list::Day,
    windows: usage::window::Windows,
    names: names::Names,
    files: configuration::Known,
    jobs: jobs::Jobs,
    events: events::hub::Hub,
}

/// An answer as JSON.
fn told(answer: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(answer).map_err(|_| Refusal::failed())
}

/// Where the paths begin.
pub const BASE: &str = "/admin/api/v1";

/// What came of an operation.
pub enum Done {
    /// JSON.
    Value(Value),
    /// A response of its own form.
    Response(Box<Response>),
}

/// Runs the operation at this method and address, what blocks on a thread for that.
///
/// # Errors
/// As the table says of the path, the query and the caller; else what the operation says.
pub async fn answer(
    gateway: Arc<Gateway>,
    caller: Caller,
    method: &Method,
    uri: &Uri,
    body: Bytes,
) -> Result<Done, Refusal> {
    let (operation, params) = prepare(caller, method, uri, body)?;
    match operation.run {
        Run::Answer(run) => tokio::task::spawn_blocking(move || run(&gateway, &params))
            .await
            .unwrap_or_else(|_| Err(Refusal::failed()))
            .map(Done::Value),
        Run::Response(run) => run(gateway, params)
            .await
            .map(|response| Done::Response(Box::new(response))),
    }
}

/// Runs an operation that answers JSON. Blocks on the disk, or reckons for seconds: never to be called on a thread that serves.
///
/// # Errors
/// As the table says of the path, the query and the caller; else what the operation says.
pub fn run(
    gateway: &Gateway,
    caller: Caller,
    method: &Method,
    uri: &Uri,
    body: Bytes,
) -> Result<Value, Refusal> {
    let (operation, params) = prepare(caller, method, uri, body)?;
    match operation.run {
        Run::Answer(run) => run(gateway, &params),
        Run::Response(_) => Err(Refusal::of(
            StatusCode::NOT_IMPLEMENTED,
            "this operation does not answer JSON: ask it over HTTP",
        )),
    }
}

/// Finds the operation at this method and address, and reads what it is given.
///
/// # Errors
/// 404 for an unknown path, 405 for a known one with another method, 403 for a caller who may not, 400 for a query that it
/// does not know or that is none, 428 where a session edits without saying what it saw.
fn prepare(
    caller: Caller,
    method: &Method,
    uri: &Uri,
    body: Bytes,
) -> Result<(&'static Operation, Params), Refusal> {
    let (operation, mut given) = find(method, uri.path())?;
    if operation.role > caller.role {
        let message = format!(
            "`{}` needs role write, and this {} has role {}",
            operation.name,
            if matches!(caller.how, How::Token(_)) {
                "token"
            } else {
                "session"
            },
            caller.role.as_str()
        );
        return Err(Refusal::of(StatusCode::FORBIDDEN, message));
    }
    for pair in uri.query().unwrap_or_default().split('&') {
        let (name, value) = match pair.split_once('=') {
            Some(pair) => pair,
            None if pair.is_empty() => continue,
            None => (pair, ""),
        };
        let Some(query) = operation.query().find(|query| query.name == name) else {
            let message = format!("`{name}` is no parameter of this operation");
            return Err(Refusal::field(name, message));
        };
        let value = decoded(value);
        query.check(&value)?;
        given.insert(name.to_owned(), value);
    }
    let in_session = matches!(caller.how, How::Session(_));
    if operation.edits && in_session && !given.contains_key("revision") {
        let message = "`revision` is missing: say from which state of the files this edit was made";
        return Err(Refusal::field("revision", message).with(StatusCode::PRECONDITION_REQUIRED));
    }
    if operation.body.is_none() && !matches!(body.trim_ascii(), b"" | b"{}") {
        return Err(Refusal::field("body", "this operation takes no body"));
    }
    if operation.role == Role::Write {
        let Caller { name, from, .. } = &caller;
        tracing::info!(operation = operation.name, who = name, from = ?from, "admin operation");
    }
    Ok((operation, Params::new(given, body, caller)))
}

/// The operation at a path, with what stands in its braces.
fn find(
    method: &Method,
    path: &str,
) -> Result<(&'static Operation, BTreeMap<String, String>), Refusal> {
    let path = path.strip_prefix(BASE);
    let mut known = path
        .into_iter()
        .flat_map(|path| {
            operations()
                .filter_map(move |operation| Some((operation, matched(operation.path, path)?)))
        })
        .peekable();
    if known.peek().is_none() {
        return Err(Refusal::not_found("there is no operation at this path"));
    }
    known
        .find(|(operation, _)| operation.verb.method() == *method)
        .ok_or_else(|| {
            let message = format!("this path does not take {method}");
            Refusal::of(StatusCode::METHOD_NOT_ALLOWED, message)
        })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What stands in the places of a pattern's braces, where the path is of its form.
fn matched(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut given = path.split('/');
    for part in pattern.split('/') {
        let given = given.next()?;
        match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(name) if !given.is_empty() => {
                found.insert(name.to_owned(), decoded(given));
            }
            None if part == given => {}
            _ => return None,
        }
    }
    given.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_one_segment_for_a_name() {
        let name = |path| matched("/accounts/{name}/pause", path).map(|p| p["name"].clone());
        assert_eq!(name("/accounts/al%20ice/pause").as_deref(), Some("al ice"));
        assert_eq!(name("/accounts/a%2Fb/pause").as_deref(), Some("a/b"));
        for path in [
            "/accounts//pause",
            "/accounts/a/b/pause",
            "/accounts/a/pause/",
            "/accounts/a",
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn the_table_names_everything_once() {
        let all: Vec<&Operation> = operations().collect();
        for (n, operation) in all.iter().enumerate() {
            for other in &all[n + 1..] {
                assert_ne!(operation.name, other.name);
                assert!(operation.path != other.path || operation.verb != other.verb);
            }
            // What changes something is asked by POST, and so is a question with a body.
            let posted = operation.verb == Verb::Post;
            let write = operation.role == Role::Write;
            let named = ["request body", "plan", "rollback plan"].contains(&operation.name);
            assert!(posted == write || named, "{}", operation.name);
            assert!(write || !operation.edits, "{}", operation.name);
        }
    }
}
