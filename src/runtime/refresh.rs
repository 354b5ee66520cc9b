//! Asking an upstream about one account: its token, its project, its models and what is left of their quotas.

use std::sync::Arc;

use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};
use crate::runtime::Runtime;
use crate::runtime::account::AccountState;
use crate::runtime::catalog;
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::project::Project;
use crate::runtime::snapshot::Snapshot;
use crate::store::QuotaRecord;
use crate::upstream::antigravity::models::ModelList;

/// One account with what asking for it needs.
#[derive(Clone)]
pub struct Inquiry {
    /// The account.
    pub account: Arc<AccountState>,
    upstream: Arc<UpstreamHandle>,
    /// The configured project.
    configured: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// Whether the access token had to be renewed.
    pub renewed: bool,
    /// Until when it is good.
    pub token_until: Option<Timestamp>,
    /// Its project and tier; nothing where the upstream was not asked for them and they are not known.
    pub project: Project,
    /// How many models the upstream lists for it.
    pub models: usize,
}

impl Inquiry {
    /// One for this account; `None` where it may not be asked for or its upstream is not in the file.
    pub fn of(snapshot: &Snapshot, account: &Arc<AccountState>) -> Option<Self> {
        let upstream = snapshot.upstreams.get(&account.upstream)?;
        let config = snapshot.config.accounts.get(&account.id);
        account.can_be_asked().then(|| Self {
            account: Arc::clone(account),
            upstream: Arc::clone(upstream),
            configured: config.and_then(|account| account.project.clone()),
        })
    }

    /// Asks for the models and quotas and keeps them. With `discover` a project that is not known is looked for first.
    ///
    /// # Errors
    /// The upstream's refusal, classed.
    pub async fn ask(&self, runtime: &Runtime, discover: bool) -> Result<Refreshed, Failure> {
        let now = Timestamp::now();
        let account = &self.account;
        let before = account.credential.expires_at();
        let token = account
            .credential
            .token(now)
            .await
            .inspect_err(|failure| runtime.refused_sign_in(account, failure))?;
        let list = match self.list(runtime, &token, discover).await {
            // The token was revoked before its time: another one, and once more.
            Err(stale) if stale.class == Class::AuthExpired => {
                let fresh = account
                    .credential
                    .force_refresh(&token, Timestamp::now())
                    .await
                    .inspect_err(|failure| runtime.refused_sign_in(account, failure))?;
                self.list(runtime, &fresh, discover).await?
            }
            asked => asked?,
        };
        self.keep(runtime, &list, now);
        runtime.freed();
        let models = list.models.len();
        let list = Arc::new(list);
        let learnt = self.upstream.learn(Arc::clone(&list), now);
        if learnt.keep {
            let record = catalog::record(&self.upstream.id, &list, now);
            runtime.store.put_catalog(record);
        }
        if learnt.changed {
            runtime.offers.notify_one();
        }
        let token_until = account.credential.expires_at();
        Ok(Refreshed {
            renewed: token_until != before,
            token_until,
            project: self.project(),
            models,
        })
    }

    async fn list(
        &self,
        runtime: &Runtime,
        token: &Secret,
        discover: bool,
    ) -> Result<ModelList, Failure> {
        let (account, configured) = (&self.account, self.configured.as_deref());
        let project = if discover {
            runtime
                .project(&self.upstream, account, configured, token)
                .await?
        } else {
            self.project().id
        };
        let client = &self.upstream.client;
        client.fetch_models(token, project.as_deref()).await
    }

    /// What is known: the configured project goes first.
    fn project(&self) -> Project {
        let known = self.account.project.known().unwrap_or_default();
        Project {
            id: self.configured.clone().or(known.id),
            tier: known.tier,
        }
    }

    fn keep(&self, runtime: &Runtime, list: &ModelList, now: Timestamp) {
        for model in &list.models {
            runtime.quota_read(
                &self.account,
                &model.id,
                (model.remaining, model.reset),
                now,
            );
            if model.remaining.is_some() || model.reset.is_some() {
                runtime.store.put_quota(QuotaRecord {
                    account: self.account.id.clone(),
                    model: model.id.as_str().into(),
                    remaining: model.remaining,
                    reset: model.reset,
                    at: now,
                });
            }
        }
    }
}
