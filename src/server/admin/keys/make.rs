//! `key add`: makes a client key. The file gets its SHA-256; the key itself is in the answer and nowhere else.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::base::id::KeyId;
use crate::base::key;
use crate::config::edit::{Intent, Literal, Section};
use crate::config::names::Names;
use crate::server::Gateway;
use crate::server::admin::api::keys::{Limits, MadeKey, NewKey};
use crate::server::admin::edits::{all_right, date, edit, in_body};
use crate::server::admin::{self, Fault, Params, Refusal};

/// Longest name, label and glob, in characters.
const MAX_NAME: usize = 128;
/// Most globs, and most accounts, of one key.
const MAX_LISTED: usize = 1000;

/// What the file calls what a request calls otherwise.
const CALLED: &[(&str, &str)] = &[
    ("name", "label"),
    ("rpm", "limits.rpm"),
    ("tokens_per_minute", "limits.tokens_per_minute"),
    ("tokens_per_day", "limits.tokens_per_day"),
    ("budget", "limits.budget"),
    ("max_concurrent", "limits.max_concurrent"),
];

/// The file's order of those keys that come first.
const ORDER: [&str; 5] = ["name", "group", "sha256", "models", "accounts"];

pub(in crate::server::admin) fn add(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let wanted: NewKey = params.json()?;
    let (mut values, faults) = values(&wanted);
    all_right(faults)?;
    let config = &gateway.dispatcher.runtime.snapshot().config;
    let label = wanted.label.trim();
    let name = match wanted.name.as_deref().map(str::trim) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => Names::with(config.keys.keys().map(KeyId::as_str)).take(label, "key"),
    };
    if label != name {
        values.insert(0, ("name", label.into()));
    }
    let key = key::generate().map_err(|_| Refusal::failed())?;
    let digest = format!("{:x}", Sha256::digest(key.expose()));
    values.push(("sha256", digest.as_str().into()));
    values.sort_by_key(|(key, _)| ORDER.iter().position(|k| k == key).unwrap_or(ORDER.len()));
    let intent = Intent::Add {
        section: Section::Keys,
        name: name.clone(),
        values: (values.into_iter())
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    };
    let edited = edit(gateway, params, vec![intent], false)
        .map_err(|refusal| in_body(refusal, "keys", &name, CALLED))?;
    let shown = (!params.dry_run()).then(|| key.expose().to_owned());
    admin::told(MadeKey {
        name,
        key: shown,
        edited,
    })
}

type Values = Vec<(&'static str, Literal)>;

/// What its table gets besides name and digest, and what of it is wrong. What stands in the file as it is asked for is left
/// to the check of the edited files.
fn values(wanted: &NewKey) -> (Values, Vec<Fault>) {
    let mut values: Values = Vec::new();
    let mut faults = Vec::new();
    let mut wrong = |field: String, message: String| faults.push(Fault { field, message });
    let name = wanted.name.as_deref();
    for (field, text) in [("label", Some(wanted.label.as_str())), ("name", name)] {
        let text = text.unwrap_or_default();
        if text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
            let message = format!("expected {MAX_NAME} characters at most, and none of control");
            wrong(field.to_owned(), message);
        }
    }
    if wanted.label.trim().is_empty() {
        wrong("label".to_owned(), "expected a name for people".to_owned());
    }
    let group = wanted.group.as_deref().filter(|text| !text.is_empty());
    values.extend(group.map(|group| ("group", group.into())));
    for (field, list) in [("models", &wanted.models), ("accounts", &wanted.accounts)] {
        let Some(list) = list else { continue };
        if list.is_empty() || list.len() > MAX_LISTED {
            let message = format!(
                "expected 1 to {MAX_LISTED}, found {}: leave it out for all",
                list.len()
            );
            wrong(field.to_owned(), message);
        }
        let list: Literal = list.iter().map(String::as_str).collect();
        values.push((field, list));
    }
    for (key, number) in numbers(&wanted.limits) {
        match i64::try_from(number) {
            Ok(0) => wrong(
                format!("limits.{key}"),
                "expected 1 or more: leave it out for no limit".to_owned(),
            ),
            Ok(number) => values.push((key, number.into())),
            Err(_) => wrong(
                format!("limits.{key}"),
                format!("expected a number up to {}", i64::MAX),
            ),
        }
    }
    if let Some(budget) = &wanted.limits.budget {
        let budget = Literal::table([
            ("usd".to_owned(), budget.usd.into()),
            ("per".to_owned(), budget.per.as_str().into()),
        ]);
        values.push(("budget", budget));
    }
    if let Some(text) = &wanted.expires {
        match date(text) {
            Some(date) => values.push(("expires", date)),
            None => wrong(
                "expires".to_owned(),
                "expected a date such as \"2027-01-01\"".to_owned(),
            ),
        }
    }
    (values, faults)
}

fn numbers(limits: &Limits) -> impl Iterator<Item = (&'static str, u64)> {
    [
        ("rpm", limits.rpm),
        ("tokens_per_minute", limits.tokens_per_minute),
        ("tokens_per_day", limits.tokens_per_day),
        ("max_concurrent", limits.max_concurrent),
    ]
    .into_iter()
    .filter_map(|(key, number)| Some((key, number?)))
}
