//! The age identity: what opens sealed values and the store's data key. What is sealed is sealed for it and for the
//! recipients of `secrets.recipients`.
//!
//! It is made on first need only ([`Identity::create`]) and never replaced by itself. [`may_create`] says when making one
//! would be wrong: where something is sealed already, a missing identity is an error, not a reason for a new one. Everything
//! sealed here names its recipients in clear, so that the error can say whose identity is missing.

mod file;
mod recipients;
mod renew;

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::config::value::SEALED;

pub use file::Turn;
pub use recipients::{Recipients, find, named, named_in};
pub(crate) use recipients::{holds_identity, is_age, parse as parse_recipient};
pub use renew::{Left, Renewed, renew};

/// What is wrong with the identity or with what it should open. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no identity file, but something is sealed.
    #[error("there is no identity file `{}`, but something is sealed{}; put back the identity that opens it", path.display(), wanted(expected))]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The recipients that the sealed thing was made for, where it names them.
        expected: Vec<String>,
    },
    /// The identity is not one that this was sealed for.
    #[error(
        "the identity of recipient `{found}` does not open this{}",
        wanted(expected)
    )]
    Wrong {
        /// The recipient of the identity that is there.
        found: String,
        /// The recipients that the sealed thing was made for, where it names them.
        expected: Vec<String>,
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
    /// Another rotation is under way.
    #[error("another `agp rotate` is at work on `{0}`")]
    Busy(PathBuf),
    /// The sealed text or wrapped bytes are damaged.
    #[error("not a sealed value, or a damaged one: {0}")]
    Damaged(String),
    /// What can't be a recipient.
    #[error("{0}")]
    Recipient(String),
}

fn wanted(recipients: &[String]) -> String {
    let list: Vec<String> = recipients.iter().map(|r| format!("`{r}`")).collect();
    match list.len() {
        0 => String::new(),
        1 => format!(", expected that of recipient {}", list[0]),
        _ => format!(
            ", expected that of one of the recipients {}",
            list.join(", ")
        ),
    }
}

/// Whether an identity may be made: never where one was used before.
pub fn may_create(file_has_sealed: bool, store_has_encrypted: bool) -> bool {
    !file_has_sealed && !store_has_encrypted
}

/// The age X25519 identities of an identity file: the first is the present one, that things are sealed for; the others
/// open what was sealed before.
#[derive(Clone)]
pub struct Identity {
    present: age::x25519::Identity,
    others: Vec<age::x25519::Identity>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.recipient()).finish()
    }
}

impl Identity {
    /// The public half of the present one, `age1...`: safe to show and to keep.
    pub fn recipient(&self) -> String {
        self.present.to_public().to_string()
    }

    /// Whom things are sealed for: this identity, and `more` of `secrets.recipients`.
    ///
    /// # Errors
    /// A text among `more` that is no recipient.
    pub fn recipients(&self, more: &[String]) -> Result<Recipients, SealError> {
        Recipients::new(self.present.to_public(), more)
    }

    /// Whether it, or one that it took the place of, is among these recipients.
    pub fn is_among(&self, recipients: &[String]) -> bool {
        let mut own = std::iter::once(&self.present).chain(&self.others);
        own.any(|identity| recipients.contains(&identity.to_public().to_string()))
    }

    /// Seals a text for this identity alone. What goes into a file is sealed for [`Self::recipients`].
    ///
    /// # Errors
    /// Only where encryption itself fails, which it does not in memory.
    pub fn seal(&self, secret: &Secret) -> Result<String, SealError> {
        self.recipients(&[])?.seal(secret)
    }

    /// Opens what [`Recipients::seal`] or the age tool made; the text with its `agp1:`.
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

    /// Opens what [`Recipients::wrap`] made.
    ///
    /// # Errors
    /// Damaged bytes, or bytes encrypted to somebody else.
    pub fn unwrap(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let damaged = |e: &dyn fmt::Display| SealError::Damaged(e.to_string());
        let opened = age::Decryptor::new_buffered(cipher).and_then(|file| {
            let all = std::iter::once(&self.present).chain(&self.others);
            file.decrypt(all.map(|identity| identity as &dyn age::Identity))
        });
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(age::DecryptError::NoMatchingKeys) => {
                return Err(SealError::Wrong {
                    found: self.recipient(),
                    expected: named(cipher),
                });
            }
            Err(e) => return Err(damaged(&e)),
        };
        // As long as the cipher text at most, so that no piece of it is left where it was before the buffer grew.
        let mut plain = Zeroizing::new(Vec::with_capacity(cipher.len()));
        opened.read_to_end(&mut plain).map_err(|e| damaged(&e))?;
        Ok(plain)
    }
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
        let wrapped = identity
            .recipients(&[])
            .unwrap()
            .wrap(&[0, 255, 7])
            .unwrap();
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
        assert!(error.to_string().contains(&one.recipient()), "{error}");
        assert!(Identity::load(&path, &[]).is_ok());
    }

    #[test]
    fn a_missing_one_is_none_until_something_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none");
        assert!(Identity::load_or_none(&path).unwrap().is_none());
        let error = Identity::load(&path, &["age1abc".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`age1abc`") && error.contains("there is no identity file"),
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
