//! The laws that hold for both dialects.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ir::Fault;
use crate::wire::ThinkingOutput;
use crate::wire::front::script::{answer, collected, events, reply};

const FORMS: [ThinkingOutput; 3] = [
    ThinkingOutput::ReasoningContent,
    ThinkingOutput::Tags,
    ThinkingOutput::Both,
];

fn streamed(front: Front, answer: &Response, piece: usize, reply: &Reply) -> String {
    let mut encoder = front.stream_encoder(reply);
    let mut out = Vec::new();
    events(answer, piece, |event| encoder.event(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// The data of each event, with its name where there is one.
fn frames(text: &str) -> Vec<(Option<&str>, &str)> {
    text.split_terminator("\n\n")
        .filter(|frame| !frame.starts_with(':'))
        .map(|frame| match frame.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: "), data),
            None => (None, frame),
        })
        .map(|(name, data)| (name, data.strip_prefix("data: ").unwrap()))
        .collect()
}

fn append(target: &mut Value, piece: &Value) {
    let mut text = target.as_str().unwrap_or_default().to_owned();
    text.push_str(piece.as_str().unwrap());
    *target = text.into();
}

/// Puts the chunks together into what a whole answer's body would be.
fn fold_openai(text: &str) -> Value {
    let mut frames = frames(text);
    assert_eq!(frames.pop(), Some((None, "[DONE]")));
    let chunks: Vec<Value> = frames
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    let (last, chunks) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    let mut message = json!({"role": null, "content": null, "refusal": null});
    let mut finish = Value::Null;
    for chunk in chunks {
        for key in ["id", "created", "model"] {
            assert_eq!(chunk[key], last[key]);
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert!(chunk.get("usage").is_none());
        assert!(finish.is_null(), "nothing follows the finish");
        let choice = &chunk["choices"][0];
        finish = choice["finish_reason"].clone();
        for (key, value) in choice["delta"].as_object().unwrap() {
            if key != "tool_calls" {
                append(&mut message[key], value);
                continue;
            }
            if message.get(key).is_none() {
                message[key] = json!([]);
            }
            let mut call = value[0].as_object().unwrap().clone();
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            call.shift_remove("index");
            let calls = message[key].as_array_mut().unwrap();
            if index == calls.len() {
                calls.push(call.into());
            } else {
                assert_eq!(index + 1, calls.len());
                append(
                    &mut calls[index]["function"]["arguments"],
                    &call["function"]["arguments"],
                );
            }
        }
    }
    if message["content"] == "" && message.get("tool_calls").is_some() {
        message["content"] = Value::Null;
    }
    json!({
        "id": last["id"], "object": "chat.completion", "created": last["created"], "model": last["model"],
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": last["usage"],
    })
}

/// Puts the events together into what a whole answer's body would be.
fn fold_anthropic(text: &str) -> Value {
    let mut message = Value::Null;
    let mut done = false;
    let mut partial = String::new();
    let mut open = false;
    for (name, data) in frames(text) {
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, event["type"].as_str());
        assert!(!done);
        match name.unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert!(!std::mem::replace(&mut open, true));
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], json!(content.len()));
                content.push(event["content_block"].clone());
                partial.clear();
            }
            "content_block_delta" => {
                assert!(open);
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], json!(content.len() - 1));
                let block = content.last_mut().unwrap();
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => append(&mut block["signature"], &delta["signature"]),
                    "input_json_delta" => partial.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert!(std::mem::replace(&mut open, false));
                let content = message["content"].as_array_mut().unwrap();
                let block = content.last_mut().unwrap();
                if block["type"] == "tool_use" && !partial.is_empty() {
                    block["input"] = serde_json::from_str(&partial).unwrap();
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => done = true,
            other => panic!("{other}"),
        }
    }
    assert!(done && !open);
    message
}

fn fold(front: Front, text: &str) -> Value {
    match front {
        Front::OpenAiChat => fold_openai(text),
        Front::Anthropic => fold_anthropic(text),
    }
}

