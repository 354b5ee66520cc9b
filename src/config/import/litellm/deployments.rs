//! `model_list`: each entry is a deployment, which here is an account and a step in a model's route.

use std::collections::HashMap;

use crate::config::import::Cx;
use crate::config::import::common::Shapes;
use crate::config::import::draft::{Model, Upstream};
use crate::config::import::litellm::accounts::{self, Params};
use crate::config::import::litellm::providers::{self, Provider};
use crate::config::import::litellm::{text, variable};
use crate::config::import::names::is_name;
use crate::config::import::yaml::{Node, Pair};

const ACCOUNT_LIMIT: &str =
    "agp limits keys and groups of keys (docs/limits.md); an account has `max_concurrent`";
const TIMES: &str =
    "no equal at a model; `upstreams.*.first_byte_timeout` and `routing.total_timeout` are near";
const ATTEMPTS: &str = "no equal at a model; `routing.max_attempts` counts for all";
const NO_PARAMETERS: &str = "agp adds no parameters to requests";

/// What is read of `litellm_params`.
const READ: &[&str] = &[
    "model",
    "custom_llm_provider",
    "api_key",
    "api_base",
    "base_url",
    "extra_headers",
    "headers",
    "weight",
    "order",
    "max_parallel_requests",
    "vertex_project",
    "vertex_location",
    "vertex_credentials",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "litellm_credential_name",
];
const SHAPES: Shapes<'_> = Shapes {
    read: READ,
    lists: &[],
    maps: &["extra_headers", "headers"],
};
/// What else may stand there, and why it has no equal.
const DROPPED: &[(&str, &str)] = &[
    ("rpm", ACCOUNT_LIMIT),
    ("tpm", ACCOUNT_LIMIT),
    ("itpm", ACCOUNT_LIMIT),
    ("otpm", ACCOUNT_LIMIT),
    ("max_budget", ACCOUNT_LIMIT),
    ("budget_duration", ACCOUNT_LIMIT),
    ("timeout", TIMES),
    ("stream_timeout", TIMES),
    ("max_retries", ATTEMPTS),
    ("num_retries", ATTEMPTS),
    ("cooldown_time", super::settings::OTHERWISE),
    (
        "drop_params",
        "agp leaves out what an upstream does not take, and says so in `x-agp-dropped`",
    ),
    ("organization", "no equal; `upstreams.*.headers` is near"),
    (
        "api_version",
        "no equal; it belongs to a provider's own API",
    ),
    (
        "tags",
        "no equal; `accounts.*.tags` and `keys.*.accounts` are near",
    ),
    (
        "mock_response",
        "agp has a simulator for that: `agp simulate`",
    ),
    (
        "max_tokens",
        "agp adds no parameters to requests; `models.*.max_output` is near",
    ),
];
/// What is read of `model_info`, and what says nothing that matters here.
const INFO_READ: &[&str] = &[
    "id",
    "db_model",
    "mode",
    "max_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
];
/// Modes that are chat.
const CHAT: &[&str] = &["chat", "completion", "responses"];

/// A step of a model's route.
struct Step {
    public: String,
    /// Lower ones are tried first: `order` in `litellm/types/router.py`.
    order: i64,
    target: (String, String),
}

/// Maps the list.
pub(super) fn map(cx: &mut Cx<'_>, root: &Node) {
    let credentials = root.get("credential_list").map_or(&[][..], Node::items);
    let mut steps = Vec::new();
    let list = root.get("model_list").map_or(&[][..], Node::items);
    for (n, entry) in cx.bounded("model_list", list).iter().enumerate() {
        let what = format!("model_list[{n}]");
        match deployment(cx, &what, entry, credentials) {
            Ok(step) => steps.extend(step),
            Err(why) => cx.report.dropped(what, why),
        }
    }
    steps.sort_by_key(|step: &Step| step.order);
    let mut last: HashMap<String, i64> = HashMap::new();
    for step in steps {
        let model = cx.draft.model(&step.public);
        if model.route.contains(&step.target) {
            continue;
        }
        model.route.push(step.target);
        if last.insert(step.public.clone(), step.order) == Some(step.order) {
            cx.report.changed(
                format!("model {}", step.public),
                "LiteLLM spreads requests over its deployments; agp tries the steps of `route` in order, and spreads over accounts of one step",
            );
        }
    }
}

