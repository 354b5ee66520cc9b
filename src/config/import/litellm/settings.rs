//! `router_settings`, `litellm_settings` and `general_settings`, as the page `config_settings.md` tells them.

use std::time::Duration;

use crate::base::units::show_duration;
use crate::config::import::Cx;
use crate::config::import::common::Shapes;
use crate::config::import::draft::Value;
use crate::config::import::litellm::master_key;
use crate::config::import::yaml::Node;

pub(super) const OTHERWISE: &str =
    "agp's pool decides this by what the upstream says (docs/pool.md)";
const CALLBACKS: &str = "agp calls no other services; it has a log, `/metrics` and `agp explain`";
const CACHE: &str = "agp caches no answers";
const REDIS: &str = "agp is one process with a store of its own";
const DATABASE: &str = "agp needs no database";
const TEAMS: &str = "agp has no teams and users; `[groups]` and `keys.*` hold limits";
const ALERTS: &str = "agp sends no alerts; `/metrics` tells what they would be about";
const FALLBACKS: &str = "no equal; `models.*.route` is tried in order whatever the failure";
const NOT_HERE: &str = "no equal in agp";

/// Settings by the beginning of their names, and why they have no equal; the first that fits counts.
const DROPPED: &[(&str, &str)] = &[
    ("success_callback", CALLBACKS),
    ("failure_callback", CALLBACKS),
    ("callbacks", CALLBACKS),
    ("service_callbacks", CALLBACKS),
    ("audit_log_callbacks", CALLBACKS),
    ("langfuse_", CALLBACKS),
    ("cache", CACHE),
    ("redis_", REDIS),
    ("database_", DATABASE),
    ("store_model_in_db", DATABASE),
    ("default_team", TEAMS),
    ("default_internal_user", TEAMS),
    ("default_key_generate", TEAMS),
    ("upperbound_key_generate", TEAMS),
    ("key_generation_settings", TEAMS),
    ("max_budget", TEAMS),
    ("budget_duration", TEAMS),
    ("alert", ALERTS),
    ("allowed_fails", OTHERWISE),
    ("cooldown_time", OTHERWISE),
    ("disable_cooldowns", OTHERWISE),
    ("retry_policy", OTHERWISE),
    ("retry_after", OTHERWISE),
    ("default_fallbacks", FALLBACKS),
    ("content_policy_fallbacks", FALLBACKS),
    ("context_window_fallbacks", FALLBACKS),
    ("guardrails", "agp looks into no prompts and answers"),
    (
        "drop_params",
        "agp leaves out what an upstream does not take, and says so in `x-agp-dropped`",
    ),
    (
        "custom_auth",
        "agp knows clients by the keys of `[keys]` only",
    ),
    (
        "enable_jwt_auth",
        "agp knows clients by the keys of `[keys]` only",
    ),
    (
        "store_prompts_in_spend_logs",
        "`state.log_bodies` decides whether bodies are kept",
    ),
    (
        "maximum_spend_logs_retention",
        "no equal; `state.log_retention` is near",
    ),
    (
        "allowed_ips",
        "agp knows clients by the keys of `[keys]` only",
    ),
    (
        "stream_timeout",
        "no equal; `upstreams.*.idle_timeout` is near",
    ),
];

/// The sections and what is read of them.
const READ: &[(&str, &[&str])] = &[
    (
        "router_settings",
        &[
            "routing_strategy",
            "model_group_alias",
            "num_retries",
            "timeout",
            "fallbacks",
        ],
    ),
    (
        "litellm_settings",
        &[
            "num_retries",
            "request_timeout",
            "timeout",
            "fallbacks",
            "json_logs",
            "model_group_alias",
        ],
    ),
    (
        "general_settings",
        &[
            "master_key",
            "completion_model",
            "max_parallel_requests",
            "max_request_size_mb",
        ],
    ),
];

/// Maps the three sections.
pub(super) fn map(cx: &mut Cx<'_>, root: &Node) {
    general(cx, root);
    // The router's count where both say something: `config_settings.md`, "router_settings".
    let sections = ["router_settings", "litellm_settings"];
    let first = |key: &str| {
        let mut found = sections
            .iter()
            .map(|s| (*s, root.get(s).and_then(|n| n.get(key))));
        found.find_map(|(section, node)| Some((format!("{section}.{key}"), node?)))
    };
    if let Some((what, node)) = first("num_retries") {
        match node.int().filter(|n| (0..1000).contains(n)) {
            Some(retries) => {
                let calls = u64::try_from(retries + 1).unwrap_or(1);
                cx.draft.set_attempts(calls);
                cx.report.changed(
                    what,
                    "`routing.max_attempts` counts all calls for a request, the first one too",
                );
            }
            None => cx.report.dropped(what, "expected a number"),
        }
    }
    if let Some((what, node)) = first("timeout").or_else(|| first("request_timeout")) {
        let time = node.number().filter(|n| *n > 0.0 && *n < 1e7);
        match time.map(Duration::from_secs_f64) {
            Some(time) => {
                let time = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(1));
                let value = Value::Text(show_duration(time));
                cx.draft.set("routing", "total_timeout", value);
            }
            None => cx.report.dropped(what, "expected seconds"),
        }
    }
    strategy(cx, root.get("router_settings"));
    for section in sections {
        fallbacks(cx, section, root.get(section));
    }
    if let Some((_, node)) = first("model_group_alias") {
        aliases(cx, node);
    }
    if let Some((_, node)) = first("json_logs")
        && node.truth() == Some(true)
    {
        cx.draft.set("log", "format", Value::text("json"));
    }
    for (section, known) in READ {
        let shapes = Shapes {
            read: known,
            lists: &["fallbacks"],
            maps: &["model_group_alias"],
        };
        if let Some(node) = root.get(section) {
            shapes.check(cx, section, node);
            leftovers(cx, section, node, known);
        }
    }
}

