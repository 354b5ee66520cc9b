//! What operators do to the files: back up, put back, check, compact. All but the backup want the gateway stopped, and the
//! lock on the file says whether it is.

mod key;

use std::fs::{File as Plain, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Key, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, TableHandle, Value, WriteTransaction,
};

use super::crypt::{DataKey, KeyWrap};
use super::log::Sizes;
use super::open::{Fault, File, guarded};
use super::place::{self, FilePlace, Place as _};
use super::record::LogRecord;
use super::table::Visit;
use super::{Options, StoreError, history, query, table};
use crate::base::time::Timestamp;

pub use key::{rewrap, wrapped_key};

/// redb's cache for these commands, in bytes.
const CACHE: usize = 16 << 20;
/// Most bytes of signatures that a check opens.
const CHECKED_SIGNATURES: usize = 64 << 20;
/// A backup under way that is older than this was given up.
const STALE: Duration = Duration::from_hours(1);

/// What a check found in a file that is not damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The schema's number.
    pub schema: u32,
    /// Rows by table.
    pub tables: Vec<(String, u64)>,
    /// Rows that this agp can't read.
    pub unreadable: usize,
}

/// What compacting a file did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    /// The file.
    pub file: PathBuf,
    /// Bytes of disk before.
    pub before: u64,
    /// Bytes of disk after.
    pub after: u64,
}

fn state_path(dir: &Path) -> PathBuf {
    dir.join("agp.redb")
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("agp-log.redb")
}

fn place_of(path: &Path) -> FilePlace {
    FilePlace::new(path.to_owned(), CACHE)
}

fn disk(path: &Path, detail: &dyn std::fmt::Display) -> StoreError {
    StoreError::Disk {
        file: path.display().to_string(),
        detail: detail.to_string(),
    }
}

/// That a file is there: opening it would make it.
fn must_exist(path: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(disk(path, &"expected a file")),
        Err(error) => Err(disk(path, &error)),
    }
}

/// Copies `agp.redb` of a gateway that is stopped into a new file.
///
/// # Errors
/// [`StoreError::Locked`] while a gateway runs; where either file can't be used, or `to` is there already.
pub fn backup(dir: &Path, to: &Path) -> Result<(), StoreError> {
    let path = state_path(dir);
    must_exist(&path)?;
    let file = File::state(Box::new(place_of(&path)));
    file.open(false).map_err(|fault| file.tell(&fault))?;
    let outcome = file.read(|txn| Ok(copy_to(txn, to)));
    file.close();
    outcome?
}

/// A name for a backup in the store's folder; what was given up there long ago is removed.
pub(super) fn backup_name(dir: &Path) -> io::Result<PathBuf> {
    const PREFIX: &str = "agp-backup-";
    let now = Timestamp::now();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let begun = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(PREFIX)?;
            rest.split('.').next()?.parse::<i64>().ok()
        });
        if begun.is_some_and(|begun| now.since(Timestamp(begun)) > STALE) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(dir.join(format!("{PREFIX}{}.redb", now.as_millis())))
}

/// Writes everything that a view of `agp.redb` holds into a new file.
pub(super) fn copy_to(from: &ReadTransaction, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        return Err(disk(to, &"expected a new file, but it is there already"));
    }
    let part = PathBuf::from(format!("{}.part", to.display()));
    let written = guarded(|| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        let mut db = Builder::new()
            .set_cache_size(CACHE)
            .create_with_backend(FileBackend::new(file)?)?;
        let txn = db.begin_write()?;
        copy_state(from, &txn)?;
        txn.commit()?;
        db.compact()?;
        db.close()?;
        std::fs::rename(&part, to)?;
        sync_folder(to);
        Ok(())
    });
    written.map_err(|fault| {
        // What was begun is of no use; where it can't be removed either, the error told is the first one.
        let _ = std::fs::remove_file(&part);
        fault.tell(&to.display().to_string(), table::STATE_SCHEMA)
    })
}

