//! The wired value that a request pins: config, accounts, routes, key digests. Immutable; building it is the only step
//! that can fail.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use subtle::ConstantTimeEq;
use wildmatch::WildMatch;

use crate::base::id::{AccountId, KeyId, UpstreamId};
use crate::base::money::Price;
use crate::base::time::Timestamp;
use crate::config::model::{Config, Strategy};
use crate::ir::{Family, ThinkingDefault};
use crate::pool::report::Offer;
use crate::pool::select::Pick;
use crate::runtime::account::AccountState;
use crate::runtime::board::{InFlight, Spot};
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::lane::{Lane, ModelState};
use crate::runtime::limits::{Limited, Whose};
use crate::runtime::metrics::ModelCounts;
use crate::runtime::numbers::AccountSet;
use crate::runtime::rows::Rows;
use crate::runtime::seats::Seats;
use crate::runtime::signin::SignIn;
use crate::runtime::slots::KeySlots;
use crate::store::BudgetOwner;
use crate::wire::ModelInfo;

/// Everything a request needs to be served, as of one revision of the files.
pub struct Snapshot {
    /// Rises by one with each snapshot that is put in force.
    pub generation: u64,
    /// SHA-256 over paths and bytes of all files in play.
    pub revision: [u8; 32],
    /// The settings.
    pub config: Arc<Config>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<UpstreamId, Arc<UpstreamHandle>>,
    /// Enabled accounts by name.
    pub accounts: BTreeMap<AccountId, Arc<AccountState>>,
    /// What the panel's sign-in is checked against.
    pub sign_in: SignIn,
    pub(super) keys: HashMap<[u8; 32], Arc<KeyEntry>>,
    pub(super) routes: HashMap<String, Arc<Route>>,
    /// The names that are listed, in order.
    pub(super) listed: Vec<Listed>,
    /// Whether the routes lack the list of an upstream that publishes one.
    pub(super) undiscovered: bool,
    /// Made when somebody asks first.
    pub(super) seats: OnceLock<Seats>,
}

pub(super) struct Listed {
    pub(super) info: ModelInfo,
    pub(super) route: Arc<Route>,
}

/// A client key.
pub struct KeyEntry {
    /// Its table's name.
    pub id: KeyId,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    pub(super) models: Vec<WildMatch>,
    /// `None` is every account.
    pub(super) accounts: Option<Arc<AccountSet>>,
    pub(super) expires: Option<Timestamp>,
    pub(super) enabled: bool,
    /// Its own limits, and its group's.
    pub(super) limits: [Option<Arc<Limited>>; 2],
    /// How many requests it and its group have under way.
    pub slots: KeySlots,
}

impl KeyEntry {
    /// A key that may do everything and opens nothing: for questions about the pool, and the operator's own requests.
    pub fn anybody() -> Self {
        Self {
            id: KeyId::from(""),
            digest: [0; 32],
            models: vec![WildMatch::new("*")],
            accounts: None,
            expires: None,
            enabled: false,
            limits: [None, None],
            slots: KeySlots::default(),
        }
    }

    /// Whether it is [`Self::anybody`]: no key has that digest.
    pub fn is_anybody(&self) -> bool {
        self.digest == [0; 32]
    }

    /// Whether the key may use this public model.
    pub fn may_see(&self, model: &str) -> bool {
        self.models.iter().any(|glob| glob.matches(model))
    }

    /// The accounts that it may use; `None` is every account.
    pub fn accounts(&self) -> Option<&AccountSet> {
        self.accounts.as_deref()
    }

    /// Whether the key may use the account of this number.
    #[inline]
    pub fn may_use(&self, account: u32) -> bool {
        self.accounts
            .as_ref()
            .is_none_or(|accounts| accounts.contains(account))
    }

    /// Its own limits and its group's, where there are any.
    pub fn limits(&self) -> impl Iterator<Item = &Arc<Limited>> {
        self.limits.iter().flatten()
    }

    /// Whose money the key spends, where money is limited: its own, or its group's.
    pub fn budget(&self) -> Option<&Whose> {
        let mut limits = self.limits();
        limits.find(|l| l.has_budget()).map(|l| l.whose())
    }

    /// Stands for the accounts that it may use: the same number for keys of the same rules, while both live.
    pub fn accounts_tag(&self) -> usize {
        self.accounts
            .as_ref()
            .map_or(0, |set| Arc::as_ptr(set).addr())
    }

    /// Whether the key is accepted at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.enabled && self.expires.is_none_or(|at| now < at)
    }
}

/// A public model and how it is served.
pub struct Route {
    /// The public name (aliases lead to the same route).
    pub name: String,
    /// Targets in order.
    pub targets: Vec<RouteTarget>,
    /// How accounts are picked.
    pub strategy: Strategy,
    /// Whether a conversation keeps its account.
    pub affinity: bool,
    /// Where the client says nothing of thinking.
    pub thinking: Option<ThinkingDefault>,
    /// What is counted for it; those that the file does not name share theirs.
    pub counts: Arc<ModelCounts>,
    /// What its tokens cost.
    pub price: Option<Price>,
}

