//! Each rule refuses, and the request without the fault passes.

use super::setup::set;
use super::*;

const PNG: &str = "iVBORw0KGgo=";

/// A request that passes for every family: a finished step with two calls, then a question.
fn good(model: &str) -> Value {
    let mut request = with_tool("Weather in Oslo and Rome?");
    let call = |id: &str, city: &str| json!({"functionCall": {"id": id, "name": "get_weather", "args": {"city": city}}});
    let result = |id: &str| json!({"functionResponse": {"id": id, "name": "get_weather", "response": {"output": "3 C"}}});
    let contents = request["contents"].as_array_mut().unwrap();
    contents.push(json!({"role": "model", "parts": [{"text": "Let me look."}, call("c1", "Oslo"), call("c2", "Rome")]}));
    contents.push(
        json!({"role": "user", "parts": [result("c1"), result("c2"), {"text": "And tomorrow?"}]}),
    );
    request["systemInstruction"] = json!({"role": "user", "parts": [{"text": "Be brief."}]});
    request["generationConfig"] =
        json!({"maxOutputTokens": 4096, "temperature": 0.5, "stopSequences": ["END"]});
    request["sessionId"] = json!("-12");
    envelope(model, &request)
}

async fn refused(rig: &Rig, base: &Value, place: &str, value: Value, says: &str) {
    let mut body = base.clone();
    set(&mut body, place, value.clone());
    let got = rig.stream(&body).await;
    assert_eq!(got.status, 400, "{place} = {value}: {}", got.text);
    assert_eq!(got.json()["error"]["status"], "INVALID_ARGUMENT");
    assert!(
        got.message().contains(says),
        "{place} = {value}: {}",
        got.message()
    );
}

#[tokio::test]
async fn the_good_request_passes_everywhere() {
    let rig = Rig::new("{}").await;
    for model in [
        "gemini-3-flash",
        "gemini-2.5-pro",
        "claude-sonnet-4-6",
        "gpt-oss-120b-medium",
    ] {
        let got = rig.stream(&good(model)).await;
        assert_eq!(got.status, 200, "{model}: {}", got.text);
        assert!(got.said().contains("And tomorrow?"), "{}", got.said());
    }
    let image = rig.ask("gemini-3-pro-image", "A fox").await;
    assert_eq!(image.status, 200);
}

#[tokio::test]
async fn snake_case_is_the_same() {
    let rig = Rig::new("{}").await;
    let mut body = good("gemini-2.5-flash");
    let config = body["request"]["generationConfig"].take();
    let request = body["request"].as_object_mut().unwrap();
    request.remove("generationConfig");
    request.insert(
        "generation_config".to_owned(),
        json!({"max_output_tokens": "64", "thinking_config": {"thinking_budget": 0}}),
    );
    assert_eq!(rig.stream(&body).await.status, 200);
    assert!(config.is_object());
}

#[tokio::test]
async fn envelope_and_headers() {
    let rig = Rig::new("{}").await;
    let base = good("gemini-2.5-flash");
    for name in ["project", "requestId", "userAgent", "requestType"] {
        refused(&rig, &base, &format!("/{name}"), Value::Null, name).await;
    }
    refused(
        &rig,
        &base,
        "/requestType",
        json!("image_gen"),
        "not supported",
    )
    .await;
    refused(
        &rig,
        &base,
        "/stream",
        json!(true),
        "Unknown name \"stream\": Cannot find field.",
    )
    .await;
    let mut other = base.clone();
    other["model"] = json!("models/gemini-2.5-flash");
    assert_eq!(rig.stream(&other).await.status, 404);
    other["model"] = json!("gemini-9");
    assert_eq!(
        rig.stream(&other).await.message(),
        "Requested entity was not found."
    );
    let mut other = base.clone();
    other["project"] = json!("sim-project-bob");
    assert_eq!(rig.stream(&other).await.status, 403);
    let header = rig
        .request(STREAM, &base)
        .header("x-goog-user-project", "sim-project-alice");
    assert_eq!(read(header).await.status, 403);
    let broken = rig
        .client
        .post(rig.sim.url() + STREAM)
        .bearer_auth(&rig.token)
        .body("{");
    assert_eq!(read(broken).await.status, 400);
    let anonymous = rig
        .client
        .post(rig.sim.url() + STREAM)
        .body(base.to_string());
    assert_eq!(
        read(anonymous).await.json()["error"]["status"],
        "UNAUTHENTICATED"
    );
}

