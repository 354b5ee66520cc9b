//! Limits and budgets of keys and groups: each refuses what goes over it in the client's own words, resets when it says,
//! and outlives reloads and restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use agp::base::task::Tasks;
use agp::pool::limit::{Limit, Use};
use futures_util::future::join_all;
use serde_json::{Value, json};
use toml::Table;

use crate::support::client::Dialect::{self, Anthropic, OpenAi};
use crate::support::client::{BOTH, Got, Speech, Stream, Told};
use crate::support::process::{Running, agp, run};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, simulate, until, within};

const FLASH: &str = "gemini-2.5-flash";
const PRO: &str = "gemini-2.5-pro";
const OTHER: &str = "another-client-key-that-protects-nothing-either";
const MAIN: &[&str] = &["keys", "main"];

/// Dollars for a million tokens.
fn price(input: f64, output: f64) -> Table {
    Table::from_iter([
        ("input".to_owned(), input.into()),
        ("output".to_owned(), output.into()),
    ])
}

fn budget(usd: f64, per: &str) -> Table {
    Table::from_iter([
        ("usd".to_owned(), usd.into()),
        ("per".to_owned(), per.into()),
    ])
}

/// One account without limits of its own; a token of output costs a cent, one of input nothing.
fn setup() -> Setup {
    Setup::new(&["alice"])
        .unlimited()
        .at(&["models", FLASH], "price", price(0.0, 10_000.0))
}

/// What the key has used of each of its limits and its group's.
fn uses(app: &TestApp, key: &str) -> Vec<Use> {
    let runtime = app.runtime();
    let key = runtime.snapshot().key_named(key).unwrap();
    let now = runtime.registry.limits.clock.now();
    key.limits().flat_map(|limited| limited.uses(now)).collect()
}

fn used(app: &TestApp) -> u64 {
    uses(app, "main")[0].used
}

/// A request that takes at most a hundred tokens of output, and makes them.
fn hundred(dialect: Dialect, stream: bool) -> Value {
    let mut body = dialect.saying(FLASH, "hi", stream);
    body["max_tokens"] = json!(100);
    body
}

fn long_answers() -> Value {
    json!({"answer_bytes": 4000})
}

async fn send(app: &TestApp, dialect: Dialect) -> Got {
    app.send(dialect, &hundred(dialect, false)).await
}

fn is_refused(told: &Told, dialect: Dialect, code: &str) {
    assert_eq!(
        (told.status, &*told.kind),
        (429, "rate_limit_error"),
        "{told:?}"
    );
    if dialect == OpenAi {
        assert_eq!(told.code.as_deref(), Some(code), "{told:?}");
    }
}

#[tokio::test]
async fn each_limit_refuses_in_both_dialects_and_resets_when_it_says() {
    let cases: [(&str, toml::Value, &str, &str); 5] = [
        (
            "rpm",
            1.into(),
            "1 requests a minute",
            "rate_limit_exceeded",
        ),
        (
            "tokens_per_minute",
            170.into(),
            "170 tokens a minute",
            "rate_limit_exceeded",
        ),
        (
            "tokens_per_day",
            170.into(),
            "170 tokens a day",
            "insufficient_quota",
        ),
        (
            "budget",
            budget(1.5, "day").into(),
            "$1.50 a day",
            "insufficient_quota",
        ),
        (
            "budget",
            budget(1.5, "month").into(),
            "$1.50 a month",
            "insufficient_quota",
        ),
    ];
    for (key, bound, words, code) in cases {
        for owner in [&["keys", "main"][..], &["groups", "team"]] {
            let setup = setup()
                .at(MAIN, "group", "team")
                .at(&["groups"], "team", Table::new())
                .at(owner, key, bound.clone());
            let app = TestApp::start(setup, long_answers()).await;
            for dialect in BOTH {
                assert_eq!(send(&app, dialect).await.status, 200, "{key}");
                let refused = [
                    send(&app, dialect).await.error(dialect),
                    app.send(dialect, &hundred(dialect, true))
                        .await
                        .error(dialect),
                ];
                let mut wait = 0;
                for told in refused {
                    is_refused(&told, dialect, code);
                    wait = told.retry_after.unwrap();
                    let whose = if owner[0] == "keys" {
                        "key `main`"
                    } else {
                        "group `team`"
                    };
                    for word in [words, whose, key, "resets at "] {
                        assert!(told.message.contains(word), "no `{word}`: {told:?}");
                    }
                }
                let minute = code == "rate_limit_exceeded";
                assert!(wait >= 1 && (wait <= 60 || !minute), "{key}: {wait}");
                let clock = &app.runtime().registry.limits.clock;
                if wait > 5 {
                    clock.advance(Duration::from_secs(wait - 4));
                    assert_eq!(send(&app, dialect).await.status, 429, "{key}: too early");
                    clock.advance(Duration::from_secs(4));
                } else {
                    clock.advance(Duration::from_secs(wait));
                }
            }
            assert_eq!(send(&app, OpenAi).await.status, 200, "{key}");
        }
    }
}

