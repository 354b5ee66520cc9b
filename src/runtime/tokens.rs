//! The store as the place where credentials keep their tokens.

use futures_util::future::BoxFuture;

use crate::base::id::AccountId;
use crate::store::{Store, TokenRecord};
use crate::upstream::credential::{SavedToken, TokenSink};

/// One account's place in the store.
pub struct StoredTokens {
    store: Store,
    account: AccountId,
}

impl StoredTokens {
    /// The place of this account.
    pub fn new(store: Store, account: AccountId) -> Self {
        Self { store, account }
    }

    /// A stored token in the credential's terms.
    pub fn saved(record: &TokenRecord) -> SavedToken {
        SavedToken {
            fingerprint: record.fingerprint,
            access_token: record.access_token.clone(),
            expires_at: record.expires_at,
            refresh_token: record.refresh_token.clone(),
        }
    }
}

impl TokenSink for StoredTokens {
    fn save(&self, token: SavedToken) -> BoxFuture<'static, Result<(), String>> {
        let rotated = token.refresh_token.is_some();
        let record = TokenRecord {
            account: self.account.clone(),
            fingerprint: token.fingerprint,
            access_token: token.access_token,
            expires_at: token.expires_at,
            refresh_token: token.refresh_token,
        };
        let store = self.store.clone();
        Box::pin(async move {
            // Only a rotated refresh token can't be had again: an access token alone need not wait for the disk.
            if rotated {
                return store.put_token(record).await.map_err(|e| e.to_string());
            }
            store.put_token_relaxed(record);
            Ok(())
        })
    }
}
