//! Reading, from a consistent view of what is committed. Blocks on the disk: off the request path only.

use std::collections::{BTreeSet, HashMap};

use redb::{ReadTransaction, ReadableTableMetadata};
use serde::de::DeserializeOwned;

use super::crypt::DataKey;
use super::login;
use super::open::Fault;
use super::record::{
    AccountRecord, BudgetRecord, CatalogRecord, CooldownRecord, QuotaRecord, SignatureRecord,
    StandingRecord,
};
use super::table::{
    self, ACCOUNT, BUDGET, CATALOG, COOLDOWN, Grown, HISTORY_TEXT, JOURNAL, LOGIN, META,
    META_GENERATION, META_KEY, QUOTA, SIGNATURE, SIGNATURE_BY_AGE, SIGNATURE_BY_CALL,
    SIGNATURE_SEEN, STANDING, Seen, TOKEN, USAGE,
};
use super::usage::{RollUp, UsageBucket, UsageHead, UsageSums, quarter, quarter_start};
use super::{Learned, Options};
use crate::base::time::Timestamp;

/// The wrapped data key, where one was made.
///
/// # Errors
/// Damage, where there are sealed values but no key.
pub(super) fn wrapped_key(txn: &ReadTransaction) -> Result<Option<Vec<u8>>, Fault> {
    let meta = txn.open_table(META)?;
    let key = meta
        .get(META_KEY)?
        .and_then(|value| table::decode::<Vec<u8>>(value.value()));
    let sealed = txn.open_table(TOKEN)?.len()?
        + txn.open_table(SIGNATURE)?.len()?
        + txn.open_table(JOURNAL)?.len()?
        + txn.open_table(LOGIN)?.len()?
        + txn.open_table(HISTORY_TEXT)?.len()?;
    if key.is_none() && sealed > 0 {
        let text = "it holds encrypted values, but no data key".to_owned();
        return Err(Fault::Db(redb::Error::Corrupted(text)));
    }
    Ok(key)
}

/// The next generation number, 1 in a new store.
pub(super) fn generation(txn: &ReadTransaction) -> Result<u64, Fault> {
    let meta = txn.open_table(META)?;
    let next = meta.get(META_GENERATION)?;
    Ok(next
        .and_then(|value| table::decode(value.value()))
        .unwrap_or(1))
}

/// Everything that a start takes over.
pub(super) fn learned(
    txn: &ReadTransaction,
    key: Option<&DataKey>,
    now: Timestamp,
    options: &Options,
) -> Result<Learned, Fault> {
    let mut out = Learned::default();
    for row in txn.open_table(TOKEN)?.range::<&str>(..)? {
        let (account, value) = row?;
        let token = key.and_then(|key| table::open_token(key, account.value(), value.value()));
        keep(token, &mut out.tokens, &mut out.unreadable);
    }
    for row in txn.open_table(ACCOUNT)?.range::<&str>(..)? {
        let record: Option<AccountRecord> = table::decode(row?.1.value());
        keep(record, &mut out.accounts, &mut out.unreadable);
    }
    for row in txn.open_table(QUOTA)?.range::<(&str, &str)>(..)? {
        let record: Option<QuotaRecord> = table::decode(row?.1.value());
        keep(record, &mut out.quotas, &mut out.unreadable);
    }
    for row in txn.open_table(COOLDOWN)?.range::<(&str, &str)>(..)? {
        let record: Option<CooldownRecord> = table::decode(row?.1.value());
        keep(record, &mut out.cooldowns, &mut out.unreadable);
    }
    for row in txn.open_table(STANDING)?.range::<&str>(..)? {
        let record: Option<StandingRecord> = table::decode(row?.1.value());
        keep(record, &mut out.standings, &mut out.unreadable);
    }
    for row in txn.open_table(BUDGET)?.range::<&[u8]>(..)? {
        let record: Option<BudgetRecord> = table::decode(row?.1.value());
        keep(record, &mut out.budgets, &mut out.unreadable);
    }
    for row in txn.open_table(CATALOG)?.range::<&str>(..)? {
        let record: Option<CatalogRecord> = table::decode(row?.1.value());
        keep(record, &mut out.catalogs, &mut out.unreadable);
    }
    let Some(key) = key else {
        return Ok(out);
    };
    login::learned(txn, key, &mut out)?;
    let seen = txn.open_table(SIGNATURE_SEEN)?;
    let signatures = txn.open_table(SIGNATURE)?;
    let life = i64::try_from(options.signature_life.as_millis()).unwrap_or(i64::MAX);
    let oldest = (now.as_millis().saturating_sub(life), "", &[0; 32]);
    let mut bytes = 0;
    let newest = txn.open_table(SIGNATURE_BY_AGE)?;
    for row in newest.range(oldest..)?.rev().take(options.load_signatures) {
        let (age, _) = row?;
        let (_, client, digest) = age.value();
        let found = one_signature(&signatures, &seen, key, client, digest)?;
        bytes += found.as_ref().map_or(0, SignatureRecord::weight);
        if bytes > options.load_signature_bytes {
            break;
        }
        keep(found, &mut out.signatures, &mut out.unreadable);
    }
    Ok(out)
}

