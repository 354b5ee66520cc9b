//! Why an answer ended, in Gemini's words. upstream-protocol.md 6.4.

/// What a `finishReason` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The model was done; with calls it waits for their results.
    Natural,
    /// The token limit.
    MaxTokens,
    /// A filter.
    Filter,
    /// The model failed; it may go better next time.
    Fault {
        /// Whether the answer is broken even when there is content already.
        ends_content: bool,
    },
}

impl Finish {
    /// Reads the word; what is not known counts as a natural end.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "MAX_TOKENS" => Self::MaxTokens,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "MODEL_ARMOR" => Self::Filter,
            "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "MISSING_THOUGHT_SIGNATURE" => {
                Self::Fault { ends_content: true }
            }
            "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "NO_IMAGE" | "IMAGE_OTHER" => {
                Self::Fault {
                    ends_content: false,
                }
            }
            _ => Self::Natural,
        }
    }
}
