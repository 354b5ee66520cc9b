//! What keys and groups have used of their limits.

use serde_json::{Value, json};

use crate::base::id::KeyId;
use crate::base::money::usd;
use crate::base::time::Timestamp;
use crate::config::model::Config;
use crate::pool::limit::{Limit, Use};
use crate::runtime::limits::{Limited, Whose};
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal};

/// Every key and group that has limits; of one key only, and its group, where it is named.
pub(super) fn usage(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let now = runtime.registry.limits.clock.now();
    let name = params.get("name");
    let key =
        match name {
            Some(name) => Some(snapshot.key_named(name).ok_or_else(|| {
                Refusal::not_found(format!("there is no key `{name}` in the file"))
            })?),
            None => None,
        };
    let limited: Vec<&Limited> = match &key {
        Some(key) => key.limits().map(AsRef::as_ref).collect(),
        None => snapshot.limited(),
    };
    let (mut keys, mut groups) = (Vec::new(), Vec::new());
    for limited in limited {
        let limits: Vec<Value> = limited.uses(now).iter().map(shown).collect();
        match limited.whose() {
            Whose::Key(id) => keys.push(of_key(&snapshot.config, id, &limits)),
            Whose::Group(name) => groups.push(json!({ "name": name, "limits": limits })),
        }
    }
    // Told although it has none of its own: else nobody knew whether it was found.
    if let Some(key) = key.filter(|_| keys.is_empty()) {
        keys.push(of_key(&snapshot.config, &key.id, &[]));
    }
    Ok(json!({ "keys": keys, "groups": groups }))
}

/// A key by the name of its table and by the one that it has for people.
fn of_key(config: &Config, id: &KeyId, limits: &[Value]) -> Value {
    let key = config.keys.get(id);
    json!({
        "name": id.as_str(),
        "label": key.map_or(id.as_str(), |key| key.name.as_str()),
        "group": key.and_then(|key| key.group.as_deref()),
        "limits": limits,
    })
}

/// One limit: money in dollars, everything else in numbers.
fn shown(limit: &Use) -> Value {
    let (used, bound) = (limit.used, limit.bound);
    let reset = Timestamp(limit.reset.as_secs() * 1000).to_string();
    let name = limit.limit.as_str();
    match limit.limit {
        Limit::Money(per) => json!({
            "limit": name, "unit": "usd", "per": per.as_str(),
            "used": usd(used), "bound": usd(bound), "reset": reset,
        }),
        Limit::Requests => json!({
            "limit": name, "unit": "requests", "per": "minute",
            "used": used, "bound": bound, "reset": reset,
        }),
        Limit::TokensPerMinute | Limit::TokensPerDay => json!({
            "limit": name, "unit": "tokens",
            "per": if limit.limit == Limit::TokensPerDay { "day" } else { "minute" },
            "used": used, "bound": bound, "reset": reset,
        }),
    }
}
