//! Accounts by API key: `gemini-api-key`, `claude-api-key`, `vertex-api-key`, `openai-compatibility`.

use crate::config::import::Cx;
use crate::config::import::cliproxyapi::list;
use crate::config::import::common::{Shapes, secret};
use crate::config::import::draft::{Account, Credential, Upstream};
use crate::config::import::names::is_name;
use crate::config::import::yaml::{Node, Pair};

/// The keys that are read here, and in [`super::auth`].
pub(super) const KNOWN: &[&str] = &[
    "gemini-api-key",
    "claude-api-key",
    "vertex-api-key",
    "openai-compatibility",
    "oauth-model-alias",
];

/// The lists of keys, the upstreams' kind, and what the upstream is called.
const LISTS: &[(&str, &str, &str)] = &[
    ("gemini-api-key", "gemini", "gemini"),
    ("claude-api-key", "anthropic", "anthropic"),
    ("vertex-api-key", "vertex", "vertex"),
];

/// What an entry may have besides what is read, and why it has no equal.
const DROPPED: &[(&str, &str)] = &[
    (
        "prefix",
        "models have one name for all accounts; `keys.*.accounts` says which accounts a key may use",
    ),
    (
        "excluded-models",
        "`accounts.*.models` says what an account may serve, not what it may not",
    ),
    ("cloak", super::DISGUISE),
    ("fingerprint-profile", super::DISGUISE),
    ("experimental-cch-signing", super::DISGUISE),
    ("rebuild-mid-system-message", super::NOT_HERE),
    ("support-prompt-cache-key", super::NOT_HERE),
    ("disable-cooling", super::OTHERWISE),
    ("request-retry", super::OTHERWISE),
    ("request-scoped-errors", super::OTHERWISE),
];
/// What is read of an entry.
const READ: &[&str] = &[
    "api-key",
    "api-key-entries",
    "name",
    "disabled",
    "priority",
    "weight",
    "base-url",
    "proxy-url",
    "headers",
    "models",
];
const SHAPES: Shapes<'_> = Shapes {
    read: READ,
    lists: &["api-key-entries", "models"],
    maps: &["headers"],
};
/// What is read of a model.
const MODEL_READ: &[&str] = &["name", "alias", "display-name", "max-context-length"];

/// Maps all of them.
pub(super) fn map(cx: &mut Cx<'_>, root: &Node) {
    for (key, kind, name) in LISTS {
        for (n, entry) in list(cx, root, key).iter().enumerate() {
            let what = format!("{key}[{n}]");
            let upstream = upstream(cx, root, kind, &what, &[entry]);
            let Some(upstream) = upstream else { continue };
            let upstream = cx.draft.upstream(name, upstream);
            account(cx, &what, &upstream, entry, entry, name);
        }
    }
    for (n, provider) in list(cx, root, "openai-compatibility").iter().enumerate() {
        let what = format!("openai-compatibility[{n}]");
        let name = provider
            .get("name")
            .and_then(Node::text)
            .unwrap_or("openai");
        if provider.get("base-url").is_none() {
            cx.report.dropped(what, "it has no `base-url`");
            continue;
        }
        let keys = list(cx, provider, "api-key-entries");
        if keys.is_empty() {
            cx.report.dropped(&what, "it has no API key");
        }
        for (m, key) in keys.iter().enumerate() {
            let at = format!("{what}.api-key-entries[{m}]");
            let upstream = upstream(cx, root, "openai", &what, &[key, provider]);
            let Some(upstream) = upstream else { continue };
            let upstream = cx.draft.upstream(name, upstream);
            account(cx, &at, &upstream, key, provider, name);
        }
    }
}

/// The upstream of an entry; of several nodes the first that says something counts. `None` where its URL can't be used.
fn upstream(
    cx: &mut Cx<'_>,
    root: &Node,
    kind: &'static str,
    what: &str,
    nodes: &[&Node],
) -> Option<Upstream> {
    let first = |key: &str| nodes.iter().find_map(|node| node.get(key)?.text());
    let base_url = match first("base-url") {
        Some(text) => Some(cx.base_url(&format!("{what}.base-url"), text)?),
        None => None,
    };
    let mut headers = Vec::new();
    for node in nodes {
        for Pair { key, value } in node.get("headers").map_or(&[][..], Node::entries) {
            let at = format!("{what}.headers.{key}");
            if let Some(header) = cx.header(&at, key, value.text().unwrap_or_default()) {
                headers.push(header);
            }
        }
    }
    headers.sort();
    headers.dedup_by(|a, b| a.0 == b.0);
    Some(Upstream {
        kind,
        base_url,
        headers,
        proxy: proxy(cx, root, what, first("proxy-url")),
        ..Upstream::default()
    })
}

