//! `plan`: what a configuration would change here. `reload`: reads the files now.

use std::path::Path;

use serde_json::Value;

use crate::base::time::Timestamp;
use crate::config::plan::{Facts, plan as compare};
use crate::runtime::controller::{Message, Outcome};
use crate::server::Gateway;
use crate::server::admin::api::history::{Planned, Reloaded};
use crate::server::admin::{self, Params, Refusal};

/// The body holds the [`Facts`] of a configuration. They are compared here, so that nothing about the secrets of what runs
/// leaves, not even a digest.
pub(super) fn plan(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let mut wanted: Facts = serde_json::from_slice(params.body()).map_err(|e| {
        let message = format!(
            "expected the facts of a configuration, as `agp plan` of version {} sends them: {e}",
            env!("CARGO_PKG_VERSION")
        );
        Refusal::field("body", message)
    })?;
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let config = &snapshot.config;
    let root = runtime.reload.lock().root.clone();
    let folder = root.parent().unwrap_or(Path::new(""));
    let running = Facts::of(config, folder, wanted.key());
    let held = wanted.hold(&running, config.locked.keys());
    let held = held.into_iter().map(|path| {
        let variable = config.locked.get(path).cloned();
        (path.clone(), variable.unwrap_or_default())
    });
    let held = held.collect();
    let mut plan = compare(&running, &wanted, Timestamp::now());
    plan.held = held;
    admin::told(Planned {
        generation: snapshot.generation,
        plan,
    })
}

/// Waits for the outcome.
pub(super) fn reload(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let (answer, outcome) = tokio::sync::oneshot::channel();
    // Neither fails but while the gateway stops.
    let asked = gateway.controller.blocking_send(Message::Reload(answer));
    let outcome = asked.ok().and_then(|()| outcome.blocking_recv().ok());
    let outcome = outcome.ok_or_else(|| {
        let message = "the gateway is stopping: it reads its files no more";
        Refusal::of(http::StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    let told = |outcome: &str| Reloaded {
        outcome: outcome.to_owned(),
        generation: None,
        what: None,
        after_restart: None,
        errors: None,
    };
    admin::told(match outcome {
        Outcome::Applied {
            generation,
            what,
            restart,
        } => Reloaded {
            generation: Some(generation),
            what: Some(what),
            after_restart: Some(restart),
            ..told("applied")
        },
        Outcome::Unchanged {
            generation,
            restart,
        } => Reloaded {
            generation: Some(generation),
            after_restart: Some(restart),
            ..told("unchanged")
        },
        Outcome::Refused { errors } => Reloaded {
            errors: Some(errors),
            ..told("refused")
        },
    })
}