proptest! {
    #[test]
    fn a_stream_says_what_the_whole_answer_says(answer in answer(), piece in 1..20_usize) {
        for front in [Front::OpenAiChat, Front::Anthropic] {
            for form in FORMS {
                let reply = reply(form);
                let whole = front.encode_response(&collected(&answer), &reply);
                let whole: Value = serde_json::from_slice(&whole).unwrap();
                let folded = fold(front, &streamed(front, &answer, piece, &reply));
                prop_assert_eq!(folded, whole);
            }
        }
    }

    #[test]
    fn any_body_is_read_or_refused(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        for front in [Front::OpenAiChat, Front::Anthropic] {
            let _ = front.decode_request(&Bytes::from(text.clone()));
            prop_assert!(front.decode_request(&Bytes::from(bytes.clone())).is_err());
        }
    }

    #[test]
    fn any_json_in_a_message_is_read_or_refused(value in json_value(), key in key(), inner in key()) {
        for front in [Front::OpenAiChat, Front::Anthropic] {
            for body in [
                json!({"messages": [{"role": "user", "content": "x"}], &*key: &value}),
                json!({"messages": [{"role": "assistant", "content": "x", &*key: &value}]}),
                json!({"messages": [{"role": "user", "content": [{"type": &*key, &*inner: &value}]}]}),
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", &*key: {&*inner: &value}}]}]}),
            ] {
                let body = Bytes::from(body.to_string());
                if let Err(e) = front.decode_request(&body) {
                    prop_assert_eq!(front.render_error(&e, RequestId::from_u128(1)).0, 400);
                    prop_assert!(e.message.len() < 2000);
                }
            }
        }
    }
}

fn key() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "model",
        "messages",
        "type",
        "text",
        "content",
        "source",
        "image_url",
        "input_audio",
        "file",
        "tools",
        "tool_choice",
        "stop",
        "temperature",
        "max_tokens",
        "thinking",
        "system",
        "tool_calls",
        "function_call",
        "reasoning_effort",
        "response_format",
        "output_config",
        "metadata",
        "tool_result",
        "tool_use",
        "document",
        "input",
        "data",
        "image",
        "role",
        "name",
        "n",
        "modalities",
    ])
    .prop_map(str::to_owned)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z:/,;=]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

#[test]
fn a_failure_never_looks_complete() {
    for (front, words) in [
        (
            Front::OpenAiChat,
            "data: {\"error\":{\"message\":\"broke off\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_error\"}}\n\n",
        ),
        (
            Front::Anthropic,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"broke off\"}}\n\n",
        ),
    ] {
        let mut encoder = front.stream_encoder(&reply(ThinkingOutput::Tags));
        let mut out = Vec::new();
        encoder.event(&Event::ThinkingStart, &mut out);
        encoder.event(&Event::Thinking("hm"), &mut out);
        let before = out.len();
        encoder.event(&Event::Fail(Fault::Truncated), &mut out);
        assert_eq!(out.len(), before);
        let error = Error::new(crate::base::error::ErrorKind::UpstreamFailed, "broke off");
        encoder.fail(&error, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with(words), "{text}");
        for end in ["[DONE]", "message_stop", "message_delta", "\"stop\""] {
            assert!(!text.contains(end), "{text}");
        }
    }
}

#[test]
fn nothing_but_comments_goes_out_before_the_first_word() {
    for front in [Front::OpenAiChat, Front::Anthropic] {
        let mut encoder = front.stream_encoder(&reply(ThinkingOutput::Both));
        let mut out = Vec::new();
        encoder.event(&Event::Usage(crate::ir::Usage::default()), &mut out);
        assert!(out.is_empty());
        encoder.keepalive(&mut out);
        assert_eq!(out, b": ping\n\n");
        encoder.event(&Event::TextStart, &mut out);
        assert!(out.len() > 10);
    }
}

#[test]
fn a_large_picture_is_not_copied() {
    let data = "QUJD".repeat(1 << 18);
    let openai = format!(
        r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]}}"#
    );
    let anthropic = format!(
        r#"{{"messages":[{{"role":"user","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}]}}]}}"#
    );
    for (front, body) in [(Front::OpenAiChat, openai), (Front::Anthropic, anthropic)] {
        let body = Bytes::from(body);
        let request = front.decode_request(&body).unwrap();
        let crate::ir::BlockBody::Media(media) = &request.turns[0].blocks[0].body else {
            panic!("no media")
        };
        assert_eq!(media.base64.len(), data.len());
        assert!(body.as_ptr_range().contains(&media.base64.as_ptr()));
    }
}

