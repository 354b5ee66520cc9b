use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn read(answer: &Value) -> Setup {
    read_load(answer.to_string().as_bytes()).unwrap()
}

fn vector(name: &str) -> (Setup, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/shared/accounts");
    let case: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    (read(&case["input"]["answer"]), case["expect"].clone())
}

#[test]
fn shared_vectors_q02_and_q03() {
    for name in ["q02_tier_and_project.json", "q03_needs_onboarding.json"] {
        let (setup, expect) = vector(name);
        assert_eq!(setup.tier, expect["tier"]);
        assert_eq!(setup.project.as_deref(), expect["project"].as_str());
        let onboard = setup.onboard.map_or(
            Value::Null,
            |o| json!({"tierId": o.tier_id, "sends_project": o.sends_project}),
        );
        assert_eq!(onboard, expect["onboard"]);
    }
}

#[test]
fn the_tier_to_show() {
    let tier = |answer: Value| read(&answer).tier;
    let allowed = json!([{"id": "a"}, {"id": "b", "isDefault": true}]);
    assert_eq!(
        tier(json!({"paidTier": {"id": "p"}, "currentTier": {"id": "c"}})),
        "p"
    );
    assert_eq!(
        tier(json!({"paidTier": {}, "currentTier": {"id": "c"}, "allowedTiers": allowed})),
        "c"
    );
    assert_eq!(tier(json!({"allowedTiers": allowed})), "b");
    assert_eq!(tier(json!({"allowedTiers": [{"id": "a"}]})), "free-tier");
    assert_eq!(tier(json!({})), "free-tier");
}

#[test]
fn the_tier_to_onboard() {
    let due = |answer: Value| read(&answer).onboard.unwrap();
    let allowed = json!([{"id": "a"}, {"id": "standard-tier", "isDefault": true}]);
    let onboard = due(json!({"allowedTiers": allowed}));
    assert_eq!(
        onboard,
        Onboard {
            tier_id: "standard-tier".to_owned(),
            sends_project: true,
            first: true
        }
    );
    // A paid tier is no tier to onboard.
    assert_eq!(due(json!({"paidTier": {"id": "p"}})).tier_id, "legacy-tier");
    assert_eq!(due(json!({"allowedTiers": [{"id": "a"}]})).tier_id, "a");
    let missing = due(json!({"currentTier": {"id": "free-tier"}}));
    assert_eq!(
        missing,
        Onboard {
            tier_id: "free-tier".to_owned(),
            sends_project: false,
            first: false
        }
    );
}

#[test]
fn projects_in_both_forms() {
    let project = |answer: Value| read(&answer).project;
    let tier = json!({"id": "free-tier"});
    assert_eq!(
        project(json!({"currentTier": tier, "cloudaicompanionProject": "p"})).as_deref(),
        Some("p")
    );
    let object = json!({"id": "p", "projectNumber": "100200300"});
    assert_eq!(
        project(json!({"cloudaicompanionProject": object})).as_deref(),
        Some("p")
    );
    for none in [
        json!(""),
        json!({"projectNumber": "1"}),
        json!(5),
        json!(null),
    ] {
        assert_eq!(project(json!({"cloudaicompanionProject": none})), None);
    }
}

#[test]
fn why_a_tier_is_not_to_be_had() {
    let setup = read(&json!({"ineligibleTiers": [
        {"tierId": "standard-tier", "reasonCode": "UNSUPPORTED_LOCATION", "reasonMessage": "not here"},
        {"reasonCode": "VALIDATION_REQUIRED", "validationUrl": "https://accounts.example.com/v"}, 7]}));
    assert_eq!(setup.ineligible.len(), 2);
    assert_eq!(setup.ineligible[0].reason_code, "UNSUPPORTED_LOCATION");
    assert_eq!(
        setup.validation_link.as_deref(),
        Some("https://accounts.example.com/v")
    );
    assert!(read_load(b"<html>").is_err() && read_load(b"").is_err());
}

#[test]
fn operations() {
    let read = |answer: Value| read_operation(answer.to_string().as_bytes()).unwrap();
    let running = read(json!({"name": "operations/abc", "done": false}));
    assert_eq!(
        (running.name.as_str(), running.done),
        ("operations/abc", false)
    );
    let done = read(json!({"done": true, "response": {"cloudaicompanionProject": {"id": "p"}}}));
    assert_eq!((done.done, done.project.as_deref()), (true, Some("p")));
    let plain = read(json!({"done": true, "response": {"cloudaicompanionProject": "p"}}));
    assert_eq!(plain.project.as_deref(), Some("p"));
    let failed = read(json!({"done": true, "error": {"code": 9}}));
    assert_eq!(failed.error.as_deref(), Some(r#"{"error":{"code":9}}"#));
    assert!(!read(json!({})).done);
    assert!(read_operation(b"no").is_err());
}

#[test]
fn bodies_of_the_calls() {
    let configured = BTreeMap::from([("ideType".to_owned(), "IDE_UNSPECIFIED".to_owned())]);
    let body = |project| {
        serde_json::to_value(SetupRequest {
            tier_id: None,
            metadata: Metadata {
                configured: &configured,
                duet_project: project,
            },
            project,
        })
        .unwrap()
    };
    assert_eq!(
        body(None),
        json!({"metadata": {"ideType": "IDE_UNSPECIFIED"}})
    );
    assert_eq!(
        body(Some("p")),
        json!({"metadata": {"ideType": "IDE_UNSPECIFIED", "duetProject": "p"}, "cloudaicompanionProject": "p"})
    );
}
