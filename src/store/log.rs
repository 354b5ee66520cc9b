//! The log's rows: appending them, and finding them newest first by any of their columns.

use std::ops::RangeInclusive;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::apply::put;
use super::index::{self, Column, Entries, RowSet, block_of, place_of, row_at};
use super::open::Fault;
use super::query::read_grown;
use super::record::{LogRecord, TryRecord};
use super::table::{
    self, LOG, LOG_BY_ID, LOG_BY_VALUE, LOG_SPAN, META, META_NEXT_ROW, META_SIZES, TRY, USAGE,
};
use super::tail;
use super::usage::{Tally, UsageSums};
use crate::base::id::{AccountId, KeyId, ModelName, RequestId};
use crate::base::time::Timestamp;

/// Most rows of a page.
pub const MAX_PAGE: usize = 1000;
/// Lookups and rows read in one call of [`page`]; what comes then is left to the next call.
const WORK: usize = 20_000;
/// Bytes of a row beside its value: keys, and its place in the tables of ids and of values.
const ROW_OVERHEAD: u64 = 8 + 24 + 16;
/// Bytes of a try beside its value.
const TRY_OVERHEAD: u64 = 10;

/// Which log rows are wanted: those that match all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Ended at this time or later.
    pub from: Option<Timestamp>,
    /// Ended before this time.
    pub to: Option<Timestamp>,
    /// Of this public model.
    pub model: Option<ModelName>,
    /// Served by this account, or tried with it.
    pub account: Option<AccountId>,
    /// Of this client key.
    pub key: Option<KeyId>,
    /// Answered so.
    pub status: Option<StatusFilter>,
    /// With an id in this range.
    pub id: Option<RangeInclusive<RequestId>>,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// With this status.
    Exactly(u16),
    /// With a status that begins with this digit: 4 for 400 to 499.
    Class(u8),
}

/// Where a page goes on: older rows than this. A number, for addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

/// Some rows, newest first by their end, without their tries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    /// The rows. They may be fewer than asked for, even none, although older ones match: the work of a call is bounded.
    pub rows: Vec<LogRecord>,
    /// Where to go on; `None` where nothing older matches.
    pub next: Option<Cursor>,
}

/// Bytes of what the log file holds, kept with every write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sizes {
    /// Of rows and tries.
    pub(super) rows: u64,
    /// Of sums.
    pub(super) usage: u64,
    /// Of bodies.
    pub(super) bodies: u64,
    /// The most that all ever were together: the file has pages for so much, since it does not shrink.
    pub(super) peak: u64,
}

impl Sizes {
    /// All together.
    pub(super) fn total(self) -> u64 {
        self.rows + self.usage + self.bodies
    }

    /// As kept; none in a new file.
    pub(super) fn load(txn: &WriteTransaction) -> Result<Self, Fault> {
        let meta = txn.open_table(META)?;
        let found = meta.get(META_SIZES)?;
        Ok(found
            .and_then(|value| table::decode(value.value()))
            .unwrap_or_default())
    }

    /// Keeps them.
    pub(super) fn store(mut self, txn: &WriteTransaction) -> Result<(), Fault> {
        self.peak = self.peak.max(self.total());
        put(&mut txn.open_table(META)?, META_SIZES, &self)?;
        Ok(())
    }
}

/// Bytes that a row counts for.
pub(super) fn row_size(value: &[u8]) -> u64 {
    ROW_OVERHEAD + value.len() as u64
}

/// Bytes that a try counts for.
pub(super) fn try_size(value: &[u8]) -> u64 {
    TRY_OVERHEAD + value.len() as u64
}

/// Bytes that a bucket of sums counts for.
pub(super) fn usage_size(name: &str, value: &[u8]) -> u64 {
    (5 + name.len() + value.len()) as u64
}

