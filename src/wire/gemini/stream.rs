//! Answers in: frames of a stream, or a whole answer, to events. upstream-protocol.md 6.

mod finish;
mod frames;
mod ids;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::ir::{Event, Family, Fault, Media, Signature, SignatureFamily, StopReason};
use crate::wire::gemini::fence::Fence;
use crate::wire::gemini::{Decode, signatures};
use crate::wire::json;
use crate::wire::sse::SseError;

use finish::Finish;
use frames::{Answer, Call, Candidate, Chunk, InlineData, Part, UsageMetadata};

/// How much of an answer that is not understood is kept for the log, in characters.
const GLIMPSE: usize = 300;

/// Where events go.
type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// The block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking,
}

/// Turns the frames of one answer into events; the grammar of [`crate::ir::event`] holds whatever comes.
///
/// A thinking block's stop is held back until something else comes, since its signature may follow on an empty part.
/// The end of the answer is held back until the frame that says it, or one behind it, has brought the token counts.
#[derive(Debug)]
pub struct StreamDecoder {
    decode: Decode,
    family: Option<SignatureFamily>,
    open: Open,
    /// The open thinking block's signature.
    signature: Option<Signature>,
    fence: Option<Fence>,
    ids: HashSet<String>,
    called: bool,
    sent: bool,
    usage: UsageMetadata,
    stop: Option<StopReason>,
    done: bool,
}

impl StreamDecoder {
    /// A decoder for the answer to one request.
    pub fn new(decode: Decode) -> Self {
        Self {
            family: decode.family.and_then(Family::signatures),
            fence: decode.strip_fence.then(Fence::default),
            decode,
            open: Open::Nothing,
            signature: None,
            ids: HashSet::new(),
            called: false,
            sent: false,
            usage: UsageMetadata::default(),
            stop: None,
            done: false,
        }
    }

    /// Whether the model has said that it is finished, so that a silence behind it is no failure: [`Self::end`] may be
    /// called without waiting for the connection's end.
    pub fn is_finished(&self) -> bool {
        self.done || self.stop.is_some()
    }

    /// Takes the data of one frame. After `Stop` or `Fail` frames are ignored.
    pub fn frame(&mut self, data: &str, sink: &mut Sink<'_>) {
        let data = data.trim();
        if self.done || data.is_empty() || data == "[DONE]" {
            return;
        }
        let list;
        let one;
        let chunks: &[Chunk<'_>] = if data.starts_with('[') {
            list = serde_json::from_str::<Vec<Chunk<'_>>>(data);
            match &list {
                Ok(list) => list,
                Err(_) => return self.fail(&Fault::Garbage(glimpse(data)), sink),
            }
        } else {
            one = serde_json::from_str::<Chunk<'_>>(data);
            match &one {
                Ok(one) => std::slice::from_ref(one),
                Err(_) => return self.fail(&Fault::Garbage(glimpse(data)), sink),
            }
        };
        for chunk in chunks {
            if self.done {
                return;
            }
            if chunk.error.is_some() {
                // An error behind the end takes nothing back of a whole answer.
                if self.stop.is_some() {
                    self.end(sink);
                } else {
                    self.fail(&Fault::Error(data), sink);
                }
                return;
            }
            self.answer(chunk.response.as_ref().unwrap_or(&chunk.bare), sink);
        }
    }

    /// The stream is over: `Stop` where the model had finished, else `Fail` with [`Fault::Truncated`].
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        match self.stop {
            Some(reason) => {
                self.close(sink);
                self.done = true;
                sink(Event::Stop(reason));
            }
            None => self.fail(&Fault::Truncated, sink),
        }
    }

    /// The bytes could not be cut into frames: the fault that this is.
    pub fn broken(&mut self, error: &SseError, sink: &mut Sink<'_>) {
        match error {
            SseError::CutOff => self.end(sink),
            SseError::Garbage(start) => self.fail(&Fault::Garbage(start), sink),
            other => self.fail(&Fault::Garbage(&other.to_string()), sink),
        }
    }

