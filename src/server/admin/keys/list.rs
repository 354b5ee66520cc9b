//! The list of client keys: filtered, sorted, a page of it; and the groups.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::Value;

use crate::base::id::hex;
use crate::base::money::usd;
use crate::base::time::Timestamp;
use crate::config::model;
use crate::runtime::limits::{Limited, Whose};
use crate::runtime::snapshot::{KeyEntry, Snapshot};
use crate::server::Gateway;
use crate::server::admin::accounts::list::{Key as By, number};
use crate::server::admin::api::keys::{
    Budget, Group, Key, KeyList, KeyState, LimitUse, Limits, Member,
};
use crate::server::admin::keys::{shown, sums::Used};
use crate::server::admin::{self, Params, Refusal};

/// Keys of a group that are named.
const MEMBERS: usize = 100;
/// The names of the states, as [`KeyState`] is told.
pub(in crate::server::admin) const STATES: &[&str] = &["active", "disabled", "expired"];
/// What the list is sorted by.
pub(in crate::server::admin) const SORTS: &[&str] = &[
    "name",
    "label",
    "state",
    "uses",
    "requests",
    "tokens",
    "cost",
    "last_used",
];

/// A page of the keys, and the groups. Only what is on the page is described, so that 10,000 keys are no matter.
pub(in crate::server::admin) fn list(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, now) = (runtime.snapshot(), Timestamp::now());
    let used = gateway.key_sums.read(&runtime.store, now);
    let used =
        used.map_err(|error| Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let entries: HashMap<&str, &KeyEntry> = snapshot
        .client_keys()
        .map(|entry| (entry.id.as_str(), &**entry))
        .collect();
    let clock = runtime.registry.limits.clock.now();
    let wish = Wish::of(params);
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (id, key) in &snapshot.config.keys {
        let row = Row {
            name: id.as_str(),
            key,
            entry: entries.get(id.as_str()).copied(),
            used: used.get(id.as_str()).copied().unwrap_or_default(),
            state: state(key, now),
        };
        if wish.lets(&row) {
            rows.push(row);
        }
    }
    let matched = rows.len() as u64;
    sort(&mut rows, &wish, clock);
    let page = rows.iter().skip(wish.offset).take(wish.limit);
    let keys = page.map(|row| row.describe(clock)).collect();
    admin::told(KeyList {
        keys,
        total: snapshot.config.keys.len() as u64,
        matched,
        groups: groups(&snapshot, &entries, clock),
    })
}

/// A key in the making of a list.
struct Row<'a> {
    name: &'a str,
    key: &'a model::Key,
    entry: Option<&'a KeyEntry>,
    used: Used,
    state: KeyState,
}

impl Row<'_> {
    fn digest(&self) -> String {
        hex(&self.entry.map_or([0; 32], |entry| entry.digest)[..4])
    }

    /// What is used of its own limits.
    fn uses(&self, clock: Timestamp) -> Vec<LimitUse> {
        let limits = self.entry.iter().flat_map(|entry| entry.limits());
        let mut own = limits.filter(|limited| matches!(limited.whose(), Whose::Key(_)));
        own.next().map_or_else(Vec::new, |own| uses(own, clock))
    }

    fn describe(&self, clock: Timestamp) -> Key {
        let (key, used) = (self.key, self.used);
        Key {
            name: self.name.to_owned(),
            label: key.name.clone(),
            group: key.group.clone(),
            state: self.state,
            digest: self.digest(),
            models: key.models.clone(),
            accounts: Some(key.accounts.clone()).filter(|all| !all.is_empty()),
            expires: key.expires.map(|at| at.to_string()),
            limits: limits(&key.limits, key.max_concurrent),
            uses: self.uses(clock),
            requests: used.requests,
            tokens: used.tokens,
            cost_usd: usd(used.cost),
            requests_24h: used.day,
            last_used: used.last.map(|at| at.to_string()),
        }
    }
}

/// What a query wants.
struct Wish<'a> {
    text: Option<String>,
    name: Option<&'a str>,
    state: Option<&'a str>,
    group: Option<&'a str>,
    sort: &'a str,
    descending: bool,
    offset: usize,
    limit: usize,
}

