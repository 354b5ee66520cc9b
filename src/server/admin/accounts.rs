//! What a person does to an account: release, pause, resume, refresh.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::time::Timestamp;
use crate::runtime::account::AccountState;
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

pub(super) fn refresh(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let asked = account.can_be_asked();
    if asked {
        gateway.dispatcher.runtime.ask_quota(&account.id);
    }
    Ok(told(gateway, &account, asked))
}
