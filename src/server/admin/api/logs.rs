//! The log of requests.

use schemars::JsonSchema;
use serde::Serialize;

/// Why a request failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LogError {
    /// What kind of error.
    pub kind: String,
    /// Whose fault: `client`, `upstream` or `gateway`.
    pub fault: String,
    /// In words.
    pub message: String,
    /// More.
    pub detail: Option<String>,
}

/// A request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LogRow {
    /// Its id.
    pub id: String,
    /// When it ended.
    pub at: String,
    /// The client's key, by table name.
    pub key: Option<String>,
    /// The client's dialect.
    pub dialect: String,
    /// The model that it asked for.
    pub requested: String,
    /// The public model that this stands for.
    pub model: Option<String>,
    /// Whether it was streamed.
    pub stream: bool,
    /// The status that the client got.
    pub status: u16,
    /// Why the answer ended.
    pub stop: Option<String>,
    /// Why it failed.
    pub error: Option<LogError>,
    /// The account that served, or was tried last.
    pub account: Option<String>,
    /// From begin to end, in milliseconds.
    pub latency_ms: u64,
    /// To the first content.
    pub first_token_ms: Option<u64>,
    /// What it waited for an account.
    pub queue_ms: u64,
    /// Input tokens; null where the upstream did not tell.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// In US dollars; null where the model has no price.
    pub cost_usd: Option<f64>,
    /// What could not be carried to the upstream or back.
    pub losses: Vec<String>,
}

/// A page of the log, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LogPage {
    /// The rows.
    pub rows: Vec<LogRow>,
    /// To be given as `before` for the rows that follow; null where there are none.
    pub next: Option<String>,
}

/// What was decided of an account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Verdict {
    /// The try that the pick led to at which this was said; absent at the first pick, and at the last where nobody was left.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The account.
    pub account: String,
    /// In words.
    pub verdict: String,
}

/// One call to an upstream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Try {
    /// Which one, from 1.
    pub n: u32,
    /// The upstream.
    pub upstream: String,
    /// The account.
    pub account: String,
    /// The upstream's id of the model.
    pub model: String,
    /// The host.
    pub host: String,
    /// When it began, in milliseconds after the request's begin; null where that was not kept.
    pub start_ms: Option<u64>,
    /// HTTP status.
    pub status: Option<u16>,
    /// What kind of refusal; null where it served.
    pub class: Option<String>,
    /// How long it took.
    pub latency_ms: u64,
    /// To the first byte of its answer.
    pub first_byte_ms: Option<u64>,
    /// More.
    pub detail: Option<String>,
}

/// A request with all that became of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Explained {
    /// The row.
    #[serde(flatten)]
    pub row: LogRow,
    /// What was decided of each account at first.
    pub verdicts: Vec<Verdict>,
    /// And later.
    pub later_verdicts: Vec<Verdict>,
    /// How many more there were than are kept.
    pub more_verdicts: u64,
    /// Every call to an upstream, in order.
    pub tries: Vec<Try>,
}

/// A body as it is kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeptBody {
    /// Its text, or the begin of it.
    pub text: String,
    /// How many bytes there were.
    pub bytes: u64,
    /// Whether it was cut.
    pub cut: bool,
}

/// What a client sent and was sent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Bodies {
    /// The request's id.
    pub id: String,
    /// What it sent.
    pub request: KeptBody,
    /// What it was sent.
    pub answer: KeptBody,
}

/// The names that the log can be filtered by: those of its last 30 days and those of the files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LogNames {
    /// Public models.
    pub models: Vec<String>,
    /// Accounts.
    pub accounts: Vec<String>,
    /// Keys.
    pub keys: Vec<String>,
}
