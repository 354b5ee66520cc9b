//! Documented operations answer as written: each is asked on a running gateway, and its answer held against the document.

use agp::config::model::Config;
use agp::config::plan::{Facts, MarkKey};
use agp::server::admin::openapi;
use agp::server::admin::{Answer, Operation, Verb, operations};
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::admin::{get, post, with_writer};
use crate::support::client::Dialect;
use crate::support::setup::Setup;

const NAME: &str = "https://agp.example/openapi.json";

/// The document, with every object closed: what an answer has besides is a fault.
fn document() -> Value {
    fn close(node: &mut Value) {
        match node {
            Value::Object(map) => {
                let is_shape = map.get("type") == Some(&json!("object"));
                if is_shape && map.contains_key("properties") {
                    map.entry("additionalProperties").or_insert(json!(false));
                }
                map.values_mut().for_each(close);
            }
            Value::Array(list) => list.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut document = openapi::document().clone();
    close(&mut document["components"]["schemas"]);
    document
}

/// A judge that is not agp itself.
struct Judge {
    compiler: boon::Compiler,
    schemas: boon::Schemas,
}

impl Judge {
    fn new() -> Self {
        let mut compiler = boon::Compiler::new();
        compiler.add_resource(NAME, document()).unwrap();
        Self {
            compiler,
            schemas: boon::Schemas::new(),
        }
    }

    fn faults(&mut self, operation: &Operation, answer: &Value) -> Option<String> {
        let path = operation.path.replace('~', "~0").replace('/', "~1");
        let path = path.replace('{', "%7B").replace('}', "%7D");
        let verb = operation.verb.method().as_str().to_lowercase();
        let at =
            format!("{NAME}#/paths/{path}/{verb}/responses/200/content/application~1json/schema");
        let index = self.compiler.compile(&at, &mut self.schemas).unwrap();
        let result = self.schemas.validate(answer, index);
        result.err().map(|error| format!("{error:#}"))
    }
}

fn facts(config: &Config) -> Value {
    let facts = Facts::of(config, std::path::Path::new(""), &MarkKey::new([7; 32]));
    serde_json::to_value(facts).unwrap()
}

/// What the gateway has when it is asked.
struct Met {
    request: String,
    job: String,
    /// Sign-ins at the provider, each with the address that it leads back to: to be pasted, looked at, confirmed, cancelled.
    sign_ins: Vec<(String, String)>,
}

impl Met {
    async fn with(app: &TestApp) -> Self {
        let got = app.say(Dialect::OpenAi, "gemini-2.5-flash", "hello").await;
        assert_eq!(got.status, 200);
        let job = post(app, "/pool/refresh", &json!({ "names": ["alice"] })).await;
        let mut sign_ins = Vec::new();
        for person in ["erin", "frank", "grace", "heidi"] {
            let begun = post(app, "/oauth", &json!({ "origin": "http://localhost:8088" })).await;
            let url = begun.body["url"].as_str().unwrap();
            let consent = format!("{url}&sim_account={person}@example.com");
            let answer = app.client.get(consent).send().await.unwrap();
            let address = answer.headers()["location"].to_str().unwrap().to_owned();
            let state = begun.body["state"].as_str().unwrap().to_owned();
            if person == "grace" {
                post(app, "/oauth/paste", &json!({ "address": address })).await;
            }
            sign_ins.push((state, address));
        }
        Self {
            request: app.logs(1).await[0].id.to_string(),
            job: job.body["job"].as_str().unwrap().to_owned(),
            sign_ins,
        }
    }

    fn sign_in(&self, operation: &str) -> &(String, String) {
        let operations = ["oauth paste", "oauth show", "oauth confirm"];
        let at = operations.iter().position(|name| *name == operation);
        &self.sign_ins[at.unwrap_or(operations.len())]
    }
}

fn path_of_job(operation: &Operation) -> bool {
    operation.path.starts_with("/jobs/")
}

/// What an operation is asked with: what stands in for the braces of its path and its query, and its body.
fn asked(app: &TestApp, operation: &Operation, met: &Met) -> (String, Value) {
    let name = match operation.name {
        "model test" => "gemini-2.5-flash",
        "account enable" | "account disable" => "bob",
        _ => "alice",
    };
    let path = operation
        .path
        .replace("{name}", name)
        .replace("{generation}", "1")
        .replace("{state}", &met.sign_in(operation.name).0)
        .replace(
            "{id}",
            if path_of_job(operation) {
                &met.job
            } else {
                &met.request
            },
        );
    let (query, body) = match operation.name {
        "accounts act" => ("", json!({ "names": ["alice"], "action": "release" })),
        "account add" => (
            "",
            json!({ "email": "carol@example.com", "refresh_token": "sim-refresh-carol" }),
        ),
        "accounts import" => {
            let text = "email,refresh_token\ndora@example.com,sim-refresh-dora\nnobody,x\n";
            ("", json!({ "text": text }))
        }
        "key add" => (
            "",
            json!({ "label": "New one", "limits": { "rpm": 60, "budget": { "usd": 5, "per": "day" } } }),
        ),
        "config edit" => (
            "",
            json!({ "changes": [{ "do": "set", "path": ["routing", "strategy"], "value": "random" }] }),
        ),
        "oauth start" => ("", json!({ "origin": "http://localhost:8088" })),
        "oauth paste" => ("", json!({ "address": met.sign_in("oauth paste").1 })),
        "plan" => ("", facts(&app.runtime().snapshot().config)),
        "diff" => ("?plan=true", json!({})),
        "rollback" => ("", json!({ "high": true })),
        "pick" => ("?model=gemini-2.5-flash&requests=10", json!({})),
        _ => ("", json!({})),
    };
    (format!("{path}{query}"), body)
}

#[tokio::test]
async fn every_documented_operation_answers_as_written() {
    let setup = with_writer(Setup::new(&["alice", "bob"]));
    let setup = setup
        .at(&["groups", "team"], "rpm", 1000)
        .at(&["keys", "main"], "group", "team")
        .at(&["keys", "main"], "tokens_per_day", 1_000_000)
        .set("state", "log_bodies", "all");
    let app = TestApp::start(setup, json!({})).await;
    app.warm().await;
    let met = Met::with(&app).await;
    let mut judge = Judge::new();
    let mut wrong = Vec::new();
    for operation in operations() {
        if !matches!(operation.answer, Answer::Json(_)) {
            continue;
        }
        let (path, body) = asked(&app, operation, &met);
        let told = match operation.verb {
            Verb::Get => get(&app, &path).await,
            Verb::Post => post(&app, &path, &body).await,
        };
        let faults = if told.status == StatusCode::OK {
            judge.faults(operation, &told.body)
        } else {
            Some(format!("{}: {:#}", told.status, told.body))
        };
        wrong.extend(faults.map(|faults| format!("`{}`: {faults}", operation.name)));
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_is_answered_besides_is_found() {
    let mut judge = Judge::new();
    let reload = operations().find(|o| o.name == "reload").unwrap();
    let fine = json!({ "outcome": "unchanged", "generation": 1 });
    assert_eq!(judge.faults(reload, &fine), None);
    let more = json!({ "outcome": "unchanged", "generation": 1, "secret": "x" });
    assert!(judge.faults(reload, &more).is_some());
    let less = json!({ "generation": 1 });
    assert!(judge.faults(reload, &less).is_some());
}