#[tokio::test]
async fn unknown_names_and_types() {
    let rig = Rig::new("{}").await;
    let base = good("gemini-2.5-flash");
    for (place, value, says) in [
        (
            "/request/model",
            json!("x"),
            "Unknown name \"model\" at 'request'",
        ),
        (
            "/request/contents/0/parts/0/cache_control",
            json!({}),
            "at 'request.contents[0].parts[0]'",
        ),
        (
            "/request/generationConfig/max_tokens",
            json!(1),
            "Unknown name",
        ),
        (
            "/request/tools/0/functionDeclarations/0/strict",
            json!(true),
            "Unknown name",
        ),
        (
            "/request/tools/0/functionDeclarations/0/parameters/additionalProperties",
            json!(false),
            "Unknown name",
        ),
        (
            "/request/tools/0/functionDeclarations/0/parameters/properties/city/const",
            json!("x"),
            "properties[city]",
        ),
        (
            "/request/contents/1/parts/1/functionCall/args",
            json!("{}"),
            "functionCall.args",
        ),
        (
            "/request/contents/1/parts/1/functionCall/args",
            json!([1]),
            "functionCall.args",
        ),
        (
            "/request/contents/1/parts/1/functionCall/args",
            Value::Null,
            "functionCall.args",
        ),
        (
            "/request/contents/2/parts/0/functionResponse/response",
            json!("text"),
            "functionResponse.response",
        ),
        ("/request/generationConfig/topK", json!(1.5), "TYPE_INT32"),
        (
            "/request/generationConfig/seed",
            json!(3_000_000_000_u64),
            "TYPE_INT32",
        ),
        (
            "/request/toolConfig",
            json!({"functionCallingConfig": {"mode": "auto"}}),
            "TYPE_ENUM",
        ),
        (
            "/request/safetySettings",
            json!([{"category": "HARM_CATEGORY_ODD", "threshold": "OFF"}]),
            "TYPE_ENUM",
        ),
    ] {
        refused(&rig, &base, place, value, says).await;
    }
}

#[tokio::test]
async fn contents() {
    let rig = Rig::new("{}").await;
    let base = good("gemini-2.5-flash");
    let user = |text: &str| json!({"role": "user", "parts": [{"text": text}]});
    let model = |text: &str| json!({"role": "model", "parts": [{"text": text}]});
    let result = |id: &str, name: &str| json!({"functionResponse": {"id": id, "name": name, "response": {"output": "3"}}});
    let results = |a: Value, b: Value| json!([a, b]);
    for (place, value, says) in [
        ("/request/contents", json!([]), "not specified"),
        (
            "/request/contents",
            json!([model("a"), user("b")]),
            "begin with a user turn",
        ),
        (
            "/request/contents",
            json!([user("a"), user("b")]),
            "alternate",
        ),
        (
            "/request/contents",
            json!([user("a"), model("b"), model("c")]),
            "alternate",
        ),
        ("/request/contents/0/role", json!("assistant"), "valid role"),
        ("/request/contents/0/parts", json!([]), "must not be empty"),
        (
            "/request/contents/0/parts",
            json!([{}]),
            "oneof field 'data'",
        ),
        (
            "/request/contents/0/parts",
            json!([{"text": ""}]),
            "oneof field 'data'",
        ),
        (
            "/request/contents/0/parts",
            json!([{"text": "a", "inlineData": {"mimeType": "image/png", "data": PNG}}]),
            "oneof field 'data'",
        ),
        (
            "/request/contents/0/parts",
            json!([{"inlineData": {"mimeType": "application/zip", "data": PNG}}]),
            "MIME",
        ),
        (
            "/request/contents/0/parts",
            json!([{"inlineData": {"mimeType": "image/png", "data": "data:image/png;base64,AA"}}]),
            "Base64",
        ),
        (
            "/request/contents/0/parts",
            json!([{"fileData": {"fileUri": "https://example.com/a.png"}}]),
            "Cannot fetch",
        ),
        (
            "/request/contents/2/parts",
            results(result("c2", "get_weather"), result("c1", "get_weather")),
            "in their order",
        ),
        (
            "/request/contents/2/parts",
            results(result("c1", "unknown"), result("c2", "get_weather")),
            "names",
        ),
        (
            "/request/contents/2/parts",
            json!([result("c1", "get_weather")]),
            "equal to the number",
        ),
        (
            "/request/contents/2/parts",
            json!([{"text": "first"}, result("c1", "get_weather"), result("c2", "get_weather")]),
            "come first",
        ),
        (
            "/request/contents/0/parts",
            json!([result("c0", "get_weather")]),
            "immediately after a function call turn",
        ),
        ("/request/contents/2/role", json!("model"), "alternate"),
        (
            "/request/systemInstruction",
            json!({"parts": [{"text": ""}]}),
            "system_instruction",
        ),
    ] {
        refused(&rig, &base, place, value, says).await;
    }
    let mut open = base.clone();
    open["request"]["contents"].as_array_mut().unwrap().pop();
    assert!(
        rig.stream(&open)
            .await
            .message()
            .contains("followed by a function response turn")
    );
    // Gemini goes on from a turn of its own.
    open["request"]["contents"] = json!([user("a"), model("b")]);
    assert_eq!(rig.stream(&open).await.status, 200);
}

