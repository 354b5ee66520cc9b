//! The admin operations about what runs and ran, over HTTP as the panel asks them.

use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

use agp::base::id::{KeyId, RequestId};
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got};
use crate::support::setup::Setup;
use crate::support::{PATIENCE, TestApp, script, within};

const TOKEN: &str = "token-of-a-test-that-may-do-everything";
const FLASH: &str = "gemini-2.5-flash";
const PRO: &str = "gemini-2.5-pro";

fn with_token(setup: Setup) -> Setup {
    let at = ["admin", "tokens", "all"];
    let digest = format!("{:x}", Sha256::digest(TOKEN));
    setup.at(&at, "sha256", digest).at(&at, "role", "write")
}

async fn started(setup: Setup, script: Value) -> TestApp {
    TestApp::start(with_token(setup), script).await
}

fn asking(app: &TestApp, method: http::Method, path: &str) -> reqwest::RequestBuilder {
    let url = app.url(&format!("/admin/api/v1{path}"));
    app.client.request(method, url).bearer_auth(TOKEN)
}

async fn got(app: &TestApp, path: &str) -> Value {
    let got = Got::read(asking(app, http::Method::GET, path)).await;
    assert_eq!(got.status, 200, "{path}: {}", got.text);
    got.json()
}

async fn posting(app: &TestApp, path: &str, body: &Value) -> Got {
    let request = asking(app, http::Method::POST, path);
    Got::read(request.body(body.to_string())).await
}

async fn posted(app: &TestApp, path: &str, body: &Value) -> Value {
    let got = posting(app, path, body).await;
    assert_eq!(got.status, 200, "{path}: {}", got.text);
    got.json()
}

/// A stream of events.
struct Events {
    bytes:
        std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
    waiting: VecDeque<(String, Value)>,
    /// Those that were passed over while another was waited for.
    passed: Vec<(String, Value)>,
}

