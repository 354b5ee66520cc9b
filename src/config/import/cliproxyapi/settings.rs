//! The settings of `config.yaml` that agp has too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::import::Cx;
use crate::config::import::draft::Value;
use crate::config::import::names::fits;
use crate::config::import::yaml::Node;
use crate::config::value::Word;

/// The keys that are read here.
pub(super) const KNOWN: &[&str] = &[
    "host",
    "port",
    "tls",
    "remote-management",
    "auth-dir",
    "api-keys",
    "debug",
    "proxy-url",
    "quota-exceeded",
    "routing",
    "streaming",
];

/// Where agp listens unless it is told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8088);

/// Maps the settings.
pub(super) fn map(cx: &mut Cx<'_>, root: &Node) {
    server(cx, root);
    management(cx, root);
    routing(cx, root);
    if root.get("debug").and_then(Node::truth) == Some(true) {
        cx.draft.set("log", "level", Value::text("debug"));
    }
    if let Some(streaming) = root.get("streaming") {
        if let Some(seconds) = streaming
            .get("keepalive-seconds")
            .and_then(Node::int)
            .filter(|n| (1..86_400).contains(n) && *n != 15)
        {
            let value = Value::Text(format!("{seconds}s"));
            cx.draft.set("server", "keepalive", value);
        }
        if streaming.get("bootstrap-retries").is_some() {
            cx.report.dropped(
                "streaming.bootstrap-retries",
                "agp tries elsewhere until the first content is out (`routing.max_attempts`)",
            );
        }
    }
}

fn server(cx: &mut Cx<'_>, root: &Node) {
    // An empty host is every address; one that can't be read is not.
    let host = match root.get("host") {
        Some(node) if node.text().is_none() && !node.is_empty() => "127.0.0.1",
        node => node.and_then(Node::text).unwrap_or_default(),
    };
    match root.get("port").map(Node::int) {
        Some(Some(port)) if u16::try_from(port).is_ok() => {
            let port = u16::try_from(port).unwrap_or_default();
            cx.listen("host", host, port, LISTEN);
        }
        Some(_) => cx.report.dropped("port", "expected a port's number"),
        None => {
            cx.listen("host", host, LISTEN.port(), LISTEN);
            cx.report
                .changed("port", "none is given: agp listens on port 8088");
        }
    }
    let Some(tls) = root.get("tls") else {
        return;
    };
    if tls.get("enable").and_then(Node::truth) != Some(true) {
        return;
    }
    let file = |key| {
        let path = tls.get(key).and_then(Node::text);
        path.filter(|path| fits::<Word>(path)).map(str::to_owned)
    };
    match (file("cert"), file("key")) {
        (Some(cert), Some(key)) => {
            let pairs = vec![("cert".to_owned(), cert), ("key".to_owned(), key)];
            cx.draft.set("server", "tls", Value::Texts(pairs));
            cx.report.changed(
                "tls",
                "the files are looked for from the folder of the new file on",
            );
        }
        _ => cx.report.dropped(
            "tls",
            "it needs both `cert` and `key`: agp serves plain HTTP",
        ),
    }
}

fn management(cx: &mut Cx<'_>, root: &Node) {
    let Some(management) = root.get("remote-management") else {
        return;
    };
    if let Some(key) = management.get("secret-key").and_then(Node::text) {
        let what = "remote-management.secret-key";
        // How the gateway itself tells a hash from a password.
        if ["$2a$", "$2b$", "$2y$"].iter().any(|p| key.starts_with(p)) {
            cx.report.dropped(
                what,
                "it is a bcrypt hash, which agp does not read; `agp hash-password` makes another one",
            );
        } else {
            cx.admin_password(what, key);
        }
    }
    for pair in management.entries() {
        if pair.key != "secret-key" && pair.value.truth() != Some(false) && !pair.value.is_empty() {
            let what = format!("remote-management.{}", pair.key);
            cx.report
                .dropped(what, "agp's panel is part of agp; see `[admin]`");
        }
    }
}

fn routing(cx: &mut Cx<'_>, root: &Node) {
    let routing = root.get("routing");
    let get = |key| routing.and_then(|routing| routing.get(key));
    let strategy = get("strategy").and_then(Node::text).unwrap_or_default();
    match strategy.to_ascii_lowercase().as_str() {
        "weighted-round-robin" | "weightedroundrobin" | "wrr" => {}
        "fill-first" | "fillfirst" | "ff" => {
            cx.draft
                .set("routing", "strategy", Value::text("fill_first"));
        }
        // Whatever else it says, it means this.
        _ => cx
            .draft
            .set("routing", "strategy", Value::text("round_robin")),
    }
    if get("session-affinity").and_then(Node::truth) == Some(false) {
        cx.draft.set("routing", "affinity", Value::text("none"));
    }
    if get("session-affinity-ttl").is_some() {
        cx.report.dropped(
            "routing.session-affinity-ttl",
            "an affinity lasts as long as the conversation",
        );
    }
    let comment = "CLIProxyAPI has no such limit; agp's own are 1 and 3, beyond which requests wait their turn.";
    cx.draft.set_with(
        "routing",
        "max_concurrent_per_account",
        Value::Int(0),
        comment,
    );
    cx.draft
        .set("routing", "max_concurrent_per_model", Value::Int(0));
    for pair in root.get("quota-exceeded").map_or(&[][..], Node::entries) {
        if pair.value.truth() == Some(true) {
            let what = format!("quota-exceeded.{}", pair.key);
            let why = match pair.key.as_str() {
                "antigravity-credits" => {
                    "credits cost their owner money: set `credits = true` at those accounts that may use them"
                }
                _ => {
                    "agp goes on with another account; what else to try stands in a model's `route`"
                }
            };
            cx.report.dropped(what, why);
        }
    }
}
