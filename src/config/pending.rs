//! The keys that are read and checked but have no effect so far. This is the one list of them: what is built leaves it.

mod given;

use crate::config::diagnostic::{Code, Diagnostic};
use crate::config::tree::{KeyPath, Node, Origin, Value};

pub(crate) use given::given;

/// A key, `*` standing for any one name, and the values of it that have no effect; none given means all.
struct Pending(&'static str, &'static [&'static str]);

const PENDING: &[Pending] = &[
    Pending("server.max_buffered", &[]),
    Pending("server.max_connections", &[]),
    Pending("server.header_timeout", &[]),
    Pending("server.cors_origins", &[]),
    Pending("state.store_responses", &[]),
    Pending("fetch.enabled", &[]),
    Pending("fetch.max_size", &[]),
    Pending("fetch.timeout", &[]),
    Pending("fetch.max_per_request", &[]),
    Pending("fetch.allow", &[]),
    Pending(
        "upstreams.*.kind",
        &["gemini", "vertex", "openai", "anthropic"],
    ),
    Pending("upstreams.*.web_search", &[]),
    Pending("upstreams.*.location", &[]),
];

/// Keys that only kinds without effect take. The note at the kind speaks for them.
const OF_SUCH_KINDS: &[&str] = &["accounts.*.api_key", "accounts.*.service_account"];

/// The listed keys, for documents and tests.
pub fn keys() -> impl Iterator<Item = &'static str> {
    let of_kinds = OF_SUCH_KINDS.iter().copied();
    PENDING.iter().map(|pending| pending.0).chain(of_kinds)
}

/// Whether the key at this path, or one around it, is among them whatever its value.
pub fn covers(path: &[&str]) -> bool {
    let whole = PENDING.iter().filter(|pending| pending.1.is_empty());
    let mut patterns = whole
        .map(|pending| pending.0)
        .chain(OF_SUCH_KINDS.iter().copied());
    patterns.any(|pattern| {
        let mut given = path.iter();
        pattern
            .split('.')
            .all(|part| given.next().is_some_and(|key| part == "*" || part == *key))
    })
}

/// A note for each of them that is given.
pub(crate) fn notes(tree: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    each(tree, &mut |node, path, values| {
        found.push(note(node, path, values));
    });
    found
}

type Found<'f> = dyn FnMut(&Node, &KeyPath, &[&str]) + 'f;

/// Visits each of them that is given.
fn each(tree: &Node, found: &mut Found<'_>) {
    for Pending(pattern, values) in PENDING {
        let segments: Vec<&str> = pattern.split('.').collect();
        visit(tree, &segments, &mut KeyPath::default(), values, found);
    }
}

fn visit(
    node: &Node,
    segments: &[&str],
    path: &mut KeyPath,
    values: &[&str],
    found: &mut Found<'_>,
) {
    if node.is_bad() {
        return;
    }
    let Some((first, rest)) = segments.split_first() else {
        if values.is_empty() || node.as_str().is_some_and(|text| values.contains(&text)) {
            found(node, path, values);
        }
        return;
    };
    for (key, child) in node.entries() {
        if *first == "*" || first == key {
            path.0.push(key.into());
            visit(child, rest, path, values, found);
            path.0.pop();
        }
    }
}

fn note(node: &Node, path: &KeyPath, values: &[&str]) -> Diagnostic {
    let what = match &node.value {
        Value::Str(text) if !values.is_empty() => format!("`{path} = \"{text}\"`"),
        _ => format!("`{path}`"),
    };
    let from = match &node.origin {
        Origin::Env(name) => format!("environment variable `{name}`: "),
        Origin::File(_) => String::new(),
    };
    Diagnostic::new(
        Code::NotInEffect,
        path.to_string(),
        format!("{from}{what} is not yet in effect"),
    )
    .at(node.key_place())
}
