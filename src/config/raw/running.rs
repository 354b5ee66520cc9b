//! `[state]` to `[fetch]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::raw::{DAY, defaults, secs};
use crate::config::value::{Dur, Positive, Recipient, Size, Word};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct State {
    /// Folder of the two stores, beside this file or in the state folder; a change takes a restart.
    pub(crate) path: Word,
    /// Log rows older than this are forgotten.
    pub(crate) log_retention: Dur,
    /// Log rows beyond this number are forgotten.
    pub(crate) log_max_rows: u64,
    /// Most disk that the log takes.
    pub(crate) log_max_size: Size,
    /// Whether prompts and answers are kept, encrypted.
    pub(crate) log_bodies: LogBodies,
    /// How long they are kept.
    pub(crate) log_bodies_retention: Dur,
    /// How long the state of an account, key or group that left the file waits for its return.
    pub(crate) orphan_retention: Dur,
    /// Generations of the file that are kept, encrypted, for diff and rollback.
    pub(crate) history: u32,
    /// Whether objects of the Responses API are kept, so that `previous_response_id` works.
    pub(crate) store_responses: bool,
}

defaults!(State {
    path: Word("data".to_owned()),
    log_retention: secs(30 * DAY),
    log_max_rows: 1_000_000,
    log_max_size: Size(2 << 30),
    log_bodies: LogBodies::None,
    log_bodies_retention: secs(3 * DAY),
    orphan_retention: secs(30 * DAY),
    history: 200,
    store_responses: false,
});

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogBodies {
    /// No body.
    None,
    /// Those of failed requests.
    Errors,
    /// Every body.
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Secrets {
    /// The age identity that opens sealed values; made on first need.
    pub(crate) identity: IdentityFile,
    /// More age recipients that can open what agp seals.
    pub(crate) recipients: Vec<Recipient>,
}

defaults!(Secrets {
    identity: IdentityFile {
        file: Word("data/agp-identity.txt".to_owned()),
    },
    recipients: Vec::new(),
});

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityFile {
    /// Path in the state folder; mode 0600.
    #[schemars(example = &"data/agp-identity.txt")]
    pub(crate) file: Word,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Routing {
    /// How an account is picked among those that can serve.
    pub(crate) strategy: Strategy,
    /// Whether a conversation stays on one account while it lasts, so that the provider's prompt cache keeps hitting.
    pub(crate) affinity: Affinity,
    /// The model of requests that name none; without it they get 400.
    #[schemars(example = &"gemini-2.5-flash")]
    pub(crate) default_model: Option<Word>,
    /// Calls in flight of one account; 0 is no limit.
    pub(crate) max_concurrent_per_account: u32,
    /// Calls in flight of one upstream's model over all accounts; 0 is no limit.
    pub(crate) max_concurrent_per_model: u32,
    /// How long a request waits for a slot or a cooldown's end before it gets 429.
    pub(crate) queue_timeout: Dur,
    /// Most requests that wait.
    pub(crate) max_queue: u32,
    /// Pause of an account where the upstream states no delay; doubles.
    pub(crate) capacity_cooldown: Dur,
    /// Where the doubling ends. Delays that the upstream states are never cut.
    pub(crate) max_cooldown: Dur,
    /// Calls that send the prompt for one request, all accounts together.
    pub(crate) max_attempts: u32,
    /// From the first failure; no new try after it.
    pub(crate) retry_within: Dur,
    /// Bounds the whole request; `0s` is no bound.
    pub(crate) total_timeout: Dur,
    /// How often quotas are asked for.
    pub(crate) quota_refresh: Positive,
}

defaults!(Routing {
    strategy: Strategy::Weighted,
    affinity: Affinity::Conversation,
    default_model: None,
    max_concurrent_per_account: 1,
    max_concurrent_per_model: 3,
    queue_timeout: secs(60),
    max_queue: 1000,
    capacity_cooldown: secs(3),
    max_cooldown: secs(120),
    max_attempts: 4,
    retry_within: secs(30),
    total_timeout: secs(0),
    quota_refresh: Positive(Duration::from_mins(10)),
});

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    /// By weight and remaining quota.
    Weighted,
    /// In turn.
    RoundRobin,
    /// At random.
    Random,
    /// The one with the fewest calls in flight.
    LeastBusy,
    /// The first until it is full.
    FillFirst,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Affinity {
    /// Every request is on its own.
    None,
    /// A conversation stays on its account.
    Conversation,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OpenAi {
    /// Where thinking stands in OpenAI's dialect.
    pub(crate) thinking_output: ThinkingOutput,
}

defaults!(OpenAi {
    thinking_output: ThinkingOutput::ReasoningContent,
});

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThinkingOutput {
    /// In `reasoning_content`.
    ReasoningContent,
    /// Between `<think>` tags in the content.
    Tags,
    /// In both.
    Both,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fetch {
    /// Whether http(s) images and files that a client names by URL are fetched.
    pub(crate) enabled: bool,
    /// Largest file.
    pub(crate) max_size: Size,
    /// Longest fetch.
    pub(crate) timeout: Positive,
    /// Most files of one request.
    pub(crate) max_per_request: u32,
    /// Private addresses or hosts that may be fetched all the same.
    #[schemars(example = ["files.internal"])]
    pub(crate) allow: Vec<Word>,
}

defaults!(Fetch {
    enabled: true,
    max_size: Size(20 << 20),
    timeout: Positive(Duration::from_secs(10)),
    max_per_request: 8,
    allow: Vec::new(),
});
