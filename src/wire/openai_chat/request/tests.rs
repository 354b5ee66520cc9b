use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ir::{
    Block, BlockBody, Effort, ResultPart, Role, Signature, SignatureFamily, ToolChoice, Turn,
};

fn decode(body: &Value) -> Result<Request, Error> {
    decode_request(&Bytes::from(body.to_string()))
}

/// A request with one message `x` and these fields.
fn with(fields: Value) -> Result<Request, Error> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let Value::Object(fields) = fields else {
        panic!("fields")
    };
    body.as_object_mut().unwrap().extend(fields);
    decode(&body)
}

fn turns(messages: &Value) -> Vec<Turn> {
    decode(&json!({ "messages": messages })).unwrap().turns
}

fn text(text: &str) -> Block {
    BlockBody::Text(text.to_owned()).into()
}

fn turn(role: Role, blocks: Vec<Block>) -> Turn {
    Turn { role, blocks }
}

fn call(id: &str, name: &str, input: &str) -> BlockBody {
    BlockBody::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        input: input.to_owned(),
    }
}

fn result(id: &str, name: Option<&str>, content: Vec<ResultPart>) -> Block {
    BlockBody::ToolResult {
        call_id: id.to_owned(),
        name: name.map(str::to_owned),
        content,
        is_error: false,
    }
    .into()
}

#[test]
fn roles_and_texts_keep_their_order() {
    assert_eq!(
        turns(&json!([
            {"role": "developer", "content": "Be exact."},
            {"role": "user", "content": [{"type": "text", "text": "a\nb"}, {"type": "text", "text": ""}]},
            {"role": "assistant", "content": [{"type": "text", "text": "c"}, {"type": "refusal", "refusal": "no"}], "reasoning_content": "hm"},
            {"role": "assistant", "content": null, "refusal": "never"},
            {"role": "system", "content": [{"type": "text", "text": "d"}]},
        ])),
        [
            turn(Role::System, vec![text("Be exact.")]),
            turn(Role::User, vec![text("a\nb")]),
            turn(
                Role::Assistant,
                vec![
                    BlockBody::Thinking("hm".to_owned()).into(),
                    text("c"),
                    BlockBody::Refusal("no".to_owned()).into(),
                ]
            ),
            turn(
                Role::Assistant,
                vec![BlockBody::Refusal("never".to_owned()).into()]
            ),
            turn(Role::System, vec![text("d")]),
        ]
    );
}

