//! Forgetting: log rows by age and number, signatures a while after their last use, cooldowns after their end. In small
//! steps, so that writes never wait long.

use std::time::Duration;

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::Options;
use super::open::Fault;
use super::record::CooldownRecord;
use super::table::{
    self, COOLDOWN, LOG, SIGNATURE, SIGNATURE_BY_AGE, SIGNATURE_BY_CALL, SIGNATURE_SEEN, Seen, TRY,
    USAGE,
};
use super::usage::quarter;
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

/// One step over the log file: rows that are too old or too many, with their tries, then old sums.
pub(super) fn trim_log(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
) -> Result<Step, Fault> {
    let oldest = before(now, options.log_retention);
    // A request id begins with 48 bits of milliseconds (ULID), so the ids tell the age.
    let oldest_id = u128::try_from(oldest.as_millis()).unwrap_or(0) << 80;
    let mut log = txn.open_table(LOG)?;
    let mut tries = txn.open_table(TRY)?;
    let mut surplus = log.len()?.saturating_sub(options.log_max_rows);
    let (mut removed, mut last) = (0, None);
    while removed < STEP {
        let Some(first) = log.first()?.map(|(id, _)| id.value()) else {
            break;
        };
        if surplus == 0 && first >= oldest_id {
            break;
        }
        log.remove(first)?;
        surplus = surplus.saturating_sub(1);
        removed += 1;
        last = Some(first);
    }
    if let Some(last) = last {
        tries.retain_in((0, 0)..=(last, u16::MAX), |_, _| false)?;
    }
    let step = Step::of(removed);
    if step.more {
        return Ok(step);
    }
    let oldest_sums = quarter(before(now, options.usage_retention));
    let mut usage = txn.open_table(USAGE)?;
    while removed < STEP {
        let first = usage.first()?.map(|(key, _)| {
            let (quarter, kind, name) = key.value();
            (quarter, kind, name.to_owned())
        });
        match first {
            Some((quarter, kind, name)) if quarter < oldest_sums => {
                usage.remove((quarter, kind, name.as_str()))?;
                removed += 1;
            }
            _ => break,
        }
    }
    Ok(Step::of(removed))
}

/// One step over the state file: signatures that were not used for long or are too many, and ended cooldowns.
pub(super) fn trim_state(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
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
    Ok(Step::of(removed))
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
