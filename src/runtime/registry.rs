//! Name to live state. Reconciles on reload: the same name with the same credential keeps its state.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::id::{AccountId, ModelName, UpstreamId};
use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::pool::failure::Class;
use crate::pool::state::Cooldown;
use crate::runtime::account::{AccountState, ModelState};
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::project::Project;
use crate::runtime::tokens::StoredTokens;
use crate::store::{AccountRecord, CooldownRecord, Learned, QuotaRecord, Store, TokenRecord};
use crate::upstream::client::HttpClients;
use crate::upstream::credential::{Credential, Exchange, HttpExchange, fingerprint};

/// What lives across reloads.
pub struct Registry {
    accounts: Mutex<HashMap<AccountId, Known>>,
    models: Mutex<HashMap<(UpstreamId, String), Arc<ModelState>>>,
    kept: Mutex<Kept>,
    store: Store,
    tasks: Tasks,
    /// Connections, shared by upstreams of the same settings.
    pub http: HttpClients,
}

struct Known {
    upstream: Arc<UpstreamHandle>,
    state: Arc<AccountState>,
}

/// What the store brought back, until the account it belongs to appears.
#[derive(Default)]
struct Kept {
    tokens: HashMap<AccountId, TokenRecord>,
    accounts: HashMap<AccountId, AccountRecord>,
    quotas: HashMap<AccountId, Vec<QuotaRecord>>,
    cooldowns: HashMap<AccountId, Vec<CooldownRecord>>,
}

impl Registry {
    /// A registry that knows what the store kept.
    pub fn new(store: Store, tasks: Tasks, learned: &mut Learned) -> Self {
        let mut kept = Kept::default();
        for token in learned.tokens.drain(..) {
            kept.tokens.insert(token.account.clone(), token);
        }
        for account in learned.accounts.drain(..) {
            kept.accounts.insert(account.account.clone(), account);
        }
        for quota in learned.quotas.drain(..) {
            kept.quotas
                .entry(quota.account.clone())
                .or_default()
                .push(quota);
        }
        for cooldown in learned.cooldowns.drain(..) {
            kept.cooldowns
                .entry(cooldown.account.clone())
                .or_default()
                .push(cooldown);
        }
        Self {
            accounts: Mutex::default(),
            models: Mutex::default(),
            kept: Mutex::new(kept),
            store,
            tasks,
            http: HttpClients::new(),
        }
    }

    /// The state of an account that signs in with `secret`: the present one where name and credential are the same, else
    /// a new one (a new credential puts the account back on trial; calls still in flight end on the old state).
    pub fn account(
        &self,
        id: &AccountId,
        upstream: &Arc<UpstreamHandle>,
        secret: &Secret,
    ) -> Arc<AccountState> {
        let print = fingerprint(secret, &upstream.oauth.client_id);
        let mut accounts = self.accounts.lock();
        if let Some(known) = accounts
            .get_mut(id)
            .filter(|known| known.state.credential.fingerprint() == print)
        {
            // A changed proxy or client secret of the upstream is no news about the account: its health goes on.
            if !Arc::ptr_eq(&known.upstream, upstream) {
                known.state.credential.set_exchange(exchange(upstream));
                known.upstream = Arc::clone(upstream);
            }
            return Arc::clone(&known.state);
        }
        let state = self.make(id, upstream, secret, print);
        let known = Known {
            upstream: Arc::clone(upstream),
            state: Arc::clone(&state),
        };
        accounts.insert(id.clone(), known);
        state
    }

    fn make(
        &self,
        id: &AccountId,
        upstream: &Arc<UpstreamHandle>,
        secret: &Secret,
        print: [u8; 32],
    ) -> Arc<AccountState> {
        let mut kept = self.kept.lock();
        let sink = StoredTokens::new(self.store.clone(), id.clone());
        let saved = kept
            .tokens
            .remove(id)
            .filter(|t| t.fingerprint == print)
            .map(|t| StoredTokens::saved(&t));
        let credential = Credential::new(
            secret.clone(),
            &upstream.oauth.client_id,
            exchange(upstream),
            saved,
            Some(Arc::new(sink)),
            self.tasks.clone(),
        );
        let state = AccountState::new(id.clone(), upstream.id.clone(), credential);
        let kept_account = kept.accounts.remove(id);
        if let Some(record) = kept_account.filter(|a| a.fingerprint == print && a.project.is_some())
        {
            state.project.set(Project {
                id: record.project,
                tier: record.tier,
            });
        }
        for quota in kept.quotas.remove(id).unwrap_or_default() {
            state
                .lane(quota.model.as_str())
                .set_quota(quota.remaining, quota.reset);
        }
        let now = Timestamp::now();
        for record in kept.cooldowns.remove(id).unwrap_or_default() {
            if let Some(class) = Class::parse(&record.class).filter(|_| record.until > now) {
                let cooldown = Cooldown {
                    until: record.until,
                    class,
                    count: record.count,
                };
                state.restore(record.model.as_ref().map(ModelName::as_str), cooldown);
            }
        }
        Arc::new(state)
    }

    /// The state of a model of an upstream.
    pub fn model(&self, upstream: &UpstreamId, model: &str) -> Arc<ModelState> {
        let mut models = self.models.lock();
        Arc::clone(
            models
                .entry((upstream.clone(), model.to_owned()))
                .or_default(),
        )
    }

    /// Forgets accounts that no snapshot names any more; those still in use live on with their requests.
    pub fn retain(&self, keep: impl Fn(&AccountId) -> bool) {
        self.accounts.lock().retain(|id, _| keep(id));
    }
}

fn exchange(upstream: &UpstreamHandle) -> Arc<dyn Exchange> {
    Arc::new(HttpExchange::new(
        Arc::clone(&upstream.http),
        upstream.oauth.clone(),
    ))
}
