//! The events of a streamed answer.
//!
//! Grammar: blocks numbered 0, 1, 2 … with at most one open, each one start, deltas of its kind, one stop; `Usage`
//! anywhere as running totals; then exactly one `Stop` or `Fail`. Texts are borrowed from the frame: an event lives as
//! long as the call that hands it over.

use crate::ir::media::Media;
use crate::ir::request::Signature;
use crate::ir::response::StopReason;
use crate::ir::usage::Usage;

/// One event. Decoders hand them to a closure, encoders take them by reference; nothing queues them.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A text block begins.
    TextStart,
    /// Text. Never empty, never cut inside a character.
    Text(&'a str),
    /// A thinking block begins.
    ThinkingStart,
    /// Thinking. Never empty.
    Thinking(&'a str),
    /// A tool call begins.
    ToolCallStart {
        /// Unique within the answer, never empty.
        id: &'a str,
        /// The tool's name as the client knows it.
        name: &'a str,
        /// OpenAI's `custom` tool: the input will be `{"input":"<text>"}`.
        free_text: bool,
        /// The signature on the call, where the upstream put one there.
        signature: Option<&'a Signature>,
    },
    /// A piece of the call's arguments as JSON text; the join is an object.
    ToolInput(&'a str),
    /// A whole picture: a block of its own, without start and stop.
    Media(&'a Media),
    /// The open block ends. For thinking: with the signature that belongs to it.
    BlockStop {
        /// The signature of the thinking block, else `None`.
        signature: Option<&'a Signature>,
    },
    /// Token counts so far.
    Usage(Usage),
    /// The end: the answer is complete.
    Stop(StopReason),
    /// The end: the answer is broken off.
    Fail(Fault<'a>),
}

impl Event<'_> {
    /// Whether this is content: once one of these has reached the client nothing may be tried again.
    pub fn is_content(&self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::Thinking(_) | Self::ToolCallStart { .. } | Self::Media(_)
        )
    }
}

/// Why a stream broke off, in the terms of the wire; classing it is the upstream's business.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault<'a> {
    /// The upstream sent an error object inside the stream: its JSON text.
    Error(&'a str),
    /// The stream ended without saying why it is complete.
    Truncated,
    /// What came is not what the protocol knows: the beginning of it, for the log.
    Garbage(&'a str),
    /// The model failed in a way that may go better next time (a malformed call): the upstream's own word for it.
    Model(&'a str),
}
