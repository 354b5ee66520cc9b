//! From a secret's reference to its value. The two stay apart: the configuration holds references, and what is read here
//! goes into a snapshot. Errors name the reference, never the value.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::config::diagnostic::{Code, Diagnostic, Span};
use crate::config::model::{Config, SecretRef};
use crate::config::seal::{self, Identity, SealError};
use crate::config::source::{Files, read_bounded};
use crate::config::weak;

/// Largest secret file in bytes: a service account's JSON has about 2,400.
pub const MAX_SECRET: u64 = 64 << 10;

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not there.
    #[error("environment variable `{0}` is not set")]
    NotSet(String),
    /// The variable is there but empty.
    #[error("environment variable `{0}` is empty")]
    EmptyVariable(String),
    /// The file can't be read.
    #[error("secret file `{path}`: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is larger than any secret is.
    #[error("secret file `{0}` is larger than {max} KiB", max = MAX_SECRET >> 10)]
    TooLarge(PathBuf),
    /// The file holds no text.
    #[error("secret file `{0}` is empty or not UTF-8")]
    NoText(PathBuf),
    /// The identity does not open it.
    #[error("the sealed value can't be opened: {0}")]
    Sealed(#[from] SealError),
}

/// Where variables are looked up.
type Lookup<'a> = Box<dyn Fn(&str) -> Option<String> + Send + Sync + 'a>;

/// Reads secrets. Holds no value itself.
pub struct Resolver<'a> {
    env: Lookup<'a>,
    identity: Option<&'a Identity>,
    identity_path: PathBuf,
}

impl fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("identity", &self.identity)
            .field("identity_path", &self.identity_path)
            .finish_non_exhaustive()
    }
}

impl<'a> Resolver<'a> {
    /// Reads variables through `env` and opens sealed values with `identity`, which was looked for at `identity_path`
    /// (see [`identity_path`]).
    pub fn new(
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'a,
        identity: Option<&'a Identity>,
        identity_path: PathBuf,
    ) -> Self {
        Self {
            env: Box::new(env),
            identity,
            identity_path,
        }
    }

    /// The value behind a reference. Variables and files are trimmed, since an `echo` leaves a line's end.
    ///
    /// # Errors
    /// What could not be read, by name.
    pub fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        match reference {
            SecretRef::Env(name) => {
                let text = (self.env)(name).ok_or_else(|| SecretError::NotSet(name.clone()))?;
                let text = Zeroizing::new(text);
                match text.trim() {
                    "" => Err(SecretError::EmptyVariable(name.clone())),
                    text => Ok(Secret::new(text)),
                }
            }
            SecretRef::File(path) => from_file(path),
            SecretRef::Sealed(text) => {
                let identity = self.identity.ok_or_else(|| SealError::Missing {
                    path: self.identity_path.clone(),
                    expected: seal::named_in(text),
                })?;
                Ok(identity.open(text)?)
            }
            SecretRef::Plain(secret) => Ok(secret.clone()),
        }
    }
}

fn from_file(path: &Path) -> Result<Secret, SecretError> {
    let bytes = read_bounded(path, MAX_SECRET)
        .map_err(|error| SecretError::File {
            path: path.to_owned(),
            error,
        })?
        .ok_or_else(|| SecretError::TooLarge(path.to_owned()))?;
    let bytes = Zeroizing::new(bytes);
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        _ => Err(SecretError::NoText(path.to_owned())),
    }
}

/// Where the identity is: as written, relative to the state dir.
pub fn identity_path(config: &Config, state_dir: &Path) -> PathBuf {
    state_dir.join(&config.secrets.identity)
}

/// A secret that the files name, and where they do.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The key's path, such as `accounts.alice.refresh_token`.
    pub key: String,
    /// Its place; `None` where the environment gave it.
    pub span: Option<Span>,
    /// Where the value is.
    pub secret: SecretRef,
}

