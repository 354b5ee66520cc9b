//! The values of the keys that have no effect so far, for whoever compares two files.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::base::secret::Secret;
use crate::config::decode::walk;
use crate::config::mask;
use crate::config::model::{Inert, SecretRef, Written};
use crate::config::pending::each;
use crate::config::tree::{KeyPath, Node, Seg, Value, quote_text};

/// Every such key that is given, with its value.
pub(crate) fn given(tree: &Node) -> Vec<Inert> {
    let groups = tree.child(&Seg::from("groups"));
    let mut found: Vec<Inert> = groups
        .into_iter()
        .flat_map(Node::entries)
        .map(|(name, _)| Inert {
            path: vec!["groups".to_owned(), name.clone()],
            value: None,
        })
        .collect();
    each(tree, &mut |node, path, values| {
        // A kind without effect is part of the configuration proper all the same.
        if values.is_empty() {
            leaves(node, path, &mut found);
        }
    });
    found
}

/// The values in a node: one of its own, or those of its keys.
fn leaves(node: &Node, path: &KeyPath, found: &mut Vec<Inert>) {
    let mut take = |path: &KeyPath, value| {
        found.push(Inert {
            path: path.keys().into_iter().map(str::to_owned).collect(),
            value: Some(value),
        });
    };
    if mask::is_secret(path) {
        return take(path, Written::Secret(secret(node)));
    }
    if let Some(list) = node.as_array() {
        let items = list
            .iter()
            .map(|item| item.as_str().map_or_else(|| one(item), str::to_owned));
        return take(path, Written::List(items.collect()));
    }
    let Some(table) = node.as_table() else {
        return take(path, Written::One(one(node)));
    };
    for (key, child) in table {
        leaves(child, &path.with(key), found);
    }
}

fn secret(node: &Node) -> SecretRef {
    let of = |key: &str| node.child(&Seg::from(key)).and_then(Node::as_str);
    if let Some(name) = of("env") {
        SecretRef::Env(name.to_owned())
    } else if let Some(path) = of("file") {
        SecretRef::File(PathBuf::from(path))
    } else if let Some(text) = of("sealed") {
        SecretRef::Sealed(text.to_owned())
    } else {
        // Whatever it is: only whether it is the same matters.
        let mut text = String::new();
        walk(node, &mut KeyPath::default(), &mut |node, path| {
            let _ = writeln!(text, "{path} {}", one(node));
        });
        SecretRef::Plain(Secret::new(node.as_str().map_or(text, str::to_owned)))
    }
}

/// A single value as TOML writes it; nothing of a table or list.
fn one(node: &Node) -> String {
    match &node.value {
        Value::Str(text) => quote_text(text),
        Value::Env(text, parsed) => parsed.as_deref().map_or_else(|| quote_text(text), one),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Array(_) | Value::Table(_) => String::new(),
    }
}
