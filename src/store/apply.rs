//! Queued changes into a transaction. A value that can't be encoded is counted, never an error: it would stop the rest.

use std::collections::BTreeSet;

use redb::{ReadableTable, Table, WriteTransaction};

use super::change::{Change, Item, Row};
use super::crypt::DataKey;
use super::history;
use super::journal;
use super::login::{self, LoginChange};
use super::open::Fault;
use super::record::SignatureRecord;
use super::table::{
    self, ACCOUNT, BUDGET, CATALOG, COOLDOWN, META, META_GENERATION, META_KEY, ORPHAN, QUOTA,
    SIGNATURE, SIGNATURE_BY_AGE, SIGNATURE_BY_CALL, SIGNATURE_SEEN, STANDING, Seen, TOKEN,
};
use crate::base::id::AccountId;
use crate::base::time::Timestamp;

/// A signature's use is written down again only after this: a long conversation would else write at every turn.
const TOUCH_STEP_MS: i64 = 5 * 60 * 1000;

/// Whether any of these must be sealed, so that a data key is needed.
pub(super) fn needs_key(items: &[Item]) -> bool {
    items.iter().any(|item| {
        matches!(
            item.change,
            Change::Token(_)
                | Change::Signature(_)
                | Change::Journal(_)
                | Change::Login(LoginChange::Session(_) | LoginChange::Signing(_))
        )
    })
}

/// Whether any of these is of the history, which is sealed where there is a key, and does without where there can't be one.
pub(super) fn wants_key(items: &[Item]) -> bool {
    let of_history = |item: &Item| matches!(item.change, Change::Applied(_));
    items.iter().any(of_history)
}

/// Writes the data key, wrapped.
pub(super) fn write_key(txn: &WriteTransaction, wrapped: &[u8]) -> Result<(), Fault> {
    if let Some(value) = table::encode(&wrapped) {
        txn.open_table(META)?.insert(META_KEY, value.as_slice())?;
    }
    Ok(())
}

/// Writes changes of the state file; how many could not be encoded.
pub(super) fn state(
    txn: &WriteTransaction,
    items: &[Item],
    key: Option<&DataKey>,
) -> Result<u64, Fault> {
    let mut lost = 0;
    for item in items {
        let written = match &item.change {
            Change::Token(record) => {
                let value = table::seal_token(need(key)?, record).map_err(Fault::Key)?;
                txn.open_table(TOKEN)?
                    .insert(record.account.as_str(), value.as_slice())?;
                true
            }
            Change::Account(record) => {
                let mut accounts = txn.open_table(ACCOUNT)?;
                put(&mut accounts, record.account.as_str(), record)?
            }
            Change::Quota(record) => {
                let mut quotas = txn.open_table(QUOTA)?;
                let row = (record.account.as_str(), record.model.as_str());
                put(&mut quotas, row, record)?
            }
            Change::Cooldown(record) => {
                let mut cooldowns = txn.open_table(COOLDOWN)?;
                let model = record.model.as_ref().map_or("", |m| m.as_str());
                put(&mut cooldowns, (record.account.as_str(), model), record)?
            }
            Change::NoCooldown(account, model) => {
                let model = model.as_ref().map_or("", |m| m.as_str());
                txn.open_table(COOLDOWN)?
                    .remove((account.as_str(), model))?;
                true
            }
            Change::Signature(record) => {
                if let Row::Signature(_, digest) = &item.row {
                    signature(txn, need(key)?, digest, record)?;
                }
                true
            }
            Change::Touch(client, digest, at) => {
                touch(txn, client.as_str(), digest, *at)?;
                true
            }
            Change::Generation(next) => {
                let mut meta = txn.open_table(META)?;
                put(&mut meta, META_GENERATION, next)?
            }
            Change::Standing(record) => {
                let mut standings = txn.open_table(STANDING)?;
                put(&mut standings, record.account.as_str(), record)?
            }
            Change::Catalog(record) => {
                let mut catalogs = txn.open_table(CATALOG)?;
                put(&mut catalogs, record.upstream.as_str(), record)?
            }
            Change::NoStanding(account) => {
                txn.open_table(STANDING)?.remove(account.as_str())?;
                true
            }
            Change::Present(names, at) => present(txn, names, *at)?,
            Change::Budget(record) => {
                let mut budgets = txn.open_table(BUDGET)?;
                put(&mut budgets, &*table::budget_key(&record.owner), record)?
            }
            Change::NoBudget(owner) => {
                txn.open_table(BUDGET)?.remove(&*table::budget_key(owner))?;
                true
            }
            Change::Applied(applied) => history::write(txn, key, applied)?,
            Change::Journal(record) => journal::write(txn, need(key)?, record)?,
            Change::NoJournal => journal::clear(txn)?,
            Change::Login(change) => login::write(txn, key, change)?,
        };
        lost += u64::from(!written);
    }
    Ok(lost)
}

