//! What the client is told when nothing is left to try, by the last columns of
//! upstream-protocol.md 9.3.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::failover::{FLASH, four};
use crate::support::TestApp;
use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect, Told};

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
                .routing("capacity_cooldown", "30s");
            let setup = if what.get("first_byte_delay").is_some() {
                setup.upstream("first_byte_timeout", "300ms")
            } else {
                setup
            };
            let app = TestApp::start(setup, json!({"rules": [{"do": what}]})).await;
            let got = app
                .send(dialect, &dialect.saying(FLASH, "hi", stream))
                .await;
            let told = got.error(dialect);
            assert_told(&told, dialect, words);
            // A busy machine takes a moment for the tries, so that less is left than was said.
            let said = retry_after.map(|most| most.saturating_sub(3)..=most);
            assert_eq!(told.retry_after.is_some(), said.is_some(), "{what}");
            let left = told.retry_after.unwrap_or_default();
            assert!(
                said.is_none_or(|said| said.contains(&left)),
                "{what} {told:?}"
            );
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
