//! What a client wants changed, as what is to be done to the files.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::edit::{Intent, Literal, Section};
use crate::config::schema::Shape;
use crate::server::Gateway;
use crate::server::admin::api::edits::{Edit, Wanted};
use crate::server::admin::edits::value::Maker;
use crate::server::admin::{Fault, Params, Refusal};

/// Most changes in one edit.
const MAX_CHANGES: usize = 10_000;
/// Most faults that are told.
const MAX_FAULTS: usize = 100;
/// Longest path: no key of the file is as deep.
const MAX_DEPTH: usize = 8;

/// What the request's body asks for.
///
/// # Errors
/// 400 that names every field that is wrong, 409 where nothing can be sealed.
pub(super) fn intents(gateway: &Gateway, params: &Params) -> Result<Vec<Intent>, Refusal> {
    let edit: Edit = params.json().map_err(|refusal| closer(params, refusal))?;
    let n = edit.changes.len();
    if !(1..=MAX_CHANGES).contains(&n) {
        let message = format!("expected 1 to {MAX_CHANGES} changes, found {n}");
        return Err(Refusal::field("changes", message));
    }
    let mut maker = Maker::new(gateway);
    let mut intents = Vec::with_capacity(n);
    for (n, change) in edit.changes.iter().enumerate() {
        intents.extend(intent(&mut maker, &format!("changes[{n}]"), change));
        if maker.faults.len() > MAX_FAULTS {
            break;
        }
    }
    if let Some(refusal) = maker.unsealed {
        return Err(refusal);
    }
    all_right(maker.faults)?;
    Ok(intents)
}

/// # Errors
/// 400 with these faults, where there are any.
pub(in crate::server::admin) fn all_right(mut faults: Vec<Fault>) -> Result<(), Refusal> {
    let Some(first) = faults.first() else {
        return Ok(());
    };
    let more = match faults.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let message = format!("`{}`: {}{more}", first.field, first.message);
    faults.truncate(MAX_FAULTS);
    let mut refusal = Refusal::mistake(message);
    refusal.fields = faults;
    Err(refusal)
}

fn intent(maker: &mut Maker<'_>, field: &str, change: &Wanted) -> Option<Intent> {
    match change {
        Wanted::Set { path, value } => {
            let shape = place(maker, field, path)?;
            let value = maker.value(&format!("{field}.value"), value, shape);
            let path = path.clone();
            Some(Intent::Set { path, value })
        }
        Wanted::Remove { path } => {
            place(maker, field, path)?;
            Some(Intent::Remove { path: path.clone() })
        }
        Wanted::Add {
            section,
            name,
            values,
        } => {
            let section = sections(maker, field, section)?;
            Some(Intent::Add {
                section,
                name: name.clone(),
                values: ordered(maker, field, section, values),
            })
        }
        Wanted::Rename { section, from, to } => Some(Intent::Rename {
            section: sections(maker, field, section)?,
            from: from.clone(),
            to: to.clone(),
        }),
        Wanted::Delete {
            section,
            name,
            mentions,
        } => Some(Intent::Delete {
            section: sections(maker, field, section)?,
            name: name.clone(),
            mentions: *mentions,
        }),
    }
}

/// What stands at a path in the file; `Some(None)` where it has no such key, which the check of the edited files tells.
#[expect(
    clippy::option_option,
    reason = "whether the path can be one, and whether the file has it"
)]
fn place(maker: &mut Maker<'_>, field: &str, path: &[String]) -> Option<Option<Shape>> {
    if path.is_empty() || path.len() > MAX_DEPTH {
        let message = format!("expected 1 to {MAX_DEPTH} keys, found {}", path.len());
        maker.fault(&format!("{field}.path"), message);
        return None;
    }
    let mut keys = path.iter();
    Some(keys.try_fold(Shape::root(), |shape, key| shape.child(key)))
}

fn sections(maker: &mut Maker<'_>, field: &str, name: &str) -> Option<Section> {
    let found = Section::named(name);
    if found.is_none() {
        let all = Section::ALL.map(Section::as_str).join(", ");
        maker.fault(
            &format!("{field}.section"),
            format!("expected one of {all}"),
        );
    }
    found
}

