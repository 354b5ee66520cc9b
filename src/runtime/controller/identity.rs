//! Another identity: taken into use with the files that name it, or not at all.

use std::sync::Arc;

use crate::config::secret;
use crate::runtime::controller::{Controller, Read, Ready};

impl Controller {
    /// Makes all that can fail, and changes nothing that is in force.
    pub(super) async fn ready(&self, read: &Arc<Read>) -> Result<Ready, Vec<String>> {
        let (keyring, store) = (Arc::clone(&self.keyring), self.runtime.store.clone());
        let path = secret::identity_path(&read.config, &self.places.state_dir);
        let proposed = tokio::task::spawn_blocking({
            let keyring = Arc::clone(&keyring);
            move || keyring.propose(&path)
        });
        let another = proposed.await.unwrap_or_else(|e| Err(e.to_string()));
        let another = another.map_err(|error| vec![error])?;
        let mut ready = self.made(read).await;
        // Only an identity that opens what the files hold gets what is stored encrypted, and before they are in force: else a
        // crash in between left nobody who could open it.
        if another && ready.is_ok() {
            let wrapped = tokio::task::spawn_blocking(move || store.rewrap());
            let wrapped = wrapped.await.map_err(|e| vec![e.to_string()])?;
            if let Err(error) = wrapped {
                ready = Err(vec![format!(
                    "`secrets.identity`: what is stored encrypted could not be wrapped for the new one: {error}"
                )]);
            }
        }
        if ready.is_err() {
            keyring.withdraw();
        }
        ready
    }

    /// What is stored encrypted is for the new identity alone from now on. Until that is on the disk it is for both.
    pub(super) fn leave_identity(&self) {
        let store = self.runtime.store.clone();
        self.runtime.tasks.spawn(async move {
            match tokio::task::spawn_blocking(move || store.rewrap()).await {
                Ok(Ok(_)) => tracing::info!("another identity is in use"),
                Ok(Err(error)) => tracing::warn!(%error, "the identity before can still open what is stored encrypted: `agp rotate` ends that"),
                Err(_) => {}
            }
        });
    }
}