fn keep<T>(record: Option<T>, into: &mut Vec<T>, unreadable: &mut usize) {
    match record {
        Some(record) => into.push(record),
        None => *unreadable += 1,
    }
}

type SignatureTable = redb::ReadOnlyTable<(&'static str, &'static [u8; 32]), &'static [u8]>;

fn one_signature(
    signatures: &SignatureTable,
    seen: &SignatureTable,
    key: &DataKey,
    client: &str,
    digest: &[u8; 32],
) -> Result<Option<SignatureRecord>, Fault> {
    let seen: Option<Seen> = read(seen.get((client, digest))?);
    Ok(match (signatures.get((client, digest))?, seen) {
        (Some(value), Some(seen)) => {
            table::open_signature(key, client, digest, value.value(), seen)
        }
        _ => None,
    })
}

/// A value, where it is there and of a known version.
pub(super) fn read<T: DeserializeOwned>(
    value: Option<redb::AccessGuard<'_, &'static [u8]>>,
) -> Option<T> {
    value.and_then(|value| table::decode(value.value()))
}

/// The same for a value that gained a field.
pub(super) fn read_grown<T: Grown>(
    value: Option<redb::AccessGuard<'_, &'static [u8]>>,
) -> Option<T> {
    value.and_then(|value| table::decode_grown(value.value()))
}

/// A signature by the id of a call that it stands for.
pub(super) fn signature_of_call(
    txn: &ReadTransaction,
    key: &DataKey,
    client: &str,
    call_id: &str,
) -> Result<Option<SignatureRecord>, Fault> {
    let digest: Option<[u8; 32]> = read(txn.open_table(SIGNATURE_BY_CALL)?.get((client, call_id))?);
    match digest {
        Some(digest) => signature_of_digest(txn, key, client, &digest),
        None => Ok(None),
    }
}

/// A signature by its digest.
pub(super) fn signature_of_digest(
    txn: &ReadTransaction,
    key: &DataKey,
    client: &str,
    digest: &[u8; 32],
) -> Result<Option<SignatureRecord>, Fault> {
    let signatures = txn.open_table(SIGNATURE)?;
    let seen = txn.open_table(SIGNATURE_SEEN)?;
    one_signature(&signatures, &seen, key, client, digest)
}

/// Which buckets of sums are wanted.
pub(super) struct Wanted<'a> {
    /// Of this kind.
    pub(super) kind: RollUp,
    /// Of these names only; of all where none are given.
    pub(super) names: Option<&'a [&'a str]>,
    /// Beginning at this time or later.
    pub(super) from: Timestamp,
    /// Beginning before this time.
    pub(super) to: Timestamp,
}

