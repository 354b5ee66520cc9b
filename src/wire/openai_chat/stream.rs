//! Streamed answers out. upstream-protocol.md 10.3 and 10.4.

use crate::base::error::Error;
use crate::ir::{Event, StopReason, Usage};
use crate::wire::json::write::{escape, int, raw, string};
use crate::wire::openai_chat::error::write_error;
use crate::wire::openai_chat::response::{
    Tag, finish_reason, free_input, write_call_head, write_head, write_picture, write_usage,
};
use crate::wire::{Reply, ThinkingOutput};

/// Events to `chat.completion.chunk` lines. The part that all chunks share is built once; an event allocates nothing but
/// room in the buffer.
#[derive(Debug)]
pub struct StreamEncoder {
    /// `data: {"id":…,"choices":[`.
    head: Vec<u8>,
    include_usage: bool,
    form: ThinkingOutput,
    started: bool,
    tag: Tag,
    /// Calls begun so far: the next one's index.
    calls: u64,
    call: Call,
    /// The beginning of a call, held until its first input so that both are one chunk; or a custom tool's arguments.
    held: Vec<u8>,
    usage: Usage,
}

/// The call that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    None,
    /// A function whose beginning is held.
    Held,
    /// A function whose beginning is out.
    Sent,
    /// A custom tool: its arguments are gathered from this place in `held`, since its text is inside them.
    Free(usize),
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(reply: &Reply) -> Self {
        let mut head = b"data: ".to_vec();
        write_head(&mut head, reply, "chat.completion.chunk");
        Self {
            head,
            include_usage: reply.include_usage,
            form: reply.thinking_output,
            started: false,
            tag: Tag::default(),
            calls: 0,
            call: Call::None,
            held: Vec::new(),
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
        if !std::mem::replace(&mut self.started, true) {
            self.open(out);
            raw(out, r#""role":"assistant","content":"""#);
            close(out, None);
        }
        match event {
            Event::Text(text) => {
                self.open(out);
                raw(out, r#""content":""#);
                self.tag.close(out);
                escape(out, text);
                raw(out, "\"");
                close(out, None);
            }
            Event::Thinking(text) => self.thinking(text, out),
            Event::ToolCallStart {
                id,
                name,
                free_text,
                signature,
            } => {
                self.end_tag(out);
                self.held.clear();
                raw(&mut self.held, r#""tool_calls":[{"index":"#);
                int(&mut self.held, self.calls);
                self.calls += 1;
                self.held.push(b',');
                write_call_head(&mut self.held, id, name, *free_text, *signature);
                self.call = if *free_text {
                    Call::Free(self.held.len())
                } else {
                    Call::Held
                };
            }
            Event::ToolInput(piece) => self.tool_input(piece, out),
            Event::Media(media) => {
                self.open(out);
                raw(out, r#""content":""#);
                self.tag.close(out);
                write_picture(out, media);
                raw(out, "\"");
                close(out, None);
            }
            Event::BlockStop { .. } => self.end_call(out),
            Event::Stop(reason) => self.stop(*reason, out),
            Event::TextStart | Event::ThinkingStart | Event::Usage(_) | Event::Fail(_) => {}
        }
    }

    /// Writes a comment that keeps a silent stream open.
    pub fn keepalive(&self, out: &mut Vec<u8>) {
        raw(out, ": ping\n\n");
    }

    /// Ends the stream with an error: no finish, no `[DONE]`, so that nobody takes the answer for complete.
    pub fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        raw(out, "data: ");
        write_error(out, error);
        raw(out, "\n\n");
    }

    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        raw(out, r#"{"index":0,"delta":{"#);
    }

    fn thinking(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open(out);
        if self.form != ThinkingOutput::Tags {
            raw(out, r#""reasoning_content":"#);
            string(out, text);
        }
        if self.form != ThinkingOutput::ReasoningContent {
            if self.form == ThinkingOutput::Both {
                raw(out, ",");
            }
            raw(out, r#""content":""#);
            self.tag.open(out);
            escape(out, text);
            raw(out, "\"");
        }
        close(out, None);
    }

    fn tool_input(&mut self, piece: &str, out: &mut Vec<u8>) {
        match self.call {
            Call::None => {}
            _ if piece.is_empty() => {}
            Call::Free(_) => raw(&mut self.held, piece),
            Call::Held => {
                self.open(out);
                out.extend_from_slice(&self.held);
                escape(out, piece);
                raw(out, r#""}}]"#);
                close(out, None);
                self.call = Call::Sent;
            }
            Call::Sent => {
                self.open(out);
                raw(out, r#""tool_calls":[{"index":"#);
                int(out, self.calls.saturating_sub(1));
                raw(out, r#","function":{"arguments":"#);
                string(out, piece);
                raw(out, "}}]");
                close(out, None);
            }
        }
    }

    /// What of the open call is still held goes out.
    fn end_call(&mut self, out: &mut Vec<u8>) {
        if self.call == Call::Held {
            self.tool_input("{}", out);
        }
        if let Call::Free(start) = self.call {
            self.open(out);
            out.extend_from_slice(&self.held[..start]);
            let arguments = std::str::from_utf8(&self.held[start..]).unwrap_or_default();
            escape(out, &free_input(arguments));
            raw(out, r#""}}]"#);
            close(out, None);
        }
        self.call = Call::None;
    }

    fn end_tag(&mut self, out: &mut Vec<u8>) {
        if self.tag.is_open() {
            self.open(out);
            raw(out, r#""content":""#);
            self.tag.close(out);
            raw(out, "\"");
            close(out, None);
        }
    }

    fn stop(&mut self, reason: StopReason, out: &mut Vec<u8>) {
        self.end_call(out);
        self.end_tag(out);
        self.open(out);
        close(out, Some(finish_reason(reason)));
        if self.include_usage {
            out.extend_from_slice(&self.head);
            raw(out, r#"],"usage":"#);
            write_usage(out, &self.usage);
            raw(out, "}\n\n");
        }
        raw(out, "data: [DONE]\n\n");
    }
}

/// Ends delta, choice and chunk.
fn close(out: &mut Vec<u8>, finish: Option<&str>) {
    raw(out, r#"},"logprobs":null,"finish_reason":"#);
    match finish {
        Some(reason) => string(out, reason),
        None => raw(out, "null"),
    }
    raw(out, "}]}\n\n");
}

#[cfg(test)]
mod tests;