#[tokio::test]
async fn tools() {
    let rig = Rig::new("{}").await;
    let base = good("gemini-2.5-flash");
    let declare = |name: &str| json!({"functionDeclarations": [{"name": name}]});
    let calling = |config: Value| json!({ "functionCallingConfig": config });
    for (place, value, says) in [
        (
            "/request/tools",
            json!([declare("1st")]),
            "Invalid function name",
        ),
        (
            "/request/tools",
            json!([declare("with space")]),
            "Invalid function name",
        ),
        (
            "/request/tools",
            json!([declare(&"x".repeat(65))]),
            "maximum length of 64",
        ),
        (
            "/request/tools",
            json!([declare("a"), declare("a")]),
            "Duplicate function declaration found: a",
        ),
        (
            "/request/tools",
            json!([declare("a"), {"googleSearch": {}}]),
            "Multiple tools",
        ),
        ("/request/tools", json!([{}]), "tool_type"),
        (
            "/request/tools/0/functionDeclarations/0/parametersJsonSchema",
            json!({}),
            "only one of",
        ),
        (
            "/request/toolConfig",
            calling(json!({"mode": "AUTO", "allowedFunctionNames": ["get_weather"]})),
            "must be ANY or VALIDATED",
        ),
        (
            "/request/toolConfig",
            calling(json!({"mode": "ANY", "allowedFunctionNames": ["other"]})),
            "not declared: other",
        ),
    ] {
        refused(&rig, &base, place, value, says).await;
    }
    let mut none = envelope("gemini-2.5-flash", &asking("hi"));
    none["request"]["toolConfig"] = calling(json!({"mode": "ANY"}));
    assert_eq!(rig.stream(&none).await.status, 400);
    let mut mixed = good("gemini-3-flash");
    mixed["request"]["tools"]
        .as_array_mut()
        .unwrap()
        .push(json!({"googleSearch": {}}));
    assert_eq!(rig.stream(&mixed).await.status, 400);
    mixed["request"]["toolConfig"] = json!({"includeServerSideToolInvocations": true});
    assert_eq!(rig.stream(&mixed).await.status, 200);
}

