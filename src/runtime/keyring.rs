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
    known: Mutex<Known>,
    /// Whether some file in play holds a sealed value: then a missing identity is never made anew.
    sealed: AtomicBool,
}

struct Known {
    path: PathBuf,
    identity: Option<Identity>,
    /// `secrets.recipients`.
    more: Vec<String>,
    /// What takes its place once the files that name it are in force. Until then what is wrapped is for both.
    next: Option<(PathBuf, Option<Identity>)>,
}

impl Keyring {
    /// Reads the identity if it is there. What is wrapped is for it alone until [`Self::set_recipients`].
    ///
    /// # Errors
    /// A file that others can read, or that holds no identity.
    pub fn open(path: &Path, sealed: bool) -> Result<Arc<Self>, String> {
        let identity = Identity::load_or_none(path).map_err(|e| e.to_string())?;
        let path = path.to_owned();
        Ok(Arc::new(Self {
            known: Mutex::new(Known {
                path,
                identity,
                more: Vec::new(),
                next: None,
            }),
            sealed: AtomicBool::new(sealed),
        }))
    }

    /// The file's place.
    pub fn path(&self) -> PathBuf {
        self.known.lock().path.clone()
    }

    /// Files that are not yet in force name the identity at `path`. Says whether that is another one: then it opens what they
    /// hold, and what is wrapped from now on is for both, until [`Self::adopt`] or [`Self::withdraw`].
    ///
    /// # Errors
    /// There is none at `path` although one is in use, or it can't be read. Nothing is changed then.
    pub fn propose(&self, path: &Path) -> Result<bool, String> {
        if self.known.lock().path == path {
            return Ok(false);
        }
        let next = Identity::load_or_none(path).map_err(|e| e.to_string())?;
        let mut known = self.known.lock();
        if let (None, Some(present)) = (&next, &known.identity) {
            return Err(format!(
                "`secrets.identity`: there is no file `{}`; move the identity there that is in use (recipient {}), or another one \
                 that opens every sealed value",
                path.display(),
                present.recipient()
            ));
        }
        known.next = Some((path.to_owned(), next));
        Ok(true)
    }

    /// The files that name the proposed identity are in force: it takes the place of the one before. Says whether there was
    /// one.
    pub fn adopt(&self) -> bool {
        let mut known = self.known.lock();
        let Some((path, identity)) = known.next.take() else {
            return false;
        };
        known.path = path;
        known.identity = identity;
        true
    }

    /// The files that name the proposed identity are not put in force.
    pub fn withdraw(&self) {
        self.known.lock().next = None;
    }

    /// What opens the files that are to be put in force, and its file's place.
    ///
    /// # Errors
    /// As [`Self::identity`].
    pub fn of_files(&self) -> Result<(Option<Identity>, PathBuf), String> {
        if let Some((path, identity)) = self.known.lock().next.clone() {
            return Ok((identity, path));
        }
        Ok((self.identity()?, self.path()))
    }

    /// The identity as it is in its file now. One that was read before goes on to be used where the file can't be read any
    /// more, since what runs must not break by it; that is told in the log.
    ///
    /// # Errors
    /// As [`Self::open`], where none was read before.
    pub fn identity(&self) -> Result<Option<Identity>, String> {
        let read = Identity::load_or_none(&self.path());
        let mut known = self.known.lock();
        match (read, &known.identity) {
            (Ok(Some(identity)), _) => known.identity = Some(identity),
            (Ok(None), None) => {}
            (Err(error), None) => return Err(error.to_string()),
            (Ok(None), Some(kept)) => {
                let (path, recipient) = (known.path.display(), kept.recipient());
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
        let known = self.known.lock();
        let mut more = known.more.clone();
        let next = known.next.as_ref().and_then(|(_, next)| next.as_ref());
        more.extend(next.map(Identity::recipient));
        drop(known);
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
        let path = self.path();
        match Identity::create(&path) {
            Ok(made) => {
                tracing::info!(path = %path.display(), recipient = made.recipient(), "identity made: keep a copy");
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
            path: self.path(),
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
