//! Values of `[server]` to `[fetch]` that the environment gives for one run: `AGP__ROUTING__STRATEGY=random`. They go
//! over the tree before it is decoded, so that they are checked like the file's own; each node remembers its variable.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::decode::walk;
use crate::config::diagnostic::{Code, Diagnostic};
use crate::config::raw::SECTIONS;
use crate::config::suggest;
use crate::config::tree::{KeyPath, Node, Origin, Value};

/// Begins every such variable.
pub const PREFIX: &str = "AGP__";

/// The environment as texts, for [`crate::config::load`] and [`crate::config::secret::Resolver`]. Variables that are not
/// UTF-8 are left out: none of ours is.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Puts the variables over the tree; others than `AGP__...` are passed over. Of two that differ in case only the later
/// wins.
pub(crate) fn apply(
    tree: &mut Node,
    env: impl Iterator<Item = (String, String)>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, text) in env {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if let Err(message) = put(tree, &name, &keys, text) {
            let help = keys
                .first()
                .and_then(|table| suggest::help(table, SECTIONS.iter().copied()));
            let path = KeyPath(keys.iter().map(Into::into).collect());
            found.push(
                Diagnostic::new(Code::Overlay, path.to_string(), message).with_help(help.or_else(
                    || {
                        Some(format!(
                            "write `{PREFIX}TABLE__KEY`, such as `AGP__LOG__LEVEL`"
                        ))
                    },
                )),
            );
        }
    }
    found
}

/// The paths of the values that the environment gave, and the variable of each.
pub(crate) fn locked(tree: &Node) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(tree, &mut KeyPath::default(), &mut |node, path| {
        if let (Origin::Env(variable), Value::Env(..)) = (&node.origin, &node.value) {
            found.insert(path.to_string(), variable.to_string());
        }
    });
    found
}

fn put(tree: &mut Node, name: &str, keys: &[String], text: String) -> Result<(), String> {
    let [table, .., last] = keys else {
        return Err(format!(
            "environment variable `{name}` names no key in a table"
        ));
    };
    if !SECTIONS.contains(&table.as_str()) {
        return Err(format!(
            "environment variable `{name}`: table `{table}` can't be given by the environment"
        ));
    }
    let variable: Arc<str> = name.into();
    let mut node = tree;
    for key in &keys[..keys.len() - 1] {
        let Value::Table(entries) = &mut node.value else {
            return Err(format!(
                "environment variable `{name}` goes into a key that is no table"
            ));
        };
        node = entries
            .entry(key.clone())
            .or_insert_with(|| Node::table(Origin::Env(variable.clone())));
    }
    match &mut node.value {
        Value::Table(entries) => {
            entries.insert(last.clone(), Node::env(variable, text));
            Ok(())
        }
        _ => Err(format!(
            "environment variable `{name}` goes into a key that is no table"
        )),
    }
}