/// A body, the field that the error names, and words of its message.
type Malformed = (&'static str, Option<&'static str>, &'static str);

const MALFORMED: &[Malformed] = &[
    ("", None, "malformed JSON at line 1 column 0"),
    (
        "{\"messages\":\n [}",
        Some("messages[0]"),
        "malformed JSON at line 2 column 3",
    ),
    ("{\"messages\":[]} {}", None, "trailing characters"),
    ("[]", None, "the body: expected an object, found sequence"),
    ("null", None, "the body: expected an object, found null"),
    ("{}", Some("messages"), "at least one message"),
    (
        r#"{"messages":[]}"#,
        Some("messages"),
        "at least one message",
    ),
    (
        r#"{"messages":null}"#,
        Some("messages"),
        "at least one message",
    ),
    (
        r#"{"messages":"x"}"#,
        Some("messages"),
        "expected an array, found string \"x\"",
    ),
    (
        r#"{"messages":[1]}"#,
        Some("messages[0]"),
        "expected an object, found integer `1`",
    ),
    (
        r#"{"messages":[{"role":1}]}"#,
        Some("messages[0].role"),
        "expected a string",
    ),
    (
        r#"{"messages":[{"role":"robot","content":"x"}]}"#,
        Some("messages[0].role"),
        "found `robot`",
    ),
    (
        r#"{"messages":[{"content":"x"}]}"#,
        Some("messages[0].role"),
        "expected one of",
    ),
    (
        r#"{"messages":[{"role":"user","content":7}]}"#,
        Some("messages[0].content"),
        "expected a string or an array",
    ),
    (
        r#"{"messages":[{"role":"user","content":[7]}]}"#,
        Some("messages[0].content[0]"),
        "expected an object",
    ),
    (
        r#"{"messages":[{"role":"user","content":[{"type":"hologram"}]}]}"#,
        Some("messages[0].content[0].type"),
        "hologram",
    ),
    (
        r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
        Some("messages[0].content[0].type"),
        "expected",
    ),
    (
        r#"{"model":5}"#,
        Some("model"),
        "expected a string, found integer `5`",
    ),
    (r#"{"stream":"yes"}"#, Some("stream"), "expected a boolean"),
    (
        r#"{"temperature":"hot"}"#,
        Some("temperature"),
        "expected a number",
    ),
];

/// The same with one message `x` in front of these fields.
const MALFORMED_FIELD: &[Malformed] = &[
    (r#""temperature":2.5"#, Some("temperature"), "found 2.5"),
    (
        r#""temperature":-9999999999"#,
        Some("temperature"),
        "expected a number from 0",
    ),
    (r#""top_p":-1"#, Some("top_p"), "from 0 to 1"),
    (r#""top_k":0"#, Some("top_k"), "at least 1"),
    (
        r#""max_tokens":0"#,
        Some("max_tokens"),
        "at least 1, found 0",
    ),
    (
        r#""max_tokens":1.5"#,
        Some("max_tokens"),
        "expected an integer",
    ),
    (r#""tools":{}"#, Some("tools"), "expected an array"),
];

fn assert_refused(body: &[u8], param: Option<&str>, words: &str) {
    for front in [Front::OpenAiChat, Front::Anthropic] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        let e = front
            .decode_request(&Bytes::copy_from_slice(body))
            .unwrap_err();
        assert_eq!(e.kind, crate::base::error::ErrorKind::BadRequest);
        assert_eq!(e.param.as_deref(), param, "{front:?} {shown}: {e}");
        assert!(e.message.contains(words), "{front:?} {shown}: {e}");
    }
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    for (body, param, words) in MALFORMED {
        assert_refused(body.as_bytes(), *param, words);
    }
    for (field, param, words) in MALFORMED_FIELD {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{field}}}"#);
        assert_refused(body.as_bytes(), *param, words);
    }
    assert_refused(b"{\"model\":\"\xff\"}", None, "not valid UTF-8 at byte 10");
}

#[test]
fn deep_nesting_is_refused_wherever_it_stands() {
    let arrays = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
    let deep = "nested deeper than 128";
    for (body, param) in [
        (format!(r#"{{"messages":[],"x":{arrays}}}"#), "x[0][0][0]"),
        (format!(r#"{{"messages":{arrays}}}"#), "messages[0][0][0]"),
        (
            format!(r#"{{"tools":[{{"function":{{"parameters":{objects}}}}}]}}"#),
            "tools[0].function.parameters",
        ),
        (
            format!(r#"{{"tools":[{{"input_schema":{objects}}}]}}"#),
            "tools[0].input_schema.a",
        ),
    ] {
        assert_refused(body.as_bytes(), Some(param), deep);
    }
}

#[test]
fn a_missing_model_is_left_to_the_routing() {
    for front in [Front::OpenAiChat, Front::Anthropic] {
        let body = Bytes::from_static(b"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
        let request = front.decode_request(&body).unwrap();
        assert_eq!(request.model, "");
        assert_eq!(request.dialect, front.dialect());
        assert_eq!(Front::from(request.dialect), front);
        assert!(request.losses.is_empty());
    }
}

#[test]
fn the_requests_of_the_vectors_are_read() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/shared");
    for (front, folder, most) in [
        (Front::OpenAiChat, "openai_to_gemini", 25),
        (Front::Anthropic, "anthropic_to_gemini", 18),
    ] {
        let mut read = 0;
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            // One case is of an Anthropic client though it stands among OpenAI's.
            let front = if case["input"]["client"] == "anthropic" {
                Front::Anthropic
            } else {
                front
            };
            let body = Bytes::from(case["input"]["body"].to_string());
            let request = front.decode_request(&body);
            assert!(request.is_ok(), "{}: {:?}", path.display(), request.err());
            read += 1;
        }
        assert_eq!(read, most);
    }
}
