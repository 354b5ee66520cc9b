//! The identity at run time: opens sealed values, wraps the store's data key, is made on first need and never where one
//! was used before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::config::seal::{Identity, may_create};
use crate::store::KeyWrap;

/// The identity's place, and the identity once it is known.
pub struct Keyring {
    path: PathBuf,
    identity: Mutex<Option<Identity>>,
    /// Whether some file in play holds a sealed value: then a missing identity is never made anew.
    sealed: AtomicBool,
}

impl Keyring {
    /// Reads the identity if it is there.
    ///
    /// # Errors
    /// A file that others can read, or that holds no identity.
    pub fn open(path: &Path, sealed: bool) -> Result<Arc<Self>, String> {
        let identity = Identity::load_or_none(path).map_err(|e| e.to_string())?;
        let (path, identity) = (path.to_owned(), Mutex::new(identity));
        Ok(Arc::new(Self {
            path,
            identity,
            sealed: AtomicBool::new(sealed),
        }))
    }

    /// The file's place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity; looks at the file again where it was not there before.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn identity(&self) -> Result<Option<Identity>, String> {
        let mut known = self.identity.lock();
        if known.is_none() {
            *known = Identity::load_or_none(&self.path).map_err(|e| e.to_string())?;
        }
        Ok(known.clone())
    }

    /// Whether the files in play hold a sealed value from now on.
    pub fn set_sealed(&self, sealed: bool) {
        self.sealed.store(sealed, Ordering::Release);
    }
}

impl KeyWrap for Keyring {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        // The store asks for this only while it holds nothing encrypted.
        let identity = match self.identity()? {
            Some(identity) => identity,
            None if may_create(self.sealed.load(Ordering::Acquire), false) => {
                let made = Identity::create(&self.path).map_err(|e| e.to_string())?;
                tracing::info!(path = %self.path.display(), recipient = made.recipient(), "identity made: keep a copy");
                *self.identity.lock() = Some(made.clone());
                made
            }
            None => {
                return Err(format!(
                    "the files hold sealed values but the identity file `{}` is missing: put it back",
                    self.path.display()
                ));
            }
        };
        identity.wrap(data_key).map_err(|e| e.to_string())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let identity = self.identity()?.ok_or_else(|| {
            format!(
                "the store holds encrypted tokens but the identity file `{}` is missing: put it back",
                self.path.display()
            )
        })?;
        identity.unwrap(wrapped).map_err(|e| e.to_string())
    }
}
