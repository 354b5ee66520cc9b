//! The identity file: an age identity file as `age-keygen` writes one, mode 0600.
//!
//! It is replaced in one way only, a [`Turn`]: a new identity is put in front of the old text, which goes on to open what
//! was sealed before; once nothing needs it any more, the old text moves into a file beside. A crash leaves one of the
//! two states, and in both everything opens.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::base::time::Timestamp;
use crate::config::seal::{Identity, SealError};
use crate::config::source::read_bounded;

/// Largest identity file in bytes.
const MAX_IDENTITY: u64 = 64 << 10;
/// How the names of files begin that are being written.
const PART: &str = ".agp-identity";
/// One of these that is older was given up.
const STALE: Duration = Duration::from_hours(1);
/// The line above an old text.
const OLD: &str = "# what follows is the old identity, until `agp rotate` is done";

impl Identity {
    /// Reads the identity file; `None` where there is none.
    ///
    /// # Errors
    /// A file that others can read, that can't be read, or that holds no identity.
    pub fn load_or_none(path: &Path) -> Result<Option<Self>, SealError> {
        match read(path)? {
            Some(text) => parse(path, &text).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the identity file where something is sealed, so that it must be there.
    ///
    /// # Errors
    /// As [`Self::load_or_none`], and a missing file; the message names `expected`, the recipients that what is sealed
    /// names.
    pub fn load(path: &Path, expected: &[String]) -> Result<Self, SealError> {
        Self::load_or_none(path)?.ok_or_else(|| SealError::Missing {
            path: path.to_owned(),
            expected: expected.to_vec(),
        })
    }

    /// Makes a new identity and writes its file, mode 0600, with its folder (mode 0700) where that is not there.
    ///
    /// # Errors
    /// A file that is there already, whatever it holds, or that can't be written.
    pub fn create(path: &Path) -> Result<Self, SealError> {
        let io = |error| io_error(path, error);
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            create_folder(folder).map_err(io)?;
        }
        let (identity, text) = made();
        // Written beside and linked in: a crash leaves no half file, and an existing one is never replaced.
        let file = beside(path, &text, None)?;
        match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(SealError::Exists(path.to_owned()));
            }
            Err(e) => return Err(io(e.error)),
        }
        sync_folder(path);
        Ok(identity)
    }
}

/// A change of identity under way. Only one is at a time.
#[derive(Debug)]
pub struct Turn {
    /// The file itself, links followed.
    path: PathBuf,
    /// The new identity and the old ones.
    identity: Identity,
    /// Whether an earlier one was interrupted.
    resumed: bool,
    /// Held while it is under way.
    _lock: std::fs::File,
}

impl Turn {
    /// Puts a new identity in front of the old ones, or goes on with a turn that was interrupted.
    ///
    /// # Errors
    /// As [`Identity::load`], a file that can't be written, or another turn that is under way.
    pub fn begin(path: &Path, expected: &[String]) -> Result<Self, SealError> {
        if let Some(turn) = Self::resume(path)? {
            return Ok(turn);
        }
        let (path, lock) = lock(path, expected)?;
        let old = read(&path)?.ok_or_else(|| SealError::NoIdentity(path.clone()))?;
        parse(&path, &old)?;
        let (_, new) = made();
        let mut text = Zeroizing::new(String::with_capacity(new.len() + OLD.len() + old.len() + 1));
        for part in [new.as_str(), OLD, "\n", old.as_str()] {
            text.push_str(part);
        }
        replace(&path, &text)?;
        Ok(Self {
            identity: parse(&path, &text)?,
            path,
            resumed: false,
            _lock: lock,
        })
    }

    /// A turn that was interrupted; `None` where none was.
    ///
    /// # Errors
    /// As [`Self::begin`], but for a file that is not there.
    pub fn resume(path: &Path) -> Result<Option<Self>, SealError> {
        let begun = |text: &str| split(text).is_some();
        if !read(path)?.is_some_and(|text| begun(&text)) {
            return Ok(None);
        }
        let (path, lock) = lock(path, &[])?;
        // Again, since whoever held the lock may have ended it.
        let Some(text) = read(&path)?.filter(|text| begun(text)) else {
            return Ok(None);
        };
        Ok(Some(Self {
            identity: parse(&path, &text)?,
            path,
            resumed: true,
            _lock: lock,
        }))
    }

