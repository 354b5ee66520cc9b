//! The validated configuration: every reference resolves, every range holds. No spans, no resolved secrets.

mod admin;
mod inert;
mod keys;
mod secrets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::id::{AccountId, KeyId, UpstreamId};
use crate::base::money::Price;
use crate::base::secret::Secret;
use crate::ir::{Family, ThinkingDefault};
use crate::wire::ThinkingOutput;

pub use admin::{Admin, AdminToken, Network, Password, Role};
pub use inert::{Inert, Written};
pub use keys::{Group, Key, KeyValue, Limits};
pub use secrets::{SecretRef, Secrets};

/// The whole of agp.toml and its includes. Equal configs need no swap.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[log]`.
    pub log: Log,
    /// `[admin]`.
    pub admin: Admin,
    /// `[state]`.
    pub state: State,
    /// `[secrets]`.
    pub secrets: Secrets,
    /// `[routing]`.
    pub routing: Routing,
    /// `[openai]`.
    pub openai: OpenAi,
    /// `[upstreams.*]` by name.
    pub upstreams: BTreeMap<UpstreamId, Upstream>,
    /// `[accounts.*]` by name.
    pub accounts: BTreeMap<AccountId, Account>,
    /// `[groups.*]` by name.
    pub groups: BTreeMap<String, Group>,
    /// `[keys.*]` by name.
    pub keys: BTreeMap<KeyId, Key>,
    /// `[models.*]` by public name.
    pub models: BTreeMap<String, Model>,
    /// The keys given that have no effect so far: for people who compare two files.
    pub inert: Vec<Inert>,
    /// The settings that the environment gives for this run, by their path, and the variable of each.
    pub locked: BTreeMap<String, String>,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// The address that clients use.
    pub listen: SocketAddr,
    /// The address that people and links use, where it is not that of `listen`.
    pub public_url: Option<String>,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// Silence after which a stream gets a comment or ping; never zero.
    pub keepalive: Duration,
    /// With no content so far the 200 goes out after this.
    pub stream_commit_after: Duration,
    /// From SIGTERM to the listener's close.
    pub drain_delay: Duration,
    /// What running streams then get.
    pub drain_timeout: Duration,
    /// With which certificate and key HTTPS is spoken; `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Where `/metrics` is served to whoever connects; `None`: on the admin socket, and to tokens of the admin API.
    pub metrics: Option<SocketAddr>,
}

/// `server.tls`: PEM files, their paths joined to the configuration file's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `RUST_LOG` syntax.
    pub level: String,
    /// The lines' form.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[state]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Folder of the stores, as written (relative to the state dir).
    pub path: PathBuf,
    /// Log rows older than this are forgotten.
    pub log_retention: Duration,
    /// Log rows beyond this number are forgotten.
    pub log_max_rows: u64,
    /// Bytes of disk that the log takes at most.
    pub log_max_size: u64,
    /// Whose prompts and answers are kept.
    pub log_bodies: LogBodies,
    /// Those of requests that began before this are forgotten.
    pub log_bodies_retention: Duration,
    /// How long the state of an account that left the file waits for its return.
    pub orphan_retention: Duration,
    /// Generations of the files that are kept; 0 keeps none.
    pub history: u32,
}

/// Whose prompts and answers are kept, encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogBodies {
    /// Nobody's.
    None,
    /// Those of requests that ended with an error.
    Errors,
    /// Everybody's.
    All,
}

/// How an account is picked among those that can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By weight and remaining quota.
    Weighted,
    /// In turn.
    RoundRobin,
    /// At random.
    Random,
    /// The one with the fewest in flight.
    LeastBusy,
    /// The first until it is full.
    FillFirst,
}

impl Strategy {
    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::LeastBusy => "least_busy",
            Self::FillFirst => "fill_first",
        }
    }
}

/// What keeps its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// Nothing: each request is picked for by itself.
    None,
    /// A conversation.
    Conversation,
}

