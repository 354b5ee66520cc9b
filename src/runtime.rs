//! L5: what is in force, what lives across reloads, and the jobs that keep it fresh.

pub mod account;
pub mod board;
pub mod build;
pub mod catalog;
pub mod controller;
pub mod handle;
pub mod jobs;
mod kept;
pub mod keyring;
pub mod lane;
pub mod limits;
pub mod metrics;
pub mod numbers;
pub mod project;
pub mod refresh;
pub mod registry;
pub mod rows;
mod seats;
pub mod signin;
pub mod slots;
pub mod snapshot;
pub mod standing;
pub mod tokens;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

use crate::base::id::AccountId;
use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::pool::cooldown::Limits;
use crate::pool::failure::{Class, Failure};
use crate::pool::state::{Effect, Standing};
use crate::runtime::account::AccountState;
use crate::runtime::controller::Reload;
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::metrics::Metrics;
use crate::runtime::project::Project;
use crate::runtime::registry::Registry;
use crate::runtime::snapshot::{RouteTarget, Seat, Snapshot};
use crate::store::{CooldownRecord, Store};

/// What the whole program shares.
pub struct Runtime {
    snapshot: ArcSwap<Snapshot>,
    /// What lives across reloads.
    pub registry: Registry,
    /// What is kept.
    pub store: Store,
    /// Every task, and the phases of shutdown.
    pub tasks: Tasks,
    swaps: watch::Sender<()>,
    ask: mpsc::Sender<AccountId>,
    /// Told when an upstream's list of models has changed: routes are to be wired anew.
    pub offers: Notify,
    /// What happened to the last reload.
    pub reload: Mutex<Reload>,
    /// When the program started.
    pub started: Timestamp,
    when_freed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Runtime {
    /// A runtime with its first snapshot. Requests for quotas go to `ask`.
    pub fn new(
        first: Snapshot,
        registry: Registry,
        store: Store,
        tasks: Tasks,
        ask: mpsc::Sender<AccountId>,
    ) -> Self {
        let swaps = watch::Sender::new(());
        Self {
            snapshot: ArcSwap::from_pointee(first),
            registry,
            store,
            tasks,
            swaps,
            ask,
            offers: Notify::new(),
            reload: Mutex::default(),
            started: Timestamp::now(),
            when_freed: OnceLock::new(),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.registry.metrics
    }

    /// The snapshot in force. A request keeps the one it began with.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a snapshot in force.
    pub fn put(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.swaps.send_replace(());
        // An account that has left the file is no longer paused, which requests that began before may still use.
        self.freed();
    }

    /// Told with each snapshot that is put in force.
    pub fn swaps(&self) -> watch::Receiver<()> {
        self.swaps.subscribe()
    }

    /// Waits until every upstream that publishes its models has been heard, and hands out the snapshot that knows them.
    pub async fn discovered(&self, snapshot: &mut Arc<Snapshot>) {
        let mut swaps = self.swaps();
        loop {
            *snapshot = self.snapshot();
            if !snapshot.waits_for_discovery() || swaps.changed().await.is_err() {
                return;
            }
        }
    }

    /// The account's project: the configured one, else what discovery finds.
    ///
    /// # Errors
    /// The upstream's refusal, classed.
    pub async fn project(
        &self,
        upstream: &UpstreamHandle,
        account: &AccountState,
        configured: Option<&str>,
        token: &Secret,
    ) -> Result<Option<String>, Failure> {
        let discover = || async {
            let setup = upstream.client.discover(token, configured).await?;
            if setup.project.is_none() && configured.is_none() {
                let link = setup.validation_link.clone();
                let why: Vec<_> = setup
                    .ineligible
                    .iter()
                    .map(|t| t.reason_code.as_str())
                    .collect();
                let class = if link.is_some() {
                    Class::NeedsValidation
                } else {
                    Class::AccountInvalid
                };
                let detail = format!("no project for this account ({})", why.join(", "));
                return Err(Failure {
                    link,
                    ..Failure::new(class, detail)
                });
            }
            let project = Project {
                id: setup.project,
                tier: Some(setup.tier),
            };
            self.registry.keep_project(account, &project);
            Ok::<_, Failure>(project)
        };
        let found = account.project.get(discover).await?;
        Ok(configured.map(str::to_owned).or(found.id))
    }

    fn limits(&self) -> Limits {
        let snapshot = self.snapshot.load();
        let routing = &snapshot.config.routing;
        Limits {
            first: routing.capacity_cooldown,
            max: routing.max_cooldown,
        }
    }

    /// A call went well.
    pub fn succeeded(&self, seat: &Seat, target: &RouteTarget) {
        let now = Timestamp::now();
        let reopened = target.state.success(now);
        let relief = seat.account.success(&target.model, now);
        if reopened || relief.trial {
            self.freed();
        }
        if relief.trial {
            self.registry.keep_standing(&seat.account);
        }
        if relief.bench {
            self.store
                .delete_cooldown(seat.account.id.clone(), Some(target.model.as_str().into()));
        }
    }

    /// A call failed: whoever is guilty is benched, and that is kept.
    pub fn failed(&self, seat: &Seat, target: &RouteTarget, failure: &Failure) {
        let (now, limits) = (Timestamp::now(), self.limits());
        let account = &seat.account;
        match failure.class {
            Class::Capacity => target.state.capacity(failure, now, &limits),
            Class::Forbidden => {
                account.project.forget();
                self.registry.keep_project(account, &Project::default());
            }
            Class::OauthConfig => {
                tracing::error!(
                    upstream = %account.upstream,
                    detail = failure.detail,
                    "the provider refuses the OAuth client: check `oauth.client_id` and `oauth.client_secret`"
                );
            }
            _ => {}
        }
        let effect = account.failure(&target.model, failure, now, &limits);
        match effect {
            Effect::None => {}
            Effect::Tell => {
                self.registry.keep_standing(account);
                let (standing, ..) = account.health();
                tracing::warn!(
                    account = %account.id,
                    state = standing.as_str(),
                    class = failure.class.as_str(),
                    link = failure.link,
                    detail = failure.detail,
                    "account needs a person"
                );
            }
            Effect::Benched | Effect::AskQuota => {
                if let Some((model, bench)) = account.bench(&target.model, failure.class) {
                    self.store.put_cooldown(CooldownRecord {
                        account: account.id.clone(),
                        model: model.as_deref().map(Into::into),
                        until: bench.until,
                        class: failure.class.as_str().into(),
                        count: bench.count,
                    });
                }
                if effect == Effect::AskQuota {
                    self.ask_quota(&account.id);
                }
            }
        }
    }

    /// A reading of an account's quota of a model came, which was asked for at `at`.
    fn quota_read(
        &self,
        account: &AccountState,
        model: &str,
        quota: (Option<f64>, Option<Timestamp>),
        at: Timestamp,
    ) {
        if !account.quota(model, quota, at, Timestamp::now()) {
            return;
        }
        tracing::info!(account = %account.id, model, "quota left: no longer benched for lack of it");
        let name = Some(model.into());
        match account.bench(model, Class::QuotaExhausted) {
            Some((Some(_), bench)) => self.store.put_cooldown(CooldownRecord {
                account: account.id.clone(),
                model: name,
                until: bench.until,
                class: bench.class.as_str().into(),
                count: bench.count,
            }),
            _ => self.store.delete_cooldown(account.id.clone(), name),
        }
    }

    /// Somebody signed in to an account again, and its file could not be written: the new refresh token is in use all the same,
    /// and an account that waited for it is back on trial.
    pub fn renew(&self, account: &AccountState, refresh_token: Secret) {
        account.credential.renew(refresh_token);
        let (standing, ..) = account.health();
        if standing == Standing::NeedsLogin {
            self.release(account);
        }
        self.ask_quota(&account.id);
    }

    /// Sets what is to be done whenever an account, or a model, may have become usable before it was due.
    pub fn when_freed(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.when_freed.set(Box::new(tell));
    }

    fn freed(&self) {
        if let Some(tell) = self.when_freed.get() {
            tell();
        }
    }

    /// Asks for an account's quotas soon; a full queue means that it is about to be asked anyway.
    pub fn ask_quota(&self, account: &AccountId) {
        let _ = self.ask.try_send(account.clone());
    }

    /// A sign-in failed without a request: only what says that a person must act is news about the account.
    pub fn refused_sign_in(&self, account: &AccountState, failure: &Failure) {
        if failure.class == Class::AccountInvalid {
            account.failure("", failure, Timestamp::now(), &self.limits());
            self.registry.keep_standing(account);
            tracing::warn!(account = %account.id, detail = failure.detail, "account needs a person: sign in again");
        }
    }
}
