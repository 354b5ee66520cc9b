//! Sums of requests over a time.

use schemars::JsonSchema;
use serde::Serialize;

/// Sums of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Sums {
    /// Requests, failed ones too.
    pub requests: u64,
    /// Those that went well.
    pub succeeded: u64,
    /// Those that failed by fault of an upstream or of the gateway.
    pub errors: u64,
    /// Those that failed by fault of the client.
    pub client_errors: u64,
    /// Of the requests without the clients' own errors, the part that went well, 0 to 1; null where there were none.
    pub success_rate: Option<f64>,
    /// Input tokens that were neither read from the upstream's cache nor written to it.
    pub input_tokens: u64,
    /// Input tokens that were read from the upstream's cache.
    pub cached_tokens: u64,
    /// Input tokens that were written to the upstream's cache.
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning among them.
    pub output_tokens: u64,
    /// Output tokens spent on thinking.
    pub reasoning_tokens: u64,
    /// All input and output tokens.
    pub total_tokens: u64,
    /// In US dollars, as far as models have a price.
    pub cost_usd: f64,
    /// Mean time of whole requests that went well, in milliseconds.
    pub mean_ms: Option<u64>,
    /// The time that half of them did not exceed, by the bounds of a histogram.
    pub p50_ms: Option<u64>,
    /// The time that 95 % of them did not exceed, likewise.
    pub p95_ms: Option<u64>,
    /// The time to the first content that half of them did not exceed, likewise.
    pub first_token_p50_ms: Option<u64>,
}

/// Sums of one step of time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsagePoint {
    /// When the step begins.
    pub start: String,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Sums of one model, account or key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageRow {
    /// Its name.
    pub name: String,
    /// Its part of all requests of the list, 0 to 1.
    pub share: f64,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Usage over a time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Usage {
    /// Its begin, a quarter hour.
    pub since: String,
    /// Its end.
    pub until: String,
    /// Seconds between two points of the series. Days are those of `admin.time_zone`, so that one may have 23 or 25 hours.
    pub step_s: u64,
    /// Sums over the whole time.
    pub totals: Sums,
    /// Sums over a time of the same length before.
    pub before: Sums,
    /// The steps in order, those without a request too.
    pub series: Vec<UsagePoint>,
    /// By model, account or key, as asked; most requests first.
    pub rows: Vec<UsageRow>,
}
