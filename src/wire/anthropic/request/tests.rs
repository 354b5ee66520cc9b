use serde_json::{Value, json};

use super::*;
use crate::ir::{
    Block, BlockBody, Effort, Media, ResultPart, Signature, SignatureFamily, ToolChoice,
};

fn decode(body: &Value) -> Result<Request, Error> {
    decode_request(&Bytes::from(body.to_string()))
}

/// A request with one message `x` and these fields.
fn with(fields: &Value) -> Result<Request, Error> {
    let mut body =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    decode(&body)
}

fn turns(messages: &Value) -> Vec<Turn> {
    decode(&json!({ "messages": messages })).unwrap().turns
}

fn text(text: &str) -> Block {
    BlockBody::Text(text.to_owned()).into()
}

fn media(mime: &str, name: Option<&str>) -> Media {
    Media {
        mime: mime.to_owned(),
        base64: Bytes::from_static(b"QUJD"),
        name: name.map(str::to_owned),
    }
}

#[test]
fn system_prompts_of_all_forms() {
    let request = decode(&json!({
        "system": [{"type": "text", "text": ""}, {"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "B"}],
    }))
    .unwrap();
    let roles: Vec<_> = request.turns.iter().map(|t| t.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::System]);
    assert_eq!(request.turns[0].blocks, [text("A")]);
    assert_eq!(request.turns[2].blocks, [text("B")]);
    assert!(request.losses.is_empty());
    let request = with(&json!({"system": "C"})).unwrap();
    assert_eq!(request.turns[0].blocks, [text("C")]);
    assert_eq!(request.sampling.max_output, Some(9));
}

#[test]
fn thinking_carries_its_makers_signature() {
    let got = turns(&json!([{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "a", "signature": "EjwK"},
        {"type": "thinking", "thinking": "b", "signature": "gemini#Ei4K"},
        {"type": "thinking", "thinking": "c", "signature": "claude#EjwL"},
        {"type": "thinking", "thinking": "d", "signature": ""},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": "e", "citations": null},
    ]}]));
    let thinking = |text: &str, signature: Option<(SignatureFamily, &str)>| Block {
        body: BlockBody::Thinking(text.to_owned()),
        signature: signature.map(|(family, value)| Signature {
            family: Some(family),
            value: value.to_owned(),
        }),
    };
    assert_eq!(
        got[0].blocks,
        [
            thinking("a", Some((SignatureFamily::Claude, "EjwK"))),
            thinking("b", Some((SignatureFamily::Gemini, "Ei4K"))),
            thinking("c", Some((SignatureFamily::Claude, "EjwL"))),
            thinking("d", None),
            BlockBody::RedactedThinking("opaque".to_owned()).into(),
            text("e"),
        ]
    );
}

#[test]
fn calls_keep_their_numbers() {
    let body = Bytes::from_static(
        br#"{"messages":[{"role":"assistant","content":[
            {"type":"tool_use","id":"a","name":"f","input":{"x": 1.10, "n": 12345678901234567890123}},
            {"type":"tool_use","id":"b","name":"f","input":{}},
            {"type":"tool_use","id":"c","name":"f"},
            {"type":"tool_use","id":"d","name":"f","input":[1]}]}]}"#,
    );
    let request = decode_request(&body).unwrap();
    let inputs: Vec<_> = request.turns[0]
        .blocks
        .iter()
        .map(|block| match &block.body {
            BlockBody::ToolCall { input, .. } => &**input,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        inputs,
        [
            r#"{"x": 1.10, "n": 12345678901234567890123}"#,
            "{}",
            "{}",
            r#"{"raw_arguments":"[1]"}"#
        ]
    );
}

