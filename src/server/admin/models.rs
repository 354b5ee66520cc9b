//! Public models and their routes, and what upstreams list.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::base::money::usd;
use crate::base::time::Timestamp;
use crate::config::model::Strategy;
use crate::ir::ThinkingDefault;
use crate::runtime::snapshot::{KeyEntry, Route, RouteTarget, Snapshot};
use crate::server::Gateway;
use crate::server::admin::api::models::{
    Model, ModelList, Offer, OfferedModel, Offers, Price, RouteStep,
};
use crate::server::admin::{self, Params, Refusal};
use crate::store::RollUp;
use crate::wire::ModelInfo;

/// Keys that are named of those that may use a model.
const NAMED: usize = 100;
/// What is counted as lately.
const LATELY: Duration = Duration::from_hours(24);

/// `model list`.
pub(super) fn list(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let now = Timestamp::now();
    let only = match params.get("key") {
        Some(name) => Some(snapshot.key_named(name).ok_or_else(|| {
            let message = format!("there is no key `{name}` in the file");
            Refusal::field("key", message).with(StatusCode::NOT_FOUND)
        })?),
        None => None,
    };
    let used = used(gateway, now)?;
    let mut keys: Vec<&Arc<KeyEntry>> = snapshot.client_keys().collect();
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    let aliases = aliases(&snapshot);
    let listed = snapshot.listed().filter(|(info, route)| {
        let shows = |key: &Arc<KeyEntry>| Snapshot::shows(key, info, route);
        only.as_ref().is_none_or(shows)
    });
    let models = listed
        .map(|(info, route)| {
            let (mut count, mut may) = (0, Vec::new());
            for key in keys.iter().filter(|key| Snapshot::shows(key, info, route)) {
                count += 1;
                if may.len() < NAMED {
                    may.push(key.id.as_str().to_owned());
                }
            }
            let (requests, tokens) = used.get(&info.id).copied().unwrap_or_default();
            Model {
                key_count: count,
                keys: may,
                requests,
                tokens,
                aliases: aliases.get(&info.id).cloned().unwrap_or_default(),
                ..described(&snapshot, info, route, now)
            }
        })
        .collect();
    let strategies = Strategy::ALL.map(|strategy| strategy.as_str().to_owned());
    admin::told(ModelList {
        models,
        default_model: snapshot.config.routing.default_model.clone(),
        strategies: strategies.into(),
    })
}

/// Requests and tokens of each model lately.
fn used(gateway: &Gateway, now: Timestamp) -> Result<HashMap<String, (u64, u64)>, Refusal> {
    let store = &gateway.dispatcher.runtime.store;
    let from = Timestamp(
        now.0
            .saturating_sub(i64::try_from(LATELY.as_millis()).unwrap_or(i64::MAX)),
    );
    let mut used: HashMap<String, (u64, u64)> = HashMap::new();
    let read = store.each_usage(RollUp::Model, from, now, |_, name, sums| {
        let (requests, tokens) = used.entry(name.to_owned()).or_default();
        *requests = requests.saturating_add(sums.requests);
        let all = [sums.input, sums.cached, sums.cache_write, sums.output];
        *tokens = all.into_iter().fold(*tokens, u64::saturating_add);
    });
    read.map_err(|error| Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(used)
}

/// The names besides its own that lead to each model.
fn aliases(snapshot: &Snapshot) -> HashMap<String, Vec<String>> {
    let mut aliases: HashMap<String, BTreeSet<String>> = HashMap::new();
    for (name, route) in snapshot.named_routes() {
        if *name != route.name {
            let of_model = aliases.entry(route.name.clone()).or_default();
            of_model.insert(name.clone());
        }
    }
    let all = aliases.into_iter();
    all.map(|(name, all)| (name, all.into_iter().collect()))
        .collect()
}

fn described(snapshot: &Snapshot, info: &ModelInfo, route: &Route, now: Timestamp) -> Model {
    let config = &snapshot.config;
    let in_file = config.models.get(&info.id);
    let default = config.routing.default_model.as_deref();
    let leads = |name: &str| snapshot.route(name).is_some_and(|to| to.name == info.id);
    let price = route.price.map(|price| Price {
        input: usd(price.input),
        output: usd(price.output),
        cached_input: Some(usd(price.cached_input)),
    });
    let family = in_file.and_then(|model| model.family);
    Model {
        name: info.id.clone(),
        in_file: in_file.is_some(),
        default: default.is_some_and(leads),
        display_name: info.display_name.clone(),
        aliases: Vec::new(),
        route: route.targets.iter().map(|t| step(t, now)).collect(),
        strategy: route.strategy.as_str().to_owned(),
        thinking: route.thinking.map(thinking),
        family: family.and_then(|family| word(&json!(family))),
        context: info.context,
        max_output: info.max_output,
        price,
        key_count: 0,
        keys: Vec::new(),
        requests: 0,
        tokens: 0,
    }
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// As the file has it.
fn thinking(thinking: ThinkingDefault) -> Value {
    match thinking {
        ThinkingDefault::Budget(tokens) => json!({ "budget": tokens }),
        ThinkingDefault::Level(level) => json!({ "level": level }),
        ThinkingDefault::Off => json!("off"),
    }
}

fn step(target: &RouteTarget, now: Timestamp) -> RouteStep {
    let open = target.state.ready_at() <= now;
    let ready = target.seats.iter().filter(|seat| {
        let lane = seat.lane.view(seat.credits, now).ready_at <= now;
        open && lane && seat.account.ready_at() <= now
    });
    RouteStep {
        upstream: target.upstream.id.as_str().to_owned(),
        model: target.model.clone(),
        accounts: target.seats.len() as u64,
        ready: ready.count() as u64,
    }
}

/// `model offers`.
pub(super) fn offers(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let mut served: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (info, route) in snapshot.listed() {
        for target in &route.targets {
            let of_model = served.entry((target.upstream.id.as_str(), &target.model));
            of_model.or_default().push(info.id.clone());
        }
    }
    let upstreams = snapshot.upstreams.values().map(|upstream| {
        let id = upstream.id.as_str();
        let listed = upstream.listed();
        let found = listed.iter().flat_map(|listed| &listed.list.models);
        let models = found.map(|model| OfferedModel {
            id: model.id.clone(),
            display_name: model.display_name.clone(),
            max_output: model.max_output,
            context: model.max_tokens,
            served_as: served
                .get(&(id, model.id.as_str()))
                .cloned()
                .unwrap_or_default(),
        });
        Offer {
            upstream: id.to_owned(),
            listed: listed.as_ref().map(|listed| listed.at.to_string()),
            discover: upstream.config.discover,
            models: models.collect(),
        }
    });
    let upstreams = upstreams.collect();
    admin::told(Offers { upstreams })
}
