//! Every setting that has its effect takes it on reload. Each check edits the file of one running gateway, waits for the
//! generation and looks at what requests, logs or the upstream then see. What other files show is not shown again:
//! `server.listen` and the limits of calls in `reload`, `server.metrics` in `metrics`, limits of keys, groups and prices in
//! `limits`, `state.path` and `secrets.identity` as needing a restart in `plan`.

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toml::Table;

use super::{FLASH, key};
use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{Got, Stream};
use crate::support::process::{AGP, Running};
use crate::support::setup::{KEY, Setup};
use crate::support::{PATIENCE, TestApp, script, simulate, until, within};

const PRO: &str = "gemini-2.5-pro";
const MAIN: &[&str] = &["keys", "main"];

/// Applies an edit and waits until it is in force.
async fn edit(app: &mut TestApp, change: impl FnOnce(Setup) -> Setup) {
    let generation = app.runtime().snapshot().generation;
    app.setup = change(app.setup.clone());
    app.save();
    until("the edit to take effect", || {
        app.runtime().snapshot().generation > generation
    })
    .await;
}

fn model(name: &'static str) -> [&'static str; 2] {
    ["models", name]
}

/// The bodies of the last generation that the upstream saw, and its headers.
fn last(app: &TestApp) -> agp::sim::Seen {
    let seen = app.sim.requests().into_iter().rev();
    let mut generations = seen.filter(|call| call.method == "streamGenerateContent");
    generations.next().unwrap()
}

async fn status(app: &TestApp, model: &str) -> u16 {
    app.say(OpenAi, model, "hi").await.status
}

/// The account that serves a request now.
async fn server(app: &TestApp) -> String {
    assert_eq!(status(app, FLASH).await, 200);
    app.served().pop().unwrap()
}

fn play(app: &TestApp, value: &Value) {
    app.sim.set_script(script(value));
}

#[tokio::test]
async fn of_the_server_and_the_dialects() {
    let setup = Setup::new(&["alice"]).unlimited();
    let mut app = TestApp::start(setup, json!({})).await;

    let long = "x".repeat(100_000);
    assert_eq!(app.say(OpenAi, FLASH, &long).await.status, 200);
    edit(&mut app, |s| s.set("server", "max_body", "50KiB")).await;
    assert_eq!(app.say(OpenAi, FLASH, &long).await.status, 413);

    play(
        &app,
        &json!({"text": "abcd", "chunks": 2, "chunk_delay": "300ms"}),
    );
    let quiet = app.stream(OpenAi, FLASH, "hi").await.rest().await;
    assert_eq!(quiet.pings, 0);
    edit(&mut app, |s| s.set("server", "keepalive", "40ms")).await;
    assert!(app.stream(OpenAi, FLASH, "hi").await.rest().await.pings > 0);

    // Without content the answer begins only after `stream_commit_after`, which is ten seconds by default.
    play(&app, &json!({"text": "abcd", "pause_until_released": 0}));
    edit(&mut app, |s| s.set("server", "stream_commit_after", "30ms")).await;
    let begun = Instant::now();
    let stream = app.stream(OpenAi, FLASH, "hi").await;
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    app.sim.release();
    stream.rest().await.assert_whole();

    play(
        &app,
        &json!({"answer": "think", "thoughts": "considered", "text": "said"}),
    );
    let message = async |app: &TestApp| {
        app.say(OpenAi, FLASH, "hi").await.json()["choices"][0]["message"].clone()
    };
    assert_eq!(message(&app).await["reasoning_content"], "considered");
    edit(&mut app, |s| s.set("openai", "thinking_output", "tags")).await;
    let now = message(&app).await;
    assert!(
        now.get("reasoning_content").is_none_or(Value::is_null),
        "{now}"
    );
    assert!(
        now["content"].as_str().unwrap().contains("considered"),
        "{now}"
    );

    let mut nameless = OpenAi.saying(FLASH, "hi", false);
    nameless.as_object_mut().unwrap().remove("model");
    assert_eq!(app.send(OpenAi, &nameless).await.status, 400);
    edit(&mut app, |s| s.routing("default_model", PRO)).await;
    assert_eq!(app.send(OpenAi, &nameless).await.status, 200);
    assert_eq!(last(&app).model, PRO);
}

