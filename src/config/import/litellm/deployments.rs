//! `model_list`: each entry is a deployment, which here is an account and a step in a model's route.

use crate::base::secret::Secret;
use crate::config::import::Cx;
use crate::config::import::draft::{Account, Credential, Model, Upstream};
use crate::config::import::litellm::providers::{self, Provider};
use crate::config::import::litellm::{credential, text};
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
    for (n, entry) in root
        .get("model_list")
        .map_or(&[][..], Node::items)
        .iter()
        .enumerate()
    {
        let what = format!("model_list[{n}]");
        match deployment(cx, &what, entry, credentials) {
            Ok(step) => steps.extend(step),
            Err(why) => cx.report.dropped(what, why),
        }
    }
    steps.sort_by_key(|step: &Step| step.order);
    for step in steps {
        let model = cx.draft.model(&step.public);
        if model.route.contains(&step.target) {
            continue;
        }
        let second = !model.route.is_empty();
        model.route.push(step.target);
        if second {
            cx.report.changed(
                format!("model {}", step.public),
                "LiteLLM spreads requests over its deployments; agp tries the steps of `route` in order, and spreads over accounts of one step",
            );
        }
    }
    cx.draft.models.retain(|model| !model.route.is_empty());
}

/// What a deployment's parameters and the credential that they name say.
struct Params<'n> {
    params: &'n Node,
    named: Option<&'n Node>,
}

impl<'n> Params<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        let named = || self.named.and_then(|named| named.get(key));
        self.params.get(key).or_else(named)
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
        params: own,
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
    account(
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
            let value = text(cx, &at, value).unwrap_or_default();
            headers.extend(cx.header(&at, name, &value));
        }
    }
    headers.sort();
    headers.dedup_by(|a, b| a.0 == b.0);
    let location = match params.get("vertex_location") {
        Some(node) if provider.kind == "vertex" => {
            text(cx, &format!("{what}.vertex_location"), node).filter(|l| l != "global")
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

/// The account of a deployment: one for each upstream and credential.
fn account(
    cx: &mut Cx<'_>,
    what: &str,
    provider: Provider,
    params: &Params<'_>,
    upstream: &str,
    model: Option<&String>,
) -> Result<(), String> {
    let what = format!("{what}.litellm_params");
    let (holds, credential) = match provider.kind {
        "vertex" => ("service_account", vertex(cx, &what, params)?),
        _ => ("api_key", api_key(cx, &what, provider, params)?),
    };
    let project = match params.get("vertex_project") {
        Some(node) => text(cx, &format!("{what}.vertex_project"), node),
        None => None,
    };
    let number = |key: &str| params.get(key).and_then(Node::number);
    let weight = number("weight").filter(|w| *w >= 0.0 && (*w - 1.0).abs() > f64::EPSILON);
    let most = params.get("max_parallel_requests").and_then(Node::int);
    let most = most.and_then(|n| u32::try_from(n).ok()).map(u64::from);
    let same = |known: &&mut Account| {
        known.upstream == upstream && known.credential == credential && known.project == project
    };
    if let Some(known) = cx.draft.accounts.iter_mut().find(same) {
        match (&mut known.models, model) {
            (Some(models), Some(model)) => models.push(model.clone()),
            (models, _) => *models = None,
        }
        if known.weight != weight || known.max_concurrent != most {
            let why = format!(
                "other deployments with this key say otherwise: `accounts.{}` has what the first says",
                known.name
            );
            cx.report.changed(what, why);
        }
        return Ok(());
    }
    let wanted = match &credential {
        Credential::Env(name) => name.trim_end_matches("_API_KEY").to_owned(),
        _ => upstream.to_owned(),
    };
    let name = cx.draft.account_names.take(&wanted, "account");
    let mut account = Account::new(name, upstream.to_owned(), holds, credential);
    account.weight = weight;
    account.max_concurrent = most;
    account.models = model.map(|model| vec![model.clone()]);
    account.project = project;
    cx.account(&what, account);
    Ok(())
}

fn api_key(
    cx: &mut Cx<'_>,
    what: &str,
    provider: Provider,
    params: &Params<'_>,
) -> Result<Credential, String> {
    let at = format!("{what}.api_key");
    if let Some(node) = params.get("api_key") {
        return credential(cx, &at, node).ok_or_else(|| "it has no API key".to_owned());
    }
    let (credential, why) = match provider.variable {
        Some(name) => (
            Credential::Env(name.to_owned()),
            format!("none is given: LiteLLM takes `{name}`, and so does the new file"),
        ),
        None => (
            Credential::Own(Secret::new("none")),
            "none is given, and an account has one: the word `none` stands there".to_owned(),
        ),
    };
    cx.report.changed(at, why);
    Ok(credential)
}

/// A service account: the JSON itself or the file that holds it.
fn vertex(cx: &mut Cx<'_>, what: &str, params: &Params<'_>) -> Result<Credential, String> {
    let at = format!("{what}.vertex_credentials");
    let Some(node) = params.get("vertex_credentials") else {
        return Err(
            "it takes the machine's own credentials, and agp wants a service account's JSON"
                .to_owned(),
        );
    };
    match credential(cx, &at, node) {
        Some(Credential::Own(secret)) if !secret.expose().starts_with('{') => {
            let path = secret.expose().to_owned();
            cx.report.changed(
                at,
                "the file is looked for from the folder of the new file on",
            );
            Ok(Credential::File(path))
        }
        Some(found) => Ok(found),
        None => Err("its `vertex_credentials` can't be used".to_owned()),
    }
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
