//! Whole answers out. upstream-protocol.md 6.4, 6.6 and 11.2.

use crate::ir::{Media, OutBlock, Response, Signature, SignatureFamily, StopReason, Usage};
use crate::wire::Reply;
use crate::wire::anthropic::types::GEMINI_MARK;
use crate::wire::json::write::{escape, int, raw, string};

/// The body of a `message`.
pub fn encode_response(response: &Response, reply: &Reply) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_head(&mut out, reply);
    let mut first = true;
    for block in &response.blocks {
        let empty = match block {
            OutBlock::Text(text) => text.is_empty(),
            OutBlock::Thinking { text, signature } => text.is_empty() && signature.is_none(),
            OutBlock::ToolCall { .. } | OutBlock::Media(_) => false,
        };
        if empty {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_block(&mut out, block);
    }
    raw(&mut out, r#"],"stop_reason":"#);
    string(&mut out, stop_reason(response.stop));
    raw(&mut out, r#","stop_sequence":null,"usage":"#);
    write_usage(&mut out, &response.usage);
    out.push(b'}');
    out
}

/// The body that answers `POST /v1/messages/count_tokens`.
pub fn encode_token_count(tokens: u64) -> Vec<u8> {
    let mut out = br#"{"input_tokens":"#.to_vec();
    int(&mut out, tokens);
    out.push(b'}');
    out
}

/// Writes `{"id":…` up to the opening bracket of `content`.
pub(super) fn write_head(out: &mut Vec<u8>, reply: &Reply) {
    raw(out, r#"{"id":"msg_"#);
    raw(out, &reply.request_id.to_string().to_ascii_lowercase());
    raw(out, r#"","type":"message","role":"assistant","model":"#);
    string(out, &reply.model);
    raw(out, r#","content":["#);
}

fn write_block(out: &mut Vec<u8>, block: &OutBlock) {
    match block {
        OutBlock::Text(text) => {
            raw(out, r#"{"type":"text","text":"#);
            string(out, text);
            out.push(b'}');
        }
        OutBlock::Thinking { text, signature } => {
            raw(out, r#"{"type":"thinking","thinking":"#);
            string(out, text);
            raw(out, r#","signature":"#);
            match signature {
                Some(signature) => write_signature(out, signature),
                None => string(out, ""),
            }
            out.push(b'}');
        }
        OutBlock::ToolCall {
            id, name, input, ..
        } => {
            write_tool_head(out, id, name);
            raw(out, if input.is_empty() { "{}" } else { input });
            out.push(b'}');
        }
        OutBlock::Media(media) => write_picture(out, media),
    }
}

/// Writes a `tool_use` block up to its input.
pub(super) fn write_tool_head(out: &mut Vec<u8>, id: &str, name: &str) {
    raw(out, r#"{"type":"tool_use","id":"#);
    string(out, id);
    raw(out, r#","name":"#);
    string(out, name);
    raw(out, r#","input":"#);
}

/// Writes a picture, as the original gave it: in the shape that images have in requests.
pub(super) fn write_picture(out: &mut Vec<u8>, media: &Media) {
    raw(
        out,
        r#"{"type":"image","source":{"type":"base64","media_type":"#,
    );
    string(out, &media.mime);
    raw(out, r#","data":""#);
    // Base64 needs no escapes.
    out.extend_from_slice(&media.base64);
    raw(out, r#""}}"#);
}

/// Writes a signature, with a mark in front where another family than the dialect's own made it.
pub(super) fn write_signature(out: &mut Vec<u8>, signature: &Signature) {
    out.push(b'"');
    if signature.family == Some(SignatureFamily::Gemini) {
        raw(out, GEMINI_MARK);
    }
    escape(out, &signature.value);
    out.push(b'"');
}

/// Anthropic's word for the end of an answer. upstream-protocol.md 6.4.
pub(super) fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ToolUse => "tool_use",
        StopReason::Filter => "refusal",
    }
}

/// Writes `usage`. upstream-protocol.md 6.6: input without what came from the cache, output with reasoning.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    for (key, count) in [
        (r#"{"input_tokens":"#, usage.input),
        (r#","output_tokens":"#, usage.output),
        (r#","cache_creation_input_tokens":"#, usage.cache_write),
        (r#","cache_read_input_tokens":"#, usage.cache_read),
    ] {
        raw(out, key);
        int(out, count.unwrap_or(0));
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
