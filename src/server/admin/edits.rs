//! Operations that change the files.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::edit::{FileDiff, FileText, Intent, Refused};
use crate::config::write::WriteError;
use crate::runtime::controller::{Ask, By, Done, Message, NotDone};
use crate::server::Gateway;
use crate::server::admin::{Caller, Params, Refusal};

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
    let seen = params.revision()?;
    let by = by(params);
    ask(gateway, |reply| {
        Message::Edit(Ask {
            intents: vec![intent],
            seen,
            if_needed: true,
            by,
            reply,
        })
    })
}

/// Who asks, for the history.
pub(super) fn by(params: &Params) -> By {
    let Caller { name, from, .. } = params.caller();
    By {
        who: name.clone(),
        from: from.map_or_else(|| "socket".to_owned(), |from| from.to_string()),
    }
}

/// Has the controller do what is made of the channel for its answer.
pub(super) fn ask(
    gateway: &Gateway,
    message: impl FnOnce(oneshot::Sender<Result<Done, NotDone>>) -> Message,
) -> Result<Value, Refusal> {
    let (reply, answer) = oneshot::channel();
    let stopping = || Refusal::of(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping");
    gateway
        .controller
        .blocking_send(message(reply))
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

pub(super) fn joined(diff: &[FileDiff]) -> String {
    diff.iter().map(|file| file.text.as_str()).collect()
}

pub(super) fn refusal(error: &NotDone) -> Refusal {
    let status = match error {
        NotDone::Refused(Refused::Absent(_)) | NotDone::NoGeneration(_) => StatusCode::NOT_FOUND,
        NotDone::Refused(Refused::Invalid { .. } | Refused::Unfit(_) | Refused::ByHand(_))
        | NotDone::Unusable(_)
        | NotDone::High(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotDone::Unwritten(WriteError::Io { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    let mut refusal = Refusal::of(status, error.message());
    if let NotDone::Moved { now, diff, texts } = error {
        let file = |file: &FileText| json!({ "path": file.path, "text": file.text });
        refusal.diff = Some(joined(diff)).filter(|diff| !diff.is_empty());
        refusal.present = Some(Box::new(json!({
            "revision": now.to_string(),
            "files": texts.iter().map(file).collect::<Vec<_>>(),
        })));
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_a_conflict_and_what_is_wrong_is_not() {
        let locked = Refused::Locked {
            key: "routing.strategy".to_owned(),
            variable: "AGP__ROUTING__STRATEGY".to_owned(),
        };
        let present = Refused::Present("accounts.a".to_owned());
        let absent = Refused::Absent("accounts.b".to_owned());
        let unfit = Refused::Unfit("`a` is no list".to_owned());
        for (refused, status) in [
            (locked, StatusCode::CONFLICT),
            (present, StatusCode::CONFLICT),
            (absent, StatusCode::NOT_FOUND),
            (unfit, StatusCode::UNPROCESSABLE_ENTITY),
        ] {
            let refusal = refusal(&NotDone::Refused(refused));
            assert_eq!(refusal.status, status, "{}", refusal.message);
            assert!(refusal.diff.is_none() && refusal.present.is_none());
        }
    }
}
