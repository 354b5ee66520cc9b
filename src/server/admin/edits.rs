//! Operations that change the files.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::edit::{FileDiff, Intent, Refused};
use crate::config::source::Revision;
use crate::config::write::WriteError;
use crate::runtime::controller::{Ask, Done, Message, NotDone};
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal};

/// Sets an account's `enabled`.
pub(super) fn switch(gateway: &Gateway, params: &Params, on: bool) -> Result<Value, Refusal> {
    let name = params.need("name")?;
    edit(
        gateway,
        params,
        Intent::set(["accounts", name, "enabled"], on),
    )
}

/// Has the controller make an edit, of the files of `revision` if that is given.
fn edit(gateway: &Gateway, params: &Params, intent: Intent) -> Result<Value, Refusal> {
    let seen = params.get("revision").map(str::parse::<Revision>);
    let seen = seen
        .transpose()
        .map_err(|error| Refusal::mistake(format!("`revision`: {error}")))?;
    let (reply, answer) = oneshot::channel();
    let ask = Ask {
        intents: vec![intent],
        seen,
        reply,
    };
    let stopping = || Refusal::of(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping");
    gateway
        .controller
        .blocking_send(Message::Edit(ask))
        .map_err(|_| stopping())?;
    match answer.blocking_recv() {
        Ok(Ok(done)) => Ok(told(&done)),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(_) => Err(stopping()),
    }
}

fn told(done: &Done) -> Value {
    let patch = done.patch.as_ref();
    json!({
        "changed": done.changed,
        "saved": done.changed && done.unsaved.is_none(),
        "why": done.unsaved,
        "diff": joined(&done.diff),
        "patch": patch.map(|patch| json!({ "text": patch.text, "command": patch.command() })),
        "revision": done.revision.to_string(),
        "generation": done.generation,
    })
}

fn joined(diff: &[FileDiff]) -> String {
    diff.iter().map(|file| file.text.as_str()).collect()
}

fn refusal(error: &NotDone) -> Refusal {
    let status = match error {
        NotDone::Refused(Refused::Absent(_)) => StatusCode::NOT_FOUND,
        NotDone::Refused(Refused::Invalid { .. } | Refused::Unfit(_) | Refused::ByHand(_))
        | NotDone::Unusable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotDone::Unwritten(WriteError::Io { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    let mut refusal = Refusal::of(status, error.message());
    if let NotDone::Moved { diff, .. } = error {
        refusal.diff = Some(joined(diff)).filter(|diff| !diff.is_empty());
    }
    refusal
}
