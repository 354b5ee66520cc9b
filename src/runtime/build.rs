//! Config to snapshot: finds or makes each account's state, wires routes, digests keys. Changes nothing that is in force.

mod keys;
mod signin;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use wildmatch::WildMatch;

use crate::base::id::{AccountId, UpstreamId};
use crate::config::model::{Account, Affinity, Config, Model};
use crate::config::secret::Resolver;
use crate::ir::Family;
use crate::runtime::account::AccountState;
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::metrics::ModelCounts;
use crate::runtime::registry::Registry;
use crate::runtime::rows::Rows;
use crate::runtime::snapshot::{Listed, Route, RouteTarget, Seat, Snapshot};
use crate::wire::ModelInfo;

/// What the build needs besides the config.
pub struct Context<'a> {
    /// Reads secrets.
    pub secrets: &'a Resolver<'a>,
    /// What lives across reloads.
    pub registry: &'a Registry,
    /// The snapshot in force, whose upstream handles (and their connections) are kept where nothing changed.
    pub present: Option<&'a Snapshot>,
    /// The number of the snapshot to be.
    pub generation: u64,
    /// The files' revision.
    pub revision: [u8; 32],
}

/// Builds a snapshot.
///
/// # Errors
/// One line for each secret that can't be read and each client that can't be built, naming the key of the file.
pub fn build(config: Arc<Config>, context: &Context<'_>) -> Result<Snapshot, Vec<String>> {
    let mut errors = Vec::new();
    let upstreams = upstreams(&config, context, &mut errors);
    let accounts = accounts(&config, &upstreams, context, &mut errors);
    let keys = keys::keys(&config, context, &mut errors);
    let sign_in = signin::sign_in(&config, context, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let wiring = Wiring {
        config: &config,
        upstreams: &upstreams,
        accounts: &accounts,
        registry: context.registry,
        present: context.present,
    };
    // Before the routes: a list that comes meanwhile is one that they may lack.
    let undiscovered = upstreams
        .values()
        .any(|u| u.config.discover && u.catalog().is_none());
    let (routes, listed) = wiring.routes();
    let (generation, revision) = (context.generation, context.revision);
    Ok(Snapshot {
        generation,
        revision,
        config,
        upstreams,
        accounts,
        sign_in,
        keys,
        routes,
        listed,
        undiscovered,
        seats: OnceLock::new(),
    })
}

type Upstreams = BTreeMap<UpstreamId, Arc<UpstreamHandle>>;
type Accounts = BTreeMap<AccountId, Arc<AccountState>>;
type LeftOut = Vec<(AccountId, &'static str)>;

fn upstreams(config: &Config, context: &Context<'_>, errors: &mut Vec<String>) -> Upstreams {
    let mut out = Upstreams::new();
    for (id, upstream) in &config.upstreams {
        // Other kinds are validated as not yet in effect: nothing routes to them.
        let present = context.present.and_then(|p| p.upstreams.get(id));
        match UpstreamHandle::build(
            id,
            upstream,
            context.secrets,
            &context.registry.http,
            present,
        ) {
            Ok(Some(handle)) => {
                context.registry.restore_catalog(&handle);
                out.insert(id.clone(), handle);
            }
            Ok(None) => {}
            Err(error) => errors.push(format!("upstreams.{id}: {error}")),
        }
    }
    out
}

fn accounts(
    config: &Config,
    upstreams: &Upstreams,
    context: &Context<'_>,
    errors: &mut Vec<String>,
) -> Accounts {
    let mut out = Accounts::new();
    for (id, account) in config
        .accounts
        .iter()
        .filter(|(_, account)| account.enabled)
    {
        let Some(upstream) = upstreams.get(&account.upstream) else {
            continue;
        };
        match context.secrets.resolve(&account.credential) {
            Ok(secret) => {
                let named = |name: &AccountId| config.accounts.get(name).is_some_and(|a| a.enabled);
                let state = context.registry.account(id, upstream, &secret, named);
                out.insert(id.clone(), state);
            }
            Err(error) => errors.push(format!("accounts.{id}: {error}")),
        }
    }
    out
}

/// Most accounts that a route names as left out.
const LEFT_OUT: usize = 64;

struct Wiring<'a> {
    config: &'a Config,
    upstreams: &'a Upstreams,
    accounts: &'a Accounts,
    registry: &'a Registry,
    present: Option<&'a Snapshot>,
}

impl Wiring<'_> {
    fn routes(&self) -> (HashMap<String, Arc<Route>>, Vec<Listed>) {
        let mut routes = HashMap::new();
        let mut listed = Vec::new();
        for (name, model) in &self.config.models {
            let route = Arc::new(self.configured(name, model));
            // A model's own name comes before another's alias, whichever is read first.
            let free = |alias: &&String| !self.config.models.contains_key(alias.as_str());
            for alias in model.aliases.iter().filter(free) {
                routes.insert(alias.clone(), Arc::clone(&route));
            }
            routes.insert(name.clone(), Arc::clone(&route));
            listed.push(Listed {
                info: info(name, Some(model), &route),
                route,
            });
        }
        for (id, upstream) in self.upstreams.iter().filter(|(_, u)| u.config.discover) {
            let Some(catalog) = upstream.catalog() else {
                continue;
            };
            for found in &catalog.models {
                if routes.contains_key(&found.id) {
                    continue;
                }
                let targets = Vec::from_iter(self.target(id, &found.id, None, None));
                let strategy = self.config.routing.strategy;
                let route = Arc::new(Route {
                    name: found.id.clone(),
                    targets,
                    strategy,
                    affinity: self.affinity(),
                    thinking: None,
                    counts: Arc::clone(&self.registry.metrics.discovered),
                    price: None,
                });
                routes.insert(found.id.clone(), Arc::clone(&route));
                let info = ModelInfo {
                    display_name: found.display_name.clone(),
                    context: found.max_tokens,
                    ..info(&found.id, None, &route)
                };
                listed.push(Listed { info, route });
            }
            for (old, new) in &catalog.renamed {
                if let Some(route) = routes.get(new).cloned() {
                    routes.entry(old.clone()).or_insert(route);
                }
            }
        }
        (routes, listed)
    }

    fn affinity(&self) -> bool {
        self.config.routing.affinity == Affinity::Conversation
    }

    fn configured(&self, name: &str, model: &Model) -> Route {
        let targets = model.route.iter();
        Route {
            name: name.to_owned(),
            targets: targets
                .filter_map(|t| self.target(&t.upstream, &t.model, model.family, model.max_output))
                .collect(),
            strategy: model.strategy.unwrap_or(self.config.routing.strategy),
            affinity: self.affinity(),
            thinking: model.thinking,
            counts: self.counts(name),
            price: model.price,
        }
    }

    /// The counts of a model of the file go on while the file names it.
    fn counts(&self, name: &str) -> Arc<ModelCounts> {
        self.present
            .filter(|present| present.config.models.contains_key(name))
            .and_then(|present| present.route(name))
            .map_or_else(Arc::default, |route| Arc::clone(&route.counts))
    }

    fn target(
        &self,
        upstream: &UpstreamId,
        model: &str,
        family: Option<Family>,
        max_output: Option<u32>,
    ) -> Option<RouteTarget> {
        let handle = self.upstreams.get(upstream)?;
        let catalog = handle.catalog();
        // The provider renames models: an old id leads to the new one (upstream-protocol.md 4.1).
        let model = catalog
            .as_ref()
            .and_then(|c| c.renamed.get(model))
            .map_or(model, String::as_str)
            .to_owned();
        let found = catalog
            .as_ref()
            .and_then(|c| c.models.iter().find(|m| m.id == model));
        let theirs = found
            .and_then(|m| m.max_output)
            .and_then(|n| u32::try_from(n).ok());
        let (seats, left_out) = self.seats(upstream, &model);
        let state = self.registry.model(upstream, &model);
        Some(RouteTarget {
            family: family.or_else(|| Family::of(&model)),
            max_output: [max_output, theirs].into_iter().flatten().min(),
            limit: self.config.routing.max_concurrent_per_model,
            rows: Rows::of(&seats, &self.registry.board, &state),
            seats,
            state,
            left_out,
            upstream: Arc::clone(handle),
            model,
        })
    }

    /// The accounts of an upstream that may serve a model, and those that may not.
    fn seats(&self, upstream: &UpstreamId, model: &str) -> (Vec<Seat>, LeftOut) {
        let (mut seats, mut left_out) = (Vec::new(), Vec::new());
        let accounts = self.config.accounts.iter();
        for (id, account) in accounts.filter(|(_, account)| account.upstream == *upstream) {
            let serves = || {
                let mut globs = account.models.iter();
                globs.any(|glob| glob == "*" || WildMatch::new(glob).matches(model))
            };
            let why = match self.accounts.get(id) {
                None => "paused: `enabled = false` in the file",
                Some(_) if !serves() => "its `models` leave this model out",
                Some(state) => {
                    seats.push(self.seat(account, state, model));
                    continue;
                }
            };
            if left_out.len() < LEFT_OUT {
                left_out.push((id.clone(), why));
            }
        }
        (seats, left_out)
    }

    fn seat(&self, account: &Account, state: &Arc<AccountState>, model: &str) -> Seat {
        Seat {
            lane: state.lane(model),
            in_flight: state.in_flight.clone(),
            account: Arc::clone(state),
            weight: account.weight,
            tier: account.tier,
            limit: account
                .max_concurrent
                .unwrap_or(self.config.routing.max_concurrent_per_account),
            project: account.project.clone(),
            credits: account.credits,
        }
    }
}

fn info(name: &str, model: Option<&Model>, route: &Route) -> ModelInfo {
    let first = route.targets.first();
    let family = first.and_then(|t| t.family).or_else(|| Family::of(name));
    let owned_by = match family {
        Some(Family::Gemini25 | Family::Gemini3 | Family::Image) => "google",
        Some(Family::Claude) => "anthropic",
        Some(Family::GptOss) => "openai",
        None => first.map_or("agp", |t| t.upstream.id.as_str()),
    };
    ModelInfo {
        id: name.to_owned(),
        owned_by: owned_by.to_owned(),
        display_name: model.and_then(|m| m.display_name.clone()),
        context: model.and_then(|m| m.context),
        max_output: first.and_then(|t| t.max_output).map(u64::from),
    }
}