impl Events {
    async fn open(app: &TestApp, query: &str) -> Self {
        let request = asking(app, http::Method::GET, &format!("/events{query}"));
        let response = within("a stream", request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            bytes: Box::pin(response.bytes_stream()),
            text: String::new(),
            waiting: VecDeque::new(),
            passed: Vec::new(),
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let bytes = within("an event", self.bytes.next()).await?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                if let Some(frame) = frame.strip_prefix("event: ") {
                    let (name, data) = frame.split_once("\ndata: ").unwrap();
                    let data = serde_json::from_str(data).unwrap();
                    self.waiting.push_back((name.to_owned(), data));
                }
                self.text = rest.to_owned();
            }
        }
    }

    /// The first event of this name for which this holds, also where another was waited for when it came.
    async fn wait(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let it = |(found, data): &(String, Value)| found == name && is_it(data);
        if let Some(at) = self.passed.iter().position(it) {
            return self.passed.remove(at).1;
        }
        let found = async {
            loop {
                let event = self.next().await.unwrap();
                if it(&event) {
                    return event.1;
                }
                self.passed.push(event);
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no event `{name}`"))
    }
}

#[tokio::test]
async fn a_request_that_failed_over_shows_when_each_try_began() {
    let setup = Setup::new(&["bad", "good"]).routing("strategy", "fill_first");
    let rules = json!({"rules": [{"account": "bad@*", "do": {"form": "service_disabled", "first_byte_delay": "120ms"}}]});
    let app = started(setup, rules).await;
    let id = app.say(OpenAi, FLASH, "hi").await.id().to_owned();
    let told = got(&app, &format!("/requests/{id}")).await;
    let tries = told["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 2, "{told}");
    let (first, second) = (&tries[0], &tries[1]);
    assert_eq!(first["account"], "bad");
    assert_eq!(second["account"], "good");
    let ms = |value: &Value| value.as_u64().unwrap();
    assert!(ms(&second["start_ms"]) >= ms(&first["start_ms"]) + ms(&first["latency_ms"]));
    assert!(ms(&second["start_ms"]) >= 120, "{told}");
    assert!(ms(&second["start_ms"]) + ms(&second["latency_ms"]) <= ms(&told["latency_ms"]) + 1);

    // By its begin, in either form, and not by another's.
    for (query, n) in [
        (format!("id={id}"), 1),
        (format!("id=req_{}", id[..20].to_lowercase()), 1),
        (format!("id={}&status=5xx", &id[..12]), 0),
        (format!("id=00{}", &id[2..10]), 0),
    ] {
        let page = got(&app, &format!("/requests?{query}")).await;
        assert_eq!(page["rows"].as_array().unwrap().len(), n, "{query}");
    }
    let wrong = Got::read(asking(&app, http::Method::GET, "/requests?id=-")).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["fields"][0]["field"], "id");
}

#[tokio::test]
async fn accounts_are_filtered_sorted_and_counted() {
    let setup = Setup::new(&["alice", "bob", "carol", "dora"])
        .account_set("alice", "tags", vec!["spare".to_owned()])
        .account_set("bob", "email", "bob@example.com")
        .account_set("dora", "enabled", false)
        .account_set("carol", "tier", 2)
        .account_set("bob", "tier", 2);
    let app = started(setup, json!({})).await;
    app.warm().await;
    for _ in 0..2 {
        app.say(OpenAi, FLASH, "hi").await;
    }
    app.logs(2).await;
    let names = async |query: &str| -> Vec<String> {
        let page = got(&app, &format!("/accounts{query}")).await;
        let accounts = page["accounts"].as_array().unwrap().iter();
        accounts
            .map(|a| a["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("").await, ["alice", "bob", "carol", "dora"]);
    assert_eq!(names("?desc=true&limit=2&offset=1").await, ["carol", "bob"]);
    assert_eq!(names("?q=EXAMPLE.com").await, ["bob"]);
    assert_eq!(names("?tag=spare").await, ["alice"]);
    assert_eq!(names("?state=paused,exhausted").await, ["dora"]);
    assert_eq!(names("?upstream=nowhere").await.len(), 0);
    for sort in ["requests", "last_used"] {
        let query = format!("?sort={sort}&desc=true&limit=1");
        assert_eq!(names(&query).await, ["alice"], "{sort}");
    }
    for sort in ["state", "remaining", "errors", "in_flight", "tier"] {
        assert_eq!(names(&format!("?sort={sort}")).await.len(), 4, "{sort}");
    }
    let page = got(&app, "/accounts?q=alice").await;
    let alice = &page["accounts"][0];
    assert_eq!(
        (&alice["requests"], &alice["errors"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(alice["allowed"], json!(["*"]));
    assert!(alice["token_until"].is_string() && alice["last_used"].is_string());
    assert_eq!((&page["total"], &page["matched"]), (&json!(4), &json!(1)));
    assert_eq!(page["states"], json!({"active": 3, "paused": 1}));
    assert_eq!(page["tags"], json!(["spare"]));
    let wrong = Got::read(asking(&app, http::Method::GET, "/accounts?state=tired")).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["fields"][0]["field"], "state");

    let several = json!({"names": ["alice", "dora", "nobody"], "action": "pause"});
    let acted = posted(&app, "/pool/act", &several).await;
    assert_eq!(acted["changed"], 1);
    assert_eq!(acted["refused"].as_array().unwrap().len(), 2, "{acted}");
    assert_eq!(names("?state=paused").await, ["alice", "dora"]);
}

#[tokio::test]
async fn usage_and_overview_sum_what_was() {
    let setup = Setup::new(&["alice"]).set("admin", "time_zone", "Asia/Kolkata");
    let app = started(setup, json!({})).await;
    for model in [FLASH, FLASH, PRO, "no-such-model"] {
        app.say(OpenAi, model, "hi").await;
    }
    app.sim.set_script(script(
        &json!({"rules": [{"do": {"form": "service_disabled"}}]}),
    ));
    assert!(app.say(Anthropic, PRO, "hi").await.status >= 500);
    app.logs(5).await;
    let usage = got(&app, "/usage?since=2h&step=15m").await;
    let totals = &usage["totals"];
    assert_eq!(totals["requests"], 5, "{usage}");
    assert_eq!(totals["succeeded"], 3);
    assert_eq!(totals["client_errors"], 1);
    assert_eq!(totals["errors"], 1);
    assert_eq!(totals["success_rate"], 0.75);
    assert!(totals["p95_ms"].as_u64() >= totals["p50_ms"].as_u64());
    assert!(totals["total_tokens"].as_u64().unwrap() > 0);
    assert_eq!(usage["before"]["requests"], 0);
    let rows = usage["rows"].as_array().unwrap();
    let models: Vec<_> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(models, [FLASH, PRO]);
    let points = usage["series"].as_array().unwrap();
    assert!((8..=9).contains(&points.len()), "{}", points.len());
    let of = |point: &Value| point["requests"].as_u64().unwrap();
    assert_eq!(points.iter().map(of).sum::<u64>(), 5);
    let of_pro = got(&app, &format!("/usage?model={PRO}&by=key&since=today")).await;
    assert_eq!(of_pro["totals"]["requests"], 2);
    assert_eq!(of_pro["rows"][0]["name"], "main");
    for wrong in [
        "since=2h&until=3h",
        "since=400d&step=15m",
        "model=a&key=b",
        "since=whenever",
    ] {
        let refused = Got::read(asking(&app, http::Method::GET, &format!("/usage?{wrong}"))).await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text);
        assert!(refused.json()["fields"][0]["field"].is_string(), "{wrong}");
    }

    let overview = got(&app, "/overview").await;
    assert_eq!(overview["today"]["requests"], 5);
    assert_eq!(overview["series"].as_array().unwrap().len(), 24);
    assert_eq!(overview["live"]["requests_per_minute"], 5);
    assert_eq!(overview["accounts"]["total"], 1);
    assert_eq!(overview["models"][0]["name"], FLASH);
    assert!(
        overview["gateway"]["url"]
            .as_str()
            .unwrap()
            .starts_with("http://")
    );
    let names = got(&app, "/request-names").await;
    assert_eq!(names["accounts"], json!(["alice"]));
    assert!(names["models"].as_array().unwrap().contains(&json!(PRO)));
}

#[tokio::test]
async fn events_tell_of_requests_accounts_and_the_files() {
    let mut app = started(Setup::new(&["alice", "bob"]), json!({})).await;
    app.warm().await;
    let mut events = Events::open(&app, "?topics=requests").await;
    let (name, hello) = events.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &hello["config"]["generation"]),
        ("hello", &json!(1))
    );

    let id = app.say(OpenAi, FLASH, "hi").await.id().to_owned();
    let new = events.wait("requests", |_| true).await;
    assert_eq!(new["rows"][0]["id"], id);
    assert_eq!(new["missed"], 0);
    events
        .wait("live", |live| live["requests_per_minute"] == 1)
        .await;

    posted(&app, "/accounts/bob/pause", &json!({})).await;
    let of_bob = |data: &Value| data["names"].as_array().unwrap().contains(&json!("bob"));
    events.wait("accounts", of_bob).await;

    app.setup = app.setup.clone().routing("strategy", "random");
    app.save();
    events
        .wait("config", |config| config["generation"] == 2)
        .await;

    let good = fs::read_to_string(app.root()).unwrap();
    fs::write(app.root(), format!("{good}\n[routing2]\n")).unwrap();
    let broken = events
        .wait("config", |config| {
            !config["errors"].as_array().unwrap().is_empty()
        })
        .await;
    assert!(broken["errors"][0].as_str().unwrap().contains("agp.toml:"));
    events.wait("attention", |all| all["errors"] == 1).await;
    let overview = got(&app, "/overview").await;
    let first = &overview["attention"][0];
    assert_eq!(first["kind"], "reload", "{overview}");
    let line = good.lines().count() as u64;
    assert!(first["line"].as_u64().unwrap() > line, "{first}");
    assert!(first["file"].as_str().unwrap().ends_with("agp.toml"));

    let wrong = Got::read(asking(&app, http::Method::GET, "/events?topics=all")).await;
    assert_eq!(wrong.status, 400);
    app.tasks.drain().cancel();
    let ended = events.wait("ended", |_| true).await;
    assert_eq!(ended["why"], "stopping");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let mut app = started(Setup::new(&["alice"]), json!({})).await;
    let mut events = Events::open(&app, "").await;
    app.setup = app.setup.clone().without(&["admin", "tokens"], "all");
    app.save();
    let ended = events.wait("ended", |_| true).await;
    assert_eq!(ended["why"], "signed_out");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn jobs_tell_how_far_they_are_and_can_be_cancelled() {
    let names: Vec<String> = (0..30).map(|n| format!("a{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let app = started(Setup::new(&names), json!({})).await;
    app.warm().await;
    let mut events = Events::open(&app, "").await;
    let two = json!({"names": ["a00", "a01"]});
    let job = posted(&app, "/pool/refresh", &two).await["job"].clone();
    let ended = |wanted: Value| move |job: &Value| job["id"] == wanted && job["ended"].is_string();
    let done = events.wait("job", ended(job.clone())).await;
    assert_eq!((&done["done"], &done["failed"]), (&json!(2), &json!(0)));
    assert_eq!(done["items"], json!([]));
    let shown = got(&app, &format!("/jobs/{}", job.as_str().unwrap())).await;
    assert_eq!(shown["items"][1]["state"], "done", "{shown}");
    assert!(
        shown["items"][1]["message"]
            .as_str()
            .unwrap()
            .contains("token")
    );

    app.sim.set_script(script(&json!({"rules": [
        {"method": "fetchAvailableModels", "do": {"first_byte_delay": "700ms"}}]})));
    let job = posted(&app, "/pool/refresh", &json!({})).await["job"].clone();
    let path = format!("/jobs/{}", job.as_str().unwrap());
    let cancelled = posted(&app, &format!("{path}/cancel"), &json!({})).await;
    assert_eq!(cancelled["cancelled"], true);
    events.wait("job", ended(job.clone())).await;
    let shown = got(&app, &path).await;
    let items = shown["items"].as_array().unwrap();
    let left_out = items.iter().filter(|i| i["state"] == "cancelled").count();
    assert!((1..30).contains(&left_out), "{shown}");
    assert_eq!(shown["done"], 30);
    let list = got(&app, "/jobs").await;
    assert_eq!(list["jobs"][0]["id"], job);
    assert_eq!(list["jobs"].as_array().unwrap().len(), 2);

    for (path, body, field) in [
        ("/pool/refresh", json!({"names": ["nobody"]}), "names[0]"),
        (
            "/pool/refresh",
            json!({"names": vec!["a00"; 10_001]}),
            "names",
        ),
        ("/jobs/none/cancel", json!({}), "id"),
        (
            "/pool/act",
            json!({"names": [], "action": "dance"}),
            "action",
        ),
    ] {
        let refused = posting(&app, path, &body).await;
        assert!((400..500).contains(&refused.status), "{}", refused.text);
        let named = refused.json()["fields"][0]["field"].clone();
        assert_eq!(named, field, "{}", refused.text);
    }
}

#[tokio::test]
async fn the_log_is_exported_as_lines_and_as_a_table() {
    let app = started(Setup::new(&["alice"]), json!({})).await;
    let mut ids = Vec::new();
    for model in [FLASH, PRO, "=cmd|' /C calc'!A0"] {
        let got = app.say(OpenAi, model, "hi").await;
        ids.insert(0, got.id().to_owned());
    }
    app.logs(3).await;
    let export = async |query: &str| {
        let path = format!("/request-export{query}");
        let got = Got::read(asking(&app, http::Method::GET, &path)).await;
        assert_eq!(got.status, 200, "{}", got.text);
        got
    };
    let lines = export("").await;
    assert_eq!(lines.headers["content-type"], "application/jsonl");
    let told: Vec<Value> = lines
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = told.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(told, ids);
    assert_eq!(export("?limit=2").await.text.lines().count(), 2);
    assert_eq!(export("?key=nobody").await.text, "");
    let table = export("?format=csv").await;
    assert!(
        table.headers["content-disposition"]
            .to_str()
            .unwrap()
            .contains(".csv")
    );
    let rows: Vec<&str> = table.text.lines().collect();
    assert_eq!(rows.len(), 4);
    assert!(rows[0].starts_with("id,at,key"));
    assert!(rows[1].contains(",\"'=cmd|' /C calc'!A0\","), "{}", rows[1]);
    assert_eq!(
        export("?format=csv&key=nobody").await.text.lines().count(),
        1
    );
}

#[tokio::test]
async fn the_playground_serves_as_clients_are_served() {
    let setup = Setup::new(&["alice"])
        .at(
            &["keys", "off"],
            "key",
            "a-key-that-protects-nothing-and-is-off",
        )
        .at(&["keys", "off"], "enabled", false);
    let app = started(setup, json!({})).await;
    for (dialect, name) in BOTH.into_iter().zip(["openai", "anthropic"]) {
        for stream in [true, false] {
            let request = dialect.saying(FLASH, "hi", stream);
            let play = json!({"key": "main", "dialect": name, "request": request});
            let played = posting(&app, "/playground", &play).await;
            assert_eq!(played.status, 200, "{}", played.text);
            let media = if stream {
                "text/event-stream"
            } else {
                "application/json"
            };
            assert_eq!(played.headers["content-type"], media);
            assert!(played.text.contains("You said"), "{}", played.text);
            let record = app.log(played.id()).await;
            assert_eq!(record.key.as_ref().map(KeyId::as_str), Some("main"));
            assert_eq!(record.stream, stream);
        }
        // What a client gets wrong is told as a client is told it.
        let play = json!({"key": "main", "dialect": name, "request": {"model": FLASH}});
        let wrong = posting(&app, "/playground", &play).await;
        assert_eq!(wrong.error(dialect).status, 400);
        let request = dialect.saying("no-such-model", "hi", false);
        let play = json!({"key": "main", "dialect": name, "request": request});
        let wrong = posting(&app, "/playground", &play).await;
        assert_eq!(wrong.error(dialect).status, 404);
    }
    for (play, status, field) in [
        (
            json!({"key": "off", "dialect": "openai", "request": {}}),
            409,
            "key",
        ),
        (
            json!({"key": "nobody", "dialect": "openai", "request": {}}),
            404,
            "key",
        ),
        (
            json!({"key": "main", "dialect": "latin", "request": {}}),
            400,
            "dialect",
        ),
        (json!({"key": "main", "dialect": "openai"}), 400, "request"),
    ] {
        let refused = posting(&app, "/playground", &play).await;
        assert_eq!(refused.status, status, "{}", refused.text);
        assert_eq!(refused.json()["fields"][0]["field"], field);
    }
}

#[tokio::test]
async fn a_model_is_tested_by_a_real_request() {
    let app = started(Setup::new(&["alice"]), json!({})).await;
    for body in [json!({}), json!({"key": "main"})] {
        let tested = posted(&app, &format!("/models/{FLASH}/test"), &body).await;
        assert_eq!(tested["ok"], true, "{tested}");
        assert_eq!(
            (&tested["account"], &tested["upstream"]),
            (&json!("alice"), &json!("sim"))
        );
        assert!(
            tested["text"].as_str().unwrap().contains("ready"),
            "{tested}"
        );
        let id = tested["request"].as_str().unwrap();
        assert!(RequestId::parse(id).is_some());
        let record = app.log(id).await;
        let key = record.key.as_ref().map(KeyId::as_str);
        assert_eq!(key, body["key"].as_str());
    }
    let usage = got(&app, "/usage?by=key").await;
    assert_eq!(usage["rows"].as_array().unwrap().len(), 1, "{usage}");
    assert_eq!(usage["totals"]["requests"], 2);
    app.sim.set_script(script(
        &json!({"rules": [{"do": {"form": "service_disabled"}}]}),
    ));
    let failed = posted(&app, &format!("/models/{FLASH}/test"), &json!({})).await;
    assert_eq!(failed["ok"], false);
    assert!(failed["error"].is_string());
    assert_eq!(
        posting(&app, "/models/none/test", &json!({})).await.status,
        404
    );
    // A short pause of the pool is not waited for here.
    assert!(
        u128::from(failed["latency_ms"].as_u64().unwrap()) < Duration::from_mins(1).as_millis()
    );
}
