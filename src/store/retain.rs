//! Forgetting: log rows by age and number, signatures a while after their last use, cooldowns after their end. In small
//! steps, so that writes never wait long.

use std::collections::BTreeSet;
use std::time::Duration;

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::index::{self, block_of};
use super::log::{Sizes, row_size, try_size, usage_size};
use super::open::Fault;
use super::record::{CatalogRecord, CooldownRecord, LogRecord};
use super::table::{
    self, BODY, CATALOG, COOLDOWN, LOG, LOG_BY_ID, ORPHAN, SIGNATURE, SIGNATURE_BY_AGE,
    SIGNATURE_BY_CALL, SIGNATURE_SEEN, Seen, TRY, USAGE,
};
use super::usage::quarter;
use super::{Options, Retention};
use super::{body, history};
use crate::base::time::Timestamp;

/// Most rows removed in one step.
const STEP: usize = 1024;

/// How long an ended cooldown is remembered: its count is what the next one doubles from.
const ENDED_COOLDOWN: Duration = Duration::from_hours(24);

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether anything was removed.
    pub(super) changed: bool,
    /// Whether more is left to remove.
    pub(super) more: bool,
}

impl Step {
    fn of(removed: usize) -> Self {
        Self {
            changed: removed > 0,
            more: removed >= STEP,
        }
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.as_millis().saturating_sub(ms))
}

/// One step over the log file: rows that are too old or too many, with their tries, then old sums. `used` is what the
/// file takes of the disk, where that is known.
pub(super) fn trim_log(
    txn: &WriteTransaction,
    now: Timestamp,
    usage_age: Duration,
    retention: &Retention,
    used: Option<u64>,
) -> Result<Step, Fault> {
    let before_all = Sizes::load(txn)?;
    let mut sizes = before_all;
    let ceiling = ceiling(sizes, used, retention.log_bytes);
    let oldest = before(now, retention.log_age);
    // Bodies go first: of what there is for all, they take half at most.
    let for_bodies = ceiling.map_or(u64::MAX, |bytes| bytes / 2);
    let body_age = before(now, retention.body_age).as_millis();
    let bodies = body::trim(txn, body_age, for_bodies, STEP, &mut sizes)?;
    // Sums are small, unless there are very many names: then they take a quarter, and rows the rest.
    let for_usage = ceiling.map_or(u64::MAX, |bytes| bytes / 4);
    let for_rows = ceiling.map_or(u64::MAX, |bytes| {
        bytes - sizes.usage.min(for_usage) - sizes.bodies.min(for_bodies)
    });
    let rows = trim_rows(txn, oldest, retention.log_rows, for_rows, &mut sizes)?;
    let sums = if rows < STEP {
        let oldest = quarter(before(now, usage_age));
        trim_usage(txn, oldest, for_usage, STEP - rows, &mut sizes)?
    } else {
        0
    };
    if sizes != before_all {
        sizes.store(txn)?;
    }
    Ok(Step::of(bodies.max(rows + sums)))
}

/// How many bytes may be kept so that the file does not grow beyond its mark; `None` while it is far from it.
///
/// The file never shrinks while it is open, and has pages for the most that it ever held. What it holds per page stays
/// about the same, so that its part of that peak is as large as the mark's part of the file.
fn ceiling(sizes: Sizes, used: Option<u64>, mark: u64) -> Option<u64> {
    let soft = mark - mark / 16;
    let used = used.filter(|used| *used > soft)?;
    let bytes = u128::from(sizes.peak.max(sizes.total())) * u128::from(soft) / u128::from(used);
    u64::try_from(bytes).ok()
}

fn trim_rows(
    txn: &WriteTransaction,
    oldest: Timestamp,
    most: u64,
    most_bytes: u64,
    sizes: &mut Sizes,
) -> Result<usize, Fault> {
    let mut log = txn.open_table(LOG)?;
    let mut by_id = txn.open_table(LOG_BY_ID)?;
    let mut tries = txn.open_table(TRY)?;
    let mut bodies = txn.open_table(BODY)?;
    let mut surplus = log.len()?.saturating_sub(most);
    let mut removed = 0;
    let mut last = None;
    while removed < STEP {
        let first = log.first()?.map(|(row, value)| {
            let record: Option<LogRecord> = table::decode_grown(value.value());
            (row.value(), row_size(value.value()), record)
        });
        let Some((row, size, record)) = first else {
            break;
        };
        // One that can't be read has no age: it goes.
        let old = record.as_ref().is_none_or(|record| record.at < oldest);
        if surplus == 0 && !old && sizes.rows <= most_bytes {
            break;
        }
        log.remove(row)?;
        if let Some(record) = record {
            by_id.remove(record.id.as_u128())?;
            if let Some(gone) = bodies.remove(record.id.as_u128())? {
                sizes.bodies = sizes.bodies.saturating_sub(body::size(gone.value()));
            }
        }
        let mut bytes = size;
        tries.retain_in((row, 0)..=(row, u16::MAX), |_, value| {
            bytes += try_size(value);
            false
        })?;
        sizes.rows = sizes.rows.saturating_sub(bytes);
        surplus = surplus.saturating_sub(1);
        removed += 1;
        last = Some(row);
    }
    if let Some(last) = last {
        let left = log.first()?.map_or(last + 1, |(row, _)| row.value());
        if block_of(left) > block_of(last) || left > last + 1 {
            index::forget_before(txn, block_of(left))?;
        }
    }
    Ok(removed)
}