#[tokio::test]
async fn a_group_is_shared_and_a_key_without_it_is_free() {
    let setup = setup()
        .at(&["groups", "team"], "rpm", 2)
        .at(MAIN, "group", "team")
        .at(&["keys", "other"], "key", OTHER)
        .at(&["keys", "other"], "group", "team")
        .at(
            &["keys", "free"],
            "key",
            "a-third-client-key-that-protects-nothing",
        );
    let app = TestApp::start(setup, json!({})).await;
    let body = hundred(OpenAi, false);
    let as_key = |key: &'static str| Got::read(app.request_as(OpenAi, key, &body));
    assert_eq!(as_key(KEY).await.status, 200);
    assert_eq!(as_key(OTHER).await.status, 200);
    for key in [KEY, OTHER] {
        let told = as_key(key).await.error(OpenAi);
        assert!(told.message.contains("group `team`"), "{told:?}");
    }
    for _ in 0..5 {
        let got = as_key("a-third-client-key-that-protects-nothing").await;
        assert_eq!(got.status, 200);
    }
    assert!(uses(&app, "free").is_empty());
}

async fn reload(app: &mut TestApp, setup: Setup) {
    let before = app.runtime().snapshot().generation;
    app.setup = setup;
    app.save();
    let runtime = Arc::clone(app.runtime());
    until("the reload", || runtime.snapshot().generation > before).await;
}

