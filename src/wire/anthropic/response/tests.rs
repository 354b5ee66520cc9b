use serde_json::{Value, json};

use super::*;
use crate::wire::ThinkingOutput;
use crate::wire::front::script::{picture, reply};

fn signed(family: SignatureFamily) -> Signature {
    Signature {
        family: Some(family),
        value: "sig".to_owned(),
    }
}

#[test]
fn the_shape_is_anthropics() {
    let thinking = |text: &str, signature| OutBlock::Thinking {
        text: text.to_owned(),
        signature,
    };
    let response = Response {
        blocks: vec![
            thinking("a", Some(signed(SignatureFamily::Claude))),
            OutBlock::Text("b".to_owned()),
            thinking("c", Some(signed(SignatureFamily::Gemini))),
            thinking("d", None),
            thinking("", None),
            OutBlock::Text(String::new()),
            OutBlock::ToolCall {
                id: "t".to_owned(),
                name: "f".to_owned(),
                input: r#"{"x":1.5}"#.to_owned(),
                free_text: false,
                signature: Some(signed(SignatureFamily::Gemini)),
            },
            OutBlock::Media(picture()),
        ],
        stop: StopReason::ToolUse,
        usage: Usage {
            input: Some(7),
            cache_read: Some(5),
            cache_write: None,
            output: Some(30),
            reasoning: Some(20),
        },
    };
    let body = encode_response(&response, &reply(ThinkingOutput::Tags));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "msg_0000000000000000000000000a", "type": "message", "role": "assistant", "model": "public \"name\"",
            "content": [
                {"type": "thinking", "thinking": "a", "signature": "sig"},
                {"type": "text", "text": "b"},
                {"type": "thinking", "thinking": "c", "signature": "gemini#sig"},
                {"type": "thinking", "thinking": "d", "signature": ""},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1.5}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 7, "output_tokens": 30, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5},
        })
    );
}

#[test]
fn an_empty_answer_has_no_blocks() {
    let body = encode_response(&Response::default(), &reply(ThinkingOutput::Tags));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["content"], json!([]));
    assert_eq!(body["stop_reason"], "end_turn");
}

#[test]
fn counts_have_one_field() {
    assert_eq!(encode_token_count(31), br#"{"input_tokens":31}"#);
}
