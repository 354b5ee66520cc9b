use std::collections::VecDeque;
use std::path::Path;

use parking_lot::Mutex;
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

/// Answers from a script and writes down what was asked.
#[derive(Default)]
struct Script {
    loads: Mutex<VecDeque<Result<Value, (Failure, bool)>>>,
    operations: Mutex<VecDeque<Result<Value, Failure>>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn new(loads: Vec<Value>, operations: Vec<Value>) -> Self {
        Self {
            loads: Mutex::new(loads.into_iter().map(Ok).collect()),
            operations: Mutex::new(operations.into_iter().map(Ok).collect()),
            asked: Mutex::default(),
        }
    }

    fn step(&self, asked: String) -> Result<Operation, Failure> {
        self.asked.lock().push(asked);
        let answer = self.operations.lock().pop_front().unwrap()?;
        read_operation(answer.to_string().as_bytes())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl SetupApi for Script {
    async fn load(&self, project: Option<&str>) -> Result<Setup, (Failure, bool)> {
        self.asked
            .lock()
            .push(format!("load {}", project.unwrap_or("-")));
        let answer = self.loads.lock().pop_front().unwrap()?;
        Ok(read(&answer))
    }

    async fn onboard(
        &self,
        onboard: &Onboard,
        project: Option<&str>,
    ) -> Result<Operation, Failure> {
        self.step(format!(
            "onboard {} {}",
            onboard.tier_id,
            project.unwrap_or("-")
        ))
    }

    async fn operation(&self, name: &str) -> Result<Operation, Failure> {
        self.step(format!("get {name}"))
    }
}

fn new_user() -> Value {
    json!({"allowedTiers": [{"id": "free-tier", "isDefault": true}]})
}

fn made(project: &str) -> Value {
    json!({"done": true, "response": {"cloudaicompanionProject": {"id": project}}})
}

#[tokio::test]
async fn a_known_user_needs_one_call() {
    let api = Script::new(
        vec![json!({"currentTier": {"id": "free-tier"}, "cloudaicompanionProject": "p"})],
        vec![],
    );
    let setup = discover_with(&api, None).await.unwrap();
    assert_eq!(
        (setup.tier.as_str(), setup.project.as_deref()),
        ("free-tier", Some("p"))
    );
    assert_eq!(setup.onboard, None);
    assert_eq!(api.asked(), ["load -"]);
}

#[tokio::test]
async fn a_configured_project_is_used() {
    let api = Script::new(
        vec![json!({"currentTier": {"id": "standard-tier"}})],
        vec![],
    );
    let setup = discover_with(&api, Some("mine")).await.unwrap();
    assert_eq!(setup.project.as_deref(), Some("mine"));
    assert_eq!(api.asked(), ["load mine"]);
}

#[tokio::test(start_paused = true)]
async fn onboarding_is_polled_by_name() {
    let running = json!({"name": "operations/abc", "done": false});
    let api = Script::new(vec![new_user()], vec![running.clone(), running, made("p")]);
    let began = Instant::now();
    let setup = discover_with(&api, Some("mine")).await.unwrap();
    assert_eq!(setup.project.as_deref(), Some("mine"));
    // The free tier's project is made by the provider: none is sent.
    assert_eq!(
        api.asked(),
        [
            "load mine",
            "onboard free-tier -",
            "get operations/abc",
            "get operations/abc"
        ]
    );
    assert_eq!(began.elapsed(), POLL * 2);
}

#[tokio::test(start_paused = true)]
async fn onboarding_without_a_usable_name_is_posted_again() {
    for name in ["", "../../secrets"] {
        let api = Script::new(vec![new_user()], vec![json!({"name": name}), made("p")]);
        let setup = discover_with(&api, None).await.unwrap();
        assert_eq!(setup.project.as_deref(), Some("p"));
        assert_eq!(
            api.asked(),
            ["load -", "onboard free-tier -", "onboard free-tier -"]
        );
    }
}

#[tokio::test]
async fn other_tiers_are_sent_the_project() {
    let load = json!({"allowedTiers": [{"id": "standard-tier", "isDefault": true}]});
    let api = Script::new(vec![load], vec![made("mine")]);
    discover_with(&api, Some("mine")).await.unwrap();
    assert_eq!(api.asked(), ["load mine", "onboard standard-tier mine"]);
}

#[tokio::test(start_paused = true)]
async fn onboarding_ends_after_a_minute() {
    let api = Script::new(vec![new_user()], vec![json!({"name": "o"}); 20]);
    let began = Instant::now();
    let failure = discover_with(&api, None).await.unwrap_err();
    assert_eq!(failure.class, Class::Timeout);
    assert_eq!(began.elapsed(), POLL_FOR);
    assert_eq!(api.asked().len(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_fails_is_repeated_unless_it_is_refused() {
    let api = Script::new(vec![new_user()], vec![json!({"name": "o"})]);
    api.operations.lock().extend([
        Err(Failure::new(Class::Network, "")),
        Err(Failure::new(Class::Timeout, "")),
        Ok(made("p")),
    ]);
    assert!(discover_with(&api, None).await.is_ok());
    let api = Script::new(vec![new_user()], vec![json!({"name": "o"})]);
    api.operations
        .lock()
        .push_back(Err(Failure::new(Class::Forbidden, "")));
    let failure = discover_with(&api, None).await.unwrap_err();
    assert_eq!(failure.class, Class::Forbidden);
}

#[tokio::test]
async fn done_without_a_project_loads_once_more() {
    let known = json!({"currentTier": {"id": "free-tier"}, "cloudaicompanionProject": "p"});
    let api = Script::new(vec![new_user(), known], vec![json!({"done": true})]);
    let setup = discover_with(&api, None).await.unwrap();
    assert_eq!(setup.project.as_deref(), Some("p"));
    assert_eq!(setup.onboard, None);
    assert_eq!(api.asked(), ["load -", "onboard free-tier -", "load -"]);
}

#[tokio::test]
async fn an_account_without_project_says_why() {
    let refused = json!({"ineligibleTiers": [
        {"tierId": "free-tier", "reasonCode": "RESTRICTED_AGE", "reasonMessage": "too young"}]});
    let api = Script::new(vec![refused.clone(), refused], vec![json!({"done": true})]);
    let failure = discover_with(&api, None).await.unwrap_err();
    assert_eq!(failure.class, Class::Forbidden);
    assert!(
        failure
            .detail
            .contains("free-tier: RESTRICTED_AGE, too young"),
        "{}",
        failure.detail
    );
    assert!(!failure.message.contains("RESTRICTED_AGE"));
}

#[tokio::test]
async fn validation_comes_before_onboarding() {
    let link = "https://accounts.example.com/v";
    let api = Script::new(
        vec![
            json!({"ineligibleTiers": [{"reasonCode": "VALIDATION_REQUIRED", "validationUrl": link}]}),
        ],
        vec![],
    );
    let failure = discover_with(&api, None).await.unwrap_err();
    assert_eq!(failure.class, Class::NeedsValidation);
    assert_eq!(failure.link.as_deref(), Some(link));
}

#[tokio::test]
async fn a_failed_operation_is_no_clients_mistake() {
    let error =
        json!({"done": true, "error": {"code": 9, "message": "Precondition check failed."}});
    let api = Script::new(vec![new_user()], vec![error.clone()]);
    let failure = discover_with(&api, None).await.unwrap_err();
    assert_eq!(failure.class, Class::ServerError);
    assert!(failure.detail.contains("Precondition"));
    // Where the provider named a project all the same, that one is used.
    let mut named = new_user();
    named["cloudaicompanionProject"] = "p".into();
    let api = Script::new(vec![named], vec![error]);
    let setup = discover_with(&api, None).await.unwrap();
    assert_eq!(setup.project.as_deref(), Some("p"));
}

#[tokio::test]
async fn service_controls_mean_the_standard_tier() {
    let refused = || Err((Failure::new(Class::Forbidden, ""), true));
    let api = Script::default();
    api.loads.lock().push_back(refused());
    let setup = discover_with(&api, Some("mine")).await.unwrap();
    assert_eq!(
        (setup.tier.as_str(), setup.project.as_deref()),
        ("standard-tier", Some("mine"))
    );
    api.loads.lock().push_back(refused());
    assert_eq!(
        discover_with(&api, None).await.unwrap_err().class,
        Class::Forbidden
    );
    api.loads
        .lock()
        .push_back(Err((Failure::new(Class::Network, ""), false)));
    assert_eq!(
        discover_with(&api, Some("mine")).await.unwrap_err().class,
        Class::Network
    );
}