#[tokio::test]
async fn schemas() {
    let rig = Rig::new("{}").await;
    let base = good("gemini-2.5-flash");
    let place = "/request/tools/0/functionDeclarations/0/parameters";
    let with = |p: Value| json!({"type": "OBJECT", "properties": {"p": p}});
    for (schema, says) in [
        (json!({"type": "STRING"}), "should be of type OBJECT"),
        (
            json!({"type": "OBJECT"}),
            "should be non-empty for OBJECT type",
        ),
        (
            json!({"type": "OBJECT", "properties": {}}),
            "should be non-empty for OBJECT type",
        ),
        (
            with(json!({"type": ["STRING", "NULL"]})),
            "cannot start list",
        ),
        (with(json!({"type": "ARRAY"})), "items: missing field"),
        (
            with(json!({"type": "INTEGER", "enum": ["1"]})),
            "only allowed for STRING type",
        ),
        (
            with(json!({"type": "STRING", "enum": ["a", ""]})),
            "enum[1]: cannot be empty",
        ),
        (with(json!({"type": "STRING", "enum": [1]})), "TYPE_STRING"),
        (
            with(json!({"type": "STRING", "required": ["x"]})),
            "required: only allowed for OBJECT type",
        ),
        (
            with(
                json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["b"]}),
            ),
            "required[0]: property is not defined",
        ),
        (
            with(json!({"anyOf": [{"type": "STRING"}], "description": "x"})),
            "it must be the only field set",
        ),
        (with(json!({"type": "STRING", "format": "enum"})), "format"),
        (with(json!({"type": "STRING", "format": "email"})), "format"),
        (
            with(json!({"description": "no type"})),
            "type: must be specified",
        ),
    ] {
        refused(&rig, &base, place, schema, says).await;
    }
    let mut fine = base.clone();
    let rich = json!({"anyOf": [{"type": "string", "enum": ["a"], "format": "enum", "nullable": true},
        {"type": "ARRAY", "items": {"type": "OBJECT"}, "minItems": "1"}, {"type": "INTEGER", "format": "int32", "minimum": 1}]});
    set(&mut fine, place, with(rich));
    assert_eq!(rig.stream(&fine).await.status, 200);
    let mut config = base.clone();
    let schema =
        json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]});
    config["request"]["generationConfig"] =
        json!({"responseSchema": schema, "responseMimeType": "application/json"});
    assert_eq!(rig.stream(&config).await.said(), r#"{"n":1}"#);
    config["request"]["generationConfig"] = json!({ "responseSchema": schema });
    assert!(
        rig.stream(&config)
            .await
            .message()
            .contains("response_mime_type")
    );
}

#[tokio::test]
async fn settings() {
    let rig = Rig::new("{}").await;
    let base = good("gemini-2.5-pro");
    let config = "/request/generationConfig";
    for (name, value, says) in [
        ("temperature", json!(2.1), "temperature"),
        (
            "topP",
            json!(3),
            "topP value of 3 but the supported range is from 0 to 1",
        ),
        ("topK", json!(0), "topK"),
        ("maxOutputTokens", json!(0), "from 1 (inclusive)"),
        (
            "maxOutputTokens",
            json!(65536),
            "maxOutputTokens value of 65536",
        ),
        ("candidateCount", json!(2), "Multiple candidates"),
        (
            "stopSequences",
            json!(["a", "b", "c", "d", "e", "f"]),
            "stopSequences",
        ),
        ("stopSequences", json!([""]), "empty"),
        ("responseMimeType", json!("text/html"), "allowed mimetypes"),
        ("imageConfig", json!({"imageSize": "1K"}), "Image config"),
        (
            "thinkingConfig",
            json!({"thinkingBudget": 0}),
            "thinking budget 0",
        ),
        (
            "thinkingConfig",
            json!({"thinkingBudget": 100}),
            "between 128 and 32768",
        ),
        (
            "thinkingConfig",
            json!({"thinkingLevel": "LOW"}),
            "Thinking level is not supported",
        ),
        (
            "thinkingConfig",
            json!({"thinkingLevel": "LOW", "thinkingBudget": 128}),
            "only one of",
        ),
    ] {
        refused(&rig, &base, &format!("{config}/{name}"), value, says).await;
    }
    for (model, thinking, good) in [
        ("gemini-2.5-pro", json!({"thinkingBudget": -1}), true),
        ("gemini-2.5-flash", json!({"thinkingBudget": 0}), true),
        ("gemini-2.5-flash", json!({"thinkingBudget": 24577}), false),
        (
            "gemini-2.5-flash-lite",
            json!({"thinkingBudget": 100}),
            false,
        ),
        (
            "gemini-3-pro-high",
            json!({"thinkingLevel": "MEDIUM"}),
            false,
        ),
        ("gemini-3-pro-high", json!({"thinkingLevel": "HIGH"}), true),
        (
            "gemini-3.1-pro-low",
            json!({"thinkingLevel": "MEDIUM"}),
            true,
        ),
        ("gemini-3-flash", json!({"thinkingLevel": "MINIMAL"}), true),
        ("gemini-3-flash", json!({"thinkingLevel": "low"}), false),
        (
            "gpt-oss-120b-medium",
            json!({"thinkingBudget": 1024}),
            false,
        ),
    ] {
        let mut body = base.clone();
        body["model"] = json!(model);
        body["request"]["generationConfig"]["thinkingConfig"] = thinking.clone();
        let got = rig.stream(&body).await;
        assert_eq!(got.status == 200, good, "{model} {thinking}: {}", got.text);
    }
}

