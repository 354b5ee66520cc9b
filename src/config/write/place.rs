//! One file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use crate::config::write::{Keeper, Way, WriteError};

/// Puts `new` in the place of `expected`.
///
/// # Errors
/// See [`WriteError`]; the file then has what it had or what somebody else wrote.
pub fn save(
    path: &Path,
    expected: &[u8],
    new: &[u8],
    keeper: &dyn Keeper,
) -> Result<Way, WriteError> {
    let failed = |error| WriteError::of(path, error);
    let real = path.canonicalize().map_err(failed)?;
    let meta = real.metadata().map_err(failed)?;
    if meta.permissions().readonly() {
        return Err(WriteError::ReadOnly {
            file: path.to_owned(),
            reason: "nobody may write it".to_owned(),
        });
    }
    // Whoever may not write the file may not replace it either, also where the folder would let them.
    OpenOptions::new()
        .append(true)
        .open(&real)
        .map_err(failed)?;
    if std::fs::read(&real).map_err(failed)? != expected {
        return Err(WriteError::Conflict(path.to_owned()));
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    let beside = match beside(folder, &meta, new) {
        Ok(beside) => beside,
        Err(Beside::Unlike) => return in_place(path, &real, expected, new, keeper),
        Err(Beside::Io(error)) => return Err(failed(error)),
    };
    match exchange(&beside, &real) {
        Ok(()) => settle(path, &real, folder, beside, expected, new),
        Err(error) if cannot_rename(&error) => in_place(path, &real, expected, new, keeper),
        Err(error) if cannot_exchange(&error) => {
            if std::fs::read(&real).map_err(failed)? != expected {
                return Err(WriteError::Conflict(path.to_owned()));
            }
            match std::fs::rename(&beside, &real) {
                Ok(()) => {
                    drop(beside.keep());
                    sync(folder).map_err(failed)?;
                    Ok(Way::Renamed)
                }
                Err(error) if cannot_rename(&error) => in_place(path, &real, expected, new, keeper),
                Err(error) => Err(failed(error)),
            }
        }
        // Somebody took it away since it was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(WriteError::Conflict(path.to_owned()))
        }
        Err(error) => Err(failed(error)),
    }
}

enum Beside {
    /// It would not be the same file: its owner can't be given to another one, or it has other names that would keep the old
    /// text.
    Unlike,
    Io(io::Error),
}

impl From<io::Error> for Beside {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A file beside the real one, with its mode and owner, on the disk.
fn beside(folder: &Path, meta: &std::fs::Metadata, new: &[u8]) -> Result<TempPath, Beside> {
    if meta.nlink() > 1 {
        return Err(Beside::Unlike);
    }
    let mut file: NamedTempFile = tempfile::Builder::new()
        .prefix(".agp-")
        .suffix(".tmp")
        .tempfile_in(folder)?;
    let own = file.as_file().metadata()?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid())
        && fchown(file.as_file(), Some(meta.uid()), Some(meta.gid())).is_err()
    {
        return Err(Beside::Unlike);
    }
    // Behind the owner's change, which takes the set-id bits away.
    let mode = std::fs::Permissions::from_mode(meta.permissions().mode() & 0o7777);
    file.as_file().set_permissions(mode)?;
    file.write_all(new)?;
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

/// The new text is in place. What came out for it must be what the edit was made from; else it is somebody's save and goes
/// back. If what then comes out is not ours either, a third one saved in that moment: theirs is the newest and stays, and
/// the other text is left beside it.
fn settle(
    path: &Path,
    real: &Path,
    folder: &Path,
    beside: TempPath,
    expected: &[u8],
    new: &[u8],
) -> Result<Way, WriteError> {
    let failed = |error| WriteError::of(path, error);
    let same = |out: &[u8]| out == expected && path.canonicalize().is_ok_and(|now| now == real);
    if same(&std::fs::read(&beside).map_err(failed)?) {
        sync(folder).map_err(failed)?;
        // Somebody may have opened the old file before the exchange and written it since.
        if same(&std::fs::read(&beside).map_err(failed)?) {
            return Ok(Way::Exchanged);
        }
    }
    match exchange(&beside, real) {
        Ok(()) => {}
        // Somebody took ours away: the place is free for what was there before.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(match std::fs::rename(&beside, real) {
                Ok(()) => WriteError::Conflict(path.to_owned()),
                Err(error) => kept(path, beside, error),
            });
        }
        Err(error) => return Err(kept(path, beside, error)),
    }
    match std::fs::read(&beside) {
        Ok(out) if out == new => {
            sync(folder).map_err(failed)?;
            Err(WriteError::Conflict(path.to_owned()))
        }
        Ok(_) => {
            let error = exchange(&beside, real).err();
            let error = error.unwrap_or_else(|| io::Error::other("others saved it too"));
            Err(kept(path, beside, error))
        }
        Err(error) => Err(kept(path, beside, error)),
    }
}

