use serde_json::{Value, json};

use super::*;
use crate::wire::front::script::{picture, reply};

fn encoded(response: &Response, form: ThinkingOutput) -> Value {
    serde_json::from_slice(&encode_response(response, &reply(form))).unwrap()
}

fn thinking(text: &str) -> OutBlock {
    OutBlock::Thinking {
        text: text.to_owned(),
        signature: None,
    }
}

fn call(id: &str, family: SignatureFamily, free_text: bool) -> OutBlock {
    OutBlock::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        input: r#"{"input":"a\nb"}"#.to_owned(),
        free_text,
        signature: Some(Signature {
            family: Some(family),
            value: "sig".to_owned(),
        }),
    }
}

#[test]
fn the_shape_is_openais() {
    let response = Response {
        blocks: vec![OutBlock::Text("18 C".to_owned())],
        stop: StopReason::End,
        usage: Usage {
            input: Some(10),
            cache_read: Some(2),
            cache_write: None,
            output: Some(9),
            reasoning: Some(4),
        },
    };
    let got = encoded(&response, ThinkingOutput::ReasoningContent);
    assert_eq!(
        got,
        json!({
            "id": "chatcmpl-0000000000000000000000000a", "object": "chat.completion", "created": 1_790_000_000,
            "model": "public \"name\"",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "18 C", "refusal": null},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21,
                      "prompt_tokens_details": {"cached_tokens": 2},
                      "completion_tokens_details": {"reasoning_tokens": 4}},
        })
    );
}

#[test]
fn thinking_has_three_forms() {
    let response = Response {
        blocks: vec![
            thinking("a"),
            OutBlock::Text("b".to_owned()),
            thinking("c"),
            OutBlock::Media(picture()),
            thinking("d"),
        ],
        ..Response::default()
    };
    let image = "![image](data:image/png;base64,iVBORw0KGgo=)";
    let tagged = format!("<think>a</think>b<think>c</think>{image}<think>d</think>");
    for (form, content, reasoning) in [
        (
            ThinkingOutput::ReasoningContent,
            format!("b{image}"),
            Some("acd"),
        ),
        (ThinkingOutput::Tags, tagged.clone(), None),
        (ThinkingOutput::Both, tagged.clone(), Some("acd")),
    ] {
        let got = encoded(&response, form);
        let message = &got["choices"][0]["message"];
        assert_eq!(message["content"], content);
        assert_eq!(
            message.get("reasoning_content"),
            reasoning.map(Value::from).as_ref()
        );
    }
}

#[test]
fn calls_have_their_form_and_only_googles_signature() {
    let response = Response {
        blocks: vec![
            call("a", SignatureFamily::Gemini, false),
            call("b", SignatureFamily::Claude, true),
        ],
        stop: StopReason::ToolUse,
        ..Response::default()
    };
    let got = encoded(&response, ThinkingOutput::Tags);
    assert_eq!(got["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        got["choices"][0]["message"],
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": "a", "extra_content": {"google": {"thought_signature": "sig"}}, "type": "function",
             "function": {"name": "f", "arguments": "{\"input\":\"a\\nb\"}"}},
            {"id": "b", "type": "custom", "custom": {"name": "f", "input": "a\nb"}},
        ]})
    );
}

#[test]
fn an_empty_answer_is_an_empty_text() {
    let got = encoded(&Response::default(), ThinkingOutput::Tags);
    assert_eq!(got["choices"][0]["message"]["content"], "");
    assert_eq!(got["usage"]["total_tokens"], 0);
}