/// Tells of each bucket that is wanted, in order of time; of those of a time in order of names, or as the names are given.
pub(super) fn each_bucket(
    txn: &ReadTransaction,
    wanted: &Wanted<'_>,
    mut tell: impl FnMut(u32, &str, &[u8]),
) -> Result<(), Fault> {
    let table = txn.open_table(USAGE)?;
    let number = wanted.kind.number();
    let mut next = quarter(wanted.from);
    if quarter_start(next) < wanted.from {
        next = next.saturating_add(1);
    }
    // From quarter to quarter that exist, so that a gap of years costs one step.
    while let Some(first) = table.range((next, 0, "")..)?.next().transpose()? {
        let (at, _, _) = first.0.value();
        if quarter_start(at) >= wanted.to {
            break;
        }
        if let Some(names) = wanted.names {
            for name in names {
                if let Some(value) = table.get((at, number, *name))? {
                    tell(at, name, value.value());
                }
            }
        } else {
            for row in table.range((at, number, "")..(at, number + 1, ""))? {
                let (key, value) = row?;
                tell(at, key.value().2, value.value());
            }
        }
        match at.checked_add(1) {
            Some(quarter) => next = quarter,
            None => break,
        }
    }
    Ok(())
}

/// The buckets that are wanted.
pub(super) fn usage(txn: &ReadTransaction, wanted: &Wanted<'_>) -> Result<Vec<UsageBucket>, Fault> {
    let mut out = Vec::new();
    each_bucket(txn, wanted, |quarter, name, value| {
        let sums = table::decode_grown::<UsageSums>(value);
        out.extend(sums.map(|sums| UsageBucket {
            start: quarter_start(quarter),
            kind: wanted.kind,
            name: name.to_owned(),
            sums,
        }));
    })?;
    Ok(out)
}

/// The sums of each name over all buckets that are wanted.
pub(super) fn totals(
    txn: &ReadTransaction,
    wanted: &Wanted<'_>,
) -> Result<HashMap<String, UsageSums>, Fault> {
    let mut out: HashMap<String, UsageSums> = HashMap::new();
    each_bucket(txn, wanted, |_, name, value| {
        let Some(sums) = table::decode_grown::<UsageSums>(value) else {
            return;
        };
        match out.get_mut(name) {
            Some(known) => known.merge(&sums),
            None => drop(out.insert(name.to_owned(), sums)),
        }
    })?;
    Ok(out)
}

/// The same without the histograms.
pub(super) fn heads(
    txn: &ReadTransaction,
    wanted: &Wanted<'_>,
) -> Result<HashMap<String, UsageHead>, Fault> {
    let mut out: HashMap<String, UsageHead> = HashMap::new();
    each_bucket(txn, wanted, |_, name, value| {
        let Some(head) = table::decode_head::<UsageHead>(value) else {
            return;
        };
        match out.get_mut(name) {
            Some(known) => known.merge(head),
            None => drop(out.insert(name.to_owned(), head)),
        }
    })?;
    Ok(out)
}

/// The names that have a bucket of this kind from this time on, as far as so many of the newest buckets tell.
pub(super) fn names(
    txn: &ReadTransaction,
    kind: RollUp,
    from: Timestamp,
    most: usize,
) -> Result<BTreeSet<String>, Fault> {
    let table = txn.open_table(USAGE)?;
    let number = kind.number();
    let (mut names, mut looked, mut before) = (BTreeSet::new(), 0, u32::MAX);
    let first = quarter(from);
    while looked < most {
        let last = table.range((first, 0, "")..(before, 0, ""))?.next_back();
        let Some(entry) = last.transpose()? else {
            break;
        };
        let (at, _, _) = entry.0.value();
        for row in table.range((at, number, "")..(at, number + 1, ""))? {
            looked += 1;
            let (key, _) = row?;
            let name = key.value().2;
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        looked += 1;
        before = at;
    }
    Ok(names)
}
