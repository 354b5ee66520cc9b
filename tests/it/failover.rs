//! Point 7, second half: what becomes of a request when accounts fail, class by class of upstream-protocol.md 9.3.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect, Stream, Told};
use crate::support::setup::Setup;
use crate::support::{TestApp, script};

const FLASH: &str = "gemini-2.5-flash";

/// Four accounts, of which the good one comes last.
fn four() -> Setup {
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

/// The words for an error in both dialects: status, type, code; status, type.
type Words = (
    (u16, &'static str, Option<&'static str>),
    (u16, &'static str),
);

const UNAVAILABLE: Words = (
    (503, "server_error", Some("service_unavailable")),
    (503, "api_error"),
);
const FAILED: Words = (
    (502, "server_error", Some("upstream_error")),
    (502, "api_error"),
);
const REFUSED: Words = (
    (400, "invalid_request_error", None),
    (400, "invalid_request_error"),
);

#[track_caller]
fn assert_told(told: &Told, dialect: Dialect, words: Words) {
    match dialect {
        OpenAi => assert_eq!(
            (told.status, told.kind.as_str(), told.code.as_deref()),
            words.0,
            "{told:?}"
        ),
        Anthropic => assert_eq!((told.status, told.kind.as_str()), words.1, "{told:?}"),
    }
}

/// What no client may be told.
const SECRETS: [&str; 6] = [
    "bad1",
    "good",
    "@example.com",
    "sim-project",
    "sim-access",
    "sim-refresh",
];

/// Every account does this: the client is told so, after so many tries.
async fn assert_ends(what: Value, tries: usize, words: Words, retry_after: Option<u64>) {
    let ways = BOTH.into_iter().flat_map(|d| [(d, false), (d, true)]);
    let all = ways.map(|(dialect, stream)| {
        let what = what.clone();
        async move {
            let setup = four()
                .routing("max_attempts", 8)
                .routing("queue_timeout", "1s")
                .routing("capacity_cooldown", "30s")
                .upstream("first_byte_timeout", "300ms");
            let app = TestApp::start(setup, json!({"rules": [{"do": what}]})).await;
            let got = app
                .send(dialect, &dialect.saying(FLASH, "hi", stream))
                .await;
            let told = got.error(dialect);
            assert_told(&told, dialect, words);
            assert_eq!(told.retry_after, retry_after, "{what}");
            for secret in SECRETS {
                assert!(!got.text.contains(secret), "{}", got.text);
            }
            let record = app.log(got.id()).await;
            assert_eq!(
                (record.tries.len(), record.status),
                (tries, told.status),
                "{what}: {record:?}"
            );
        }
    });
    join_all(all).await;
}

#[tokio::test]
async fn a_clients_mistake_is_told_at_once() {
    let refused = json!({"status": 400, "message": "Field x is odd."});
    assert_ends(refused, 1, REFUSED, None).await;
    let long = json!({"status": 400, "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."});
    let words = (
        (
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
        ),
        (400, "invalid_request_error"),
    );
    assert_ends(long, 1, words, None).await;
    let words = (
        (413, "invalid_request_error", Some("request_too_large")),
        (413, "request_too_large"),
    );
    assert_ends(json!({"status": 413}), 1, words, None).await;
}

#[tokio::test]
async fn a_refused_signature_is_repaired_once_on_the_same_account() {
    assert_ends(
        json!({"status": 400, "message": "Corrupted thought signature."}),
        2,
        REFUSED,
        None,
    )
    .await;
}

#[tokio::test]
async fn a_model_that_nobody_knows_is_tried_on_one_more() {
    let words = (
        (404, "invalid_request_error", Some("model_not_found")),
        (404, "not_found_error"),
    );
    assert_ends(json!({"status": 404}), 2, words, None).await;
}

#[tokio::test]
async fn a_timeout_is_tried_once_more() {
    let words = (
        (504, "server_error", Some("timeout")),
        (504, "timeout_error"),
    );
    assert_ends(json!({"status": 504}), 2, words, None).await;
    assert_ends(json!({"first_byte_delay": "20s"}), 2, words, None).await;
}

#[tokio::test]
async fn account_troubles_end_in_a_neutral_503() {
    assert_ends(json!({"status": 401}), 8, UNAVAILABLE, None).await;
    assert_ends(json!({"form": "terms_of_service"}), 4, UNAVAILABLE, None).await;
    assert_ends(json!({"form": "validation"}), 4, UNAVAILABLE, None).await;
    assert_ends(json!({"form": "service_disabled"}), 4, UNAVAILABLE, None).await;
}

#[tokio::test]
async fn limits_end_in_a_429_that_says_when_to_come_back() {
    let words = (
        (429, "rate_limit_error", Some("rate_limit_exceeded")),
        (429, "rate_limit_error"),
    );
    assert_ends(
        json!({"form": "retry_info", "delay": "33.2s"}),
        4,
        words,
        Some(34),
    )
    .await;
    let words = (
        (429, "rate_limit_error", Some("insufficient_quota")),
        (429, "rate_limit_error"),
    );
    assert_ends(
        json!({"form": "quota_exhausted", "delay": "3h"}),
        4,
        words,
        Some(3 * 3600),
    )
    .await;
    assert_ends(json!({"form": "limit_zero"}), 4, words, Some(3600)).await;
}

#[tokio::test]
async fn a_lack_of_capacity_ends_in_overloaded() {
    // After the third in a row the model itself cools.
    let words = (
        (503, "server_error", Some("overloaded")),
        (529, "overloaded_error"),
    );
    assert_ends(json!({"form": "capacity"}), 3, words, Some(30)).await;
}

#[tokio::test]
async fn failures_of_the_upstream_end_in_a_502() {
    // Four accounts, then the last one twice more, then others again up to `max_attempts`.
    assert_ends(json!({"status": 500}), 8, FAILED, None).await;
    assert_ends(json!({"form": "html"}), 4, FAILED, None).await;
    assert_ends(json!({"drop": true}), 4, FAILED, None).await;
}

#[tokio::test]
async fn a_misconfigured_sign_in_everywhere_ends_in_a_503() {
    let setup = four().at(&["upstreams", "sim", "oauth"], "client_secret", "wrong");
    let app = TestApp::start(setup, json!({})).await;
    for dialect in BOTH {
        let told = app.say(dialect, FLASH, "hi").await.error(dialect);
        assert_told(&told, dialect, UNAVAILABLE);
    }
}

#[tokio::test]
async fn max_attempts_bounds_the_calls_that_send_the_prompt() {
    for (attempts, dialect) in [(1, OpenAi), (2, Anthropic), (3, OpenAi)] {
        let setup = four().routing("max_attempts", attempts);
        let app = TestApp::start(setup, json!({"status": 500})).await;
        let told = app.say(dialect, FLASH, "hi").await.error(dialect);
        assert_told(&told, dialect, FAILED);
        assert_eq!(app.served().len(), usize::try_from(attempts).unwrap());
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
