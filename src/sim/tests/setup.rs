//! Project discovery, onboarding, models, counting, and the control endpoint.

use super::*;

fn metadata() -> Value {
    json!({"metadata": {"ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI"}})
}

#[tokio::test]
async fn tiers_and_projects() {
    let rig = Rig::new(r#"{"accounts":{"alice@example.com":{"paid_tier":"g1-pro-tier","project":"bright-lake-1"}}}"#).await;
    let got = rig
        .post("/v1internal:loadCodeAssist", &metadata())
        .await
        .json();
    assert_eq!(got["cloudaicompanionProject"], "bright-lake-1");
    assert_eq!(got["paidTier"]["id"], "g1-pro-tier");
    assert_eq!(got["currentTier"]["id"], "free-tier");
    assert_eq!(got["allowedTiers"][0]["isDefault"], true);
    let numbers = json!({"metadata": {"ideType": 9, "platform": 3, "pluginType": 2}});
    assert_eq!(
        rig.post("/v1internal:loadCodeAssist", &numbers)
            .await
            .status,
        200
    );
    for bad in [
        json!({"metadata": {"platform": "AMIGA"}}),
        json!({"metadata": {"ideType": "lower"}}),
        json!({"metadata": {"color": "red"}}),
        json!({"project": "x"}),
    ] {
        assert_eq!(
            rig.post("/v1internal:loadCodeAssist", &bad).await.status,
            400,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn onboarding_is_an_operation() {
    let script = r#"{"accounts":{"alice@example.com":{"onboarded":false,"onboard_polls":2}}}"#;
    let rig = Rig::new(script).await;
    let load = async || {
        rig.post("/v1internal:loadCodeAssist", &metadata())
            .await
            .json()
    };
    let before = load().await;
    assert!(before.get("currentTier").is_none() && before.get("cloudaicompanionProject").is_none());
    let mut body = metadata();
    body["tierId"] = json!("g1-pro-tier");
    assert_eq!(rig.post("/v1internal:onboardUser", &body).await.status, 400);
    body["tierId"] = json!("free-tier");
    body["cloudaicompanionProject"] = json!("mine");
    let refused = rig.post("/v1internal:onboardUser", &body).await;
    assert_eq!(refused.json()["error"]["status"], "FAILED_PRECONDITION");
    body.as_object_mut()
        .unwrap()
        .remove("cloudaicompanionProject");
    assert_eq!(
        rig.get("/v1internal/operations/sim-project-alice")
            .await
            .status,
        404
    );
    let begun = rig.post("/v1internal:onboardUser", &body).await.json();
    assert_eq!(begun["done"], false);
    let name = begun["name"].as_str().unwrap();
    assert_eq!(
        rig.get(&format!("/v1internal/{name}")).await.json()["done"],
        false
    );
    // Posting again polls as well.
    let done = rig.post("/v1internal:onboardUser", &body).await.json();
    assert_eq!(done["done"], true);
    assert_eq!(
        done["response"]["cloudaicompanionProject"]["id"],
        "sim-project-alice"
    );
    assert_eq!(load().await["cloudaicompanionProject"], "sim-project-alice");
}

#[tokio::test]
async fn ineligible_accounts_are_told_why() {
    let rig = Rig::new(r#"{"accounts":{"alice@example.com":{"ineligible":"VALIDATION_REQUIRED","validation_url":"https://example.com/v"}}}"#).await;
    let got = rig
        .post("/v1internal:loadCodeAssist", &metadata())
        .await
        .json();
    assert_eq!(
        got["ineligibleTiers"][0]["reasonCode"],
        "VALIDATION_REQUIRED"
    );
    assert_eq!(
        got["ineligibleTiers"][0]["validationUrl"],
        "https://example.com/v"
    );
    assert!(got.get("allowedTiers").is_none());
}

#[tokio::test]
async fn models_with_quotas() {
    let rig = Rig::new(
        r#"{"deprecated":{"gemini-3-pro-high":"gemini-3.1-pro-high"},
        "quota":{"gpt-*":null,"gemini-2.5-pro":0.5},"accounts":{"alice@example.com":{"models":["g*"],
        "quota":{"gemini-3-flash":{"remaining":0,"reset":"2026-11-22T21:00:00Z"}}}}}"#,
    )
    .await;
    let got = rig
        .post(
            "/v1internal:fetchAvailableModels",
            &json!({"project": "sim-project-alice"}),
        )
        .await
        .json();
    let models = &got["models"];
    assert_eq!(
        models["gemini-3-flash"]["quotaInfo"],
        json!({"resetTime": "2026-11-22T21:00:00Z"})
    );
    assert_eq!(
        models["gemini-2.5-pro"]["quotaInfo"]["remainingFraction"],
        0.5
    );
    assert_eq!(
        models["gemini-2.5-flash"]["quotaInfo"]["remainingFraction"],
        1.0
    );
    assert!(models["gpt-oss-120b-medium"].get("quotaInfo").is_none());
    assert!(models.get("claude-sonnet-4-6").is_none());
    assert_eq!(models["gemini-3-flash"]["maxOutputTokens"], 65536);
    assert_eq!(
        got["deprecatedModelIds"]["gemini-3-pro-high"]["newModelId"],
        "gemini-3.1-pro-high"
    );
    assert_eq!(rig.ask("claude-sonnet-4-6", "hi").await.status, 404);
    let foreign = json!({"project": "sim-project-bob"});
    assert_eq!(
        rig.post("/v1internal:fetchAvailableModels", &foreign)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn tokens_are_counted() {
    let rig = Rig::new("{}").await;
    let body = json!({"request": {"model": "models/gemini-2.5-flash", "contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}});
    let got = rig.post("/v1internal:countTokens", &body).await;
    assert_eq!(got.json()["totalTokens"], 3);
    for (place, bad) in [
        ("/project", json!("p")),
        (
            "/request/systemInstruction",
            json!({"parts": [{"text": "x"}]}),
        ),
        ("/request/contents/0/parts/0/thought", json!(true)),
        ("/request/contents", json!([])),
        ("/request/model", json!("models/nope")),
    ] {
        let mut wrong = body.clone();
        set(&mut wrong, place, bad);
        let got = rig.post("/v1internal:countTokens", &wrong).await;
        assert!(matches!(got.status, 400 | 404), "{place}: {}", got.status);
    }
}

/// Puts a value at a JSON pointer whose parent exists.
pub(super) fn set(value: &mut Value, pointer: &str, to: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = to;
        return;
    }
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = to;
}

#[tokio::test]
async fn control_over_http() {
    let rig = Rig::new("{}").await;
    let url = |path: &str| format!("{}/control/{path}", rig.sim.url());
    let put = async |body: &'static str| read(rig.client.put(url("script")).body(body)).await;
    let bad = put(r#"{"ruels":[]}"#).await;
    assert!(bad.status == 400 && bad.text.contains("ruels"));
    assert_eq!(put("text = \"scripted\"").await.status, 200);
    assert_eq!(rig.get("/control/script").await.json()["text"], "scripted");
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.said(), "scripted");
    let seen = rig.get("/control/requests").await.json();
    let last = seen["requests"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["method"], "streamGenerateContent");
    assert_eq!(last["account"], "alice@example.com");
    assert_eq!(last["model"], "gemini-2.5-flash");
    assert_eq!(last["body"]["request"], asking("hi"));
    assert!(!last.to_string().contains(&rig.token));
    let state = rig.get("/control/state").await.json();
    let of_pair = state["loads"].as_array().unwrap().iter();
    let mut pair =
        of_pair.filter(|l| l["account"] == "alice@example.com" && l["model"] == "gemini-2.5-flash");
    assert_eq!(pair.next().unwrap()["peak"], 1);
    read(rig.client.delete(url("requests"))).await;
    assert!(rig.sim.requests().is_empty());
    assert_eq!(
        read(rig.client.post(url("release?times=x"))).await.status,
        400
    );
    assert_eq!(
        read(rig.client.post(url("revoke?account=alice@example.com")))
            .await
            .status,
        200
    );
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 401);
    assert_eq!(rig.get("/control/nothing").await.status, 404);
}

#[test]
fn the_documented_scripts_are_scripts() {
    let text = include_str!("../../../docs/simulator.md");
    let mut scripts = 0;
    for block in text.split("```").skip(1).step_by(2) {
        let script = block
            .strip_prefix("json\n")
            .or_else(|| block.strip_prefix("toml\n"));
        // The tables of agp.toml are no script.
        if let Some(script) = script.filter(|s| !s.starts_with("[upstreams")) {
            Script::parse(script).unwrap();
            scripts += 1;
        }
    }
    assert_eq!(scripts, 2);
}

#[tokio::test]
async fn paths_that_are_not_there() {
    let rig = Rig::new("{}").await;
    for path in ["/v1internal:makeCoffee", "/v1/models", "/v1internal"] {
        assert_eq!(rig.post(path, &json!({})).await.status, 404, "{path}");
    }
    assert_eq!(rig.get("/v1internal:loadCodeAssist").await.status, 404);
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn a_stopped_simulator_is_gone() {
    let rig = Rig::new("{}").await;
    let url = rig.sim.url();
    rig.sim.stop().await;
    rig.client.get(url).send().await.unwrap_err();
}
