//! Client keys: all of them, a new one, and what keys and groups have used of their limits.

mod list;
mod make;
mod sums;

use http::StatusCode;
use serde_json::Value;

use crate::base::id::KeyId;
use crate::base::money::usd;
use crate::base::time::Timestamp;
use crate::config::model::Config;
use crate::pool::limit::{Limit, Use};
use crate::runtime::limits::{Limited, Whose};
use crate::server::Gateway;
use crate::server::admin::api::keys::{GroupUses, KeyUsage, KeyUses, LimitUse};
use crate::server::admin::{self, Params, Refusal};

pub(super) use list::{SORTS, STATES, list};
pub(super) use make::add;
pub use sums::KeySums;

/// Every key and group that has limits; of one key only, and its group, where it is named.
pub(super) fn usage(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let now = runtime.registry.limits.clock.now();
    let name = params.get("name");
    let key = match name {
        Some(name) => Some(snapshot.key_named(name).ok_or_else(|| {
            let message = format!("there is no key `{name}` in the file");
            Refusal::field("name", message).with(StatusCode::NOT_FOUND)
        })?),
        None => None,
    };
    let limited: Vec<&Limited> = match &key {
        Some(key) => key.limits().map(AsRef::as_ref).collect(),
        None => snapshot.limited(),
    };
    let (mut keys, mut groups) = (Vec::new(), Vec::new());
    for limited in limited {
        let limits: Vec<LimitUse> = limited.uses(now).iter().map(shown).collect();
        match limited.whose() {
            Whose::Key(id) => keys.push(of_key(&snapshot.config, id, limits)),
            Whose::Group(name) => groups.push(GroupUses {
                name: name.clone(),
                limits,
            }),
        }
    }
    // Told although it has none of its own: else nobody knew whether it was found.
    if let Some(key) = key.filter(|_| keys.is_empty()) {
        keys.push(of_key(&snapshot.config, &key.id, Vec::new()));
    }
    admin::told(KeyUsage { keys, groups })
}

/// A key by the name of its table and by the one that it has for people.
fn of_key(config: &Config, id: &KeyId, limits: Vec<LimitUse>) -> KeyUses {
    let key = config.keys.get(id);
    KeyUses {
        name: id.as_str().to_owned(),
        label: key.map_or(id.as_str(), |key| key.name.as_str()).to_owned(),
        group: key.and_then(|key| key.group.clone()),
        limits,
    }
}

/// One limit: money in dollars, everything else in numbers.
fn shown(limit: &Use) -> LimitUse {
    let (unit, per) = match limit.limit {
        Limit::Money(per) => ("usd", per.as_str()),
        Limit::Requests => ("requests", "minute"),
        Limit::TokensPerMinute => ("tokens", "minute"),
        Limit::TokensPerDay => ("tokens", "day"),
    };
    #[expect(clippy::cast_precision_loss, reason = "for people, exact to 15 digits")]
    let number = |n: u64| if unit == "usd" { usd(n) } else { n as f64 };
    LimitUse {
        limit: limit.limit.as_str().to_owned(),
        unit: unit.to_owned(),
        per: per.to_owned(),
        used: number(limit.used),
        bound: number(limit.bound),
        reset: Timestamp(limit.reset.as_secs() * 1000).to_string(),
    }
}
