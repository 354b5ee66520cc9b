//! Name to live state. Reconciles on reload: the same name with the same credential keeps its state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::id::{AccountId, ModelName, UpstreamId};
use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::pool::failure::Class;
use crate::pool::state::{Cooldown, Machine, Standing};
use crate::runtime::account::{AccountState, InFlight};
use crate::runtime::catalog;
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::lane::ModelState;
use crate::runtime::numbers::Numbers;
use crate::runtime::project::Project;
use crate::runtime::standing;
use crate::runtime::tokens::StoredTokens;
use crate::store::{
    AccountRecord, CatalogRecord, CooldownRecord, Learned, QuotaRecord, StandingRecord, Store,
    TokenRecord,
};
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
    /// Accounts by number.
    pub numbers: Numbers,
}

struct Known {
    upstream: Arc<UpstreamHandle>,
    state: Arc<AccountState>,
    /// Since when no snapshot names it.
    gone: Option<Timestamp>,
}

/// How long the state of an account that left the file, or was disabled in it, waits for its return.
const RETURN: Duration = Duration::from_hours(30 * 24);

/// What the store brought back, until the account it belongs to appears.
#[derive(Default)]
struct Kept {
    tokens: HashMap<AccountId, TokenRecord>,
    accounts: HashMap<AccountId, AccountRecord>,
    quotas: HashMap<AccountId, Vec<QuotaRecord>>,
    cooldowns: HashMap<AccountId, Vec<CooldownRecord>>,
    standings: HashMap<AccountId, StandingRecord>,
    catalogs: HashMap<UpstreamId, CatalogRecord>,
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
        for standing in learned.standings.drain(..) {
            kept.standings.insert(standing.account.clone(), standing);
        }
        for catalog in learned.catalogs.drain(..) {
            kept.catalogs.insert(catalog.upstream.clone(), catalog);
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
            numbers: Numbers::default(),
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
            known.gone = None;
            return Arc::clone(&known.state);
        }
        let before = accounts.get(id).map(|known| &known.state);
        let in_flight = before.map_or_else(Arc::default, |b| Arc::clone(&b.in_flight));
        let state = self.make(id, upstream, secret, in_flight);
        if let Some(before) = before.map(|before| before.machine()) {
            if before.standing != Standing::Active {
                state.restore_standing(Machine::on_trial(before.paused, Timestamp::now()));
            } else if before.paused.is_some() {
                state.pause(before.paused.unwrap_or_default());
            }
            self.keep_standing(&state);
        }
        let known = Known {
            upstream: Arc::clone(upstream),
            state: Arc::clone(&state),
            gone: None,
        };
        accounts.insert(id.clone(), known);
        state
    }

    fn make(
        &self,
        id: &AccountId,
        upstream: &Arc<UpstreamHandle>,
        secret: &Secret,
        in_flight: Arc<InFlight>,
    ) -> Arc<AccountState> {
        let print = fingerprint(secret, &upstream.oauth.client_id);
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
        let state = AccountState::new(
            id.clone(),
            self.numbers.of(id),
            upstream.id.clone(),
            credential,
            in_flight,
        );
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
                .set_quota(quota.remaining, quota.reset, quota.at);
        }
        let now = Timestamp::now();
        if let Some(record) = kept.standings.remove(id) {
            let same = record.fingerprint == print;
            state.restore_standing(standing::machine(&record, same, now));
        }
        for record in kept.cooldowns.remove(id).unwrap_or_default() {
            if let Some(class) = Class::parse(&record.class).filter(|_| record.until > now) {
                let cooldown = Cooldown {
                    since: now,
                    until: record.until,
                    class,
                    count: record.count,
                };
                state.restore(record.model.as_ref().map(ModelName::as_str), cooldown);
            }
        }
        Arc::new(state)
    }

    /// Gives an upstream the list of models that an earlier run heard, until it is heard itself.
    pub fn restore_catalog(&self, upstream: &UpstreamHandle) {
        let kept = self.kept.lock().catalogs.remove(&upstream.id);
        if let Some(record) = kept {
            let at = record.at;
            upstream.restore(catalog::list(record), at);
        }
    }

    /// Keeps why the account can't be used, or forgets it where it can.
    pub fn keep_standing(&self, account: &AccountState) {
        match standing::record(account) {
            Some(record) => self.store.put_standing(record),
            None => self.store.delete_standing(account.id.clone()),
        }
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

    /// Accounts that no snapshot names any more wait for their return a while: taking one out of use and back in makes
    /// nobody forget what it must not do. What a pause said, the file has overruled.
    pub fn retain(&self, keep: impl Fn(&AccountId) -> bool, now: Timestamp) {
        self.accounts.lock().retain(|id, known| {
            if keep(id) {
                return true;
            }
            if known.state.resume() {
                self.keep_standing(&known.state);
            }
            now.since(*known.gone.get_or_insert(now)) < RETURN
        });
    }

    /// Time has passed: where the clock was set back, benches keep their length.
    pub fn tick(&self, now: Timestamp) {
        for known in self.accounts.lock().values() {
            known.state.tick(now);
        }
        for model in self.models.lock().values() {
            model.tick(now);
        }
    }
}

fn exchange(upstream: &UpstreamHandle) -> Arc<dyn Exchange> {
    Arc::new(HttpExchange::new(
        Arc::clone(&upstream.http),
        upstream.oauth.clone(),
    ))
}