/// One deployment; `None` for one that stands for all models of its provider.
fn deployment(
    cx: &mut Cx<'_>,
    what: &str,
    entry: &Node,
    credentials: &[Node],
) -> Result<Option<Step>, String> {
    let public = entry.get("model_name").and_then(Node::text);
    let public = public.ok_or("it has no `model_name`")?.to_owned();
    let own = entry
        .get("litellm_params")
        .ok_or("it has no `litellm_params`")?;
    let named = match own.get("litellm_credential_name").and_then(Node::text) {
        Some(name) => {
            let of = |c: &&Node| c.get("credential_name").and_then(Node::text) == Some(name);
            let found = credentials.iter().find(of);
            Some(found.ok_or("the credential that it names is not in `credential_list`")?)
        }
        None => None,
    };
    let params = Params {
        own,
        named: named.and_then(|named| named.get("credential_values")),
    };
    let info = entry.get("model_info");
    if let Some(mode) = info.and_then(|info| info.get("mode")?.text())
        && !CHAT.contains(&mode)
    {
        return Err("agp serves chat only".to_owned());
    }
    let model = params.get("model").ok_or("it has no `model`")?;
    let model = text(cx, &format!("{what}.litellm_params.model"), model)
        .ok_or("it has no `model` without it")?;
    let custom = params.get("custom_llm_provider").and_then(Node::text);
    let (provider, model) = providers::of(&model, custom)?;
    let wild = public.contains('*') || model.contains('*');
    let named = is_name(&public) && is_name(&model);
    if !wild && !named {
        return Err("its name can't be used".to_owned());
    }
    let upstream = upstream(cx, what, provider, &params, wild)?;
    let upstream = cx.draft.upstream(provider.name, upstream);
    accounts::add(
        cx,
        what,
        provider,
        &params,
        &upstream,
        (!wild).then_some(&model),
    )?;
    leftovers(cx, what, own, info);
    if wild {
        cx.report.changed(
            format!("model {public}"),
            "agp's models have no wildcards: what the upstream lists is published under its own names",
        );
        return Ok(None);
    }
    sizes_and_price(cx.draft.model(&public), &params, info);
    let order = params.get("order").and_then(Node::int).unwrap_or(i64::MAX);
    Ok(Some(Step {
        public,
        order,
        target: (upstream, model),
    }))
}

fn upstream(
    cx: &mut Cx<'_>,
    what: &str,
    provider: Provider,
    params: &Params<'_>,
    wild: bool,
) -> Result<Upstream, String> {
    let what = format!("{what}.litellm_params");
    let given = params.get("api_base").or_else(|| params.get("base_url"));
    let base_url = match given {
        Some(node) => {
            let at = format!("{what}.api_base");
            let url = text(cx, &at, node).and_then(|url| cx.base_url(&at, &url));
            Some(url.ok_or("it can't do without its `api_base`")?)
        }
        None if provider.base == Some("") => {
            return Err("its provider needs an `api_base`".to_owned());
        }
        None => provider.base.map(str::to_owned),
    };
    let mut headers = Vec::new();
    for key in ["extra_headers", "headers"] {
        for Pair { key: name, value } in params.get(key).map_or(&[][..], Node::entries) {
            let at = format!("{what}.{key}.{name}");
            let value = value.text().unwrap_or_default();
            if variable(value).is_some() {
                cx.report
                    .dropped(at, "a header can't be taken from the environment");
            } else {
                headers.extend(cx.header(&at, name, value));
            }
        }
    }
    headers.sort();
    headers.dedup_by(|a, b| a.0 == b.0);
    let location = match params.get("vertex_location") {
        Some(node) if provider.kind == "vertex" => {
            text(cx, &format!("{what}.vertex_location"), node)
                .filter(|l| l != "global" && is_name(l))
        }
        _ => None,
    };
    Ok(Upstream {
        kind: provider.kind,
        base_url,
        headers,
        location,
        discover: wild,
        ..Upstream::default()
    })
}

fn sizes_and_price(model: &mut Model, params: &Params<'_>, info: Option<&Node>) {
    let of_info = |key: &str| info.and_then(|info| info.get(key));
    let tokens = |key: &str| {
        let number = of_info(key).and_then(Node::int)?;
        u32::try_from(number).ok().filter(|n| *n > 0).map(u64::from)
    };
    model.context = model.context.or(tokens("max_input_tokens"));
    // `max_tokens` is the old name.
    let most = tokens("max_output_tokens").or_else(|| tokens("max_tokens"));
    model.max_output = model.max_output.or(most);
    let price = |key: &str| {
        let node = params.get(key).or_else(|| of_info(key))?;
        let price = node.number().filter(|n| (0.0..1.0).contains(n))?;
        // A million tokens instead of one, without the last digits that binary fractions bring.
        Some((price * 1e12).round() / 1e6)
    };
    if model.price.is_none()
        && let (Some(input), Some(output)) = (
            price("input_cost_per_token"),
            price("output_cost_per_token"),
        )
    {
        model.price = Some((input, output, price("cache_read_input_token_cost")));
    }
}

/// Tells what was not looked at.
fn leftovers(cx: &mut Cx<'_>, what: &str, params: &Node, info: Option<&Node>) {
    SHAPES.check(cx, &format!("{what}.litellm_params"), params);
    for pair in params.entries() {
        if READ.contains(&pair.key.as_str()) || pair.value.is_empty() {
            continue;
        }
        let known = DROPPED.iter().find(|(name, _)| *name == pair.key);
        let why = known.map_or(NO_PARAMETERS, |k| k.1);
        cx.report
            .dropped(format!("{what}.litellm_params.{}", pair.key), why);
    }
    for pair in info.map_or(&[][..], Node::entries) {
        if !INFO_READ.contains(&pair.key.as_str()) && !pair.value.is_empty() {
            let what = format!("{what}.model_info.{}", pair.key);
            cx.report.dropped(what, "no equal at a model of agp");
        }
    }
}
