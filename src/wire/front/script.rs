//! Made-up answers for tests: the same answer as events, split at will, and as a whole.

use bytes::Bytes;
use proptest::prelude::*;

use crate::base::id::RequestId;
use crate::base::time::Timestamp;
use crate::ir::{
    Collector, Event, Media, OutBlock, Response, Signature, SignatureFamily, StopReason, Usage,
};
use crate::wire::{Reply, ThinkingOutput};

/// A reply's surroundings.
pub(crate) fn reply(thinking_output: ThinkingOutput) -> Reply {
    Reply {
        request_id: RequestId::from_u128(10),
        model: "public \"name\"".to_owned(),
        created: Timestamp(1_790_000_000_123),
        include_usage: true,
        thinking_output,
    }
}

/// A picture.
pub(crate) fn picture() -> Media {
    Media {
        mime: "image/png".to_owned(),
        base64: Bytes::from_static(b"iVBORw0KGgo="),
        name: None,
    }
}

/// Hands over the answer's events, its texts in pieces of at most `piece` characters.
pub(crate) fn events(answer: &Response, piece: usize, mut f: impl FnMut(&Event<'_>)) {
    f(&Event::Usage(Usage {
        input: answer.usage.input,
        ..Usage::default()
    }));
    for block in &answer.blocks {
        let stop = |signature| Event::BlockStop { signature };
        match block {
            OutBlock::Text(text) => {
                f(&Event::TextStart);
                pieces(text, piece, |p| f(&Event::Text(p)));
                f(&stop(None));
            }
            OutBlock::Thinking { text, signature } => {
                f(&Event::ThinkingStart);
                pieces(text, piece, |p| f(&Event::Thinking(p)));
                f(&stop(signature.as_ref()));
            }
            OutBlock::ToolCall {
                id,
                name,
                input,
                free_text,
                signature,
            } => {
                f(&Event::ToolCallStart {
                    id,
                    name,
                    free_text: *free_text,
                    signature: signature.as_ref(),
                });
                pieces(input, piece, |p| f(&Event::ToolInput(p)));
                f(&stop(None));
            }
            OutBlock::Media(media) => f(&Event::Media(media)),
        }
    }
    f(&Event::Usage(answer.usage));
    f(&Event::Stop(answer.stop));
}

fn pieces(text: &str, piece: usize, mut f: impl FnMut(&str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .nth(piece)
            .map_or(rest.len(), |(at, _)| at);
        f(&rest[..end]);
        rest = &rest[end..];
    }
}

/// What the collector makes of the events.
pub(crate) fn collected(answer: &Response) -> Response {
    let mut collector = Collector::new();
    events(answer, 3, |event| collector.event(event));
    collector.into_response()
}

fn signature() -> impl Strategy<Value = Option<Signature>> {
    let family = prop_oneof![
        Just(Some(SignatureFamily::Claude)),
        Just(Some(SignatureFamily::Gemini)),
        Just(None)
    ];
    proptest::option::of(
        (family, "[A-Za-z0-9+/]{4,12}").prop_map(|(family, value)| Signature { family, value }),
    )
}

fn block() -> impl Strategy<Value = OutBlock> {
    let text = || any::<String>().prop_filter("texts are never empty", |t| !t.is_empty());
    prop_oneof![
        text().prop_map(OutBlock::Text),
        (text(), signature()).prop_map(|(text, signature)| OutBlock::Thinking { text, signature }),
        ("[a-z]{1,8}", any::<String>(), any::<bool>(), signature()).prop_map(
            |(name, value, free_text, signature)| OutBlock::ToolCall {
                id: String::new(),
                name,
                input: serde_json::json!({ "input": value }).to_string(),
                free_text,
                signature,
            }
        ),
        Just(OutBlock::Media(picture())),
    ]
}

/// Any answer, with neighbouring blocks of unlike kinds, as an upstream's decoder gives them.
pub(crate) fn answer() -> impl Strategy<Value = Response> {
    let stop = prop_oneof![
        Just(StopReason::End),
        Just(StopReason::MaxTokens),
        Just(StopReason::ToolUse),
        Just(StopReason::Filter)
    ];
    let count = || proptest::option::of(0..10_000_u64);
    let usage =
        (count(), count(), count(), count()).prop_map(|(input, read, output, thought)| Usage {
            input,
            cache_read: read,
            cache_write: None,
            output,
            reasoning: thought,
        });
    (proptest::collection::vec(block(), 0..7), stop, usage).prop_map(|(mut blocks, stop, usage)| {
        blocks.dedup_by(|b, a| {
            matches!(
                (a, b),
                (OutBlock::Text(_), OutBlock::Text(_))
                    | (OutBlock::Thinking { .. }, OutBlock::Thinking { .. })
            )
        });
        for (i, block) in blocks.iter_mut().enumerate() {
            if let OutBlock::ToolCall { id, .. } = block {
                *id = format!("call_{i}");
            }
        }
        Response {
            blocks,
            stop,
            usage,
        }
    })
}