#[tokio::test]
async fn a_reload_changes_the_bound_and_keeps_what_is_counted() {
    let setup = setup()
        .at(MAIN, "rpm", 2)
        .at(MAIN, "tokens_per_day", 100_000);
    let mut app = TestApp::start(setup.clone(), json!({})).await;
    for status in [200, 200, 429] {
        assert_eq!(send(&app, OpenAi).await.status, status);
    }
    let tokens = uses(&app, "main")[1].used;
    assert!(tokens > 0);
    reload(&mut app, setup.clone().at(MAIN, "rpm", 3)).await;
    for status in [200, 429] {
        assert_eq!(send(&app, OpenAi).await.status, status);
    }
    let tokens = uses(&app, "main")[1].used.max(tokens);
    // A key that leaves the file and comes back under another name is the same key.
    reload(
        &mut app,
        setup
            .clone()
            .without(&["keys"], "main")
            .at(&["keys", "other"], "key", OTHER),
    )
    .await;
    assert_eq!(send(&app, OpenAi).await.status, 401);
    let again = setup
        .without(&["keys"], "main")
        .at(&["keys", "main2"], "key", KEY)
        .at(&["keys", "main2"], "tokens_per_day", 100_000);
    reload(&mut app, again).await;
    assert_eq!(uses(&app, "main2")[0].used, tokens);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_under_a_budget_and_not_listed() {
    let setup = setup()
        .at(&["groups", "team"], "budget", budget(5.0, "month"))
        .at(MAIN, "group", "team")
        .at(&["keys", "other"], "key", OTHER)
        .at(&["keys", "other"], "budget", budget(5.0, "day"))
        .at(
            &["keys", "free"],
            "key",
            "a-third-client-key-that-protects-nothing",
        );
    let app = TestApp::start(setup, json!({})).await;
    for (key, whose) in [(KEY, "group `team`"), (OTHER, "key `other`")] {
        for dialect in BOTH {
            let body = dialect.saying(PRO, "hi", false);
            let told = Got::read(app.request_as(dialect, key, &body))
                .await
                .error(dialect);
            assert_eq!((told.status, &*told.kind), (400, "invalid_request_error"));
            assert!(
                told.message.contains(PRO)
                    && told.message.contains(whose)
                    && told.message.contains("budget"),
                "{told:?}"
            );
        }
    }
    let listed = async |key: &str| {
        let got = Got::read(app.client.get(app.url("/v1/models")).bearer_auth(key))
            .await
            .json();
        got["data"].as_array().unwrap().len()
    };
    assert_eq!(listed(KEY).await, 1);
    assert_eq!(listed(OTHER).await, 1);
    assert_eq!(listed("a-third-client-key-that-protects-nothing").await, 7);
    assert_eq!(app.calls("streamGenerateContent"), 0);
}

#[tokio::test]
async fn a_request_counts_once_by_what_the_upstream_counted() {
    let setup = setup()
        .at(MAIN, "rpm", 10)
        .at(MAIN, "tokens_per_minute", 10_000)
        .at(MAIN, "budget", budget(100.0, "day"));
    let script = json!({"answer_bytes": 4000, "rules": [
        {"times": 2, "do": {"status": 500}},
        {"skip": 1, "times": 1, "do": {"status": 400, "message": "no such thing"}},
    ]});
    let app = TestApp::start(setup, script).await;
    // Two tries fail and cost nothing, the third answers.
    let got = send(&app, OpenAi).await;
    let usage = got.json()["usage"].clone();
    assert_eq!(usage["completion_tokens"], 100);
    let all = |app: &TestApp| uses(app, "main").iter().map(|u| u.used).collect::<Vec<_>>();
    let total = usage["total_tokens"].as_u64().unwrap();
    assert_eq!(all(&app), [1, total, 1_000_000_000]);
    let row = app.log(got.id()).await;
    assert_eq!((row.tries.len(), row.cost), (3, Some(1_000_000_000)));
    // A refusal of the upstream's costs nothing; the request was made.
    let refused = send(&app, OpenAi).await;
    assert_eq!(refused.status, 400);
    assert_eq!(all(&app), [2, total, 1_000_000_000]);
    assert_eq!(app.log(refused.id()).await.cost, Some(0));
    // What never reached the upstream counts for nothing at all.
    let unknown = app.say(OpenAi, "nothing-like-this", "hi").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(all(&app), [2, total, 1_000_000_000]);
    let sums = app.runtime().store.usage(
        agp::store::RollUp::Key,
        Some("main"),
        agp::base::time::Timestamp(0),
        agp::base::time::Timestamp(i64::MAX),
    );
    let cost: u64 = sums.unwrap().iter().map(|bucket| bucket.sums.cost).sum();
    assert_eq!(cost, 1_000_000_000);
}

#[tokio::test]
async fn what_waits_in_vain_gives_its_reservation_back() {
    let setup = Setup::new(&["alice"])
        .routing("queue_timeout", "50ms")
        .at(MAIN, "rpm", 10)
        .at(MAIN, "tokens_per_day", 10_000);
    let app = TestApp::start(setup, json!({"chunks": 2, "pause_until_released": 1})).await;
    let held = app.stream(OpenAi, FLASH, "hold the only slot").await;
    let before = uses(&app, "main");
    assert_eq!(before[0].used, 1);
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 429);
    let after: Vec<u64> = uses(&app, "main").iter().map(|u| u.used).collect();
    assert_eq!(after, [1, before[1].used]);
    drop(held);
}