/// Reads every secret and reports each that can't be read, or that everybody knows.
pub fn check(references: &[Reference], resolver: &Resolver<'_>) -> Vec<Diagnostic> {
    references
        .iter()
        .filter_map(|reference| {
            let (code, message) = match resolver.resolve(&reference.secret) {
                Err(error) => (Code::Unresolved, error.to_string()),
                Ok(value) => {
                    let why = match reference.key.as_str() {
                        // In clear it was judged already, when the file was checked.
                        _ if matches!(reference.secret, SecretRef::Plain(_)) => None,
                        "admin.password" => weak::password(value.expose()),
                        "admin.jwt_secret" => weak::signing_secret(value.expose()),
                        _ => None,
                    };
                    (Code::WeakSecret, why?)
                }
            };
            let message = format!("`{}`: {message}", reference.key);
            Some(Diagnostic::new(code, reference.key.clone(), message).at(reference.span.clone()))
        })
        .collect()
}

/// Whether something is sealed, so that no new identity may be made.
pub fn has_sealed(references: &[Reference]) -> bool {
    references
        .iter()
        .any(|reference| matches!(reference.secret, SecretRef::Sealed(_)))
}

/// Every sealed value in the files, in comments too, and every one that they name otherwise.
pub fn all_sealed<'a>(references: &'a [Reference], files: &'a Files) -> Vec<&'a str> {
    let named = references.iter().filter_map(|r| match &r.secret {
        SecretRef::Sealed(text) => Some(text.as_str()),
        _ => None,
    });
    let written = (files.iter()).flat_map(|file| seal::find(&file.text).map(|(_, sealed)| sealed));
    let mut all: Vec<&str> = named.chain(written).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The files that are read besides those of the configuration itself: secrets, certificates and their authorities. A watcher
/// sees to them.
pub fn files(references: &[Reference], config: &Config) -> Vec<PathBuf> {
    let secrets = references
        .iter()
        .filter_map(|reference| match &reference.secret {
            SecretRef::File(path) => Some(path.clone()),
            _ => None,
        });
    let authorities = config.upstreams.values().filter_map(|u| u.ca_file.clone());
    let tls = config.server.tls.iter();
    let tls = tls.flat_map(|tls| [tls.cert.clone(), tls.key.clone()]);
    let mut all: Vec<PathBuf> = secrets.chain(authorities).chain(tls).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver() -> Resolver<'static> {
        let env = |name: &str| match name {
            "GOOD" => Some(" value\n".to_owned()),
            "EMPTY" => Some(" \n".to_owned()),
            _ => None,
        };
        Resolver::new(env, None, PathBuf::from("data/id.txt"))
    }

    fn message(reference: &SecretRef) -> String {
        resolver().resolve(reference).unwrap_err().to_string()
    }

    #[test]
    fn variables_are_trimmed_and_named_when_missing() {
        let good = resolver().resolve(&SecretRef::Env("GOOD".into())).unwrap();
        assert_eq!(good.expose(), "value");
        assert!(message(&SecretRef::Env("NONE".into())).contains("`NONE` is not set"));
        assert!(message(&SecretRef::Env("EMPTY".into())).contains("`EMPTY` is empty"));
    }

    #[test]
    fn files_are_trimmed_bounded_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "value\n").unwrap();
        let good = resolver().resolve(&SecretRef::File(path.clone())).unwrap();
        assert_eq!(good.expose(), "value");
        for (bytes, said) in [
            (vec![b'x'; 70_000], "larger"),
            (b"\n".to_vec(), "empty"),
            (vec![0xff, 0xfe], "UTF-8"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let message = message(&SecretRef::File(path.clone()));
            assert!(
                message.contains(said) && message.contains("token"),
                "{message}"
            );
        }
        assert!(message(&SecretRef::File(dir.path().join("none"))).contains("none"));
        assert!(message(&SecretRef::File(dir.path().to_owned())).contains("regular"));
    }

    #[test]
    fn sealed_values_need_the_identity() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::create(&dir.path().join("id")).unwrap();
        let sealed = SecretRef::Sealed(identity.seal(&Secret::new("value")).unwrap());
        let told = message(&sealed);
        assert!(
            told.contains("data/id.txt") && told.contains(&identity.recipient()),
            "{told}"
        );
        let with = Resolver::new(|_| None, Some(&identity), PathBuf::new());
        assert_eq!(with.resolve(&sealed).unwrap().expose(), "value");
    }
}