#[tokio::test]
async fn claude() {
    let rig = Rig::new("{}").await;
    let base = good("claude-sonnet-4-5");
    for (place, value, says) in [
        (
            "/request/contents/1/parts/0/text",
            json!(" \n"),
            "non-whitespace",
        ),
        (
            "/request/contents/1/parts/1/functionCall/id",
            json!("a.b"),
            "equal|pattern|order",
        ),
        (
            "/request/tools/0/functionDeclarations/0/parameters",
            Value::Null,
            "Field required",
        ),
        (
            "/request/tools/0/functionDeclarations/0/name",
            json!("a.b"),
            "pattern",
        ),
        (
            "/request/tools/0/functionDeclarations/0/parameters/properties/city/minLength",
            json!(2),
            "draft 2020-12",
        ),
        (
            "/request/contents/0/parts/0",
            json!({"inlineData": {"mimeType": "audio/wav", "data": PNG}}),
            "MIME",
        ),
        (
            "/request/generationConfig/presencePenalty",
            json!(1),
            "Penalty",
        ),
        (
            "/request/generationConfig/thinkingConfig",
            json!({"thinkingBudget": 1000}),
            "greater than or equal to 1024",
        ),
        (
            "/request/generationConfig/thinkingConfig",
            json!({"thinkingBudget": 4096}),
            "must be greater than",
        ),
        (
            "/request/generationConfig/thinkingConfig",
            json!({"thinkingBudget": 2048}),
            "temperature",
        ),
    ] {
        let any: Vec<&str> = says.split('|').collect();
        let mut body = base.clone();
        set(&mut body, place, value.clone());
        let got = rig.stream(&body).await;
        assert_eq!(got.status, 400, "{place} = {value}");
        assert!(
            any.iter().any(|s| got.message().contains(s)),
            "{place}: {}",
            got.message()
        );
    }
    let mut twice = base.clone();
    for place in [
        "/request/contents/1/parts/2/functionCall/id",
        "/request/contents/2/parts/1/functionResponse/id",
    ] {
        set(&mut twice, place, json!("c1"));
    }
    assert!(claude_message(&rig.stream(&twice).await).contains("must be unique"));
}

#[tokio::test]
async fn claude_while_it_thinks() {
    let rig = Rig::new("{}").await;
    let thinking = |change: &dyn Fn(&mut Value)| {
        let mut body = envelope("claude-sonnet-4-5", &with_tool("hi"));
        body["request"]["generationConfig"] = json!({"maxOutputTokens": 4096,
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024}});
        change(&mut body["request"]);
        body
    };
    assert_eq!(rig.stream(&thinking(&|_| {})).await.status, 200);
    let forced = json!({"functionCallingConfig": {"mode": "ANY"}});
    for body in [
        thinking(&|r| r["toolConfig"] = forced.clone()),
        thinking(&|r| r["generationConfig"]["topK"] = json!(4)),
        thinking(&|r| r["generationConfig"]["topP"] = json!(0.5)),
        thinking(&|r| {
            r["contents"]
                .as_array_mut()
                .unwrap()
                .push(json!({"role": "model", "parts": [{"text": "I"}]}));
        }),
    ] {
        let got = rig.stream(&body).await;
        assert_eq!(got.status, 400, "{body}");
        claude_message(&got);
    }
    let prefill = json!([{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]);
    for (model, status) in [("claude-sonnet-4-5", 200), ("claude-sonnet-4-6", 400)] {
        let body = envelope(model, &json!({ "contents": prefill }));
        assert_eq!(rig.stream(&body).await.status, status, "{model}");
    }
}