    fn fail(&mut self, fault: &Fault<'_>, sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        if self.sent {
            self.close(sink);
        }
        self.done = true;
        sink(Event::Fail(fault.clone()));
    }

    fn answer(&mut self, answer: &Answer<'_>, sink: &mut Sink<'_>) {
        let first = answer.candidates.iter().find(|c| c.index == 0);
        for part in first.iter().flat_map(|c| &c.content.parts) {
            self.part(part, sink);
            if self.done {
                return;
            }
        }
        if let Some(newer) = &answer.usage_metadata {
            self.usage.update(newer);
            sink(Event::Usage(self.usage.to_usage()));
        }
        if let Some(candidate) = first {
            self.finish(candidate, sink);
        }
        let blocked = answer
            .prompt_feedback
            .as_ref()
            .is_some_and(|f| f.block_reason.is_some());
        if blocked && answer.candidates.is_empty() {
            self.stop = Some(StopReason::Filter);
        }
        if self.stop.is_some() && answer.usage_metadata.is_some() {
            self.end(sink);
        }
    }

    fn finish(&mut self, candidate: &Candidate<'_>, sink: &mut Sink<'_>) {
        let Some(word) = candidate.finish_reason.as_deref() else {
            return;
        };
        let natural = if self.called {
            StopReason::ToolUse
        } else {
            StopReason::End
        };
        match Finish::of(word) {
            Finish::Natural => self.stop = Some(natural),
            Finish::MaxTokens => self.stop = Some(StopReason::MaxTokens),
            Finish::Filter => self.stop = Some(StopReason::Filter),
            Finish::Fault {
                ends_content: false,
            } if self.sent => self.stop = Some(natural),
            Finish::Fault { .. } => self.fail(&Fault::Model(word), sink),
        }
    }

    fn part(&mut self, part: &Part<'_>, sink: &mut Sink<'_>) {
        let signature = part.thought_signature.as_deref().filter(|s| !s.is_empty());
        if let Some(call) = &part.function_call {
            self.call(call, signature, sink);
        } else if let Some(data) = &part.inline_data {
            // Pictures among the thoughts are drafts, not results (upstream-protocol.md 8.5).
            if !part.thought {
                self.media(data, sink);
            }
        } else if part.thought {
            self.thinking(part.text.as_deref().unwrap_or_default(), signature, sink);
        } else {
            let text = part.text.as_deref().unwrap_or_default();
            if text.is_empty() {
                // Claude signs nothing but thinking, so this one belongs to the block that is open.
                if self.family == Some(SignatureFamily::Claude) {
                    self.sign(signature);
                }
            } else {
                self.text(text, sink);
            }
        }
    }

    fn thinking(&mut self, text: &str, signature: Option<&str>, sink: &mut Sink<'_>) {
        if !text.is_empty() {
            // A signed block is whole: more thinking behind it is a block of its own.
            if self.open != Open::Thinking || self.signature.is_some() {
                self.close(sink);
                self.open = Open::Thinking;
                sink(Event::ThinkingStart);
            }
            self.sent = true;
            sink(Event::Thinking(text));
        }
        self.sign(signature);
    }

    /// Puts a signature on the open thinking block, if one is open and has none.
    fn sign(&mut self, signature: Option<&str>) {
        if self.open == Open::Thinking && self.signature.is_none() {
            self.signature = self.signature_of(signature);
        }
    }

    fn signature_of(&self, value: Option<&str>) -> Option<Signature> {
        let family = self.family?;
        Some(Signature {
            family: Some(family),
            value: signatures::to_client(family, value?).into_owned(),
        })
    }

    fn text(&mut self, text: &str, sink: &mut Sink<'_>) {
        if self.open == Open::Thinking {
            self.close(sink);
        }
        match self.fence.take() {
            None => self.plain_text(text, sink),
            Some(mut fence) => {
                fence.push(text, &mut |t| self.plain_text(t, sink));
                self.fence = Some(fence);
            }
        }
    }

    fn plain_text(&mut self, text: &str, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        if self.open == Open::Nothing {
            self.open = Open::Text;
            sink(Event::TextStart);
        }
        self.sent = true;
        sink(Event::Text(text));
    }

    fn call(&mut self, call: &Call<'_>, signature: Option<&str>, sink: &mut Sink<'_>) {
        let wire_name = call.name.as_deref().unwrap_or_default();
        if wire_name.is_empty() {
            return self.fail(&Fault::Garbage("a function call without a name"), sink);
        }
        let signature = (self.family == Some(SignatureFamily::Gemini))
            .then(|| self.signature_of(signature))
            .flatten();
        // Gemini signs the call that follows the thinking; clients that return thinking carry the signature back there.
        if self.open == Open::Thinking && self.signature.is_none() && !self.called {
            self.signature.clone_from(&signature);
        }
        self.close(sink);
        let id = ids::unique(call.id.as_deref(), &self.decode, &mut self.ids);
        let name = self
            .decode
            .names
            .get(wire_name)
            .map_or(wire_name, String::as_str);
        self.called = true;
        self.sent = true;
        sink(Event::ToolCallStart {
            id: &id,
            name,
            free_text: self.decode.free_text.contains(name),
            signature: signature.as_ref(),
        });
        match call.args.map(serde_json::value::RawValue::get) {
            None => sink(Event::ToolInput("{}")),
            Some(args) if args.starts_with('{') => sink(Event::ToolInput(args)),
            Some(odd) => sink(Event::ToolInput(&json::arguments(odd.into()))),
        }
        sink(Event::BlockStop { signature: None });
    }

    fn media(&mut self, data: &InlineData<'_>, sink: &mut Sink<'_>) {
        let Some(base64) = standard_base64(data.data.as_deref().unwrap_or_default()) else {
            return self.fail(&Fault::Garbage("inline data that is not base64"), sink);
        };
        if base64.is_empty() {
            return;
        }
        self.close(sink);
        self.sent = true;
        let mime = data.mime_type.as_deref().unwrap_or("image/png");
        sink(Event::Media(&Media {
            mime: mime.to_ascii_lowercase(),
            base64,
            name: None,
        }));
    }

    /// Ends the open block, and the text that a fence is held back from.
    fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some(mut fence) = self.fence.take() {
            fence.finish(&mut |t| self.plain_text(t, sink));
            self.fence = Some(fence);
        }
        if self.open != Open::Nothing {
            self.open = Open::Nothing;
            let signature = self.signature.take();
            sink(Event::BlockStop {
                signature: signature.as_ref(),
            });
        }
    }
}

/// Turns a whole answer into the same events. `body` is the upstream's JSON, in the `response` wrapper or bare.
pub fn decode_response(decode: Decode, body: &str, sink: &mut Sink<'_>) {
    let mut decoder = StreamDecoder::new(decode);
    decoder.frame(body, sink);
    decoder.end(sink);
}

/// Standard base64 with padding, from that or from the URL-safe alphabet (protobuf's JSON allows both).
fn standard_base64(text: &str) -> Option<Bytes> {
    let standard = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let bare = text.trim_end_matches('=');
    if bare.bytes().all(standard) && text.len().is_multiple_of(4) {
        return Some(Bytes::copy_from_slice(text.as_bytes()));
    }
    let mut fixed: Vec<u8> = bare
        .bytes()
        .map(|b| match b {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    while !fixed.len().is_multiple_of(4) {
        fixed.push(b'=');
    }
    STANDARD.decode(&fixed).ok()?;
    Some(Bytes::from(fixed))
}

fn glimpse(text: &str) -> &str {
    text.char_indices()
        .nth(GLIMPSE)
        .map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests;