#[tokio::test]
async fn of_the_end() {
    let script = json!({"text": "abcd", "chunks": 2, "pause_until_released": true});
    let setup = Setup::new(&["alice"]).set("server", "drain_timeout", "1h");
    let mut app = TestApp::start(setup, script).await;
    edit(&mut app, |s| {
        s.set("server", "drain_timeout", "50ms")
            .set("server", "drain_delay", "300ms")
    })
    .await;
    let mut stream = app.stream(OpenAi, FLASH, "hi").await;
    assert_eq!(stream.text().await.as_deref(), Some("ab"));
    let url = app.url("/readyz");
    let (begun, client) = (Instant::now(), app.client.clone());
    let stopping = app.take();
    let stopped = app.aside(async move { stopping.stop(std::future::pending()).await });
    // For the delay it goes on to accept, but says that it is not ready.
    until_not_ready(&client, &url).await;
    stream.rest().await.assert_failed();
    within("the end", stopped).await.unwrap();
    assert!(
        begun.elapsed() >= Duration::from_millis(350),
        "{:?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() < PATIENCE);
}

async fn until_not_ready(client: &reqwest::Client, url: &str) {
    within("not to be ready", async {
        while Got::read(client.get(url)).await.status != 503 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn of_upstreams() {
    let setup = Setup::new(&["alice"]).unlimited();
    let mut app = TestApp::start(setup, json!({})).await;
    assert_eq!(
        (status(&app, FLASH).await, last(&app).host.as_str()),
        (200, "main")
    );
    edit(&mut app, |s| {
        s.upstream("base_urls", vec!["SIM/host1".to_owned()])
    })
    .await;
    assert_eq!(
        (status(&app, FLASH).await, last(&app).host.as_str()),
        (200, "host1")
    );

    let header = |app: &TestApp, wanted: &str| {
        let headers = last(app).headers.into_iter();
        headers
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| value)
            .next()
    };
    let team = Table::from_iter([("x-team".to_owned(), "blue".into())]);
    let off = Table::from_iter([("HARM_CATEGORY_HARASSMENT".to_owned(), "BLOCK_NONE".into())]);
    edit(&mut app, |s| {
        s.upstream("headers", team)
            .upstream("user_agent", "tests/1")
            .upstream("safety_settings", off)
    })
    .await;
    assert_eq!(status(&app, FLASH).await, 200);
    assert_eq!(header(&app, "x-team").as_deref(), Some("blue"));
    assert_eq!(header(&app, "user-agent").as_deref(), Some("tests/1"));
    assert!(
        last(&app)
            .body
            .to_string()
            .contains("HARM_CATEGORY_HARASSMENT")
    );

    play(&app, &json!({"first_byte_delay": "400ms"}));
    assert_eq!(status(&app, FLASH).await, 200);
    edit(&mut app, |s| s.upstream("first_byte_timeout", "50ms")).await;
    assert!(status(&app, FLASH).await >= 500);
    edit(&mut app, |s| s.upstream("first_byte_timeout", "1m")).await;
    play(
        &app,
        &json!({"text": "abcd", "chunks": 2, "chunk_delay": "400ms"}),
    );
    assert_eq!(status(&app, FLASH).await, 200);
    edit(&mut app, |s| s.upstream("idle_timeout", "50ms")).await;
    assert!(status(&app, FLASH).await >= 500);

    // A proxy that nobody answers at: every call goes there.
    play(&app, &json!({}));
    let closed = super::free_port();
    edit(&mut app, |s| {
        s.upstream("proxy", format!("http://{closed}"))
            .upstream("idle_timeout", "1m")
    })
    .await;
    assert!(status(&app, FLASH).await >= 500);
    edit(&mut app, |s| {
        s.without(&["upstreams", "sim"], "proxy")
            .without(&["upstreams", "sim"], "base_urls")
    })
    .await;
    assert_eq!(
        (status(&app, FLASH).await, last(&app).host.as_str()),
        (200, "main")
    );

    // Models that only the upstream lists.
    let listed = "gemini-3-flash";
    edit(&mut app, |s| s.without(&["models"], listed)).await;
    assert_eq!(status(&app, listed).await, 404);
    edit(&mut app, |s| s.upstream("discover", true)).await;
    assert_eq!(status(&app, listed).await, 200);
}

#[tokio::test]
async fn of_accounts() {
    let setup = Setup::new(&["alice", "bob"])
        .unlimited()
        .routing("affinity", "none");
    let setup = setup.account_set("bob", "tier", 2);
    let mut app = TestApp::start(setup, json!({})).await;
    assert_eq!(server(&app).await, "alice");
    edit(&mut app, |s| s.account_set("alice", "tier", 3)).await;
    assert_eq!(server(&app).await, "bob");
    edit(&mut app, |s| s.account_set("bob", "enabled", false)).await;
    assert_eq!(server(&app).await, "alice");
    edit(&mut app, |s| {
        s.account_set("bob", "enabled", true)
            .account_set("bob", "models", vec![PRO.to_owned()])
    })
    .await;
    assert_eq!(server(&app).await, "alice");
    edit(&mut app, |s| {
        s.without(&["accounts", "bob"], "models")
            .account_set("bob", "tier", 3)
            .account_set("bob", "weight", 0.0)
    })
    .await;
    for _ in 0..4 {
        assert_eq!(server(&app).await, "alice");
    }
    edit(&mut app, |s| {
        s.account_set("bob", "weight", 1.0)
            .account_set("alice", "weight", 0.0)
    })
    .await;
    assert_eq!(server(&app).await, "bob");
    // The project of another one, which the simulator refuses.
    assert_eq!(last(&app).body["project"], "sim-project-bob");
    edit(&mut app, |s| {
        s.without(&["accounts"], "alice")
            .account_set("bob", "project", "sim-project-carol")
    })
    .await;
    assert!(status(&app, FLASH).await >= 400);
    assert_eq!(last(&app).body["project"], "sim-project-carol");
    // Another credential is another account.
    edit(&mut app, |s| {
        s.without(&["accounts", "bob"], "project").account_set(
            "bob",
            "refresh_token",
            "sim-refresh-carol",
        )
    })
    .await;
    assert_eq!(server(&app).await, "carol");
    // Tags, by a key that may use only what carries one.
    edit(&mut app, |s| {
        s.account("dave")
            .account_set("dave", "tags", vec!["team".to_owned()])
            .at(MAIN, "accounts", vec!["tag:team".to_owned()])
    })
    .await;
    assert_eq!(server(&app).await, "dave");
    edit(&mut app, |s| {
        s.without(&["accounts", "dave"], "tags")
            .account_set("bob", "tags", vec!["team".to_owned()])
    })
    .await;
    assert_eq!(server(&app).await, "carol");
    let mut long = {
        play(
            &app,
            &json!({"rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]}),
        );
        app.stream(OpenAi, FLASH, "hi").await
    };
    assert_eq!(long.text().await.as_deref(), Some("ab"));
    edit(&mut app, |s| {
        s.account_set("bob", "max_concurrent", 1)
            .routing("queue_timeout", "50ms")
    })
    .await;
    assert_eq!(status(&app, FLASH).await, 429);
    edit(&mut app, |s| s.account_set("bob", "max_concurrent", 2)).await;
    assert_eq!(status(&app, FLASH).await, 200);
    app.sim.release();
    long.rest().await.assert_whole();
}

#[tokio::test]
async fn of_keys() {
    let mut app = TestApp::start(Setup::new(&["alice", "bob"]).unlimited(), json!({})).await;
    assert_eq!(status(&app, FLASH).await, 200);
    edit(&mut app, |s| s.at(MAIN, "enabled", false)).await;
    assert_eq!(status(&app, FLASH).await, 401);
    let past: toml::value::Datetime = "2020-01-01".parse().unwrap();
    edit(&mut app, |s| {
        s.at(MAIN, "enabled", true).at(MAIN, "expires", past)
    })
    .await;
    assert_eq!(status(&app, FLASH).await, 401);
    edit(&mut app, |s| {
        s.without(MAIN, "expires")
            .at(MAIN, "models", vec![PRO.to_owned()])
    })
    .await;
    assert_eq!(
        (status(&app, PRO).await, status(&app, FLASH).await),
        (200, 404)
    );
    for name in ["alice", "bob"] {
        edit(&mut app, |s| {
            s.at(MAIN, "accounts", vec![name.to_owned()])
                .at(MAIN, "models", vec!["*".to_owned()])
        })
        .await;
        assert_eq!(server(&app).await, name);
    }
    edit(&mut app, |s| s.at(MAIN, "key", key(1))).await;
    assert_eq!(status(&app, FLASH).await, 401);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(KEY);
    edit(&mut app, |s| {
        s.without(MAIN, "key")
            .at(MAIN, "sha256", agp::base::id::hex(&digest))
    })
    .await;
    assert_eq!(status(&app, FLASH).await, 200);
}

#[tokio::test]
async fn of_models() {
    let mut app = TestApp::start(Setup::new(&["alice", "bob"]).unlimited(), json!({})).await;
    edit(&mut app, |s| {
        s.at(&model(FLASH), "route", vec![format!("sim/{PRO}")])
    })
    .await;
    assert_eq!(
        (status(&app, FLASH).await, last(&app).model.as_str()),
        (200, PRO)
    );
    assert_eq!(status(&app, "flash").await, 404);
    edit(&mut app, |s| {
        s.at(&model(FLASH), "aliases", vec!["flash".to_owned()])
    })
    .await;
    assert_eq!(status(&app, "flash").await, 200);

    let config = |app: &TestApp| last(app).body["request"]["generationConfig"].clone();
    edit(&mut app, |s| s.at(&model(PRO), "max_output", 77)).await;
    let mut body = OpenAi.saying(PRO, "hi", false);
    body["max_tokens"] = json!(500);
    assert_eq!(app.send(OpenAi, &body).await.status, 200);
    assert_eq!(config(&app)["maxOutputTokens"], 77, "{}", last(&app).body);
    let budget = Table::from_iter([("budget".to_owned(), 512.into())]);
    edit(&mut app, |s| {
        s.without(&model(PRO), "max_output")
            .at(&model(PRO), "thinking", budget)
    })
    .await;
    assert_eq!(status(&app, PRO).await, 200);
    assert_eq!(config(&app)["thinkingConfig"]["thinkingBudget"], 512);

    // What the id says of thinking, the file says otherwise.
    let levels = |app: &TestApp| {
        let bodies = app.payloads();
        let configs = bodies
            .iter()
            .map(|body| &body["request"]["generationConfig"]["thinkingConfig"]);
        configs.filter(|c| c["thinkingLevel"].is_string()).count()
    };
    assert_eq!(levels(&app), 0);
    edit(&mut app, |s| s.at(&model(PRO), "family", "gemini3")).await;
    status(&app, PRO).await;
    assert_eq!(levels(&app), 1, "{}", last(&app).body);

    edit(&mut app, |s| {
        s.without(&model(PRO), "family")
            .at(&model(PRO), "display_name", "The good one")
            .at(&model(PRO), "context", 4321)
    })
    .await;
    let request = app.client.get(app.url("/v1/models"));
    let listed = Got::read(Anthropic.with_key(request, KEY)).await;
    assert!(listed.text.contains("The good one"), "{}", listed.text);
    assert!(
        listed.text.contains("\"max_input_tokens\":4321"),
        "{}",
        listed.text
    );

    // In turn, and then always the first.
    let turns = async |app: &TestApp| {
        let mut served = Vec::new();
        for n in 0..4 {
            assert_eq!(app.say(OpenAi, PRO, &format!("{n}")).await.status, 200);
            served.push(app.served().pop().unwrap());
        }
        served
    };
    edit(&mut app, |s| {
        s.routing("affinity", "none")
            .at(&model(PRO), "strategy", "fill_first")
    })
    .await;
    assert_eq!(turns(&app).await, ["alice"; 4]);
    edit(&mut app, |s| {
        s.without(&model(PRO), "strategy")
            .routing("strategy", "round_robin")
    })
    .await;
    let served = turns(&app).await;
    assert!(
        served[0] != served[1] && served[..2] == served[2..],
        "{served:?}"
    );
}

#[tokio::test]
async fn of_routing() {
    let setup = Setup::new(&["alice", "bob", "carol"]).unlimited();
    let mut app = TestApp::start(setup.routing("affinity", "none"), json!({})).await;

    // A conversation stays, and then it does not.
    let apart = async |app: &TestApp| {
        let mut served = std::collections::BTreeSet::new();
        for _ in 0..12 {
            served.insert(server(app).await);
        }
        served.len()
    };
    assert!(apart(&app).await > 1);
    edit(&mut app, |s| s.routing("affinity", "conversation")).await;
    assert_eq!(apart(&app).await, 1);
    edit(&mut app, |s| s.routing("affinity", "none")).await;
    assert!(apart(&app).await > 1);

    // How often a failure is tried elsewhere.
    play(&app, &json!({"rules": [{"do": {"status": 500}}]}));
    let tries = async |app: &TestApp| {
        let before = app.served().len();
        assert!(status(app, FLASH).await >= 500);
        app.served().len() - before
    };
    edit(&mut app, |s| s.routing("max_attempts", 1)).await;
    assert_eq!(tries(&app).await, 1);
    edit(&mut app, |s| s.routing("max_attempts", 2)).await;
    assert_eq!(tries(&app).await, 2);
    play(
        &app,
        &json!({"rules": [{"do": {"status": 500, "first_byte_delay": "50ms"}}]}),
    );
    edit(&mut app, |s| s.routing("max_attempts", 3)).await;
    assert_eq!(tries(&app).await, 3);
    // The second failure comes long after the first one.
    edit(&mut app, |s| s.routing("retry_within", "1ms")).await;
    assert_eq!(tries(&app).await, 2);
    edit(&mut app, |s| s.without(&["routing"], "retry_within")).await;

    play(&app, &json!({"first_byte_delay": "600ms"}));
    assert_eq!(status(&app, FLASH).await, 200);
    edit(&mut app, |s| s.routing("total_timeout", "60ms")).await;
    assert!(status(&app, FLASH).await >= 500);
    edit(&mut app, |s| s.without(&["routing"], "total_timeout")).await;

    // Slots of a model, and who may wait for them.
    play(
        &app,
        &json!({"rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]}),
    );
    let mut long: Stream = app.stream(OpenAi, FLASH, "long").await;
    assert_eq!(long.text().await.as_deref(), Some("ab"));
    edit(&mut app, |s| {
        s.routing("max_concurrent_per_model", 1)
            .routing("queue_timeout", "50ms")
    })
    .await;
    assert_eq!(
        (status(&app, FLASH).await, status(&app, PRO).await),
        (429, 200)
    );
    edit(&mut app, |s| {
        s.routing("queue_timeout", "1h").routing("max_queue", 0)
    })
    .await;
    assert_eq!(status(&app, FLASH).await, 429);
    edit(&mut app, |s| {
        s.routing("max_queue", 1)
            .routing("max_concurrent_per_model", 2)
    })
    .await;
    assert_eq!(status(&app, FLASH).await, 200);
    app.sim.release();
    long.rest().await.assert_whole();

    // The first cooldown where the upstream states none.
    play(&app, &json!({"rules": [{"do": {"form": "capacity"}}]}));
    edit(&mut app, |s| {
        s.routing("queue_timeout", "50ms")
            .without(&["routing"], "max_attempts")
    })
    .await;
    let told = app.say(OpenAi, PRO, "hi").await.error(OpenAi);
    assert!(told.retry_after < Some(60), "{told:?}");
    edit(&mut app, |s| {
        s.routing("capacity_cooldown", "1h")
            .routing("max_cooldown", "2h")
    })
    .await;
    let told = app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    assert!(told.retry_after > Some(600), "{told:?}");
    play(&app, &json!({}));

    // How often quotas are asked for.
    app.warm().await;
    let before = app.calls("fetchAvailableModels");
    edit(&mut app, |s| s.routing("quota_refresh", "1s")).await;
    until("more quotas", || {
        app.calls("fetchAvailableModels") > before + 3
    })
    .await;
}

#[tokio::test]
async fn of_what_is_kept() {
    let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await;
    for _ in 0..20 {
        assert_eq!(status(&app, FLASH).await, 200);
    }
    assert_eq!(app.logs(20).await.len(), 20);
    edit(&mut app, |s| s.set("state", "log_max_rows", 5)).await;
    let rows = async |app: &TestApp, wanted: usize| {
        within("rows to be forgotten", async {
            while app.logs(0).await.len() > wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    rows(&app, 5).await;
    edit(&mut app, |s| s.set("state", "log_retention", "1ms")).await;
    rows(&app, 0).await;
}

#[tokio::test]
async fn of_the_log() {
    let tasks = agp::base::task::Tasks::new();
    let sim = simulate(&json!({}), &tasks).await;
    let dir = tempfile::tempdir().unwrap();
    let (root, log) = (dir.path().join("agp.toml"), dir.path().join("log.txt"));
    let setup = Setup::new(&["alice"]);
    let save = |setup: &Setup| std::fs::write(&root, setup.text(&sim.url())).unwrap();
    save(&setup);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &format!("exec '{AGP}' serve 2>'{}'", log.display())])
        .current_dir(dir.path());
    let serving = Running::start(command);
    let read = |from: usize| {
        let mut text = String::new();
        std::fs::File::open(&log)
            .and_then(|mut file| file.read_to_string(&mut text))
            .unwrap_or_default();
        text.get(from..).unwrap_or_default().to_owned()
    };
    until("the gateway to listen", || read(0).contains("listening")).await;
    let json_line = "\"message\":\"configuration applied\"";
    save(&setup.clone().set("log", "format", "json"));
    until("a line of JSON", || read(0).contains(json_line)).await;
    // From now on nothing but errors: the next edit is not told, the broken one is.
    save(
        &setup
            .clone()
            .set("log", "format", "json")
            .set("log", "level", "error"),
    );
    let status = || {
        let output = std::process::Command::new(AGP)
            .arg("status")
            .current_dir(dir.path())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    until("the level to change", || status().contains("generation 3,")).await;
    let from = read(0).len();
    save(
        &setup
            .clone()
            .set("log", "level", "error")
            .routing("max_queue", 7),
    );
    until("the next edit", || status().contains("generation 4,")).await;
    std::fs::write(&root, "version = \n").unwrap();
    until("the refusal", || read(from).contains("is refused")).await;
    assert!(
        !read(from).contains("configuration applied"),
        "{}",
        read(from)
    );
    assert_eq!(serving.terminate().await, 0);
}
