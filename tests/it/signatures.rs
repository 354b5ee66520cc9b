//! Histories with thinking and calls: what the upstream signed comes back to it, whatever the client's dialect lost.

use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{Dialect, Got};
use crate::support::setup::Setup;
use crate::support::{TestApp, script};

const GEMINI: &str = "gemini-3-flash";
const CLAUDE: &str = "claude-sonnet-4-5-thinking";
const SENTINEL: &str = "skip_thought_signature_validator";
const OTHER_KEY: &str = "test-key-of-somebody-else-0123456789";

async fn start() -> TestApp {
    let setup = Setup::new(&["alice"]).at(&["keys", "other"], "key", OTHER_KEY);
    TestApp::start(setup, json!({})).await
}

/// The first step: a request that makes the model think and call `get_weather`.
fn first(dialect: Dialect, model: &str) -> Value {
    let mut body = dialect.saying(model, "Please get weather in Oslo", false);
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    match dialect {
        OpenAi => {
            body["reasoning_effort"] = json!("high");
            body["max_tokens"] = json!(60_000);
            body["tools"] = json!([{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]);
        }
        Anthropic => {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 2048});
            body["tools"] = json!([{"name": "get_weather", "input_schema": schema}]);
        }
    }
    body
}

/// What the model said, as the dialect's message.
fn message(dialect: Dialect, got: &Got) -> Value {
    assert_eq!(got.status, 200, "{}", got.text);
    let body = got.json();
    match dialect {
        OpenAi => body["choices"][0]["message"].clone(),
        Anthropic => json!({"role": "assistant", "content": body["content"]}),
    }
}

/// The next step: the model's message as the client kept it, and the tool's result.
fn second(dialect: Dialect, first: &Value, message: Value) -> Value {
    let result = match dialect {
        OpenAi => {
            json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "3 C"})
        }
        Anthropic => {
            let blocks = message["content"].as_array().unwrap();
            let call = blocks.iter().find(|b| b["type"] == "tool_use").unwrap();
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "3 C"}]})
        }
    };
    let mut body = first.clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(result);
    body
}

/// Like a client that keeps nothing but what OpenAI's or Anthropic's plainest SDK example keeps.
fn forgetful(dialect: Dialect, mut message: Value) -> Value {
    match dialect {
        OpenAi => {
            message.as_object_mut().unwrap().remove("reasoning_content");
            for call in message["tool_calls"].as_array_mut().unwrap() {
                call.as_object_mut().unwrap().remove("extra_content");
            }
        }
        Anthropic => {
            message["content"]
                .as_array_mut()
                .unwrap()
                .retain(|b| b["type"] != "thinking");
        }
    }
    message
}

/// The history's model turn in the last payload that the upstream saw.
fn sent(app: &TestApp) -> (Value, Vec<Value>) {
    let payload = app.payloads().pop().unwrap();
    let contents = payload["request"]["contents"].as_array().unwrap();
    let turn = contents.iter().rfind(|c| c["role"] == "model").unwrap();
    (
        payload["request"].clone(),
        turn["parts"].as_array().unwrap().clone(),
    )
}

fn call_signature(parts: &[Value]) -> Option<&str> {
    let call = parts
        .iter()
        .find(|p| p.get("functionCall").is_some())
        .unwrap();
    call["thoughtSignature"].as_str()
}

#[track_caller]
fn assert_answered(dialect: Dialect, got: &Got) {
    assert_eq!(
        got.said(dialect),
        "get_weather answered: 3 C",
        "{}",
        got.text
    );
}

#[tokio::test]
async fn geminis_signature_comes_back_though_the_client_keeps_none() {
    for dialect in [OpenAi, Anthropic] {
        let mut app = start().await;
        let ask = first(dialect, GEMINI);
        let message = message(dialect, &app.send(dialect, &ask).await);
        // The strict upstream would refuse an invented or missing one; the stand-in is not what is wanted either.
        let next = second(dialect, &ask, forgetful(dialect, message.clone()));
        assert_answered(dialect, &app.send(dialect, &next).await);
        let stored = call_signature(&sent(&app).1).unwrap().to_owned();
        assert_ne!(stored, SENTINEL);
        if dialect == OpenAi {
            assert_eq!(
                message["tool_calls"][0]["extra_content"]["google"]["thought_signature"],
                stored
            );
        }
        // A client that gives it back is believed.
        let next = second(dialect, &ask, message.clone());
        assert_answered(dialect, &app.send(dialect, &next).await);
        assert_eq!(call_signature(&sent(&app).1), Some(stored.as_str()));
        // And the store knows it after a restart.
        app.restart().await;
        let next = second(dialect, &ask, forgetful(dialect, message));
        assert_answered(dialect, &app.send(dialect, &next).await);
        assert_eq!(call_signature(&sent(&app).1), Some(stored.as_str()));
    }
}

#[tokio::test]
async fn a_streamed_call_is_remembered_too() {
    let app = start().await;
    let mut ask = first(OpenAi, GEMINI);
    ask["stream"] = json!(true);
    let streamed = app.send(OpenAi, &ask).await;
    let call = streamed
        .text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .find_map(|event| {
            let call = &event["choices"][0]["delta"]["tool_calls"][0];
            call.is_object().then(|| call.clone())
        })
        .unwrap();
    ask["stream"] = json!(false);
    let message = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": call["id"], "type": "function", "function": call["function"]}]});
    assert_answered(
        OpenAi,
        &app.send(OpenAi, &second(OpenAi, &ask, message)).await,
    );
    assert_ne!(call_signature(&sent(&app).1), Some(SENTINEL));
}