#[tokio::test]
async fn a_client_that_goes_away_pays_for_what_it_got() {
    let setup = setup().at(MAIN, "tokens_per_day", 100_000);
    let script = json!({"answer_bytes": 3000, "chunks": 10, "pause_until_released": 5});
    let app = TestApp::start(setup, script).await;
    let mut stream = app.stream(Anthropic, FLASH, "hi").await;
    let mut got = 0;
    while got < 1500 {
        got += stream.text().await.unwrap().len();
    }
    let reserved = used(&app);
    assert!(reserved > 8192, "{reserved}");
    drop(stream);
    until("the settling", || used(&app) < reserved).await;
    let booked = used(&app);
    assert!(
        (1500 / 4..1500 / 3 + 50).contains(&usize::try_from(booked).unwrap()),
        "{booked}"
    );
}

#[tokio::test]
async fn an_answer_that_outgrows_its_reservation_goes_on_while_there_is_room() {
    let script = json!({"answer_bytes": 30_000, "chunk_bytes": 100, "chunk_delay": "1ms"});
    for (bound, whole) in [(20_000_u32, true), (6000, false)] {
        for dialect in BOTH {
            let setup = setup().at(MAIN, "tokens_per_day", bound);
            let app = TestApp::start(setup, script.clone()).await;
            let mut body = dialect.saying(FLASH, "hi", true);
            if dialect == Anthropic {
                // Of which nothing is known to the estimate: the upstream's word comes last.
                body["max_tokens"] = json!(if whole { 8192 } else { 5800 });
            }
            let speech = Stream::open(dialect, app.request(dialect, &body))
                .await
                .rest()
                .await;
            if whole {
                speech.assert_whole();
                assert_eq!(speech.text().len(), 30_000);
            } else if dialect == OpenAi {
                let told = speech.assert_failed();
                assert_eq!(told.code.as_deref(), Some("insufficient_quota"), "{told:?}");
                assert!(told.message.contains("6000 tokens a day"), "{told:?}");
                let len = speech.text().len();
                assert!((15_000..19_000).contains(&len), "{len}");
            } else {
                // The client's own limit bounds it: nothing more is needed.
                speech.assert_whole();
            }
            let booked = used(&app);
            assert!(booked <= u64::from(bound) + 200, "{booked} of {bound}");
            if !whole && dialect == OpenAi {
                // The call is over, and so is the account's slot.
                until("the slot", || app.account("alice").in_flight.count() == 0).await;
            }
        }
    }
}

#[tokio::test]
async fn a_whole_answer_that_outgrows_its_budget_is_refused_and_booked() {
    let setup = setup().at(MAIN, "tokens_per_day", 5000);
    let script = json!({"answer_bytes": 60_000, "chunk_bytes": 100, "chunk_delay": "1ms"});
    let app = TestApp::start(setup, script).await;
    let told = app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    is_refused(&told, OpenAi, "insufficient_quota");
    assert!((4900..5200).contains(&used(&app)), "{}", used(&app));
    let row = &app.logs(1).await[0];
    assert!(row.cost.unwrap() > 40_000_000_000, "{:?}", row.cost);
}

/// Dollars for a million tokens of output where many stream.
const OUTPUT: f64 = 12.0;
const INPUT: f64 = 3.0;

/// What the upstream made of this, at the simulator's four characters to the token: by its own count, or by the text.
fn spent(dialect: Dialect, speech: &Speech) -> f64 {
    let count = |name: &str| {
        let usage = speech.usage.as_ref().filter(|_| speech.finish.is_some());
        usage.and_then(|u| u[name].as_u64())
    };
    let (input, output) = match dialect {
        OpenAi => ("prompt_tokens", "completion_tokens"),
        Anthropic => ("input_tokens", "output_tokens"),
    };
    let said = speech.text().len() as u64 / 4;
    let (input, output) = (count(input).unwrap_or(1), count(output).unwrap_or(said));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let usd = (input as f64 * INPUT + output as f64 * OUTPUT) / 1e6;
    usd
}