fn copy_state(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), Fault> {
    let mut copy = Copy {
        from,
        to,
        copied: 0,
    };
    table::visit_state(&mut copy)?;
    let (copied, there) = (copy.copied, from.list_tables()?.count());
    if there == copied {
        return Ok(());
    }
    // A table that is not copied here would be lost with the next restore.
    let text = format!("expected {copied} tables, found {there}");
    Err(Fault::Db(redb::Error::Corrupted(text)))
}

/// Copies each table into another file.
struct Copy<'a> {
    from: &'a ReadTransaction,
    to: &'a WriteTransaction,
    copied: usize,
}

impl Visit for Copy<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        let mut target = self.to.open_table(table)?;
        for row in self.from.open_table(table)?.iter()? {
            let (key, value) = row?;
            target.insert(key.value(), value.value())?;
        }
        self.copied += 1;
        Ok(())
    }
}

/// Makes a renaming last. Where the folder can't be synced, the renaming holds all the same unless the power goes.
fn sync_folder(file: &Path) {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if let Err(error) = Plain::open(folder).and_then(|f| f.sync_all()) {
        tracing::debug!(folder = %folder.display(), %error, "folder not synced");
    }
}

/// Puts a backup in the place of `agp.redb`, which is kept under a new name: that name, where there was a file.
///
/// # Errors
/// [`StoreError::Locked`] while a gateway runs; where the backup is damaged, of a newer agp, or can't be opened with the
/// identity. Nothing is changed then.
pub fn restore(dir: &Path, from: &Path, keys: &dyn KeyWrap) -> Result<Option<PathBuf>, StoreError> {
    must_exist(from)?;
    place::make_dir(dir)?;
    let path = state_path(dir);
    // Held until the end, so that no gateway starts meanwhile. A damaged file can't be held, nor served.
    let _held = hold(&path)?;
    let part = dir.join("agp.redb.restoring");
    let prepared = prepare(from, &part, keys);
    if let Err(error) = prepared {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    let aside = path.exists().then(|| {
        let stamp = Timestamp::now().as_millis();
        PathBuf::from(format!("{}.before-restore-{stamp}", path.display()))
    });
    if let Some(aside) = &aside {
        std::fs::rename(&path, aside).map_err(|e| disk(&path, &e))?;
    }
    std::fs::rename(&part, &path).map_err(|e| disk(&path, &e))?;
    sync_folder(&path);
    Ok(aside)
}

fn hold(path: &Path) -> Result<Option<Database>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let file = File::state(Box::new(place_of(path)));
    match guarded(|| file.place.open(false)) {
        Ok(db) => Ok(Some(db)),
        Err(fault) => match file.tell(&fault) {
            locked @ StoreError::Locked { .. } => Err(locked),
            _ => Ok(None),
        },
    }
}

/// Copies a backup to `part` and makes sure that a gateway can start with it.
fn prepare(from: &Path, part: &Path, keys: &dyn KeyWrap) -> Result<(), StoreError> {
    let _ = std::fs::remove_file(part);
    std::fs::copy(from, part).map_err(|e| disk(from, &e))?;
    let file = File::state(Box::new(place_of(part)));
    let name = from.display().to_string();
    let tell = |fault: Fault| fault.tell(&name, table::STATE_SCHEMA);
    let db = guarded(|| {
        let db = place_of(part).open(true)?;
        file.inspect(&db)?;
        Ok(db)
    });
    let db = db.map_err(tell)?;
    let key = guarded(|| query::wrapped_key(&db.begin_read()?)).map_err(tell)?;
    open_key(key, keys)?;
    guarded(|| Ok(db.close()?)).map_err(tell)
}

fn open_key(wrapped: Option<Vec<u8>>, keys: &dyn KeyWrap) -> Result<Option<DataKey>, StoreError> {
    let Some(wrapped) = wrapped else {
        return Ok(None);
    };
    let bytes = keys.unwrap(&wrapped).map_err(StoreError::Key)?;
    let key = DataKey::from_bytes(&bytes).map_err(StoreError::Key)?;
    Ok(Some(key))
}

