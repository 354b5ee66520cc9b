//! Prompts and answers are kept where the operator asks for it, and nowhere else.

use agp::base::id::RequestId;
use agp::cli::{Failed, explain, serve};
use agp::store::BodyRecord;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got};
use crate::support::setup::Setup;
use crate::support::{TestApp, until};

const FLASH: &str = "gemini-2.5-flash";

fn keeping(whose: &str) -> Setup {
    Setup::new(&["alice"]).set("state", "log_bodies", whose)
}

/// What is kept of a request, once all that was queued is written.
async fn kept(app: &TestApp, id: &str) -> Option<BodyRecord> {
    let store = app.runtime().store.clone();
    app.log(id).await;
    store.flush().await.unwrap();
    store.body(RequestId::parse(id).unwrap()).unwrap()
}

#[tokio::test]
async fn nothing_is_kept_unless_it_is_asked_for() {
    let app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    let got = app.say(OpenAi, FLASH, "hi").await;
    assert_eq!(kept(&app, got.id()).await, None);
    let refused = told(&app, got.id(), false).await.unwrap_err();
    assert!(
        refused.message.contains("`state.log_bodies`"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_was_sent_and_answered_is_kept_as_it_was() {
    let app = TestApp::start(keeping("all"), json!({"chunks": 3})).await;
    for dialect in BOTH {
        for stream in [false, true] {
            let body = dialect.saying(FLASH, "say something private", stream);
            let got = app.send(dialect, &body).await;
            let kept = kept(&app, got.id()).await.unwrap();
            assert_eq!(kept.request.text, body.to_string());
            assert_eq!(kept.answer.text, got.text);
            assert_eq!(kept.answer.bytes, got.text.len() as u64);
            assert!(!kept.request.cut && !kept.answer.cut);
        }
    }
    assert_eq!(app.runtime().store.health().dropped_bodies, 0);
}

#[tokio::test]
async fn media_is_kept_as_type_size_and_digest() {
    let app = TestApp::start(keeping("all"), json!({})).await;
    let picture = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 5000]].concat();
    let base64 = STANDARD.encode(&picture);
    let body = OpenAi.asking(
        FLASH,
        &json!([{"role": "user", "content": [{"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{base64}")}}]}]),
    );
    let got = app.send(OpenAi, &body).await;
    assert_eq!(got.status, 200, "{}", got.text);
    let kept = kept(&app, got.id()).await.unwrap();
    let text = &kept.request.text;
    assert!(text.contains("what is it?") && text.contains("[image/png, 5008 bytes, sha256 "));
    assert!(!text.contains(&base64[..64]), "{text}");
    assert_eq!(kept.request.bytes, body.to_string().len() as u64);
}

#[tokio::test]
async fn of_errors_only_where_that_is_asked_for() {
    let script =
        json!({"rules": [{"times": 1, "do": {"text": "half of it", "chunks": 2, "cut": 1}}]});
    let app = TestApp::start(keeping("errors"), script).await;
    let broken = Got::read(app.request(Anthropic, &Anthropic.saying(FLASH, "hi", true))).await;
    let found = kept(&app, broken.id()).await.unwrap();
    assert_eq!(found.answer.text, broken.text, "with the error event");
    let well = app.say(OpenAi, FLASH, "hi").await;
    assert_eq!(well.status, 200);
    assert_eq!(kept(&app, well.id()).await, None);
    let unknown = app.say(OpenAi, "no-such-model", "hi").await;
    let found = kept(&app, unknown.id()).await.unwrap();
    assert_eq!(found.answer.text, unknown.text);
    let unreadable = Got::read(
        app.request(OpenAi, &Value::Null)
            .body(r#"{"model": "m", "messages": "#),
    )
    .await;
    assert_eq!(unreadable.status, 400);
    let found = kept(&app, unreadable.id()).await.unwrap();
    assert_eq!(found.request.text, r#"{"model": "m", "messages": "#);
    assert_eq!(found.answer.text, unreadable.text);
}

#[tokio::test]
async fn an_edit_decides_from_the_next_request_on() {
    let mut app = TestApp::start(keeping("none"), json!({})).await;
    let before = app.say(OpenAi, FLASH, "hi").await;
    app.setup = keeping("all");
    app.save();
    until("the edit to be in effect", || {
        app.runtime().snapshot().generation > 1
    })
    .await;
    let after = app.say(OpenAi, FLASH, "hi").await;
    assert!(kept(&app, after.id()).await.is_some());
    assert_eq!(kept(&app, before.id()).await, None);
    app.restart().await;
    assert!(
        kept(&app, after.id()).await.is_some(),
        "also after a restart"
    );
    app.setup = keeping("none").set("state", "log_bodies_retention", "0s");
    app.save();
    let id = RequestId::parse(after.id()).unwrap();
    until("the old ones to be forgotten", || {
        app.runtime().store.body(id).unwrap().is_none()
    })
    .await;
    app.log(after.id()).await;
}

/// Runs `agp explain ID --body` and gives what it prints.
async fn told(app: &TestApp, id: &str, json: bool) -> Result<String, Failed> {
    let mut out = Vec::new();
    let args = explain::Args {
        id: id.to_owned(),
        body: true,
        json,
        at: serve::Args {
            config: Some(app.root()),
            state_dir: None,
        }
        .into(),
    };
    explain::run(&args, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn explain_prints_what_was_said() {
    let app = TestApp::start(keeping("all"), json!({})).await;
    let body = Anthropic.saying(FLASH, "tell me", false);
    let got = app.send(Anthropic, &body).await;
    let text = told(&app, got.id(), false).await.unwrap();
    let asked = format!("request, {} bytes:\n{body}\n", body.to_string().len());
    let answered = format!("answer, {} bytes:\n{}\n", got.text.len(), got.text);
    assert!(text.contains(&asked) && text.contains(&answered), "{text}");
    assert!(text.starts_with("request 0"), "behind the story: {text}");
    let value: Value = serde_json::from_str(&told(&app, got.id(), true).await.unwrap()).unwrap();
    assert_eq!(value["body"]["answer"]["text"], got.text);
}

#[tokio::test]
async fn the_log_takes_no_more_disk_than_the_file_says() {
    let setup = keeping("all").set("state", "log_max_size", "2MiB");
    let app = TestApp::start(setup, json!({"text": "yes"})).await;
    let mut noise = vec![0; 50_000];
    let mut first = None;
    // Three times as much as there is room for.
    for _ in 0..120 {
        getrandom::fill(&mut noise).unwrap();
        let words: String = noise.iter().map(|b| char::from(b' ' + b % 64)).collect();
        let got = app.say(OpenAi, FLASH, &words).await;
        assert!(kept(&app, got.id()).await.is_some(), "the newest is kept");
        let id = *first.get_or_insert(RequestId::parse(got.id()).unwrap());
        if app.runtime().store.body(id).unwrap().is_none() {
            return;
        }
    }
    panic!("the first body is still there");
}
