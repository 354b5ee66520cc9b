//! The admin operations: one table. The Unix socket and HTTP with a token lead to it.

mod accounts;
pub mod api;
mod caller;
mod edits;
mod explain;
mod history;
mod keys;
mod logs;
mod pick;
mod plan;
mod refusal;
pub mod remote;
pub(in crate::server) mod session;
mod state;
mod status;
mod who;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::config::model::Role;
use crate::server::Gateway;

pub use caller::{Caller, How};
pub use refusal::{FieldFault, Refusal};
pub use who::still_allowed;

/// One operation.
pub struct Operation {
    /// Its name on the command line.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path under [`BASE`]; a segment in braces stands for any one segment and is given under that name.
    pub path: &'static str,
    /// What the query may hold besides.
    pub query: &'static [&'static str],
    /// What it does, in one line.
    pub summary: &'static str,
    /// Who may.
    pub role: Role,
    /// Does it. May block on the disk or reckon for seconds: never to be called on a thread that serves.
    pub run: fn(&Gateway, &Params) -> Result<Value, Refusal>,
}

/// What an operation is given: by path and query, by name, and the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    given: BTreeMap<String, String>,
    body: Bytes,
    caller: Caller,
}

impl Params {
    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The request's body; empty where it had none.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// A text that may be missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::mistake(format!("`{name}` is missing")))
    }
}

/// Where the paths begin.
pub const BASE: &str = "/admin/api/v1";

/// The table.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "status",
        method: Method::GET,
        path: "/status",
        query: &[],
        summary: "what runs: configuration, accounts, queue, store",
        role: Role::Read,
        run: |gateway, _| Ok(status::status(gateway)),
    },
    Operation {
        name: "plan",
        method: Method::POST,
        path: "/plan",
        query: &[],
        summary: "tell what a configuration would change here",
        role: Role::Read,
        run: plan::plan,
    },
    Operation {
        name: "reload",
        method: Method::POST,
        path: "/reload",
        query: &[],
        summary: "read the configuration files now",
        role: Role::Write,
        run: plan::reload,
    },
    Operation {
        name: "history",
        method: Method::GET,
        path: "/history",
        query: &["limit"],
        summary: "the generations of the files that are kept, newest first",
        role: Role::Read,
        run: history::list,
    },
    Operation {
        name: "diff",
        method: Method::GET,
        path: "/history/{generation}/diff",
        query: &["with", "plan"],
        summary: "what differs between two generations' files, secrets masked",
        role: Role::Read,
        run: history::diff,
    },
    Operation {
        name: "rollback plan",
        method: Method::POST,
        path: "/history/{generation}/plan",
        query: &[],
        summary: "tell what going back to a generation would change",
        role: Role::Read,
        run: history::plan,
    },
    Operation {
        name: "rollback",
        method: Method::POST,
        path: "/history/{generation}/rollback",
        query: &[],
        summary: "put a generation's texts back into the files",
        role: Role::Write,
        run: history::rollback,
    },
    Operation {
        name: "account list",
        method: Method::GET,
        path: "/accounts",
        query: &[],
        summary: "every account's state and quotas",
        role: Role::Read,
        run: |gateway, _| Ok(accounts::list(gateway)),
    },
    Operation {
        name: "account show",
        method: Method::GET,
        path: "/accounts/{name}",
        query: &[],
        summary: "an account's state and quotas",
        role: Role::Read,
        run: accounts::show,
    },
    Operation {
        name: "account release",
        method: Method::POST,
        path: "/accounts/{name}/release",
        query: &[],
        summary: "end an account's cooldowns; put one that waits for a person back on trial",
        role: Role::Write,
        run: accounts::release,
    },
    Operation {
        name: "account pause",
        method: Method::POST,
        path: "/accounts/{name}/pause",
        query: &[],
        summary: "take an account out of use until it is resumed",
        role: Role::Write,
        run: accounts::pause,
    },
    Operation {
        name: "account resume",
        method: Method::POST,
        path: "/accounts/{name}/resume",
        query: &[],
        summary: "take a paused account back into use",
        role: Role::Write,
        run: accounts::resume,
    },
    Operation {
        name: "account enable",
        method: Method::POST,
        path: "/accounts/{name}/enable",
        query: &["revision"],
        summary: "set an account's `enabled` to true in the file",
        role: Role::Write,
        run: |gateway, params| edits::switch(gateway, params, true),
    },
    Operation {
        name: "account disable",
        method: Method::POST,
        path: "/accounts/{name}/disable",
        query: &["revision"],
        summary: "set an account's `enabled` to false in the file",
        role: Role::Write,
        run: |gateway, params| edits::switch(gateway, params, false),
    },
    Operation {
        name: "account refresh",
        method: Method::POST,
        path: "/accounts/{name}/refresh",
        query: &[],
        summary: "ask an account's upstream for token, project, models and quotas now, and tell what it said",
        role: Role::Write,
        run: accounts::refresh,
    },
    Operation {
        name: "pick",
        method: Method::GET,
        path: "/pick",
        query: &["model", "requests", "key", "conversation"],
        summary: "draw accounts for a model as requests would, and count",
        role: Role::Read,
        run: pick::pick,
    },
    Operation {
        name: "logs",
        method: Method::GET,
        path: "/requests",
        query: &[
            "model", "account", "key", "status", "since", "until", "before", "limit",
        ],
        summary: "the requests of the log, newest first",
        role: Role::Read,
        run: logs::logs,
    },
    Operation {
        name: "request body",
        method: Method::GET,
        path: "/requests/{id}/body",
        query: &[],
        summary: "what a request's client sent and was sent, where bodies are kept; each look is logged",
        // It changes nothing, but shows what was said.
        role: Role::Write,
        run: logs::body,
    },
    Operation {
        name: "explain",
        method: Method::GET,
        path: "/requests/{id}",
        query: &[],
        summary: "what became of a request: every account's verdict and every try",
        role: Role::Read,
        run: explain::explain,
    },
    Operation {
        name: "key usage",
        method: Method::GET,
        path: "/keys/usage",
        query: &["name"],
        summary: "what keys and groups have used of their limits, and when these reset",
        role: Role::Read,
        run: keys::usage,
    },
    Operation {
        name: "rotate",
        method: Method::POST,
        path: "/rotate",
        query: &[],
        summary: "wrap the key of what is stored encrypted for the present identity and recipients",
        role: Role::Write,
        run: state::rotate,
    },
    Operation {
        name: "state backup",
        method: Method::POST,
        path: "/state/backup",
        query: &[],
        summary: "copy the state into a new file in the state folder, to be moved away",
        role: Role::Write,
        run: state::backup,
    },
];

