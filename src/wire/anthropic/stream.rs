//! Streamed answers out. upstream-protocol.md 11.3 and 11.4.

use crate::base::error::Error;
use crate::ir::{Event, Signature, StopReason, Usage};
use crate::wire::Reply;
use crate::wire::anthropic::error::write_error;
use crate::wire::anthropic::response::{
    stop_reason, write_head, write_picture, write_signature, write_tool_head, write_usage,
};
use crate::wire::json::write::{int, raw, string};

/// Events to Anthropic's events. An event allocates nothing but room in the buffer.
#[derive(Debug)]
pub struct StreamEncoder {
    /// The message of `message_start` up to its content.
    head: Vec<u8>,
    started: bool,
    /// The next block's index.
    index: u64,
    block: Block,
    usage: Usage,
}

/// The block that is open. Text and thinking begin when they have something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Pending,
    Open,
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(reply: &Reply) -> Self {
        let mut head = Vec::new();
        write_head(&mut head, reply);
        Self {
            head,
            started: false,
            index: 0,
            block: Block::None,
            usage: Usage::default(),
        }
    }

    /// Writes what this event means to the client. `Fail` writes nothing: whoever classes it calls [`Self::fail`].
    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if let Event::Usage(usage) = event {
            self.usage.update(usage);
            return;
        }
        if matches!(event, Event::Fail(_)) {
            return;
        }
        self.start(out);
        match event {
            Event::TextStart | Event::ThinkingStart => self.block = Block::Pending,
            Event::Text(text) => {
                self.begin(out, r#"{"type":"text","text":""}"#);
                self.delta(out, r#"{"type":"text_delta","text":"#);
                string(out, text);
                raw(out, "}}\n\n");
            }
            Event::Thinking(text) => {
                self.begin_thinking(out);
                self.delta(out, r#"{"type":"thinking_delta","thinking":"#);
                string(out, text);
                raw(out, "}}\n\n");
            }
            Event::ToolCallStart { id, name, .. } => {
                self.begin_head(out);
                write_tool_head(out, id, name);
                raw(out, "{}}}\n\n");
                self.block = Block::Open;
            }
            Event::ToolInput(piece) => {
                if !piece.is_empty() {
                    self.delta(out, r#"{"type":"input_json_delta","partial_json":"#);
                    string(out, piece);
                    raw(out, "}}\n\n");
                }
            }
            Event::Media(media) => {
                self.begin_head(out);
                write_picture(out, media);
                raw(out, "}\n\n");
                self.block = Block::Open;
                self.end(None, out);
            }
            Event::BlockStop { signature } => self.end(*signature, out),
            Event::Stop(reason) => self.stop(*reason, out),
            Event::Usage(_) | Event::Fail(_) => {}
        }
    }

    /// Writes what keeps a silent stream open: a comment while nothing was said, then a ping.
    pub fn keepalive(&self, out: &mut Vec<u8>) {
        raw(
            out,
            if self.started {
                "event: ping\ndata: {\"type\":\"ping\"}\n\n"
            } else {
                ": ping\n\n"
            },
        );
    }

    /// Ends the stream with an error: no `message_stop`, so that nobody takes the answer for complete.
    pub fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        raw(out, "event: error\ndata: ");
        write_error(out, error);
        raw(out, "\n\n");
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        raw(
            out,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":",
        );
        out.extend_from_slice(&self.head);
        raw(out, r#"],"stop_reason":null,"stop_sequence":null,"usage":"#);
        write_usage(out, &self.usage);
        raw(out, "}}\n\n");
    }

    /// Writes `content_block_start` up to the block itself.
    fn begin_head(&self, out: &mut Vec<u8>) {
        raw(
            out,
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
        );
        int(out, self.index);
        raw(out, r#","content_block":"#);
    }

    fn begin(&mut self, out: &mut Vec<u8>, block: &str) {
        if self.block != Block::Open {
            self.begin_head(out);
            raw(out, block);
            raw(out, "}\n\n");
            self.block = Block::Open;
        }
    }

    fn begin_thinking(&mut self, out: &mut Vec<u8>) {
        self.begin(out, r#"{"type":"thinking","thinking":"","signature":""}"#);
    }

    /// Writes `content_block_delta` up to the value inside the delta.
    fn delta(&self, out: &mut Vec<u8>, delta: &str) {
        raw(
            out,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        int(out, self.index);
        raw(out, r#","delta":"#);
        raw(out, delta);
    }

    fn end(&mut self, signature: Option<&Signature>, out: &mut Vec<u8>) {
        if let Some(signature) = signature {
            // Only thinking blocks are signed; one without a word is there for its signature.
            self.begin_thinking(out);
            self.delta(out, r#"{"type":"signature_delta","signature":"#);
            write_signature(out, signature);
            raw(out, "}}\n\n");
        }
        if self.block == Block::Open {
            raw(
                out,
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
            );
            int(out, self.index);
            raw(out, "}\n\n");
            self.index += 1;
        }
        self.block = Block::None;
    }

    fn stop(&mut self, reason: StopReason, out: &mut Vec<u8>) {
        self.end(None, out);
        raw(
            out,
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":",
        );
        string(out, stop_reason(reason));
        raw(out, r#","stop_sequence":null},"usage":"#);
        write_usage(out, &self.usage);
        raw(
            out,
            "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        );
    }
}

#[cfg(test)]
mod tests;