#[tokio::test]
async fn image_and_gpt_oss() {
    let rig = Rig::new("{}").await;
    let image = envelope("gemini-3-pro-image", &asking("A fox"));
    refused(
        &rig,
        &image,
        "/requestType",
        json!("agent"),
        "not supported",
    )
    .await;
    let system = json!({"parts": [{"text": "x"}]});
    refused(
        &rig,
        &image,
        "/request/systemInstruction",
        system,
        "Developer instruction",
    )
    .await;
    refused(
        &rig,
        &image,
        "/request/tools",
        with_tool("")["tools"].clone(),
        "Function calling",
    )
    .await;
    let json_mode = json!({"responseMimeType": "application/json"});
    refused(
        &rig,
        &image,
        "/request/generationConfig",
        json_mode,
        "JSON mode",
    )
    .await;
    let size = |s: &str| json!({"imageConfig": {"imageSize": s}});
    refused(
        &rig,
        &image,
        "/request/generationConfig",
        size("1k"),
        "TYPE_ENUM",
    )
    .await;
    let mut sized = image.clone();
    sized["request"]["generationConfig"] = size("2K");
    assert_eq!(rig.stream(&sized).await.status, 200);
    let oss = envelope("gpt-oss-120b-medium", &asking("hi"));
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": PNG}});
    refused(
        &rig,
        &oss,
        "/request/contents/0/parts/0",
        picture,
        "not enabled",
    )
    .await;
    let safety = json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]);
    refused(&rig, &oss, "/request/safetySettings", safety, "Safety").await;
    let limit = json!({"maxOutputTokens": 32769});
    refused(
        &rig,
        &oss,
        "/request/generationConfig",
        limit,
        "maxOutputTokens",
    )
    .await;
}

#[tokio::test]
async fn prompts_that_are_too_long() {
    let rig = Rig::new("{}").await;
    let long = "word ".repeat(200_000);
    let got = rig.ask("claude-sonnet-4-6", &long).await;
    assert!(claude_message(&got).starts_with("prompt is too long: 250000 tokens > 200000 maximum"));
    assert_eq!(rig.ask("gemini-2.5-flash", &long).await.status, 200);
    let got = rig.ask("gemini-2.5-flash", &long.repeat(5)).await;
    assert!(
        got.message()
            .contains("exceeds the maximum number of tokens")
    );
}

#[tokio::test]
async fn some_models_only_stream() {
    let rig = Rig::new("{}").await;
    for (model, status) in [
        ("claude-sonnet-4-6", 400),
        ("gemini-3-pro-high", 400),
        ("gemini-2.5-flash", 200),
        ("gemini-3-flash", 200),
    ] {
        let got = rig
            .post(
                "/v1internal:generateContent",
                &envelope(model, &asking("hi")),
            )
            .await;
        assert_eq!(got.status, status, "{model}");
    }
}

#[tokio::test]
async fn lenient_takes_all_of_it() {
    let rig = Rig::new(r#"{"lenient":true,"answer_bytes":100,"chunks":50}"#).await;
    let nonsense = json!({"model": "gpt-5", "messages": [], "stream": true});
    let url = rig.sim.url() + STREAM;
    let got = read(rig.client.post(url).body(nonsense.to_string())).await;
    assert_eq!(
        (got.status, got.events().len(), got.said().len()),
        (200, 50, 100)
    );
    let seen = rig.sim.requests();
    let last = seen.last().unwrap();
    assert_eq!((last.model.as_str(), last.body.is_null()), ("gpt-5", true));
    rig.sim
        .set_script(Script::parse(r#"{"lenient":true}"#).unwrap());
    assert!(rig.ask("any", "echo me").await.said().contains("echo me"));
}
