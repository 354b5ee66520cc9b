//! Who waits for a slot, in which order, within which limits; and clients that leave.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect, Got, Stream};
use crate::support::setup::Setup;
use crate::support::{TestApp, until, within};

const FLASH: &str = "gemini-2.5-flash";
const PRO: &str = "gemini-2.5-pro";
const ALICE: &str = "alice@example.com";

/// The first call pauses in the middle until it is released, the others do not.
fn first_pauses() -> serde_json::Value {
    json!({"rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]})
}

/// What the user said in each call that the upstream saw.
fn asked(app: &TestApp) -> Vec<String> {
    let payloads = app.payloads().into_iter();
    payloads
        .map(|body| {
            let text = &body["request"]["contents"][0]["parts"][0]["text"];
            text.as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn two_requests_behind_a_long_stream_are_served_in_order() {
    join_all(BOTH.map(async |dialect| {
        let setup = Setup::new(&["alice"]).set("server", "keepalive", "20ms");
        let app = TestApp::start(setup, first_pauses()).await;
        let mut long = app.stream(dialect, FLASH, "long").await;
        assert_eq!(long.text().await.as_deref(), Some("ab"));
        let second = app.aside(Got::read(
            app.request(OpenAi, &OpenAi.saying(FLASH, "second", false)),
        ));
        until("one to wait", || app.waiting() == 1).await;
        let request = app.request(Anthropic, &Anthropic.saying(FLASH, "third", true));
        let third = app.aside(async move { Stream::open(Anthropic, request).await.rest().await });
        until("two to wait", || app.waiting() == 2).await;
        // The stream is a long one: many silences are filled meanwhile.
        long.pings(5).await;
        assert_eq!(asked(&app), ["long"]);
        app.sim.release();
        let speech = long.rest().await;
        speech.assert_whole();
        assert_eq!(speech.text(), "abcd");
        let second = second.await.unwrap();
        assert_eq!(second.said(OpenAi), "You said: second");
        let third = third.await.unwrap();
        third.assert_whole();
        assert_eq!(third.text(), "You said: third");
        assert_eq!(asked(&app), ["long", "second", "third"]);
        assert_eq!(app.sim.peak_in_flight(ALICE), 1);
        assert!(app.log(second.id()).await.queue_ms > 0);
    }))
    .await;
}

#[tokio::test]
async fn whoever_waits_too_long_or_finds_the_queue_full_is_told_when_to_come_back() {
    join_all(BOTH.map(async |dialect| {
        let setup = Setup::new(&["alice"])
            .routing("queue_timeout", "150ms")
            .routing("max_queue", 1);
        let app = TestApp::start(setup, first_pauses()).await;
        let mut long = app.stream(dialect, FLASH, "long").await;
        assert_eq!(long.text().await.as_deref(), Some("ab"));
        let late = app.aside(Got::read(
            app.request(dialect, &dialect.saying(FLASH, "late", true)),
        ));
        until("one to wait", || app.waiting() == 1).await;
        let full = app.say(dialect, FLASH, "full").await.error(dialect);
        let late = late.await.unwrap().error(dialect);
        for told in [full, late] {
            assert_eq!((told.status, told.kind.as_str()), (429, "rate_limit_error"));
            assert_eq!(told.retry_after, Some(1));
        }
        assert_eq!(app.waiting(), 0);
        // The stream before them is none the worse for it.
        app.sim.release();
        long.rest().await.assert_whole();
        assert_eq!(app.say(dialect, FLASH, "next").await.status, 200);
    }))
    .await;
}

#[tokio::test]
async fn limits_are_never_exceeded_under_fifty_clients() {
    let names = ["a", "b", "c", "d", "e"];
    let setup = Setup::new(&names)
        .routing("max_concurrent_per_account", 2)
        .routing("max_concurrent_per_model", 7)
        .account_set("e", "max_concurrent", 1);
    let script = json!({"answer_bytes": 300, "chunks": 3, "chunk_delay": "5ms"});
    let app = TestApp::start(setup, script).await;
    let clients = (0..50).map(|n| {
        let app = &app;
        async move {
            let dialect = BOTH[n % 2];
            let model = if n % 5 == 0 { PRO } else { FLASH };
            let body = dialect.saying(model, "hi", n % 3 == 0);
            for _ in 0..3 {
                assert_eq!(app.send(dialect, &body).await.status, 200);
            }
        }
    });
    join_all(clients).await;
    assert_eq!(app.served().len(), 150);
    for name in names {
        let peak = app.sim.peak_in_flight(&format!("{name}@example.com"));
        let limit = if name == "e" { 1 } else { 2 };
        assert_eq!(peak, limit, "{name}: the limit is used and kept");
    }
    assert_eq!(app.sim.load("", FLASH).peak, 7);
    assert!(app.sim.load("", PRO).peak <= 7);
    assert!(app.sim.load("", "").peak <= 9);
    for name in names {
        assert_eq!(app.account(name).in_flight.count(), 0);
    }
}

/// How many of the requests each account gets. They all say the same, and must not be taken for one conversation.
async fn shares(setup: Setup, requests: usize) -> Vec<usize> {
    let setup = setup.routing("affinity", "none");
    let app = TestApp::start(setup, json!({})).await;
    app.warm().await;
    for _ in 0..requests {
        assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    }
    let served = app.served();
    assert_eq!(served.len(), requests);
    ["a", "b", "c"]
        .map(|name| served.iter().filter(|s| *s == name).count())
        .into()
}

#[tokio::test]
async fn weighted_gives_shares_by_weight() {
    let setup = Setup::new(&["a", "b", "c"])
        .routing("strategy", "weighted")
        .account_set("a", "weight", 3.0)
        .account_set("b", "weight", 1.0)
        .account_set("c", "weight", 0.0);
    // Six standard deviations of a binomial with p = 3/4 are 36.
    let shares = shares(setup, 192).await;
    assert!((108..=180).contains(&shares[0]), "{shares:?}");
    assert_eq!(shares[2], 0, "weight 0 serves only when no other can");
}

#[tokio::test]
async fn round_robin_gives_equal_turns() {
    let setup = Setup::new(&["a", "b", "c"]).routing("strategy", "round_robin");
    assert_eq!(shares(setup, 60).await, [20, 20, 20]);
}

#[tokio::test]
async fn random_gives_everybody_something() {
    let setup = Setup::new(&["a", "b", "c"])
        .routing("strategy", "random")
        .account_set("c", "weight", 0.0);
    // p = 1/3: six standard deviations are 31.
    for share in shares(setup, 120).await {
        assert!((9..=71).contains(&share), "{share}");
    }
}

#[tokio::test]
async fn a_models_own_strategy_holds_for_it() {
    let setup = Setup::new(&["a", "b", "c"])
        .routing("strategy", "random")
        .at(&["models", FLASH], "strategy", "round_robin");
    assert_eq!(shares(setup, 30).await, [10, 10, 10]);
}

#[tokio::test]
async fn weight_0_serves_when_no_other_can() {
    let setup = Setup::new(&["alice", "bob"]).account_set("bob", "weight", 0);
    let app = TestApp::start(setup, first_pauses()).await;
    let mut long = app.stream(OpenAi, FLASH, "long").await;
    assert_eq!(long.text().await.as_deref(), Some("ab"));
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["alice", "bob"]);
    app.sim.release();
    long.rest().await.assert_whole();
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["alice", "bob", "alice"]);
}

#[tokio::test]
async fn lower_tiers_are_used_first() {
    let setup = Setup::new(&["a", "b", "c"])
        .account_set("a", "tier", 3)
        .account_set("b", "tier", 2)
        .account_set("c", "tier", 2);
    let shares = shares(setup, 30).await;
    assert_eq!(shares[0], 0);
    assert!(shares[1] > 0 && shares[2] > 0, "{shares:?}");
}

/// The only account is free again, and a client is served.
async fn assert_free(app: &TestApp) {
    until("the slot to be free", || {
        app.account("alice").in_flight.count() == 0
    })
    .await;
    assert_eq!(
        app.say(OpenAi, FLASH, "next").await.said(OpenAi),
        "You said: next"
    );
}

/// The row of the only request so far says that its client left.
async fn assert_left(app: &TestApp, tries: usize) {
    let rows = app.logs(1).await;
    assert_eq!(rows.len(), 1);
    let row = app.log(&rows[0].id.to_string()).await;
    let error = row.error.as_ref().map(|e| e.kind.as_ref());
    assert_eq!(
        (row.status, error, row.tries.len()),
        (499, Some("cancelled"), tries),
        "{row:?}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_cancels_the_upstream_call() {
    join_all(BOTH.map(async |dialect| {
        let app = TestApp::start(Setup::new(&["alice"]), first_pauses()).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.text().await.as_deref(), Some("ab"));
        drop(stream);
        within("the cancel", app.sim.until(|sim| sim.cancelled() == 1)).await;
        assert_left(&app, 1).await;
        assert_free(&app).await;
    }))
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_content_cancels_the_upstream_call() {
    let script = json!({"rules": [{"times": 1, "do": {"first_byte_delay": "60s"}}]});
    for dialect in BOTH {
        for stream in [false, true] {
            let app = TestApp::start(Setup::new(&["alice"]), script.clone()).await;
            let request = app.request(dialect, &dialect.saying(FLASH, "hi", stream));
            let client = app.aside(Got::read(request));
            within("the call", app.sim.until(|sim| sim.in_flight(ALICE) == 1)).await;
            client.abort();
            within("the cancel", app.sim.until(|sim| sim.cancelled() == 1)).await;
            assert_left(&app, 1).await;
            assert_free(&app).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_whole_answer_cancels_the_upstream_call() {
    join_all(BOTH.map(async |dialect| {
        let app = TestApp::start(Setup::new(&["alice"]), first_pauses()).await;
        let client = app.aside(Got::read(
            app.request(dialect, &dialect.saying(FLASH, "hi", false)),
        ));
        within("the call", app.sim.until(|sim| sim.in_flight(ALICE) == 1)).await;
        client.abort();
        within("the cancel", app.sim.until(|sim| sim.cancelled() == 1)).await;
        assert_left(&app, 1).await;
        assert_free(&app).await;
    }))
    .await;
}

async fn leave_the_queue(dialect: Dialect, stream: bool) {
    let app = TestApp::start(Setup::new(&["alice"]), first_pauses()).await;
    let mut long = app.stream(dialect, FLASH, "long").await;
    assert_eq!(long.text().await.as_deref(), Some("ab"));
    let request = app.request(dialect, &dialect.saying(FLASH, "gone", stream));
    let gone = app.aside(Got::read(request));
    until("one to wait", || app.waiting() == 1).await;
    let request = app.request(dialect, &dialect.saying(FLASH, "stays", stream));
    let stays = app.aside(Got::read(request));
    until("two to wait", || app.waiting() == 2).await;
    gone.abort();
    until("one to be left", || app.waiting() == 1).await;
    assert_left(&app, 0).await;
    app.sim.release();
    long.rest().await.assert_whole();
    assert_eq!(stays.await.unwrap().status, 200);
    assert_eq!(asked(&app), ["long", "stays"]);
    assert_free(&app).await;
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_gives_its_place_on() {
    for dialect in BOTH {
        for stream in [false, true] {
            leave_the_queue(dialect, stream).await;
        }
    }
}

#[tokio::test]
async fn each_request_has_one_row_in_the_log() {
    let setup = Setup::new(&["alice"]).unlimited();
    let app = TestApp::start(setup, json!({"rules": [
        {"model": PRO, "do": {"status": 400}},
        {"model": "gemini-3-flash", "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}},
    ]}))
    .await;
    let mut ids = Vec::new();
    for dialect in BOTH {
        for stream in [false, true] {
            for model in [FLASH, PRO, "unknown"] {
                let got = app
                    .send(dialect, &dialect.saying(model, "hi", stream))
                    .await;
                ids.push((got.id().to_owned(), got.status));
            }
        }
        let got = app
            .send(dialect, &json!({"model": FLASH, "messages": 5}))
            .await;
        ids.push((got.id().to_owned(), got.status));
        let mut left = app.stream(dialect, "gemini-3-flash", "hi").await;
        left.text().await.unwrap();
        ids.push((left.id.clone(), 499));
    }
    let rows = app.logs(ids.len()).await;
    assert_eq!(rows.len(), ids.len());
    for (id, status) in ids {
        let row = app.log(&id).await;
        assert_eq!(
            (row.status, row.key.as_ref().unwrap().as_str()),
            (status, "main")
        );
    }
}