/// Runs the operation at this method and address. Blocks: see [`Operation::run`].
///
/// # Errors
/// 404 for an unknown path, 405 for a known one with another method, 403 for a caller who may not, 400 for a query that it
/// does not know, else what the operation says.
pub fn run(
    gateway: &Gateway,
    caller: Caller,
    method: &Method,
    uri: &Uri,
    body: Bytes,
) -> Result<Value, Refusal> {
    let path = uri.path().strip_prefix(BASE);
    let mut known = path
        .into_iter()
        .flat_map(|path| {
            OPERATIONS
                .iter()
                .filter_map(move |operation| Some((operation, matched(operation.path, path)?)))
        })
        .peekable();
    if known.peek().is_none() {
        return Err(Refusal::not_found("there is no operation at this path"));
    }
    let (operation, mut given) = known
        .find(|(operation, _)| operation.method == *method)
        .ok_or_else(|| {
            let message = format!("this path does not take {method}");
            Refusal::of(StatusCode::METHOD_NOT_ALLOWED, message)
        })?;
    if operation.role > caller.role {
        let message = format!(
            "`{}` needs a token of role write, and this one has role {}",
            operation.name,
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
        if !operation.query.contains(&name) {
            let message = format!("`{name}` is no parameter of this operation");
            return Err(Refusal::mistake(message));
        }
        given.insert(name.to_owned(), decoded(value));
    }
    if operation.role == Role::Write {
        let Caller { name, from, .. } = &caller;
        tracing::info!(operation = operation.name, who = name, from = ?from, "admin operation");
    }
    let params = Params {
        given,
        body,
        caller,
    };
    (operation.run)(gateway, &params)
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
        for (n, operation) in OPERATIONS.iter().enumerate() {
            for other in &OPERATIONS[n + 1..] {
                assert_ne!(operation.name, other.name);
                assert!(operation.path != other.path || operation.method != other.method);
            }
            // What changes something is asked by POST, and so is a question with a body.
            let posted = operation.method == Method::POST;
            let write = operation.role == Role::Write;
            let named = ["request body", "plan", "rollback plan"].contains(&operation.name);
            assert!(posted == write || named, "{}", operation.name);
        }
    }
}
