//! Accounts: the list of them, and what a person does to one: release, pause, resume, refresh.

pub(super) mod describe;
pub(super) mod list;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::base::time::Timestamp;
use crate::pool::failure::Failure;
use crate::runtime::account::AccountState;
use crate::runtime::refresh::{self, Inquiry};
use crate::runtime::snapshot::Snapshot;
use crate::server::Gateway;
use crate::server::admin::api::accounts::{
    Account, ActOnAccounts, ActRefusal, Acted, Action, OneAccount, RefreshError, Refreshed,
};
use crate::server::admin::{Params, Refusal, told};

/// Most accounts that are named at once.
pub(super) const MOST_NAMES: usize = 10_000;

/// The account of this name, where it is in use.
pub(super) fn in_use(snapshot: &Snapshot, name: &str) -> Result<Arc<AccountState>, Refusal> {
    if let Some(account) = snapshot.accounts.get(name) {
        return Ok(Arc::clone(account));
    }
    Err(if snapshot.config.accounts.contains_key(name) {
        let message = format!(
            "account `{name}` has `enabled = false` in the file: `agp account enable {name}` changes that"
        );
        Refusal::of(StatusCode::CONFLICT, message)
    } else {
        Refusal::unknown("name", format!("there is no account `{name}` in the file"))
    })
}

/// The account that the path names.
fn account(gateway: &Gateway, params: &Params) -> Result<Arc<AccountState>, Refusal> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    in_use(&snapshot, params.need("name")?)
}

/// How an account stands now.
fn shown(gateway: &Gateway, name: &str) -> Option<Account> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let (id, _) = snapshot.config.accounts.get_key_value(name)?;
    let (store, day) = (&runtime.store, &gateway.shared.day);
    list::described(&snapshot, &[id], store, day, Timestamp::now()).pop()
}

fn one(gateway: &Gateway, account: &AccountState, changed: bool) -> OneAccount {
    OneAccount {
        changed: Some(changed),
        account: shown(gateway, account.id.as_str()),
        refreshed: None,
        error: None,
    }
}

pub(super) fn release(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    gateway.dispatcher.runtime.release(&account);
    told(one(gateway, &account, true))
}

pub(super) fn pause(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let changed = gateway.dispatcher.runtime.pause(&account);
    told(one(gateway, &account, changed))
}

pub(super) fn resume(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let changed = gateway.dispatcher.runtime.resume(&account);
    told(one(gateway, &account, changed))
}

/// Does the same to several accounts.
pub(super) fn act(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let wanted: ActOnAccounts = params.json()?;
    few(&wanted.names)?;
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let mut acted = Acted {
        changed: 0,
        refused: Vec::new(),
    };
    for name in wanted.names {
        match in_use(&snapshot, &name) {
            Ok(account) => {
                let changed = match wanted.action {
                    Action::Pause => runtime.pause(&account),
                    Action::Resume => runtime.resume(&account),
                    Action::Release => {
                        runtime.release(&account);
                        true
                    }
                };
                acted.changed += u64::from(changed);
            }
            Err(Refusal { message: error, .. }) => acted.refused.push(ActRefusal { name, error }),
        }
    }
    told(&acted)
}

/// Refuses more names than are taken at once.
pub(super) fn few(names: &[String]) -> Result<(), Refusal> {
    if (1..=MOST_NAMES).contains(&names.len()) {
        return Ok(());
    }
    let message = format!("`names`: expected 1 to {MOST_NAMES}, found {}", names.len());
    Err(Refusal::field("names", message))
}

/// Longest that an account is asked: discovery of a project may take a few calls.
pub(super) const PATIENCE: Duration = Duration::from_secs(25);

/// What the upstream said, as it is told.
pub(super) fn said(refreshed: refresh::Refreshed) -> Refreshed {
    let token = if refreshed.renewed {
        "renewed"
    } else {
        "still good"
    };
    Refreshed {
        token: token.to_owned(),
        token_until: refreshed.token_until.map(|at| at.to_string()),
        project: refreshed.project.id,
        tier: refreshed.project.tier,
        models: Some(refreshed.models as u64),
    }
}

/// Why the upstream could not be asked, as it is told.
pub(super) fn failed(failure: Failure) -> RefreshError {
    RefreshError {
        class: failure.class.as_str().to_owned(),
        status: failure.status,
        message: failure.message,
        detail: failure.detail,
        link: failure.link,
    }
}

/// No answer came.
pub(super) fn silent() -> RefreshError {
    RefreshError {
        class: "timeout".to_owned(),
        status: None,
        message: format!("no answer within {} s", PATIENCE.as_secs()),
        detail: String::new(),
        link: None,
    }
}

/// Asks the account's upstream now and tells what it said. Waits for that, on the blocking thread that operations run on.
pub(super) fn refresh(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let account = account(gateway, params)?;
    let runtime = &gateway.dispatcher.runtime;
    let Some(inquiry) = Inquiry::of(&runtime.snapshot(), &account) else {
        return told(one(gateway, &account, false));
    };
    let handle = tokio::runtime::Handle::try_current().map_err(|_| Refusal::failed())?;
    let asked = handle.block_on(tokio::time::timeout(PATIENCE, inquiry.ask(runtime, true)));
    let mut answer = one(gateway, &account, asked.is_ok());
    match asked {
        Ok(Ok(refreshed)) => answer.refreshed = Some(said(refreshed)),
        Ok(Err(failure)) => answer.error = Some(failed(failure)),
        Err(_) => answer.error = Some(silent()),
    }
    told(&answer)
}

/// One account, whether or not the file enables it.
pub(super) fn show(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let name = params.need("name")?;
    let account = shown(gateway, name).ok_or_else(|| {
        Refusal::unknown("name", format!("there is no account `{name}` in the file"))
    })?;
    told(&OneAccount {
        changed: None,
        account: Some(account),
        refreshed: None,
        error: None,
    })
}

/// A page of the accounts, or all of them.
pub(super) fn list(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (store, day) = (&runtime.store, &gateway.shared.day);
    let page = list::page(&runtime.snapshot(), params, store, day, Timestamp::now())?;
    told(&page)
}