fn trim_usage(
    txn: &WriteTransaction,
    oldest: u32,
    most_bytes: u64,
    most: usize,
    sizes: &mut Sizes,
) -> Result<usize, Fault> {
    let mut usage = txn.open_table(USAGE)?;
    let mut removed = 0;
    while removed < most {
        let first = usage.first()?.map(|(key, value)| {
            let (quarter, kind, name) = key.value();
            let size = usage_size(name, value.value());
            (quarter, kind, name.to_owned(), size)
        });
        let Some((quarter, kind, name, size)) = first else {
            break;
        };
        if quarter >= oldest && sizes.usage <= most_bytes {
            break;
        }
        usage.remove((quarter, kind, name.as_str()))?;
        sizes.usage = sizes.usage.saturating_sub(size);
        removed += 1;
    }
    Ok(removed)
}

/// One step over the state file: signatures that were not used for long or are too many, ended cooldowns, what nobody
/// names any more, and generations that are too many.
pub(super) fn trim_state(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
    retention: &Retention,
) -> Result<Step, Fault> {
    let mut removed = trim_signatures(txn, now, options)?;
    let ended = before(now, ENDED_COOLDOWN);
    let mut cooldowns = txn.open_table(COOLDOWN)?;
    for entry in cooldowns.extract_if(|_, value| {
        table::decode::<CooldownRecord>(value).is_none_or(|record| record.until < ended)
    })? {
        entry?;
        removed += 1;
    }
    drop(cooldowns);
    let left = before(now, retention.orphan_age);
    removed += trim_orphans(txn, left)?;
    removed += trim_catalogs(txn, left)?;
    removed += history::trim(txn, retention.history.into(), options.history_bytes)?;
    Ok(Step::of(removed))
}

/// Forgets what is known of accounts that left the configuration before a time.
fn trim_orphans(txn: &WriteTransaction, left: Timestamp) -> Result<usize, Fault> {
    let mut orphans = txn.open_table(ORPHAN)?;
    let mut gone = BTreeSet::new();
    for entry in orphans.extract_if(|_, at| at < left.as_millis())? {
        gone.insert(entry?.0.value().to_owned());
    }
    if gone.is_empty() {
        return Ok(0);
    }
    for name in table::BY_ACCOUNT {
        txn.open_table(name)?
            .retain(|account, _| !gone.contains(account))?;
    }
    for name in table::BY_ACCOUNT_AND_MODEL {
        txn.open_table(name)?
            .retain(|(account, _), _| !gone.contains(account))?;
    }
    Ok(gone.len())
}

/// Forgets lists of models that were not renewed since a time: while an upstream is asked, its list is.
fn trim_catalogs(txn: &WriteTransaction, renewed: Timestamp) -> Result<usize, Fault> {
    let mut removed = 0;
    let mut catalogs = txn.open_table(CATALOG)?;
    for entry in catalogs.extract_if(|_, value| {
        table::decode::<CatalogRecord>(value).is_none_or(|record| record.at < renewed)
    })? {
        entry?;
        removed += 1;
    }
    Ok(removed)
}

fn trim_signatures(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
) -> Result<usize, Fault> {
    let oldest = before(now, options.signature_life).as_millis();
    let mut by_age = txn.open_table(SIGNATURE_BY_AGE)?;
    let mut by_call = txn.open_table(SIGNATURE_BY_CALL)?;
    let mut seen = txn.open_table(SIGNATURE_SEEN)?;
    let mut signatures = txn.open_table(SIGNATURE)?;
    let mut surplus = by_age.len()?.saturating_sub(options.max_signatures as u64);
    let mut removed = 0;
    while removed < STEP {
        let first = by_age.first()?.map(|(key, _)| {
            let (at, client, digest) = key.value();
            (at, client.to_owned(), *digest)
        });
        let Some((at, client, digest)) = first else {
            break;
        };
        if surplus == 0 && at >= oldest {
            break;
        }
        surplus = surplus.saturating_sub(1);
        by_age.remove((at, client.as_str(), &digest))?;
        signatures.remove((client.as_str(), &digest))?;
        let known = seen
            .remove((client.as_str(), &digest))?
            .and_then(|value| table::decode::<Seen>(value.value()));
        for id in known.map(|k| k.call_ids).unwrap_or_default() {
            let points_here = by_call
                .get((client.as_str(), id.as_str()))?
                .is_some_and(|v| table::decode::<[u8; 32]>(v.value()) == Some(digest));
            if points_here {
                by_call.remove((client.as_str(), id.as_str()))?;
            }
        }
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
