use super::*;
use crate::ir::SignatureFamily;
use crate::wire::ThinkingOutput;
use crate::wire::front::script::{picture, reply};

/// The data of the events.
fn run(events: &[Event<'_>]) -> Vec<String> {
    let mut encoder = StreamEncoder::new(&reply(ThinkingOutput::Tags));
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    String::from_utf8(out)
        .unwrap()
        .split_terminator("\n\n")
        .map(|frame| {
            let (name, data) = frame.split_once("\ndata: ").unwrap();
            let name = name.strip_prefix("event: ").unwrap();
            assert!(
                data.starts_with(&format!("{{\"type\":\"{name}\"")),
                "{frame}"
            );
            data.to_owned()
        })
        .collect()
}

const STOP: Event<'_> = Event::BlockStop { signature: None };

#[test]
fn the_order_is_anthropics() {
    let signature = Signature {
        family: Some(SignatureFamily::Gemini),
        value: "sig".to_owned(),
    };
    let got = run(&[
        Event::Usage(Usage {
            input: Some(4),
            ..Usage::default()
        }),
        Event::ThinkingStart,
        Event::Thinking("hm"),
        Event::BlockStop {
            signature: Some(&signature),
        },
        Event::TextStart,
        Event::Text("a\n"),
        STOP,
        Event::ToolCallStart {
            id: "t",
            name: "f",
            free_text: false,
            signature: Some(&signature),
        },
        Event::ToolInput("{\"x\":1}"),
        STOP,
        Event::Media(&picture()),
        Event::Usage(Usage {
            cache_read: Some(2),
            output: Some(9),
            ..Usage::default()
        }),
        Event::Stop(StopReason::ToolUse),
    ]);
    assert_eq!(
        got,
        [
            r#"{"type":"message_start","message":{"id":"msg_0000000000000000000000000a","type":"message","role":"assistant","model":"public \"name\"","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":4,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"gemini#sig"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\n"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
            r#"{"type":"content_block_stop","index":2}"#,
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}}"#,
            r#"{"type":"content_block_stop","index":3}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":4,"output_tokens":9,"cache_creation_input_tokens":0,"cache_read_input_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ]
    );
}

#[test]
fn a_block_opens_only_when_it_has_something_to_say() {
    let signature = Signature {
        family: Some(SignatureFamily::Claude),
        value: "s".to_owned(),
    };
    let got = run(&[
        Event::TextStart,
        STOP,
        Event::ThinkingStart,
        STOP,
        Event::ThinkingStart,
        Event::BlockStop {
            signature: Some(&signature),
        },
        Event::Stop(StopReason::Filter),
    ]);
    assert_eq!(got.len(), 6);
    assert!(got[1].contains(r#""index":0,"content_block":{"type":"thinking""#));
    assert!(got[2].contains(r#""signature":"s""#));
    assert!(got[4].contains(r#""stop_reason":"refusal""#));
}

#[test]
fn pings_follow_the_first_event_only() {
    let mut encoder = StreamEncoder::new(&reply(ThinkingOutput::Tags));
    let mut out = Vec::new();
    encoder.keepalive(&mut out);
    assert_eq!(out, b": ping\n\n");
    encoder.event(&Event::TextStart, &mut out);
    out.clear();
    encoder.keepalive(&mut out);
    assert_eq!(out, b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}
