//! Operations that change the files.

mod value;
mod wanted;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::edit::{FileDiff, FileText, Intent, Patch, Refused};
use crate::config::schema::Shape;
use crate::config::write::WriteError;
use crate::config::{key_path, quote_key};
use crate::runtime::controller::{Ask, By, Done, Message, NotDone};
use crate::server::Gateway;
use crate::server::admin::api::edits::{EditWarning, Edited, PatchText};
use crate::server::admin::{self, Caller, Fault, Params, Refusal};

pub(super) use value::{Sealer, date, secret};
pub(super) use wanted::all_right;

/// Sets an account's `enabled`.
pub(super) fn switch(gateway: &Gateway, params: &Params, on: bool) -> Result<Value, Refusal> {
    let name = params.need("name")?;
    let intent = Intent::set(["accounts", name, "enabled"], on);
    admin::told(edit(gateway, params, vec![intent], true)?)
}

/// `config edit`: does what is asked, all or none of it.
pub(super) fn config(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let intents = wanted::intents(gateway, params)?;
    admin::told(edit(gateway, params, intents, false)?)
}

/// Has the controller make an edit, of the files of `revision` if that is given; with `dry_run` only says what it would do.
/// With `if_needed` nothing is touched that the files mean already, be it by a default.
pub(super) fn edit(
    gateway: &Gateway,
    params: &Params,
    intents: Vec<Intent>,
    if_needed: bool,
) -> Result<Edited, Refusal> {
    let seen = params.revision()?;
    let (by, dry_run) = (by(params), params.dry_run());
    ask(gateway, |reply| {
        Message::Edit(Ask {
            intents,
            seen,
            if_needed,
            dry_run,
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
) -> Result<Edited, Refusal> {
    let (reply, answer) = oneshot::channel();
    let stopping = || Refusal::of(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping");
    gateway
        .controller
        .blocking_send(message(reply))
        .map_err(|_| stopping())?;
    match answer.blocking_recv() {
        Ok(Ok(done)) => Ok(told(done)),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(_) => Err(stopping()),
    }
}

/// Most warnings that are told of an edit.
const WARNINGS: usize = 100;

fn told(done: Done) -> Edited {
    let patch = |patch: Patch| PatchText {
        command: patch.command().to_owned(),
        text: patch.text,
    };
    let warning = |d: Diagnostic| EditWarning {
        code: d.code.as_str().to_owned(),
        key: d.key,
        message: d.message,
        help: d.help,
    };
    Edited {
        changed: done.changed,
        saved: done.saved,
        why: done.unsaved,
        diff: joined(&done.diff),
        plan: done.plan,
        warnings: done
            .warnings
            .into_iter()
            .take(WARNINGS)
            .map(warning)
            .collect(),
        patch: done.patch.map(patch),
        revision: done.revision.to_string(),
        generation: done.generation,
    }
}

pub(super) fn joined(diff: &[FileDiff]) -> String {
    diff.iter().map(|file| file.text.as_str()).collect()
}

pub(super) fn refusal(error: &NotDone) -> Refusal {
    let status = match error {
        NotDone::Refused(Refused::Absent(_)) | NotDone::NoGeneration(_) => StatusCode::NOT_FOUND,
        NotDone::Refused(Refused::Invalid { .. } | Refused::Unfit(_) | Refused::ByHand(_))
        | NotDone::Unusable(_)
        | NotDone::NotRevoked(_)
        | NotDone::High(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotDone::Unwritten(WriteError::Io { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    let mut refusal = Refusal::of(status, error.message());
    refusal.fields = faults(error);
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

/// The same refusal, naming the fields of the request where the edited files name those of the new table `section.name`;
/// `called` has the keys that are called otherwise there.
pub(super) fn in_body(
    mut refusal: Refusal,
    section: &str,
    name: &str,
    called: &[(&str, &str)],
) -> Refusal {
    let table = format!("{section}.{}", quote_key(name));
    for fault in &mut refusal.fields {
        let Some(rest) = fault.field.strip_prefix(&table) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix('.') else {
            if rest.is_empty() {
                "name".clone_into(&mut fault.field);
            }
            continue;
        };
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, below) = rest.split_at(end);
        let other = called.iter().find(|(of_file, _)| *of_file == key);
        fault.field = format!("{}{below}", other.map_or(key, |(_, of_body)| of_body));
    }
    refusal
}

/// What of the files an edit failed at, by the file's keys.
fn faults(error: &NotDone) -> Vec<Fault> {
    let fault = |field: &str, message: String| Fault {
        field: field.to_owned(),
        message,
    };
    match error {
        NotDone::Refused(Refused::Invalid { diagnostics, .. }) => {
            let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
            let told = errors.map(|d| {
                let help = d.help.as_ref().map(|help| format!("; {help}"));
                fault(&d.key, format!("{}{}", d.message, help.unwrap_or_default()))
            });
            told.collect()
        }
        NotDone::Refused(refused) => {
            let (Refused::Locked { key, .. }
            | Refused::Absent(key)
            | Refused::Present(key)
            | Refused::ByHand(key)) = refused
            else {
                return Vec::new();
            };
            vec![fault(key, refused.to_string())]
        }
        NotDone::Unusable(errors) => {
            // What can't be put in force begins with its key, where it is about one.
            let keyed = errors.iter().filter_map(|error| {
                let (key, _) = error.split_once(": ")?;
                key_path(key).filter(|path| Shape::root().child(&path[0]).is_some())?;
                Some(fault(key, error.clone()))
            });
            keyed.collect()
        }
        NotDone::Moved { .. } => vec![fault("revision", error.message())],
        NotDone::NoGeneration(_) => vec![fault("generation", error.message())],
        NotDone::NotRevoked(_) => vec![fault("restore_keys", error.message())],
        NotDone::High(_) => vec![fault("high", error.message())],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_tables_keys_are_named_as_the_request_names_them() {
        let fields = [
            "keys.\"a b\"",
            "keys.\"a b\".rpm",
            "keys.\"a b\".budget.per",
            "keys.\"a b\".accounts[0]",
            "keys.other.rpm",
        ];
        let mut refusal = Refusal::mistake("");
        refusal.fields = (fields.iter())
            .map(|field| Fault {
                field: (*field).to_owned(),
                message: String::new(),
            })
            .collect();
        let called = [("rpm", "limits.rpm"), ("budget", "limits.budget")];
        let refusal = in_body(refusal, "keys", "a b", &called);
        let fields: Vec<&str> = refusal.fields.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "limits.rpm",
                "limits.budget.per",
                "accounts[0]",
                "keys.other.rpm"
            ]
        );
    }

    #[test]
    fn what_can_not_be_put_in_force_names_its_key() {
        let errors = [
            "accounts.\"a b\": environment variable `X` is not set",
            "the socket: something",
            "nothing.here: something",
        ];
        let refusal = refusal(&NotDone::Unusable(errors.map(str::to_owned).to_vec()));
        let fields: Vec<&str> = refusal.fields.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(fields, ["accounts.\"a b\""]);
    }

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
            assert_eq!(
                refusal.fields.len(),
                usize::from(status != StatusCode::UNPROCESSABLE_ENTITY)
            );
        }
    }
}
