//! What a credential is made of and talks to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::pool::failure::Failure;
use crate::upstream::oauth::{self, Grant, OAuthClient};

/// How long before its end a token is renewed, at the least (upstream-protocol.md 1.2).
const AHEAD: Duration = Duration::from_mins(5);

/// An access token at hand.
pub(super) struct Access {
    pub(super) token: Secret,
    pub(super) expires_at: Timestamp,
    /// From here on it is renewed beside the requests.
    pub(super) renew_at: Timestamp,
}

impl Access {
    /// One whose renewal is due `jitter` sooner than it must be.
    pub(super) fn new(token: Secret, expires_at: Timestamp, jitter: Duration) -> Self {
        let ahead = i64::try_from((AHEAD + jitter).as_millis()).unwrap_or(0);
        Self {
            token,
            expires_at,
            renew_at: Timestamp(expires_at.0.saturating_sub(ahead)),
        }
    }
}

/// What is kept of a credential between runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedToken {
    /// [`fingerprint`] of the configured refresh token and client: a saved token of another one is not used.
    pub fingerprint: [u8; 32],
    /// What the provider put in the configured refresh token's place; `None` while that one is in force.
    pub refresh_token: Option<Secret>,
    /// The newest access token.
    pub access_token: Secret,
    /// When that one ends.
    pub expires_at: Timestamp,
}

/// Where tokens are kept.
pub trait TokenSink: Send + Sync {
    /// Keeps `token`; completes when it is durable.
    ///
    /// The error is a sentence for the log.
    fn save(&self, token: SavedToken) -> BoxFuture<'static, Result<(), String>>;
}

/// Trades a refresh token for an access token: the token endpoint, or a test's stand-in.
pub trait Exchange: Send + Sync {
    /// One call.
    fn refresh(&self, refresh_token: Secret) -> BoxFuture<'static, Result<Grant, Failure>>;
}

/// The token endpoint over HTTP.
pub struct HttpExchange {
    http: Arc<reqwest::Client>,
    client: Arc<OAuthClient>,
}

impl HttpExchange {
    /// The endpoint of `client`, reached through `http`.
    pub fn new(http: Arc<reqwest::Client>, client: OAuthClient) -> Self {
        Self {
            http,
            client: Arc::new(client),
        }
    }
}

impl Exchange for HttpExchange {
    fn refresh(&self, refresh_token: Secret) -> BoxFuture<'static, Result<Grant, Failure>> {
        let (http, client) = (self.http.clone(), self.client.clone());
        Box::pin(async move { oauth::refresh(&http, &client, &refresh_token).await })
    }
}

/// Identifies a configured credential without telling it: SHA-256 of client id and refresh token. Refresh tokens work
/// with the client that issued them only (upstream-protocol.md 1), so both count.
pub fn fingerprint(refresh_token: &Secret, client_id: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    // The length keeps two different pairs from being one text.
    hash.update((client_id.len() as u64).to_be_bytes());
    hash.update(client_id.as_bytes());
    hash.update(refresh_token.expose().as_bytes());
    hash.finalize().into()
}
