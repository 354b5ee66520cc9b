//! Opening the two files, and opening them again: lock, schema, damage.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::RwLock;
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, TableDefinition, Value, WriteTransaction,
};

use super::StoreError;
use super::migrate;
use super::place::{NEW_FILE, Place, is_unborn};
use super::table::{self, META, META_NEEDS, META_SCHEMA, Visit};

/// Why an operation on a file failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// redb or the disk under it.
    Db(redb::Error),
    /// The data key could not be made, wrapped or used.
    Key(String),
    /// redb panicked, as it may on a file that was altered by others.
    Panic,
    /// The file is of a newer agp.
    Newer { found: u32, needs: String },
}

macro_rules! fault_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Db(error.into())
            }
        }
    )*};
}

fault_from!(
    redb::Error,
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::CompactionError,
    io::Error
);

impl Fault {
    /// Whether the file's content is at fault, so that trying again can't help.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Panic => true,
            Self::Db(error) => match error {
                redb::Error::Io(e) => matches!(
                    e.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ),
                redb::Error::Corrupted(_)
                | redb::Error::UpgradeRequired(_)
                | redb::Error::RepairAborted
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::TableIsMultimap(_)
                | redb::Error::TypeDefinitionChanged { .. }
                | redb::Error::TableDoesNotExist(_) => true,
                _ => false,
            },
            Self::Key(_) | Self::Newer { .. } => false,
        }
    }

    /// The same for people.
    pub(super) fn tell(&self, file: &str, known: u32) -> StoreError {
        let file = file.to_owned();
        match self {
            Self::Newer { found, needs } => StoreError::Newer {
                file,
                found: *found,
                known,
                needs: needs.clone(),
            },
            Self::Key(text) => StoreError::Key(text.clone()),
            Self::Panic => StoreError::Damaged {
                file,
                detail: "its pages contradict each other".to_owned(),
            },
            Self::Db(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
                StoreError::Locked { file, holder: None }
            }
            Self::Db(error) if self.is_damage() => StoreError::Damaged {
                file,
                detail: error.to_string(),
            },
            Self::Db(error) => StoreError::Disk {
                file,
                detail: error.to_string(),
            },
        }
    }
}

/// Makes each table that is not there.
struct Lay<'a>(&'a WriteTransaction);

impl Visit for Lay<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        self.0.open_table(table)?;
        Ok(())
    }
}

/// Checks that each table is there, with the right types.
struct Verify<'a>(&'a ReadTransaction);

impl Visit for Verify<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        self.0.open_table(table)?;
        Ok(())
    }
}

/// Lays the tables of `agp.redb`; those that are there stay.
pub(super) fn lay_state(txn: &WriteTransaction) -> Result<(), Fault> {
    table::visit_state(&mut Lay(txn))
}

/// Lays the tables of `agp-log.redb`; those that are there stay.
pub(super) fn lay_log(txn: &WriteTransaction) -> Result<(), Fault> {
    table::visit_log(&mut Lay(txn))
}

/// An open file that can be closed and opened again while others read it.
pub(super) struct File {
    pub(super) place: Box<dyn Place>,
    schema: u32,
    /// From each older schema to the next: the first is from schema 1.
    steps: &'static [migrate::Migration],
    /// Lays the tables.
    tables: fn(&WriteTransaction) -> Result<(), Fault>,
    /// Whether they are there, with the right types.
    verify: fn(&ReadTransaction) -> Result<(), Fault>,
    db: RwLock<Option<Database>>,
}

impl File {
    /// `agp.redb`, not yet open.
    pub(super) fn state(place: Box<dyn Place>) -> Self {
        Self {
            place,
            schema: table::STATE_SCHEMA,
            steps: migrate::STATE,
            tables: lay_state,
            verify: |txn| table::visit_state(&mut Verify(txn)),
            db: RwLock::new(None),
        }
    }

    /// `agp-log.redb`, not yet open.
    pub(super) fn log(place: Box<dyn Place>) -> Self {
        Self {
            place,
            schema: table::LOG_SCHEMA,
            steps: migrate::LOG,
            tables: lay_log,
            verify: |txn| table::visit_log(&mut Verify(txn)),
            db: RwLock::new(None),
        }
    }

    /// The same error for people.
    pub(super) fn tell(&self, fault: &Fault) -> StoreError {
        match fault.tell(&self.place.name(), self.schema) {
            StoreError::Locked { file, .. } => StoreError::Locked {
                file,
                holder: self.place.holder(),
            },
            error => error,
        }
    }

