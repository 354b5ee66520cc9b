//! The history of the files: what there is, what differs, and the way back.

use std::path::PathBuf;

use http::StatusCode;
use serde_json::Value;

use crate::base::id::hex;
use crate::config::source::{Files, Revision};
use crate::runtime::controller::{
    Message, NotDone, Rollback, Target, between, prepare, risky, texts,
};
use crate::server::Gateway;
use crate::server::admin::api::history::{
    AskRollback, Generation, GenerationDiff, History, KeptKey, RollbackPlan,
};
use crate::server::admin::edits::{ask, by, joined, refusal};
use crate::server::admin::{self, Params, Refusal};
use crate::store::{GenerationRecord, StoreError};

/// Generations of a list where no number is given.
const LISTED: usize = 20;

pub(super) fn list(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let limit = params.number("limit");
    let limit = limit
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(LISTED);
    let runtime = &gateway.dispatcher.runtime;
    let running = runtime.snapshot().generation;
    let found = runtime.store.history(limit).map_err(|e| unreadable(&e))?;
    admin::told(History {
        running,
        generations: found.iter().map(|record| entry(record, running)).collect(),
    })
}

fn unreadable(error: &StoreError) -> Refusal {
    Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// An entry for whoever may look.
fn entry(record: &GenerationRecord, running: u64) -> Generation {
    Generation {
        generation: record.generation,
        running: record.generation == running,
        revision: hex(&record.revision),
        at: record.at.to_string(),
        who: record.who.clone(),
        from: record.from.clone(),
        what: record.what.clone(),
        texts: record.bytes > 0,
    }
}

fn generation(field: &str, text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        let message = format!("expected the number of a generation, found `{text}`");
        Refusal::field(field, message)
    })
}

/// The two are given by their numbers; the second is the one in force where none is.
pub(super) fn diff(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let before = generation("generation", params.need("generation")?)?;
    let running = gateway.dispatcher.runtime.snapshot().generation;
    let after = match params.get("with") {
        Some(text) => generation("with", text)?,
        None => running,
    };
    let (old, new) = (files(gateway, before)?, files(gateway, after)?);
    let plan = if params.flag("plan") {
        Some(between(&old, &new).map_err(|e| refusal(&e))?)
    } else {
        None
    };
    admin::told(GenerationDiff {
        before,
        after,
        running,
        diff: joined(&crate::config::edit::diff(&old, &new)),
        plan,
    })
}

/// The files of a generation; those on the disk where it is the one in force and they are what it was made of.
pub(super) fn files(gateway: &Gateway, generation: u64) -> Result<Files, Refusal> {
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

pub(super) fn root(gateway: &Gateway) -> PathBuf {
    gateway.dispatcher.runtime.reload.lock().root.clone()
}

fn asked(params: &Params) -> Result<(Target, AskRollback), Refusal> {
    let asked: AskRollback = params.json()?;
    let target = Target {
        generation: generation("generation", params.need("generation")?)?,
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
    let kept = prepared.kept.iter().map(|(name, how)| KeptKey {
        name: name.clone(),
        how: how.to_string(),
    });
    let left = prepared.left.iter().map(|path| path.display().to_string());
    admin::told(RollbackPlan {
        generation: target.generation,
        running: snapshot.generation,
        revision: prepared.seen.to_string(),
        high: risky(&prepared.plan),
        diff: joined(&prepared.diff),
        keys_kept: kept.collect(),
        keys_restored: prepared.restored.clone(),
        files_left: left.collect(),
        plan: prepared.plan,
    })
}

pub(super) fn rollback(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let (target, asked) = asked(params)?;
    let seen = asked.revision.as_deref().map(str::parse::<Revision>);
    let seen = seen
        .transpose()
        .map_err(|error| Refusal::field("revision", format!("`revision`: {error}")))?;
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
    admin::told(edited?)
}
