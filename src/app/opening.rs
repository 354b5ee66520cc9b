//! Opening the store, behind whoever has it open: a new process of a rolling restart waits for the old one to drain.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

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
