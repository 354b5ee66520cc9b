//! The conversation as `contents`: order, pairing, gaps. upstream-protocol.md 5.2–5.4.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::ir::{
    BlockBody, Family, Losses, Media, Request, ResultPart, Role, Signature, SignatureFamily,
};
use crate::wire::gemini::names::Names;
use crate::wire::gemini::writer::{self, Object};

/// Stands in front of a history that begins with the model (rule 1).
const OPENING: &str = "Begin.";
/// Stands in for the result of a call that has none (rule 4).
const NO_RESULT: &str = "no result was given for this call";

/// Stands in for the text of a result that has neither call nor text.
const EMPTY_RESULT: &str = "(an empty tool result)";

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

/// Puts every result behind its call, in the order of the calls, fills gaps, turns results without a call into text, and
/// makes the history begin with a user (rules 1, 4, 5). Ids become unique in the conversation and, for Claude, of its
/// alphabet (8.1).
pub(super) fn pair(contents: Vec<Content<'_>>, claude: bool) -> Vec<Content<'_>> {
    let mut ids = HashSet::new();
    let mut out: Vec<Content<'_>> = Vec::with_capacity(contents.len() + 2);
    let mut calls: Vec<Open<'_>> = Vec::new();
    for mut content in contents {
        if content.model {
            if out.is_empty() {
                append(&mut out, false, Part::text(OPENING));
            }
            calls = settle_ids(&mut content, &mut ids, claude);
            out.push(content);
        } else {
            let parts = answer(std::mem::take(&mut calls), content.parts);
            out.push(Content {
                model: false,
                parts,
            });
        }
    }
    if !calls.is_empty() {
        out.push(Content {
            model: false,
            parts: answer(calls, Vec::new()),
        });
    }
    out
}

/// A call that waits for its result.
struct Open<'a> {
    given: Cow<'a, str>,
    id: String,
    name: &'a str,
}

fn settle_ids<'a>(
    content: &mut Content<'a>,
    ids: &mut HashSet<String>,
    claude: bool,
) -> Vec<Open<'a>> {
    let mut calls = Vec::new();
    for part in &mut content.parts {
        let Part::Call { id, name, .. } = part else {
            continue;
        };
        let mut settled: String = if claude {
            id.chars()
                .map(|c| match c {
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
                    _ => '_',
                })
                .collect()
        } else {
            id.as_ref().to_owned()
        };
        if settled.is_empty() {
            "call".clone_into(&mut settled);
        }
        let base = settled.len();
        let mut round = 2;
        while !ids.insert(settled.clone()) {
            settled.truncate(base);
            let _ = write!(settled, "_{round}");
            round += 1;
        }
        let given = std::mem::replace(id, Cow::Owned(settled.clone()));
        calls.push(Open {
            given,
            id: settled,
            name,
        });
    }
    calls
}

/// The parts of the user turn behind these calls.
fn answer<'a>(calls: Vec<Open<'a>>, parts: Vec<Part<'a>>) -> Vec<Part<'a>> {
    let mut loose: Vec<Option<Loose<'a>>> = parts
        .iter()
        .map(|p| match p {
            Part::Loose(l) => Some(*l),
            _ => None,
        })
        .collect();
    let mut results = Vec::with_capacity(calls.len() + parts.len());
    let mut media = Vec::new();
    for call in calls {
        let found = loose
            .iter_mut()
            .find(|l| l.is_some_and(|l| l.call_id == call.given))
            .and_then(Option::take);
        if let Some(found) = found {
            media.extend(media_of(found.content));
        }
        results.push(Part::Result {
            id: Cow::Owned(call.id),
            name: call.name,
            is_error: found.is_none_or(|f| f.is_error),
            text: found.map_or(Cow::Borrowed(NO_RESULT), |f| text_of(f.content)),
        });
    }
    results.extend(media);
    for (part, left) in parts.into_iter().zip(loose) {
        match (part, left) {
            (Part::Loose(_), Some(orphan)) => {
                let text = text_of(orphan.content);
                // The turn may hold nothing else, and a turn without parts is refused.
                let blank = text.trim().is_empty();
                results.push(Part::text(if blank { EMPTY_RESULT.into() } else { text }));
                results.extend(media_of(orphan.content));
            }
            (Part::Loose(_), None) => {}
            (other, _) => results.push(other),
        }
    }
    results
}

fn media_of(content: &[ResultPart]) -> impl Iterator<Item = Part<'_>> {
    content.iter().filter_map(|p| match p {
        ResultPart::Media(media) => Some(Part::Media(media)),
        ResultPart::Text(_) => None,
    })
}

fn text_of(content: &[ResultPart]) -> Cow<'_, str> {
    let mut texts = content.iter().filter_map(|p| match p {
        ResultPart::Text(text) => Some(text.as_str()),
        ResultPart::Media(_) => None,
    });
    let first = texts.next().unwrap_or_default();
    let mut joined = Cow::Borrowed(first);
    for text in texts {
        let all = joined.to_mut();
        all.push('\n');
        all.push_str(text);
    }
    joined
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
