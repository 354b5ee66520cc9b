use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::id::Dialect;
use crate::ir::{Collector, OutBlock, Response, Usage};

const CLAUDE_UP: &str = "RWp3S0FRZ1BGaDBrS3pJNVFFZE9WVnhqYW5GNGY0YU5sSnVpcWJDM3ZzWE0wOXJoNk8vMkFna1FGeDRsTERNNlFVaFBWbDFrYTNKNWdJZU9sUT09";

/// Holds the events against the grammar of `ir::event`.
#[derive(Default)]
struct Grammar {
    open: Option<&'static str>,
    ended: bool,
}

impl Grammar {
    fn check(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "{event:?} after the end");
        let inside = |open: Option<&str>, want: &str| {
            assert_eq!(open, Some(want), "{event:?}");
        };
        match event {
            Event::TextStart | Event::ThinkingStart | Event::ToolCallStart { .. } => {
                assert_eq!(self.open, None, "{event:?} inside a block");
                self.open = Some(match event {
                    Event::TextStart => "text",
                    Event::ThinkingStart => "thinking",
                    _ => "call",
                });
            }
            Event::Text(text) => {
                inside(self.open, "text");
                assert!(!text.is_empty());
            }
            Event::Thinking(text) => {
                inside(self.open, "thinking");
                assert!(!text.is_empty());
            }
            Event::ToolInput(_) => inside(self.open, "call"),
            Event::Media(_) => assert_eq!(self.open, None),
            Event::BlockStop { signature } => {
                let open = self.open.take().expect("a stop without a block");
                assert!(signature.is_none() || open == "thinking");
            }
            Event::Usage(_) => {}
            Event::Stop(_) | Event::Fail(_) => {
                assert_eq!(self.open, None, "{event:?} with an open block");
                self.ended = true;
            }
        }
    }
}

struct Run {
    response: Response,
    /// The end as debug text, `None` before it.
    end: Option<String>,
    /// The events as debug text.
    log: Vec<String>,
}

fn decode(decode: Decode, frames: &[String]) -> Run {
    let mut grammar = Grammar::default();
    let mut collector = Collector::new();
    let mut end = None;
    let mut log = Vec::new();
    let mut decoder = StreamDecoder::new(decode);
    let mut sink = |event: Event<'_>| {
        grammar.check(&event);
        collector.event(&event);
        log.push(format!("{event:?}"));
        if matches!(event, Event::Stop(_) | Event::Fail(_)) {
            end = Some(format!("{event:?}"));
        }
    };
    for frame in frames {
        decoder.frame(frame, &mut sink);
    }
    decoder.end(&mut sink);
    assert!(grammar.ended);
    Run {
        response: collector.into_response(),
        end,
        log,
    }
}

fn plain(family: Option<Family>) -> Decode {
    Decode::plain(Dialect::Anthropic, family)
}

