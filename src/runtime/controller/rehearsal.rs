//! An edit as if it were saved: everything is built that it asks for, and let go again.

use std::sync::Arc;

use crate::config::secret::has_sealed;
use crate::runtime::controller::edit::{Draft, aside};
use crate::runtime::controller::{Controller, Done, NotDone, wire};
use crate::runtime::registry::Registry;
use crate::store::Learned;

impl Controller {
    /// Says what saving a draft would come to, its errors too, and changes nothing.
    pub(super) async fn rehearse(&self, draft: Draft) -> Result<Done, NotDone> {
        let Draft { read, done, .. } = draft;
        let (runtime, keyring) = (Arc::clone(&self.runtime), Arc::clone(&self.keyring));
        let surroundings = Arc::clone(&self.surroundings);
        let sealed = has_sealed(&self.present.secrets);
        aside(move || {
            let present = runtime.snapshot();
            // Of its own: what is known of the accounts in force must not be moved to other credentials.
            let apart = Registry::new(
                runtime.store.clone(),
                runtime.tasks.clone(),
                &mut Learned::default(),
            );
            let wired = wire(&read, &apart, &keyring, Some(&present), present.generation);
            keyring.set_sealed(sealed);
            wired.map_err(NotDone::Unusable)?;
            let prepared = surroundings.prepare(&read.config);
            // What would put it in force is let go.
            prepared
                .map(drop)
                .map_err(|error| NotDone::Unusable(vec![error]))
        })
        .await?;
        Ok(done)
    }
}
