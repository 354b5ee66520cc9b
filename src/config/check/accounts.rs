//! `[accounts.*]`: kinds, credentials, limits.

use std::collections::BTreeMap;

use crate::base::id::{AccountId, UpstreamId};
use crate::config::check::Cx;
use crate::config::diagnostic::{Code, Diagnostic};
use crate::config::model::{self, SecretRef};
use crate::config::raw::{self, Kind};
use crate::config::tree::KeyPath;
use crate::config::value::SecretText;

/// The keys that hold what an account signs in with.
const CREDENTIALS: [&str; 3] = ["refresh_token", "api_key", "service_account"];

/// Those that an upstream's kind takes.
fn fitting(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Antigravity => &["refresh_token"],
        Kind::Gemini | Kind::OpenAi | Kind::Anthropic => &["api_key"],
        Kind::Vertex => &["service_account", "api_key"],
    }
}

impl Cx<'_> {
    pub(super) fn accounts(&mut self) -> BTreeMap<AccountId, model::Account> {
        for name in self.names("accounts") {
            self.check_name("accounts", name);
        }
        let raw = self.raw;
        self.repeated_emails();
        raw.accounts
            .iter()
            .filter_map(|(name, account)| {
                Some((AccountId::from(name.as_str()), self.account(name, account)?))
            })
            .collect()
    }

    fn account(&mut self, name: &str, raw: &raw::Account) -> Option<model::Account> {
        let path = KeyPath::from(["accounts", name]);
        let mut kind = None;
        match &raw.upstream {
            None => self.missing(&path.with("upstream"), "name one of the `[upstreams]`"),
            Some(upstream) if !self.has("upstreams", &upstream.0) => {
                self.unknown(&path.with("upstream"), "upstreams", "upstream", &upstream.0);
            }
            Some(upstream) => kind = self.raw.upstreams.get(&upstream.0).and_then(|u| u.kind),
        }
        let credential = self.credential(&path, kind, raw);
        let weight = raw.weight;
        if !weight.is_finite() || weight < 0.0 {
            self.bad(
                &path.with("weight"),
                format!("expected a number, 0 or more, found {weight}"),
            );
        }
        if let Some(email) = &raw.email
            && !email.0.contains('@')
        {
            self.bad(
                &path.with("email"),
                format!("expected an e-mail address, found \"{}\"", email.0),
            );
        }
        if raw.credits && kind.is_some_and(|kind| kind != Kind::Antigravity) {
            self.bad(
                &path.with("credits"),
                "only accounts of upstreams of kind `antigravity` have credits",
            );
        }
        let upstream = UpstreamId::from(raw.upstream.as_ref()?.0.as_str());
        Some(model::Account {
            upstream,
            email: raw.email.as_ref().map(|e| e.0.clone()),
            credential: credential?,
            weight,
            tier: raw.tier,
            max_concurrent: raw.max_concurrent.map(|n| (n > 0).then_some(n)),
            models: raw.models.iter().map(|g| g.0.clone()).collect(),
            project: raw.project.as_ref().map(|p| p.0.clone()),
            credits: raw.credits,
            enabled: raw.enabled,
            tags: raw.tags.iter().map(|tag| tag.0.clone()).collect(),
        })
    }

    /// Exactly one credential, and of a form that the kind takes.
    fn credential(
        &mut self,
        path: &KeyPath,
        kind: Option<Kind>,
        raw: &raw::Account,
    ) -> Option<SecretRef> {
        let of = |key: &str| -> Option<&SecretText> {
            match key {
                "refresh_token" => raw.refresh_token.as_ref(),
                "api_key" => raw.api_key.as_ref(),
                _ => raw.service_account.as_ref(),
            }
        };
        let mut found: Option<(&str, SecretRef)> = None;
        for key in CREDENTIALS {
            let Some(text) = of(key) else {
                continue;
            };
            let here = path.with(key);
            let reference = self.secret(&here, text);
            if let Some(kind) = kind
                && !fitting(kind).contains(&key)
            {
                let diagnostic = self
                    .at(
                        Code::Credential,
                        &here,
                        format!("`{here}`: accounts of this upstream's kind do not take `{key}`"),
                    )
                    .with_help(format!("give `{}`", fitting(kind).join("` or `")));
                self.report(diagnostic);
            } else if let Some((first, _)) = &found {
                let first = path.with(*first);
                let place = self.tree.nearest(&first).key_place();
                let diagnostic = self
                    .at(
                        Code::Credential,
                        &here,
                        format!("`{here}`: an account has exactly one credential, found two"),
                    )
                    .with_place(place, "the first one");
                self.report(diagnostic);
            } else {
                found = Some((key, reference));
            }
        }
        let any = CREDENTIALS.iter().any(|key| self.given(&path.with(*key)));
        if !any && let Some(kind) = kind {
            let wanted = fitting(kind).join("` or `");
            self.missing(
                &path.with(fitting(kind)[0]),
                &format!("accounts of this upstream's kind need `{wanted}`"),
            );
        }
        found.map(|(_, reference)| reference)
    }

    /// Two logins with one e-mail are one account (upstream-protocol.md 1.3).
    fn repeated_emails(&mut self) {
        let mut seen: BTreeMap<(&str, String), &str> = BTreeMap::new();
        let mut repeated = Vec::new();
        for (name, account) in &self.raw.accounts {
            let (Some(upstream), Some(email)) = (&account.upstream, &account.email) else {
                continue;
            };
            match seen.entry((&upstream.0, email.0.to_lowercase())) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(name);
                }
                std::collections::btree_map::Entry::Occupied(entry) => {
                    repeated.push((*entry.get(), name.as_str(), email.0.as_str()));
                }
            }
        }
        for (first, second, email) in repeated {
            let path = KeyPath::from(["accounts", second, "email"]);
            let first_path = KeyPath::from(["accounts", first, "email"]);
            let place = self.tree.nearest(&first_path).value_place();
            let diagnostic: Diagnostic = self
                .at(
                    Code::Duplicate,
                    &path,
                    format!("accounts `{first}` and `{second}` of one upstream have one e-mail, `{email}`"),
                )
                .with_label("again here")
                .with_place(place, "first here")
                .with_help("two logins of one address are one account: keep one table".to_owned());
            self.report(diagnostic);
        }
    }
}
