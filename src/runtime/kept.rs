//! What the store brought back, until the account it belongs to appears.

use std::collections::HashMap;

use crate::base::id::{AccountId, UpstreamId};
use crate::store::{
    AccountRecord, CatalogRecord, CooldownRecord, Learned, QuotaRecord, StandingRecord, TokenRecord,
};

/// What was kept of all accounts.
#[derive(Default)]
pub(super) struct Kept {
    tokens: HashMap<AccountId, TokenRecord>,
    accounts: HashMap<AccountId, AccountRecord>,
    quotas: HashMap<AccountId, Vec<QuotaRecord>>,
    cooldowns: HashMap<AccountId, Vec<CooldownRecord>>,
    standings: HashMap<AccountId, StandingRecord>,
    pub(super) catalogs: HashMap<UpstreamId, CatalogRecord>,
    /// Names by credential.
    names: HashMap<[u8; 32], Vec<AccountId>>,
}

/// What was kept of one account.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) token: Option<TokenRecord>,
    pub(super) account: Option<AccountRecord>,
    pub(super) quotas: Vec<QuotaRecord>,
    pub(super) cooldowns: Vec<CooldownRecord>,
    pub(super) standing: Option<StandingRecord>,
    /// It was kept under another name.
    pub(super) renamed: bool,
}

impl Kept {
    /// Of what the store gave.
    pub(super) fn new(learned: &mut Learned) -> Self {
        let mut kept = Self::default();
        for token in learned.tokens.drain(..) {
            kept.note(token.fingerprint, &token.account);
            kept.tokens.insert(token.account.clone(), token);
        }
        for account in learned.accounts.drain(..) {
            kept.accounts.insert(account.account.clone(), account);
        }
        for quota in learned.quotas.drain(..) {
            let name = quota.account.clone();
            kept.quotas.entry(name).or_default().push(quota);
        }
        for standing in learned.standings.drain(..) {
            kept.note(standing.fingerprint, &standing.account);
            kept.standings.insert(standing.account.clone(), standing);
        }
        for catalog in learned.catalogs.drain(..) {
            kept.catalogs.insert(catalog.upstream.clone(), catalog);
        }
        for cooldown in learned.cooldowns.drain(..) {
            let name = cooldown.account.clone();
            kept.cooldowns.entry(name).or_default().push(cooldown);
        }
        kept
    }

    fn note(&mut self, print: [u8; 32], name: &AccountId) {
        let names = self.names.entry(print).or_default();
        if !names.contains(name) {
            names.push(name.clone());
        }
    }

    /// Everything of the account of this name that signs in with the credential of this fingerprint. Where a name that is
    /// no longer used (`named` is false) had the same credential and newer tokens, it is that one under another name.
    pub(super) fn take(
        &mut self,
        id: &AccountId,
        print: &[u8; 32],
        named: impl Fn(&AccountId) -> bool,
    ) -> Memory {
        let newest =
            |name: &&AccountId| self.tokens.get(*name).map(|t| (t.expires_at, *name == id));
        let names = self.names.get(print).into_iter().flatten();
        let source = names
            .filter(|name| *name == id || !named(name))
            .max_by_key(newest)
            .unwrap_or(id)
            .clone();
        Memory {
            token: self
                .tokens
                .remove(&source)
                .filter(|t| t.fingerprint == *print),
            account: self
                .accounts
                .remove(&source)
                .filter(|a| a.fingerprint == *print),
            quotas: self.quotas.remove(&source).unwrap_or_default(),
            cooldowns: self.cooldowns.remove(&source).unwrap_or_default(),
            standing: self.standings.remove(&source),
            renamed: source != *id,
        }
    }
}
