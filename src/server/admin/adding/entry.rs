//! One new account: what is wrong with it, its name, and what is to be done to the files for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::base::id::AccountId;
use crate::base::secret::Secret;
use crate::config::edit::{Intent, Literal, Section};
use crate::config::model::{Config, Kind};
use crate::config::names::Names;
use crate::server::Gateway;
use crate::server::admin::api::accounts::AddAccount;
use crate::server::admin::edits::{Sealer, secret};
use crate::server::admin::{Fault, Refusal};

/// Longest e-mail address.
const MAX_EMAIL: usize = 254;
/// Most labels, and most globs, of one account.
const MAX_LABELS: usize = 64;
/// Longest name, label and glob, in characters.
const MAX_NAME: usize = 128;

/// An account that can be added.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its table's name.
    pub(super) name: String,
    /// Whether it is there already.
    pub(super) renewed: bool,
    /// What it signs in with.
    pub(super) token: Secret,
    /// What its table gets besides.
    values: Vec<(&'static str, Literal)>,
}

/// Where accounts are taken in.
pub(super) struct Desk<'g> {
    config: Arc<Config>,
    sealer: Sealer<'g>,
    names: Names,
    /// The accounts of the file by upstream and e-mail in lower case.
    known: HashMap<(String, String), String>,
    /// The e-mails and tokens that came in this request.
    emails: HashSet<(String, String)>,
    tokens: HashSet<[u8; 32]>,
    unsealed: Option<Refusal>,
}

fn fault(field: &str, message: impl Into<String>) -> Fault {
    Fault {
        field: field.to_owned(),
        message: message.into(),
    }
}

