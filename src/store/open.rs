//! Opening the two files: modes, lock, schema, damage. Where a file lies is behind [`Place`], so that tests can lend
//! one that fails.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::StoreError;
use super::table::{self, META, META_NEEDS, META_SCHEMA};
use crate::base::time::Timestamp;

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
                StoreError::Locked { file }
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

/// Where one of the two files lies.
pub(super) trait Place: Send + Sync {
    /// The file as people know it.
    fn name(&self) -> String;

    /// Opens it, made anew where there is none. With `check` every page is verified first.
    fn open(&self, check: bool) -> Result<Database, Fault>;

    /// Moves it away under a new name, which is returned.
    fn set_aside(&self) -> io::Result<String>;

    /// Its bytes, where it has at most `limit` of them.
    fn bytes(&self, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Makes it empty.
    fn clear(&self) -> io::Result<()>;
}

/// Bytes of redb's header page.
const HEADER_PAGE: usize = 4096;
/// Bytes of redb's mark at the file's begin.
const MARK: usize = 9;
/// More than a new file has before anything is written into it.
const NEW_FILE: u64 = 16 << 20;

/// Whether the file's creation was cut off: redb writes its mark last, and nothing but the header before. Nothing was ever
/// stored in such a file.
fn is_unborn(bytes: &[u8]) -> bool {
    let (header, pages) = bytes.split_at(bytes.len().min(HEADER_PAGE));
    let zero = |part: &[u8]| part.iter().all(|&b| b == 0);
    !bytes.is_empty() && zero(&header[..header.len().min(MARK)]) && zero(pages)
}

/// A file on disk.
#[derive(Debug)]
pub(super) struct FilePlace {
    path: PathBuf,
    cache: usize,
    checked: u64,
}

impl FilePlace {
    /// A file that redb keeps `cache` bytes of in memory.
    pub(super) fn new(path: PathBuf, cache: usize) -> Self {
        Self {
            path,
            cache,
            checked: 0,
        }
    }

    /// The same, verified at each opening as long as it has at most so many bytes.
    pub(super) fn checked_up_to(mut self, bytes: u64) -> Self {
        self.checked = bytes;
        self
    }
}

impl Place for FilePlace {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&self, check: bool) -> Result<Database, Fault> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        let found = file.metadata()?;
        if found.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let check = check || (found.len() > 0 && found.len() <= self.checked);
        let backend = FileBackend::new(file)?;
        Ok(Builder::new()
            .set_cache_size(self.cache)
            .set_check_integrity_on_open(check)
            .create_with_backend(backend)?)
    }

    fn set_aside(&self) -> io::Result<String> {
        let stamp = Timestamp::now().as_millis();
        let name = format!("{}.damaged-{stamp}", self.path.display());
        std::fs::rename(&self.path, &name)?;
        Ok(name)
    }

    fn bytes(&self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if std::fs::metadata(&self.path)?.len() > limit {
            return Ok(None);
        }
        std::fs::read(&self.path).map(Some)
    }

    fn clear(&self) -> io::Result<()> {
        OpenOptions::new().write(true).open(&self.path)?.set_len(0)
    }
}