    /// Opens the file, or opens it again. With `check` every page is verified first.
    pub(super) fn open(&self, check: bool) -> Result<(), Fault> {
        self.close();
        let opened = || {
            guarded(|| {
                let db = self.place.open(check)?;
                let Some(found) = self.prepare(&db)? else {
                    return Ok(db);
                };
                db.close()?;
                let copy = self.place.copy_before(found)?;
                let file = self.place.name();
                tracing::info!(file, copy, found, now = self.schema, "migrating a store");
                let db = self.place.open(false)?;
                migrate::run(&db, self.steps, found, self.schema)?;
                (self.verify)(&db.begin_read()?)?;
                Ok(db)
            })
        };
        let db = match opened() {
            Err(fault) if fault.is_damage() && self.is_unborn() => {
                self.place.clear()?;
                opened()?
            }
            other => other?,
        };
        *self.db.write() = Some(db);
        Ok(())
    }

    fn is_unborn(&self) -> bool {
        let bytes = self.place.bytes(NEW_FILE);
        matches!(bytes, Ok(Some(bytes)) if is_unborn(&bytes))
    }

    /// As [`Self::open`]; a damaged file is moved away and begun anew, and its new name returned.
    pub(super) fn open_or_renew(&self, check: bool) -> Result<Option<String>, Fault> {
        match self.open(check) {
            Err(fault) if fault.is_damage() => {
                let aside = self.place.set_aside()?;
                tracing::warn!(
                    file = self.place.name(),
                    aside,
                    error = %self.tell(&fault),
                    "damaged log set aside and begun anew"
                );
                self.open(false)?;
                Ok(Some(aside))
            }
            other => other.map(|()| None),
        }
    }

    /// Closes the file; reads under way fail.
    pub(super) fn close(&self) {
        let db = self.db.write().take();
        // What redb writes on closing only spares the next opening a repair: a failure costs nothing else.
        let _ = guarded(|| Ok(db.map(Database::close).transpose()?));
    }

    /// Begins to write. Only the writer thread does.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Fault> {
        match &*self.db.read() {
            Some(db) => Ok(db.begin_write()?),
            None => Err(Fault::Db(redb::Error::DatabaseClosed)),
        }
    }

    /// Reads a consistent view. A panic of redb's on a damaged file comes back as an error.
    pub(super) fn read<T>(
        &self,
        f: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        guarded(|| {
            let txn = match &*self.db.read() {
                Some(db) => db.begin_read()?,
                None => return Err(Fault::Db(redb::Error::DatabaseClosed)),
            };
            f(&txn)
        })
        .map_err(|fault| self.tell(&fault))
    }

    /// The schema of a file, which is an older or the present one. Changes nothing.
    pub(super) fn inspect(&self, db: &Database) -> Result<u32, Fault> {
        let txn = db.begin_read()?;
        match schema(&txn)? {
            Some((found, needs)) if found > self.schema => Err(Fault::Newer { found, needs }),
            Some((found, _)) if found < self.schema => Ok(found),
            Some((found, _)) => (self.verify)(&txn).map(|()| found),
            None => {
                let text = "it holds no schema number".to_owned();
                Err(Fault::Db(redb::Error::Corrupted(text)))
            }
        }
    }

    /// Checks the schema, and lays the tables where the file is new. Gives the schema of a file that must be migrated.
    fn prepare(&self, db: &Database) -> Result<Option<u32>, Fault> {
        let txn = db.begin_read()?;
        if schema(&txn)?.is_some() {
            drop(txn);
            return Ok(Some(self.inspect(db)?).filter(|found| *found < self.schema));
        }
        if txn.list_tables()?.next().is_some() {
            let text = "it holds tables, but no schema number".to_owned();
            return Err(Fault::Db(redb::Error::Corrupted(text)));
        }
        drop(txn);
        let txn = db.begin_write()?;
        migrate::mark(&txn, self.schema)?;
        (self.tables)(&txn)?;
        txn.commit()?;
        Ok(None)
    }
}

/// The schema's number and the agp that it needs; `None` where nothing was ever written.
fn schema(txn: &ReadTransaction) -> Result<Option<(u32, String)>, Fault> {
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let schema = meta.get(META_SCHEMA)?;
    let Some(schema) = schema.and_then(|s| table::decode::<u32>(s.value())) else {
        return Ok(None);
    };
    let needs = meta.get(META_NEEDS)?;
    let needs = needs.and_then(|n| table::decode::<String>(n.value()));
    Ok(Some((schema, needs.unwrap_or_default())))
}

/// Runs `f`; a panic inside becomes [`Fault::Panic`]. redb may panic on a file that others altered.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(Fault::Panic))
}
