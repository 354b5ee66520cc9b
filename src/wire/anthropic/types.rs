//! The request as Anthropic publishes it. upstream-protocol.md 11.1.

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

use crate::wire::json::read::object;
use crate::wire::json::{Int, List, Num, Text, TextOr, TextOrObject};

/// In front of a signature that Google's models made: unmarked ones are Anthropic's own. upstream-protocol.md 13.3.
pub(super) const GEMINI_MARK: &str = "gemini#";
/// In front of one of Anthropic's, where another gateway put it there.
pub(super) const CLAUDE_MARK: &str = "claude#";

object! {
    /// The body. What is not named here is dropped and noted.
    struct Body<'a> {
        "model" => model: Text<'a>,
        "messages" => messages: List<Message<'a>>,
        "system" => system: TextOr<'a, Block<'a>>,
        "max_tokens" => max_tokens: Int,
        "temperature" => temperature: Num,
        "top_p" => top_p: Num,
        "top_k" => top_k: Int,
        "stop_sequences" => stop_sequences: List<Text<'a>>,
        "stream" => stream: bool,
        "metadata" => metadata: Metadata<'a>,
        "tools" => tools: List<Tool<'a>>,
        "tool_choice" => tool_choice: Choice<'a>,
        "thinking" => thinking: Thinking<'a>,
        "output_config" => output_config: OutputConfig<'a>,
        "output_format" => output_format: Format<'a>,
        "thread" => thread: &'a RawValue,
        // Nothing is cached here at the client's word; a hint that has no effect on the answer.
        skip "cache_control"
    }

    /// `metadata`.
    struct Metadata<'a> {
        "user_id" => user_id: Text<'a>,
    }

    /// One of `messages`.
    struct Message<'a> {
        "role" => role: Text<'a>,
        "content" => content: Content<'a>,
        // What answers carry and clients send back as it was.
        skip "id", "type", "model", "stop_reason", "stop_sequence", "usage"
    }

    /// A block of a message, a system prompt, a document or a tool's result, whatever its type.
    struct Block<'a> {
        "type" => kind: Text<'a>,
        "text" => text: Text<'a>,
        "thinking" => thinking: Text<'a>,
        "signature" => signature: Text<'a>,
        "data" => data: Text<'a>,
        "source" => source: TextOrObject<'a, Source<'a>>,
        "title" => title: Text<'a>,
        "context" => context: Text<'a>,
        "id" => id: Text<'a>,
        "name" => name: Text<'a>,
        "input" => input: &'a RawValue,
        "tool_use_id" => tool_use_id: Text<'a>,
        "content" => content: Content<'a>,
        "is_error" => is_error: bool,
        "tool_name" => tool_name: Text<'a>,
        skip "cache_control", "citations", "caller"
    }

    /// `source` of an image or document.
    struct Source<'a> {
        "type" => kind: Text<'a>,
        "media_type" => media_type: Text<'a>,
        "data" => data: Text<'a>,
        "content" => content: Content<'a>,
        skip "url", "file_id"
    }

    /// One of `tools`.
    struct Tool<'a> {
        "type" => kind: Text<'a>,
        "name" => name: Text<'a>,
        "description" => description: Text<'a>,
        "input_schema" => input_schema: &'a RawValue,
        // Hints without a counterpart (upstream-protocol.md 11.1), and the settings of server tools, which are dropped whole.
        skip "cache_control", "strict", "input_examples", "defer_loading", "eager_input_streaming",
            "allowed_callers", "max_uses", "allowed_domains", "blocked_domains", "user_location",
            "citations", "max_content_tokens", "max_characters", "display_width_px",
            "display_height_px", "display_number", "mcp_server_name", "default_config", "configs"
    }

    /// `tool_choice`.
    struct Choice<'a> {
        "type" => kind: Text<'a>,
        "name" => name: Text<'a>,
        "disable_parallel_tool_use" => disable_parallel_tool_use: bool,
    }

    /// `thinking`.
    struct Thinking<'a> {
        "type" => kind: Text<'a>,
        "budget_tokens" => budget_tokens: Int,
    }

    /// `output_config`.
    struct OutputConfig<'a> {
        "effort" => effort: Text<'a>,
        "format" => format: Format<'a>,
    }

    /// `output_config.format`, and `output_format` of the beta before it.
    struct Format<'a> {
        "type" => kind: Text<'a>,
        "schema" => schema: &'a RawValue,
        skip "name", "strict"
    }
}

/// The content of a message, block or source: a string or blocks. The results of server tools may have an object there,
/// which is of no interest because they are dropped.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// A string.
    Text(Text<'a>),
    /// Blocks.
    Blocks(Vec<Block<'a>>),
    /// An object.
    Object,
}

impl<'de> Deserialize<'de> for Content<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content blocks")
            }

            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text(v.into())))
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text(v.to_owned().into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = seq.next_element()? {
                    blocks.push(block);
                }
                Ok(Content::Blocks(blocks))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content::Object)
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}