/// The proxy of an entry, else the one for all; `direct` is none.
pub(super) fn proxy(cx: &mut Cx<'_>, root: &Node, what: &str, own: Option<&str>) -> Option<String> {
    let (what, text) = match own {
        Some(text) => (format!("{what}.proxy-url"), text),
        None => ("proxy-url".to_owned(), root.get("proxy-url")?.text()?),
    };
    if matches!(text.to_ascii_lowercase().as_str(), "direct" | "none") {
        return None;
    }
    cx.proxy(&what, text)
}

/// The account of a key, with the models that the entry around it names. Both may be one node.
fn account(cx: &mut Cx<'_>, what: &str, upstream: &str, key: &Node, around: &Node, wanted: &str) {
    let Some(text) = key.get("api-key").and_then(Node::text).and_then(secret) else {
        cx.report.dropped(what, "it has no API key");
        return;
    };
    let credential = Credential::Own(text);
    let twice = |known: &&Account| known.upstream == upstream && known.credential == credential;
    if let Some(first) = cx.draft.accounts.iter().find(twice) {
        let why = format!("it has the same key as `accounts.{}`", first.name);
        cx.report.dropped(what, why);
        return;
    }
    let name = cx.draft.account_names.take(wanted, "account");
    let mut account = Account::new(name, upstream.to_owned(), "api_key", credential);
    account.enabled = around.get("disabled").and_then(Node::truth) != Some(true);
    account.priority = priority(cx, what, around);
    account.weight = key.get("weight").and_then(weight);
    account.models = models(cx, what, upstream, around);
    if account.models.is_none()
        && let Some((_, known)) = cx
            .draft
            .upstreams
            .iter_mut()
            .find(|(name, _)| name == upstream)
    {
        // Without a list it serves what the provider has.
        known.discover = true;
    }
    cx.account(what, account);
    let nodes = if std::ptr::eq(key, around) {
        vec![key]
    } else {
        vec![key, around]
    };
    for node in &nodes {
        SHAPES.check(cx, what, node);
    }
    for pair in nodes.iter().flat_map(|node| node.entries()) {
        if READ.contains(&pair.key.as_str()) || pair.value.is_empty() {
            continue;
        }
        let known = DROPPED.iter().find(|(name, _)| *name == pair.key);
        let why = known.map_or("not a key that is known here", |k| k.1);
        cx.report.dropped(format!("{what}.{}", pair.key), why);
    }
}

/// A priority: higher ones are used first, among all accounts there.
pub(super) fn priority(cx: &mut Cx<'_>, what: &str, node: &Node) -> i64 {
    let Some(priority) = node.get("priority").and_then(Node::int) else {
        return 0;
    };
    cx.report.changed(
        format!("{what}.priority"),
        "it became `tier`, which is lower first and counts among the accounts of one upstream",
    );
    priority.clamp(-1_000_000, 1_000_000)
}

/// A weight; one that is not above 0 takes the account out there, and makes it the last resort here.
pub(super) fn weight(node: &Node) -> Option<f64> {
    let weight = node.number()?.clamp(0.0, 1_000_000.0);
    ((weight - 1.0).abs() > f64::EPSILON).then_some(weight)
}

/// The models that an entry names, which become models of the file; `None` where it names none.
fn models(cx: &mut Cx<'_>, what: &str, upstream: &str, entry: &Node) -> Option<Vec<String>> {
    let list = entry.get("models")?.items();
    let mut own = Vec::new();
    for (n, node) in list.iter().enumerate() {
        let name = node.get("name").and_then(Node::text);
        let Some(name) = name.filter(|name| is_name(name)) else {
            let at = format!("{what}.models[{n}]");
            cx.report.dropped(at, "it has no name that can be used");
            continue;
        };
        own.push(name.to_owned());
        let public = node.get("alias").and_then(Node::text).unwrap_or(name);
        let target = (upstream.to_owned(), name.to_owned());
        let model = cx.draft.model(public);
        if !model.route.contains(&target) {
            model.route.push(target);
        }
        if let Some(text) = node.get("display-name").and_then(Node::text) {
            model.display_name.get_or_insert_with(|| text.to_owned());
        }
        let context = node.get("max-context-length").and_then(Node::int);
        if let Some(context) = context
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| *n > 0)
        {
            model.context.get_or_insert(context);
        }
        for pair in node.entries() {
            if !MODEL_READ.contains(&pair.key.as_str()) && pair.value.truth() != Some(false) {
                let at = format!("{what}.models[{n}].{}", pair.key);
                cx.report.dropped(at, super::NOT_HERE);
            }
        }
    }
    (!own.is_empty()).then_some(own)
}