#[test]
fn results_of_all_forms() {
    let got = turns(&json!([{"role": "user", "content": [
        {"type": "text", "text": "before"},
        {"type": "tool_result", "tool_use_id": "a", "content": "3 C"},
        {"type": "tool_result", "tool_use_id": "b", "is_error": true, "content": [
            {"type": "text", "text": "oops", "cache_control": {"type": "ephemeral"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "tool_reference", "tool_name": "other"},
        ]},
        {"type": "tool_result", "tool_use_id": "c"},
    ]}]));
    let result = |id: &str, is_error, content| -> Block {
        BlockBody::ToolResult {
            call_id: id.to_owned(),
            name: None,
            content,
            is_error,
        }
        .into()
    };
    let part = |text: &str| ResultPart::Text(text.to_owned());
    assert_eq!(
        got[0].blocks,
        [
            text("before"),
            result("a", false, vec![part("3 C")]),
            result(
                "b",
                true,
                vec![
                    part("oops"),
                    ResultPart::Media(media("image/png", None)),
                    part("words"),
                    part("other"),
                ]
            ),
            result("c", false, vec![]),
        ]
    );
}

#[test]
fn documents_of_all_forms() {
    let got = turns(&json!([{"role": "user", "content": [
        {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "Application/PDF", "data": "QUJD"}},
        {"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "plain words"}},
        {"type": "document", "source": {"type": "text", "data": "alone"}},
        {"type": "document", "source": {"type": "content", "content": [
            {"type": "text", "text": "one"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
        ]}},
        {"type": "document", "source": {"type": "content", "content": "two"}},
        {"type": "search_result", "title": "S", "source": "https://example.com", "content": [{"type": "text", "text": "found"}]},
    ]}]));
    assert_eq!(
        got[0].blocks,
        [
            BlockBody::Media(media("application/pdf", Some("T"))).into(),
            text("T\nC\nplain words"),
            text("alone"),
            text("one"),
            BlockBody::Media(media("image/png", None)).into(),
            text("two"),
            text("S\nhttps://example.com\nfound"),
        ]
    );
}

#[test]
fn server_tools_and_their_blocks_are_dropped_and_noted() {
    let request = decode(&json!({
        "tools": [
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "custom", "name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true},
            {"name": "bash", "input_schema": {"type": "object"}},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "assistant", "content": [
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}]},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "web_search_tool_result_error", "error_code": "x"}},
                {"type": "text", "text": "done"},
            ]},
            {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}, {"type": "text", "text": "go on"}]},
        ],
    }))
    .unwrap();
    let names: Vec<_> = request.tools.iter().map(|t| &*t.name).collect();
    assert_eq!(names, ["f", "bash"]);
    assert_eq!(
        request.tools[0].parameters.as_ref().unwrap().get(),
        r#"{"type":"object"}"#
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!(request.turns[0].blocks, [text("done")]);
    assert_eq!(request.turns[1].blocks, [text("go on")]);
    assert_eq!(
        request.losses.entries(),
        [
            "tools[0] (web_search_20250305)",
            "tool_choice.disable_parallel_tool_use",
            "messages[].content[] (server_tool_use)",
            "messages[].content[] (web_search_tool_result)",
            "messages[].content[] (container_upload)",
        ]
    );
    let request = with(&json!({
        "tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "tool", "name": "bash"},
    }))
    .unwrap();
    assert_eq!(request.tool_choice, None);
    assert_eq!(request.losses.entries()[1], "tool_choice");
}

#[test]
fn choices_of_all_forms() {
    for (word, want) in [
        ("auto", ToolChoice::Auto),
        ("any", ToolChoice::Any),
        ("none", ToolChoice::None),
    ] {
        let request = with(&json!({"tool_choice": {"type": word}})).unwrap();
        assert_eq!(request.tool_choice, Some(want));
    }
    assert_eq!(with(&json!({})).unwrap().tool_choice, None);
}

#[test]
fn sampling_is_read() {
    let request = with(&json!({
        "temperature": 0.2, "top_p": 0.8, "top_k": 20, "stop_sequences": ["END", ""], "stream": true,
        "metadata": {"user_id": "u"},
    }))
    .unwrap();
    assert_eq!(
        request.sampling,
        Sampling {
            temperature: Some(0.2),
            top_p: Some(0.8),
            top_k: Some(20),
            max_output: Some(9),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        }
    );
    assert_eq!(request.conversation.as_deref(), Some("u"));
    assert!(request.stream && request.losses.is_empty());
}

#[test]
fn thinking_settings_are_read() {
    for (fields, want) in [
        (json!({}), None),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 8000}}),
            Some(Reasoning::Budget(8000)),
        ),
        (
            json!({"thinking": {"type": "disabled"}}),
            Some(Reasoning::Off),
        ),
        (
            json!({"thinking": {"type": "adaptive"}}),
            Some(Reasoning::Adaptive(None)),
        ),
        (
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
            Some(Reasoning::Adaptive(Some(Effort::Max))),
        ),
        (
            json!({"output_config": {"effort": "low"}}),
            Some(Reasoning::EffortOnly(Effort::Low)),
        ),
    ] {
        let request = with(&fields).unwrap();
        assert_eq!(request.reasoning, want, "{fields}");
        assert!(request.losses.is_empty());
    }
    let request = with(&json!({
        "thinking": {"type": "enabled", "budget_tokens": 1}, "output_config": {"effort": "low"},
    }))
    .unwrap();
    assert_eq!(request.losses.entries(), ["output_config.effort"]);
}