#[test]
fn calls_and_results_of_all_forms() {
    let got = turns(&json!([
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1.10}"},
             "extra_content": {"google": {"thought_signature": "sig"}}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"id": "c", "type": "function", "function": {"name": "g", "arguments": "[1]"}},
            {"id": "d", "type": "custom", "custom": {"name": "h", "input": "say \"hi\""}},
        ]},
        {"role": "tool", "tool_call_id": "b", "name": "g", "content": ""},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
        {"role": "assistant", "content": null, "function_call": {"name": "old", "arguments": "{}"}},
        {"role": "function", "name": "old", "content": "done"},
    ]));
    assert_eq!(
        got[0].blocks,
        [
            Block {
                body: call("a", "f", r#"{"x":1.10}"#),
                signature: Some(Signature {
                    family: Some(SignatureFamily::Gemini),
                    value: "sig".to_owned(),
                })
            },
            call("b", "g", "{}").into(),
            call("c", "g", r#"{"raw_arguments":"[1]"}"#).into(),
            call("d", "h", r#"{"input":"say \"hi\""}"#).into(),
        ]
    );
    let part = |text: &str| ResultPart::Text(text.to_owned());
    assert_eq!(
        got[1],
        turn(Role::User, vec![result("b", Some("g"), vec![part("")])])
    );
    assert_eq!(
        got[2],
        turn(
            Role::User,
            vec![result("a", None, vec![part("1"), part("2")])]
        )
    );
    assert_eq!(got[3].blocks, [call("call_fn_3", "old", "{}").into()]);
    assert_eq!(
        got[4],
        turn(
            Role::User,
            vec![result("call_fn_3", Some("old"), vec![part("done")])]
        )
    );
}

#[test]
fn media_of_all_forms() {
    let got = turns(&json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QUJD", "detail": "auto"}},
        {"type": "image_url", "image_url": "iVBORw0KGgo="},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "pcm16"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "QUJD", "filename": "b.CSV"}},
    ]}]));
    let got: Vec<_> = got[0]
        .blocks
        .iter()
        .map(|block| match &block.body {
            BlockBody::Media(m) => (&*m.mime, m.text(), m.name.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        got,
        [
            ("image/jpeg", "QUJD", None),
            ("image/png", "iVBORw0KGgo=", None),
            ("audio/wav", "QUJD", None),
            ("audio/pcm", "QUJD", None),
            ("application/pdf", "QUJD", Some("a.pdf")),
            ("text/csv", "QUJD", Some("b.CSV")),
        ]
    );
}

#[test]
fn pictures_in_earlier_answers_come_back_as_pictures() {
    let got = turns(&json!([
        {"role": "assistant", "content": "Here:\n![image](data:image/png;base64,iVBORw0KGgo=) and ![image](data:image/png;oops) end"},
        {"role": "user", "content": "![image](data:image/png;base64,iVBORw0KGgo=)"},
    ]));
    assert_eq!(got[0].blocks.len(), 3);
    assert_eq!(got[0].blocks[0], text("Here:\n"));
    assert!(matches!(&got[0].blocks[1].body, BlockBody::Media(m) if m.text() == "iVBORw0KGgo="));
    assert_eq!(
        got[0].blocks[2],
        text(" and ![image](data:image/png;oops) end")
    );
    assert!(matches!(&got[1].blocks[0].body, BlockBody::Text(_)));
}

#[test]
fn tools_and_choices_of_all_forms() {
    let tools = json!([
        {"type": "function", "function": {"name": "f", "description": "d", "strict": true, "parameters": {"type": "object", "x": 1.10}}},
        {"type": "custom", "custom": {"name": "c", "description": "e"}},
    ]);
    let body = Bytes::from_static(
        br#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"n": 1.10}}}]}"#,
    );
    let request = decode_request(&body).unwrap();
    assert_eq!(
        request.tools[0].parameters.as_ref().unwrap().get(),
        r#"{"n": 1.10}"#
    );
    for (choice, want) in [
        (json!(null), None),
        (json!("none"), Some(ToolChoice::None)),
        (json!("auto"), Some(ToolChoice::Auto)),
        (json!("required"), Some(ToolChoice::Any)),
        (
            json!({"type": "function", "function": {"name": "f"}}),
            Some(ToolChoice::Named("f".to_owned())),
        ),
        (
            json!({"type": "custom", "custom": {"name": "c"}}),
            Some(ToolChoice::Named("c".to_owned())),
        ),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}]}}),
            Some(ToolChoice::Allowed {
                names: vec!["f".to_owned(), "c".to_owned()],
                required: true,
            }),
        ),
    ] {
        let request = with(json!({"tools": tools, "tool_choice": choice})).unwrap();
        assert_eq!(request.tool_choice, want);
        assert_eq!(request.tools.len(), 2);
        assert!(request.tools[1].free_text && !request.tools[0].free_text);
        assert!(request.losses.is_empty());
    }
    let old = with(json!({"functions": [{"name": "f"}], "function_call": {"name": "f"}})).unwrap();
    assert_eq!(old.tools[0].name, "f");
    assert_eq!(old.tool_choice, Some(ToolChoice::Named("f".to_owned())));
}