fn need(key: Option<&DataKey>) -> Result<&DataKey, Fault> {
    key.ok_or_else(|| Fault::Key("there is no data key".to_owned()))
}

/// Writes a value; whether it could be encoded.
pub(super) fn put<'k, K: redb::Key + 'static, T: serde::Serialize>(
    table: &mut Table<'_, K, &'static [u8]>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    value: &T,
) -> Result<bool, Fault> {
    match table::encode(value) {
        Some(bytes) => {
            table.insert(key, bytes.as_slice())?;
            Ok(true)
        }
        None => Ok(false),
    }
}

fn signature(
    txn: &WriteTransaction,
    key: &DataKey,
    digest: &[u8; 32],
    record: &SignatureRecord,
) -> Result<(), Fault> {
    let client = record.key.as_str();
    let value = table::seal_signature(key, digest, record).map_err(Fault::Key)?;
    txn.open_table(SIGNATURE)?
        .insert((client, digest), value.as_slice())?;
    let mut seen = txn.open_table(SIGNATURE_SEEN)?;
    let known = seen
        .get((client, digest))?
        .and_then(|value| table::decode::<Seen>(value.value()));
    let mut joined = record.clone();
    let mut by_age = txn.open_table(SIGNATURE_BY_AGE)?;
    if let Some(known) = known {
        by_age.remove((known.at.as_millis(), client, digest))?;
        joined.at = joined.at.max(known.at);
        joined.absorb_calls(known.call_ids);
    }
    by_age.insert((joined.at.as_millis(), client, digest), ())?;
    let mut by_call = txn.open_table(SIGNATURE_BY_CALL)?;
    for id in &record.call_ids {
        put(&mut by_call, (client, id.as_str()), digest)?;
    }
    let now = Seen {
        at: joined.at,
        call_ids: joined.call_ids,
    };
    put(&mut seen, (client, digest), &now)?;
    Ok(())
}

fn touch(
    txn: &WriteTransaction,
    client: &str,
    digest: &[u8; 32],
    at: Timestamp,
) -> Result<(), Fault> {
    let mut seen = txn.open_table(SIGNATURE_SEEN)?;
    let known = seen
        .get((client, digest))?
        .and_then(|value| table::decode::<Seen>(value.value()));
    let Some(mut known) = known else {
        return Ok(());
    };
    if at.as_millis() < known.at.as_millis().saturating_add(TOUCH_STEP_MS) {
        return Ok(());
    }
    let mut by_age = txn.open_table(SIGNATURE_BY_AGE)?;
    by_age.remove((known.at.as_millis(), client, digest))?;
    by_age.insert((at.as_millis(), client, digest), ())?;
    known.at = at;
    put(&mut seen, (client, digest), &known)?;
    Ok(())
}

/// Notes which accounts with stored state the configuration does not name, and since when. There is nothing to encode.
fn present(txn: &WriteTransaction, names: &[AccountId], at: Timestamp) -> Result<bool, Fault> {
    let present: BTreeSet<&str> = names.iter().map(AccountId::as_str).collect();
    let mut known = BTreeSet::new();
    for name in table::BY_ACCOUNT {
        for row in txn.open_table(name)?.range::<&str>(..)? {
            known.insert(row?.0.value().to_owned());
        }
    }
    for name in table::BY_ACCOUNT_AND_MODEL {
        for row in txn.open_table(name)?.range::<(&str, &str)>(..)? {
            let account = row?.0;
            if !known.contains(account.value().0) {
                known.insert(account.value().0.to_owned());
            }
        }
    }
    let mut orphans = txn.open_table(ORPHAN)?;
    orphans.retain(|name, _| known.contains(name) && !present.contains(name))?;
    for name in known.iter().filter(|name| !present.contains(name.as_str())) {
        if orphans.get(name.as_str())?.is_none() {
            orphans.insert(name.as_str(), at.as_millis())?;
        }
    }
    Ok(true)
}
