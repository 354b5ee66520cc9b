//! The age identity: what seals values for the file, opens them, and wraps the store's data key.
//!
//! It is made on first need only ([`Identity::create`]) and never replaced. [`may_create`] says when making one would be
//! wrong: where something is sealed already, a missing identity is an error, not a reason for a new one.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::config::source::read_bounded;
use crate::config::value::SEALED;

/// Largest identity file in bytes.
const MAX_IDENTITY: u64 = 64 << 10;

/// What is wrong with the identity or with what it should open. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no identity file, but something is sealed.
    #[error("identity file `{path}` is missing{}; put back the file that belongs to what is sealed", wanted(.expected.as_deref()))]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The recipient that the sealed things were made for, where that is known.
        expected: Option<String>,
    },
    /// The identity is not the one that sealed this.
    #[error("the identity of recipient `{found}` does not open this{}", wanted(.expected.as_deref()))]
    Wrong {
        /// The recipient of the identity that is there.
        found: String,
        /// The recipient that the sealed things were made for, where that is known.
        expected: Option<String>,
    },
    /// Others can read the file.
    #[error(
        "identity file `{path}` can be read by others than its owner (mode {mode:04o}): run `chmod 600 {path}`"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is one already.
    #[error("identity file `{0}` exists already and is never overwritten")]
    Exists(PathBuf),
    /// The file holds no identity.
    #[error(
        "identity file `{0}` holds no age identity: expected a line that begins with `AGE-SECRET-KEY-1`"
    )]
    NoIdentity(PathBuf),
    /// The file can't be read or written.
    #[error("identity file `{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The sealed text or wrapped bytes are damaged.
    #[error("not a sealed value, or a damaged one: {0}")]
    Damaged(String),
}

fn wanted(recipient: Option<&str>) -> String {
    recipient
        .map(|r| format!(", expected the one of recipient `{r}`"))
        .unwrap_or_default()
}

/// Whether an identity may be made: never where one was used before.
pub fn may_create(file_has_sealed: bool, store_has_encrypted: bool) -> bool {
    !file_has_sealed && !store_has_encrypted
}

/// An age X25519 identity.
#[derive(Clone)]
pub struct Identity(age::x25519::Identity);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.recipient()).finish()
    }
}

impl Identity {
    /// Reads the identity file; `None` where there is none.
    ///
    /// # Errors
    /// A file that others can read, that can't be read, or that holds no identity.
    pub fn load_or_none(path: &Path) -> Result<Option<Self>, SealError> {
        let io = |error| SealError::Io {
            path: path.to_owned(),
            error,
        };
        match std::fs::metadata(path) {
            Ok(meta) => check_mode(path, &meta)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
        }
        let bytes = read_bounded(path, MAX_IDENTITY)
            .map_err(io)?
            .ok_or_else(|| SealError::NoIdentity(path.to_owned()))?;
        let bytes = Zeroizing::new(bytes);
        let text =
            std::str::from_utf8(&bytes).map_err(|_| SealError::NoIdentity(path.to_owned()))?;
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .find_map(|line| line.parse().ok())
            .map(|identity| Some(Self(identity)))
            .ok_or_else(|| SealError::NoIdentity(path.to_owned()))
    }

    /// Reads the identity file where something is sealed, so that it must be there.
    ///
    /// # Errors
    /// As [`Self::load_or_none`], and a missing file; the message names `expected`, the recipient recorded beside what
    /// is sealed, where one is.
    pub fn load(path: &Path, expected: Option<&str>) -> Result<Self, SealError> {
        let identity = Self::load_or_none(path)?.ok_or_else(|| SealError::Missing {
            path: path.to_owned(),
            expected: expected.map(str::to_owned),
        })?;
        match expected {
            Some(recipient) if recipient != identity.recipient() => Err(SealError::Wrong {
                found: identity.recipient(),
                expected: Some(recipient.to_owned()),
            }),
            _ => Ok(identity),
        }
    }