/// A text that says something.
fn told(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl<'g> Desk<'g> {
    pub(super) fn new(gateway: &'g Gateway) -> Self {
        let config = Arc::clone(&gateway.dispatcher.runtime.snapshot().config);
        let names = Names::with(config.accounts.keys().map(AccountId::as_str));
        let known = config.accounts.iter().filter_map(|(id, account)| {
            let email = account.email.as_ref()?.to_lowercase();
            let upstream = account.upstream.as_str().to_owned();
            Some(((upstream, email), id.as_str().to_owned()))
        });
        let known = known.collect();
        Self {
            config,
            sealer: Sealer::new(gateway),
            names,
            known,
            emails: HashSet::new(),
            tokens: HashSet::new(),
            unsealed: None,
        }
    }

    /// Whoever has this e-mail is this account of the file, be it that the file does not tell.
    pub(super) fn knows(&mut self, account: &str, email: &str) {
        if let Some(known) = self.config.accounts.get(account) {
            let upstream = known.upstream.as_str().to_owned();
            self.known
                .insert((upstream, email.to_lowercase()), account.to_owned());
        }
    }

    /// # Errors
    /// 409 where something could not be sealed.
    pub(super) fn sealed(&mut self) -> Result<(), Refusal> {
        self.unsealed.take().map_or(Ok(()), Err)
    }

    /// The upstream of this name, where its accounts sign in with refresh tokens.
    pub(super) fn upstream(&self, name: &str) -> Result<(), String> {
        let fits = |kind| kind == Kind::Antigravity;
        match self.config.upstreams.get(name) {
            Some(upstream) if fits(upstream.kind) => Ok(()),
            Some(_) => Err(format!(
                "accounts of upstream `{name}` do not sign in with refresh tokens"
            )),
            None => {
                let all = self.config.upstreams.keys();
                let all: Vec<String> = all.map(|id| format!("`{id}`")).collect();
                Err(match all.as_slice() {
                    [] => "the file has no upstream so far: add one first".to_owned(),
                    all => format!("there is no such upstream: expected {}", all.join(" or ")),
                })
            }
        }
    }

    fn chosen(&self, given: Option<&str>) -> Result<String, String> {
        if let Some(name) = given {
            return self.upstream(name).map(|()| name.to_owned());
        }
        let upstreams = self.config.upstreams.iter();
        let mut fitting = upstreams.filter(|(_, upstream)| upstream.kind == Kind::Antigravity);
        match (fitting.next(), fitting.next()) {
            (Some((id, _)), None) => Ok(id.as_str().to_owned()),
            (None, _) => Err(
                "the file has no upstream of kind `antigravity` so far: add one first".to_owned(),
            ),
            _ => Err("there are several upstreams: name one".to_owned()),
        }
    }

    /// Takes an account in; `upstream` is that of those that name none.
    ///
    /// # Errors
    /// Each of its fields that is wrong.
    pub(super) fn entry(
        &mut self,
        wanted: &AddAccount,
        upstream: Option<&str>,
    ) -> Result<Entry, Vec<Fault>> {
        let mut faults = Vec::new();
        let upstream = self
            .chosen(told(wanted.upstream.as_ref()).or(upstream))
            .map_err(|why| faults.push(fault("upstream", why)));
        let token =
            token(&wanted.refresh_token).map_err(|why| faults.push(fault("refresh_token", why)));
        let email = told(wanted.email.as_ref());
        if let Some(why) = email.and_then(bad_email) {
            faults.push(fault("email", why));
        }
        let name = told(wanted.name.as_ref());
        if let Some(why) = name.and_then(bad_name) {
            faults.push(fault("name", why));
        }
        labels("tags", wanted.tags.as_ref(), &mut faults);
        labels("allowed", wanted.allowed.as_ref(), &mut faults);
        if wanted.weight.is_some_and(|n| !n.is_finite() || n < 0.0) {
            faults.push(fault("weight", "expected a number, 0 or more"));
        }
        let project = told(wanted.project.as_ref());
        if project.is_some_and(|text| bad_text(text).is_some()) {
            faults.push(fault("project", "expected a project's id"));
        }
        let (Ok(upstream), Ok(token), true) = (upstream, token, faults.is_empty()) else {
            return Err(faults);
        };
        let (name, renewed) = self.named(&upstream, email, name, &token)?;
        let mut values: Vec<(&'static str, Literal)> = Vec::new();
        if !renewed {
            values.push(("upstream", upstream.as_str().into()));
            values.extend(email.map(|email| ("email", email.into())));
        }
        values.extend(wanted.weight.map(|n| ("weight", n.into())));
        values.extend(wanted.rank.map(|n| ("tier", i64::from(n).into())));
        let list = |list: &Vec<String>| list.iter().map(String::as_str).collect::<Literal>();
        values.extend(wanted.allowed.as_ref().map(|all| ("models", list(all))));
        values.extend(project.map(|project| ("project", project.into())));
        values.extend(wanted.tags.as_ref().map(|all| ("tags", list(all))));
        Ok(Entry {
            name,
            renewed,
            token,
            values,
        })
    }

    /// The name of its table, and whether that is there already.
    fn named(
        &mut self,
        upstream: &str,
        email: Option<&str>,
        name: Option<&str>,
        token: &Secret,
    ) -> Result<(String, bool), Vec<Fault>> {
        if !self.tokens.insert(Sha256::digest(token.expose()).into()) {
            return Err(vec![fault(
                "refresh_token",
                "the same token as that of an entry before",
            )]);
        }
        let id = email.map(|email| (upstream.to_owned(), email.to_lowercase()));
        if let Some(id) = &id
            && !self.emails.insert(id.clone())
        {
            return Err(vec![fault(
                "email",
                "the same e-mail as that of an entry before",
            )]);
        }
        if let Some(known) = id.and_then(|id| self.known.get(&id)) {
            return match name {
                Some(name) if name != known => Err(vec![fault(
                    "name",
                    format!(
                        "account `{known}` has this e-mail: leave the name out to renew its token"
                    ),
                )]),
                _ => Ok((known.clone(), true)),
            };
        }
        match name {
            Some(name) if self.names.claim(name) => Ok((name.to_owned(), false)),
            Some(name) => Err(vec![fault(
                "name",
                format!("there is an account `{name}` already"),
            )]),
            None => {
                let local = email.and_then(|email| email.split('@').next());
                let name = self.names.take(local.unwrap_or_default(), "account");
                Ok((name, false))
            }
        }
    }

    /// What is to be done to the files for it.
    ///
    /// # Errors
    /// It can't be sealed, for which [`Self::sealed`] has the reason.
    pub(super) fn intents(&mut self, entry: &Entry) -> Result<Vec<Intent>, [Fault; 1]> {
        let sealed = self.sealer.seal(&entry.token).map_err(|refusal| {
            let told = fault("refresh_token", refusal.message.clone());
            self.unsealed = Some(refusal);
            [told]
        })?;
        let key = ("refresh_token", sealed);
        if entry.renewed {
            let all = std::iter::once(&key).chain(&entry.values);
            let set = |(key, value): &(&str, Literal)| Intent::Set {
                path: ["accounts", &entry.name, key].map(str::to_owned).into(),
                value: value.clone(),
            };
            return Ok(all.map(set).collect());
        }
        // In the file's order: who it is, what it signs in with, everything else.
        let (mut who, rest): (Vec<_>, Vec<_>) = (entry.values.iter().cloned())
            .partition(|(key, _)| matches!(*key, "upstream" | "email"));
        who.push(key);
        who.extend(rest);
        Ok(vec![Intent::Add {
            section: Section::Accounts,
            name: entry.name.clone(),
            values: (who.into_iter())
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        }])
    }
}

fn token(text: &str) -> Result<Secret, String> {
    let token = secret(text)?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if token.expose().contains(odd) {
        return Err("expected a token without white space in it".to_owned());
    }
    Ok(token)
}

fn bad_text(text: &str) -> Option<&'static str> {
    if text.chars().count() > MAX_NAME {
        Some("it is longer than 128 characters")
    } else if text.chars().any(char::is_control) {
        Some("it has control characters in it")
    } else {
        None
    }
}

fn bad_name(name: &str) -> Option<String> {
    let why = bad_text(name).or_else(|| {
        let tag = name.starts_with("tag:");
        tag.then_some("`tag:` begins a reference to a tag")
    })?;
    Some(format!("an account can't be named so: {why}"))
}

pub(super) fn bad_email(email: &str) -> Option<&'static str> {
    let parts = email.split_once('@');
    let whole = parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
    let odd = |c: char| c.is_whitespace() || c.is_control();
    (!whole || email.len() > MAX_EMAIL || email.contains(odd))
        .then_some("expected an e-mail address")
}

fn labels(field: &str, list: Option<&Vec<String>>, faults: &mut Vec<Fault>) {
    let list = list.map_or(&[][..], Vec::as_slice);
    if list.len() > MAX_LABELS {
        let message = format!("expected {MAX_LABELS} at most, found {}", list.len());
        faults.push(fault(field, message));
        return;
    }
    for (n, text) in list.iter().enumerate() {
        let why = match text.trim() {
            "" => Some("expected a text, found nothing"),
            text => bad_text(text),
        };
        if let Some(why) = why {
            faults.push(fault(&format!("{field}[{n}]"), why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_tokens_are_looked_at_and_never_repeated() {
        for good in ["a@b", "alice.b+x@example.com", "ä@example.com"] {
            assert_eq!(bad_email(good), None, "{good}");
        }
        for bad in [
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b\n",
            &format!("{}@b", "x".repeat(300)),
        ] {
            assert!(bad_email(bad).is_some(), "{bad}");
        }
        assert_eq!(token(" 1//x-y_z ").unwrap().expose(), "1//x-y_z");
        for bad in ["", "planted token", "planted\u{0}", "agp1:planted"] {
            assert!(!token(bad).unwrap_err().contains("planted"));
        }
    }
}