impl<'a> Wish<'a> {
    fn of(params: &'a Params) -> Self {
        let number = |name, default| {
            let number = params.number(name).map(usize::try_from);
            number.and_then(Result::ok).unwrap_or(default)
        };
        Self {
            text: params.get("q").map(|text| text.trim().to_lowercase()),
            name: params.get("name"),
            state: params.get("state"),
            group: params.get("group"),
            sort: params.get("sort").unwrap_or("name"),
            descending: params.flag("desc"),
            offset: number("offset", 0),
            limit: number("limit", usize::MAX),
        }
    }

    fn lets(&self, row: &Row<'_>) -> bool {
        let group = row.key.group.as_deref();
        self.name.is_none_or(|name| name == row.name)
            && self
                .state
                .is_none_or(|state| state == STATES[row.state as usize])
            && self.group.is_none_or(|name| group == Some(name))
            && self.text.as_deref().is_none_or(|text| {
                let has = |field: &str| field.to_lowercase().contains(text);
                has(row.name) || has(&row.key.name) || group.is_some_and(has) || has(&row.digest())
            })
    }
}

/// Sorts; rows of the same place stay in order of names.
fn sort(rows: &mut Vec<Row<'_>>, wish: &Wish<'_>, clock: Timestamp) {
    if wish.sort == "name" && !wish.descending {
        return;
    }
    let by = |row: &Row<'_>| match wish.sort {
        "label" => By::Text(row.key.name.to_lowercase()),
        "state" => number(row.state as u64),
        "uses" => {
            let uses = row.uses(clock);
            let parts = uses.iter().map(|of| match of.bound {
                bound if bound > 0.0 => of.used / bound,
                _ => f64::INFINITY,
            });
            parts.reduce(f64::max).map_or(By::Nothing, By::Number)
        }
        "requests" => number(row.used.requests),
        "tokens" => number(row.used.tokens),
        "cost" => number(row.used.cost),
        "last_used" => {
            let at = row.used.last.and_then(|at| u64::try_from(at.0).ok());
            at.map_or(By::Nothing, number)
        }
        _ => By::Text(row.name.to_owned()),
    };
    let mut keyed: Vec<(By, Row<'_>)> = rows.drain(..).map(|row| (by(&row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.compare(b, wish.descending));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}

/// All groups, each with the first of its keys.
fn groups(snapshot: &Snapshot, entries: &HashMap<&str, &KeyEntry>, clock: Timestamp) -> Vec<Group> {
    let mut of_groups: HashMap<&str, Group> = HashMap::new();
    for (id, key) in &snapshot.config.keys {
        let group = key.group.as_deref();
        let known = group.and_then(|name| snapshot.config.groups.get_key_value(name));
        let Some((name, group)) = known else {
            continue;
        };
        let told = of_groups
            .entry(name)
            .or_insert_with(|| described(name, group));
        told.members += 1;
        if told.keys.len() < MEMBERS {
            told.keys.push(Member {
                name: id.as_str().to_owned(),
                label: key.name.clone(),
            });
        }
        if told.uses.is_empty() {
            let limits = entries.get(id.as_str()).map(|entry| entry.limits());
            let mut limits = limits.into_iter().flatten();
            let of_group = limits.find(|limited| matches!(limited.whose(), Whose::Group(_)));
            told.uses = of_group.map_or_else(Vec::new, |limited| uses(limited, clock));
        }
    }
    let groups = snapshot.config.groups.iter().map(|(name, group)| {
        let told = of_groups.remove(name.as_str());
        told.unwrap_or_else(|| described(name, group))
    });
    groups.collect()
}

fn described(name: &str, group: &model::Group) -> Group {
    Group {
        name: name.to_owned(),
        limits: limits(&group.limits, group.max_concurrent),
        uses: Vec::new(),
        members: 0,
        keys: Vec::new(),
    }
}

fn uses(limited: &Limited, now: Timestamp) -> Vec<LimitUse> {
    limited.uses(now).iter().map(shown).collect()
}

fn state(key: &model::Key, now: Timestamp) -> KeyState {
    if !key.enabled {
        KeyState::Disabled
    } else if key.expires.is_some_and(|at| at <= now) {
        KeyState::Expired
    } else {
        KeyState::Active
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_named_as_they_are_told() {
        for state in [KeyState::Active, KeyState::Disabled, KeyState::Expired] {
            let told = serde_json::to_value(state).unwrap();
            assert_eq!(told, STATES[state as usize]);
        }
    }
}
