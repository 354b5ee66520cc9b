//! L2: the only home of vendors' JSON. Each folder is one dialect; no file knows two.

pub mod anthropic;
pub mod front;
pub mod gemini;
pub mod json;
pub(crate) mod media;
pub mod openai_chat;
pub mod redact;
pub mod sse;

use crate::base::id::RequestId;
use crate::base::time::Timestamp;

/// Where OpenAI clients find the model's thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThinkingOutput {
    /// In `reasoning_content`.
    #[default]
    ReasoningContent,
    /// In `<think>` tags inside `content`.
    Tags,
    /// In both.
    Both,
}

/// What a front encoder needs besides the answer itself.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The request's id; the answer's own id is made from it.
    pub request_id: RequestId,
    /// The model's name as the client asked for it.
    pub model: String,
    /// When the request began.
    pub created: Timestamp,
    /// OpenAI's `stream_options.include_usage`.
    pub include_usage: bool,
    /// Where thinking goes in OpenAI's dialect.
    pub thinking_output: ThinkingOutput,
}

/// A model in the list that clients are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Public name.
    pub id: String,
    /// `google`, `anthropic`, `openai`, else the upstream's name.
    pub owned_by: String,
    /// For people.
    pub display_name: Option<String>,
    /// Context window in tokens.
    pub context: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
}
