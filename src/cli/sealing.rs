//! What `agp seal`, `agp unseal` and `agp rotate` know of the files, the identity and the store.

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::{Failed, UNREACHABLE, ask, saving, serve};
use crate::config::model::SecretRef;
use crate::config::seal::{Identity, SealError, may_create, named, named_in};
use crate::config::source::Files;
use crate::config::{self, Loaded, Sealing, edit, render, secret};
use crate::runtime::controller::Places;
use crate::server::socket;
use crate::store::{StoreError, upkeep};

/// How long a gateway may take to read its files or to write its store.
const WAIT: Duration = Duration::from_mins(1);

/// The files, sound or not, and what they say about sealing.
pub struct Shop {
    /// Where they are.
    pub places: Places,
    /// The gateway that runs with them.
    pub at: ask::At,
    /// The files.
    pub files: Files,
    /// What they say.
    pub loaded: Loaded,
    /// How to seal.
    pub sealing: Sealing,
}

/// The part of `agp status` that tells of the store's data key.
#[derive(Deserialize)]
struct Status {
    store: StoreStatus,
}

#[derive(Deserialize)]
struct StoreStatus {
    data_key: Option<Vec<String>>,
}

impl Shop {
    /// Reads the files. They may have errors: a table is often unsound only for want of the secret that is to be sealed.
    ///
    /// # Errors
    /// There is no file, it can't be read whole, or `[secrets]` or `[state]` is unsound.
    pub fn open(args: &serve::Args) -> Result<Self, Failed> {
        let places = args.places()?;
        let files = Files::read(&places.root);
        let loaded = config::load(&files, config::environment().into_iter());
        let Some(sealing) = loaded.sealing.clone() else {
            return Err(broken(&files, &loaded));
        };
        Ok(Self {
            places,
            at: args.clone().into(),
            files,
            loaded,
            sealing,
        })
    }

    /// The same where no error at all is in the files.
    ///
    /// # Errors
    /// All of them.
    pub fn sound(args: &serve::Args) -> Result<Self, Failed> {
        let shop = Self::open(args)?;
        match shop.loaded.config {
            Some(_) => Ok(shop),
            None => Err(broken(&shop.files, &shop.loaded)),
        }
    }

    /// Where the identity is.
    pub fn identity_path(&self) -> PathBuf {
        self.places.state_dir.join(&self.sealing.secrets.identity)
    }

    /// The folder of the store.
    pub fn state(&self) -> PathBuf {
        self.places.state_dir.join(&self.sealing.state)
    }

    /// Every sealed value of the files, in comments too.
    fn sealed(&self) -> Vec<&str> {
        secret::all_sealed(&self.loaded.secrets, &self.files)
    }

    /// The recipients that the sealed values name.
    pub fn expected(&self) -> Vec<String> {
        let mut all: Vec<String> = self.sealed().into_iter().flat_map(named_in).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The identity, which must be there.
    ///
    /// # Errors
    /// It is missing, or can't be read.
    pub fn identity(&self) -> Result<Identity, Failed> {
        Identity::load(&self.identity_path(), &self.expected()).map_err(|e| told(&e))
    }

    /// The identity to seal with, and whether it was made just now. It is made where nothing was ever sealed; else it must
    /// be the one that opens what the files and the store hold.
    ///
    /// # Errors
    /// A missing or wrong identity, or a store that can't be looked into.
    pub async fn identity_to_seal(&self) -> Result<(Identity, bool), Failed> {
        let path = self.identity_path();
        if let Some(identity) = Identity::load_or_none(&path).map_err(|e| told(&e))? {
            for reference in &self.loaded.secrets {
                if let SecretRef::Sealed(text) = &reference.secret {
                    let opened = identity.open(text);
                    opened.map_err(|e| format!("`{}`: {e}", reference.key))?;
                }
            }
            // A store that can't be looked into now does not keep anybody from sealing.
            if let Ok(Some(expected)) = self.data_key().await
                && !expected.is_empty()
                && !identity.is_among(&expected)
            {
                let found = identity.recipient();
                let wrong = SealError::Wrong { found, expected };
                return Err(format!("the key of what is stored encrypted: {wrong}").into());
            }
            return Ok((identity, false));
        }
        let key = self.data_key().await?;
        if may_create(!self.sealed().is_empty(), key.is_some()) {
            return Ok((Identity::create(&path).map_err(|e| told(&e))?, true));
        }
        let mut expected = self.expected();
        expected.extend(key.unwrap_or_default());
        expected.sort();
        expected.dedup();
        Err(told(&SealError::Missing { path, expected }))
    }

    /// The recipients that the store's data key names; `None` where there is no data key.
    async fn data_key(&self) -> Result<Option<Vec<String>>, Failed> {
        if self.has_gateway() {
            let status: Status = self.ask(Method::GET, "/status").await?;
            return Ok(status.store.data_key);
        }
        let key = upkeep::wrapped_key(&self.state()).map_err(|e| store_failed(&e, self))?;
        Ok(key.map(|wrapped| named(&wrapped)))
    }

    /// Whether a gateway answers on the socket of this state.
    pub fn has_gateway(&self) -> bool {
        std::os::unix::net::UnixStream::connect(socket::path(&self.state())).is_ok()
    }

    /// Asks that gateway.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failed> {
        let value = ask::operation_within(&self.at, method, path, WAIT).await?;
        serde_json::from_value(value)
            .map_err(|e| Failed::from(format!("the gateway's answer can't be read: {e}")))
    }

    /// Saves the new texts, each file by itself: any of them alone is right.
    ///
    /// # Errors
    /// The first file that can't be saved; those before it are.
    pub fn save(&self, changes: &[edit::Change]) -> Result<(), Failed> {
        for change in changes {
            saving::save(change, &self.state()).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// An error of the store, with what to do where a gateway is in the way.
pub fn store_failed(error: &StoreError, shop: &Shop) -> Failed {
    match error {
        StoreError::Locked { file, .. } => Failed {
            message: format!(
                "`{file}` is in use, but no gateway answers on `{}`",
                socket::path(&shop.state()).display()
            ),
            code: UNREACHABLE,
        },
        error => error.to_string().into(),
    }
}

fn told(error: &SealError) -> Failed {
    error.to_string().into()
}

fn broken(files: &Files, loaded: &Loaded) -> Failed {
    let errors = loaded.diagnostics.iter();
    let errors = errors.filter(|d| d.severity == config::diagnostic::Severity::Error);
    let lines: Vec<String> = errors.map(|d| render::line(files, d)).collect();
    format!("the files have errors:\n{}", lines.join("\n")).into()
}