/// The number of the next row.
pub(super) fn next_row(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<u64, Fault> {
    let next = meta.get(META_NEXT_ROW)?;
    Ok(next
        .and_then(|value| table::decode(value.value()))
        .unwrap_or(0))
}

/// Appends rows with their tries, values and share of the sums; how many could not be encoded.
///
/// A row that is there already adds nothing: a commit may have reached the disk although it failed.
pub(super) fn append(txn: &WriteTransaction, records: &[LogRecord]) -> Result<u64, Fault> {
    let mut tally = Tally::default();
    let mut sizes = Sizes::load(txn)?;
    let lost = rows(txn, records, &mut sizes, |record| tally.add(record))?;
    let mut usage = txn.open_table(USAGE)?;
    for ((quarter, kind, name), mut sums) in tally.into_buckets() {
        let key = (quarter, kind, name.as_str());
        let known = usage.get(key)?.and_then(|value| {
            let size = usage_size(&name, value.value());
            table::decode_grown::<UsageSums>(value.value()).map(|sums| (sums, size))
        });
        if let Some((known, size)) = known {
            sums.merge(&known);
            sizes.usage = sizes.usage.saturating_sub(size);
        }
        if let Some(bytes) = table::encode_grown(&sums) {
            sizes.usage += usage_size(&name, &bytes);
            usage.insert(key, bytes.as_slice())?;
        }
    }
    sizes.store(txn)?;
    Ok(lost)
}

/// Appends rows without touching the sums; `each` is told of every one that was not there.
pub(super) fn rows(
    txn: &WriteTransaction,
    records: &[LogRecord],
    sizes: &mut Sizes,
    mut each: impl FnMut(&LogRecord),
) -> Result<u64, Fault> {
    let mut meta = txn.open_table(META)?;
    let mut next = next_row(&meta)?;
    let mut log = txn.open_table(LOG)?;
    let mut by_id = txn.open_table(LOG_BY_ID)?;
    let mut tries = txn.open_table(TRY)?;
    let mut entries = Entries::default();
    let mut lost = 0;
    for record in records {
        let id = record.id.as_u128();
        if by_id.get(id)?.is_some() {
            continue;
        }
        let Some(value) = table::encode_grown(record) else {
            lost += 1;
            continue;
        };
        log.insert(next, value.as_slice())?;
        by_id.insert(id, next)?;
        sizes.rows += row_size(&value);
        for call in &record.tries {
            if let Some(value) = table::encode_grown(call) {
                tries.insert((next, call.n), value.as_slice())?;
                sizes.rows += try_size(&value);
            }
        }
        entries.add(next, record);
        each(record);
        next += 1;
    }
    entries.write(txn)?;
    put(&mut meta, META_NEXT_ROW, &next)?;
    Ok(lost)
}

/// One log row with its tries.
pub(super) fn record(txn: &ReadTransaction, id: RequestId) -> Result<Option<LogRecord>, Fault> {
    let Some(row) = row_of(txn, id)? else {
        return Ok(None);
    };
    let Some(mut record): Option<LogRecord> = read_grown(txn.open_table(LOG)?.get(row)?) else {
        return Ok(None);
    };
    for call in txn.open_table(TRY)?.range((row, 0)..=(row, u16::MAX))? {
        record
            .tries
            .extend(table::decode_grown::<TryRecord>(call?.1.value()));
    }
    Ok(Some(record))
}

/// The number of the row of a request.
fn row_of(txn: &ReadTransaction, id: RequestId) -> Result<Option<u64>, Fault> {
    let row = txn.open_table(LOG_BY_ID)?.get(id.as_u128())?;
    Ok(row.map(|row| row.value()))
}

/// A page of the rows that match.
pub(super) fn page(
    txn: &ReadTransaction,
    filter: &Filter,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<LogPage, Fault> {
    let limit = limit.min(MAX_PAGE);
    if limit == 0 {
        return Ok(LogPage {
            rows: Vec::new(),
            next: cursor.or(Some(Cursor(u64::MAX))),
        });
    }
    let mut walk = Walk::begin(txn, filter)?;
    let before = cursor.map_or(u64::MAX, |cursor| cursor.0);
    let few = match &filter.id {
        Some(ids) => tail::rows_by_id(txn, ids)?,
        None => None,
    };
    let next = match few {
        Some(rows) => walk.run_through(rows, before, limit)?,
        None => walk.run(before, limit)?,
    };
    Ok(LogPage {
        rows: walk.found,
        next,
    })
}

type ValueTable = redb::ReadOnlyTable<(u64, u8, &'static str), &'static [u8]>;

/// A walk over the blocks, newest first.
struct Walk {
    from: i64,
    to: i64,
    terms: Vec<(Column, String)>,
    ids: Option<RangeInclusive<RequestId>>,
    values: ValueTable,
    spans: redb::ReadOnlyTable<u64, (i64, i64)>,
    log: redb::ReadOnlyTable<u64, &'static [u8]>,
    found: Vec<LogRecord>,
    work: usize,
}

impl Walk {
    fn begin(txn: &ReadTransaction, filter: &Filter) -> Result<Self, Fault> {
        let status = filter.status.map(|status| match status {
            StatusFilter::Exactly(n) => (Column::Status, n.to_string()),
            StatusFilter::Class(digit) => (Column::Class, digit.to_string()),
        });
        let key = filter.key.as_ref().map(|k| (Column::Key, k.to_string()));
        let account = filter.account.as_ref();
        let account = account.map(|a| (Column::Account, a.to_string()));
        let model = filter.model.as_ref();
        let model = model.map(|m| (Column::Model, m.to_string()));
        Ok(Self {
            from: filter.from.map_or(i64::MIN, Timestamp::as_millis),
            to: filter.to.map_or(i64::MAX, Timestamp::as_millis),
            // Keys and accounts are the most selective: an empty set ends the block's work.
            terms: [key, account, status, model]
                .into_iter()
                .flatten()
                .collect(),
            ids: filter.id.clone(),
            values: txn.open_table(LOG_BY_VALUE)?,
            spans: txn.open_table(LOG_SPAN)?,
            log: txn.open_table(LOG)?,
            found: Vec::new(),
            work: 0,
        })
    }

    /// The rows of a block that have all values asked for.
    fn rows_of(&mut self, block: u64) -> Result<RowSet, Fault> {
        let mut set = RowSet::all();
        for (column, value) in &self.terms {
            self.work += 1;
            match self.values.get((block, *column as u8, value.as_str()))? {
                Some(bytes) => set.intersect(&RowSet::decode(bytes.value())),
                None => return Ok(RowSet::none()),
            }
            if set.is_empty() {
                break;
            }
        }
        Ok(set)
    }

    /// Reads a row; takes it where it is still there and, with `timed`, of the right time.
    fn take(&mut self, row: u64, timed: bool) -> Result<(), Fault> {
        self.work += 1;
        let found: Option<LogRecord> = read_grown(self.log.get(row)?);
        if let Some(record) = found {
            let at = record.at.as_millis();
            let timely = !timed || (self.from <= at && at < self.to);
            let named = self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id));
            if timely && named {
                self.found.push(record);
            }
        }
        Ok(())
    }

    /// Looks at these rows, the last first, until the page is full.
    fn run_through(
        &mut self,
        rows: Vec<u64>,
        before: u64,
        limit: usize,
    ) -> Result<Option<Cursor>, Fault> {
        for row in rows.into_iter().filter(|row| *row < before) {
            if self.found.len() >= limit {
                return Ok(Some(Cursor(row + 1)));
            }
            let set = self.rows_of(block_of(row))?;
            if set.has(place_of(row)) {
                self.take(row, true)?;
            }
        }
        Ok(None)
    }

    /// Walks from before a row until the page is full, the work is done or nothing is left.
    fn run(&mut self, before: u64, limit: usize) -> Result<Option<Cursor>, Fault> {
        let (first, last) = match (self.log.first()?, self.log.last()?) {
            (Some((first, _)), Some((last, _))) => (first.value(), last.value()),
            _ => return Ok(None),
        };
        let before = before.min(last + 1);
        let Some(newest) = before.checked_sub(1).filter(|newest| *newest >= first) else {
            return Ok(None);
        };
        let blocks = self.spans.range(block_of(first)..=block_of(newest))?;
        for entry in blocks.rev() {
            let (block, span) = entry?;
            let (block, (earliest, latest)) = (block.value(), span.value());
            if latest < self.from || earliest >= self.to {
                continue;
            }
            if self.work >= WORK {
                return Ok(Some(Cursor(before.min((block + 1) * index::BLOCK))));
            }
            self.work += 1;
            let timed = earliest < self.from || latest >= self.to;
            let set = self.rows_of(block)?;
            for place in set.backwards() {
                let row = row_at(block, place);
                if row >= before {
                    continue;
                }
                if row < first {
                    break;
                }
                if self.found.len() >= limit || self.work >= WORK {
                    return Ok(Some(Cursor(row + 1)));
                }
                self.take(row, timed)?;
            }
        }
        Ok(None)
    }
}