#[test]
fn forms_of_the_answer_are_read() {
    for fields in [
        json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
        json!({"output_format": {"type": "json_schema", "schema": {"type": "object"}}}),
    ] {
        let output = with(&fields).unwrap().output;
        assert!(
            matches!(output, OutputFormat::JsonSchema(raw) if raw.get() == r#"{"type":"object"}"#)
        );
    }
}

#[test]
fn what_is_dropped_is_noted() {
    let request = with(&json!({
        "service_tier": "auto", "container": null, "context_management": {"edits": []}, "cache_control": {"type": "ephemeral"},
        "messages": [{"role": "user", "odd": 1, "content": [{"type": "text", "text": "x", "strange": 2}]}],
    }))
    .unwrap();
    assert_eq!(
        request.losses.entries(),
        [
            "service_tier",
            "context_management",
            "messages[].odd",
            "messages[].content[].strange"
        ]
    );
}

#[test]
fn what_can_not_be_done_is_refused() {
    for (fields, param) in [
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"stop_sequences": "x"}), "stop_sequences"),
        (json!({"metadata": {"user_id": 1}}), "metadata.user_id"),
        (json!({"system": [{"type": "image"}]}), "system[0].type"),
        (json!({"system": 1}), "system"),
        (json!({"thinking": {"type": "maybe"}}), "thinking.type"),
        (
            json!({"thinking": {"type": "enabled"}}),
            "thinking.budget_tokens",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 0}}),
            "thinking.budget_tokens",
        ),
        (
            json!({"output_config": {"effort": "lots"}}),
            "output_config.effort",
        ),
        (
            json!({"output_config": {"format": {"type": "xml"}}}),
            "output_config.format.type",
        ),
        (
            json!({"output_format": {"type": "json_schema"}}),
            "output_format.schema",
        ),
        (json!({"tools": [{"name": ""}]}), "tools[0].name"),
        (
            json!({"tools": [{"name": "f", "input_schema": 1}]}),
            "tools[0].input_schema",
        ),
        (
            json!({"tools": [{"type": "functoin", "name": "f", "input_schema": {}}]}),
            "tools[0].type",
        ),
        (
            json!({"tool_choice": {"type": "required"}}),
            "tool_choice.type",
        ),
        (json!({"tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (
            json!({"tool_choice": {"type": "tool", "name": "gone"}}),
            "tool_choice.name",
        ),
        (json!({"tool_choice": "auto"}), "tool_choice"),
    ] {
        let e = with(&fields).unwrap_err();
        assert_eq!(e.param.as_deref(), Some(param), "{fields}: {e}");
    }
}

#[test]
fn blocks_that_can_not_be_read_are_refused() {
    let png = json!({"type": "base64", "media_type": "image/png", "data": "QUJD"});
    for (role, block, key) in [
        ("user", json!({"type": "text"}), ".text"),
        ("user", json!({"type": "image"}), ".source"),
        ("user", json!({"type": "image", "source": "x"}), ".source"),
        (
            "user",
            json!({"type": "image", "source": {"type": "url", "url": "https://example.com"}}),
            ".source.type",
        ),
        (
            "user",
            json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            ".source.type",
        ),
        (
            "user",
            json!({"type": "image", "source": {"type": "base64", "data": "QUJD"}}),
            ".source.media_type",
        ),
        (
            "user",
            json!({"type": "image", "source": {"type": "base64", "media_type": "png", "data": "QUJD"}}),
            ".source.media_type",
        ),
        (
            "user",
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png"}}),
            ".source.data",
        ),
        (
            "user",
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "@@@"}}),
            ".source.data",
        ),
        (
            "user",
            json!({"type": "document", "source": {"type": "url", "url": "u"}}),
            ".source.type",
        ),
        (
            "user",
            json!({"type": "document", "source": {"type": "content", "content": [{"type": "audio"}]}}),
            ".source.content[0].type",
        ),
        (
            "user",
            json!({"type": "tool_result", "content": "x"}),
            ".tool_use_id",
        ),
        (
            "user",
            json!({"type": "tool_result", "tool_use_id": "a", "content": {}}),
            ".content",
        ),
        (
            "user",
            json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "audio"}]}),
            ".content[0].type",
        ),
        (
            "user",
            json!({"type": "tool_use", "id": "a", "name": "f", "input": {}}),
            ".type",
        ),
        (
            "user",
            json!({"type": "thinking", "thinking": "x"}),
            ".type",
        ),
        (
            "assistant",
            json!({"type": "tool_result", "tool_use_id": "a"}),
            ".type",
        ),
        ("assistant", json!({"type": "tool_use", "name": "f"}), ".id"),
        ("assistant", json!({"type": "tool_use", "id": "a"}), ".name"),
        (
            "assistant",
            json!({"type": "search_result", "content": [{"type": "image", "source": png}]}),
            ".content[0].text",
        ),
    ] {
        let body = json!({"messages": [{"role": role, "content": [{"type": "text", "text": "x"}, block]}]});
        let e = decode(&body).unwrap_err();
        assert_eq!(
            e.param,
            Some(format!("messages[0].content[1]{key}")),
            "{body}: {e}"
        );
    }
    for content in [json!(null), json!({})] {
        let body = json!({"messages": [{"role": "user", "content": content}]});
        let e = decode(&body).unwrap_err();
        assert_eq!(e.param.as_deref(), Some("messages[0].content"));
    }
}

#[test]
fn a_conversation_that_the_server_would_hold_is_refused() {
    for thread in [
        json!({"type": "create"}),
        json!({"type": "continue", "previous_message_id": "msg_1"}),
    ] {
        let error = with(&json!({ "thread": thread })).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ThreadUnsupported);
        assert_eq!(error.param.as_deref(), Some("thread"));
        assert!(error.message.contains("`messages`"), "{}", error.message);
    }
    assert!(with(&json!({"thread": null})).unwrap().losses.is_empty());
}
