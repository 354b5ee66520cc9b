//! What a person does to an account: release, pause, resume, refresh.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::time::Timestamp;
use crate::runtime::account::AccountState;
use crate::runtime::refresh::Inquiry;
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal, status};

/// The account that the path names.
fn account(gateway: &Gateway, params: &Params) -> Result<Arc<AccountState>, Refusal> {
    let name = params.need("name")?;
    let snapshot = gateway.dispatcher.runtime.snapshot();
    if let Some(account) = snapshot.accounts.get(name) {
        return Ok(Arc::clone(account));
    }
    Err(if snapshot.config.accounts.contains_key(name) {
        let message = format!(
            "account `{name}` has `enabled = false` in the file: `agp account enable {name}` changes that"
        );
        Refusal::of(http::StatusCode::CONFLICT, message)
    } else {
        Refusal::not_found(format!("there is no account `{name}` in the file"))
    })
}

/// How the account stands now.
fn told(gateway: &Gateway, account: &AccountState, changed: bool) -> Value {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let mut accounts = status::accounts(&snapshot, Timestamp::now());
    let at = accounts
        .iter()
        .position(|a| a["name"] == account.id.as_str());
    json!({ "changed": changed, "account": at.map(|at| accounts.swap_remove(at)) })
}

pub(super) fn release(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    gateway.dispatcher.runtime.release(&account);
    Ok(told(gateway, &account, true))
}

pub(super) fn pause(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let changed = gateway.dispatcher.runtime.pause(&account);
    Ok(told(gateway, &account, changed))
}

pub(super) fn resume(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let changed = gateway.dispatcher.runtime.resume(&account);
    Ok(told(gateway, &account, changed))
}

/// Longest that an account is asked: discovery of a project may take a few calls.
const PATIENCE: Duration = Duration::from_secs(25);

/// Asks the account's upstream now and tells what it said. Waits for that, on the blocking thread that operations run on.
pub(super) fn refresh(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let Some(inquiry) = Inquiry::of(&snapshot, &account) else {
        return Ok(told(gateway, &account, false));
    };
    let handle = tokio::runtime::Handle::try_current().map_err(|_| Refusal::failed())?;
    let asked = handle.block_on(tokio::time::timeout(PATIENCE, inquiry.ask(runtime, true)));
    let mut answer = told(gateway, &account, asked.is_ok());
    match asked {
        Ok(Ok(refreshed)) => {
            answer["refreshed"] = json!({
                "token": if refreshed.renewed { "renewed" } else { "still good" },
                "token_until": refreshed.token_until.map(|at| at.to_string()),
                "project": refreshed.project.id,
                "tier": refreshed.project.tier,
                "models": refreshed.models,
            });
        }
        Ok(Err(failure)) => {
            answer["error"] = json!({
                "class": failure.class.as_str(),
                "status": failure.status,
                "message": failure.message,
                "detail": failure.detail,
                "link": failure.link,
            });
        }
        Err(_) => {
            let message = format!("no answer within {} s", PATIENCE.as_secs());
            answer["error"] = json!({ "class": "timeout", "message": message, "detail": "" });
        }
    }
    Ok(answer)
}

/// One account, whether or not the file enables it.
pub(super) fn show(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let name = params.need("name")?;
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let mut accounts = status::accounts(&snapshot, Timestamp::now());
    let at = accounts.iter().position(|a| a["name"] == name);
    at.map(|at| json!({ "account": accounts.swap_remove(at) }))
        .ok_or_else(|| Refusal::not_found(format!("there is no account `{name}` in the file")))
}

/// All accounts.
pub(super) fn list(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    Ok(json!({ "accounts": status::accounts(&snapshot, Timestamp::now()) }))
}
