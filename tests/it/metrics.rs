//! `/metrics`: who may ask, what it says after a scripted run, that its labels are bounded, and that the list in the
//! documents is the list of the output.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agp::cli::ask;
use serde_json::json;
use tokio::net::UnixStream;

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got};
use crate::support::setup::Setup;
use crate::support::{TestApp, until, within};

const FLASH: &str = "gemini-2.5-flash";

/// A gateway that tells its metrics at an address of its own.
fn setup(accounts: &[&str]) -> Setup {
    Setup::new(accounts).at(&["server", "metrics"], "listen", "127.0.0.1:0")
}

/// What a scrape says.
struct Scraped {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scraped {
    /// Every line is a comment, or a sample of the metric that was announced last.
    fn parse(text: String) -> Self {
        let mut samples = BTreeMap::new();
        let mut metric = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_ne!(metric.0, name, "announced twice");
                metric = (name.to_owned(), kind.to_owned());
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let base = if metric.1 == "histogram" {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap()
            } else {
                name
            };
            assert_eq!(base, metric.0, "{line}");
            let before = samples.insert(series.to_owned(), value.parse().unwrap());
            assert!(before.is_none(), "twice: {line}");
        }
        Self { text, samples }
    }

    #[track_caller]
    fn is(&self, series: &str, value: f64) {
        let found = self.samples.get(series);
        assert_eq!(found, Some(&value), "{series} in:\n{}", self.text);
    }

    fn of(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// Names, types and help texts, in their order.
    fn metrics(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let mut help = String::new();
        for line in self.text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ').unwrap().1.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                found.push((name.to_owned(), kind.to_owned(), help.clone()));
            }
        }
        found
    }

    /// The values of a label over all series.
    fn labels(&self, label: &str) -> BTreeSet<String> {
        let mark = format!("{label}=\"");
        let series = self.samples.keys().flat_map(|s| s.split([',', '{', '}']));
        series
            .filter_map(|part| part.strip_prefix(&mark)?.strip_suffix('"'))
            .map(str::to_owned)
            .collect()
    }
}

