//! The conversation as `contents`: order, pairing, gaps. upstream-protocol.md 5.2–5.4.

mod pairing;

use std::borrow::Cow;

use crate::ir::{
    BlockBody, Family, Losses, Media, Request, ResultPart, Role, Signature, SignatureFamily,
};
use crate::wire::gemini::names::Names;
use crate::wire::gemini::writer::{self, Object};

pub(super) use pairing::pair;
use pairing::text_of;

/// One turn of `contents`.
#[derive(Debug, PartialEq)]
pub(super) struct Content<'a> {
    /// Role `model`, else `user`.
    pub(super) model: bool,
    /// Its parts, in order.
    pub(super) parts: Vec<Part<'a>>,
}

/// One part.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    /// Ordinary text.
    Text {
        text: Cow<'a, str>,
        signature: Option<&'a str>,
    },
    /// A picture, document or sound.
    Media(&'a Media),
    /// Thinking. `given` is what the client returned, `signature` what will go out.
    Thought {
        text: Cow<'a, str>,
        given: Option<&'a Signature>,
        signature: Option<Cow<'a, str>>,
    },
    /// A call, under the id that the client wrote until [`pair`] settles it.
    Call {
        id: Cow<'a, str>,
        name: &'a str,
        input: &'a str,
        given: Option<&'a Signature>,
        signature: Option<Cow<'a, str>>,
    },
    /// A result as the client wrote it; none is left after [`pair`].
    Loose(Loose<'a>),
    /// A result beside its call.
    Result {
        id: Cow<'a, str>,
        name: &'a str,
        is_error: bool,
        text: Cow<'a, str>,
    },
}

/// A result that has not been put beside its call yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Loose<'a> {
    call_id: &'a str,
    content: &'a [ResultPart],
    is_error: bool,
}

impl Part<'_> {
    /// A text without a signature.
    pub(super) fn text<'t>(text: impl Into<Cow<'t, str>>) -> Part<'t> {
        Part::Text {
            text: text.into(),
            signature: None,
        }
    }

    /// Whether this is a call.
    pub(super) fn is_call(&self) -> bool {
        matches!(self, Self::Call { .. })
    }
}

impl Content<'_> {
    /// Whether a user wrote this, and not only tools (8.1, 8.2): the running turn begins behind the last such one.
    pub(super) fn is_ordinary(&self) -> bool {
        !self.model
            && self
                .parts
                .iter()
                .any(|p| !matches!(p, Part::Loose(_) | Part::Result { .. }))
    }
}

/// Splits the request into system texts and turns. Adjacent turns of one role are one, empty text is dropped (rules 1–3).
pub(super) fn gather<'a>(
    req: &'a Request,
    names: &'a Names,
    family: Option<Family>,
    losses: &mut Losses,
) -> (Vec<Cow<'a, str>>, Vec<Content<'a>>) {
    let void =
        |text: &str| text.is_empty() || (family == Some(Family::Claude) && text.trim().is_empty());
    let signs = family.and_then(Family::signatures);
    let mut system = Vec::new();
    let mut contents = Vec::new();
    for turn in &req.turns {
        for block in &turn.blocks {
            let given = block.signature.as_ref();
            let (model, part) = match &block.body {
                BlockBody::Text(text) | BlockBody::Refusal(text) if void(text) => continue,
                BlockBody::Text(text) | BlockBody::Refusal(text) if turn.role == Role::System => {
                    system.push(Cow::Borrowed(text.as_str()));
                    continue;
                }
                BlockBody::Text(text) | BlockBody::Refusal(text) => {
                    let signature = given
                        .filter(|s| s.family.is_some() && s.family == signs)
                        .filter(|_| signs == Some(SignatureFamily::Gemini))
                        .map(|s| s.value.as_str());
                    let text = Cow::Borrowed(text.as_str());
                    (turn.role == Role::Assistant, Part::Text { text, signature })
                }
                _ if turn.role == Role::System => {
                    losses.note("system (what is no text)");
                    continue;
                }
                BlockBody::Media(media) => (turn.role == Role::Assistant, Part::Media(media)),
                BlockBody::Thinking(text) => {
                    let text = Cow::Borrowed(text.as_str());
                    (
                        true,
                        Part::Thought {
                            text,
                            given,
                            signature: None,
                        },
                    )
                }
                BlockBody::RedactedThinking(_) => {
                    losses.note("redacted_thinking");
                    continue;
                }
                BlockBody::ToolCall { id, name, input } => (
                    true,
                    Part::Call {
                        id: Cow::Borrowed(id),
                        name: names.wire(name),
                        input,
                        given,
                        signature: None,
                    },
                ),
                BlockBody::ToolResult {
                    call_id,
                    content,
                    is_error,
                    ..
                } => (
                    false,
                    Part::Loose(Loose {
                        call_id,
                        content,
                        is_error: *is_error,
                    }),
                ),
            };
            append(&mut contents, model, part);
        }
    }
    (system, contents)
}

fn append<'a>(contents: &mut Vec<Content<'a>>, model: bool, part: Part<'a>) {
    match contents.last_mut() {
        Some(last) if last.model == model => last.parts.push(part),
        _ => contents.push(Content {
            model,
            parts: vec![part],
        }),
    }
}

/// Drops turns that were left empty and joins what then stands side by side.
pub(super) fn merge(contents: Vec<Content<'_>>) -> Vec<Content<'_>> {
    let mut merged: Vec<Content<'_>> = Vec::with_capacity(contents.len());
    for content in contents {
        if content.parts.is_empty() {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last.model == content.model => last.parts.extend(content.parts),
            _ => merged.push(content),
        }
    }
    merged
}

/// Writes the value of `contents`.
pub(super) fn write(out: &mut Vec<u8>, contents: &[Content<'_>]) {
    writer::list(out, contents, |out, content| {
        let mut object = Object::new(out);
        object.string("role", if content.model { "model" } else { "user" });
        writer::list(object.key("parts"), &content.parts, write_part);
        object.end();
    });
}

fn write_part(out: &mut Vec<u8>, part: &Part<'_>) {
    let mut object = Object::new(out);
    match part {
        Part::Text { text, signature } => {
            object.string("text", text);
            object.some("thoughtSignature", *signature);
        }
        Part::Media(media) => {
            let mut data = Object::new(object.key("inlineData"));
            data.string("mimeType", &media.mime);
            // The alphabet of `Media` needs no escapes: megabytes are copied without being looked at.
            let value = data.key("data");
            value.push(b'"');
            value.extend_from_slice(&media.base64);
            value.push(b'"');
            data.end();
        }
        Part::Thought {
            text, signature, ..
        } => {
            object.string("text", text);
            object.json("thought", &true);
            object.some("thoughtSignature", signature.as_deref());
        }
        Part::Call {
            id,
            name,
            input,
            signature,
            ..
        } => {
            let mut call = Object::new(object.key("functionCall"));
            call.string("id", id);
            call.string("name", name);
            call.raw("args", input);
            call.end();
            object.some("thoughtSignature", signature.as_deref());
        }
        Part::Result {
            id,
            name,
            is_error,
            text,
        } => {
            let mut result = Object::new(object.key("functionResponse"));
            result.string("id", id);
            result.string("name", name);
            let mut response = Object::new(result.key("response"));
            response.string(if *is_error { "error" } else { "output" }, text);
            response.end();
            result.end();
        }
        Part::Loose(loose) => object.string("text", &text_of(loose.content)),
    }
    object.end();
}
