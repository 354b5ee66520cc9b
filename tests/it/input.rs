//! Whatever a client sends gets an answer in its own dialect that names the field, and the gateway stays up.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Dialect, Got, Told};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until, within};

pub(crate) const FLASH: &str = "gemini-2.5-flash";

pub(crate) async fn plain() -> TestApp {
    TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await
}

/// The gateway is well: it answers the next request.
pub(crate) async fn assert_serves(app: &TestApp) {
    for dialect in BOTH {
        let got = app.say(dialect, FLASH, "still there?").await;
        assert_eq!(got.said(dialect), "You said: still there?");
    }
}

/// Sends a body as it is.
async fn raw(app: &TestApp, dialect: Dialect, body: impl Into<reqwest::Body>) -> Got {
    let request = app.client.post(app.url(dialect.path())).body(body);
    Got::read(dialect.with_key(request, KEY)).await
}

/// The dialect's own words for a request that can't be served as it is.
#[track_caller]
pub(crate) fn assert_refused(told: &Told, dialect: Dialect, field: &str) {
    assert_eq!(
        (told.status, told.kind.as_str()),
        (400, "invalid_request_error"),
        "{told:?}"
    );
    assert!(told.message.contains(field), "no `{field}`: {told:?}");
    if dialect == OpenAi {
        let param = told.param.as_deref().unwrap_or_default();
        assert!(param.starts_with(field), "not `{field}`: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_20_mib_works() {
    let app = plain().await;
    let bytes = 15 << 20;
    let data = "QUFB".repeat(bytes / 3);
    assert!(data.len() >= 20 << 20);
    for dialect in BOTH {
        let picture = match dialect {
            OpenAi => {
                json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}})
            }
            Anthropic => json!({"type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": data}}),
        };
        let messages = json!([{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}]);
        let got = app.send(dialect, &dialect.asking(FLASH, &messages)).await;
        let said = got.said(dialect);
        assert!(
            said.contains(&format!("You sent image/png of {bytes} bytes")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn wrong_types_and_values_are_named() {
    let app = plain().await;
    let part = |part: Value| json!([{"role": "user", "content": [part]}]);
    for (field, change) in [
        ("messages", json!("hello")),
        ("messages", json!([])),
        ("messages", Value::Null),
        ("messages[0].role", json!([{"role": 5, "content": "x"}])),
        (
            "messages[0].role",
            json!([{"role": "nobody", "content": "x"}]),
        ),
        (
            "messages[0].content",
            json!([{"role": "user", "content": 5}]),
        ),
        (
            "messages[1]",
            json!([{"role": "user", "content": "x"}, "y"]),
        ),
        (
            "messages[0].content[0].type",
            part(json!({"type": "hologram"})),
        ),
        (
            "messages[0].content[0].text",
            part(json!({"type": "text", "text": 1})),
        ),
        ("temperature", json!("hot")),
        ("temperature", json!(9)),
        ("stream", json!("yes")),
        ("max_tokens", json!(-1)),
        ("max_tokens", json!("many")),
        ("model", json!(5)),
        ("tools", json!("all")),
        ("tool_choice", json!(7)),
    ] {
        for dialect in BOTH {
            let mut body = dialect.saying(FLASH, "hi", false);
            let name = field.split(['[', '.']).next().unwrap();
            body[name] = change.clone();
            assert_refused(
                &app.send(dialect, &body).await.error(dialect),
                dialect,
                field,
            );
        }
    }
    assert_eq!(app.served(), Vec::<String>::new(), "no upstream was asked");
    assert_serves(&app).await;
}

#[tokio::test]
async fn wrong_values_of_one_dialect_are_named() {
    let app = plain().await;
    let part = |part: Value| json!([{"role": "user", "content": [part]}]);
    for (dialect, field, change) in [
        (OpenAi, "n", json!(2)),
        (OpenAi, "reasoning_effort", json!("most")),
        (OpenAi, "response_format", json!({"type": "poem"})),
        (
            OpenAi,
            "tools[0].function.name",
            json!([{"type": "function", "function": {"name": 5}}]),
        ),
        (
            OpenAi,
            "tool_choice",
            json!({"type": "function", "function": {"name": "not_there"}}),
        ),
        (
            OpenAi,
            "messages[0].content[0].image_url",
            part(json!({"type": "image_url", "image_url": {"url": "https://example.com/x.png"}})),
        ),
        (
            OpenAi,
            "messages[0].content[0].image_url",
            part(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}})),
        ),
        (Anthropic, "system", json!(5)),
        (
            Anthropic,
            "thinking",
            json!({"type": "enabled", "budget_tokens": "lots"}),
        ),
        (
            Anthropic,
            "tools[0].input_schema",
            json!([{"name": "t", "input_schema": 5}]),
        ),
        (Anthropic, "tool_choice", json!({"type": "sometimes"})),
        (Anthropic, "stop_sequences", json!("x")),
        (
            Anthropic,
            "messages[0].content[0].source",
            part(
                json!({"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}),
            ),
        ),
        (
            Anthropic,
            "messages[0].content[0].source",
            part(
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%%%"}}),
            ),
        ),
    ] {
        let mut body = dialect.saying(FLASH, "hi", false);
        let name = field.split(['[', '.']).next().unwrap();
        body[name] = change;
        assert_refused(
            &app.send(dialect, &body).await.error(dialect),
            dialect,
            field,
        );
    }
    assert_eq!(app.served(), Vec::<String>::new(), "no upstream was asked");
    assert_serves(&app).await;
}

#[tokio::test]
async fn malformed_json_and_invalid_utf8_are_told() {
    let app = plain().await;
    for dialect in BOTH {
        let whole = dialect.saying(FLASH, "hi", false).to_string();
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\"text\"",
            &whole[..whole.len() - 1],
            &format!("{whole}x"),
            "{\"model\": nope}",
        ] {
            let told = raw(&app, dialect, body.to_owned()).await.error(dialect);
            assert_eq!(
                (told.status, told.kind.as_str()),
                (400, "invalid_request_error"),
                "{body}"
            );
        }
        let mut bytes = whole.clone().into_bytes();
        let at = whole.find("hi").unwrap();
        for broken in [&[0xff, 0xfe][..], &[0xc3, 0x28], &[0xed, 0xa0]] {
            bytes[at..at + 2].copy_from_slice(broken);
            let told = raw(&app, dialect, bytes.clone()).await.error(dialect);
            assert_eq!(told.status, 400);
            assert!(told.message.contains("UTF-8"), "{told:?}");
        }
        let lonely = whole.replace("hi", "\\ud800");
        let told = raw(&app, dialect, lonely).await.error(dialect);
        assert_eq!(told.status, 400, "half of a surrogate pair: {told:?}");
    }
    assert_serves(&app).await;
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn nested_schema(levels: usize) -> String {
    let open = r#"{"type":"object","properties":{"a":"#.repeat(levels);
    format!("{open}{{\"type\":\"string\"}}{}", "}}".repeat(levels))
}

#[tokio::test]
async fn a_thousand_levels_of_nesting_are_refused() {
    let app = plain().await;
    for levels in [1_000, 100_000] {
        let (deep, schema) = (nested(levels), nested_schema(levels / 2));
        for (dialect, field, text) in [
            (
                OpenAi,
                "messages",
                format!(r#"{{"model":"{FLASH}","messages":{deep}}}"#),
            ),
            (
                Anthropic,
                "messages",
                format!(r#"{{"model":"{FLASH}","max_tokens":9,"messages":{deep}}}"#),
            ),
            (
                OpenAi,
                "whatever",
                format!(
                    r#"{{"model":"{FLASH}","messages":[{{"role":"user","content":"x"}}],"whatever":{deep}}}"#
                ),
            ),
            (
                OpenAi,
                "tools",
                format!(
                    r#"{{"model":"{FLASH}","messages":[{{"role":"user","content":"x"}}],
                "tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}"#
                ),
            ),
            (
                Anthropic,
                "tools",
                format!(
                    r#"{{"model":"{FLASH}","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],
                "tools":[{{"name":"f","input_schema":{schema}}}]}}"#
                ),
            ),
            (
                Anthropic,
                "messages",
                format!(
                    r#"{{"model":"{FLASH}","max_tokens":9,"messages":[{{"role":"user","content":"x"}},
                {{"role":"assistant","content":[{{"type":"tool_use","id":"c1","name":"f","input":{{"a":{deep}}}}}]}},
                {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c1","content":"y"}}]}}]}}"#
                ),
            ),
        ] {
            let told = raw(&app, dialect, text).await.error(dialect);
            assert_refused(&told, dialect, field);
        }
        // Arguments are a text in this dialect: what a model may have written goes back to it as that.
        let messages = json!([{"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": deep}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "y"}]);
        let got = app.send(OpenAi, &OpenAi.asking(FLASH, &messages)).await;
        assert_eq!(got.said(OpenAi), "f answered: y");
        let sent = app.payloads().pop().unwrap();
        let call = &sent["request"]["contents"][1]["parts"][0]["functionCall"];
        assert_eq!(call["args"], json!({"raw_arguments": deep}));
    }
    assert_serves(&app).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413() {
    let app = TestApp::start(
        Setup::new(&["alice"]).set("server", "max_body", "64KiB"),
        json!({}),
    )
    .await;
    for dialect in BOTH {
        let large = dialect
            .saying(FLASH, &"x".repeat(100_000), false)
            .to_string();
        // With its length told, and without.
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> = large
            .as_bytes()
            .chunks(1000)
            .map(|piece| Ok(piece.to_vec()))
            .collect();
        let unknown = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        for body in [reqwest::Body::from(large), unknown] {
            let told = raw(&app, dialect, body).await.error(dialect);
            assert_eq!(told.status, 413);
            match dialect {
                OpenAi => assert_eq!(told.code.as_deref(), Some("request_too_large")),
                Anthropic => assert_eq!(told.kind, "request_too_large"),
            }
        }
        let fits = dialect.saying(FLASH, &"x".repeat(60_000), false);
        assert_eq!(app.send(dialect, &fits).await.status, 200);
    }
}

/// Writes to a connection of its own, as it is.
async fn connect(app: &TestApp, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.gateway().addr().unwrap())
        .await
        .unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

fn head(dialect: Dialect, length: usize) -> String {
    format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n",
        dialect.path()
    )
}

#[tokio::test]
async fn a_client_that_dribbles_its_headers_is_cut() {
    let app = plain().await;
    let mut slow = connect(&app, "POST /v1/messages HTTP/1.1\r\nhost: x\r\n").await;
    let dribble = async {
        for _ in 0..600 {
            if slow.write_all(b"x-more: x\r\n").await.is_err() {
                return;
            }
            let mut answer = [0; 1024];
            match tokio::time::timeout(Duration::from_millis(100), slow.read(&mut answer)).await {
                Err(_) => {}
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(n)) => assert!(answer[..n].starts_with(b"HTTP/1.1 408"), "{answer:?}"),
            }
        }
        panic!("it may dribble for ever");
    };
    tokio::join!(within("the cut", dribble), assert_serves(&app));
}