/// No file at all: what is written is gone with the handle.
#[derive(Debug)]
pub(super) struct MemoryPlace(pub(super) &'static str);

impl Place for MemoryPlace {
    fn name(&self) -> String {
        format!("{} (in memory)", self.0)
    }

    fn open(&self, check: bool) -> Result<Database, Fault> {
        Ok(Builder::new()
            .set_check_integrity_on_open(check)
            .create_with_backend(redb::backends::InMemoryBackend::new())?)
    }

    fn set_aside(&self) -> io::Result<String> {
        Ok(self.name())
    }

    fn bytes(&self, _limit: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn clear(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the store's folder with mode 0700 where there is none. One that is there keeps its mode, which may be the
/// operator's choice; the files in it are 0600 in any case.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| StoreError::Disk {
            file: dir.display().to_string(),
            detail: e.to_string(),
        })
}

/// An open file that can be closed and opened again while others read it.
pub(super) struct File {
    pub(super) place: Box<dyn Place>,
    schema: u32,
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
            tables: |txn| {
                txn.open_table(table::TOKEN)?;
                txn.open_table(table::ACCOUNT)?;
                txn.open_table(table::QUOTA)?;
                txn.open_table(table::COOLDOWN)?;
                txn.open_table(table::SIGNATURE)?;
                txn.open_table(table::SIGNATURE_SEEN)?;
                txn.open_table(table::SIGNATURE_BY_AGE)?;
                txn.open_table(table::SIGNATURE_BY_CALL)?;
                Ok(())
            },
            verify: |txn| {
                txn.open_table(table::TOKEN)?;
                txn.open_table(table::ACCOUNT)?;
                txn.open_table(table::QUOTA)?;
                txn.open_table(table::COOLDOWN)?;
                txn.open_table(table::SIGNATURE)?;
                txn.open_table(table::SIGNATURE_SEEN)?;
                txn.open_table(table::SIGNATURE_BY_AGE)?;
                txn.open_table(table::SIGNATURE_BY_CALL)?;
                Ok(())
            },
            db: RwLock::new(None),
        }
    }

    /// `agp-log.redb`, not yet open.
    pub(super) fn log(place: Box<dyn Place>) -> Self {
        Self {
            place,
            schema: table::LOG_SCHEMA,
            tables: |txn| {
                txn.open_table(table::LOG)?;
                txn.open_table(table::TRY)?;
                txn.open_table(table::USAGE)?;
                Ok(())
            },
            verify: |txn| {
                txn.open_table(table::LOG)?;
                txn.open_table(table::TRY)?;
                txn.open_table(table::USAGE)?;
                Ok(())
            },
            db: RwLock::new(None),
        }
    }

    /// The same error for people.
    pub(super) fn tell(&self, fault: &Fault) -> StoreError {
        fault.tell(&self.place.name(), self.schema)
    }

    /// Opens the file, or opens it again. With `check` every page is verified first.
    pub(super) fn open(&self, check: bool) -> Result<(), Fault> {
        self.close();
        let opened = || {
            guarded(|| {
                let db = self.place.open(check)?;
                self.prepare(&db)?;
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

    /// Checks the schema, and lays the tables where the file is new.
    fn prepare(&self, db: &Database) -> Result<(), Fault> {
        let txn = db.begin_read()?;
        let found = match txn.open_table(META) {
            Ok(meta) => {
                let schema = meta.get(META_SCHEMA)?;
                let needs = meta.get(META_NEEDS)?;
                schema
                    .and_then(|s| table::decode::<u32>(s.value()))
                    .map(|s| {
                        let needs = needs.and_then(|n| table::decode::<String>(n.value()));
                        (s, needs.unwrap_or_default())
                    })
            }
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(e) => return Err(e.into()),
        };
        if let Some((found, needs)) = found {
            return if found > self.schema {
                Err(Fault::Newer { found, needs })
            } else {
                (self.verify)(&txn)
            };
        }
        if txn.list_tables()?.next().is_some() {
            let text = "it holds tables, but no schema number".to_owned();
            return Err(Fault::Db(redb::Error::Corrupted(text)));
        }
        drop(txn);
        let txn = db.begin_write()?;
        let put = |name, value: Option<Vec<u8>>| -> Result<(), Fault> {
            txn.open_table(META)?
                .insert(name, value.unwrap_or_default().as_slice())?;
            Ok(())
        };
        put(META_SCHEMA, table::encode(&self.schema))?;
        put(META_NEEDS, table::encode(&env!("CARGO_PKG_VERSION")))?;
        (self.tables)(&txn)?;
        txn.commit()?;
        Ok(())
    }
}

/// Runs `f`; a panic inside becomes [`Fault::Panic`]. redb may panic on a file that others altered.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(Fault::Panic))
}
