//! The log's end, for who follows it, and rows by their ids.

use std::ops::RangeInclusive;

use redb::ReadTransaction;

use super::log::next_row;
use super::open::Fault;
use super::query::read_grown;
use super::record::LogRecord;
use super::table::{LOG, LOG_BY_ID, META};
use crate::base::id::RequestId;

/// So many rows are looked at one by one; a range of ids with more is looked for in the log as a whole.
const FEW: usize = 2000;

/// The rows that follow one, and how many there were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tail {
    /// The newest of them, in order, without their tries.
    pub rows: Vec<LogRecord>,
    /// How many more there were than are given.
    pub missed: u64,
    /// The number of the row to come: where the next look begins.
    pub next: u64,
}

/// The rows from number `from` on, the newest `limit` of them.
pub(super) fn after(txn: &ReadTransaction, from: u64, limit: u64) -> Result<Tail, Fault> {
    let next = next_row(&txn.open_table(META)?)?;
    // Behind the end: the log was begun anew.
    let from = from.min(next);
    let first = from.max(next.saturating_sub(limit));
    let log = txn.open_table(LOG)?;
    let mut rows = Vec::new();
    for row in first..next {
        rows.extend(read_grown::<LogRecord>(log.get(row)?));
    }
    Ok(Tail {
        rows,
        missed: first - from,
        next,
    })
}

/// The numbers of the rows with an id in this range, the last first; `None` where they are many.
pub(super) fn rows_by_id(
    txn: &ReadTransaction,
    ids: &RangeInclusive<RequestId>,
) -> Result<Option<Vec<u64>>, Fault> {
    let table = txn.open_table(LOG_BY_ID)?;
    let mut rows = Vec::new();
    if ids.is_empty() {
        return Ok(Some(rows));
    }
    for entry in table.range(ids.start().as_u128()..=ids.end().as_u128())? {
        if rows.len() == FEW {
            return Ok(None);
        }
        rows.push(entry?.1.value());
    }
    rows.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Some(rows))
}
