//! Signatures of a running conversation: issued, returned, lost, altered, moved, foreign.

use super::*;

fn thinking(model: &str) -> Value {
    if model.starts_with("claude") {
        json!({"maxOutputTokens": 8192, "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024}})
    } else {
        json!({"thinkingConfig": {"includeThoughts": true, "thinkingLevel": "HIGH"}})
    }
}

/// A request that makes the model call, and its answer's parts with the thoughts joined.
async fn first_step(rig: &Rig, model: &str) -> (Value, Vec<Value>) {
    let mut request = with_tool("Please get weather in Oslo");
    request["generationConfig"] = thinking(model);
    let got = rig.stream(&envelope(model, &request)).await;
    assert_eq!(got.status, 200, "{}", got.text);
    let parts = got.parts();
    let thoughts: String = parts
        .iter()
        .filter(|p| p["thought"] == true)
        .filter_map(|p| p["text"].as_str())
        .collect();
    let mut kept = vec![json!({"text": thoughts, "thought": true})];
    let signed = parts
        .iter()
        .find(|p| p["thought"] == true && p["thoughtSignature"].is_string());
    if let Some(signed) = signed {
        kept[0]["thoughtSignature"] = signed["thoughtSignature"].clone();
    }
    kept.extend(calls(&parts));
    (request, kept)
}

/// The request of the next step.
fn second_step(model: &str, request: &Value, turn: &[Value]) -> Value {
    let mut request = request.clone();
    let results: Vec<Value> = calls(turn)
        .iter()
        .map(|c| {
            let call = &c["functionCall"];
            json!({"functionResponse": {"id": call["id"], "name": call["name"], "response": {"output": "3 C"}}})
        })
        .collect();
    let contents = request["contents"].as_array_mut().unwrap();
    contents.push(json!({"role": "model", "parts": turn}));
    contents.push(json!({"role": "user", "parts": results}));
    envelope(model, &request)
}

#[tokio::test]
async fn gemini_wants_the_first_call_signed() {
    let rig = Rig::new("{}").await;
    let model = "gemini-3-flash";
    let (request, turn) = first_step(&rig, model).await;
    assert_eq!(turn[1]["functionCall"]["args"], json!({"city": "Oslo"}));
    assert!(turn[0].get("thoughtSignature").is_none());
    let good = rig.stream(&second_step(model, &request, &turn)).await;
    assert_eq!(good.said(), "get_weather answered: 3 C");
    let with = |signature: Value| {
        let mut turn = turn.clone();
        turn[1]["thoughtSignature"] = signature;
        second_step(model, &request, &turn)
    };
    let missing = rig.stream(&with(Value::Null)).await;
    assert_eq!(missing.status, 400);
    assert!(
        missing
            .message()
            .starts_with("Function call is missing a thought_signature in functionCall parts")
    );
    for sentinel in [
        "skip_thought_signature_validator",
        "context_engineering_is_the_way_to_go",
    ] {
        assert_eq!(rig.stream(&with(json!(sentinel))).await.status, 200);
    }
    let last = good.parts().last().unwrap()["thoughtSignature"].clone();
    for bad in [json!("AAAA"), last.clone()] {
        assert_eq!(
            rig.stream(&with(bad)).await.message(),
            "Corrupted thought signature."
        );
    }
    // Once the user has said something else, the turn is an old one, and nothing need be signed.
    let mut old = with(Value::Null);
    let contents = old["request"]["contents"].as_array_mut().unwrap();
    contents.push(json!({"role": "model", "parts": [{"text": "3 C", "thoughtSignature": last}]}));
    contents.push(json!({"role": "user", "parts": [{"text": "Thanks"}]}));
    assert_eq!(rig.stream(&old).await.status, 200);
}

#[tokio::test]
async fn claude_wants_its_thoughts_back() {
    let rig = Rig::new("{}").await;
    let model = "claude-sonnet-4-6";
    let (request, turn) = first_step(&rig, model).await;
    let signature = turn[0]["thoughtSignature"].as_str().unwrap();
    assert!(signature.starts_with('R'));
    assert!(decode64(signature).starts_with(b"E"));
    assert_eq!(
        rig.stream(&second_step(model, &request, &turn))
            .await
            .status,
        200
    );
    let refusal = async |turn: &[Value]| {
        let got = rig.stream(&second_step(model, &request, turn)).await;
        assert_eq!(got.status, 400, "{turn:?}");
        claude_message(&got)
    };
    let change = |name: &str, value: Value| {
        let mut turn = turn.clone();
        turn[0][name] = value;
        turn
    };
    let says = refusal(&change("text", json!("other"))).await;
    assert!(
        says.contains("Invalid `signature` in `thinking` block"),
        "{says}"
    );
    let native = String::from_utf8(decode64(signature)).unwrap();
    let says = refusal(&change("thoughtSignature", json!(native))).await;
    assert!(says.contains("Invalid `signature`"), "{says}");
    let says = refusal(&change(
        "thoughtSignature",
        json!("skip_thought_signature_validator"),
    ))
    .await;
    assert!(says.contains("Invalid `signature`"), "{says}");
    let says = refusal(&change("thoughtSignature", Value::Null)).await;
    assert!(
        says.contains("thinking.signature: Field required"),
        "{says}"
    );
    let says = refusal(&turn[1..]).await;
    assert!(
        says.contains("Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
        "{says}"
    );
    // Without thinking the same history passes.
    let mut off = second_step(model, &request, &turn[1..]);
    off["request"]["generationConfig"] = json!({"maxOutputTokens": 100});
    assert_eq!(rig.stream(&off).await.status, 200);
}

#[tokio::test]
async fn families_do_not_take_each_others_signatures() {
    let rig = Rig::new("{}").await;
    let (request, gemini) = first_step(&rig, "gemini-3-flash").await;
    let (_, claude) = first_step(&rig, "claude-sonnet-4-6").await;
    let mut mixed = gemini.clone();
    mixed[1]["thoughtSignature"] = claude[0]["thoughtSignature"].clone();
    for model in ["gemini-3-flash", "gemini-2.5-flash", "gpt-oss-120b-medium"] {
        let mut body = second_step(model, &request, &mixed);
        body["request"]
            .as_object_mut()
            .unwrap()
            .remove("generationConfig");
        assert_eq!(
            rig.stream(&body).await.message(),
            "Corrupted thought signature.",
            "{model}"
        );
    }
    let mut body = second_step("claude-sonnet-4-6", &request, &gemini[1..]);
    body["request"]
        .as_object_mut()
        .unwrap()
        .remove("generationConfig");
    assert!(claude_message(&rig.stream(&body).await).contains("Invalid `signature`"));
}

#[tokio::test]
async fn one_signature_for_parallel_calls() {
    let rig = Rig::new(r#"{"calls":["get_weather",{"name":"get_weather","id":"mine","args":{"city":"Rome"}}],"spread_calls":true}"#).await;
    let got = rig
        .stream(&envelope("gemini-3-flash", &with_tool("hi")))
        .await;
    let made = calls(&got.parts());
    assert!(made[0]["thoughtSignature"].is_string());
    assert!(made[1].get("thoughtSignature").is_none());
    assert_eq!(
        made[1]["functionCall"],
        json!({"id": "mine", "name": "get_weather", "args": {"city": "Rome"}})
    );
    assert_eq!((got.events().len(), got.finish().as_str()), (2, "STOP"));
}
