//! Name to live state. Reconciles on reload: the same name with the same credential keeps its state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::id::{AccountId, ModelName, UpstreamId};
use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::pool::failure::Class;
use crate::pool::state::{Cooldown, Machine, Standing};
use crate::runtime::account::AccountState;
use crate::runtime::board::Board;
use crate::runtime::catalog;
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::kept::Kept;
use crate::runtime::lane::ModelState;
use crate::runtime::limits::Limits;
use crate::runtime::metrics::Metrics;
use crate::runtime::numbers::Numbers;
use crate::runtime::project::Project;
use crate::runtime::slots::Counters;
use crate::runtime::standing;
use crate::runtime::tokens::StoredTokens;
use crate::store::{AccountRecord, CooldownRecord, Learned, QuotaRecord, Store};
use crate::upstream::client::HttpClients;
use crate::upstream::credential::{Credential, Exchange, HttpExchange, fingerprint};

/// What lives across reloads.
pub struct Registry {
    accounts: Mutex<Accounts>,
    kept: Mutex<Kept>,
    store: Store,
    tasks: Tasks,
    /// Connections, shared by upstreams of the same settings.
    pub http: HttpClients,
    /// Accounts by number.
    pub numbers: Numbers,
    /// What selection reads.
    pub board: Arc<Board>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What keys and groups may use and have used.
    pub limits: Arc<Limits>,
    /// Requests under way of keys and groups.
    pub counters: Counters,
}

#[derive(Default)]
struct Accounts {
    by_name: HashMap<AccountId, Known>,
    /// Names by credential.
    by_print: HashMap<[u8; 32], Vec<AccountId>>,
}

struct Known {
    upstream: Arc<UpstreamHandle>,
    state: Arc<AccountState>,
    /// Since when no snapshot names it.
    gone: Option<Timestamp>,
    /// It took over from this one, or from a name that the store knew: its tokens and all are to be kept under its own.
    moved: bool,
}

impl Accounts {
    fn insert(&mut self, known: Known) {
        let id = known.state.id.clone();
        let names = self.by_print.entry(known.state.credential.fingerprint());
        let names = names.or_default();
        if !names.contains(&id) {
            names.push(id.clone());
        }
        self.by_name.insert(id, known);
    }

    /// The account that had this credential under a name that is no longer used.
    fn before(
        &self,
        print: &[u8; 32],
        named: impl Fn(&AccountId) -> bool,
    ) -> Option<&Arc<AccountState>> {
        let names = self.by_print.get(print).into_iter().flatten();
        let mut known = names.filter_map(|name| self.by_name.get(name));
        let of_old_name = known.find(|known| {
            !named(&known.state.id) && known.state.credential.fingerprint() == *print
        });
        of_old_name.map(|known| &known.state)
    }
}

impl Registry {
    /// A registry that knows what the store kept.
    pub fn new(store: Store, tasks: Tasks, learned: &mut Learned) -> Self {
        let budgets = std::mem::take(&mut learned.budgets);
        let limits = Arc::new(Limits::new(store.clone(), tasks.clone(), budgets));
        Self {
            accounts: Mutex::default(),
            kept: Mutex::new(Kept::new(learned)),
            limits,
            store,
            tasks,
            http: HttpClients::new(),
            numbers: Numbers::default(),
            board: Arc::default(),
            metrics: Arc::default(),
            counters: Counters::default(),
        }
    }

    /// The state of an account that signs in with `secret`: the present one where name and credential are the same, else
    /// a new one (a new credential puts the account back on trial; calls still in flight end on the old state). Where the
    /// credential is known under a name that is not in the file any more (`named` is false), the new name takes over what
    /// is known of it.
    pub fn account(
        &self,
        id: &AccountId,
        upstream: &Arc<UpstreamHandle>,
        secret: &Secret,
        named: impl Fn(&AccountId) -> bool,
    ) -> Arc<AccountState> {
        let print = fingerprint(secret, &upstream.oauth.client_id);
        let mut accounts = self.accounts.lock();
        if let Some(known) = accounts
            .by_name
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
        let own = accounts.by_name.get(id).map(|known| known.state.machine());
        let same = accounts.before(&print, &named);
        let (state, moved) = match (&own, same) {
            (None, Some(before)) => {
                before.credential.set_exchange(exchange(upstream));
                let state = self.fresh(id, upstream, before.credential.clone());
                state.inherit(before);
                (Arc::new(state), true)
            }
            _ => self.make(id, upstream, secret, &named),
        };
        if let Some(before) = own {
            if before.standing != Standing::Active {
                state.restore_standing(Machine::on_trial(before.paused, Timestamp::now()));
            } else if before.paused.is_some() {
                state.pause(before.paused.unwrap_or_default());
            }
            self.keep_standing(&state);
        }
        accounts.insert(Known {
            upstream: Arc::clone(upstream),
            state: Arc::clone(&state),
            gone: None,
            moved,
        });
        state
    }

    fn fresh(
        &self,
        id: &AccountId,
        upstream: &UpstreamHandle,
        credential: Credential,
    ) -> AccountState {
        let number = self.numbers.of(id);
        AccountState::new(
            id.clone(),
            number,
            upstream.id.clone(),
            credential,
            &self.board,
        )
    }

