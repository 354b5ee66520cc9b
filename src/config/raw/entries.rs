//! The named tables: upstreams, accounts, groups, keys, models.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::raw::{Strategy, defaults};
use crate::config::value::{
    Date, Digest, Glob, HeaderName, HeaderText, HttpUrl, PageUrl, Positive, ProxyUrl, SecretText,
    Thinking, Word,
};
use crate::ir::Family;

/// What is spoken to an upstream, and how one signs in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Google's "antigravity" service; accounts sign in with OAuth.
    Antigravity,
    /// The Gemini API, with API keys.
    Gemini,
    /// Vertex AI, with service accounts or API keys.
    Vertex,
    /// OpenAI's API and what speaks it, with API keys.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's API, with API keys.
    Anthropic,
}

/// A service behind the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["kind"]))]
pub(crate) struct Upstream {
    /// What it speaks.
    #[schemars(example = &"antigravity")]
    pub(crate) kind: Option<Kind>,
    /// Its hosts in order: the next one on connect errors, 404, 408 and 5xx. Default: the kind's public ones.
    pub(crate) base_urls: Option<Vec<HttpUrl>>,
    /// Hosts for project discovery and onboarding, of kind `antigravity`. Default: `base_urls`.
    pub(crate) setup_urls: Option<Vec<HttpUrl>>,
    /// The operator's own OAuth client, of kind `antigravity`; agp ships none.
    #[schemars(example = serde_json::json!({ "client_id": { "env": "NAME" }, "client_secret": { "env": "NAME" } }))]
    pub(crate) oauth: Option<OAuth>,
    /// Sent as given with each call.
    #[schemars(example = serde_json::json!({ "x-team": "platform" }))]
    pub(crate) headers: BTreeMap<HeaderName, HeaderText>,
    /// Header and envelope field. Default: agp and its version.
    pub(crate) user_agent: Option<HeaderText>,
    /// The client metadata of kind `antigravity`. Default: unspecified values.
    #[schemars(example = serde_json::json!({ "ideType": "IDE_UNSPECIFIED" }))]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Threshold by category. Default: what the client sent.
    #[schemars(example = serde_json::json!({ "HARM_CATEGORY_HARASSMENT": "BLOCK_NONE" }))]
    pub(crate) safety_settings: BTreeMap<String, Word>,
    /// What becomes of a client's web search tool.
    pub(crate) web_search: WebSearch,
    /// An http, https or socks5 proxy for all calls.
    pub(crate) proxy: Option<ProxyUrl>,
    /// Longest wait for a connection.
    pub(crate) connect_timeout: Positive,
    /// Longest wait for the first byte of an answer.
    pub(crate) first_byte_timeout: Positive,
    /// Longest silence inside a stream.
    pub(crate) idle_timeout: Positive,
    /// More trusted certificate authorities, PEM.
    #[schemars(example = &"corp-ca.pem")]
    pub(crate) ca_file: Option<Word>,
    /// Region, of kind `vertex`.
    pub(crate) location: Word,
    /// Whether what the upstream lists is published under its own names. Default: where `[models]` is empty.
    #[schemars(example = true)]
    pub(crate) discover: Option<bool>,
}

defaults!(Upstream {
    kind: None,
    base_urls: None,
    setup_urls: None,
    oauth: None,
    headers: BTreeMap::new(),
    user_agent: None,
    metadata: BTreeMap::new(),
    safety_settings: BTreeMap::new(),
    web_search: WebSearch::Drop,
    proxy: None,
    connect_timeout: Positive(Duration::from_secs(30)),
    first_byte_timeout: Positive(Duration::from_mins(2)),
    idle_timeout: Positive(Duration::from_mins(1)),
    ca_file: None,
    location: Word("global".to_owned()),
    discover: None,
});

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebSearch {
    /// It is left out.
    Drop,
    /// Google's search stands in for it.
    Google,
}

