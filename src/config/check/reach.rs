//! Who can get what: models that no account may serve, client keys that nothing can be asked with, budgets over models
//! without a price. Each is a warning. Only where all entries are sound, so that one mistake has one finding.

use std::collections::{BTreeMap, BTreeSet};

use wildmatch::WildMatch;

use crate::base::id::UpstreamId;
use crate::config::check::Cx;
use crate::config::diagnostic::Code;
use crate::config::model::{self, Config};
use crate::config::tree::KeyPath;

/// Most models that one finding names.
const NAMED: usize = 5;

/// The enabled accounts, and which of them serve each model.
struct Reach<'a> {
    accounts: Vec<(&'a str, &'a model::Account)>,
    /// Numbers of accounts by model, none of a model that is not served.
    serving: BTreeMap<&'a str, BTreeSet<usize>>,
    /// Upstreams with an account whose own list is published: what is in it is not known here.
    discovering: Vec<&'a UpstreamId>,
}

impl<'a> Reach<'a> {
    fn new(config: &'a Config) -> Self {
        let accounts: Vec<(&str, &model::Account)> = config
            .accounts
            .iter()
            .filter(|(_, account)| account.enabled)
            .map(|(id, account)| (id.as_str(), account))
            .collect();
        // There may be many accounts, but they have few rules.
        let mut rules: BTreeMap<(&UpstreamId, &[String]), Vec<usize>> = BTreeMap::new();
        for (n, (_, account)) in accounts.iter().enumerate() {
            let rule = (&account.upstream, account.models.as_slice());
            rules.entry(rule).or_default().push(n);
        }
        let serving = config.models.iter().map(|(name, model)| {
            let serves = |upstream: &UpstreamId, globs: &[String]| {
                let mut targets = model.route.iter().filter(|t| t.upstream == *upstream);
                targets.any(|t| globs.iter().any(|g| WildMatch::new(g).matches(&t.model)))
            };
            let rules = rules.iter().filter(|((u, globs), _)| serves(u, globs));
            let numbers = rules.flat_map(|(_, numbers)| numbers.iter().copied());
            (name.as_str(), numbers.collect())
        });
        let upstreams = config.upstreams.iter();
        let discovering = upstreams
            .filter(|(id, u)| u.discover && accounts.iter().any(|(_, a)| a.upstream == **id))
            .map(|(id, _)| id);
        Self {
            serving: serving.collect(),
            discovering: discovering.collect(),
            accounts,
        }
    }

    /// The numbers of the accounts that a key may use.
    fn allowed(&self, key: &model::Key) -> BTreeSet<usize> {
        let all = self.accounts.iter().enumerate();
        let rules: BTreeSet<&str> = key.accounts.iter().map(String::as_str).collect();
        let tags: BTreeSet<&str> = rules
            .iter()
            .filter_map(|r| r.strip_prefix("tag:"))
            .collect();
        all.filter(|(_, (name, account))| {
            rules.is_empty()
                || rules.contains(name)
                || account.tags.iter().any(|tag| tags.contains(tag.as_str()))
        })
        .map(|(n, _)| n)
        .collect()
    }
}