#[test]
fn sampling_is_read() {
    let s = with(json!({
        "temperature": 1, "top_p": 0.5, "top_k": 7, "max_tokens": 50, "max_completion_tokens": 300,
        "stop": ["A", "", "B"], "seed": -7, "presence_penalty": -2, "frequency_penalty": 0.25, "n": 1,
    }))
    .unwrap()
    .sampling;
    assert_eq!(
        s,
        Sampling {
            temperature: Some(1.0),
            top_p: Some(0.5),
            top_k: Some(7),
            max_output: Some(300),
            stop: vec!["A".to_owned(), "B".to_owned()],
            seed: Some(-7),
            presence_penalty: Some(-2.0),
            frequency_penalty: Some(0.25),
        }
    );
    let s = with(json!({"stop": "END", "max_tokens": 99_999_999_999_i64})).unwrap();
    assert_eq!(s.sampling.stop, ["END"]);
    assert_eq!(s.sampling.max_output, Some(u32::MAX));
}

#[test]
fn thinking_is_read() {
    for (fields, want) in [
        (json!({}), None),
        (json!({"reasoning_effort": null}), None),
        (
            json!({"reasoning_effort": "none"}),
            Some(Reasoning::Effort(Effort::None)),
        ),
        (
            json!({"reasoning_effort": "xhigh"}),
            Some(Reasoning::Effort(Effort::Xhigh)),
        ),
        (
            json!({"reasoning_effort": "low", "thinking_budget": 2048}),
            Some(Reasoning::Budget(2048)),
        ),
        (json!({"budget_tokens": 0}), Some(Reasoning::Off)),
        (
            json!({"thinking_budget": -1}),
            Some(Reasoning::Adaptive(None)),
        ),
    ] {
        assert_eq!(with(fields.clone()).unwrap().reasoning, want, "{fields}");
    }
}

#[test]
fn forms_of_the_answer_are_read() {
    let output = |format| with(json!({ "response_format": format })).unwrap().output;
    assert!(matches!(
        output(json!({"type": "text"})),
        OutputFormat::Text
    ));
    assert!(matches!(
        output(json!({"type": "json_object"})),
        OutputFormat::JsonObject
    ));
    let schema = output(
        json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": {"type": "object"}}}),
    );
    assert!(matches!(schema, OutputFormat::JsonSchema(raw) if raw.get() == r#"{"type":"object"}"#));
    let request = with(
        json!({"modalities": ["text", "image"], "size": "1024x1536", "quality": "hd", "stream": true,
               "stream_options": {"include_usage": true}, "user": "u", "prompt_cache_key": "k"}),
    )
    .unwrap();
    assert!(request.wants_images && request.stream && request.include_usage);
    assert_eq!(request.image.size.as_deref(), Some("1024x1536"));
    assert_eq!(request.image.quality.as_deref(), Some("hd"));
    assert_eq!(request.conversation.as_deref(), Some("k"));
    assert_eq!(
        with(json!({"user": "u"})).unwrap().conversation.as_deref(),
        Some("u")
    );
}

#[test]
fn what_is_dropped_is_noted() {
    let request = with(json!({
        "logit_bias": {"1": 2}, "metadata": {"k": "v"}, "store": false, "service_tier": null, "verbosity": "low",
        "parallel_tool_calls": false, "web_search_options": {}, "surprise": 1, "stream_options": {"x": 1},
    }))
    .unwrap();
    assert_eq!(
        request.losses.entries(),
        [
            "logit_bias",
            "metadata",
            "verbosity",
            "web_search_options",
            "surprise",
            "parallel_tool_calls",
            "stream_options.x"
        ]
    );
    let quiet =
        with(json!({"parallel_tool_calls": true, "logprobs": false, "max_tokens": 5})).unwrap();
    assert!(quiet.losses.is_empty());
    let message = decode(&json!({"messages": [
        {"role": "user", "content": "x", "name": "bob", "odd": 1},
        {"role": "user", "content": "x", "name": "bob", "odd": 1, "audio": null},
    ]}))
    .unwrap();
    assert_eq!(
        message.losses.entries(),
        ["messages[].odd", "messages[].name"]
    );
}

#[test]
fn what_can_not_be_done_is_refused() {
    for (fields, param) in [
        (json!({"n": 2}), "n"),
        (json!({"modalities": ["text", "audio"]}), "modalities[1]"),
        (json!({"modalities": ["smell"]}), "modalities[0]"),
        (json!({"size": "huge"}), "size"),
        (json!({"quality": "best"}), "quality"),
        (json!({"presence_penalty": 3}), "presence_penalty"),
        (json!({"frequency_penalty": -3}), "frequency_penalty"),
        (
            json!({"max_completion_tokens": -1}),
            "max_completion_tokens",
        ),
        (json!({"reasoning_effort": "lots"}), "reasoning_effort"),
        (json!({"thinking_budget": -5}), "thinking_budget"),
        (json!({"seed": "x"}), "seed"),
        (json!({"stop": [1]}), "stop[0]"),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format.json_schema",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}}),
            "response_format.json_schema.schema",
        ),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function",
        ),
        (
            json!({"tools": [{"type": "function", "function": {}}]}),
            "tools[0].function.name",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
            "tools[0].function.parameters",
        ),
        (json!({"tool_choice": "any"}), "tool_choice"),
        (
            json!({"tool_choice": {"type": "function", "function": {"name": "gone"}}}),
            "tool_choice.function.name",
        ),
        (
            json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": []}}}),
            "tool_choice.allowed_tools.tools",
        ),
        (
            json!({"function_call": {"name": "gone"}}),
            "function_call.name",
        ),
    ] {
        let e = with(fields.clone()).unwrap_err();
        assert_eq!(e.param.as_deref(), Some(param), "{fields}: {e}");
    }
}

