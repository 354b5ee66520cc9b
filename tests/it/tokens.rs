//! Access tokens and projects: got once, ahead of need, kept over restarts.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use toml::Table;

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect};
use crate::support::setup::Setup;
use crate::support::{TestApp, script, until, within};

const FLASH: &str = "gemini-2.5-flash";
const ALICE: &str = "alice@example.com";

fn alice() -> Setup {
    Setup::new(&["alice"]).unlimited()
}

/// So many at once, all served.
async fn crowd(app: &TestApp, clients: usize) {
    let all = (0..clients).map(|n| async move {
        let dialect: Dialect = BOTH[n % 2];
        let got = app
            .send(dialect, &dialect.saying(FLASH, "hi", n % 3 == 0))
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
    });
    join_all(all).await;
}

#[tokio::test]
async fn one_refresh_serves_fifty_first_requests() {
    let script = json!({"rules": [{"method": "token", "do": {"first_byte_delay": "200ms"}}]});
    let app = TestApp::start(alice(), script).await;
    crowd(&app, 50).await;
    assert_eq!((app.calls("token"), app.served().len()), (1, 50));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all() {
    let app = TestApp::start(alice(), json!({})).await;
    app.warm().await;
    app.sim.revoke(ALICE);
    let got = app.say(Anthropic, FLASH, "hi").await;
    assert_eq!(got.said(Anthropic), "You said: hi");
    assert_eq!(
        app.tries(got.id()).await,
        ["alice auth_expired", "alice ok"]
    );
    assert_eq!(app.calls("token"), 2);
    app.sim.revoke(ALICE);
    crowd(&app, 30).await;
    assert_eq!(app.calls("token"), 3);
    assert_eq!(app.standing("alice"), "active");
}

#[tokio::test]
async fn a_token_is_renewed_ahead_while_the_old_one_serves() {
    // It lives for less than the five minutes ahead, so that it is due at once; and renewing it fails.
    let rules = json!({"expires_in": 200, "rules": [{"method": "token", "skip": 1, "do": {"status": 500}}]});
    let app = TestApp::start(alice(), rules).await;
    app.warm().await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    within(
        "a try to renew it",
        app.sim.until(|sim| {
            sim.requests()
                .iter()
                .filter(|call| call.method == "token")
                .count()
                == 2
        }),
    )
    .await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.standing("alice"), "active");
    assert!(
        app.sim
            .requests()
            .iter()
            .all(|call| call.method == "token" || call.status == 200)
    );
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_and_used_after_a_restart() {
    let mut app = TestApp::start(alice(), json!({"rotate_refresh": true})).await;
    app.warm().await;
    for _ in 0..2 {
        app.restart().await;
        // The token of the file died with the first refresh: only the kept one brings another access token.
        app.sim.revoke(ALICE);
        assert_eq!(
            app.say(OpenAi, FLASH, "hi").await.said(OpenAi),
            "You said: hi"
        );
    }
    let tokens: Vec<String> = app
        .sim
        .requests()
        .iter()
        .filter(|call| call.method == "token")
        .map(|call| call.body["refresh_token"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        tokens,
        [
            "sim-refresh-alice",
            "sim-refresh-alice~1",
            "sim-refresh-alice~2"
        ]
    );
}

#[tokio::test]
async fn a_dead_refresh_token_asks_for_a_login_and_a_new_one_mends_it() {
    let script = json!({"accounts": {"alice@example.com": {"revoked": true}}});
    let mut app = TestApp::start(alice(), script).await;
    for dialect in BOTH {
        assert_eq!(
            app.say(dialect, FLASH, "hi").await.error(dialect).status,
            503
        );
    }
    assert_eq!(app.standing("alice"), "needs_login");
    assert_eq!(app.calls("token"), 1, "a dead token is not tried again");
    let calls = app.sim.requests().len();
    crowd_refused(&app, 20).await;
    assert_eq!(app.sim.requests().len(), calls);
    // Another credential under the same name puts the account back on trial.
    app.setup = app
        .setup
        .clone()
        .account_set("alice", "refresh_token", "sim-refresh-carol");
    app.save();
    until("the new credential", || app.standing("alice") == "active").await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["carol"]);
}

/// The same account under this name.
fn renamed(name: &str) -> Setup {
    Setup::new(&[name])
        .unlimited()
        .account_set(name, "refresh_token", "sim-refresh-alice")
}

#[tokio::test]
async fn an_account_goes_on_under_another_name() {
    let mut app = TestApp::start(alice(), json!({"rotate_refresh": true})).await;
    app.warm().await;
    let runtime = Arc::clone(app.runtime());
    runtime.pause(&app.account("alice"));
    for (name, stopped) in [("anna", false), ("beth", true), ("alice", false)] {
        app.setup = renamed(name);
        if stopped {
            app.stop().await;
            app.save();
            app.restart().await;
        } else {
            app.save();
            until("the new name", || {
                let snapshot = app.runtime().snapshot();
                snapshot.accounts.contains_key(name)
            })
            .await;
        }
        let account = app.account(name);
        assert!(
            account.machine().paused.is_some(),
            "{name}: a pause goes along"
        );
        app.runtime().resume(&account);
        // The token of the file died with the first refresh: only the one that went along brings another.
        app.sim.revoke(ALICE);
        assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200, "{name}");
        app.runtime().pause(&account);
    }
    app.restart().await;
    app.runtime().resume(&app.account("alice"));
    app.sim.revoke(ALICE);
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
}

