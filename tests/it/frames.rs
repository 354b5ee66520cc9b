//! Table 9.3 over the wire: what an upstream answers in place of an answer, in the first frame of one, and in a later frame
//! after content went out: class, what becomes of the account, and the client's status and words in both dialects.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect, Told};
use crate::support::setup::Setup;

const FLASH: &str = "gemini-2.5-flash";

/// A row: its class, how the simulator says it, what the account is then, what clients are told.
struct Row {
    class: &'static str,
    does: Value,
    /// The account's state for the model after one of it.
    account: &'static str,
    openai: (u16, &'static str, Option<&'static str>),
    anthropic: (u16, &'static str),
}

const UNAVAILABLE: (u16, &str, Option<&str>) = (503, "server_error", Some("service_unavailable"));
const FAILED: (u16, &str, Option<&str>) = (502, "server_error", Some("upstream_error"));
const MISTAKE: (u16, &str, Option<&str>) = (400, "invalid_request_error", None);

fn row(
    class: &'static str,
    does: Value,
    account: &'static str,
    openai: (u16, &'static str, Option<&'static str>),
    anthropic: (u16, &'static str),
) -> Row {
    Row {
        class,
        does,
        account,
        openai,
        anthropic,
    }
}

/// The rows that an error object can say; the others are no objects, and have their tests where connections break.
fn table() -> Vec<Row> {
    let mut table = accounts();
    table.extend(requests());
    let overloaded = (503, "server_error", Some("overloaded"));
    let late = (504, "server_error", Some("timeout"));
    table.extend([
        row(
            "capacity",
            json!({"form": "capacity"}),
            "active",
            overloaded,
            (529, "overloaded_error"),
        ),
        row(
            "server_error",
            json!({"status": 500}),
            "active",
            FAILED,
            (502, "api_error"),
        ),
        row(
            "timeout",
            json!({"status": 504}),
            "active",
            late,
            (504, "timeout_error"),
        ),
    ]);
    table
}

/// What concerns an account.
fn accounts() -> Vec<Row> {
    let api = (503, "api_error");
    let limit = (429, "rate_limit_error");
    let limited = |code| (429, "rate_limit_error", Some(code));
    let stated = json!({"form": "retry_info", "delay": "34s"});
    let verify = "needs_verification";
    let unknown = (404, "invalid_request_error", Some("model_not_found"));
    vec![
        // Only a second refusal, of a fresh token, is news about the account.
        row(
            "auth_expired",
            json!({"status": 401}),
            "active",
            UNAVAILABLE,
            api,
        ),
        row(
            "account_invalid",
            json!({"form": "terms_of_service"}),
            "disabled",
            UNAVAILABLE,
            api,
        ),
        row(
            "needs_validation",
            json!({"form": "validation"}),
            verify,
            UNAVAILABLE,
            api,
        ),
        row(
            "forbidden",
            json!({"status": 403}),
            "cooling",
            UNAVAILABLE,
            api,
        ),
        row(
            "rate_limited",
            stated,
            "cooling",
            limited("rate_limit_exceeded"),
            limit,
        ),
        row(
            "quota_exhausted",
            json!({"form": "per_day"}),
            "exhausted",
            limited("insufficient_quota"),
            limit,
        ),
        row(
            "model_not_found",
            json!({"status": 404}),
            "cooling",
            unknown,
            (404, "not_found_error"),
        ),
    ]
}

/// What concerns the request itself.
fn requests() -> Vec<Row> {
    let mistake = (400, "invalid_request_error");
    let too_long = "The input token count (9) exceeds the maximum number of tokens allowed (8).";
    let long = (
        400,
        "invalid_request_error",
        Some("context_length_exceeded"),
    );
    let large = (413, "invalid_request_error", Some("request_too_large"));
    let says = |text: &str| json!({"status": 400, "message": text});
    vec![
        row(
            "bad_request",
            says("Field x is odd."),
            "active",
            MISTAKE,
            mistake,
        ),
        row("context_too_long", says(too_long), "active", long, mistake),
        row(
            "signature_invalid",
            says("Corrupted thought signature."),
            "active",
            MISTAKE,
            mistake,
        ),
        row(
            "too_large",
            json!({"status": 413}),
            "active",
            large,
            (413, "request_too_large"),
        ),
    ]
}

/// Where the error stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Instead,
    First,
    Later,
}

#[track_caller]
fn assert_words(row: &Row, dialect: Dialect, told: &Told, what: &str) {
    let words = (told.kind.as_str(), told.code.as_deref());
    match dialect {
        OpenAi => assert_eq!(words, (row.openai.1, row.openai.2), "{what}"),
        Anthropic => assert_eq!(words.0, row.anthropic.1, "{what}"),
    }
    for secret in ["alice", "example.com", "sim-project", "sim-access"] {
        assert!(!told.message.contains(secret), "{what}: {told:?}");
    }
}

/// The account's state as far as the model goes.
fn state(app: &TestApp) -> String {
    let account = app.account("alice");
    let offer = agp::pool::report::Offer {
        model: FLASH,
        empty_until: None,
    };
    let now = agp::base::time::Timestamp::now();
    account
        .report(std::iter::once(offer), now)
        .state
        .to_string()
}

async fn check(row: &Row, place: Place, dialect: Dialect) {
    let what = format!("{} {place:?} {dialect:?}", row.class);
    let mut does = row.does.clone();
    does["text"] = json!("abcdefgh");
    does["chunks"] = json!(4);
    match place {
        Place::Instead => {}
        Place::First => does["error_in_stream"] = json!(0),
        Place::Later => {
            does["error_in_stream"] = json!(2);
            does["pause_until_released"] = json!(2);
        }
    }
    // The one try is the last: what a failure leads to is told at once.
    let setup = Setup::new(&["alice"]).routing("max_attempts", 1);
    let app = TestApp::start(setup, json!({"rules": [{"do": does}]})).await;
    app.warm().await;
    let id = if place == Place::Later {
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.text().await.as_deref(), Some("ab"), "{what}");
        app.sim.release();
        let id = stream.id.clone();
        let speech = stream.rest().await;
        assert_words(row, dialect, speech.assert_failed(), &what);
        assert!("abcd".starts_with(&speech.text()), "{what}: {speech:?}");
        id
    } else {
        let body = dialect.saying(FLASH, "hi", true);
        let got = app.send(dialect, &body).await;
        let told = got.error(dialect);
        let status = if dialect == OpenAi {
            row.openai.0
        } else {
            row.anthropic.0
        };
        assert_eq!(told.status, status, "{what}");
        assert_words(row, dialect, &told, &what);
        got.id().to_owned()
    };
    assert_eq!(
        app.tries(&id).await,
        [format!("alice {}", row.class)],
        "{what}"
    );
    let status = app.log(&id).await.status;
    assert_eq!(status == 200, place == Place::Later, "{what}");
    assert_eq!(state(&app), row.account, "{what}");
    if row.class == "auth_expired" {
        assert_eq!(app.standing("alice"), "active", "{what}");
    }
}

