//! Whole answers out. upstream-protocol.md 6.4, 6.6 and 10.2.

use crate::base::time::Timestamp;
use crate::ir::{Media, OutBlock, Response, Signature, SignatureFamily, StopReason, Usage};
use crate::wire::json::Text;
use crate::wire::json::read::object;
use crate::wire::json::write::{escape, int, raw, string};
use crate::wire::{Reply, ThinkingOutput};

/// The body of a `chat.completion`.
pub fn encode_response(response: &Response, reply: &Reply) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_head(&mut out, reply, "chat.completion");
    raw(
        &mut out,
        r#"{"index":0,"message":{"role":"assistant","content":"#,
    );
    write_content(&mut out, response, reply.thinking_output);
    raw(&mut out, r#","refusal":null"#);
    write_reasoning(&mut out, response, reply.thinking_output);
    write_calls(&mut out, response);
    raw(&mut out, r#"},"logprobs":null,"finish_reason":"#);
    string(&mut out, finish_reason(response.stop));
    raw(&mut out, r#"}],"usage":"#);
    write_usage(&mut out, &response.usage);
    out.push(b'}');
    out
}

/// Writes `{"id":…,"object":…,"created":…,"model":…,"choices":[`, the same for each chunk of a stream.
pub(super) fn write_head(out: &mut Vec<u8>, reply: &Reply, object: &str) {
    raw(out, r#"{"id":"chatcmpl-"#);
    let id = reply.request_id.to_string().to_ascii_lowercase();
    raw(out, &id);
    raw(out, r#"","object":""#);
    raw(out, object);
    raw(out, r#"","created":"#);
    int(out, seconds(reply.created));
    raw(out, r#","model":"#);
    string(out, &reply.model);
    raw(out, r#","choices":["#);
}

fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_secs()).unwrap_or(0)
}

/// The texts and pictures in one string; `null` where there is nothing but calls.
fn write_content(out: &mut Vec<u8>, response: &Response, form: ThinkingOutput) {
    let start = out.len();
    out.push(b'"');
    let mut tag = Tag::default();
    for block in &response.blocks {
        match block {
            OutBlock::Text(text) if text.is_empty() => {}
            OutBlock::Text(text) => {
                tag.close(out);
                escape(out, text);
            }
            OutBlock::Thinking { text, .. } if text.is_empty() => {}
            OutBlock::Thinking { text, .. } => {
                if form != ThinkingOutput::ReasoningContent {
                    tag.open(out);
                    escape(out, text);
                }
            }
            OutBlock::Media(media) => {
                tag.close(out);
                write_picture(out, media);
            }
            OutBlock::ToolCall { .. } => tag.close(out),
        }
    }
    tag.close(out);
    out.push(b'"');
    let calls = |block: &OutBlock| matches!(block, OutBlock::ToolCall { .. });
    if out.len() == start + 2 && response.blocks.iter().any(calls) {
        out.truncate(start);
        raw(out, "null");
    }
}

/// Whether `<think>` stands open in the content.
#[derive(Debug, Default)]
pub(super) struct Tag {
    open: bool,
}

impl Tag {
    /// Opens it unless it is open.
    pub(super) fn open(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.open, true) {
            raw(out, "<think>");
        }
    }

    /// Closes it if it is open.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.open) {
            raw(out, "</think>");
        }
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }
}

/// The API has no field for pictures: a Markdown image with a data URL stands in the text.
pub(super) fn write_picture(out: &mut Vec<u8>, media: &Media) {
    raw(out, "![image](data:");
    escape(out, &media.mime);
    raw(out, ";base64,");
    // Base64 needs no escapes.
    out.extend_from_slice(&media.base64);
    raw(out, ")");
}

fn write_reasoning(out: &mut Vec<u8>, response: &Response, form: ThinkingOutput) {
    let thinking = || {
        response.blocks.iter().filter_map(|block| match block {
            OutBlock::Thinking { text, .. } if !text.is_empty() => Some(text),
            _ => None,
        })
    };
    if form == ThinkingOutput::Tags || thinking().next().is_none() {
        return;
    }
    raw(out, r#","reasoning_content":""#);
    for text in thinking() {
        escape(out, text);
    }
    out.push(b'"');
}

fn write_calls(out: &mut Vec<u8>, response: &Response) {
    let mut first = true;
    for block in &response.blocks {
        let OutBlock::ToolCall {
            id,
            name,
            input,
            free_text,
            signature,
        } = block
        else {
            continue;
        };
        raw(out, if first { r#","tool_calls":[{"# } else { ",{" });
        first = false;
        write_call_head(out, id, name, *free_text, signature.as_ref());
        if *free_text {
            escape(out, &free_input(input));
        } else {
            escape(out, if input.is_empty() { "{}" } else { input });
        }
        raw(out, r#""}}"#);
    }
    if !first {
        out.push(b']');
    }
}

/// Writes a call up to the opening quote of its arguments, without the brace in front.
pub(super) fn write_call_head(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    free_text: bool,
    signature: Option<&Signature>,
) {
    raw(out, r#""id":"#);
    string(out, id);
    // Only Google's signatures have a field here; the others are kept by the gateway.
    if let Some(signature) = signature.filter(|s| s.family == Some(SignatureFamily::Gemini)) {
        raw(out, r#","extra_content":{"google":{"thought_signature":"#);
        string(out, &signature.value);
        raw(out, "}}");
    }
    raw(
        out,
        if free_text {
            r#","type":"custom","custom":{"name":"#
        } else {
            r#","type":"function","function":{"name":"#
        },
    );
    string(out, name);
    raw(
        out,
        if free_text {
            r#","input":""#
        } else {
            r#","arguments":""#
        },
    );
}

object! {
    /// The arguments that stand for a custom tool's free text.
    struct FreeInput<'a> {
        "input" => input: Text<'a>,
    }
}

/// The free text inside `{"input":"<text>"}`; what is none of this is passed on as it is.
pub(super) fn free_input(arguments: &str) -> String {
    match serde_json::from_str::<FreeInput<'_>>(arguments) {
        Ok(FreeInput {
            input: Some(text), ..
        }) => text.into_string(),
        _ => arguments.to_owned(),
    }
}

/// OpenAI's word for the end of an answer. upstream-protocol.md 6.4.
pub(super) fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "stop",
        StopReason::MaxTokens => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Filter => "content_filter",
    }
}

/// Writes `usage`. upstream-protocol.md 6.6: input with what came from the cache, output with reasoning.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let (input, output) = (usage.input_total(), usage.output_total());
    raw(out, r#"{"prompt_tokens":"#);
    int(out, input);
    raw(out, r#","completion_tokens":"#);
    int(out, output);
    raw(out, r#","total_tokens":"#);
    int(out, input.saturating_add(output));
    raw(out, r#","prompt_tokens_details":{"cached_tokens":"#);
    int(out, usage.cache_read.unwrap_or(0));
    raw(out, r#"},"completion_tokens_details":{"reasoning_tokens":"#);
    int(out, usage.reasoning.unwrap_or(0));
    raw(out, "}}");
}

#[cfg(test)]
mod tests;