/// Checks every page and every row of both files. A log that is not there is no fault.
pub fn check(dir: &Path, keys: &dyn KeyWrap) -> Vec<(PathBuf, Result<Checked, StoreError>)> {
    let state = state_path(dir);
    let mut found = vec![(state.clone(), check_file(&state, true, keys))];
    let log = log_path(dir);
    if log.exists() {
        let checked = check_file(&log, false, keys);
        found.push((log, checked));
    }
    found
}

fn check_file(path: &Path, state: bool, keys: &dyn KeyWrap) -> Result<Checked, StoreError> {
    must_exist(path)?;
    let place = Box::new(place_of(path));
    let file = if state {
        File::state(place)
    } else {
        File::log(place)
    };
    let tell = |fault: Fault| file.tell(&fault);
    let db = guarded(|| file.place.open(true)).map_err(tell)?;
    let schema = guarded(|| file.inspect(&db)).map_err(tell)?;
    let tables = guarded(|| count(&db)).map_err(tell)?;
    let present = schema
        == if state {
            table::STATE_SCHEMA
        } else {
            table::LOG_SCHEMA
        };
    let unreadable = match (present, state) {
        // The rows of an older schema are read when they are migrated.
        (false, _) => 0,
        (true, true) => {
            let wrapped = guarded(|| query::wrapped_key(&db.begin_read()?)).map_err(tell)?;
            let key = open_key(wrapped, keys)?;
            guarded(|| unreadable_state(&db, key.as_ref())).map_err(tell)?
        }
        (true, false) => guarded(|| unreadable_log(&db)).map_err(tell)?,
    };
    guarded(|| Ok(db.close()?)).map_err(tell)?;
    Ok(Checked {
        schema,
        tables,
        unreadable,
    })
}

fn count(db: &Database) -> Result<Vec<(String, u64)>, Fault> {
    let txn = db.begin_read()?;
    let mut tables = Vec::new();
    for handle in txn.list_tables()? {
        let name = handle.name().to_owned();
        tables.push((name, txn.open_untyped_table(handle)?.len()?));
    }
    Ok(tables)
}

fn unreadable_state(db: &Database, key: Option<&DataKey>) -> Result<usize, Fault> {
    let options = Options {
        signature_life: Duration::MAX,
        load_signatures: usize::MAX,
        load_signature_bytes: CHECKED_SIGNATURES,
        ..Options::default()
    };
    let txn = db.begin_read()?;
    let learned = query::learned(&txn, key, Timestamp::now(), &options)?;
    Ok(learned.unreadable + history::unreadable(&txn, key)?)
}

fn unreadable_log(db: &Database) -> Result<usize, Fault> {
    let mut unreadable = 0;
    for row in db.begin_read()?.open_table(table::LOG)?.iter()? {
        let record: Option<LogRecord> = table::decode_grown(row?.1.value());
        unreadable += usize::from(record.is_none());
    }
    Ok(unreadable)
}

/// Gives the disk back what the files no longer need.
///
/// # Errors
/// [`StoreError::Locked`] while a gateway runs; where a file can't be used.
pub fn compact(dir: &Path) -> Result<Vec<Compacted>, StoreError> {
    let mut done = Vec::new();
    for (path, state) in [(state_path(dir), true), (log_path(dir), false)] {
        if !state && !path.exists() {
            continue;
        }
        must_exist(&path)?;
        let place = Box::new(place_of(&path));
        let file = if state {
            File::state(place)
        } else {
            File::log(place)
        };
        let size = || std::fs::metadata(&path).map_or(0, |found| found.blocks() * 512);
        let before = size();
        guarded(|| {
            let mut db = file.place.open(false)?;
            file.inspect(&db)?;
            db.compact()?;
            if !state {
                // The file has pages for what it holds now, no longer for the most that it ever held.
                let txn = db.begin_write()?;
                let sizes = Sizes::load(&txn)?;
                Sizes { peak: 0, ..sizes }.store(&txn)?;
                txn.commit()?;
            }
            Ok(db.close()?)
        })
        .map_err(|fault| file.tell(&fault))?;
        let after = size();
        done.push(Compacted {
            file: path,
            before,
            after,
        });
    }
    Ok(done)
}
