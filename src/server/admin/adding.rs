//! New accounts by their refresh tokens: one, or several at once. Whoever has the e-mail of a present account of the same
//! upstream is that account, and gets a new token.

mod entry;
mod list;

use std::sync::Arc;

use serde_json::Value;

use crate::base::id::AccountId;
use crate::base::secret::Secret;
use crate::pool::state::Standing;
use crate::server::Gateway;
use crate::server::admin::api::accounts::{
    AddAccount, AddAccounts, AddOutcome, AddResult, AddedAccount, AddedAccounts,
};
use crate::server::admin::api::edits::Edited;
use crate::server::admin::edits::{all_right, edit, in_body};
use crate::server::admin::{self, Params, Refusal, jobs};

use entry::{Desk, Entry};

/// Most accounts of one request.
const MAX_ENTRIES: usize = 1000;

/// What the file calls what a request calls otherwise.
const CALLED: &[(&str, &str)] = &[("tier", "rank"), ("models", "allowed")];

/// `account add`.
pub(super) fn add(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    admin::told(one(gateway, params, &params.json()?, None)?)
}

/// Adds an account, or gives the present one `again` another token, or the one with this e-mail.
pub(super) fn one(
    gateway: &Gateway,
    params: &Params,
    wanted: &AddAccount,
    again: Option<&str>,
) -> Result<AddedAccount, Refusal> {
    let mut desk = Desk::new(gateway);
    if let (Some(account), Some(email)) = (again, &wanted.email) {
        desk.knows(account, email);
    }
    let made = desk.entry(wanted, None).and_then(|entry| {
        let intents = desk.intents(&entry);
        intents.map(|intents| (entry, intents)).map_err(Vec::from)
    });
    let (entry, intents) = match made {
        Ok(made) => made,
        Err(faults) => {
            desk.sealed()?;
            all_right(faults)?;
            return Err(Refusal::failed());
        }
    };
    let edited = edit(gateway, params, intents, false)
        .map_err(|refusal| in_body(refusal, "accounts", &entry.name, CALLED))?;
    let job = settled(gateway, params, &edited, std::slice::from_ref(&entry));
    Ok(AddedAccount {
        name: entry.name,
        renewed: entry.renewed,
        edited,
        job,
    })
}

/// `accounts import`: those that can be added are, in one edit.
pub(super) fn import(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let wanted: AddAccounts = params.json()?;
    let listed = list::read(&wanted.text).map_err(|why| Refusal::field("text", why))?;
    if listed.is_empty() || listed.len() > MAX_ENTRIES {
        let found = listed.len();
        let message = format!("expected 1 to {MAX_ENTRIES} accounts, found {found}");
        return Err(Refusal::field("text", message));
    }
    let mut desk = Desk::new(gateway);
    if let Some(upstream) = &wanted.upstream {
        desk.upstream(upstream)
            .map_err(|why| Refusal::field("upstream", why))?;
    }
    let (mut entries, mut intents, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for (n, one) in (1_u64..).zip(listed) {
        // What is no e-mail may be a secret in the wrong place.
        let email = one.as_ref().ok().and_then(|add| add.email.clone());
        let email = email.filter(|email| entry::bad_email(email).is_none());
        let made = one.map_err(|fault| vec![fault]).and_then(|add| {
            let entry = desk.entry(&add, wanted.upstream.as_deref())?;
            let intents = desk.intents(&entry).map_err(Vec::from)?;
            Ok((entry, intents))
        });
        desk.sealed()?;
        let (name, outcome, error) = match made {
            Ok((entry, all)) => {
                let name = entry.name.clone();
                let outcome = if entry.renewed {
                    AddOutcome::Renewed
                } else {
                    AddOutcome::Added
                };
                intents.extend(all);
                entries.push(entry);
                (Some(name), outcome, None)
            }
            Err(faults) => {
                let told: Vec<String> = faults
                    .iter()
                    .map(|fault| format!("`{}`: {}", fault.field, fault.message))
                    .collect();
                (None, AddOutcome::Refused, Some(told.join("; ")))
            }
        };
        results.push(AddResult {
            entry: n,
            email,
            name,
            outcome,
            error,
        });
    }
    let edited = if intents.is_empty() {
        None
    } else {
        Some(edit(gateway, params, intents, false)?)
    };
    let job = edited
        .as_ref()
        .and_then(|edited| settled(gateway, params, edited, &entries));
    let count = |outcome| {
        let all = results.iter().filter(|result| result.outcome == outcome);
        all.count() as u64
    };
    admin::told(AddedAccounts {
        added: count(AddOutcome::Added),
        renewed: count(AddOutcome::Renewed),
        refused: count(AddOutcome::Refused),
        results,
        edited,
        job,
    })
}

/// After the edit: where nothing could be saved a renewed token is put to use all the same. The job that asks the upstreams.
fn settled(
    gateway: &Gateway,
    params: &Params,
    edited: &Edited,
    entries: &[Entry],
) -> Option<String> {
    if params.dry_run() {
        return None;
    }
    if edited.saved || !edited.changed {
        // The same token once more is no news to a reload: who waits for a person is tried again all the same.
        for entry in entries.iter().filter(|entry| entry.renewed) {
            if needs_login(gateway, &entry.name) {
                renew(gateway, &entry.name, entry.token.clone());
            }
        }
        let names = entries.iter().map(|entry| entry.name.as_str().into());
        return after_added(gateway, &names.collect::<Vec<_>>());
    }
    edited.patch.as_ref()?;
    let renewed: Vec<AccountId> = entries
        .iter()
        .filter(|entry| entry.renewed)
        .filter_map(|entry| renew(gateway, &entry.name, entry.token.clone()))
        .collect();
    (!renewed.is_empty())
        .then(|| after_added(gateway, &renewed))
        .flatten()
}

fn needs_login(gateway: &Gateway, name: &str) -> bool {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let account = snapshot.accounts.get(name);
    account.is_some_and(|account| account.health().0 == Standing::NeedsLogin)
}

/// Puts another token of an account in use that runs; `None` where it does not run.
pub(super) fn renew(gateway: &Gateway, name: &str, token: Secret) -> Option<AccountId> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let account = snapshot.accounts.get(name).map(Arc::clone)?;
    runtime.renew(&account, token);
    Some(account.id.clone())
}

/// Begins to ask the upstreams of accounts that are new or have a new token, and gives the job's id.
fn after_added(gateway: &Gateway, names: &[AccountId]) -> Option<String> {
    let running = gateway.dispatcher.runtime.snapshot();
    let names = names
        .iter()
        .filter(|name| running.accounts.contains_key(*name));
    let names: Vec<String> = names.map(|name| name.as_str().to_owned()).collect();
    // Where too much is under way already they are asked when their turn comes.
    jobs::refresh(gateway, names).ok()
}