fn general(cx: &mut Cx<'_>, root: &Node) {
    let general = root.get("general_settings");
    let get = |key: &str| general.and_then(|general| general.get(key));
    match get("master_key") {
        Some(node) => master_key(cx, "general_settings.master_key", node),
        None => cx.report.changed(
            "general_settings.master_key",
            "none is given: LiteLLM lets everybody in then, agp nobody",
        ),
    }
    if let Some(name) = get("completion_model").and_then(Node::text) {
        cx.draft.set("routing", "default_model", Value::text(name));
    }
    let most = get("max_parallel_requests").and_then(Node::int);
    let most = most
        .and_then(|n| u32::try_from(n).ok())
        .map_or(0, u64::from);
    cx.draft.set_with(
        "routing",
        "max_concurrent_per_account",
        Value::Int(most),
        "0 is no limit, as LiteLLM has it; agp's own are 1 and 3, beyond which requests wait their turn.",
    );
    cx.draft
        .set("routing", "max_concurrent_per_model", Value::Int(0));
    if let Some(node) = get("max_request_size_mb") {
        match node.int().filter(|n| (1..=1024).contains(n)) {
            Some(32) => {}
            Some(size) => {
                let value = Value::Text(format!("{size}MiB"));
                cx.draft.set("server", "max_body", value);
            }
            None => cx.report.dropped(
                "general_settings.max_request_size_mb",
                "expected a number from 1 to 1024",
            ),
        }
    }
}

fn strategy(cx: &mut Cx<'_>, router: Option<&Node>) {
    match router.and_then(|router| router.get("routing_strategy")?.text()) {
        None | Some("simple-shuffle") => {}
        Some("least-busy") => {
            cx.draft
                .set("routing", "strategy", Value::text("least_busy"));
        }
        Some(_) => cx.report.dropped(
            "router_settings.routing_strategy",
            "no equal; `routing.strategy` is `weighted`, by what is left of the accounts' quotas",
        ),
    }
}

/// `[{model: [others]}]`: the others' routes follow the model's own.
fn fallbacks(cx: &mut Cx<'_>, section: &str, node: Option<&Node>) {
    let Some(list) = node.and_then(|node| node.get("fallbacks")) else {
        return;
    };
    for pair in list.items().iter().flat_map(Node::entries) {
        let what = format!("{section}.fallbacks.{}", pair.key);
        if cx.draft.known_model(&pair.key).is_none() {
            cx.report.dropped(what, "there is no such model");
            continue;
        }
        for other in pair.value.items() {
            let other = other.text().unwrap_or_default();
            let found = cx.draft.known_model(other);
            let Some(route) = found.map(|model| model.route.clone()) else {
                cx.report
                    .dropped(format!("{what}: {other}"), "there is no such model");
                continue;
            };
            let model = cx.draft.model(&pair.key);
            for target in route {
                if !model.route.contains(&target) {
                    model.route.push(target);
                }
            }
        }
    }
}

/// `{alias: model}`, the model as a text or as a map with `model`.
fn aliases(cx: &mut Cx<'_>, node: &Node) {
    for pair in node.entries() {
        let name = pair
            .value
            .text()
            .or_else(|| pair.value.get("model")?.text());
        let name = name.unwrap_or_default();
        if let Some(model) = cx.draft.known_model(name) {
            model.aliases.push(pair.key.clone());
        } else {
            let what = format!("model_group_alias.{}", pair.key);
            cx.report.dropped(what, "there is no such model");
        }
    }
}

/// Tells what was not looked at.
fn leftovers(cx: &mut Cx<'_>, section: &str, node: &Node, known: &[&str]) {
    for pair in node.entries() {
        if known.contains(&pair.key.as_str()) || pair.value.is_empty() {
            continue;
        }
        let found = DROPPED
            .iter()
            .find(|(start, _)| pair.key.starts_with(start));
        let why = found.map_or(NOT_HERE, |f| f.1);
        cx.report.dropped(format!("{section}.{}", pair.key), why);
    }
}