/// The values of a new table, in the file's canonical order.
fn ordered(
    maker: &mut Maker<'_>,
    field: &str,
    section: Section,
    values: &BTreeMap<String, Value>,
) -> Vec<(String, Literal)> {
    let root = Shape::root().child(section.as_str());
    let shape = root.and_then(|shape| shape.child(""));
    let mut values: Vec<(&String, &Value)> = values.iter().collect();
    values.sort_by_key(|(key, _)| shape.map_or(usize::MAX, |shape| shape.rank(key)));
    let made = values.into_iter().map(|(key, value)| {
        let child = shape.and_then(|shape| shape.child(key));
        let value = maker.value(&format!("{field}.values.{key}"), value, child);
        (key.clone(), value)
    });
    made.collect()
}

/// The kinds of changes, and what each has.
const PARTS: &[(&str, &[(&str, Part)])] = &[
    ("set", &[("path", Part::Texts), ("value", Part::Any)]),
    ("remove", &[("path", Part::Texts)]),
    (
        "add",
        &[
            ("section", Part::Text),
            ("name", Part::Text),
            ("values", Part::Table),
        ],
    ),
    (
        "rename",
        &[
            ("section", Part::Text),
            ("from", Part::Text),
            ("to", Part::Text),
        ],
    ),
    (
        "delete",
        &[
            ("section", Part::Text),
            ("name", Part::Text),
            ("mentions", Part::Flag),
        ],
    ),
];

/// What a part of a change is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    Flag,
    Table,
    Text,
    Texts,
}

impl Part {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Flag => value.is_boolean(),
            Self::Table => value.is_object(),
            Self::Text => value.is_string(),
            Self::Texts => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }
}

/// The same refusal with the very field: which of a change's it was gets lost, since the kind is read first.
fn closer(params: &Params, mut refusal: Refusal) -> Refusal {
    let read = || {
        let field = refusal.fields.first()?.field.clone();
        let n = field.strip_prefix("changes[")?.strip_suffix(']')?;
        let n: usize = n.parse().ok()?;
        let body: Value = serde_json::from_slice(params.body()).ok()?;
        Some((field, body.get("changes")?.get(n)?.clone()))
    };
    if let Some((field, change)) = read()
        && let Some(part) = wrong(&change)
    {
        for fault in &mut refusal.fields {
            fault.field = format!("{field}.{part}");
        }
    }
    refusal
}

fn wrong(change: &Value) -> Option<String> {
    let change = change.as_object()?;
    let kind = change.get("do").and_then(Value::as_str);
    let Some((_, parts)) = PARTS.iter().find(|(name, _)| Some(*name) == kind) else {
        return Some("do".to_owned());
    };
    let known = |key: &str| key == "do" || parts.iter().any(|(name, _)| *name == key);
    if let Some(key) = change.keys().find(|key| !known(key)) {
        return Some(key.clone());
    }
    let bad = parts.iter().find(|(name, part)| match change.get(*name) {
        Some(value) => !part.fits(value),
        None => *part != Part::Flag,
    });
    bad.map(|(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wrong_part_of_a_change_is_named() {
        for (change, part) in [
            (json!({}), Some("do")),
            (json!({"do": "paint"}), Some("do")),
            (json!({"do": 1}), Some("do")),
            (json!({"do": "set", "value": 1}), Some("path")),
            (
                json!({"do": "set", "path": "a.b", "value": 1}),
                Some("path"),
            ),
            (json!({"do": "set", "path": [1], "value": 1}), Some("path")),
            (json!({"do": "set", "path": ["a"]}), Some("value")),
            (json!({"do": "remove", "path": ["a"], "x": 1}), Some("x")),
            (
                json!({"do": "add", "section": "keys", "name": "a"}),
                Some("values"),
            ),
            (
                json!({"do": "delete", "section": "keys", "name": "a", "mentions": 1}),
                Some("mentions"),
            ),
            (
                json!({"do": "delete", "section": "keys", "name": "a"}),
                None,
            ),
            (json!([]), None),
        ] {
            assert_eq!(wrong(&change).as_deref(), part, "{change}");
            if part.is_some() {
                let read = serde_json::from_value::<Wanted>(change.clone());
                assert!(read.is_err(), "{change}");
            }
        }
    }
}