#[tokio::test]
async fn a_lost_signature_of_gemini_becomes_the_documented_stand_in() {
    let app = start().await;
    let ask = first(OpenAi, GEMINI);
    let message = message(OpenAi, &app.send(OpenAi, &ask).await);
    // Another client's key sees nothing of it.
    let next = second(OpenAi, &ask, forgetful(OpenAi, message));
    let got = Got::read(app.request_as(OpenAi, OTHER_KEY, &next)).await;
    assert_answered(OpenAi, &got);
    assert_eq!(call_signature(&sent(&app).1), Some(SENTINEL));
}

#[tokio::test]
async fn claudes_thinking_blocks_come_back_signed() {
    let mut app = start().await;
    let ask = first(Anthropic, CLAUDE);
    let message = message(Anthropic, &app.send(Anthropic, &ask).await);
    let thinking = &message["content"][0];
    assert_eq!(thinking["type"], "thinking");
    assert!(
        thinking["signature"].as_str().unwrap().starts_with('E'),
        "Anthropic's own form"
    );
    // Returned, forgotten, and forgotten over a restart.
    for (step, kept) in [
        message.clone(),
        forgetful(Anthropic, message.clone()),
        forgetful(Anthropic, message.clone()),
    ]
    .into_iter()
    .enumerate()
    {
        if step == 2 {
            app.restart().await;
        }
        assert_answered(
            Anthropic,
            &app.send(Anthropic, &second(Anthropic, &ask, kept)).await,
        );
        let (request, parts) = sent(&app);
        assert_eq!(parts[0]["thought"], true);
        assert_eq!(parts[0]["text"], thinking["thinking"]);
        assert!(
            parts[0]["thoughtSignature"]
                .as_str()
                .unwrap()
                .starts_with('R')
        );
        assert_eq!(
            request["generationConfig"]["thinkingConfig"]["thinkingBudget"], 2048,
            "thinking stays on"
        );
    }
}

#[tokio::test]
async fn claude_over_openai_keeps_thinking_through_a_tool_loop() {
    let app = start().await;
    let ask = first(OpenAi, CLAUDE);
    let message = message(OpenAi, &app.send(OpenAi, &ask).await);
    assert!(message["reasoning_content"].is_string(), "{message}");
    let next = second(OpenAi, &ask, forgetful(OpenAi, message));
    assert_answered(OpenAi, &app.send(OpenAi, &next).await);
    let (request, parts) = sent(&app);
    assert_eq!(parts[0]["thought"], true);
    assert!(request["generationConfig"]["thinkingConfig"].is_object());
}

#[tokio::test]
async fn a_lost_signature_of_claude_switches_thinking_off_for_one_request() {
    let app = start().await;
    let ask = first(Anthropic, CLAUDE);
    let message = message(Anthropic, &app.send(Anthropic, &ask).await);
    let next = second(Anthropic, &ask, forgetful(Anthropic, message));
    let got = Got::read(app.request_as(Anthropic, OTHER_KEY, &next)).await;
    assert_answered(Anthropic, &got);
    let (request, parts) = sent(&app);
    assert!(parts.iter().all(|p| p["thought"] != true));
    assert!(
        request["generationConfig"].get("thinkingConfig").is_none(),
        "{request}"
    );
    // The next conversation thinks again.
    let got = Got::read(app.request_as(Anthropic, OTHER_KEY, &ask)).await;
    assert_eq!(got.json()["content"][0]["type"], "thinking");
}

#[tokio::test]
async fn a_refused_signature_is_repaired_once() {
    for (dialect, model) in [(OpenAi, GEMINI), (Anthropic, CLAUDE)] {
        let app = start().await;
        let ask = first(dialect, model);
        let message = message(dialect, &app.send(dialect, &ask).await);
        let next = second(dialect, &ask, message);
        app.sim.set_script(script(&json!({"rules": [
            {"times": 1, "do": {"status": 400, "message": "Corrupted thought signature."}}]})));
        let got = app.send(dialect, &next).await;
        assert_answered(dialect, &got);
        assert_eq!(
            app.tries(got.id()).await,
            ["alice signature_invalid", "alice ok"]
        );
        assert_eq!(
            app.account("alice").health().2.len(),
            0,
            "the account is not at fault"
        );
    }
}

#[tokio::test]
async fn a_signature_that_a_client_invented_does_no_harm() {
    let app = start().await;
    for (dialect, model) in [
        (OpenAi, GEMINI),
        (Anthropic, CLAUDE),
        (Anthropic, GEMINI),
        (OpenAi, CLAUDE),
    ] {
        let ask = first(dialect, model);
        let message = match dialect {
            OpenAi => {
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_x", "type": "function",
                "function": {"name": "get_weather", "arguments": "{\"city\":\"Oslo\"}"},
                "extra_content": {"google": {"thought_signature": "AAAAAAAA"}}}]})
            }
            Anthropic => json!({"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EjwKAgkQFx4lLDM6QUhPVl1ka3J5"},
                {"type": "tool_use", "id": "toolu_x", "name": "get_weather", "input": {"city": "Oslo"}}]}),
        };
        assert_answered(
            dialect,
            &app.send(dialect, &second(dialect, &ask, message)).await,
        );
    }
}

#[tokio::test]
async fn a_conversation_may_change_its_model() {
    let app = start().await;
    for (from, to) in [
        (GEMINI, CLAUDE),
        (CLAUDE, GEMINI),
        (CLAUDE, "gemini-2.5-flash"),
        (GEMINI, "gpt-oss-120b-medium"),
    ] {
        let mut ask = first(Anthropic, from);
        let message = message(Anthropic, &app.send(Anthropic, &ask).await);
        ask["model"] = json!(to);
        assert_answered(
            Anthropic,
            &app.send(Anthropic, &second(Anthropic, &ask, message)).await,
        );
    }
}
