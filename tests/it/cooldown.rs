//! Only the guilty thing cools, for as long as was said, also over a restart.

use agp::base::time::Timestamp;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect, Got, Told};
use crate::support::setup::Setup;
use crate::support::{TestApp, script, until};

const FLASH: &str = "gemini-2.5-flash";
const PRO: &str = "gemini-2.5-pro";

/// Alice goes first, and nobody waits for long.
fn alice_first() -> Setup {
    Setup::new(&["alice", "bob"])
        .account_set("bob", "tier", 2)
        .routing("queue_timeout", "500ms")
}

fn alone() -> Setup {
    Setup::new(&["alice"]).routing("queue_timeout", "500ms")
}

async fn ok(app: &TestApp, model: &str) {
    let got = app.say(OpenAi, model, "hi").await;
    assert_eq!(got.status, 200, "{}", got.text);
}

#[track_caller]
fn assert_soon(told: &Told, least: u64, most: u64) {
    let after = told
        .retry_after
        .unwrap_or_else(|| panic!("no Retry-After: {told:?}"));
    assert!((least..=most).contains(&after), "{told:?}");
}

#[tokio::test]
async fn a_rate_limit_benches_one_account_for_one_model() {
    let script = json!({"rules": [
        {"account": "alice@*", "model": FLASH, "times": 1, "do": {"form": "retry_info", "delay": "34s"}}]});
    let app = TestApp::start(alice_first(), script).await;
    ok(&app, FLASH).await;
    assert_eq!(app.served(), ["alice", "bob"]);
    ok(&app, FLASH).await;
    ok(&app, PRO).await;
    assert_eq!(app.served(), ["alice", "bob", "bob", "alice"]);
    let (standing, whole, models) = app.account("alice").health();
    assert_eq!((standing.as_str(), whole), ("active", None));
    assert_eq!(models.len(), 1);
    let left = models[0].1.until.since(agp::base::time::Timestamp::now());
    assert!(
        models[0].0 == FLASH && left.as_secs() >= 25 && left.as_secs() < 34,
        "{models:?}"
    );
}

#[tokio::test]
async fn a_used_up_quota_leaves_the_other_models() {
    let script = json!({"rules": [
        {"account": "alice@*", "model": FLASH, "times": 1, "do": {"form": "quota_exhausted", "delay": "3h"}}]});
    let app = TestApp::start(alone(), script).await;
    app.warm().await;
    let told = app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    assert_eq!(told.code.as_deref(), Some("insufficient_quota"));
    ok(&app, PRO).await;
    // The row of table 9.3 also wants the quotas asked for.
    until("quotas to be asked for", || {
        app.calls("fetchAvailableModels") == 2
    })
    .await;
    let told = app.say(Anthropic, FLASH, "hi").await.error(Anthropic);
    assert_eq!((told.status, told.kind.as_str()), (429, "rate_limit_error"));
    assert_soon(&told, 10_700, 10_800);
    assert_eq!(app.served(), ["alice", "alice"]);
}

#[tokio::test]
async fn where_all_cool_the_smallest_time_is_told() {
    join_all(BOTH.map(async |dialect| {
        let script = json!({"rules": [
            {"account": "alice@*", "do": {"form": "retry_info", "delay": "50s"}},
            {"account": "bob@*", "do": {"form": "retry_info", "delay": "20.4s"}}]});
        let app = TestApp::start(alice_first(), script).await;
        for _ in 0..3 {
            let told = app.say(dialect, FLASH, "hi").await.error(dialect);
            assert_eq!((told.status, told.kind.as_str()), (429, "rate_limit_error"));
            assert_soon(&told, 15, 21);
        }
        assert_eq!(app.served(), ["alice", "bob"], "who cools is not asked");
        // The gateway itself is well.
        assert_eq!(
            Got::read(app.client.get(app.url("/readyz"))).await.status,
            200
        );
    }))
    .await;
}

#[tokio::test]
async fn a_short_cooldown_is_waited_out() {
    join_all(BOTH.map(async |dialect| {
        let setup = Setup::new(&["alice"]).routing("capacity_cooldown", "100ms");
        let script = json!({"rules": [{"times": 1, "do": {"form": "bare"}}]});
        let app = TestApp::start(setup, script).await;
        let got = app.say(dialect, FLASH, "hi").await;
        assert_eq!(got.said(dialect), "You said: hi");
        assert_eq!(
            app.tries(got.id()).await,
            ["alice rate_limited", "alice ok"]
        );
    }))
    .await;
}

