//! Where the files lie: on disk or in memory. Behind a trait, so that tests can lend a disk that fails.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database};

use super::StoreError;
use super::holder::{self, Holder};
use super::open::Fault;
use crate::base::time::Timestamp;

/// Where one of the two files lies.
pub(super) trait Place: Send + Sync {
    /// The file as people know it.
    fn name(&self) -> String;

    /// Opens it, made anew where there is none. With `check` every page is verified first.
    fn open(&self, check: bool) -> Result<Database, Fault>;

    /// Who has its lock, where that can be told.
    fn holder(&self) -> Option<Holder> {
        None
    }

    /// Moves it away under a new name, which is returned.
    fn set_aside(&self) -> io::Result<String>;

    /// Its bytes, where it has at most `limit` of them.
    fn bytes(&self, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Makes it empty.
    fn clear(&self) -> io::Result<()>;

    /// What it takes of the disk, in bytes; `None` where that is unknown. Pages that were never written take nothing.
    fn used(&self) -> Option<u64>;

    /// Copies it, closed, beside itself, and gives the copy's name. A copy of this schema that is there already stays: it
    /// is the older one.
    fn copy_before(&self, schema: u32) -> io::Result<String>;
}

/// Bytes of redb's header page.
const HEADER_PAGE: usize = 4096;
/// Bytes of redb's mark at the file's begin.
const MARK: usize = 9;
/// More than a new file has before anything is written into it.
pub(super) const NEW_FILE: u64 = 16 << 20;

/// Whether the file's creation was cut off: redb writes its mark last, and nothing but the header before. Nothing was ever
/// stored in such a file.
pub(super) fn is_unborn(bytes: &[u8]) -> bool {
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

    fn holder(&self) -> Option<Holder> {
        holder::of(&self.path)
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

    fn used(&self) -> Option<u64> {
        let found = std::fs::metadata(&self.path).ok()?;
        Some(found.blocks() * 512)
    }

    fn copy_before(&self, schema: u32) -> io::Result<String> {
        let name = format!("{}.schema-{schema}", self.path.display());
        if !Path::new(&name).exists() {
            let part = format!("{name}.part");
            std::fs::copy(&self.path, &part)?;
            std::fs::File::open(&part)?.sync_all()?;
            std::fs::rename(&part, &name)?;
        }
        Ok(name)
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

    fn used(&self) -> Option<u64> {
        None
    }

    fn copy_before(&self, _schema: u32) -> io::Result<String> {
        Ok(self.name())
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