/// `[routing]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// How accounts are picked.
    pub strategy: Strategy,
    /// What keeps its account.
    pub affinity: Affinity,
    /// The public model for requests that name none.
    pub default_model: Option<String>,
    /// Calls in flight on one account; `None` is no limit.
    pub max_concurrent_per_account: Option<u32>,
    /// Calls in flight of one (upstream, model); `None` is no limit.
    pub max_concurrent_per_model: Option<u32>,
    /// How long a request waits for a slot or a cooldown's end.
    pub queue_timeout: Duration,
    /// Requests waiting at once.
    pub max_queue: u32,
    /// First cooldown where the upstream states none; doubles.
    pub capacity_cooldown: Duration,
    /// Largest doubled cooldown.
    pub max_cooldown: Duration,
    /// Calls that send the prompt, for one request; at least 1.
    pub max_attempts: u32,
    /// From the first failure: no new try after this.
    pub retry_within: Duration,
    /// Bounds the whole request; `None` is no bound.
    pub total_timeout: Option<Duration>,
    /// How often quotas are asked for.
    pub quota_refresh: Duration,
}

/// `[openai]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAi {
    /// Where thinking goes.
    pub thinking_output: ThinkingOutput,
}

/// What kind of service an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Google's Cloud Code API.
    Antigravity,
    /// The Gemini API (not yet in effect).
    Gemini,
    /// Vertex AI (not yet in effect).
    Vertex,
    /// OpenAI and compatible (not yet in effect).
    OpenAi,
    /// Anthropic (not yet in effect).
    Anthropic,
}

/// `[upstreams.*]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// What it is.
    pub kind: Kind,
    /// Hosts in order, without trailing slash; never empty.
    pub base_urls: Vec<String>,
    /// Hosts for discovery and onboarding; `base_urls` where none are given.
    pub setup_urls: Vec<String>,
    /// The operator's OAuth client, for kinds that need one.
    pub oauth: Option<OAuth>,
    /// Headers sent with each call, names in lower case.
    pub headers: BTreeMap<String, Secret>,
    /// Header and envelope field; `agp/<version>` where none is given.
    pub user_agent: String,
    /// The client metadata of kind antigravity; the neutral block where none is given.
    pub metadata: BTreeMap<String, String>,
    /// Category to threshold.
    pub safety_settings: BTreeMap<String, String>,
    /// Outbound proxy, may hold credentials.
    pub proxy: Option<Secret>,
    /// Limit for connect and TLS.
    pub connect_timeout: Duration,
    /// Limit from the request sent to the first byte of the answer.
    pub first_byte_timeout: Duration,
    /// Silence inside a stream.
    pub idle_timeout: Duration,
    /// More trusted certificate authorities, PEM; path already joined to the file's folder.
    pub ca_file: Option<PathBuf>,
    /// Whether the upstream's own list of models is published.
    pub discover: bool,
}

/// An OAuth client.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth {
    /// Its id.
    pub client_id: SecretRef,
    /// Its secret.
    pub client_secret: SecretRef,
    /// Consent page.
    pub auth_url: String,
    /// Token endpoint.
    pub token_url: String,
    /// Who signed in.
    pub userinfo_url: String,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Where the consent page leads back to.
    pub redirect_uri: String,
}

/// `[accounts.*]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Its upstream.
    pub upstream: UpstreamId,
    /// E-mail, for people and to tell duplicates.
    pub email: Option<String>,
    /// What it signs in with.
    pub credential: SecretRef,
    /// Share under `weighted`; 0: only when no other can.
    pub weight: f64,
    /// Lower tiers are used first.
    pub tier: u32,
    /// Calls in flight: `Some(None)` is no limit, `None` is routing's.
    pub max_concurrent: Option<Option<u32>>,
    /// Globs of upstream model names that it may serve.
    pub models: Vec<String>,
    /// Its project; discovered where none is given.
    pub project: Option<String>,
    /// Whether it may go on past the quota at the user's cost.
    pub credits: bool,
    /// Whether it is used.
    pub enabled: bool,
    /// Labels that keys refer to.
    pub tags: Vec<String>,
}

/// One step of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The upstream.
    pub upstream: UpstreamId,
    /// The upstream's id of the model.
    pub model: String,
}

/// `[models.*]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Targets in order; never empty.
    pub route: Vec<Target>,
    /// Other names for it that are not listed.
    pub aliases: Vec<String>,
    /// `None` is routing's.
    pub strategy: Option<Strategy>,
    /// Where the client says nothing of thinking.
    pub thinking: Option<ThinkingDefault>,
    /// Overrides what the id says.
    pub family: Option<Family>,
    /// For people.
    pub display_name: Option<String>,
    /// Context window in tokens.
    pub context: Option<u64>,
    /// Caps what clients ask for.
    pub max_output: Option<u32>,
    /// What its tokens cost; without it cost is not known.
    pub price: Option<Price>,
}
