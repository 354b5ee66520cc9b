//! The identity at run time: opens sealed values, wraps the store's data key, is made on first need and never where one
//! was used before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::config::seal::{Identity, Recipients, SealError, may_create, named};
use crate::store::KeyWrap;

/// The identity's place, the identity once it is known, and for whom else things are sealed.
pub struct Keyring {
    path: PathBuf,
    known: Mutex<Known>,
    /// Whether some file in play holds a sealed value: then a missing identity is never made anew.
    sealed: AtomicBool,
}

#[derive(Default)]
struct Known {
    identity: Option<Identity>,
    /// `secrets.recipients`.
    more: Vec<String>,
}

impl Keyring {
    /// Reads the identity if it is there. What is wrapped is for it alone until [`Self::set_recipients`].
    ///
    /// # Errors
    /// A file that others can read, or that holds no identity.
    pub fn open(path: &Path, sealed: bool) -> Result<Arc<Self>, String> {
        let identity = Identity::load_or_none(path).map_err(|e| e.to_string())?;
        let more = Vec::new();
        Ok(Arc::new(Self {
            path: path.to_owned(),
            known: Mutex::new(Known { identity, more }),
            sealed: AtomicBool::new(sealed),
        }))
    }

    /// The file's place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity as it is in its file now. One that was read before goes on to be used where the file can't be read any
    /// more, since what runs must not break by it; that is told in the log.
    ///
    /// # Errors
    /// As [`Self::open`], where none was read before.
    pub fn identity(&self) -> Result<Option<Identity>, String> {
        let read = Identity::load_or_none(&self.path);
        let mut known = self.known.lock();
        match (read, &known.identity) {
            (Ok(Some(identity)), _) => known.identity = Some(identity),
            (Ok(None), None) => {}
            (Err(error), None) => return Err(error.to_string()),
            (Ok(None), Some(kept)) => {
                let (path, recipient) = (self.path.display(), kept.recipient());
                tracing::warn!(%path, recipient, "the identity file is gone: put it back, the next start needs it");
            }
            (Err(error), Some(_)) => {
                tracing::warn!(%error, "the identity read before stays in use, the next start needs the file");
            }
        }
        Ok(known.identity.clone())
    }

    /// Whether the files in play hold a sealed value from now on.
    pub fn set_sealed(&self, sealed: bool) {
        self.sealed.store(sealed, Ordering::Release);
    }

    /// Other recipients from now on: what is wrapped next is for them.
    pub fn set_recipients(&self, more: &[String]) {
        self.known.lock().more = more.to_vec();
    }

    /// For whom things are wrapped now.
    fn of(&self, identity: &Identity) -> Result<Recipients, String> {
        let more = self.known.lock().more.clone();
        identity.recipients(&more).map_err(|e| e.to_string())
    }

    /// For whom what goes into a file is sealed. The identity is made where there is none and nothing was ever sealed;
    /// `encrypted` says whether the store holds something that is. Blocks on the disk.
    ///
    /// # Errors
    /// A sentence for people: it is missing, or can't be read or made.
    pub fn recipients(&self, encrypted: bool) -> Result<Recipients, String> {
        let identity = self.to_seal(encrypted)?;
        self.of(&identity)
    }

    /// The identity to seal with.
    fn to_seal(&self, encrypted: bool) -> Result<Identity, String> {
        if let Some(identity) = self.identity()? {
            return Ok(identity);
        }
        if !may_create(self.sealed.load(Ordering::Acquire), encrypted) {
            return Err(self.missing(Vec::new()).to_string());
        }
        match Identity::create(&self.path) {
            Ok(made) => {
                tracing::info!(path = %self.path.display(), recipient = made.recipient(), "identity made: keep a copy");
                self.known.lock().identity = Some(made.clone());
                Ok(made)
            }
            // Somebody else made it in the same moment.
            Err(SealError::Exists(_)) => self
                .identity()?
                .ok_or_else(|| self.missing(Vec::new()).to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn missing(&self, expected: Vec<String>) -> SealError {
        SealError::Missing {
            path: self.path.clone(),
            expected,
        }
    }
}

impl KeyWrap for Keyring {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        // Without an identity the store asks for this only while it holds nothing encrypted.
        let identity = self.to_seal(false)?;
        let wrapped = self.of(&identity)?.wrap(data_key);
        wrapped.map_err(|e| e.to_string())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let identity = self
            .identity()?
            .ok_or_else(|| self.missing(named(wrapped)).to_string())?;
        identity.unwrap(wrapped).map_err(|e| e.to_string())
    }
}
