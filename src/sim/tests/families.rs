//! The rules of schemas and settings, and those of single families.

use super::setup::set;
use super::strictness::{PNG, good, refused};
use super::*;

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