/// One step of a route.
pub struct RouteTarget {
    /// The upstream.
    pub upstream: Arc<UpstreamHandle>,
    /// The upstream's model id.
    pub model: String,
    /// Its family; `None` where neither the id nor the file says.
    pub family: Option<Family>,
    /// Most output tokens, the smaller of the file's word and the upstream's.
    pub max_output: Option<u32>,
    /// The model over all accounts.
    pub state: Arc<ModelState>,
    /// Most calls in flight on it.
    pub limit: Option<u32>,
    /// The accounts that may serve it.
    pub seats: Vec<Seat>,
    /// What selection reads of each of them, close together in memory.
    pub rows: Rows,
    /// Accounts of the upstream that may not, and why: for those who ask; not all where there are many.
    pub left_out: Vec<(AccountId, &'static str)>,
}

/// An account on a route.
pub struct Seat {
    /// The account.
    pub account: Arc<AccountState>,
    /// Its calls in flight.
    pub in_flight: Spot<InFlight>,
    /// Its standing with this model.
    pub lane: Arc<Lane>,
    /// Share under `weighted`.
    pub weight: f64,
    /// Lower goes first.
    pub tier: u32,
    /// Most calls in flight on the account.
    pub limit: Option<u32>,
    /// The configured project.
    pub project: Option<String>,
    /// Whether it may go on past the quota at the user's cost.
    pub credits: bool,
}

impl Seat {
    /// What the account's state goes by as far as this seat's model goes.
    pub fn offer(&self, now: Timestamp) -> Offer<'_> {
        Offer {
            model: &self.lane.model,
            empty_until: if self.credits {
                None
            } else {
                self.lane.empty_until(now)
            },
        }
    }

    /// Most calls in flight: one while the account is on trial.
    pub fn limit(&self) -> Option<u32> {
        if self.account.on_trial() {
            Some(1)
        } else {
            self.limit
        }
    }
}

impl RouteTarget {
    /// How selection picks under this strategy.
    pub fn pick(&self, strategy: Strategy) -> Pick {
        match strategy {
            Strategy::Weighted => Pick::Weighted,
            Strategy::RoundRobin => Pick::RoundRobin {
                turn: self.state.turn.load(Ordering::Relaxed),
            },
            Strategy::Random => Pick::Random,
            Strategy::LeastBusy => Pick::LeastBusy,
            Strategy::FillFirst => Pick::FillFirst,
        }
    }
}

impl Snapshot {
    /// The key with this digest, whether or not it is valid now.
    pub fn key(&self, digest: &[u8; 32]) -> Option<&Arc<KeyEntry>> {
        self.keys
            .get(digest)
            .filter(|key| key.digest.ct_eq(digest).into())
    }

    /// Whether the configuration names whose limits these are.
    pub fn names(&self, owner: &BudgetOwner) -> bool {
        match owner {
            BudgetOwner::Key(digest) => self.keys.contains_key(digest),
            BudgetOwner::Group(name) => self.config.groups.contains_key(&**name),
        }
    }

    /// All limits of keys and groups, keys first, in order of names.
    pub fn limited(&self) -> Vec<&Limited> {
        let limits = self.keys.values().flat_map(|key| key.limits());
        let mut all: Vec<&Limited> = limits.map(AsRef::as_ref).collect();
        all.sort_by(|a, b| a.whose().cmp(b.whose()));
        all.dedup_by(|a, b| a.whose() == b.whose());
        all
    }

    /// The key of this table, whether or not it is valid now. Looks at all of them.
    pub fn key_named(&self, name: &str) -> Option<Arc<KeyEntry>> {
        let mut keys = self.keys.values();
        keys.find(|key| key.id.as_str() == name).cloned()
    }

    /// Every route under each of its names.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// The seats of the account of this number: one for each upstream model that it may serve, in order. Who asks first waits
    /// for a look at every seat there is.
    pub fn seats(&self, account: u32) -> impl Iterator<Item = &Seat> {
        let seats = || Seats::of_routes(self.routes());
        self.seats.get_or_init(seats).of(account)
    }

    /// Every name of a route with it, in no order.
    pub fn named_routes(&self) -> impl Iterator<Item = (&String, &Arc<Route>)> {
        self.routes.iter()
    }

    /// The route that a public name or alias leads to.
    pub fn route(&self, model: &str) -> Option<&Arc<Route>> {
        self.routes.get(model)
    }

    /// The models that are listed for `key`.
    pub fn models<'a>(&'a self, key: &'a KeyEntry) -> impl Iterator<Item = &'a ModelInfo> {
        self.listed()
            .filter(|(info, route)| Self::shows(key, info, route))
            .map(|(info, _)| info)
    }

    /// Whether a model that is listed is so for `key`.
    pub fn shows(key: &KeyEntry, info: &ModelInfo, route: &Route) -> bool {
        let mut seats = route.targets.iter().flat_map(|t| &t.seats);
        key.may_see(&info.id)
            // It would be refused: nobody could say what it costs.
            && (route.price.is_some() || key.budget().is_none())
            && (key.accounts.is_none() || seats.any(|seat| key.may_use(seat.account.number)))
    }

    /// The models that are listed, in order.
    pub fn listed(&self) -> impl Iterator<Item = (&ModelInfo, &Arc<Route>)> {
        self.listed
            .iter()
            .map(|listed| (&listed.info, &listed.route))
    }

    /// Every key, valid or not, in no order.
    pub fn client_keys(&self) -> impl Iterator<Item = &Arc<KeyEntry>> {
        self.keys.values()
    }

    /// Whether some upstream publishes a list of models that these routes do not know yet.
    pub fn waits_for_discovery(&self) -> bool {
        self.undiscovered
    }
}
