//! A wired upstream: its connections, OAuth client, hosts and list of models.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::base::id::UpstreamId;
use crate::base::time::Timestamp;
use crate::config::model::{Kind, Upstream};
use crate::config::secret::Resolver;
use crate::runtime::metrics::Tries;
use crate::upstream::antigravity::AntigravityClient;
use crate::upstream::antigravity::models::ModelList;
use crate::upstream::client::HttpClients;
use crate::upstream::oauth::OAuthClient;

/// A host that could not be reached is asked again after this.
const HOST_REST: Duration = Duration::from_secs(30);

/// A list is written down anew at least this often while it is heard, so that its age tells how long the upstream is away.
const KEEP: Duration = Duration::from_hours(1);

/// A list of models as it is in force.
#[derive(Debug)]
pub struct Listed {
    /// The list.
    pub list: Arc<ModelList>,
    /// When the upstream told it.
    pub at: Timestamp,
    /// Whether it is from an earlier run: the upstream has not been heard since the start.
    pub from_store: bool,
    /// When it was written down last.
    kept: Timestamp,
}

/// What a list that was just heard brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learnt {
    /// Routes are to be wired anew: models came, went, or changed their limits.
    pub changed: bool,
    /// It is to be written down.
    pub keep: bool,
}

/// One `[upstreams.*]` table, wired.
pub struct UpstreamHandle {
    /// Its name.
    pub id: UpstreamId,
    /// Its settings.
    pub config: Upstream,
    /// The operator's OAuth client.
    pub oauth: OAuthClient,
    /// Its connections.
    pub http: Arc<reqwest::Client>,
    /// Its calls.
    pub client: AntigravityClient,
    /// How its calls ended.
    pub tries: Arc<Tries>,
    catalog: ArcSwapOption<Listed>,
    down_until: Vec<AtomicI64>,
}

impl UpstreamHandle {
    /// Wires an upstream, or takes over the present one where nothing changed, connections and all. `None` for kinds
    /// that have no effect yet.
    ///
    /// # Errors
    /// What can't be read or built.
    pub fn build(
        id: &UpstreamId,
        config: &Upstream,
        secrets: &Resolver<'_>,
        clients: &HttpClients,
        present: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, String> {
        if config.kind != Kind::Antigravity {
            return Ok(None);
        }
        let oauth = config
            .oauth
            .as_ref()
            .ok_or("`oauth` is missing: kind antigravity needs the operator's own client")?;
        let client_id = secrets
            .resolve(&oauth.client_id)
            .map_err(|e| format!("oauth.client_id: {e}"))?;
        let client_secret = secrets
            .resolve(&oauth.client_secret)
            .map_err(|e| format!("oauth.client_secret: {e}"))?;
        let oauth = OAuthClient::new(oauth, &client_id, client_secret);
        if let Some(present) = present.filter(|p| p.config == *config && p.oauth == oauth) {
            return Ok(Some(Arc::clone(present)));
        }
        let client = AntigravityClient::new(config, clients)?;
        let http = Arc::clone(client.http());
        let catalog = ArcSwapOption::from(present.and_then(|p| p.listed()));
        let tries = present.map_or_else(Arc::default, |p| Arc::clone(&p.tries));
        let down_until = config.base_urls.iter().map(|_| AtomicI64::new(0)).collect();
        Ok(Some(Arc::new(Self {
            id: id.clone(),
            config: config.clone(),
            oauth,
            http,
            client,
            tries,
            catalog,
            down_until,
        })))
    }

    /// What the upstream lists; `None` before the first answer.
    pub fn catalog(&self) -> Option<Arc<ModelList>> {
        self.catalog.load().as_ref().map(|l| Arc::clone(&l.list))
    }

    /// The same with its age.
    pub fn listed(&self) -> Option<Arc<Listed>> {
        self.catalog.load_full()
    }

    /// Takes in a list that the upstream told now.
    pub fn learn(&self, list: Arc<ModelList>, now: Timestamp) -> Learnt {
        let known = self.listed();
        let known = known.as_ref();
        let changed = known.is_none_or(|known| !known.list.same_offer(&list));
        let keep = changed || known.is_none_or(|known| now.since(known.kept) >= KEEP);
        let kept = known.filter(|_| !keep).map_or(now, |known| known.kept);
        self.catalog.store(Some(Arc::new(Listed {
            list,
            at: now,
            from_store: false,
            kept,
        })));
        Learnt { changed, keep }
    }

    /// Takes in what an earlier run heard, where nothing newer is known.
    pub fn restore(&self, list: ModelList, at: Timestamp) {
        if self.listed().is_none() {
            self.catalog.store(Some(Arc::new(Listed {
                list: Arc::new(list),
                at,
                from_store: true,
                kept: at,
            })));
        }
    }

    /// The host to begin with: the first that is not resting, else the first.
    pub fn first_host(&self, now: Timestamp) -> usize {
        (0..self.down_until.len())
            .find(|host| !self.rests(*host, now))
            .unwrap_or(0)
    }

    /// The host after this one.
    pub fn next_host(&self, host: usize, now: Timestamp) -> Option<usize> {
        (host + 1..self.down_until.len()).find(|host| !self.rests(*host, now))
    }

    /// A host could not be reached: it rests for a while.
    pub fn host_failed(&self, host: usize, now: Timestamp) {
        if let Some(down) = self.down_until.get(host) {
            down.store(now.plus(HOST_REST).0, Ordering::Release);
        }
    }

    fn rests(&self, host: usize, now: Timestamp) -> bool {
        self.down_until
            .get(host)
            .is_some_and(|down| down.load(Ordering::Acquire) > now.0)
    }
}