impl Cx<'_> {
    /// Looks at all of them.
    pub(super) fn reach(&mut self, config: &Config) {
        let sound = |cx: &Self, table: &str, n: usize| cx.names(table).len() == n;
        if !sound(self, "accounts", config.accounts.len())
            || !sound(self, "upstreams", config.upstreams.len())
        {
            return;
        }
        let reach = Reach::new(config);
        self.unserved(config, &reach);
        if !sound(self, "models", config.models.len()) {
            return;
        }
        for (id, key) in &config.keys {
            let known = key
                .accounts
                .iter()
                .all(|rule| match rule.strip_prefix("tag:") {
                    Some(tag) => config
                        .accounts
                        .values()
                        .any(|a| a.tags.iter().any(|t| t == tag)),
                    None => config.accounts.contains_key(rule.as_str()),
                });
            let in_use = key.enabled && key.expires.is_none_or(|at| at > self.now);
            if !known || !in_use || reach.accounts.is_empty() {
                continue;
            }
            let globs: Vec<WildMatch> = key.models.iter().map(|g| WildMatch::new(g)).collect();
            let may = |name: &str| globs.iter().any(|glob| glob.matches(name));
            let seen: Vec<&str> = config
                .models
                .iter()
                .filter(|(name, model)| may(name) || model.aliases.iter().any(|a| may(a)))
                .map(|(name, _)| name.as_str())
                .collect();
            if !self.useless(&reach, id.as_str(), key, &seen) {
                self.unpriced(&reach, id.as_str(), key, &seen);
            }
        }
    }

    fn unserved(&mut self, config: &Config, reach: &Reach<'_>) {
        for (name, model) in &config.models {
            let known = model
                .route
                .iter()
                .all(|t| config.upstreams.contains_key(&t.upstream));
            if known && !model.route.is_empty() && reach.serving[name.as_str()].is_empty() {
                let path = KeyPath::from(["models", name.as_str(), "route"]);
                let diagnostic = self
                    .at(
                        Code::NoAccount,
                        &path,
                        format!("`{path}`: no enabled account may serve model `{name}`"),
                    )
                    .with_help(
                        "add an account of this upstream whose `models` allow it".to_owned(),
                    );
                self.report(diagnostic);
            }
        }
    }

    /// Whether nothing can be asked with the key, `seen` being the models whose names it allows. Models that nobody serves
    /// have their own finding.
    fn useless(&mut self, reach: &Reach<'_>, id: &str, key: &model::Key, seen: &[&str]) -> bool {
        let path = KeyPath::from(["keys", id]);
        let allowed = reach.allowed(key);
        let mut served = seen
            .iter()
            .filter_map(|name| reach.serving.get(name))
            .filter(|s| !s.is_empty());
        let (path, why, help) = if allowed.is_empty() {
            (
                path.with("accounts"),
                "none of these accounts is enabled",
                "enable one of them, name others, or leave `accounts` out for every account",
            )
        } else if seen.is_empty() && !reach.serving.is_empty() && reach.discovering.is_empty() {
            (
                path.with("models"),
                "no model and no alias has such a name",
                "these are patterns of the names under `[models]`; leave `models` out for every model",
            )
        } else if served.clone().next().is_some()
            && served.all(|s| s.is_disjoint(&allowed))
            && reach.discovering.is_empty()
        {
            (
                path.with("accounts"),
                "these accounts serve none of the models that the key may use",
                "name accounts that serve them, or widen `models` of the key or of the accounts",
            )
        } else {
            return false;
        };
        let diagnostic = self
            .at(
                Code::UselessKey,
                &path,
                format!("`{path}`: nothing can be asked with this key: {why}"),
            )
            .with_help(help.to_owned());
        self.report(diagnostic);
        true
    }

    /// Warns where a money budget, the key's or its group's, covers a model without a price: it is refused.
    fn unpriced(&mut self, reach: &Reach<'_>, id: &str, key: &model::Key, seen: &[&str]) {
        let raw = self.raw;
        let Some(written) = raw.keys.get(id) else {
            return;
        };
        let path = KeyPath::from(["keys", id]);
        let group = written.group.as_ref().map(|group| group.0.as_str());
        let shared = group.filter(|g| raw.groups.get(*g).is_some_and(|g| g.budget.is_some()));
        let (path, shared) = match (&written.budget, shared) {
            (Some(_), _) => (path.with("budget"), None),
            (None, Some(group)) => (
                path.with("group"),
                Some(KeyPath::from(["groups", group, "budget"])),
            ),
            (None, None) => return,
        };
        let allowed = reach.allowed(key);
        let unpriced: Vec<&str> = seen
            .iter()
            .copied()
            .filter(|name| raw.models.get(*name).is_some_and(|m| m.price.is_none()))
            .filter(|name| !reach.serving[name].is_disjoint(&allowed))
            .collect();
        let (what, help) = match (&unpriced[..], reach.discovering.first()) {
            ([], Some(upstream)) if seen.is_empty() => (
                format!("what upstream `{upstream}` lists has"),
                "name the models that the key may use under `[models]`, each with its `price`"
                    .to_owned(),
            ),
            ([], _) => return,
            ([first, ..], _) => {
                let model = KeyPath::from(["models", first]);
                (
                    several(&unpriced),
                    format!(
                        "write `price = {{ input = ..., output = ... }}` in `[{model}]`, or narrow `models` of the key"
                    ),
                )
            }
        };
        let place = shared
            .as_ref()
            .and_then(|path| self.tree.nearest(path).key_place());
        let diagnostic = self
            .at(
                Code::Unpriced,
                &path,
                format!("`{path}`: {what} no price and can't be used under a money budget"),
            )
            .with_place(place, "the budget")
            .with_help(help);
        self.report(diagnostic);
    }
}

/// "model `a` has", "models `a`, `b` have", cut where there are many.
fn several(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(NAMED).map(|n| format!("`{n}`")).collect();
    let list = quoted.join(", ");
    match names.len() {
        1 => format!("model {list} has"),
        n if n <= NAMED => format!("models {list} have"),
        n => format!("models {list} and {} more have", n - NAMED),
    }
}