#[test]
fn parts_that_can_not_be_read_are_refused() {
    for (part, key) in [
        (json!({"type": "text"}), ".text"),
        (json!({"type": "image_url"}), ".image_url"),
        (
            json!({"type": "image_url", "image_url": {}}),
            ".image_url.url",
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}),
            ".image_url.url",
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "gs://b/x.png"}}),
            ".image_url.url",
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}),
            ".image_url.url",
        ),
        (
            json!({"type": "image_url", "image_url": {"url": 1}}),
            ".image_url.url",
        ),
        (
            json!({"type": "input_audio", "input_audio": {"format": "wav"}}),
            ".input_audio.data",
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "QUJD"}}),
            ".input_audio.format",
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "a b"}}),
            ".input_audio.format",
        ),
        (
            json!({"type": "file", "file": {"file_id": "f"}}),
            ".file.file_id",
        ),
        (json!({"type": "file", "file": {}}), ".file.file_data"),
        (
            json!({"type": "file", "file": {"file_data": "QUJD"}}),
            ".file.file_data",
        ),
    ] {
        let body = json!({"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": [part]}]});
        let e = decode(&body).unwrap_err();
        assert_eq!(
            e.param,
            Some(format!("messages[1].content[0]{key}")),
            "{body}: {e}"
        );
    }
    for (message, key) in [
        (json!({"role": "tool", "content": "x"}), ".tool_call_id"),
        (json!({"role": "function", "content": "x"}), ".name"),
        (
            json!({"role": "function", "name": "f", "content": "x"}),
            ".name",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f"}}]}),
            ".tool_calls[0].id",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}),
            ".tool_calls[0].function.name",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]}),
            ".tool_calls[0].function.arguments",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "x"}]}),
            ".tool_calls[0].type",
        ),
        (
            json!({"role": "system", "content": [{"type": "image_url", "image_url": "iVBORw0KGgo="}]}),
            ".content[0]",
        ),
    ] {
        let body = json!({"messages": [message]});
        let e = decode(&body).unwrap_err();
        assert_eq!(e.param, Some(format!("messages[0]{key}")), "{body}: {e}");
    }
}

proptest! {
    #[test]
    fn texts_and_arguments_arrive_unchanged(said in any::<String>(), value in any::<String>()) {
        let arguments = json!({"k": value}).to_string();
        let got = turns(&json!([
            {"role": "user", "content": &said},
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": &arguments}}]},
        ]));
        let want: Vec<Block> = (!said.is_empty()).then(|| text(&said)).into_iter().collect();
        prop_assert_eq!(&got[0].blocks, &want);
        prop_assert_eq!(&got[1].blocks[0].body, &call("a", "f", &arguments));
    }
}
