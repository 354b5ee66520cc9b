//! Saving the texts of an edit so that nobody's save is lost.
//!
//! A file is written beside itself and then *exchanged* with what is there, where the system can: what comes out must be
//! the bytes that the edit was made from. If somebody saved in between it is not, and is put back at once; the caller hears
//! of a conflict. Where the system can't exchange, the file is compared once more and then replaced by a rename; where a
//! rename is impossible too, as on a mount of a single file, it is written in place once a journal has the old text.
//!
//! Links are followed, mode and owner stay, the folder is synced. What can't be promised: a program that opened the file
//! before the exchange without cutting it, and writes into it after the last look, writes into the old file.

mod place;
mod plan;

use std::io;
use std::path::{Path, PathBuf};

pub use place::save;
pub use plan::{Found, Journal, Plan, Recovered, Recovery, Step, recover, save_all};

/// What [`save`] needs of its caller.
pub trait Keeper {
    /// Called before a file is written in place, where a crash in the middle would lose its old text: both texts must be
    /// kept from then on.
    ///
    /// # Errors
    /// Why they can't be kept; the file is then not touched.
    fn keep(&self) -> io::Result<()>;
}

/// How a file was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Exchanged, so that nothing can have been lost.
    Exchanged,
    /// Renamed over the file.
    Renamed,
    /// Written in place.
    InPlace,
}

/// Why a file was not saved. Nothing of it holds the text.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else saved it; theirs is there.
    #[error("`{}` has been changed by somebody else in the meantime: nothing of it is overwritten", .0.display())]
    Conflict(PathBuf),
    /// Somebody else saved it again and again; one of their texts stands in the file, another one beside it.
    #[error("`{}` has been changed by several others at once: one text stands in it, another one in `{}`", file.display(), beside.display())]
    Unsettled {
        /// The file.
        file: PathBuf,
        /// Where the other text is.
        beside: PathBuf,
    },
    /// The file or its folder can't be written.
    #[error("`{}` can't be written here ({reason}): commit the change as a patch where the file is kept", file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something else went wrong; the file is as it was.
    #[error("can't write `{}`: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

impl WriteError {
    /// The error for a file: what can't be written, or anything else.
    fn of(file: &Path, error: io::Error) -> Self {
        let file = file.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly {
                file,
                reason: error.to_string(),
            },
            _ => Self::Io { file, error },
        }
    }
}

#[cfg(test)]
mod tests;
