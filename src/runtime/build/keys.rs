//! Clients' keys and their groups.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wildmatch::WildMatch;

use crate::base::id::AccountId;
use crate::config::model::{Account, Config, KeyValue};
use crate::runtime::build::Context;
use crate::runtime::limits::{Limited, Whose};
use crate::runtime::numbers::AccountSet;
use crate::runtime::registry::Registry;
use crate::runtime::slots::{GroupSlots, KeySlots, Slots};
use crate::runtime::snapshot::KeyEntry;
use crate::store::BudgetOwner;

/// What the keys of a group share.
struct Shared {
    limits: Option<Arc<Limited>>,
    slots: Arc<GroupSlots>,
}

fn groups<'a>(config: &'a Config, context: &Context<'_>) -> HashMap<&'a str, Shared> {
    let groups = config.groups.iter();
    let shared = groups.map(|(name, group)| {
        let owner = BudgetOwner::Group(name.as_str().into());
        let whose = Whose::Group(name.clone());
        let zone = &config.admin.time_zone;
        let registry = context.registry;
        let shared = Shared {
            limits: registry.limits.of(owner, whose, &group.limits, zone),
            slots: Arc::new(GroupSlots {
                name: name.clone(),
                slots: Slots::new(registry.counters.group(name), group.max_concurrent),
            }),
        };
        (name.as_str(), shared)
    });
    shared.collect()
}

pub(super) fn keys(
    config: &Config,
    context: &Context<'_>,
    errors: &mut Vec<String>,
) -> HashMap<[u8; 32], Arc<KeyEntry>> {
    let mut out: HashMap<[u8; 32], Arc<KeyEntry>> = HashMap::new();
    let mut sets = AccountSets::default();
    let counters = &context.registry.counters;
    let groups = groups(config, context);
    let zone = &config.admin.time_zone;
    for (id, key) in &config.keys {
        let digest = match &key.value {
            KeyValue::Sha256(digest) => *digest,
            KeyValue::Key(secret) => match context.secrets.resolve(secret) {
                Ok(secret) => Sha256::digest(secret.expose()).into(),
                Err(error) => {
                    errors.push(format!("keys.{id}: {error}"));
                    continue;
                }
            },
        };
        let accounts = sets.of(&key.accounts, config, context.registry);
        let limits = &context.registry.limits;
        let own = limits.of(
            BudgetOwner::Key(digest),
            Whose::Key(id.clone()),
            &key.limits,
            zone,
        );
        let group = key.group.as_deref().and_then(|name| groups.get(name));
        let entry = KeyEntry {
            id: id.clone(),
            digest,
            models: key.models.iter().map(|glob| WildMatch::new(glob)).collect(),
            accounts,
            expires: key.expires,
            enabled: key.enabled,
            limits: [own, group.and_then(|shared| shared.limits.clone())],
            slots: KeySlots {
                own: Slots::new(counters.key(&digest), key.max_concurrent),
                group: group.map(|shared| Arc::clone(&shared.slots)),
            },
        };
        if let Some(other) = out.insert(digest, Arc::new(entry)) {
            errors.push(format!(
                "keys.{id}: the same key as `keys.{}`: each key needs a value of its own",
                other.id
            ));
        }
    }
    out
}

/// The accounts that keys may use. Keys with the same rules share a set: there are many keys and few rules.
#[derive(Default)]
struct AccountSets<'a>(HashMap<&'a [String], Arc<AccountSet>>);

impl<'a> AccountSets<'a> {
    /// `None` is every account.
    fn of(
        &mut self,
        rules: &'a [String],
        config: &Config,
        registry: &Registry,
    ) -> Option<Arc<AccountSet>> {
        if rules.is_empty() {
            return None;
        }
        let named = |id: &AccountId, account: &Account| {
            rules.iter().any(|rule| match rule.strip_prefix("tag:") {
                Some(tag) => account.tags.iter().any(|t| t == tag),
                None => rule == id.as_str(),
            })
        };
        let set = self.0.entry(rules).or_insert_with(|| {
            let accounts = config.accounts.iter();
            let named = accounts.filter(|(id, account)| named(id, account));
            Arc::new(named.map(|(id, _)| registry.numbers.of(id)).collect())
        });
        Some(Arc::clone(set))
    }
}