async fn check_all(place: Place) {
    let table = table();
    let all = table
        .iter()
        .flat_map(|row| BOTH.map(|dialect| (row, dialect)));
    // A few at a time: each has a gateway of its own.
    let all: Vec<_> = all.collect();
    for some in all.chunks(7) {
        join_all(
            some.iter()
                .map(|(row, dialect)| check(row, place, *dialect)),
        )
        .await;
    }
}

#[tokio::test]
async fn in_place_of_an_answer() {
    check_all(Place::Instead).await;
}

#[tokio::test]
async fn in_the_first_frame_of_an_answer() {
    check_all(Place::First).await;
}

#[tokio::test]
async fn in_a_later_frame_of_an_answer() {
    check_all(Place::Later).await;
}

#[tokio::test]
async fn a_second_refusal_of_a_fresh_token_is_what_needs_a_login() {
    let setup = Setup::new(&["alice"]).routing("max_attempts", 2);
    let app = TestApp::start(setup, json!({"rules": [{"do": {"status": 401}}]})).await;
    app.warm().await;
    for dialect in BOTH {
        let told = app.say(dialect, FLASH, "hi").await.error(dialect);
        assert_eq!(told.status, 503);
    }
    assert_eq!(app.standing("alice"), "needs_login");
    // A token that was refused where nothing could be tried again is not given out once more.
    let setup = Setup::new(&["alice"]).routing("max_attempts", 1);
    let app = TestApp::start(
        setup,
        json!({"rules": [{"times": 1, "do": {"revoke": true}}]}),
    )
    .await;
    app.warm().await;
    let told = app.say(OpenAi, FLASH, "hi").await.error(OpenAi);
    assert_eq!(told.status, 503);
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
}

#[tokio::test]
async fn each_form_of_nothing_becomes_an_empty_message_after_two_more_tries() {
    for does in [
        json!({"answer": "empty"}),
        json!({"answer": "empty", "usage": false}),
        json!({"raw": "data: {\"response\":{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[]},\"finishReason\":\"STOP\"}]}}\n\n"}),
        json!({"answer": "empty", "finish": "MALFORMED_FUNCTION_CALL"}),
    ] {
        for dialect in BOTH {
            let setup = Setup::new(&["alice", "bob"]);
            let app = TestApp::start(setup, json!({"rules": [{"do": does}]})).await;
            app.warm().await;
            for stream in [false, true] {
                let got = app
                    .send(dialect, &dialect.saying(FLASH, "hi", stream))
                    .await;
                assert_eq!(got.status, 200, "{does}: {}", got.text);
                let tries = app.tries(got.id()).await;
                assert_eq!(tries.len(), 3, "{does}: {tries:?}");
                assert!(
                    tries.iter().all(|t| t.ends_with(" empty_answer")),
                    "{tries:?}"
                );
            }
            assert_eq!(app.standing("alice"), "active");
        }
    }
}
