//! Opening the store, behind whoever has it open: a new process of a rolling restart waits for the old one to drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{self, secret, source::Files};
use crate::runtime::controller::{self, Places, Read};
use crate::runtime::keyring::Keyring;
use crate::store::{Options, Retention, Store, StoreError};

/// Between two looks at whether the files are free.
const LOOK: Duration = Duration::from_millis(100);

/// Opens the store in the folder `dir`; waits up to `patience` for another process to close it.
///
/// # Errors
/// A sentence for people: it can't be opened, or stayed in use, and by whom.
pub(super) async fn open(
    dir: &Path,
    keyring: Arc<Keyring>,
    retention: Retention,
    patience: Duration,
) -> Result<Store, String> {
    let options = Options {
        retention,
        ..Options::default()
    };
    let begun = Instant::now();
    let mut told = false;
    loop {
        let (dir, keyring, options) = (dir.to_owned(), Arc::clone(&keyring), options.clone());
        // Opening reads and may repair: not on a thread that serves.
        let opened = tokio::task::spawn_blocking(move || Store::open(&dir, keyring, options)).await;
        let error = match opened.map_err(|e| e.to_string())? {
            Ok(store) => {
                if told {
                    tracing::info!(waited = ?begun.elapsed(), "the state is free");
                }
                return Ok(store);
            }
            Err(error) => error,
        };
        let StoreError::Locked { file, holder } = &error else {
            return Err(error.to_string());
        };
        if begun.elapsed() >= patience {
            let seconds = patience.as_secs_f64();
            return Err(format!(
                "{error}; waited {seconds} s for it, as long as `server.drain_timeout` says"
            ));
        }
        if !told {
            told = true;
            tracing::warn!(
                file,
                holder = holder.as_ref().map(ToString::to_string),
                at_most = ?patience,
                "the state is in use: waiting for the other process to end"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The identity, where it is there.
///
/// # Errors
/// As [`Keyring::open`].
pub(super) fn keyring(read: &Read, places: &Places) -> Result<Arc<Keyring>, String> {
    let identity = secret::identity_path(&read.config, &places.state_dir);
    Keyring::open(&identity, secret::has_sealed(&read.secrets))
}

/// The files as read, or read again where the last run had left half an edit in them, which is finished or undone first.
///
/// # Errors
/// All errors of the files then.
pub(super) async fn whole(read: Read, places: &Places, store: &Store) -> Result<Read, String> {
    let (store, root) = (store.clone(), places.root.clone());
    let again = tokio::task::spawn_blocking(move || match controller::mend(&store, &root) {
        Ok(None) => Ok(None),
        Ok(Some(told)) => {
            tracing::warn!("{told}");
            match controller::read(&root) {
                Ok(read) => Ok(Some(read)),
                Err(unreadable) => Err(unreadable.errors.join("\n")),
            }
        }
        // What the files say can be used: an edit from here on will say it again.
        Err(error) => {
            tracing::error!("{error}");
            Ok(None)
        }
    });
    let again = again.await.map_err(|e| e.to_string())??;
    Ok(again.unwrap_or(read))
}

/// For files that can't be used: if an edit was cut off in them, finishes or undoes it, and says what was found and done.
/// `None` where that is not the cause, or where another process has the state.
pub async fn mend(places: &Places) -> Option<String> {
    let places = places.clone();
    let mended = tokio::task::spawn_blocking(move || {
        let files = Files::read(&places.root);
        let (state, identity) = config::whereabouts(&files, controller::environment());
        let state: PathBuf = places.state_dir.join(state);
        if !state.join("agp.redb").exists() {
            return None;
        }
        let keyring = Keyring::open(&places.state_dir.join(identity), true).ok()?;
        let store = Store::open(&state, keyring, Options::default()).ok()?;
        let told = controller::mend(&store, &places.root);
        Some((store, told.unwrap_or_else(Some)))
    });
    let (store, told) = mended.await.ok()??;
    store.close().await;
    told
}
