//! Trying a request from the panel.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A dialect of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Chat completions.
    Openai,
    /// Messages.
    Anthropic,
}

/// A request as a client would send it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// With whose rights and at whose cost, by the key's table name.
    pub key: String,
    /// The request's dialect.
    pub dialect: Dialect,
    /// The request. Answered as the client would be, with `x-request-id` for the explanation.
    #[schemars(with = "Value")]
    pub request: Box<RawValue>,
}
