//! `[keys.*]` and `[groups.*]`: digests, rights, limits.

use std::collections::BTreeMap;

use crate::base::id::KeyId;
use crate::base::money::{Per, nanos};
use crate::base::time::Timestamp;
use crate::config::check::Cx;
use crate::config::check::sections::sha256;
use crate::config::diagnostic::Code;
use crate::config::model::{self, KeyValue};
use crate::config::raw::{self, Budget, Period};
use crate::config::suggest;
use crate::config::tree::KeyPath;
use crate::config::value::SecretText;

/// Fewest characters of a client key.
const MIN_KEY: usize = 16;

/// The limits that keys and groups share.
struct Limits<'a> {
    rpm: Option<u32>,
    tokens_per_minute: Option<u64>,
    tokens_per_day: Option<u64>,
    budget: Option<&'a Budget>,
}

/// 0 is no limit, as at accounts.
fn at_once(limit: Option<u32>) -> Option<u32> {
    limit.filter(|limit| *limit > 0)
}

impl Cx<'_> {
    pub(super) fn groups(&mut self) -> BTreeMap<String, model::Group> {
        for name in self.names("groups") {
            self.check_name("groups", name);
        }
        let raw = self.raw;
        let groups = raw.groups.iter();
        groups
            .map(|(name, group)| {
                let limits = Limits {
                    rpm: group.rpm,
                    tokens_per_minute: group.tokens_per_minute,
                    tokens_per_day: group.tokens_per_day,
                    budget: group.budget.as_ref(),
                };
                let path = KeyPath::from(["groups", name]);
                let checked = model::Group {
                    max_concurrent: at_once(group.max_concurrent),
                    limits: self.limits(&path, &limits),
                };
                (name.clone(), checked)
            })
            .collect()
    }

    pub(super) fn keys(&mut self) -> BTreeMap<KeyId, model::Key> {
        for name in self.names("keys") {
            self.check_name("keys", name);
        }
        let raw = self.raw;
        let mut seen = BTreeMap::new();
        raw.keys
            .iter()
            .filter_map(|(name, key)| {
                let checked = self.key(name, key)?;
                self.repeated_digest(name, &checked.value, &mut seen);
                Some((KeyId::from(name.as_str()), checked))
            })
            .collect()
    }

    fn key(&mut self, name: &str, raw: &raw::Key) -> Option<model::Key> {
        let path = KeyPath::from(["keys", name]);
        let limits = self.limits(
            &path,
            &Limits {
                rpm: raw.rpm,
                tokens_per_minute: raw.tokens_per_minute,
                tokens_per_day: raw.tokens_per_day,
                budget: raw.budget.as_ref(),
            },
        );
        if let Some(group) = &raw.group
            && !self.has("groups", &group.0)
        {
            self.unknown(&path.with("group"), "groups", "group", &group.0);
        }
        let accounts = self.key_accounts(&path, raw);
        let expires = self.expires(&path, raw);
        Some(model::Key {
            name: raw.name.clone().unwrap_or_else(|| name.to_owned()),
            value: self.key_value(&path, raw)?,
            limits,
            models: raw.models.iter().map(|g| g.0.clone()).collect(),
            accounts,
            group: raw
                .group
                .as_ref()
                .map(|group| group.0.clone())
                .filter(|group| self.has("groups", group)),
            max_concurrent: at_once(raw.max_concurrent),
            expires,
            enabled: raw.enabled,
        })
    }

    fn key_value(&mut self, path: &KeyPath, raw: &raw::Key) -> Option<KeyValue> {
        let here = path.with("key");
        let value = raw.key.as_ref().map(|text| {
            if let SecretText::Plain(secret) = text
                && secret.expose().chars().count() < MIN_KEY
            {
                let diagnostic = self
                    .at(
                        Code::WeakSecret,
                        &here,
                        format!("`{here}`: expected a key of at least {MIN_KEY} characters"),
                    )
                    .with_help("make one with `agp key new NAME`".to_owned());
                self.report(diagnostic);
            }
            KeyValue::Key(self.secret(&here, text))
        });
        match (raw.sha256.as_ref(), value) {
            (Some(_), Some(_)) => {
                let diagnostic = self
                    .at(
                        Code::Conflict,
                        &here,
                        format!("`{path}`: `sha256` and `key` can't both be given"),
                    )
                    .with_help("keep `sha256`".to_owned());
                self.report(diagnostic);
                None
            }
            (Some(digest), None) => Some(KeyValue::Sha256(digest.0)),
            (None, Some(value)) => Some(value),
            (None, None) => {
                if !self.given(&here) {
                    self.missing(
                        &path.with("sha256"),
                        "give `sha256` or `key`; `agp key new NAME` makes both",
                    );
                }
                None
            }
        }
    }

    fn key_accounts(&mut self, path: &KeyPath, raw: &raw::Key) -> Vec<String> {
        let path = path.with("accounts");
        let written = self.tree.get(&path).and_then(|n| n.as_array());
        if written.is_some_and(Vec::is_empty) {
            self.bad(
                &path,
                "expected at least one account; leave the key out for every account",
            );
        }
        // The places in the list as written, which is not the list decoded where an entry was blamed.
        let good = written
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, n)| !n.is_bad());
        let mut names = Vec::new();
        for ((i, _), account) in good.zip(raw.accounts.iter().flatten()) {
            let here = path.with(i);
            match account.0.strip_prefix("tag:") {
                Some(tag) => self.check_tag(&here, tag),
                None if !self.has("accounts", &account.0) => {
                    self.unknown(&here, "accounts", "account", &account.0);
                }
                None => {}
            }
            names.push(account.0.clone());
        }
        names
    }

    fn check_tag(&mut self, path: &KeyPath, tag: &str) {
        let raw = self.raw;
        let tags: Vec<&str> = raw
            .accounts
            .values()
            .flat_map(|a| a.tags.iter())
            .map(|t| t.0.as_str())
            .collect();
        if !tags.contains(&tag) {
            let help = suggest::help(tag, tags.iter().copied())
                .unwrap_or_else(|| format!("write `tags = [\"{tag}\"]` at an account"));
            let diagnostic = self
                .at(
                    Code::Reference,
                    path,
                    format!("`{path}`: no account has the tag `{tag}`"),
                )
                .with_help(help);
            self.report(diagnostic);
        }
    }

    /// A key ends at the beginning of its day, in the zone of `admin.time_zone`.
    fn expires(&mut self, path: &KeyPath, raw: &raw::Key) -> Option<Timestamp> {
        let day = raw.expires?.0;
        let path = path.with("expires");
        let zone = self.raw.admin.time_zone.0.clone();
        let Ok(start) = day.to_zoned(zone) else {
            self.bad(&path, format!("`{day}` is too far away"));
            return None;
        };
        let expires = Timestamp(start.timestamp().as_millisecond());
        if expires <= self.now && raw.enabled {
            let diagnostic = self
                .at(
                    Code::Expired,
                    &path,
                    format!("`{path}`: this key is refused since {day}"),
                )
                .with_help("remove the key, or give it a later day".to_owned());
            self.report(diagnostic);
        }
        Some(expires)
    }

    fn limits(&mut self, path: &KeyPath, limits: &Limits<'_>) -> model::Limits {
        let numbers = [
            ("rpm", limits.rpm.map(u64::from)),
            ("tokens_per_minute", limits.tokens_per_minute),
            ("tokens_per_day", limits.tokens_per_day),
        ];
        for (key, value) in numbers {
            if value == Some(0) {
                self.bad(
                    &path.with(key),
                    "expected at least 1, found 0; leave the key out for no limit",
                );
            }
        }
        if let Some(Budget { usd, .. }) = limits.budget
            && !(usd.is_finite() && *usd > 0.0)
        {
            self.bad(
                &path.with("budget").with("usd"),
                format!("expected an amount above 0, found {usd}"),
            );
        }
        model::Limits {
            rpm: limits.rpm,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_day: limits.tokens_per_day,
            budget: limits.budget.map(|budget| {
                let per = match budget.per {
                    Period::Day => Per::Day,
                    Period::Month => Per::Month,
                };
                (nanos(budget.usd), per)
            }),
        }
    }

    /// Budgets and rights go by the digest: two keys can't share one.
    fn repeated_digest<'b>(
        &mut self,
        name: &'b str,
        value: &KeyValue,
        seen: &mut BTreeMap<[u8; 32], &'b str>,
    ) {
        let (digest, key) = match value {
            KeyValue::Sha256(digest) => (*digest, "sha256"),
            KeyValue::Key(model::SecretRef::Plain(secret)) => (sha256(secret.expose()), "key"),
            KeyValue::Key(_) => return,
        };
        let Some(first) = seen.insert(digest, name) else {
            return;
        };
        seen.insert(digest, first);
        let path = KeyPath::from(["keys", name, key]);
        let place = self
            .tree
            .nearest(&KeyPath::from(["keys", first]))
            .value_place();
        let diagnostic = self
            .at(
                Code::Duplicate,
                &path,
                format!("keys `{first}` and `{name}` are the same key"),
            )
            .with_label("again here")
            .with_place(place, "first here");
        self.report(diagnostic);
    }
}
