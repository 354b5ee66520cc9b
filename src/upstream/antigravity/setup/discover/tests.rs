use std::collections::VecDeque;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::upstream::antigravity::setup::{read_load, read_operation};

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
        Ok(read_load(answer.to_string().as_bytes()).unwrap())
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