/// An OAuth client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["client_id", "client_secret"]))]
pub(crate) struct OAuth {
    /// Its id.
    pub(crate) client_id: Option<SecretText>,
    /// Its secret.
    pub(crate) client_secret: Option<SecretText>,
    /// The consent page. Default: the provider's public one.
    pub(crate) auth_url: Option<PageUrl>,
    /// Where tokens are had. Default: the provider's public one.
    pub(crate) token_url: Option<PageUrl>,
    /// Who signed in. Default: the provider's public one.
    pub(crate) userinfo_url: Option<PageUrl>,
    /// What is asked for. Default: what the upstream needs.
    #[schemars(example = ["https://www.googleapis.com/auth/cloud-platform"])]
    pub(crate) scopes: Option<Vec<Word>>,
    /// Where the consent page leads back to: this machine. Default: /oauth-callback on the panel's port.
    #[schemars(example = &"http://localhost:8088/oauth-callback")]
    pub(crate) redirect_url: Option<PageUrl>,
}

/// Who calls an upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["upstream"]))]
pub(crate) struct Account {
    /// One of the `[upstreams]`.
    #[schemars(example = &"antigravity")]
    pub(crate) upstream: Option<Word>,
    /// For people, and to tell duplicates: two accounts of one upstream with one e-mail are an error.
    #[schemars(example = &"alice@example.com")]
    pub(crate) email: Option<Word>,
    /// What an account of kind `antigravity` signs in with.
    pub(crate) refresh_token: Option<SecretText>,
    /// What an account of kind `gemini`, `openai`, `anthropic` or `vertex` signs in with.
    pub(crate) api_key: Option<SecretText>,
    /// What an account of kind `vertex` signs in with: the JSON of a service account.
    pub(crate) service_account: Option<SecretText>,
    /// Share of the requests under `weighted`; 0: only when no other can.
    #[schemars(range(min = 0))]
    pub(crate) weight: f64,
    /// Lower tiers are used first.
    pub(crate) tier: u32,
    /// Calls in flight; 0 is no limit. Default: routing's.
    #[schemars(example = 1)]
    pub(crate) max_concurrent: Option<u32>,
    /// Globs of upstream model names that it may serve.
    pub(crate) models: Vec<Glob>,
    /// Its project. Default: discovered.
    #[schemars(example = &"my-project")]
    pub(crate) project: Option<Word>,
    /// Whether it goes on past the quota at the user's cost, of kind `antigravity`.
    pub(crate) credits: bool,
    /// Whether it is used.
    pub(crate) enabled: bool,
    /// Labels that keys refer to.
    #[schemars(example = ["team-a"])]
    pub(crate) tags: Vec<Word>,
}

defaults!(Account {
    upstream: None,
    email: None,
    refresh_token: None,
    api_key: None,
    service_account: None,
    weight: 1.0,
    tier: 1,
    max_concurrent: None,
    models: vec![Glob("*".to_owned())],
    project: None,
    credits: false,
    enabled: true,
    tags: Vec::new(),
});

/// Most money in a time. A model without a price is refused under a budget.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// US dollars, above 0.
    #[schemars(example = 50.0, extend("exclusiveMinimum" = 0))]
    pub(crate) usd: f64,
    /// The time.
    pub(crate) per: Period,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Period {
    /// A day of `admin.time_zone`.
    Day,
    /// A month of `admin.time_zone`.
    Month,
}

/// Limits that several keys share.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Group {
    /// Requests a minute.
    #[schemars(range(min = 1), example = 60)]
    pub(crate) rpm: Option<u32>,
    /// Tokens a minute: input with cached, and output with reasoning.
    #[schemars(range(min = 1), example = 500_000)]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Tokens a day: input with cached, and output with reasoning.
    #[schemars(range(min = 1), example = 2_000_000)]
    pub(crate) tokens_per_day: Option<u64>,
    /// Most money in a time.
    #[schemars(example = serde_json::json!({ "usd": 50.0, "per": "month" }))]
    pub(crate) budget: Option<Budget>,
    /// Requests in flight.
    #[schemars(range(min = 1), example = 8)]
    pub(crate) max_concurrent: Option<u32>,
}