    /// From what the store kept; and whether that was under another name.
    fn make(
        &self,
        id: &AccountId,
        upstream: &Arc<UpstreamHandle>,
        secret: &Secret,
        named: impl Fn(&AccountId) -> bool,
    ) -> (Arc<AccountState>, bool) {
        let print = fingerprint(secret, &upstream.oauth.client_id);
        let kept = self.kept.lock().take(id, &print, named);
        let sink = StoredTokens::new(self.store.clone(), id.clone());
        let credential = Credential::new(
            secret.clone(),
            &upstream.oauth.client_id,
            exchange(upstream),
            kept.token.as_ref().map(StoredTokens::saved),
            Some(Arc::new(sink)),
            self.tasks.clone(),
        );
        let state = self.fresh(id, upstream, credential);
        if let Some(record) = kept.account.filter(|a| a.project.is_some()) {
            state.project.set(Project {
                id: record.project,
                tier: record.tier,
            });
        }
        for quota in kept.quotas {
            state
                .lane(quota.model.as_str())
                .set_quota(quota.remaining, quota.reset, quota.at);
        }
        let now = Timestamp::now();
        if let Some(record) = kept.standing {
            let same = record.fingerprint == print;
            state.restore_standing(standing::machine(&record, same, now));
        }
        for record in kept.cooldowns {
            if let Some(class) = Class::parse(&record.class).filter(|_| record.until > now) {
                let cooldown = Cooldown {
                    since: now,
                    until: record.until,
                    sure: record.until,
                    class,
                    count: record.count,
                };
                state.restore(record.model.as_ref().map(ModelName::as_str), cooldown);
            }
        }
        (Arc::new(state), kept.renamed)
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
        self.board.model(upstream, model)
    }

    /// How many models cool for all accounts.
    pub fn cooling_models(&self, now: Timestamp) -> usize {
        self.board.cooling_models(now)
    }

    /// Accounts that no snapshot names any more wait for their return, for `wait` at most: taking one out of use and back in makes
    /// nobody forget what it must not do. What a pause said, the file has overruled. Accounts with a new name keep what is
    /// known of them under that one from now on.
    pub fn retain(&self, keep: impl Fn(&AccountId) -> bool, wait: Duration, now: Timestamp) {
        self.counters.retain();
        let mut accounts = self.accounts.lock();
        let mut moved = HashSet::new();
        for known in accounts.by_name.values_mut().filter(|known| known.moved) {
            known.moved = false;
            if keep(&known.state.id) {
                self.keep_all(&known.state);
                moved.insert(known.state.credential.fingerprint());
            }
        }
        accounts.by_name.retain(|id, known| {
            if keep(id) {
                return true;
            }
            if moved.contains(&known.state.credential.fingerprint()) {
                return false;
            }
            if known.state.resume() {
                self.keep_standing(&known.state);
            }
            now.since(*known.gone.get_or_insert(now)) < wait
        });
        let Accounts { by_name, by_print } = &mut *accounts;
        by_print.retain(|_, names| {
            names.retain(|name| by_name.contains_key(name));
            !names.is_empty()
        });
    }

    /// Keeps everything that is known of an account under its name.
    fn keep_all(&self, account: &AccountState) {
        let sink = StoredTokens::new(self.store.clone(), account.id.clone());
        account.credential.move_to(Arc::new(sink));
        self.keep_standing(account);
        if let Some(project) = account.project.known() {
            self.keep_project(account, &project);
        }
        let at = Timestamp::now();
        for (model, reading) in account.readings() {
            self.store.put_quota(QuotaRecord {
                account: account.id.clone(),
                model: model.as_str().into(),
                remaining: reading.remaining,
                reset: reading.reset,
                at,
            });
        }
        let machine = account.machine();
        let models = machine.models.iter();
        let benches = models.map(|(model, bench)| (Some(model.as_str().into()), bench));
        for (model, bench) in benches.chain(machine.whole.as_ref().map(|bench| (None, bench))) {
            self.store.put_cooldown(CooldownRecord {
                account: account.id.clone(),
                model,
                until: bench.until,
                class: bench.class.as_str().into(),
                count: bench.count,
            });
        }
        tracing::info!(account = %account.id, "account has a new name: it goes on with what is known of it");
    }

    /// Keeps an account's project over restarts; none: the next start discovers anew.
    pub fn keep_project(&self, account: &AccountState, project: &Project) {
        self.store.put_account(AccountRecord {
            account: account.id.clone(),
            fingerprint: account.credential.fingerprint(),
            project: project.id.clone(),
            tier: project.tier.clone(),
            email: None,
            ineligible: None,
            at: Timestamp::now(),
        });
    }

    /// Time has passed: where the clock was set back, benches keep their length.
    pub fn tick(&self, now: Timestamp) {
        for known in self.accounts.lock().by_name.values() {
            known.state.tick(now);
        }
        self.board.tick(now);
    }
}

fn exchange(upstream: &UpstreamHandle) -> Arc<dyn Exchange> {
    Arc::new(HttpExchange::new(
        Arc::clone(&upstream.http),
        upstream.oauth.clone(),
    ))
}