#[tokio::test]
async fn a_slow_upload_is_served_and_an_aborted_one_leaves_nothing() {
    let app = plain().await;
    assert_serves(&app).await;
    app.warm().await;
    let idle = || app.tasks.len();
    for dialect in BOTH {
        let body = dialect.saying(FLASH, "hi", false).to_string();
        let before = idle();
        // In pieces, with others served meanwhile.
        let mut slow = connect(&app, &head(dialect, body.len())).await;
        for piece in body.as_bytes().chunks(20) {
            slow.write_all(piece).await.unwrap();
            slow.flush().await.unwrap();
            assert_eq!(app.say(OpenAi, FLASH, "between").await.status, 200);
        }
        let mut answer = [0; 15];
        within("the answer", slow.read_exact(&mut answer))
            .await
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        drop(slow);

        let mut aborted = Vec::new();
        for cut in [0, 1, body.len() / 2, body.len() - 1].repeat(6) {
            let mut upload = connect(&app, &head(dialect, body.len())).await;
            upload.write_all(&body.as_bytes()[..cut]).await.unwrap();
            aborted.push(upload);
        }
        // A few tasks of the start may have ended since.
        until("the uploads to be taken", || idle() > before + 12).await;
        drop(aborted);
        until("the uploads' tasks to end", || idle() <= before).await;
        assert_serves(&app).await;
    }
    assert_eq!(app.waiting(), 0);
    assert_eq!(app.account("alice").in_flight.count(), 0);
}
