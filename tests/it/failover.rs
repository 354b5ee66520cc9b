//! What becomes of a request when accounts fail, class by class of upstream-protocol.md 9.3.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Stream};
use crate::support::setup::Setup;
use crate::support::{TestApp, script};

pub(crate) const FLASH: &str = "gemini-2.5-flash";

/// Four accounts, of which the good one comes last.
pub(crate) fn four() -> Setup {
    Setup::new(&["bad1", "bad2", "bad3", "good"])
        .account_set("good", "tier", 2)
        .routing("max_attempts", 12)
        .routing("capacity_cooldown", "50ms")
        .unlimited()
}

/// Three of four accounts do this; the request is served all the same, and the log says how.
async fn assert_served(class: &str, tries_each: usize, what: &[Value]) {
    let all = what.iter().enumerate().map(async |(i, what)| {
        let script = json!({"rules": [{"account": "bad*", "do": what}]});
        let app = TestApp::start(four(), script).await;
        let dialect = BOTH[i % 2];
        let id = if (i / 2) % 2 == 0 {
            let got = app.say(dialect, FLASH, "hi").await;
            assert_eq!(got.said(dialect), "You said: hi", "{what}");
            got.id().to_owned()
        } else {
            let stream = app.stream(dialect, FLASH, "hi").await;
            let id = stream.id.clone();
            let speech = stream.rest().await;
            speech.assert_whole();
            assert_eq!(speech.text(), "You said: hi", "{what}");
            id
        };
        let mut tries = app.tries(&id).await;
        assert_eq!(tries.pop().as_deref(), Some("good ok"), "{what}");
        let mut expected: Vec<String> = ["bad1", "bad2", "bad3"]
            .repeat(tries_each)
            .iter()
            .map(|name| format!("{name} {class}"))
            .collect();
        expected.sort_unstable();
        // Weighted picks are random: each bad account has had its turn, in whatever order.
        tries.sort_unstable();
        assert_eq!(tries, expected, "{what}");
    });
    join_all(all).await;
}

#[tokio::test]
async fn auth_expired_is_refreshed_once_and_then_goes_elsewhere() {
    assert_served(
        "auth_expired",
        2,
        &[
            json!({"status": 401}),
            json!({"error_in_stream": 0, "status": 401}),
        ],
    )
    .await;
}