async fn scrape(app: &TestApp) -> Scraped {
    let at = app.gateway().metrics_addr().unwrap();
    let got = Got::read(app.client.get(format!("http://{at}/metrics"))).await;
    assert_eq!(got.status, 200);
    let kind = got.headers["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    Scraped::parse(got.text)
}

/// By the admin socket.
async fn scrape_socket(app: &TestApp) -> Scraped {
    let socket = app.dir.path().join("data/agp.sock");
    let stream = UnixStream::connect(socket).await.unwrap();
    let (status, body) = ask::get(stream, "/metrics").await.unwrap();
    assert_eq!(status, 200);
    Scraped::parse(String::from_utf8(body.to_vec()).unwrap())
}

/// Scrapes until a series has this value: what a connection's end settles comes a moment after the answer.
async fn scrape_until(app: &TestApp, series: &str, value: f64) -> Scraped {
    within(series, async {
        loop {
            let scraped = scrape(app).await;
            if scraped.of(series) == Some(value) {
                return scraped;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// What the scripted run leaves in the metrics with labels.
#[track_caller]
fn the_tables_are_those_of_the_run(now: &Scraped) {
    let request = |dialect: &str, fault: &str, outcome: &str| {
        format!(
            "agp_requests_total{{dialect=\"{dialect}\",fault=\"{fault}\",outcome=\"{outcome}\"}}"
        )
    };
    for (dialect, fault, outcome, n) in [
        ("openai_chat", "none", "ok", 1.0),
        // The stream and the count.
        ("anthropic", "none", "ok", 2.0),
        ("openai_chat", "client", "unknown_model", 1.0),
        ("anthropic", "client", "unknown_model", 1.0),
        ("openai_chat", "client", "bad_request", 1.0),
        ("openai_chat", "client", "invalid_key", 1.0),
    ] {
        now.is(&request(dialect, fault, outcome), n);
    }
    let tries = |class: &str| format!("agp_tries_total{{upstream=\"sim\",class=\"{class}\"}}");
    for (class, n) in [
        ("ok", 2.0),
        ("rate_limited", 1.0),
        ("forbidden", 1.0),
        ("needs_validation", 1.0),
    ] {
        now.is(&tries(class), n);
    }
    for (state, n) in [
        // f, d, and a, whose other models can serve.
        ("active", 3.0),
        ("cooling", 1.0),
        ("exhausted", 0.0),
        ("needs_verification", 1.0),
        ("needs_login", 0.0),
        ("disabled", 0.0),
        ("paused", 1.0),
    ] {
        now.is(
            &format!("agp_accounts{{upstream=\"sim\",state=\"{state}\"}}"),
            n,
        );
    }
    now.is(
        r#"agp_cooldowns{scope="account_model",class="rate_limited"}"#,
        1.0,
    );
    now.is(r#"agp_cooldowns{scope="account",class="forbidden"}"#, 1.0);
    now.is(r#"agp_cooldowns{scope="model",class="capacity"}"#, 0.0);
}

#[tokio::test]
async fn the_values_are_those_of_a_scripted_run() {
    let script = json!({"rules": [
        {"account": "a@*", "times": 1, "do": {"form": "retry_info", "delay": "34s"}},
        {"account": "b@*", "times": 1, "do": {"status": 403}},
        {"account": "c@*", "skip": 1, "times": 1, "do": {"form": "validation"}},
        {"account": "d@*", "times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let setup = setup(&["a", "b", "c", "d", "e", "f"])
        .routing("strategy", "fill_first")
        .account_set("e", "enabled", false)
        .account_set("f", "tier", 9);
    let app = TestApp::start(setup, script).await;
    app.warm().await;
    let fresh = scrape(&app).await;
    fresh.is(r#"agp_accounts{upstream="sim",state="active"}"#, 5.0);
    fresh.is(r#"agp_accounts{upstream="sim",state="paused"}"#, 1.0);
    fresh.is(
        r#"agp_requests_total{dialect="openai_chat",fault="none",outcome="ok"}"#,
        0.0,
    );
    fresh.is("agp_first_token_seconds_count", 0.0);
    // a and b fail, c answers.
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    // c wants to be verified, d answers the one that was asked for as a stream and stops in between.
    let mut stream = app.stream(Anthropic, FLASH, "hi").await;
    stream.text().await.unwrap();
    let busy = scrape(&app).await;
    busy.is("agp_requests_in_flight", 1.0);
    busy.is(r#"agp_calls_in_flight{upstream="sim"}"#, 1.0);
    app.sim.release();
    stream.rest().await.assert_whole();
    // Mistakes of clients: a model that there is not, a body that is none, a key that is none.
    for dialect in BOTH {
        assert_eq!(app.say(dialect, "no-such-model", "hi").await.status, 404);
    }
    let bad = json!({"model": FLASH, "messages": 7});
    assert_eq!(app.send(OpenAi, &bad).await.status, 400);
    let body = OpenAi.saying(FLASH, "hi", false);
    let stranger = app.request_as(OpenAi, "no-such-key", &body);
    assert_eq!(Got::read(stranger).await.status, 401);
    let count = app
        .client
        .post(app.url("/v1/messages/count_tokens"))
        .body(Anthropic.saying(FLASH, "hi", false).to_string());
    let count = Anthropic.with_key(count, crate::support::setup::KEY);
    assert_eq!(Got::read(count).await.status, 200);

    let now = scrape_until(&app, "agp_requests_in_flight", 0.0).await;
    the_tables_are_those_of_the_run(&now);
    now.is("agp_request_duration_seconds_count", 2.0);
    now.is("agp_first_token_seconds_count", 2.0);
    now.is("agp_queue_wait_seconds_count", 2.0);
    now.is("agp_queue_length", 0.0);
    now.is(r#"agp_calls_in_flight{upstream="sim"}"#, 0.0);
    let model =
        |fault: &str| format!("agp_model_requests_total{{model=\"{FLASH}\",fault=\"{fault}\"}}");
    now.is(&model("none"), 2.0);
    now.is(&model("client"), 0.0);
    // The counts of the log are those of the page.
    let rows = app.logs(5).await;
    let sum = |of: fn(&agp::ir::Usage) -> Option<u64>| -> f64 {
        let all = rows.iter().map(|row| of(&row.usage).unwrap_or(0));
        u32::try_from(all.sum::<u64>()).unwrap().into()
    };
    let tokens = |kind: &str| format!("agp_tokens_total{{model=\"{FLASH}\",kind=\"{kind}\"}}");
    now.is(&tokens("input"), sum(|u| u.input));
    now.is(&tokens("output"), sum(|u| u.output) - sum(|u| u.reasoning));
    now.is(&tokens("reasoning"), sum(|u| u.reasoning));
    assert!(now.of(&tokens("input")) > Some(0.0));
    now.is(r#"agp_build_info{version="0.1.0"}"#, 1.0);
    now.is(r#"agp_store_ok{file="state"}"#, 1.0);
    now.is(r#"agp_store_dropped_total{file="log"}"#, 0.0);
    assert!(now.of("process_start_time_seconds") > Some(1.7e9));
    assert!(now.of("agp_connections") >= Some(1.0));
    // What the socket tells is the same.
    let by_socket = scrape_socket(&app).await;
    assert_eq!(by_socket.metrics(), now.metrics());
    by_socket.is(&model("none"), 2.0);
}

#[tokio::test]
async fn labels_are_bounded_and_nothing_secret_is_told() {
    let app = TestApp::start(
        setup(&["alice", "bob"]).unlimited(),
        json!({"rules": [{"account": "alice@*", "times": 1, "do": {"status": 403}}]}),
    )
    .await;
    app.warm().await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let series =
        |scraped: &Scraped| -> BTreeSet<String> { scraped.samples.keys().cloned().collect() };
    for dialect in BOTH {
        assert_eq!(app.say(dialect, "no-such-model", "hi").await.status, 404);
    }
    let before = series(&scrape_until(&app, "agp_requests_in_flight", 0.0).await);
    for n in 0..1000 {
        let model = format!("invented-{n}\",x=\"\n");
        assert_eq!(app.say(BOTH[n % 2], &model, "hi").await.status, 404);
    }
    let scraped = scrape_until(&app, "agp_requests_in_flight", 0.0).await;
    assert_eq!(series(&scraped), before);
    let models: BTreeSet<String> = app.setup.clone().models().into_iter().collect();
    assert_eq!(scraped.labels("model"), models);
    assert_eq!(
        scraped.labels("upstream"),
        BTreeSet::from(["sim".to_owned()])
    );
    for secret in [
        "alice",
        "bob",
        "example.com",
        "main",
        "sim-refresh",
        "sim-access",
        "sim-client",
        "sim-secret",
        "test-client-key",
        "sim-project",
        "invented",
        "127.0.0.1",
    ] {
        assert!(!scraped.text.contains(secret), "{secret}: {}", scraped.text);
    }
}

#[tokio::test]
async fn models_that_only_the_upstream_names_are_counted_together() {
    let setup = setup(&["alice"]).upstream("discover", true);
    let app = TestApp::start(setup.without(&["models"], FLASH), json!({})).await;
    app.warm().await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let scraped = scrape_until(&app, "agp_requests_in_flight", 0.0).await;
    scraped.is(
        r#"agp_model_requests_total{model="(discovered)",fault="none"}"#,
        1.0,
    );
    assert!(!scraped.labels("model").contains(FLASH));
}

#[tokio::test]
async fn a_refused_reload_shows_and_so_does_the_one_that_mends_it() {
    let app = TestApp::start(setup(&["alice"]), json!({})).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let before = scrape(&app).await;
    let generation = before.of("agp_config_generation").unwrap();
    before.is("agp_config_reload_ok", 1.0);
    std::fs::write(
        app.root(),
        "version = 1\n[server]\nlisen = 1\nmax_body = 7\n",
    )
    .unwrap();
    until("the refusal", || {
        !app.runtime().reload.lock().errors.is_empty()
    })
    .await;
    // Strangers are told the codes alone.
    let health = app.health().await;
    assert_eq!(
        (&health["reload"], &health["errors"]),
        (&json!("refused"), &json!(["AGP010", "AGP011"]))
    );
    assert!(!health.to_string().contains("lisen"), "{health}");
    let refused = scrape(&app).await;
    refused.is("agp_config_reload_ok", 0.0);
    refused.is("agp_config_reload_errors", 2.0);
    refused.is("agp_config_generation", generation);
    refused.is(r#"agp_config_reloads_total{result="refused"}"#, 1.0);
    assert!(refused.of("agp_config_reload_time_seconds") > Some(1.7e9));
    std::fs::write(
        app.root(),
        app.setup
            .clone()
            .routing("max_attempts", 3)
            .text(&app.sim.url()),
    )
    .unwrap();
    until("the repair", || {
        app.runtime().reload.lock().errors.is_empty()
    })
    .await;
    let mended = scrape(&app).await;
    mended.is("agp_config_reload_ok", 1.0);
    mended.is("agp_config_reload_errors", 0.0);
    mended.is("agp_config_generation", generation + 1.0);
    // What was counted goes on.
    mended.is(
        &format!("agp_model_requests_total{{model=\"{FLASH}\",fault=\"none\"}}"),
        1.0,
    );
    mended.is(r#"agp_tries_total{upstream="sim",class="ok"}"#, 1.0);
}

#[tokio::test]
async fn the_metrics_have_an_address_of_their_own_that_a_reload_moves() {
    let mut app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    // Without `server.metrics` they are told on the socket, and to administrators.
    assert!(app.gateway().metrics_addr().is_none());
    assert_eq!(
        Got::read(app.client.get(app.url("/metrics"))).await.status,
        401
    );
    scrape_socket(&app).await.is("agp_requests_in_flight", 0.0);
    app.setup = setup(&["alice"]);
    app.save();
    until("the address", || app.gateway().metrics_addr().is_some()).await;
    let first = app.gateway().metrics_addr().unwrap();
    scrape(&app).await.is("agp_requests_in_flight", 0.0);
    // Nothing else is to be had there, and nothing of it at the clients' address without a token.
    for path in ["/v1/models", "/healthz", "/", "/admin/api/v1/status"] {
        let got = Got::read(app.client.get(format!("http://{first}{path}"))).await;
        assert_eq!(got.status, 404, "{path}");
    }
    assert_eq!(
        Got::read(app.client.get(app.url("/metrics"))).await.status,
        401
    );
    // An address that can't be had: the reload is refused whole.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let generation = app.runtime().snapshot().generation;
    app.setup = setup(&["alice", "bob"]).at(&["server", "metrics"], "listen", addr.clone());
    app.save();
    until("the refusal", || {
        !app.runtime().reload.lock().errors.is_empty()
    })
    .await;
    let errors = app.runtime().reload.lock().errors.clone();
    assert!(
        errors[0].contains("`server.metrics.listen`") && errors[0].contains(&addr),
        "{errors:?}"
    );
    assert_eq!(app.runtime().snapshot().generation, generation);
    assert_eq!(app.gateway().metrics_addr(), Some(first));
    scrape(&app).await.is("agp_config_reload_ok", 0.0);
    // Once it is free the same file can be had.
    drop(taken);
    app.setup = app.setup.clone().routing("max_attempts", 3);
    app.save();
    until("the move", || {
        app.gateway().metrics_addr().map(|a| a.to_string()) == Some(addr.clone())
    })
    .await;
    scrape(&app).await.is("agp_config_reload_ok", 1.0);
    let gone = app.client.get(format!("http://{first}/metrics")).send();
    assert!(gone.await.is_err());
    app.setup = app.setup.clone().without(&["server"], "metrics");
    app.save();
    until("the end of it", || app.gateway().metrics_addr().is_none()).await;
}

#[tokio::test]
async fn the_documents_list_is_the_list_of_the_output() {
    let app = TestApp::start(setup(&["alice"]), json!({})).await;
    let listed: Vec<(String, String)> = include_str!("../../docs/metrics.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.strip_suffix('`')?.to_owned();
            Some((name, cells.next()?.to_owned()))
        })
        .collect();
    let found: Vec<(String, String)> = scrape(&app)
        .await
        .metrics()
        .into_iter()
        .map(|(name, kind, help)| {
            assert!(help.ends_with('.') && help.len() > 20, "{name}: {help}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            (name, kind)
        })
        .collect();
    assert_eq!(listed, found);
}

#[tokio::test]
async fn many_accounts_make_no_longer_page() {
    let names: Vec<String> = (0..2_000).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Nobody is signed in to: what counts is the page.
    let setup = setup(&names).upstream("base_urls", vec!["http://127.0.0.1:1".to_owned()]);
    let app = TestApp::start(setup, json!({})).await;
    let scraped = scrape(&app).await;
    scraped.is(r#"agp_accounts{upstream="sim",state="active"}"#, 2_000.0);
    assert!(scraped.text.len() < 32 << 10, "{}", scraped.text.len());
    if let Ok(times) = std::env::var("AGP_TEST_SCRAPES") {
        let times: u32 = times.parse().unwrap();
        let began = std::time::Instant::now();
        for _ in 0..times {
            scrape(&app).await;
        }
        println!("a scrape takes {:?}", began.elapsed() / times);
    }
}

#[tokio::test]
async fn accounts_without_quota_are_exhausted_here_as_in_the_status() {
    let script = json!({"accounts": {
        "spent@example.com": {"quota": {"*": {"remaining": 0, "reset": "3h"}}},
        "half@example.com": {"quota": {"gemini-*": {"remaining": 0, "reset": "3h"}}}}});
    let app = TestApp::start(setup(&["spent", "half", "well"]), script).await;
    app.warm().await;
    let spent = r#"agp_accounts{upstream="sim",state="exhausted"}"#;
    let scraped = scrape_until(&app, spent, 1.0).await;
    scraped.is(r#"agp_accounts{upstream="sim",state="active"}"#, 2.0);
}
