//! From the schema of an older agp to the present one. The file was copied before.
//!
//! A step may take several transactions, so that a large file needs no memory of its size. It can be begun anew where it
//! was cut off, since the schema's number changes last.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::log::{self, Sizes};
use super::open::{self, Fault};
use super::record::{LogRecord, TryRecord};
use super::table::{self, META, META_NEEDS, META_SCHEMA, META_SIZES, USAGE};

/// A step from one schema to the next.
pub(super) type Migration = fn(&Database) -> Result<(), Fault>;

/// The steps of `agp.redb`.
pub(super) const STATE: &[Migration] = &[lay_state_tables as Migration; 5];
/// The steps of `agp-log.redb`.
pub(super) const LOG: &[Migration] = &[numbered_rows, bodies];

/// Rows moved in one transaction.
const CHUNK: usize = 4096;

/// Goes from a file's schema to the present one.
pub(super) fn run(
    db: &Database,
    steps: &[Migration],
    found: u32,
    present: u32,
) -> Result<(), Fault> {
    for schema in found..present {
        let step = usize::try_from(schema)
            .ok()
            .and_then(|schema| steps.get(schema.checked_sub(1)?));
        let Some(step) = step else {
            let text = format!("its schema {found} is not known");
            return Err(Fault::Db(redb::Error::Corrupted(text)));
        };
        step(db)?;
        let txn = db.begin_write()?;
        mark(&txn, schema + 1)?;
        txn.commit()?;
    }
    Ok(())
}

/// Writes the schema's number, and which agp it needs.
pub(super) fn mark(txn: &WriteTransaction, schema: u32) -> Result<(), Fault> {
    let mut meta = txn.open_table(META)?;
    let schema = table::encode(&schema).unwrap_or_default();
    meta.insert(META_SCHEMA, schema.as_slice())?;
    let needs = table::encode(&env!("CARGO_PKG_VERSION")).unwrap_or_default();
    meta.insert(META_NEEDS, needs.as_slice())?;
    Ok(())
}

/// A schema of the state file that only brings new tables: 2 those of standings and orphans, 3 those of
/// catalogs and of budgets: an older agp would spend without booking; 4 that of the journal: it would leave half an edit;
/// 5 those of the history; 6 that of sign-ins: it would not end a session that is signed out.
fn lay_state_tables(db: &Database) -> Result<(), Fault> {
    let txn = db.begin_write()?;
    open::lay_state(&txn)?;
    txn.commit()?;
    Ok(())
}

/// [`Sizes`] before schema 3 of the log.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct OldSizes {
    pub(super) rows: u64,
    pub(super) usage: u64,
    pub(super) peak: u64,
}

/// Schema 3 of the log: bodies.
fn bodies(db: &Database) -> Result<(), Fault> {
    let txn = db.begin_write()?;
    open::lay_log(&txn)?;
    let old: Option<OldSizes> = {
        let meta = txn.open_table(META)?;
        let found = meta.get(META_SIZES)?;
        found.and_then(|value| table::decode(value.value()))
    };
    // Where the step before has only just been taken, they have their new form already.
    if let Some(old) = old {
        let sizes = Sizes {
            rows: old.rows,
            usage: old.usage,
            bodies: 0,
            peak: old.peak,
        };
        sizes.store(&txn)?;
    }
    txn.commit()?;
    Ok(())
}

/// Schema 1 of the log: request id to row.
pub(super) const OLD_LOG: TableDefinition<u128, &[u8]> = TableDefinition::new("log");
/// Schema 1 of the log: request id and number of the try.
pub(super) const OLD_TRY: TableDefinition<(u128, u16), &[u8]> = TableDefinition::new("try");

/// Schema 2 of the log: rows are numbered and indexed by value.
fn numbered_rows(db: &Database) -> Result<(), Fault> {
    let txn = db.begin_write()?;
    let mut sizes = Sizes::default();
    for row in txn.open_table(USAGE)?.iter()? {
        let (key, value) = row?;
        sizes.usage += log::usage_size(key.value().2, value.value());
    }
    sizes.rows = Sizes::load(&txn)?.rows;
    txn.open_table(OLD_LOG)?;
    txn.open_table(OLD_TRY)?;
    log::rows(&txn, &[], &mut sizes, |_| {})?;
    sizes.store(&txn)?;
    txn.commit()?;
    while move_rows(db)? {}
    let txn = db.begin_write()?;
    txn.delete_table(OLD_LOG)?;
    txn.delete_table(OLD_TRY)?;
    txn.commit()?;
    Ok(())
}

/// Moves the oldest rows; whether there may be more.
fn move_rows(db: &Database) -> Result<bool, Fault> {
    let mut records = Vec::new();
    let mut last = None;
    {
        let txn = db.begin_read()?;
        let tries = txn.open_table(OLD_TRY)?;
        for row in txn.open_table(OLD_LOG)?.iter()?.take(CHUNK) {
            let (id, value) = row?;
            last = Some(id.value());
            let Some(mut record) = table::decode_grown::<LogRecord>(value.value()) else {
                continue;
            };
            for call in tries.range((id.value(), 0)..=(id.value(), u16::MAX))? {
                let call: Option<TryRecord> = table::decode_grown(call?.1.value());
                record.tries.extend(call);
            }
            records.push(record);
        }
    }
    let Some(last) = last else {
        return Ok(false);
    };
    let txn = db.begin_write()?;
    let mut sizes = Sizes::load(&txn)?;
    log::rows(&txn, &records, &mut sizes, |_| {})?;
    sizes.store(&txn)?;
    txn.open_table(OLD_LOG)?.retain_in(..=last, |_, _| false)?;
    txn.open_table(OLD_TRY)?
        .retain_in(..=(last, u16::MAX), |_, _| false)?;
    txn.commit()?;
    Ok(true)
}