fn streaming(dialect: Dialect, model: &str) -> Value {
    let mut body = dialect.saying(model, "tell me a long story, please", true);
    if dialect == OpenAi {
        body["stream_options"] = json!({"include_usage": true});
    } else {
        body["max_tokens"] = json!(3000);
    }
    body
}

fn dollars(uses: &[Use]) -> f64 {
    let money = uses.iter().find(|u| matches!(u.limit, Limit::Money(_)));
    agp::base::money::usd(money.unwrap().used)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_streams_stay_within_a_budget_of_one_dollar() {
    let setup = setup()
        .at(&["models", FLASH], "price", price(INPUT, OUTPUT))
        .at(&["models", PRO], "price", price(INPUT, OUTPUT))
        .at(MAIN, "budget", budget(1.0, "month"));
    // One model stays below what is reserved for it, the other goes beyond.
    let script = json!({"chunk_bytes": 100, "chunk_delay": "2ms", "rules": [
        {"model": FLASH, "do": {"answer_bytes": 4000}},
        {"model": PRO, "do": {"answer_bytes": 100_000}},
    ]});
    let app = TestApp::start(setup, script).await;
    let outcomes = join_all((0..50).map(|n| {
        let app = &app;
        async move {
            let (dialect, model) = (BOTH[n % 2], if BOTH[n % 2] == OpenAi { PRO } else { FLASH });
            let (mut sum, mut refused, mut cut) = (0.0, 0, 0);
            while refused == 0 {
                let response = app
                    .request(dialect, &streaming(dialect, model))
                    .send()
                    .await;
                let response = response.unwrap();
                if response.status() != 200 {
                    assert_eq!(response.status(), 429);
                    assert!(response.headers().contains_key("retry-after"));
                    let body: Value = response.text().await.unwrap().parse().unwrap();
                    let told = crate::support::client::told(dialect, &body);
                    assert_eq!(told.kind, "rate_limit_error");
                    if dialect == OpenAi {
                        assert_eq!(told.code.as_deref(), Some("insufficient_quota"));
                    }
                    assert!(told.message.contains("$1.00 a month"), "{told:?}");
                    refused += 1;
                    continue;
                }
                let speech = Stream::of(dialect, response).rest().await;
                if let Some(told) = &speech.error {
                    assert!(told.message.contains("$1.00 a month"), "{told:?}");
                    cut += 1;
                }
                sum += spent(dialect, &speech);
            }
            (sum, cut)
        }
    }))
    .await;
    let spent: f64 = outcomes.iter().map(|o| o.0).sum();
    let cut: usize = outcomes.iter().map(|o| o.1).sum();
    let booked = dollars(&uses(&app, "main"));
    println!("booked ${booked:.4}, spent ${spent:.4}, {cut} streams cut");
    assert!(booked <= 1.02 && booked >= spent, "{booked} {spent}");
    assert!(spent > 0.5, "{spent}");
    assert!(cut > 0);
}

#[tokio::test]
async fn a_restart_knows_exactly_what_was_used() {
    let setup = setup()
        .at(&["groups", "team"], "tokens_per_day", 1_000_000)
        .at(MAIN, "group", "team")
        .at(MAIN, "budget", budget(500.0, "month"));
    let mut app = TestApp::start(setup, long_answers()).await;
    for _ in 0..3 {
        assert_eq!(send(&app, OpenAi).await.status, 200);
    }
    let before: Vec<u64> = uses(&app, "main").iter().map(|u| u.used).collect();
    assert_eq!(before[0], 3_000_000_000);
    app.restart().await;
    let after: Vec<u64> = uses(&app, "main").iter().map(|u| u.used).collect();
    assert_eq!(after, before);
    assert_eq!(send(&app, OpenAi).await.status, 200);
    assert_eq!(uses(&app, "main")[0].used, 4_000_000_000);
}

#[tokio::test]
async fn a_store_that_can_not_be_written_stops_nobody() {
    let setup = setup().at(MAIN, "budget", budget(5.5, "month"));
    let app = TestApp::start(setup, long_answers()).await;
    app.runtime().store.close().await;
    for status in [200, 200, 200, 200, 200, 429] {
        assert_eq!(send(&app, OpenAi).await.status, status);
    }
    assert_eq!(used(&app), 5_000_000_000);
}

/// What `agp key usage --json` says the key has used, in dollars.
async fn booked(folder: &std::path::Path) -> f64 {
    let left = run(agp(folder, &["key", "usage", "main", "--json"]), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    let usage: Value = serde_json::from_str(&left.out).unwrap();
    usage["keys"][0]["limits"][0]["used"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_no_less_is_booked_than_was_spent() {
    let kills = std::env::var("AGP_BUDGET_KILLS").map_or(6, |n| n.parse::<usize>().unwrap());
    // A kill loses a block, which is a part of what is left.
    let most = if kills > 6 { 100_000.0 } else { 100.0 };
    let tasks = Tasks::new();
    let script = json!({"chunk_bytes": 200, "chunk_delay": "1ms", "answer_bytes": 20_000});
    let sim = simulate(&script, &tasks).await;
    let dir = tempfile::tempdir().unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = socket.local_addr().unwrap().to_string();
    drop(socket);
    let setup = setup()
        .set("server", "listen", listen.as_str())
        .at(&["models", FLASH], "price", price(INPUT, OUTPUT))
        .at(MAIN, "budget", budget(most, "month"));
    std::fs::write(dir.path().join("agp.toml"), setup.text(&sim.url())).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // In millionths of a dollar.
    let spent_all = Arc::new(AtomicU64::new(0));
    let mut last = 0.0;
    for round in 0..kills {
        let serving = Running::start(agp(dir.path(), &["serve"]));
        within("readiness", async {
            while !client
                .get(format!("http://{listen}/readyz"))
                .send()
                .await
                .is_ok_and(|r| r.status() == 200)
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let found = booked(dir.path()).await;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let spent_before = spent_all.load(Ordering::SeqCst) as f64 / 1e6;
        assert!(found >= spent_before, "{found} {spent_before}");
        // No more is lost than one block and what was under way.
        assert!(found - last <= most / 64.0 + 3.0, "{found} {last}");
        last = found;
        let pieces = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..12)
            .map(|n| {
                let (client, listen) = (client.clone(), listen.clone());
                let (spent_all, pieces) = (Arc::clone(&spent_all), Arc::clone(&pieces));
                tasks.spawn(async move {
                    let dialect = BOTH[n % 2];
                    loop {
                        let request = client
                            .post(format!("http://{listen}{}", dialect.path()))
                            .body(streaming(dialect, FLASH).to_string());
                        let Ok(response) = dialect.with_key(request, KEY).send().await else {
                            return;
                        };
                        assert_eq!(response.status(), 200);
                        let mut stream = Stream::of(dialect, response);
                        while stream.text().await.is_some() {
                            pieces.fetch_add(1, Ordering::SeqCst);
                        }
                        let speech = stream.so_far().clone();
                        #[expect(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "small numbers"
                        )]
                        let micros = (spent(dialect, &speech) * 1e6) as u64;
                        spent_all.fetch_add(micros, Ordering::SeqCst);
                        if speech.broken {
                            return;
                        }
                    }
                })
            })
            .collect();
        let enough = 40 + round % 6 * 400;
        until("the load", || pieces.load(Ordering::SeqCst) >= enough).await;
        // Dropping it kills it.
        drop(serving);
        for worker in workers {
            within("a client's end", worker).await.unwrap();
        }
    }
    let serving = Running::start(agp(dir.path(), &["serve"]));
    until("the socket", || dir.path().join("data/agp.sock").exists()).await;
    let found = within("the booked sum", async {
        loop {
            let left = run(agp(dir.path(), &["key", "usage", "main"]), "").await;
            if left.code == 0 {
                assert!(
                    left.out.contains(&format!("of ${most:.2} a month")),
                    "{left:?}"
                );
                return booked(dir.path()).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let spent = spent_all.load(Ordering::SeqCst) as f64 / 1e6;
    println!("{kills} kills: booked ${found:.4}, spent ${spent:.4}");
    assert!(found >= spent && spent > 0.1, "{found} {spent}");
    assert_eq!(serving.terminate().await, 0);
}

#[tokio::test]
async fn key_usage_tells_every_limit() {
    let setup = setup()
        .at(&["groups", "team"], "tokens_per_minute", 5000)
        .at(MAIN, "group", "team")
        .at(MAIN, "name", "CI runners")
        .at(MAIN, "rpm", 7)
        .at(MAIN, "budget", budget(5.5, "month"))
        .at(&["keys", "free"], "key", OTHER);
    let app = TestApp::start(setup, long_answers()).await;
    assert_eq!(send(&app, OpenAi).await.status, 200);
    let told = async |args: &[&str]| {
        let left = run(agp(app.dir.path(), &[&["key", "usage"], args].concat()), "").await;
        (left.code, left.out + &left.err)
    };
    let (code, out) = told(&[]).await;
    assert_eq!(code, 0, "{out}");
    for line in [
        "key main (CI runners), of group team\n",
        "1 of 7 requests a minute",
        "$1.00 of $5.50 a month",
        "group team\n",
        " of 5000 tokens a minute",
    ] {
        assert!(out.contains(line), "no `{line}`: {out}");
    }
    assert!(!out.contains("free"), "{out}");
    let (_, out) = told(&["main", "--json"]).await;
    let value: Value = serde_json::from_str(&out).unwrap();
    let names: BTreeMap<_, _> = value["keys"][0]["limits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| {
            (
                l["limit"].as_str().unwrap(),
                (l["used"].as_f64().unwrap(), l["bound"].as_f64().unwrap()),
            )
        })
        .collect();
    assert_eq!(names["rpm"], (1.0, 7.0));
    assert_eq!(names["budget"], (1.0, 5.5));
    assert_eq!(value["groups"][0]["name"], "team");
    let (_, out) = told(&["free"]).await;
    assert!(
        out.starts_with("key free\n") && out.contains("no limits of its own"),
        "{out}"
    );
    let (code, out) = told(&["nobody"]).await;
    assert!(
        code == 1 && out.contains("there is no key `nobody`"),
        "{out}"
    );
}

/// Ahead of UTC the day that a key expires on has begun; behind it, it is a day or two off.
#[tokio::test]
async fn days_begin_by_the_files_zone() {
    let now = agp::base::time::Timestamp::now().as_millis();
    let ahead = jiff::tz::TimeZone::fixed(jiff::tz::offset(14));
    let now = jiff::Timestamp::from_millisecond(now).unwrap();
    let day: toml::value::Datetime = now.to_zoned(ahead).date().to_string().parse().unwrap();
    for (zone, status, midnight) in [("+14:00", 401, 10), ("-12:00", 200, 12)] {
        let setup = setup()
            .set("admin", "time_zone", zone)
            .at(MAIN, "expires", day)
            .at(MAIN, "tokens_per_day", 1_000_000);
        let app = TestApp::start(setup, long_answers()).await;
        assert_eq!(send(&app, OpenAi).await.status, status, "{zone}");
        let reset = uses(&app, "main")[0].reset.as_secs();
        assert_eq!(reset % (24 * 3600), midnight * 3600, "{zone}");
    }
}

#[tokio::test]
async fn each_kind_of_token_has_its_price() {
    let mut prices = price(1.0, 1000.0);
    prices.insert("cached_input".to_owned(), 100_000.0.into());
    let setup = setup().at(&["models", FLASH], "price", prices);
    let script = json!({"text": "abcdefgh", "cached_tokens": 1});
    let app = TestApp::start(setup, script).await;
    let got = app.say(OpenAi, FLASH, "a question of some length").await;
    let row = app.log(got.id()).await;
    let (input, output) = (row.usage.input_total() - 1, row.usage.output_total());
    assert!(input > 0 && output > 0, "{:?}", row.usage);
    // A dollar a million is a thousand billionths each.
    assert_eq!(
        row.cost,
        Some(input * 1000 + 100_000_000 + output * 1_000_000)
    );
}