#[tokio::test]
async fn a_model_without_capacity_cools_for_everybody_and_alone() {
    let setup = alone().account("bob").routing("capacity_cooldown", "30s");
    let script = json!({"rules": [{"model": FLASH, "do": {"form": "capacity"}}]});
    let app = TestApp::start(setup, script).await;
    for (dialect, status) in [(OpenAi, 503), (Anthropic, 529), (OpenAi, 503)] {
        let told = app.say(dialect, FLASH, "hi").await.error(dialect);
        assert_eq!(told.status, status);
        if dialect == Anthropic {
            assert_eq!(told.kind, "overloaded_error");
        }
        assert_soon(&told, 25, 30);
    }
    assert_eq!(app.served().len(), 3, "a cooling model is not asked");
    ok(&app, PRO).await;
    for name in ["alice", "bob"] {
        let (standing, whole, models) = app.account(name).health();
        assert_eq!(
            (standing.as_str(), whole, models.len()),
            ("active", None, 0),
            "nobody's fault"
        );
    }
}

#[tokio::test]
async fn a_cooling_model_is_waited_for() {
    let setup = Setup::new(&["alice"])
        .routing("capacity_cooldown", "300ms")
        .routing("max_attempts", 12);
    let script = json!({"rules": [{"times": 3, "do": {"form": "capacity"}}]});
    let app = TestApp::start(setup, script).await;
    let got = app.say(OpenAi, FLASH, "hi").await;
    assert_eq!(got.said(OpenAi), "You said: hi");
    assert_eq!(app.served().len(), 4);
}

#[tokio::test]
async fn where_everybody_waits_for_a_person_the_client_is_told_so() {
    let script = json!({"rules": [
        {"method": "token", "account": "alice@*", "do": {"oauth_error": "invalid_grant"}},
        {"account": "bob@*", "do": {"form": "validation", "link": "https://accounts.example.com/verify?x=1"}}]});
    let app = TestApp::start(alice_first(), script).await;
    // The first one finds out about bob.
    app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    for dialect in BOTH {
        let got = app.say(dialect, FLASH, "hi").await;
        let told = got.error(dialect);
        let kind = match dialect {
            OpenAi => "server_error",
            Anthropic => "api_error",
        };
        assert_eq!(
            (told.status, told.kind.as_str(), told.retry_after),
            (503, kind, None)
        );
        assert!(told.message.contains("operator"), "{told:?}");
        assert!(!got.text.contains("verify"), "{}", got.text);
    }
    assert_eq!(app.served(), ["bob"]);
    assert_eq!(
        (app.standing("alice"), app.standing("bob")),
        ("needs_login", "needs_verification")
    );
    // The link is kept for the person who runs the gateway.
    let standing = format!("{:?}", app.account("bob").health().0);
    assert!(
        standing.contains("https://accounts.example.com/verify"),
        "{standing}"
    );
    assert_eq!(
        Got::read(app.client.get(app.url("/readyz"))).await.status,
        200
    );
}

#[tokio::test]
async fn a_hundred_mistakes_of_a_client_touch_no_account() {
    for what in [
        json!({"status": 400}),
        json!({"status": 413}),
        json!({"form": "capacity", "status": 400}),
    ] {
        let app = TestApp::start(alone(), json!({"rules": [{"times": 100, "do": what}]})).await;
        app.warm().await;
        let account = app.account("alice");
        // The machine and what selection goes by, to the last bit.
        let known = || format!("{:?} {:?}", account.machine(), account.lane(FLASH));
        let quota = || account.lane(FLASH).remaining(Timestamp::now());
        until("the quota", || quota().is_some()).await;
        let before = known();
        for i in 0..100 {
            let dialect: Dialect = BOTH[i % 2];
            let told = app.say(dialect, FLASH, "hi").await.error(dialect);
            assert!(told.status == 400 || told.status == 413, "{told:?}");
        }
        assert_eq!(known(), before);
        ok(&app, FLASH).await;
    }
}

#[tokio::test]
async fn cooldowns_and_tokens_survive_a_restart() {
    let rules = json!({"rules": [
        {"account": "alice@*", "model": FLASH, "do": {"form": "quota_exhausted", "delay": "3h"}},
        {"account": "bob@*", "model": FLASH, "times": 1, "do": {"status": 403}}]});
    let app = TestApp::start(alice_first(), rules).await;
    app.warm().await;
    let mut app = app;
    app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    assert_eq!(app.served(), ["alice", "bob"]);
    app.sim.clear();
    app.restart().await;
    app.sim.set_script(script(&json!({})));
    app.warm().await;
    let told = app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    assert_eq!(told.status, 429);
    assert_soon(&told, 3_000, 3_600);
    ok(&app, PRO).await;
    assert_eq!(
        app.served(),
        ["alice"],
        "only alice, and only for the other model"
    );
    assert_eq!(app.calls("token"), 0, "the tokens were kept");
    assert_eq!(app.calls("loadCodeAssist"), 0, "the projects were kept");
}
