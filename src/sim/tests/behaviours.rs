//! What a script can make the simulator do.

use std::time::Duration;

use super::*;

/// A rig whose generations do this.
pub(super) async fn doing(behaviour: &str) -> Rig {
    Rig::new(&format!(r#"{{"rules":[{{"do":{behaviour}}}]}}"#)).await
}

pub(super) async fn hi(rig: &Rig) -> Got {
    rig.ask("gemini-2.5-flash", "hi").await
}

#[tokio::test]
async fn echo_reflects_all_kinds_of_parts() {
    let rig = Rig::new("{}").await;
    let mut request = asking("Größe 日本?");
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    request["contents"][0]["parts"]
        .as_array_mut()
        .unwrap()
        .push(picture);
    let got = rig.stream(&envelope("gemini-2.5-flash", &request)).await;
    assert_eq!(
        got.said(),
        "You said: Größe 日本?\nYou sent image/png of 8 bytes"
    );
    assert_eq!(got.finish(), "STOP");
    assert_eq!(got.headers["content-type"], "text/event-stream");
    let last = got.events().last().unwrap().clone();
    let usage = &last["response"]["usageMetadata"];
    let count = |n: &str| usage[n].as_u64().unwrap_or(0);
    assert!(count("promptTokenCount") > 258);
    assert_eq!(
        count("totalTokenCount"),
        count("promptTokenCount") + count("candidatesTokenCount") + count("thoughtsTokenCount")
    );
    assert_eq!(last["response"]["modelVersion"], "gemini-2.5-flash");
}

#[tokio::test]
async fn unary_and_array_say_the_same() {
    let rig = Rig::new("{}").await;
    let body = envelope("gemini-3-flash", &asking("the same"));
    let unary = rig.post("/v1internal:generateContent", &body).await.json();
    let candidate = &unary["response"]["candidates"][0];
    assert_eq!(candidate["content"]["parts"].as_array().unwrap().len(), 1);
    assert_eq!(
        candidate["content"]["parts"][0]["text"],
        "You said: the same"
    );
    assert!(candidate["content"]["parts"][0]["thoughtSignature"].is_string());
    assert_eq!(candidate["finishReason"], "STOP");
    let array = rig
        .post("/v1internal:streamGenerateContent", &body)
        .await
        .json();
    assert_eq!(
        said(&parts(array.as_array().unwrap())),
        "You said: the same"
    );
}

#[tokio::test]
async fn tools_are_called_when_mentioned_or_forced() {
    let rig = Rig::new("{}").await;
    let mut request = with_tool("Get weather in Oslo!");
    let made = calls(
        &rig.stream(&envelope("gemini-2.5-flash", &request))
            .await
            .parts(),
    );
    assert_eq!(made[0]["functionCall"]["args"], json!({"city": "Oslo"}));
    request["toolConfig"] = json!({"functionCallingConfig": {"mode": "NONE"}});
    let got = rig.stream(&envelope("gemini-2.5-flash", &request)).await;
    assert!(calls(&got.parts()).is_empty() && !got.said().is_empty());
    let mut request = with_tool("hello");
    let quiet = rig.stream(&envelope("claude-sonnet-4-6", &request)).await;
    assert!(calls(&quiet.parts()).is_empty());
    request["toolConfig"] =
        json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}});
    let forced = rig.stream(&envelope("claude-sonnet-4-6", &request)).await;
    let id = calls(&forced.parts())[0]["functionCall"]["id"].clone();
    assert!(id.as_str().unwrap().starts_with("toolu_"));
    rig.sim
        .set_script(Script::parse(r#"{"answer":"tools","call_ids":false}"#).unwrap());
    let asked = rig
        .stream(&envelope("gemini-2.5-flash", &with_tool("hello")))
        .await;
    assert!(calls(&asked.parts())[0]["functionCall"].get("id").is_none());
}

#[tokio::test]
async fn thinking_is_shown_when_asked_for() {
    let rig = Rig::new("{}").await;
    let thoughts = |got: &Got| got.parts().iter().filter(|p| p["thought"] == true).count();
    assert_eq!(thoughts(&hi(&rig).await), 0);
    assert!(thoughts(&rig.ask("gpt-oss-120b-medium", "hi").await) > 0);
    let mut request = asking("hi");
    request["generationConfig"] =
        json!({"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024}});
    let got = rig.stream(&envelope("gemini-2.5-flash", &request)).await;
    assert!(thoughts(&got) > 0);
    let last = got.events().last().unwrap().clone();
    assert!(
        last["response"]["usageMetadata"]["thoughtsTokenCount"]
            .as_u64()
            .unwrap()
            > 0
    );
    let rig = doing(r#"{"answer":"think","thoughts":"Hm."}"#).await;
    let got = hi(&rig).await;
    assert_eq!(got.parts()[0], json!({"text": "Hm.", "thought": true}));
    assert_eq!(got.said(), "You said: hi");
}

#[tokio::test]
async fn images_are_made() {
    let rig = Rig::new("{}").await;
    let got = rig.ask("gemini-3-pro-image", "A fox").await;
    let parts = got.parts();
    let blob = &parts
        .iter()
        .find(|p| p.get("inlineData").is_some())
        .unwrap()["inlineData"];
    assert_eq!(blob["mimeType"], "image/png");
    assert!(decode64(blob["data"].as_str().unwrap()).starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn limits_and_stop_sequences_hold() {
    let rig = Rig::new(r#"{"text":"one two three four five"}"#).await;
    let with = async |config: Value| {
        let mut request = asking("hi");
        request["generationConfig"] = config;
        rig.stream(&envelope("gemini-2.5-flash", &request)).await
    };
    let cut = with(json!({"maxOutputTokens": 2})).await;
    assert_eq!(
        (cut.said().as_str(), cut.finish().as_str()),
        ("one two ", "MAX_TOKENS")
    );
    let stopped = with(json!({"stopSequences": ["four", "three"]})).await;
    assert_eq!(
        (stopped.said().as_str(), stopped.finish().as_str()),
        ("one two ", "STOP")
    );
}

#[tokio::test]
async fn ends_of_other_kinds() {
    let empty = hi(&doing(r#"{"answer":"empty"}"#).await).await;
    assert!(empty.parts().is_empty());
    assert_eq!(empty.finish(), "STOP");
    let malformed =
        hi(&doing(r#"{"answer":"empty","finish":"MALFORMED_FUNCTION_CALL"}"#).await).await;
    assert_eq!(malformed.finish(), "MALFORMED_FUNCTION_CALL");
    let blocked = hi(&doing(r#"{"prompt_blocked":"SAFETY"}"#).await).await;
    let event = &blocked.events()[0]["response"];
    assert_eq!(event["promptFeedback"]["blockReason"], "SAFETY");
    assert!(event.get("candidates").is_none());
    let plain = hi(&doing(r#"{"usage":false}"#).await).await;
    assert!(!plain.text.contains("usageMetadata"));
    let cached = hi(&doing(r#"{"cached_tokens":1}"#).await).await;
    assert!(cached.text.contains(r#""cachedContentTokenCount":1"#));
}

#[tokio::test]
async fn sizes_of_answers_and_chunks() {
    let got = hi(&doing(r#"{"answer_bytes":1000,"chunks":50}"#).await).await;
    assert_eq!((got.said().len(), got.events().len()), (1000, 50));
    let rig = doing(r#"{"answer_bytes":1000,"chunks":50}"#).await;
    assert_eq!(rig.ask("gemini-3-flash", "hi").await.events().len(), 50);
    let got = hi(&doing(r#"{"text":"日本日本","chunk_bytes":6}"#).await).await;
    assert_eq!(got.events().len(), 2);
}

#[tokio::test]
async fn odd_borders_are_still_the_format() {
    let got = hi(&doing(r#"{"odd_borders":true,"text":"größer als 日本"}"#).await).await;
    assert!(got.text.contains("\r\n") && got.text.starts_with(": odd"));
    assert_eq!(
        (got.said().as_str(), got.finish().as_str()),
        ("größer als 日本", "STOP")
    );
}

#[tokio::test]
async fn raw_text_is_sent_as_it_is() {
    let got = hi(&doing(r#"{"raw":"data: [DONE]\n\n","chunk_bytes":3}"#).await).await;
    assert_eq!(got.text, "data: [DONE]\n\n");
}

#[tokio::test]
async fn errors_inside_a_stream() {
    let rig =
        doing(r#"{"text":"abcdef","chunks":3,"error_in_stream":2,"status":503,"form":"capacity"}"#)
            .await;
    let got = hi(&rig).await;
    assert_eq!((got.status, got.said().as_str()), (200, "abcd"));
    let error = got.events().pop().unwrap();
    assert_eq!(error["error"]["status"], "UNAVAILABLE");
    assert_eq!(
        error["error"]["details"][0]["reason"],
        "MODEL_CAPACITY_EXHAUSTED"
    );
    let rig = doing(r#"{"error_in_stream":0,"status":429,"form":"list"}"#).await;
    assert_eq!(hi(&rig).await.events()[0][0]["error"]["code"], 429);
}

/// What arrives before the body ends, and whether it ended well.
async fn until_broken(rig: &Rig) -> (String, bool) {
    let mut response = rig
        .request(STREAM, &envelope("gemini-2.5-flash", &asking("hi")))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Ok(None) => return (text, true),
            Err(_) => return (text, false),
        }
    }
}

#[tokio::test]
async fn streams_that_break() {
    for (fault, well) in [("truncate", true), ("cut", false)] {
        let rig = doing(&format!(r#"{{"text":"abcdef","chunks":3,"{fault}":2}}"#)).await;
        let (text, ended) = until_broken(&rig).await;
        assert_eq!(
            (said(&parts(&events(&text))).as_str(), ended),
            ("abcd", well),
            "{fault}"
        );
        assert_eq!(
            (rig.sim.cancelled(), rig.sim.in_flight("alice@example.com")),
            (0, 0)
        );
    }
    let rig = doing(r#"{"reset":0}"#).await;
    assert_eq!(until_broken(&rig).await, (String::new(), false));
    let rig = doing(r#"{"drop":true}"#).await;
    let sent = rig
        .request(STREAM, &envelope("gemini-2.5-flash", &asking("hi")))
        .send()
        .await;
    assert!(sent.is_err());
    assert_eq!(rig.sim.requests().last().unwrap().status, 0);
}

#[tokio::test]
async fn pauses_wait_for_release() {
    let rig = doing(r#"{"text":"abc","chunks":3,"pause_until_released":true}"#).await;
    let mut response = rig
        .request(STREAM, &envelope("gemini-2.5-flash", &asking("hi")))
        .send()
        .await
        .unwrap();
    for letter in ["a", "b", "c"] {
        let chunk = response.chunk().await.unwrap().unwrap();
        let text = said(&parts(&events(std::str::from_utf8(&chunk).unwrap())));
        assert_eq!(text, letter);
        assert_eq!(
            rig.sim.in_flight("alice@example.com"),
            usize::from(letter != "c")
        );
        rig.sim.release();
    }
    assert!(response.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn loads_are_counted_and_lost_clients_noticed() {
    let rig = doing(r#"{"text":"abc","chunks":3,"stall":1}"#).await;
    let body = envelope("gemini-2.5-flash", &asking("hi"));
    let mut first = rig.request(STREAM, &body).send().await.unwrap();
    let second = rig.request(STREAM, &body).send().await.unwrap();
    first.chunk().await.unwrap().unwrap();
    assert_eq!(rig.sim.in_flight("alice@example.com"), 2);
    assert_eq!(rig.sim.load("", "gemini-2.5-flash").current, 2);
    drop((first, second));
    rig.sim.until(|sim| sim.cancelled() == 2).await;
    assert_eq!(rig.sim.in_flight("alice@example.com"), 0);
    assert_eq!(rig.sim.peak_in_flight("alice@example.com"), 2);
    rig.sim.clear();
    assert_eq!(
        (
            rig.sim.peak_in_flight("alice@example.com"),
            rig.sim.requests().len()
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn a_client_lost_before_the_first_byte_is_noticed() {
    let rig = doing(r#"{"first_byte_delay":"1h"}"#).await;
    let request = rig
        .request(STREAM, &envelope("gemini-2.5-flash", &asking("hi")))
        .send();
    tokio::select! {
        _ = request => panic!("answered too early"),
        () = rig.sim.until(|sim| sim.in_flight("alice@example.com") == 1) => {}
    }
    rig.sim.until(|sim| sim.cancelled() == 1).await;
}

#[tokio::test]
async fn delays_are_kept() {
    let rig =
        doing(r#"{"first_byte_delay":"30ms","chunk_delay":"10ms","text":"abcd","chunks":4}"#).await;
    let begin = std::time::Instant::now();
    assert_eq!(hi(&rig).await.said(), "abcd");
    assert!(begin.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn rules_are_for_accounts_models_hosts_and_times() {
    let mut rig = Rig::new(
        r#"{"rules":[{"account":"alice@*","times":1,"do":{"status":500}},{"model":"claude-*","do":{"status":502}},
        {"host":"host1","do":{"status":504}}]}"#,
    )
    .await;
    assert_eq!([hi(&rig).await.status, hi(&rig).await.status], [500, 200]);
    assert_eq!(rig.ask("claude-sonnet-4-6", "hi").await.status, 502);
    let body = envelope("gemini-2.5-flash", &asking("hi"));
    assert_eq!(
        rig.post(&format!("/host1{STREAM}"), &body).await.status,
        504
    );
    assert_eq!(
        rig.post(&format!("/host2{STREAM}"), &body).await.status,
        200
    );
    let seen = rig.sim.requests();
    assert_eq!(seen.last().unwrap().host, "host2");
    assert_eq!(seen[seen.len() - 2].rule, Some(2));
    rig.token = rig.login("bob").await;
    let mut body = body;
    body["project"] = json!("sim-project-bob");
    assert_eq!(rig.stream(&body).await.status, 200);
    assert_eq!(
        rig.sim.requests().last().unwrap().account,
        "bob@example.com"
    );
}

#[tokio::test]
async fn invalid_requests_use_up_no_rule() {
    let rig = Rig::new(r#"{"rules":[{"times":1,"do":{"status":500}}]}"#).await;
    let bad = rig
        .stream(&envelope("gemini-2.5-flash", &json!({"contents": []})))
        .await;
    assert_eq!(bad.status, 400);
    assert_eq!(hi(&rig).await.status, 500);
}