fn frames(values: &[serde_json::Value]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn parts(parts: &serde_json::Value) -> serde_json::Value {
    json!({"response": {"candidates": [{"content": {"role": "model", "parts": parts}}]}})
}

fn finished(reason: &str) -> serde_json::Value {
    json!({"response": {"candidates": [{"finishReason": reason}], "usageMetadata":
        {"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}}})
}

fn signed(value: &str, family: SignatureFamily) -> Signature {
    Signature {
        family: Some(family),
        value: value.to_owned(),
    }
}

#[test]
fn text_and_thinking_become_blocks() {
    let run = decode(
        plain(Some(Family::Gemini3)),
        &frames(&[
            parts(&json!([{"text": "Hm", "thought": true}])),
            parts(&json!([{"text": " so", "thought": true}, {"text": "Ye"}, {"text": "s"}])),
            parts(&json!([{"text": "", "thoughtSignature": "Ei4KLA"}])),
            finished("STOP"),
        ]),
    );
    assert_eq!(
        run.response.blocks,
        [
            OutBlock::Thinking {
                text: "Hm so".to_owned(),
                signature: None
            },
            OutBlock::Text("Yes".to_owned())
        ]
    );
    assert_eq!(run.end.as_deref(), Some("Stop(End)"));
}

#[test]
fn claudes_signature_on_an_empty_part_belongs_to_the_open_thinking() {
    let native = signatures::claude_native(CLAUDE_UP).unwrap();
    for empty in [
        json!({"text": "", "thought": true, "thoughtSignature": CLAUDE_UP}),
        json!({"thought": true, "thought_signature": CLAUDE_UP}),
        json!({"text": "", "thoughtSignature": CLAUDE_UP}),
    ] {
        let run = decode(
            plain(Some(Family::Claude)),
            &frames(&[
                parts(&json!([{"text": "a", "thought": true}])),
                parts(&json!([empty])),
                parts(&json!([{"text": "b", "thought": true}])),
                parts(&json!([{"text": "x"}])),
                finished("STOP"),
            ]),
        );
        assert_eq!(
            run.response.blocks[0],
            OutBlock::Thinking {
                text: "a".to_owned(),
                signature: Some(signed(&native, SignatureFamily::Claude))
            }
        );
        assert_eq!(run.response.blocks.len(), 3, "a signed block is whole");
    }
}

#[test]
fn geminis_signature_on_the_first_call_goes_to_the_thinking_too() {
    let run = decode(
        plain(Some(Family::Gemini3)),
        &frames(&[
            parts(&json!([{"text": "a", "thought": true}])),
            parts(&json!([
                {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1.10}}, "thoughtSignature": "Ei4KLA"},
                {"functionCall": {"id": "c2", "name": "g"}}
            ])),
            finished("STOP"),
        ]),
    );
    let signature = Some(signed("Ei4KLA", SignatureFamily::Gemini));
    assert_eq!(
        run.response.blocks,
        [
            OutBlock::Thinking {
                text: "a".to_owned(),
                signature: signature.clone()
            },
            OutBlock::ToolCall {
                id: "c1".to_owned(),
                name: "f".to_owned(),
                input: "{\"x\":1.1}".to_owned(),
                free_text: false,
                signature
            },
            OutBlock::ToolCall {
                id: "c2".to_owned(),
                name: "g".to_owned(),
                input: "{}".to_owned(),
                free_text: false,
                signature: None
            },
        ]
    );
    assert_eq!(run.end.as_deref(), Some("Stop(ToolUse)"));
}

#[test]
fn other_families_get_no_signatures() {
    for family in [None, Some(Family::GptOss)] {
        let run = decode(
            plain(family),
            &frames(&[
                parts(&json!([{"text": "a", "thought": true, "thoughtSignature": "Ei4KLA"}])),
                finished("STOP"),
            ]),
        );
        assert_eq!(
            run.response.blocks,
            [OutBlock::Thinking {
                text: "a".to_owned(),
                signature: None
            }]
        );
    }
}

#[test]
fn arguments_keep_their_digits() {
    let run = decode(
        plain(Some(Family::Gemini3)),
        &[r#"{"response":{"candidates":[{"content":{"parts":[{"functionCall":{"id":"a","name":"f","args":{"x":1.10,"n":12345678901234567890123}}}]},"finishReason":"STOP"}],"usageMetadata":{}}}"#.to_owned()],
    );
    let OutBlock::ToolCall { input, .. } = &run.response.blocks[0] else {
        panic!("{:?}", run.response)
    };
    assert_eq!(input, r#"{"x":1.10,"n":12345678901234567890123}"#);
}

#[test]
fn ids_are_unique_and_fit_for_the_client() {
    let calls = parts(&json!([
        {"functionCall": {"id": "a", "name": "f"}},
        {"functionCall": {"id": "a", "name": "f"}},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"id": "", "name": "f"}},
        {"functionCall": {"id": "a:b", "name": "f"}},
    ]));
    let ids = |dialect| {
        let run = decode(
            Decode::plain(dialect, Some(Family::Gemini25)),
            &frames(&[calls.clone(), finished("STOP")]),
        );
        run.response
            .blocks
            .iter()
            .map(|b| match b {
                OutBlock::ToolCall { id, .. } => id.clone(),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let anthropic = ids(Dialect::Anthropic);
    assert_eq!(anthropic[0], "a");
    assert!(anthropic[1..].iter().all(|id| id.starts_with("toolu_")));
    assert_eq!(anthropic.iter().collect::<HashSet<_>>().len(), 5);
    let openai = ids(Dialect::OpenAiChat);
    assert!(openai[1..4].iter().all(|id| id.starts_with("call_")));
    assert_eq!(openai[4], "a:b");
    assert_eq!(openai.iter().collect::<HashSet<_>>().len(), 5);
}

#[test]
fn names_go_back_to_the_clients_spelling() {
    let mut with = plain(Some(Family::Gemini3));
    with.names
        .insert("fs_read".to_owned(), "fs/read".to_owned());
    with.free_text.insert("fs/read".to_owned());
    let run = decode(
        with,
        &frames(&[
            parts(&json!([{"functionCall": {"name": "fs_read", "args": {"input": "x"}}}])),
            finished("STOP"),
        ]),
    );
    assert!(matches!(
        &run.response.blocks[0],
        OutBlock::ToolCall { name, free_text: true, .. } if name == "fs/read"
    ));
}

#[test]
fn finish_reasons_map_by_the_table() {
    let text = parts(&json!([{"text": "a"}]));
    let call = parts(&json!([{"functionCall": {"name": "f"}}]));
    for (first, reason, end) in [
        (Some(&text), "STOP", "Stop(End)"),
        (Some(&call), "STOP", "Stop(ToolUse)"),
        (Some(&call), "MAX_TOKENS", "Stop(MaxTokens)"),
        (Some(&call), "SAFETY", "Stop(Filter)"),
        (Some(&text), "OTHER", "Stop(End)"),
        (Some(&text), "SOMETHING_NEW", "Stop(End)"),
        (Some(&text), "TOO_MANY_TOOL_CALLS", "Stop(End)"),
        (
            Some(&text),
            "MALFORMED_FUNCTION_CALL",
            "Fail(Model(\"MALFORMED_FUNCTION_CALL\"))",
        ),
        (
            None,
            "MALFORMED_RESPONSE",
            "Fail(Model(\"MALFORMED_RESPONSE\"))",
        ),
        (
            None,
            "TOO_MANY_TOOL_CALLS",
            "Fail(Model(\"TOO_MANY_TOOL_CALLS\"))",
        ),
        (None, "STOP", "Stop(End)"),
        (None, "IMAGE_SAFETY", "Stop(Filter)"),
    ] {
        let mut all: Vec<serde_json::Value> = first.into_iter().cloned().collect();
        all.push(finished(reason));
        let run = decode(plain(None), &frames(&all));
        assert_eq!(run.end.as_deref(), Some(end), "{reason}");
    }
}

#[test]
fn a_blocked_prompt_is_an_empty_answer() {
    let run = decode(
        plain(Some(Family::Gemini25)),
        &frames(&[
            json!({"response": {"promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}}),
        ]),
    );
    assert!(run.response.blocks.is_empty());
    assert_eq!(run.end.as_deref(), Some("Stop(Filter)"));
    assert_eq!(run.response.usage.input, Some(4));
    assert_eq!(run.response.usage.output, None);
}

#[test]
fn errors_and_truncation_never_look_complete() {
    let text = parts(&json!([{"text": "a"}])).to_string();
    let error = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    for (frame, fault) in [
        (error.to_owned(), "Fail(Error("),
        (format!("[{error}]"), "Fail(Error("),
        ("nonsense".to_owned(), "Fail(Garbage("),
        ("[1]".to_owned(), "Fail(Garbage("),
        (r#"{"candidates":"x"}"#.to_owned(), "Fail(Garbage("),
        ("[DONE]".to_owned(), "Fail(Truncated)"),
        (String::new(), "Fail(Truncated)"),
    ] {
        for before in [None, Some(text.clone())] {
            let all: Vec<String> = before.into_iter().chain([frame.clone()]).collect();
            let run = decode(plain(None), &all);
            assert!(run.end.unwrap().starts_with(fault), "{frame}");
        }
    }
    let before_content = decode(plain(None), &[error.to_owned()]);
    assert_eq!(before_content.log.len(), 1, "{:?}", before_content.log);
}

#[test]
fn token_counts_behind_the_end_are_waited_for() {
    let mut decoder = StreamDecoder::new(plain(None));
    let mut log = Vec::new();
    let mut sink = |e: Event<'_>| log.push(format!("{e:?}"));
    decoder.frame(
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#,
        &mut sink,
    );
    assert!(decoder.is_finished());
    decoder.frame(r#"{"usageMetadata":{"promptTokenCount":"7"}}"#, &mut sink);
    decoder.end(&mut sink);
    assert!(log[2].contains("input: Some(7)"), "{log:?}");
    assert_eq!(log[4], "Stop(End)", "{log:?}");
    assert_eq!(log.len(), 5);
}

#[test]
fn usage_is_disjoint() {
    let usage = |value: serde_json::Value| {
        serde_json::from_value::<UsageMetadata>(value)
            .unwrap()
            .to_usage()
    };
    assert_eq!(
        usage(
            json!({"promptTokenCount": 100, "cachedContentTokenCount": 64, "candidatesTokenCount": 5,
            "thoughtsTokenCount": 20, "toolUsePromptTokenCount": 3, "totalTokenCount": 128})
        ),
        Usage {
            input: Some(39),
            cache_read: Some(64),
            cache_write: None,
            output: Some(25),
            reasoning: Some(20)
        }
    );
    let inside = usage(
        json!({"promptTokenCount": 10, "candidatesTokenCount": 30, "thoughtsTokenCount": 20,
        "totalTokenCount": 40}),
    );
    assert_eq!((inside.output, inside.reasoning), (Some(30), Some(20)));
    assert_eq!(usage(json!({})), Usage::default());
}

#[test]
fn drafts_among_thoughts_are_not_shown() {
    let run = decode(
        plain(Some(Family::Image)),
        &frames(&[
            parts(
                &json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": true}]),
            ),
            parts(&json!([{"inlineData": {"mimeType": "image/PNG", "data": "-_-_AA"}}])),
            finished("STOP"),
        ]),
    );
    assert_eq!(
        run.response.blocks,
        [OutBlock::Media(Media {
            mime: "image/png".to_owned(),
            base64: Bytes::from_static(b"+/+/AA=="),
            name: None
        })]
    );
}

#[test]
fn a_code_fence_is_removed_where_asked() {
    let mut with = plain(Some(Family::Claude));
    with.strip_fence = true;
    let run = decode(
        with,
        &frames(&[
            parts(&json!([{"text": "``"}])),
            parts(&json!([{"text": "`json\n{\"a\""}])),
            parts(&json!([{"text": ":1}\n``"}])),
            parts(&json!([{"text": "`"}])),
            finished("STOP"),
        ]),
    );
    assert_eq!(
        run.response.blocks,
        [OutBlock::Text("{\"a\":1}".to_owned())]
    );
}

#[test]
fn whole_answers_read_like_streams() {
    for body in [
        json!({"response": {"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}}),
        json!({"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}),
    ] {
        let mut collector = Collector::new();
        decode_response(plain(None), &body.to_string(), &mut |e| collector.event(&e));
        assert!(collector.is_finished());
        assert_eq!(
            collector.into_response().blocks,
            [OutBlock::Text("ok".to_owned())]
        );
    }
}

fn any_part() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        Just(""),
        Just("a"),
        Just("```json\n"),
        Just("{}"),
        Just("\n```")
    ];
    let signature = prop_oneof![Just(None), Just(Some(CLAUDE_UP)), Just(Some("Ei4KLA"))];
    (text, any::<Option<bool>>(), signature, 0..6).prop_map(|(text, thought, signature, kind)| {
        let mut part = match kind {
            0 => json!({"functionCall": {"name": "f", "args": {"a": text}}}),
            1 => json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
            2 => json!({"executableCode": {"code": text}}),
            _ => json!({"text": text}),
        };
        if let Some(thought) = thought {
            part["thought"] = json!(thought);
        }
        if let Some(signature) = signature {
            part["thoughtSignature"] = json!(signature);
        }
        part
    })
}

proptest! {
    #[test]
    fn the_grammar_holds_whatever_comes(
        all in proptest::collection::vec(proptest::collection::vec(any_part(), 0..4), 0..6),
        reason in prop_oneof![Just(None), Just(Some("STOP")), Just(Some("SAFETY")), Just(Some("NO_IMAGE")), Just(Some("MALFORMED_RESPONSE"))],
        error in any::<bool>(),
        family in prop_oneof![Just(None), Just(Some(Family::Claude)), Just(Some(Family::Gemini3)), Just(Some(Family::GptOss))],
        strip_fence in any::<bool>(),
    ) {
        let mut list: Vec<serde_json::Value> = all.iter().map(|p| parts(&json!(p))).collect();
        if error {
            list.push(json!({"error": {"code": 500}}));
        }
        if let Some(reason) = reason {
            list.push(finished(reason));
        }
        let mut with = plain(family);
        with.strip_fence = strip_fence;
        let run = decode(with, &frames(&list));
        prop_assert!(run.end.is_some());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[{]?.{0,60}") {
        let mut decoder = StreamDecoder::new(plain(Some(Family::Claude)));
        decoder.frame(&text, &mut |_| {});
        decoder.end(&mut |_| {});
    }
}
