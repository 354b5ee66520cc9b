//! Tokens on their way to where they are kept.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Credential, FIRST_PAUSE, LONGEST_PAUSE, SAVE_TIMEOUT, SavedToken, Shared, TokenSink};

impl Credential {
    /// Keeps tokens elsewhere from now on, those at hand too: its account has another name.
    pub fn move_to(&self, sink: Arc<dyn TokenSink>) {
        let saved = {
            let mut state = self.0.state.lock();
            state.sink = Some(Arc::clone(&sink));
            // The new place knows none of its tokens.
            state.unsaved = true;
            // A refresh under way keeps what it gets in the new place.
            let access = state.access.as_ref().filter(|_| state.flight.is_none());
            access.map(|access| SavedToken {
                fingerprint: self.0.fingerprint,
                access_token: access.token.clone(),
                expires_at: access.expires_at,
                refresh_token: Some(state.refresh_token.clone())
                    .filter(|token| *token != self.0.configured),
            })
        };
        if let Some(saved) = saved {
            let shared = Arc::clone(&self.0);
            self.0.tasks.spawn(async move {
                shared.keep(sink, saved, false).await;
            });
        }
    }
}

impl Shared {
    /// Waits until a rotated refresh token is durable; an access token alone is kept beside the requests, since losing it
    /// costs one refresh.
    pub(super) async fn keep(
        self: &Arc<Self>,
        sink: Arc<dyn TokenSink>,
        saved: SavedToken,
        rotated: bool,
    ) {
        let (kept, waiting) = watch::channel(false);
        let (turn, must) = {
            let mut state = self.state.lock();
            state.saves += 1;
            state.unsaved |= rotated;
            (state.saves, state.unsaved)
        };
        let shared = self.clone();
        self.tasks.spawn(async move {
            shared.save(sink, saved, turn, must).await;
            kept.send_replace(true);
        });
        if rotated {
            wait_kept(waiting).await;
        }
    }

    /// Saves until it is done or a newer save has taken over. What need not be kept is tried once.
    async fn save(&self, sink: Arc<dyn TokenSink>, saved: SavedToken, turn: u64, must: bool) {
        let drain = self.tasks.drain();
        let mut pause = FIRST_PAUSE;
        while self.state.lock().saves == turn {
            // The try that a shutdown brings forward is the last.
            let last = !must || drain.is_cancelled();
            match sink.save(saved.clone()).await {
                Ok(()) => {
                    let mut state = self.state.lock();
                    state.unsaved &= state.saves != turn;
                    return;
                }
                Err(error) => tracing::warn!(%error, retried = !last, "token could not be kept"),
            }
            if last {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = drain.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether both are the same place.
pub(super) fn same(one: Option<&Arc<dyn TokenSink>>, other: Option<&Arc<dyn TokenSink>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

async fn wait_kept(mut kept: watch::Receiver<bool>) {
    let waited = tokio::time::timeout(SAVE_TIMEOUT, kept.wait_for(|kept| *kept)).await;
    if waited.is_err() {
        tracing::error!(
            "a rotated refresh token is in use before it is known to be kept: the store does not answer"
        );
    }
}
