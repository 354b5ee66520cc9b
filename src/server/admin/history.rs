//! The history of the files: what there is, what differs, and the way back.

use std::path::PathBuf;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::id::hex;
use crate::config::source::{Files, Revision};
use crate::runtime::controller::{
    Message, NotDone, Rollback, Target, between, prepare, risky, texts,
};
use crate::server::Gateway;
use crate::server::admin::edits::{ask, by, joined, refusal, value};
use crate::server::admin::{Params, Refusal};
use crate::store::{GenerationRecord, StoreError};

/// Generations of a list where no number is given.
const LISTED: usize = 20;

pub(super) fn list(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let limit = match params.get("limit") {
        Some(text) => text.parse().map_err(|_| {
            Refusal::mistake(format!("`limit`: expected a whole number, found `{text}`"))
        })?,
        None => LISTED,
    };
    let runtime = &gateway.dispatcher.runtime;
    let running = runtime.snapshot().generation;
    let found = runtime.store.history(limit).map_err(|e| unreadable(&e))?;
    let found: Vec<Value> = found.iter().map(|record| entry(record, running)).collect();
    Ok(json!({ "running": running, "generations": found }))
}

fn unreadable(error: &StoreError) -> Refusal {
    Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// An entry for whoever may look.
fn entry(record: &GenerationRecord, running: u64) -> Value {
    json!({
        "generation": record.generation,
        "running": record.generation == running,
        "revision": hex(&record.revision),
        "at": record.at.to_string(),
        "who": record.who,
        "from": record.from,
        "what": record.what,
        "texts": record.bytes > 0,
    })
}

fn generation(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::mistake(format!(
            "expected the number of a generation, found `{text}`"
        ))
    })
}

/// The two are given by their numbers; the second is the one in force where none is.
pub(super) fn diff(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let before = generation(params.need("generation")?)?;
    let running = gateway.dispatcher.runtime.snapshot().generation;
    let after = params.get("with").map_or(Ok(running), generation)?;
    let (old, new) = (files(gateway, before)?, files(gateway, after)?);
    let plan = match params.get("plan") {
        None | Some("false") => None,
        Some("true") => Some(between(&old, &new).map_err(|e| refusal(&e))?),
        Some(text) => {
            let message = format!("`plan`: expected true or false, found `{text}`");
            return Err(Refusal::mistake(message));
        }
    };
    let found = crate::config::edit::diff(&old, &new);
    Ok(json!({
        "before": before,
        "after": after,
        "running": running,
        "diff": joined(&found),
        "plan": plan,
    }))
}

/// The files of a generation; those on the disk where it is the one in force and they are what it was made of.
fn files(gateway: &Gateway, generation: u64) -> Result<Files, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let root = root(gateway);
    let snapshot = runtime.snapshot();
    match texts(&runtime.store, generation, &root) {
        Err(error) if generation == snapshot.generation => {
            let files = Files::read(&root);
            if files.revision().0 == snapshot.revision {
                Ok(files)
            } else {
                Err(refusal(&error))
            }
        }
        other => other.map_err(|error| refusal(&error)),
    }
}

fn root(gateway: &Gateway) -> PathBuf {
    gateway.dispatcher.runtime.reload.lock().root.clone()
}

/// What a rollback is asked with, as JSON; an empty body stands for none of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    restore_keys: Vec<String>,
    revision: Option<String>,
    high: bool,
}

fn asked(params: &Params) -> Result<(Target, Asked), Refusal> {
    let asked: Asked = if params.body().is_empty() {
        Asked::default()
    } else {
        serde_json::from_slice(params.body())
            .map_err(|e| Refusal::mistake(format!("the request's body can't be read: {e}")))?
    };
    let target = Target {
        generation: generation(params.need("generation")?)?,
        restore: asked.restore_keys.iter().cloned().collect(),
    };
    Ok((target, asked))
}

/// What a rollback would do; `revision` is what it is asked with then, so that it does just this.
pub(super) fn plan(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let (target, _) = asked(params)?;
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, root) = (runtime.snapshot(), root(gateway));
    let files = Files::read(&root);
    let prepared = prepare(&runtime.store, &root, &files, &snapshot.config, &target);
    let prepared = prepared.map_err(|error: NotDone| refusal(&error))?;
    let kept = prepared
        .kept
        .iter()
        .map(|(name, how)| json!({ "name": name, "how": how.to_string() }));
    let left = prepared.left.iter().map(|path| path.display().to_string());
    Ok(json!({
        "generation": target.generation,
        "running": snapshot.generation,
        "revision": prepared.seen.to_string(),
        "plan": prepared.plan,
        "high": risky(&prepared.plan),
        "diff": joined(&prepared.diff),
        "keys_kept": kept.collect::<Vec<_>>(),
        "keys_restored": prepared.restored,
        "files_left": left.collect::<Vec<_>>(),
    }))
}

pub(super) fn rollback(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let (target, asked) = asked(params)?;
    let seen = asked.revision.as_deref().map(str::parse::<Revision>);
    let seen = seen
        .transpose()
        .map_err(|error| Refusal::mistake(format!("`revision`: {error}")))?;
    if seen.is_none() && params.caller().is_session() {
        let message = "`revision` is missing: send that of the plan which was agreed to";
        return Err(Refusal::field("revision", message).with(StatusCode::PRECONDITION_REQUIRED));
    }
    let by = by(params);
    let edited = ask(gateway, |reply| {
        Message::Rollback(Rollback {
            target,
            seen,
            high: asked.high,
            by,
            reply,
        })
    });
    value(edited?)
}