/// Leaves the file beside where it is, since it holds somebody's text.
fn kept(path: &Path, beside: TempPath, error: io::Error) -> WriteError {
    match beside.keep() {
        Ok(beside) => WriteError::Unsettled {
            file: path.to_owned(),
            beside,
        },
        Err(_) => WriteError::of(path, error),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// renameat2(2): the kernel (ENOSYS) or the file system (EINVAL) does not know the exchange.
fn cannot_exchange(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

/// rename(2): the file is a mount point (EBUSY), or a mount of its own (EXDEV).
fn cannot_rename(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes the file itself, its old text kept first.
fn in_place(
    path: &Path,
    real: &Path,
    expected: &[u8],
    new: &[u8],
    keeper: &dyn Keeper,
) -> Result<Way, WriteError> {
    let failed = |error| WriteError::of(path, error);
    keeper.keep().map_err(failed)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(real)
        .map_err(failed)?;
    let mut found = Vec::new();
    file.read_to_end(&mut found).map_err(failed)?;
    if found != expected {
        return Err(WriteError::Conflict(path.to_owned()));
    }
    if let Err(error) = overwrite(&mut file, new) {
        // A full disk: the old text fits where it was.
        return Err(failed(match overwrite(&mut file, expected) {
            Ok(()) => error,
            Err(_) => io::Error::other(format!(
                "{error}; the journal has the old text, and the next start puts it back"
            )),
        }));
    }
    Ok(Way::InPlace)
}

fn overwrite(file: &mut File, text: &[u8]) -> io::Result<()> {
    file.seek(io::SeekFrom::Start(0))?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// Exchanges a file that has `there` with one that has "new", lets somebody do something, and settles it.
    fn settled(
        there: &str,
        meanwhile: impl FnOnce(&Path),
    ) -> (Result<Way, WriteError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (real, path) = (folder.path().join("real"), folder.path().join("agp.toml"));
        std::fs::write(&real, there).unwrap();
        std::fs::write(folder.path().join("other"), "other").unwrap();
        std::os::unix::fs::symlink("real", &path).unwrap();
        let meta = real.metadata().unwrap();
        let Ok(beside) = beside(folder.path(), &meta, b"new") else {
            panic!("no file beside it");
        };
        exchange(&beside, &real).unwrap();
        meanwhile(folder.path());
        let real = folder.path().canonicalize().unwrap().join("real");
        let result = settle(&path, &real, folder.path(), beside, b"old", b"new");
        (result, folder)
    }

    fn texts(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().path());
        let mut texts: Vec<String> = files
            .filter(|path| !path.is_symlink())
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        texts.sort();
        texts
    }

    fn real(folder: &Path) -> String {
        std::fs::read_to_string(folder.join("real")).unwrap()
    }

    #[test]
    fn what_was_expected_comes_out_and_goes() {
        let (result, folder) = settled("old", |_| {});
        assert_eq!(result.unwrap(), Way::Exchanged);
        assert_eq!(texts(folder.path()), ["new", "other"]);
        assert_eq!(real(folder.path()), "new");
    }

    #[test]
    fn what_was_saved_in_between_goes_back() {
        let (result, folder) = settled("theirs", |_| {});
        assert!(matches!(result, Err(WriteError::Conflict(_))));
        assert_eq!(texts(folder.path()), ["other", "theirs"]);
        assert_eq!(real(folder.path()), "theirs");
    }

    #[test]
    fn what_was_saved_over_it_stays_and_what_was_saved_before_is_kept() {
        let (result, folder) = settled("theirs", |f| {
            std::fs::write(f.join("real"), "third").unwrap();
        });
        let Err(WriteError::Unsettled { beside, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(real(folder.path()), "third");
        assert_eq!(std::fs::read_to_string(beside).unwrap(), "theirs");
        assert_eq!(texts(folder.path()), ["other", "theirs", "third"]);
    }

    #[test]
    fn what_is_taken_away_leaves_its_place_to_what_was_there() {
        let (result, folder) = settled("theirs", |f| {
            std::fs::remove_file(f.join("real")).unwrap();
        });
        assert!(matches!(result, Err(WriteError::Conflict(_))));
        assert_eq!(texts(folder.path()), ["other", "theirs"]);
    }

    #[test]
    fn a_link_that_leads_elsewhere_by_now_is_a_conflict() {
        let (result, folder) = settled("old", |f| {
            std::os::unix::fs::symlink("other", f.join("link")).unwrap();
            std::fs::rename(f.join("link"), f.join("agp.toml")).unwrap();
        });
        assert!(matches!(result, Err(WriteError::Conflict(_))));
        assert_eq!(texts(folder.path()), ["old", "other"]);
        assert_eq!(real(folder.path()), "old");
    }
}
