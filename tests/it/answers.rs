//! Answers that are empty, blocked, cut by a limit or faulty, and what the dialects say of them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::BOTH;
use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::setup::Setup;

const FLASH: &str = "gemini-2.5-flash";

async fn start(rule: Value) -> TestApp {
    TestApp::start(
        Setup::new(&["alice", "bob"]).unlimited(),
        json!({"rules": [rule]}),
    )
    .await
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again() {
    for what in [
        json!({"answer": "empty"}),
        json!({"answer": "empty", "finish": "MALFORMED_FUNCTION_CALL"}),
        json!({"answer": "empty", "finish": "UNEXPECTED_TOOL_CALL"}),
        json!({"answer": "empty", "finish": "MALFORMED_RESPONSE"}),
    ] {
        join_all(BOTH.map(async |dialect| {
            let app = start(json!({"times": 2, "do": what})).await;
            let got = app.say(dialect, FLASH, "hi").await;
            assert_eq!(got.said(dialect), "You said: hi", "{what}");
            let tries = app.tries(got.id()).await;
            assert_eq!(tries.len(), 3, "{tries:?}");
            assert!(
                tries[..2].iter().all(|t| t.ends_with("empty_answer")),
                "{tries:?}"
            );
        }))
        .await;
    }
}

#[tokio::test]
async fn what_stays_empty_is_an_empty_message() {
    join_all(BOTH.map(async |dialect| {
        let app = start(json!({"do": {"answer": "empty"}})).await;
        let got = app.say(dialect, FLASH, "hi").await;
        assert_eq!(got.said(dialect), "");
        let finish = if dialect == OpenAi {
            "stop"
        } else {
            "end_turn"
        };
        assert_eq!(got.finish(dialect), finish);
        assert_eq!(app.served().len(), 3, "two repeats in all");
        let speech = app.stream(dialect, FLASH, "hi").await.rest().await;
        speech.assert_whole();
        assert_eq!(
            (speech.text(), speech.finish.as_deref()),
            (String::new(), Some(finish))
        );
        assert_eq!(app.account("alice").health().0.as_str(), "active");
    }))
    .await;
}

#[tokio::test]
async fn a_faulty_end_after_content_is_an_error_event() {
    for finish in [
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    ] {
        join_all(BOTH.map(async |dialect| {
            let what = json!({"text": "half of it", "chunks": 2, "pause_until_released": true, "finish": finish});
            let app = start(json!({"do": what})).await;
            let mut stream = app.stream(dialect, FLASH, "hi").await;
            assert_eq!(stream.text().await.as_deref(), Some("half "));
            app.sim.release();
            let speech = stream.rest().await;
            speech.assert_failed();
            assert_eq!(speech.text(), "half of it");
        }))
        .await;
    }
}

#[tokio::test]
async fn finishes_are_said_in_the_dialects_words() {
    for (finish, openai, anthropic) in [
        ("STOP", "stop", "end_turn"),
        ("MAX_TOKENS", "length", "max_tokens"),
        ("SAFETY", "content_filter", "refusal"),
        ("RECITATION", "content_filter", "refusal"),
        ("PROHIBITED_CONTENT", "content_filter", "refusal"),
        ("OTHER", "stop", "end_turn"),
        ("SOMETHING_NEW", "stop", "end_turn"),
    ] {
        let app = start(json!({"do": {"text": "said", "finish": finish}})).await;
        for dialect in BOTH {
            let word = if dialect == OpenAi { openai } else { anthropic };
            let got = app.say(dialect, FLASH, "hi").await;
            assert_eq!(
                (got.said(dialect).as_str(), got.finish(dialect).as_str()),
                ("said", word)
            );
            let speech = app.stream(dialect, FLASH, "hi").await.rest().await;
            speech.assert_whole();
            assert_eq!(
                (speech.text().as_str(), speech.finish.as_deref()),
                ("said", Some(word))
            );
        }
        assert_eq!(app.served().len(), 4, "an answer is an answer");
    }
}

#[tokio::test]
async fn a_block_is_an_answer_and_is_not_tried_again() {
    for what in [
        json!({"prompt_blocked": "SAFETY"}),
        json!({"answer": "empty", "finish": "SAFETY"}),
    ] {
        let app = start(json!({"do": what})).await;
        for dialect in BOTH {
            let word = if dialect == OpenAi {
                "content_filter"
            } else {
                "refusal"
            };
            let got = app.say(dialect, FLASH, "hi").await;
            assert_eq!(
                (got.said(dialect).as_str(), got.finish(dialect).as_str()),
                ("", word)
            );
            let speech = app.stream(dialect, FLASH, "hi").await.rest().await;
            speech.assert_whole();
            assert_eq!(speech.finish.as_deref(), Some(word));
        }
        assert_eq!(app.served().len(), 4);
        assert_eq!(app.account("alice").health().0.as_str(), "active");
    }
}

#[tokio::test]
async fn a_limit_that_the_client_sets_is_told_apart() {
    let app = start(json!({"do": {"answer_bytes": 400}})).await;
    for dialect in BOTH {
        let mut body = dialect.saying(FLASH, "hi", false);
        body["max_tokens"] = json!(10);
        let got = app.send(dialect, &body).await;
        assert_eq!(got.said(dialect).len(), 40);
        let word = if dialect == OpenAi {
            "length"
        } else {
            "max_tokens"
        };
        assert_eq!(got.finish(dialect), word);
    }
}

#[tokio::test]
async fn usage_is_told_and_kept() {
    let app = start(json!({"do": {"text": "abcdefgh", "cached_tokens": 1}})).await;
    for dialect in BOTH {
        let got = app.say(dialect, FLASH, "a question of some length").await;
        let usage = got.json()["usage"].clone();
        let row = app.log(got.id()).await.usage;
        let (input, output, cached) = match dialect {
            OpenAi => (
                &usage["prompt_tokens"],
                &usage["completion_tokens"],
                &usage["prompt_tokens_details"]["cached_tokens"],
            ),
            Anthropic => (
                &usage["input_tokens"],
                &usage["output_tokens"],
                &usage["cache_read_input_tokens"],
            ),
        };
        assert_eq!((output, cached), (&json!(2), &json!(1)));
        let whole = input.as_u64().unwrap() + u64::from(dialect == Anthropic);
        assert_eq!((row.input_total(), row.output_total()), (whole, 2));
    }
    let mut body = OpenAi.saying(FLASH, "hi", true);
    body["stream_options"] = json!({"include_usage": true});
    let stream = crate::support::client::Stream::open(OpenAi, app.request(OpenAi, &body)).await;
    let speech = stream.rest().await;
    speech.assert_whole();
    assert_eq!(speech.usage.unwrap()["completion_tokens"], 2);
}