#[tokio::test]
async fn a_name_that_stays_keeps_its_own() {
    let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await;
    app.warm().await;
    app.runtime().pause(&app.account("alice"));
    app.setup = Setup::new(&["alice", "other"]).unlimited().account_set(
        "other",
        "refresh_token",
        "sim-refresh-alice",
    );
    app.save();
    until("the second account", || {
        app.runtime().snapshot().accounts.contains_key("other")
    })
    .await;
    assert!(app.account("alice").machine().paused.is_some());
    assert!(app.account("other").machine().paused.is_none());
}

async fn crowd_refused(app: &TestApp, clients: usize) {
    let all = (0..clients).map(|_| async {
        assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 503);
    });
    join_all(all).await;
}

#[tokio::test]
async fn a_project_is_found_once_for_parallel_requests() {
    let rules =
        json!({"rules": [{"method": "loadCodeAssist", "do": {"first_byte_delay": "100ms"}}]});
    let app = TestApp::start(alice(), rules).await;
    crowd(&app, 20).await;
    assert_eq!(app.calls("loadCodeAssist"), 1);
    for body in app.payloads() {
        assert_eq!(body["project"], "sim-project-alice");
    }
}

#[tokio::test]
async fn an_account_is_onboarded_once_for_parallel_requests() {
    let script =
        json!({"accounts": {"alice@example.com": {"onboarded": false, "onboard_polls": 0}}});
    let app = TestApp::start(alice(), script).await;
    crowd(&app, 10).await;
    assert_eq!(app.calls("onboardUser"), 1);
    assert_eq!(app.payloads()[0]["project"], "sim-project-alice");
}

#[tokio::test]
async fn an_account_without_a_project_is_left_out() {
    let script = json!({"accounts": {"alice@example.com": {"ineligible": "UNSUPPORTED_LOCATION"},
        "bob@example.com": {"ineligible": "VALIDATION_REQUIRED"}}});
    let setup = Setup::new(&["alice", "bob", "carol"]).account_set("carol", "tier", 2);
    let app = TestApp::start(setup, script).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["carol"]);
    assert_eq!(app.standing("bob"), "needs_verification");
    let (_, cooling, _) = app.account("alice").health();
    assert_eq!(cooling.unwrap().class.as_str(), "forbidden");
    // Neither is asked again for each request.
    let calls = app.calls("loadCodeAssist");
    crowd(&app, 5).await;
    assert_eq!(app.calls("loadCodeAssist"), calls);
}

#[tokio::test]
async fn a_403_forgets_the_project() {
    let mut app = TestApp::start(alice(), json!({})).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert!(app.account("alice").project.known().is_some());
    app.sim.set_script(script(&json!({"status": 403})));
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 503);
    assert!(app.account("alice").project.known().is_none());
    // For good: what was kept of it is not believed after a restart either.
    app.restart().await;
    assert!(app.account("alice").project.known().is_none());
}

#[tokio::test]
async fn a_configured_project_is_used_as_it_is() {
    let setup = alice().account_set("alice", "project", "my-own-project");
    let app = TestApp::start(setup, json!({})).await;
    crowd(&app, 5).await;
    for body in app.payloads() {
        assert_eq!(body["project"], "my-own-project");
    }
}

#[tokio::test]
async fn a_project_is_asked_for_as_the_file_says() {
    let metadata = [("ideType", "IDE_UNSPECIFIED"), ("pluginType", "GEMINI")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.into()));
    let setup = alice()
        .upstream("setup_urls", vec!["SIM/host1".to_owned()])
        .upstream("metadata", Table::from_iter(metadata));
    let app = TestApp::start(setup, json!({})).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let calls = app.sim.requests();
    let call = |method: &str| calls.iter().find(|call| call.method == method).unwrap();
    assert_eq!(call("streamGenerateContent").host, "main");
    let asked = call("loadCodeAssist");
    assert_eq!(asked.host, "host1");
    assert_eq!(
        asked.body["metadata"],
        json!({"ideType": "IDE_UNSPECIFIED", "pluginType": "GEMINI"})
    );
}

#[tokio::test]
async fn who_left_the_file_is_remembered_as_long_as_it_says() {
    for (wait, tokens) in [("30d", 2), ("0s", 3)] {
        let both = Setup::new(&["alice", "bob"]).set("state", "orphan_retention", wait);
        let mut app = TestApp::start(both.clone(), json!({})).await;
        app.warm().await;
        assert_eq!(app.calls("token"), 2);
        app.setup = both.clone().without(&["accounts"], "bob");
        app.save();
        until("bob to leave", || {
            !app.runtime().snapshot().accounts.contains_key("bob")
        })
        .await;
        app.setup = both.account_set("alice", "enabled", false);
        app.save();
        until("bob to return", || {
            app.runtime().snapshot().accounts.contains_key("bob")
        })
        .await;
        assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
        assert_eq!(app.served(), ["bob"]);
        assert_eq!(app.calls("token"), tokens, "{wait}");
    }
}
