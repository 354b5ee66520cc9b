//! `agp explain` word for word, and the id by which it is asked.

use agp::base::time::Timestamp;
use agp::cli::{account, explain, serve};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got, Stream};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until};

const FLASH: &str = "gemini-2.5-flash";

/// A key that protects nothing and may use these accounts.
fn key(setup: Setup, name: &str, accounts: &[&str]) -> Setup {
    let at = ["keys", name];
    setup
        .at(&at, "key", secret(name))
        .at(&at, "accounts", accounts.to_vec())
}

fn secret(name: &str) -> String {
    format!("the-key-of-{name}-that-protects-nothing-at-all")
}

fn places(app: &TestApp) -> serve::Args {
    serve::Args {
        config: Some(app.root()),
        state_dir: None,
    }
}

async fn explained(app: &TestApp, id: &str, json: bool) -> String {
    let mut out = Vec::new();
    let args = explain::Args {
        id: id.to_owned(),
        json,
        body: false,
        at: places(app).into(),
    };
    explain::run(&args, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

async fn pause(app: &TestApp, name: &str) {
    let named = account::Named {
        name: name.to_owned(),
        all: account::All {
            json: false,
            at: places(app).into(),
        },
    };
    let action = account::Action::Pause(named);
    account::run(&account::Args { action }, &mut Vec::new())
        .await
        .unwrap();
}

/// The story with what differs from run to run taken out.
fn masked(app: &TestApp, story: &str) -> String {
    let mut text = story.replace(&app.sim.url(), "SIM");
    for (pattern, stands_for) in [
        (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "ID"),
        (r"\b20\d\d-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"\b\d+ ms\b", "N ms"),
        (r"\b\d+ tokens in, \d+ out", "N tokens in, N out"),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, stands_for).into_owned();
    }
    text
}

/// Twelve accounts of which hardly one is like another, and a request that fails over twice.
async fn twelve() -> (TestApp, Stream) {
    let names: Vec<String> = (1..=12).map(|n| format!("a{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let allowed: Vec<&str> = names.iter().copied().filter(|n| *n != "a07").collect();
    let mut setup = Setup::new(&names)
        .routing("strategy", "fill_first")
        .account_set("a10", "enabled", false)
        .account_set("a11", "models", vec!["claude-*".to_owned()]);
    setup = key(setup, "team", &allowed);
    for name in ["a04", "a06", "a09"] {
        setup = key(setup, name, &[name]);
    }
    let script = json!({
        "accounts": {"a05@example.com": {"quota": {"gemini-*": {"remaining": 0, "reset": "3h"}}}},
        "rules": [
            {"account": "a01@*", "do": {"form": "retry_info", "delay": "34s", "first_byte_delay": "1500ms"}},
            {"account": "a02@*", "do": {"form": "service_disabled"}},
            {"account": "a04@*", "do": {"form": "retry_info", "delay": "1h"}},
            {"account": "a06@*", "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}},
            {"account": "a09@*", "do": {"form": "validation"}}]});
    let app = TestApp::start(setup.routing("queue_timeout", "100ms"), script).await;
    let empty = app.account("a05").lane(FLASH);
    until("the quota", || {
        empty.empty_until(Timestamp::now()).is_some()
    })
    .await;
    for name in ["a04", "a09"] {
        let body = OpenAi.saying(FLASH, "hi", false);
        let got = Got::read(app.request_as(OpenAi, &secret(name), &body)).await;
        assert!(got.status >= 400, "{}", got.text);
    }
    pause(&app, "a08").await;
    let body = OpenAi.saying(FLASH, "hi", true);
    let mut held = Stream::open(OpenAi, app.request_as(OpenAi, &secret("a06"), &body)).await;
    held.text().await.unwrap();
    (app, held)
}

/// What `agp explain` prints of it.
const STORY: &str = "\
request ID, ended TIME
  key team, anthropic, model gemini-2.5-flash (served as gemini-2.5-flash)
accounts, as they stood when the first was picked:
  a01                      chosen
  a02                      could have served, another was picked
  a03                      could have served, another was picked
  a04                      cooling until TIME (rate_limited)
  a05                      no quota left until TIME
  a06                      all slots taken
  a07                      not for this key
  a08                      paused by a person
  a09                      needs_verification: the provider wants to see a person
  a12                      could have served, another was picked
  a10                      paused: `enabled = false` in the file
  a11                      its `models` leave this model out
tries:
  1. a01 with sim/gemini-2.5-flash at SIM: 429 rate_limited, N ms
     told to wait 34s; status 429: RATE_LIMIT_EXCEEDED, RESOURCE_EXHAUSTED, Too many requests.
     meanwhile a12: paused by a person
  2. a02 with sim/gemini-2.5-flash at SIM: 403 forbidden, N ms
     status 403: SERVICE_DISABLED, PERMISSION_DENIED, Gemini for Google Cloud API has not been used in project before or it is disabled.
  3. a03 with sim/gemini-2.5-flash at SIM: 200, served, N ms, its head after N ms
answered 200 by a03, N tokens in, N out
N ms in all, the first content after N ms
";

#[tokio::test]
async fn the_story_of_two_failovers_among_twelve_accounts() {
    let (app, held) = twelve().await;
    let before = app.served().len();
    let body = Anthropic.saying(FLASH, "hi", false);
    let asked = Got::read(app.request_as(Anthropic, &secret("team"), &body));
    let meanwhile = async {
        // While a01 lets everybody wait.
        let first = app.account("a01");
        until("the first try", || first.in_flight.count() > 0).await;
        pause(&app, "a12").await;
    };
    let (got, ()) = tokio::join!(asked, meanwhile);
    assert_eq!(got.status, 200, "{}", got.text);
    // What the simulator saw and did is what the story tells.
    assert_eq!(app.served()[before..], ["a01", "a02", "a03"]);
    let story = explained(&app, got.id(), false).await;
    assert_eq!(masked(&app, &story), STORY);
    let told: Value = serde_json::from_str(&explained(&app, got.id(), true).await).unwrap();
    assert_eq!(
        told["later_verdicts"],
        json!([
            {"try": 2, "account": "a02", "verdict": "chosen"},
            {"try": 2, "account": "a12", "verdict": "paused by a person"},
            {"try": 3, "account": "a03", "verdict": "chosen"}])
    );
    let first = &told["tries"][0];
    assert!(first["latency_ms"].as_u64().unwrap() >= 1500, "{first}");
    assert!(told["latency_ms"].as_u64() >= first["latency_ms"].as_u64());
    app.sim.release();
    held.rest().await.assert_whole();
}

#[tokio::test]
async fn the_story_of_a_request_for_which_nobody_was_left() {
    let setup = Setup::new(&["alice", "bob"])
        .routing("strategy", "fill_first")
        .routing("queue_timeout", "100ms");
    let rules = json!([
        {"account": "alice@*", "do": {"form": "quota_exhausted", "delay": "2h"}},
        {"account": "bob@*", "do": {"form": "terms_of_service"}}]);
    let app = TestApp::start(setup, json!({"rules": rules})).await;
    app.warm().await;
    for dialect in BOTH {
        let got = app.say(dialect, FLASH, "hi").await;
        assert!(got.status >= 400, "{}", got.text);
        let story = masked(&app, &explained(&app, got.id(), false).await);
        for line in [
            "accounts, as they stood when none was left:\n",
            "  alice                    no quota left until TIME\n",
            "  bob                      disabled: closed by the provider\n",
        ] {
            assert!(story.contains(line), "{line}: {story}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_an_id() {
    let script = json!({"rules": [{"model": "gemini-2.5-pro", "do": {"status": 500}}]});
    let app = TestApp::start(Setup::new(&["alice"]).routing("max_attempts", 1), script).await;
    let id = |got: &Got| {
        let id = got.id().to_owned();
        assert!(agp::base::id::RequestId::parse(&id).is_some(), "{id}");
        id
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut new = |id: String| assert!(seen.insert(id.clone()), "{id} twice");
    for dialect in BOTH {
        for model in [FLASH, "gemini-2.5-pro", "no-such-model"] {
            for stream in [false, true] {
                let got = app
                    .send(dialect, &dialect.saying(model, "hi", stream))
                    .await;
                new(id(&got));
                // It leads to the story of just this request.
                let story = explained(&app, got.id(), true).await;
                let told: Value = serde_json::from_str(&story).unwrap();
                assert_eq!(told["status"], got.status, "{story}");
            }
        }
        let bad = json!({"model": 7});
        new(id(&app.send(dialect, &bad).await));
        let body = dialect.saying(FLASH, "hi", false);
        new(id(&Got::read(app.request_as(
            dialect,
            "no-such-key",
            &body,
        ))
        .await));
        // What an Anthropic client reads is the same id.
        let got = app.say(Anthropic, "no-such-model", "hi").await;
        let own = got.headers["request-id"].to_str().unwrap();
        assert_eq!(own, format!("req_{}", got.id().to_ascii_lowercase()));
    }
    for path in [
        "/healthz",
        "/readyz",
        "/v1/models",
        "/v1/models/none",
        "/nothing",
        "/v1/messages",
    ] {
        let got = Got::read(app.client.get(app.url(path)).bearer_auth(KEY)).await;
        new(id(&got));
    }
    let count = app.client.post(app.url("/v1/messages/count_tokens"));
    let count = count.body(Anthropic.saying(FLASH, "hi", false).to_string());
    new(id(&Got::read(Anthropic.with_key(count, KEY)).await));
}
