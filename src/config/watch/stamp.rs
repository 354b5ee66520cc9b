//! What files were found to be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::source::{self, Files};

/// What a file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Not there, or not readable.
    Absent,
    /// There, with nothing in it.
    Empty,
    /// There, with bytes of this digest.
    Bytes([u8; 32]),
}

impl Stamp {
    pub(super) fn of(digest: [u8; 32]) -> Self {
        let nothing: [u8; 32] = Sha256::digest(b"").into();
        if digest == nothing {
            Self::Empty
        } else {
            Self::Bytes(digest)
        }
    }

    pub(super) fn read(path: &Path) -> Self {
        match source::read_bounded(path, source::MAX_FILE) {
            Ok(Some(bytes)) => Self::of(Sha256::digest(&bytes).into()),
            // Too large: its size is what can be told of it.
            Ok(None) => std::fs::metadata(path).map_or(Self::Absent, |meta| {
                Self::Bytes(Sha256::digest(meta.len().to_be_bytes()).into())
            }),
            Err(_) => Self::Absent,
        }
    }
}

pub(super) type Seen = BTreeMap<PathBuf, Stamp>;

/// How the files were when they had come to rest.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Counts what was told.
    pub(super) count: u64,
    pub(super) seen: Arc<Seen>,
}

impl Told {
    /// Whether these files hold what was told.
    pub fn fits(&self, files: &Files) -> bool {
        files.iter().all(|file| {
            let seen = self.seen.get(&file.path);
            seen.is_none_or(|stamp| *stamp == Stamp::of(file.digest))
        })
    }

    /// Whether a file was away or empty, for long enough where it is an included one.
    pub fn is_gone(&self, path: &Path) -> bool {
        matches!(self.seen.get(path), Some(Stamp::Absent | Stamp::Empty))
    }
}