    /// The new identity, which opens what the old ones open.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it goes on with one that was interrupted.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Takes the old identities out of the file, into one beside it, whose path is given. To be called once all is sealed
    /// for the new one.
    ///
    /// # Errors
    /// A file that can't be written. The identity file is then as before.
    pub fn end(self) -> Result<PathBuf, SealError> {
        let text = read(&self.path)?.ok_or_else(|| SealError::NoIdentity(self.path.clone()))?;
        let Some((new, old)) = split(&text) else {
            return Err(SealError::Busy(self.path));
        };
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".before-rotate-{}", Timestamp::now().as_millis()));
        let aside = PathBuf::from(name);
        let owner = std::fs::metadata(&self.path).ok();
        let io = |error| io_error(&aside, error);
        let kept = beside(&aside, old, owner.as_ref())?;
        kept.persist_noclobber(&aside).map_err(|e| io(e.error))?;
        sync_folder(&aside);
        replace(&self.path, new)?;
        Ok(aside)
    }
}

/// The new part and the old one of a file whose identity is being changed.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == OLD {
            return Some((&text[..at], &text[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// What a killed process left of a file that it was writing, and that nobody can be writing now.
fn sweep(folder: &Path) {
    let old = |path: &Path| {
        let written = std::fs::metadata(path).and_then(|meta| meta.modified());
        written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PART) && old(&path) {
            // It holds an identity that nothing was sealed for, or a copy: what can't be removed does no harm.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Locks the folder of the file, links followed.
fn lock(path: &Path, expected: &[String]) -> Result<(PathBuf, std::fs::File), SealError> {
    let path = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SealError::Missing {
            path: path.to_owned(),
            expected: expected.to_vec(),
        },
        _ => io_error(path, error),
    })?;
    let folder = std::fs::File::open(folder_of(&path)).map_err(|e| io_error(&path, e))?;
    match folder.try_lock() {
        Ok(()) => {
            sweep(folder_of(&path));
            Ok((path, folder))
        }
        Err(std::fs::TryLockError::WouldBlock) => Err(SealError::Busy(path)),
        Err(std::fs::TryLockError::Error(error)) => Err(io_error(&path, error)),
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, SealError> {
    let io = |error| io_error(path, error);
    match std::fs::metadata(path) {
        Ok(meta) => check_mode(path, &meta)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    }
    let bytes = read_bounded(path, MAX_IDENTITY)
        .map_err(io)?
        .ok_or_else(|| SealError::NoIdentity(path.to_owned()))?;
    let bytes = Zeroizing::new(bytes);
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
        Err(_) => Err(SealError::NoIdentity(path.to_owned())),
    }
}

fn parse(path: &Path, text: &str) -> Result<Identity, SealError> {
    let mut all = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.parse::<age::x25519::Identity>().ok());
    let present = all
        .next()
        .ok_or_else(|| SealError::NoIdentity(path.to_owned()))?;
    Ok(Identity {
        present,
        others: all.collect(),
    })
}

/// A new identity, and the text of its file.
fn made() -> (Identity, Zeroizing<String>) {
    let identity = age::x25519::Identity::generate();
    let secret = identity.to_string();
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str("# The age identity of this gateway. Whoever has it can open what is sealed: keep a copy, in a safe place.\n");
    let _ = writeln!(text, "# public key: {}", identity.to_public());
    text.push_str(secret.expose_secret());
    text.push('\n');
    let identity = Identity {
        present: identity,
        others: Vec::new(),
    };
    (identity, text)
}

/// Writes a file beside `path`, mode 0600, down to the disk. With `owner` it belongs to whom that file belongs to.
fn beside(
    path: &Path,
    text: &str,
    owner: Option<&std::fs::Metadata>,
) -> Result<tempfile::NamedTempFile, SealError> {
    let io = |error| io_error(path, error);
    let mut file = tempfile::Builder::new()
        .prefix(PART)
        .tempfile_in(folder_of(path))
        .map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    #[cfg(unix)]
    if let Some(owner) = owner {
        use std::os::unix::fs::MetadataExt as _;

        let made = file.as_file().metadata().map_err(io)?;
        if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) {
            let (uid, gid) = (Some(owner.uid()), Some(owner.gid()));
            std::os::unix::fs::fchown(file.as_file(), uid, gid).map_err(io)?;
        }
    }
    file.as_file().sync_all().map_err(io)?;
    Ok(file)
}

/// Puts another text in the place of the file in one step.
fn replace(path: &Path, text: &str) -> Result<(), SealError> {
    let owner = std::fs::metadata(path).map_err(|e| io_error(path, e))?;
    let file = beside(path, text, Some(&owner))?;
    file.persist(path).map_err(|e| io_error(path, e.error))?;
    sync_folder(path);
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes a renaming last, where the folder can be synced.
fn sync_folder(path: &Path) {
    let _ = std::fs::File::open(folder_of(path)).and_then(|f| f.sync_all());
}

fn io_error(path: &Path, error: std::io::Error) -> SealError {
    SealError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, meta: &std::fs::Metadata) -> Result<(), SealError> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = meta.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        Ok(())
    } else {
        Err(SealError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _meta: &std::fs::Metadata) -> Result<(), SealError> {
    Ok(())
}

#[cfg(unix)]
fn create_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn create_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::base::secret::Secret;

    fn made_file() -> (tempfile::TempDir, PathBuf, Identity) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id.txt");
        let identity = Identity::create(&path).unwrap();
        (dir, path, identity)
    }

    fn load(path: &Path) -> Identity {
        Identity::load_or_none(path).unwrap().unwrap()
    }

    #[test]
    fn a_turn_opens_old_and_new_until_it_ends_and_keeps_the_old_beside() {
        let (_dir, path, old) = made_file();
        let text = std::fs::read_to_string(&path).unwrap();
        let before = old.seal(&Secret::new("before")).unwrap();
        let turn = Turn::begin(&path, &[]).unwrap();
        assert!(!turn.is_resumed());
        let new = turn.identity().clone();
        assert_ne!(new.recipient(), old.recipient());
        let after = new.seal(&Secret::new("after")).unwrap();
        assert!(old.open(&after).is_err(), "sealed for the new one only");
        // As any other program finds it meanwhile.
        let between = load(&path);
        assert_eq!(between.recipient(), new.recipient());
        assert_eq!(between.open(&before).unwrap().expose(), "before");
        assert_eq!(between.open(&after).unwrap().expose(), "after");

        let aside = turn.end().unwrap();
        let left = load(&path);
        assert_eq!(left.open(&after).unwrap().expose(), "after");
        assert!(left.open(&before).is_err());
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), text);
        assert_eq!(load(&aside).open(&before).unwrap().expose(), "before");
        for file in [&path, &aside] {
            let mode = std::fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
        assert!(Turn::resume(&path).unwrap().is_none());
    }

    #[test]
    fn an_interrupted_turn_is_gone_on_with_and_makes_no_third_identity() {
        let (_dir, path, old) = made_file();
        let new = Turn::begin(&path, &[]).unwrap().identity().recipient();
        let told = |turn: &Turn| (turn.identity().recipient(), turn.is_resumed());
        assert_eq!(told(&Turn::begin(&path, &[]).unwrap()), (new.clone(), true));
        let resumed = Turn::resume(&path).unwrap().unwrap();
        assert_eq!(told(&resumed), (new, true));
        let sealed = old.seal(&Secret::new("x")).unwrap();
        assert!(load(&path).open(&sealed).is_ok());
    }

    #[test]
    fn two_turns_are_not_at_once_and_links_are_followed() {
        let (dir, path, _) = made_file();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("id.txt", &link).unwrap();
        let turn = Turn::begin(&link, &[]).unwrap();
        assert!(matches!(Turn::begin(&path, &[]), Err(SealError::Busy(_))));
        assert!(matches!(Turn::resume(&path), Err(SealError::Busy(_))));
        turn.end().unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(Turn::begin(&path, &[]).is_ok());
    }

    #[test]
    fn what_a_killed_process_left_is_swept_away_later() {
        let (dir, path, _) = made_file();
        let left = |name: &str, hours: u64| {
            let path = dir.path().join(name);
            let file = std::fs::File::create(&path).unwrap();
            let age = Duration::from_hours(hours);
            let now = file.metadata().unwrap().modified().unwrap();
            file.set_modified(now - age).unwrap();
            path
        };
        let (old, new, other) = (
            left(".agp-identityX", 2),
            left(".agp-identityY", 0),
            left("agp.redb", 2),
        );
        drop(Turn::begin(&path, &[]).unwrap());
        assert!(!old.exists() && new.exists() && other.exists());
    }

    #[test]
    fn a_turn_needs_an_identity() {
        let dir = tempfile::tempdir().unwrap();
        let error = Turn::begin(&dir.path().join("none"), &["age1x".into()]).unwrap_err();
        assert!(error.to_string().contains("`age1x`"), "{error}");
    }
}
