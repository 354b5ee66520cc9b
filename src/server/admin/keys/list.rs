//! All client keys and groups.

use std::collections::{BTreeMap, HashMap};

use http::StatusCode;
use serde_json::Value;

use crate::base::id::hex;
use crate::base::money::usd;
use crate::base::time::Timestamp;
use crate::config::model;
use crate::runtime::limits::{Limited, Whose};
use crate::runtime::snapshot::KeyEntry;
use crate::server::Gateway;
use crate::server::admin::api::keys::{Budget, Group, Key, KeyList, KeyState, LimitUse, Limits};
use crate::server::admin::edits::value;
use crate::server::admin::keys::{shown, sums::Used};
use crate::server::admin::{Params, Refusal};

pub(in crate::server::admin) fn list(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, now) = (runtime.snapshot(), Timestamp::now());
    let used = gateway.key_sums.read(&runtime.store, now);
    let mut used =
        used.map_err(|error| Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let entries: HashMap<&str, &KeyEntry> = snapshot
        .client_keys()
        .map(|entry| (entry.id.as_str(), &**entry))
        .collect();
    let clock = runtime.registry.limits.clock.now();
    let mut of_groups: HashMap<&str, Vec<LimitUse>> = HashMap::new();
    let mut members: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut keys = Vec::with_capacity(snapshot.config.keys.len());
    for (id, key) in &snapshot.config.keys {
        let entry = entries.get(id.as_str());
        let mut own = Vec::new();
        for limited in entry.iter().flat_map(|entry| entry.limits()) {
            match limited.whose() {
                Whose::Key(_) => own = uses(limited, clock),
                Whose::Group(name) if !of_groups.contains_key(name.as_str()) => {
                    if let Some((name, _)) = snapshot.config.groups.get_key_value(name) {
                        of_groups.insert(name, uses(limited, clock));
                    }
                }
                Whose::Group(_) => {}
            }
        }
        if let Some(group) = &key.group {
            members
                .entry(group)
                .or_default()
                .push(id.as_str().to_owned());
        }
        let used = used.remove(id.as_str()).unwrap_or_default();
        let digest = entry.map_or([0; 32], |entry| entry.digest);
        keys.push(of_key(id.as_str(), key, &digest, own, used, now));
    }
    let groups = snapshot.config.groups.iter().map(|(name, group)| Group {
        name: name.clone(),
        limits: limits(&group.limits, group.max_concurrent),
        uses: of_groups.remove(name.as_str()).unwrap_or_default(),
        keys: members.remove(name.as_str()).unwrap_or_default(),
    });
    let groups = groups.collect();
    value(KeyList { keys, groups })
}

fn uses(limited: &Limited, now: Timestamp) -> Vec<LimitUse> {
    limited.uses(now).iter().map(shown).collect()
}

fn of_key(
    name: &str,
    key: &model::Key,
    digest: &[u8; 32],
    uses: Vec<LimitUse>,
    used: Used,
    now: Timestamp,
) -> Key {
    let state = if !key.enabled {
        KeyState::Disabled
    } else if key.expires.is_some_and(|at| at <= now) {
        KeyState::Expired
    } else {
        KeyState::Active
    };
    Key {
        name: name.to_owned(),
        label: key.name.clone(),
        group: key.group.clone(),
        state,
        digest: hex(&digest[..4]),
        models: key.models.clone(),
        accounts: Some(key.accounts.clone()).filter(|all| !all.is_empty()),
        expires: key.expires.map(|at| at.to_string()),
        limits: limits(&key.limits, key.max_concurrent),
        uses,
        requests: used.requests,
        tokens: used.tokens,
        cost_usd: usd(used.cost),
        requests_24h: used.day,
        last_used: used.last.map(|at| at.to_string()),
    }
}

fn limits(limits: &model::Limits, max_concurrent: Option<u32>) -> Limits {
    Limits {
        rpm: limits.rpm.map(u64::from),
        tokens_per_minute: limits.tokens_per_minute,
        tokens_per_day: limits.tokens_per_day,
        budget: limits.budget.map(|(nanos, per)| Budget {
            usd: usd(nanos),
            per: per.as_str().to_owned(),
        }),
        max_concurrent: max_concurrent.map(u64::from),
    }
}