    /// Makes a new identity and writes its file, mode 0600, with its folder (mode 0700) where that is not there.
    ///
    /// # Errors
    /// A file that is there already, whatever it holds, or that can't be written.
    pub fn create(path: &Path) -> Result<Self, SealError> {
        let io = |error| SealError::Io {
            path: path.to_owned(),
            error,
        };
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            create_folder(folder).map_err(io)?;
        }
        let identity = age::x25519::Identity::generate();
        let secret = identity.to_string();
        let text = Zeroizing::new(format!(
            "# The age identity of this gateway. Whoever has it can open what is sealed: keep a copy, in a safe place.\n# public key: {}\n{}\n",
            identity.to_public(),
            secret.expose_secret()
        ));
        // Written beside and linked in: a crash leaves no half file, and an existing one is never replaced.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let mut file = tempfile::Builder::new()
            .prefix(".agp-identity")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(io)?;
        file.write_all(text.as_bytes()).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(SealError::Exists(path.to_owned()));
            }
            Err(e) => return Err(io(e.error)),
        }
        if let Some(folder) = folder {
            let _ = std::fs::File::open(folder).and_then(|f| f.sync_all());
        }
        Ok(Self(identity))
    }

    /// The public half, `age1...`: safe to show and to keep.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Seals a text for the file: `agp1:` and the base64 of what the age tool would write.
    ///
    /// # Errors
    /// Only where encryption itself fails, which it does not in memory.
    pub fn seal(&self, secret: &Secret) -> Result<String, SealError> {
        let cipher = self.wrap(secret.expose().as_bytes())?;
        Ok(format!("{SEALED}{}", STANDARD.encode(cipher)))
    }

    /// Opens what [`Self::seal`] made; the text with its `agp1:`.
    ///
    /// # Errors
    /// A damaged text, or one sealed for somebody else.
    pub fn open(&self, sealed: &str) -> Result<Secret, SealError> {
        let body = sealed
            .strip_prefix(SEALED)
            .ok_or_else(|| SealError::Damaged(format!("it does not begin with `{SEALED}`")))?;
        let cipher = STANDARD
            .decode(body)
            .map_err(|_| SealError::Damaged("it is not base64".to_owned()))?;
        let plain = self.unwrap(&cipher)?;
        let text = std::str::from_utf8(&plain)
            .map_err(|_| SealError::Damaged("it holds no text".to_owned()))?;
        Ok(Secret::new(text))
    }

    /// Encrypts bytes to this identity, such as the store's data key.
    ///
    /// # Errors
    /// Only where encryption itself fails, which it does not in memory.
    pub fn wrap(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        age::encrypt(&self.0.to_public(), plain).map_err(|e| SealError::Damaged(e.to_string()))
    }

    /// Opens what [`Self::wrap`] made.
    ///
    /// # Errors
    /// Damaged bytes, or bytes encrypted to somebody else.
    pub fn unwrap(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match age::decrypt(&self.0, cipher) {
            Ok(plain) => Ok(Zeroizing::new(plain)),
            Err(age::DecryptError::NoMatchingKeys) => Err(SealError::Wrong {
                found: self.recipient(),
                expected: None,
            }),
            Err(e) => Err(SealError::Damaged(e.to_string())),
        }
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

    fn made() -> (tempfile::TempDir, PathBuf, Identity) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/id.txt");
        let identity = Identity::create(&path).unwrap();
        (dir, path, identity)
    }

    #[test]
    fn what_is_sealed_opens_again_after_a_reload_of_the_file() {
        let (_dir, path, identity) = made();
        let sealed = identity.seal(&Secret::new("grüße")).unwrap();
        assert!(sealed.starts_with("agp1:"));
        assert!(!sealed.contains("grüße"));
        let again = Identity::load_or_none(&path).unwrap().unwrap();
        assert_eq!(again.open(&sealed).unwrap().expose(), "grüße");
        assert_eq!(again.recipient(), identity.recipient());
        assert_ne!(sealed, identity.seal(&Secret::new("grüße")).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_data_key_is_wrapped_and_unwrapped() {
        let (_dir, _, identity) = made();
        let wrapped = identity.wrap(&[0, 255, 7]).unwrap();
        assert_eq!(*identity.unwrap(&wrapped).unwrap(), [0, 255, 7]);
        assert!(matches!(
            identity.unwrap(&wrapped[..40]),
            Err(SealError::Damaged(_))
        ));
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let (_dir, path, identity) = made();
        assert!(matches!(Identity::create(&path), Err(SealError::Exists(_))));
        let still = Identity::load_or_none(&path).unwrap().unwrap();
        assert_eq!(still.recipient(), identity.recipient());
    }

    #[test]
    fn others_identities_do_not_open_it_and_say_whose_they_are() {
        let (_a, path, one) = made();
        let (_b, _, two) = made();
        let sealed = one.seal(&Secret::new("x")).unwrap();
        let error = two.open(&sealed).unwrap_err();
        assert!(error.to_string().contains(&two.recipient()), "{error}");
        let error = Identity::load(&path, Some(&two.recipient())).unwrap_err();
        assert!(error.to_string().contains(&two.recipient()), "{error}");
        assert!(Identity::load(&path, Some(&one.recipient())).is_ok());
    }

    #[test]
    fn a_missing_one_is_none_until_something_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none");
        assert!(Identity::load_or_none(&path).unwrap().is_none());
        let error = Identity::load(&path, Some("age1abc"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("age1abc") && error.contains("missing"),
            "{error}"
        );
        assert!(may_create(false, false));
        assert!(!may_create(true, false) && !may_create(false, true));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_cure() {
        let (_dir, path, _) = made();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Identity::load_or_none(&path).unwrap_err().to_string();
        assert!(
            error.contains("chmod 600") && error.contains("0640"),
            "{error}"
        );
    }

    #[test]
    fn damaged_values_and_files_are_told() {
        let (_dir, path, identity) = made();
        for bad in ["", "agp1:", "agp1:!!!", "agp1:AAAA", "AAAA"] {
            assert!(
                matches!(identity.open(bad), Err(SealError::Damaged(_))),
                "{bad}"
            );
        }
        std::fs::write(&path, "nothing here\n").unwrap();
        assert!(matches!(
            Identity::load_or_none(&path),
            Err(SealError::NoIdentity(_))
        ));
    }
}
