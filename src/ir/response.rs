//! A whole answer.

use crate::ir::media::Media;
use crate::ir::request::Signature;
use crate::ir::usage::Usage;

/// A complete answer, as [`crate::ir::Collector`] folds it from events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// What the model said, in order. Neighbouring pieces of the same kind are one block.
    pub blocks: Vec<OutBlock>,
    /// Why it ended.
    pub stop: StopReason,
    /// Token counts.
    pub usage: Usage,
}

/// A block of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum OutBlock {
    /// Text.
    Text(String),
    /// Thinking with the provider's signature where one came.
    Thinking {
        /// The thinking.
        text: String,
        /// The signature, in the form in which the upstream's decoder gives it.
        signature: Option<Signature>,
    },
    /// A tool call.
    ToolCall {
        /// Unique within the answer, never empty.
        id: String,
        /// The tool's name as the client knows it.
        name: String,
        /// The text of a JSON object.
        input: String,
        /// OpenAI's `custom` tool: `input` is `{"input":"<text>"}`.
        free_text: bool,
        /// The signature on the call.
        signature: Option<Signature>,
    },
    /// A picture.
    Media(Media),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// It was finished.
    #[default]
    End,
    /// The token limit was reached.
    MaxTokens,
    /// It calls tools.
    ToolUse,
    /// A filter ended it.
    Filter,
}

impl StopReason {
    /// The name in logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::MaxTokens => "max_tokens",
            Self::ToolUse => "tool_use",
            Self::Filter => "filter",
        }
    }
}
