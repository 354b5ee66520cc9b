//! The shapes that answers arrive in; texts are borrowed from the frame where JSON lets them. upstream-protocol.md 6.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use crate::ir::Usage;

/// One frame: upstream 1 wraps the answer, upstreams 2 and 3 send it bare, and any of them may send an error.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pub(super) response: Option<Answer<'a>>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) bare: Answer<'a>,
}

/// The same with the bare answer's fields beside the others: serde's `flatten` can't hold raw values.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat<'a> {
    #[serde(borrow, default)]
    response: Option<Answer<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    candidates: Vec<Candidate<'a>>,
    #[serde(borrow, default, alias = "prompt_feedback")]
    prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(default, alias = "usage_metadata")]
    usage_metadata: Option<UsageMetadata>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Chunk<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flat = Flat::deserialize(deserializer)?;
        Ok(Self {
            response: flat.response,
            error: flat.error,
            bare: Answer {
                candidates: flat.candidates,
                prompt_feedback: flat.prompt_feedback,
                usage_metadata: flat.usage_metadata,
            },
        })
    }
}

/// A partial answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(borrow, default, alias = "prompt_feedback")]
    pub(super) prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(default, alias = "usage_metadata")]
    pub(super) usage_metadata: Option<UsageMetadata>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) index: u32,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) content: Content<'a>,
    #[serde(borrow, default, alias = "finish_reason")]
    pub(super) finish_reason: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) parts: Vec<Part<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) thought: bool,
    #[serde(borrow, default, alias = "thought_signature")]
    pub(super) thought_signature: Option<Str<'a>>,
    #[serde(borrow, default, alias = "function_call")]
    pub(super) function_call: Option<Call<'a>>,
    #[serde(borrow, default, alias = "inline_data")]
    pub(super) inline_data: Option<InlineData<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineData<'a> {
    #[serde(borrow, default, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback<'a> {
    #[serde(borrow, default, alias = "block_reason")]
    pub(super) block_reason: Option<Str<'a>>,
}

/// Token counts as the upstream names them (upstream-protocol.md 6.6).
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct UsageMetadata {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<Count>,
    #[serde(rename = "cachedContentTokenCount")]
    cached: Option<Count>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<Count>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<Count>,
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_use: Option<Count>,
    #[serde(rename = "totalTokenCount")]
    total: Option<Count>,
}

impl UsageMetadata {
    /// Keeps the last value of each field.
    pub(super) fn update(&mut self, newer: &Self) {
        *self = Self {
            prompt: newer.prompt.or(self.prompt),
            cached: newer.cached.or(self.cached),
            candidates: newer.candidates.or(self.candidates),
            thoughts: newer.thoughts.or(self.thoughts),
            tool_use: newer.tool_use.or(self.tool_use),
            total: newer.total.or(self.total),
        };
    }

    /// The disjoint counts. A missing cache count beside a prompt count is zero, since zeros are left out on the wire.
    pub(super) fn to_usage(self) -> Usage {
        let zero = |count: Option<Count>| count.map_or(0, |c| c.0);
        let prompt = self.prompt.map(|p| p.0.saturating_add(zero(self.tool_use)));
        let cached = zero(self.cached);
        let candidates = zero(self.candidates);
        let thoughts = zero(self.thoughts);
        // Some backends count thoughts among the candidates; then the total gives them away.
        let inside = thoughts > 0
            && self.total == Some(Count(prompt.unwrap_or(0).saturating_add(candidates)));
        let output = if inside {
            candidates
        } else {
            candidates.saturating_add(thoughts)
        };
        let said = self.candidates.is_some() || self.thoughts.is_some();
        Usage {
            input: prompt.map(|p| p.saturating_sub(cached)),
            cache_read: prompt.map(|p| cached.min(p)),
            cache_write: None,
            output: said.then_some(output),
            reasoning: self.thoughts.map(|t| t.0.min(output)),
        }
    }
}

/// A count: a number, or a text of digits as protobuf writes long ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count of tokens")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(value).unwrap_or(0)))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Count, E> {
                value.parse().map(Count).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

/// A text that is borrowed where it holds no escapes. A type of its own because serde borrows no `Cow` in an `Option`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Takes `null` for the default value.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