#[tokio::test]
async fn account_invalid_goes_elsewhere() {
    assert_served(
        "account_invalid",
        1,
        &[
            json!({"form": "terms_of_service"}),
            json!({"status": 403, "reason": "ACCOUNT_DISABLED"}),
            json!({"status": 403, "reason": "USER_DISABLED"}),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_dead_refresh_token_goes_elsewhere() {
    let app = TestApp::start(four(), json!({})).await;
    app.warm().await;
    app.sim.set_script(script(&json!({"rules": [
        {"method": "token", "account": "bad*", "do": {"oauth_error": "invalid_grant"}}]})));
    for name in ["bad1", "bad2", "bad3"] {
        app.sim.revoke(&format!("{name}@example.com"));
    }
    let got = app.say(OpenAi, FLASH, "hi").await;
    assert_eq!(got.said(OpenAi), "You said: hi");
    let tries = app.tries(got.id()).await;
    assert_eq!(tries.len(), 7, "{tries:?}");
    for pair in tries[..6].chunks(2) {
        assert!(
            pair[0].ends_with("auth_expired") && pair[1].ends_with("account_invalid"),
            "{tries:?}"
        );
    }
    for name in ["bad1", "bad2", "bad3"] {
        assert_eq!(app.standing(name), "needs_login");
    }
}

#[tokio::test]
async fn needs_validation_goes_elsewhere() {
    assert_served("needs_validation", 1, &[json!({"form": "validation"})]).await;
}

#[tokio::test]
async fn forbidden_goes_elsewhere() {
    assert_served(
        "forbidden",
        1,
        &[
            json!({"form": "service_disabled"}),
            json!({"status": 403}),
            json!({"status": 403, "reason": "CONSUMER_INVALID"}),
            json!({"status": 400, "message": "User location is not supported for the API use."}),
        ],
    )
    .await;
}

#[tokio::test]
async fn rate_limited_goes_elsewhere() {
    let forms = [
        "retry_info",
        "metadata_delay",
        "timestamp",
        "retry_after",
        "text",
        "per_minute",
        "bare",
        "list",
        "nested",
        "no_body",
    ];
    let mut what: Vec<Value> = forms.iter().map(|form| json!({"form": form})).collect();
    what.push(json!({"error_in_stream": 0, "form": "retry_info"}));
    what.push(json!({"error_in_stream": 0, "form": "list"}));
    assert_served("rate_limited", 1, &what).await;
}

#[tokio::test]
async fn quota_exhausted_goes_elsewhere() {
    let forms = ["quota_exhausted", "per_day", "limit_zero", "credits"];
    let mut what: Vec<Value> = forms.iter().map(|form| json!({"form": form})).collect();
    what.push(json!({"form": "text", "delay": "400s"}));
    assert_served("quota_exhausted", 1, &what).await;
}

#[tokio::test]
async fn capacity_goes_elsewhere() {
    let what = [
        json!({"form": "capacity"}),
        json!({"form": "capacity", "status": 429}),
        json!({"status": 503}),
        json!({"error_in_stream": 0, "form": "capacity"}),
    ];
    assert_served("capacity", 1, &what).await;
}

#[tokio::test]
async fn server_error_goes_elsewhere() {
    let what = [500, 501, 502, 408, 499].map(|status| json!({"status": status}));
    assert_served("server_error", 1, &what).await;
}

#[tokio::test]
async fn upstream_garbage_goes_elsewhere() {
    let what = [
        json!({"form": "html"}),
        json!({"form": "plain"}),
        json!({"form": "html", "status": 502}),
        json!({"truncate": 0}),
        json!({"body": "{nope"}),
        json!({"raw": "data: {nope\n\n"}),
    ];
    assert_served("upstream_garbage", 1, &what).await;
}

#[tokio::test]
async fn network_goes_elsewhere() {
    assert_served(
        "network",
        1,
        &[
            json!({"drop": true}),
            json!({"cut": 0}),
            json!({"reset": 0}),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_misconfigured_sign_in_goes_to_another_upstream() {
    let mut setup = four()
        .at(&["upstreams", "other"], "kind", "antigravity")
        .at(&["upstreams", "other", "oauth"], "client_secret", "wrong")
        .at(
            &["models", FLASH],
            "route",
            vec![format!("other/{FLASH}"), format!("sim/{FLASH}")],
        );
    for name in ["bad1", "bad2", "bad3"] {
        setup = setup.account_set(name, "upstream", "other");
    }
    let app = TestApp::start(setup, json!({})).await;
    for dialect in BOTH {
        let got = app.say(dialect, FLASH, "hi").await;
        assert_eq!(got.said(dialect), "You said: hi");
        let tries = app.tries(got.id()).await;
        assert_eq!(
            tries.len(),
            2,
            "the other accounts have the same client: {tries:?}"
        );
        assert!(
            tries[0].ends_with(" oauth_config") && tries[1] == "good ok",
            "{tries:?}"
        );
    }
    for name in ["bad1", "bad2", "bad3"] {
        assert_eq!(
            app.standing(name),
            "active",
            "the accounts are not at fault"
        );
    }
}

#[tokio::test]
async fn the_next_host_goes_before_another_account() {
    for what in [
        json!({"status": 500}),
        json!({"status": 503}),
        json!({"drop": true}),
        json!({"status": 404}),
    ] {
        let setup = four().upstream(
            "base_urls",
            vec!["SIM/host1".to_owned(), "SIM/host2".to_owned()],
        );
        let rule = json!({"rules": [{"host": "host1", "do": what}]});
        let app = TestApp::start(setup, rule).await;
        let got = app.say(OpenAi, FLASH, "hi").await;
        assert_eq!(got.said(OpenAi), "You said: hi");
        let record = app.log(got.id()).await;
        let tries: Vec<(&str, bool)> = record
            .tries
            .iter()
            .map(|t| (t.account.as_str(), t.host.ends_with("/host1")))
            .collect();
        let first = tries[0].0;
        assert_eq!(tries, [(first, true), (first, false)], "{what}");
    }
}

#[tokio::test]
async fn one_account_alone_is_tried_again_where_the_table_allows() {
    for (what, tries) in [
        (json!({"status": 500}), 3),
        (json!({"form": "retry_info", "delay": "0.2s"}), 2),
        (json!({"drop": true}), 1),
        (json!({"status": 400}), 1),
    ] {
        let setup = Setup::new(&["alice"])
            .routing("max_attempts", 12)
            .routing("queue_timeout", "100ms");
        let app = TestApp::start(setup, what.clone()).await;
        app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
        assert_eq!(app.served().len(), tries, "{what}");
    }
    // And what passes by itself is served.
    for what in [
        json!({"status": 500}),
        json!({"form": "capacity"}),
        json!({"form": "retry_info", "delay": "0.2s"}),
    ] {
        let script = json!({"rules": [{"times": 1, "do": what}]});
        let app = TestApp::start(Setup::new(&["alice"]), script).await;
        let request = app.request(Anthropic, &Anthropic.saying(FLASH, "hi", true));
        Stream::open(Anthropic, request)
            .await
            .rest()
            .await
            .assert_whole();
        assert_eq!(app.served(), ["alice", "alice"], "{what}");
    }
}

#[tokio::test]
async fn a_connection_has_its_own_limit() {
    // It takes connections and never says a word of TLS.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("https://{}", silent.local_addr().unwrap());
    let setup = Setup::new(&["alice"])
        .account_set("alice", "project", "any-project")
        .routing("max_attempts", 1)
        .upstream("base_urls", vec![host])
        .upstream("connect_timeout", "50ms")
        .upstream("first_byte_timeout", "1h");
    let app = TestApp::start(setup, json!({})).await;
    let begun = Instant::now();
    let told = app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    assert_eq!(told.status, 502, "{told:?}");
    // It is half a minute where the file says nothing.
    assert!(begun.elapsed() < Duration::from_secs(20));
}