/// Who may use the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Key {
    /// For people. Default: the table's name.
    #[schemars(example = &"CI runners")]
    pub(crate) name: Option<String>,
    /// One of the `[groups]`, whose limits it shares.
    #[schemars(example = &"engineering")]
    pub(crate) group: Option<Word>,
    /// SHA-256 of the whole key, as `agp key new` prints it. This or `key`.
    pub(crate) sha256: Option<Digest>,
    /// The key itself. This or `sha256`.
    pub(crate) key: Option<SecretText>,
    /// Globs of public model names that it may use.
    pub(crate) models: Vec<Glob>,
    /// Accounts that it may use: names and `tag:NAME`. Default: every account.
    #[schemars(example = ["tag:team-a"])]
    pub(crate) accounts: Option<Vec<Word>>,
    /// Requests a minute.
    #[schemars(range(min = 1), example = 60)]
    pub(crate) rpm: Option<u32>,
    /// Tokens a minute: input with cached, and output with reasoning.
    #[schemars(range(min = 1), example = 500_000)]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Tokens a day: input with cached, and output with reasoning.
    #[schemars(range(min = 1), example = 2_000_000)]
    pub(crate) tokens_per_day: Option<u64>,
    /// Most money in a time.
    #[schemars(example = serde_json::json!({ "usd": 50.0, "per": "month" }))]
    pub(crate) budget: Option<Budget>,
    /// Requests in flight.
    #[schemars(range(min = 1), example = 8)]
    pub(crate) max_concurrent: Option<u32>,
    /// Refused from the beginning of that day on.
    pub(crate) expires: Option<Date>,
    /// Whether it is accepted.
    pub(crate) enabled: bool,
}

defaults!(Key {
    name: None,
    group: None,
    sha256: None,
    key: None,
    models: vec![Glob("*".to_owned())],
    accounts: None,
    rpm: None,
    tokens_per_minute: None,
    tokens_per_day: None,
    budget: None,
    max_concurrent: None,
    expires: None,
    enabled: true,
});

/// What clients see under one name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["route"]))]
pub(crate) struct Model {
    /// `UPSTREAM/MODEL`, tried in this order.
    #[schemars(length(min = 1), example = ["antigravity/gemini-2.5-flash"], inner(pattern("^[^/]+/.")))]
    pub(crate) route: Option<Vec<Word>>,
    /// Other names for it, which are not listed.
    #[schemars(example = ["gemini-flash"])]
    pub(crate) aliases: Vec<Word>,
    /// How an account is picked. Default: routing's.
    #[schemars(example = &"weighted")]
    pub(crate) strategy: Option<Strategy>,
    /// Where the client says nothing of thinking.
    pub(crate) thinking: Option<Thinking>,
    /// What kind of model it is. Default: by its id.
    #[schemars(example = &"gemini25")]
    pub(crate) family: Option<Family>,
    /// For people.
    #[schemars(example = &"Gemini 2.5 Flash")]
    pub(crate) display_name: Option<String>,
    /// Context window in tokens.
    #[schemars(range(min = 1), example = 1_048_576)]
    pub(crate) context: Option<u64>,
    /// Caps what clients ask for; used where a client must give one and did not.
    #[schemars(range(min = 1), example = 65_536)]
    pub(crate) max_output: Option<u32>,
    /// What it costs; without, no cost is shown.
    #[schemars(example = serde_json::json!({ "input": 0.3, "output": 2.5, "cached_input": 0.075 }))]
    pub(crate) price: Option<Price>,
}

/// US dollars a million tokens.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["input", "output"]))]
pub(crate) struct Price {
    /// Of input.
    #[schemars(range(min = 0), example = 0.3)]
    pub(crate) input: Option<f64>,
    /// Of output, with reasoning.
    #[schemars(range(min = 0), example = 2.5)]
    pub(crate) output: Option<f64>,
    /// Of input that the provider had cached.
    #[schemars(range(min = 0), example = 0.075)]
    pub(crate) cached_input: Option<f64>,
}
