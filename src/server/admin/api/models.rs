//! Public models, routes, and what upstreams offer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of a route.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RouteStep {
    /// The upstream.
    pub upstream: String,
    /// The upstream's id of the model.
    pub model: String,
    /// How many accounts may serve it.
    pub accounts: u64,
    /// How many of them could now.
    pub ready: u64,
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Price {
    /// Input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input read from the cache.
    pub cached_input: Option<f64>,
}

/// A public model.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Model {
    /// Its public name.
    pub name: String,
    /// Whether a table of the files defines it; else an upstream lists it.
    pub in_file: bool,
    /// Whether requests without a model get it.
    pub default: bool,
    /// Its name for people.
    pub display_name: Option<String>,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// Where it is served, in order.
    pub route: Vec<RouteStep>,
    /// How accounts are picked.
    pub strategy: String,
    /// Thinking where the client says nothing, as the file has it.
    pub thinking: Option<Value>,
    /// Its family, where the file gives one.
    pub family: Option<String>,
    /// Context window in tokens.
    pub context: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// How many keys may use it.
    pub key_count: u64,
    /// Those keys, the first hundred by table name.
    pub keys: Vec<String>,
    /// Requests of the last 24 hours.
    pub requests: u64,
    /// Their tokens.
    pub tokens: u64,
}

/// All public models.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ModelList {
    /// The models, in the order in which clients see them.
    pub models: Vec<Model>,
    /// The default model, which may be missing among the models.
    pub default_model: Option<String>,
    /// Every strategy.
    pub strategies: Vec<String>,
}

/// A model that an upstream lists.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OfferedModel {
    /// The upstream's id.
    pub id: String,
    /// The upstream's name for people.
    pub display_name: Option<String>,
    /// Most output tokens.
    pub max_output: Option<u64>,
    /// Context window in tokens.
    pub context: Option<u64>,
    /// The public models that lead to it.
    pub served_as: Vec<String>,
}

/// What an upstream lists.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Offer {
    /// The upstream.
    pub upstream: String,
    /// When it was asked; null where it was not yet.
    pub listed: Option<String>,
    /// Whether its models are published under their own names.
    pub discover: bool,
    /// Its models.
    pub models: Vec<OfferedModel>,
}

/// What all upstreams list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Offers {
    /// Every upstream in effect.
    pub upstreams: Vec<Offer>,
}

/// How to test a model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestModel {
    /// With whose rights, by the key's table name; with everybody's where none is given.
    #[serde(default)]
    pub key: Option<String>,
}

/// What came of a test: one short real request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ModelTest {
    /// Whether it was answered.
    pub ok: bool,
    /// The request's id, which the log has.
    pub request: String,
    /// The account that served, or was tried last.
    pub account: Option<String>,
    /// Its upstream.
    pub upstream: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// The answer's begin.
    pub text: Option<String>,
    /// Why there was none.
    pub error: Option<String>,
}

/// What a draw of accounts for a model gave.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Picked {
    /// The public model.
    pub model: String,
    /// How accounts are picked.
    pub strategy: String,
    /// Whether a conversation keeps its account.
    pub affinity: bool,
    /// How many draws were asked for.
    pub requests: u64,
    /// How many were made.
    pub drawn: u64,
    /// Why no account can be had.
    pub blocked: Option<String>,
    /// The route's steps.
    pub targets: Vec<PickedTarget>,
}

/// What a draw gave at one step of a route.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PickedTarget {
    /// The upstream.
    pub upstream: String,
    /// The upstream's id of the model.
    pub model: String,
    /// Its accounts.
    pub accounts: Vec<PickedAccount>,
}

/// How often an account was drawn.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PickedAccount {
    /// The account.
    pub name: String,
    /// How often.
    pub picked: u64,
    /// Part of all draws, 0 to 1.
    pub share: f64,
    /// Its weight.
    pub weight: f64,
    /// The file's tier.
    pub tier: u32,
    /// What is left of its quota, 0 to 1.
    pub remaining: Option<f64>,
    /// How well calls went lately, 0 to 1.
    pub health: f64,
    /// What decides about it.
    pub verdict: String,
}
