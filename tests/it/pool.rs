//! The pool as people look into it: explain, pick, account, status; and who is not asked.

use std::collections::BTreeMap;

use agp::base::time::Timestamp;
use agp::cli::{Failed, account, explain, pick, serve, status};
use serde_json::{Value, json};

use crate::support::client::BOTH;
use crate::support::client::Dialect::OpenAi;
use crate::support::setup::Setup;
use crate::support::{TestApp, until};

const FLASH: &str = "gemini-2.5-flash";

fn places(app: &TestApp) -> serve::Args {
    serve::Args {
        config: Some(app.root()),
        state_dir: None,
    }
}

fn everything(app: &TestApp) -> account::All {
    account::All {
        json: false,
        at: places(app).into(),
    }
}

/// Runs `agp account ACTION NAME` and gives what it prints.
async fn told(
    app: &TestApp,
    action: fn(account::Named) -> account::Action,
    name: &str,
) -> Result<String, Failed> {
    let action = action(account::Named {
        name: name.to_owned(),
        all: everything(app),
    });
    let mut out = Vec::new();
    account::run(&account::Args { action }, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

/// Runs `agp explain ID` and gives what it prints.
async fn explained(app: &TestApp, id: &str, json: bool) -> Result<String, Failed> {
    let mut out = Vec::new();
    let args = explain::Args {
        id: id.to_owned(),
        body: false,
        json,
        at: places(app).into(),
    };
    explain::run(&args, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

async fn picked(app: &TestApp, change: impl FnOnce(&mut pick::Args)) -> Result<Value, Failed> {
    let mut args = pick::Args {
        model: FLASH.to_owned(),
        requests: 20_000,
        key: None,
        conversation: None,
        json: true,
        at: places(app).into(),
    };
    change(&mut args);
    let mut out = Vec::new();
    pick::run(&args, &mut out).await?;
    Ok(serde_json::from_slice(&out).unwrap())
}

/// The share of each account of the first target.
fn shares(picked: &Value) -> Vec<f64> {
    let accounts = picked["targets"][0]["accounts"].as_array().unwrap();
    accounts
        .iter()
        .map(|a| a["share"].as_f64().unwrap())
        .collect()
}

/// What `agp status --json` says of an account.
async fn shown(app: &TestApp, name: &str) -> Value {
    let mut out = Vec::new();
    let args = status::Args {
        json: true,
        at: places(app).into(),
    };
    status::run(&args, &mut out).await.unwrap();
    let mut status: Value = serde_json::from_slice(&out).unwrap();
    let accounts = status["accounts"].as_array_mut().unwrap();
    let at = accounts.iter().position(|a| a["name"] == name).unwrap();
    accounts.swap_remove(at)
}

/// Waits until these accounts are known to have nothing left of the model.
async fn spent(app: &TestApp, names: &[&str]) {
    until("the quotas", || {
        let now = Timestamp::now();
        let empty = |name: &&str| app.account(name).lane(FLASH).empty_until(now).is_some();
        names.iter().all(empty)
    })
    .await;
}

#[tokio::test]
async fn explain_tells_the_story_of_two_failovers_among_twelve_accounts() {
    let names: Vec<String> = (1..=12).map(|n| format!("a{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let setup = Setup::new(&names)
        .routing("strategy", "fill_first")
        .account_set("a03", "enabled", false)
        .account_set("a04", "models", vec!["claude-*".to_owned()]);
    let script = json!({"rules": [
        {"account": "a01@*", "do": {"form": "retry_info", "delay": "34s"}},
        {"account": "a02@*", "do": {"status": 403}}]});
    let app = TestApp::start(setup, script).await;
    told(&app, account::Action::Pause, "a06").await.unwrap();
    for dialect in BOTH {
        for name in ["a01", "a02"] {
            told(&app, account::Action::Release, name).await.unwrap();
        }
        let before = app.served().len();
        let got = app.say(dialect, FLASH, "hi").await;
        assert_eq!(got.status, 200, "{}", got.text);
        // The story is that of the simulator's script.
        assert_eq!(app.served()[before..], ["a01", "a02", "a05"]);
        let told = explained(&app, got.id(), true).await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let tries = told["tries"].as_array().unwrap().iter();
        let tries: Vec<String> = tries
            .map(|t| format!("{} {} {}", t["account"], t["status"], t["class"]).replace('"', ""))
            .collect();
        assert_eq!(
            tries,
            ["a01 429 rate_limited", "a02 403 forbidden", "a05 200 null"]
        );
        let verdicts = told["verdicts"].as_array().unwrap().iter();
        let verdicts: BTreeMap<&str, &str> = verdicts
            .map(|v| {
                let text = |name: &str| v[name].as_str().unwrap();
                (text("account"), text("verdict"))
            })
            .collect();
        assert_eq!(verdicts.len(), 12);
        for (name, verdict) in [
            ("a01", "chosen"),
            ("a02", "usable"),
            ("a03", "paused: `enabled = false` in the file"),
            ("a04", "its `models` leave this model out"),
            ("a05", "usable"),
            ("a06", "paused by a person"),
            ("a12", "usable"),
        ] {
            assert_eq!(verdicts[name], verdict, "{name}");
        }
        let story = explained(&app, got.id(), false).await.unwrap();
        for line in [
            "  a01                      chosen\n",
            "  1. a01 with sim/gemini-2.5-flash at http://",
            ": 429 rate_limited, ",
            "  2. a02 with sim/gemini-2.5-flash at http://",
            ": 403 forbidden, ",
            "  3. a05 with sim/gemini-2.5-flash at http://",
            ": 200, served, ",
            "answered 200 by a05, ",
        ] {
            assert!(story.contains(line), "{line}: {story}");
        }
    }
}

#[tokio::test]
async fn explain_tells_of_waits_mistakes_and_what_it_does_not_know() {
    let setup = Setup::new(&["alice", "bob"]).routing("strategy", "fill_first");
    let script =
        json!({"rules": [{"account": "alice@*", "do": {"form": "retry_info", "delay": "34s"}}]});
    let app = TestApp::start(setup, script).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let got = app.say(OpenAi, FLASH, "hi").await;
    let story = explained(&app, got.id(), false).await.unwrap();
    for line in [
        "  alice                    cooling until 2",
        "  bob                      chosen\n",
    ] {
        assert!(story.contains(line), "{story}");
    }
    let got = app.say(OpenAi, "no-such-model", "hi").await;
    let story = explained(&app, got.id(), false).await.unwrap();
    let line = "told the client 404 unknown_model (the fault is with the client)";
    assert!(story.contains(line), "{story}");
    for id in ["01JD8Q0Z6V8Q3W3T5T0N0G6K7B", "nonsense"] {
        let failed = explained(&app, id, false).await.unwrap_err();
        assert_eq!(failed.code, 1, "{}", failed.message);
    }
}

#[tokio::test]
async fn pick_draws_the_shares_that_requests_get() {
    let team = &["keys", "team"];
    let setup = Setup::new(&["a", "b", "c", "d"])
        .account_set("a", "weight", 3.0)
        .account_set("c", "weight", 4.0)
        .account_set("d", "tags", vec!["team".to_owned()])
        .at(team, "key", "another-key-that-protects-nothing-at-all")
        .at(team, "accounts", vec!["tag:team".to_owned()]);
    let script = json!({"accounts": {
        "c@example.com": {"quota": {"gemini-*": {"remaining": 0.5, "reset": "3h"}}},
        "d@example.com": {"quota": {"gemini-*": {"remaining": 0, "reset": "3h"}}}}});
    let app = TestApp::start(setup, script).await;
    spent(&app, &["d"]).await;
    let lane = app.account("c").lane(FLASH);
    until("the other quota", || {
        lane.remaining(Timestamp::now()).is_some()
    })
    .await;
    let told = picked(&app, |_| {}).await.unwrap();
    assert_eq!(told["drawn"], 20_000);
    for (share, parts) in shares(&told).iter().zip([3.0, 1.0, 2.0, 0.0]) {
        assert!((share - parts / 6.0).abs() < 0.02, "{told:#}");
    }
    let verdict = told["targets"][0]["accounts"][3]["verdict"].as_str();
    let verdict = verdict.unwrap();
    assert!(verdict.starts_with("no quota left until "), "{verdict}");
    assert_eq!(app.account("a").in_flight.count(), 0);
    // A conversation has one home.
    let home = picked(&app, |args| args.conversation = Some("c1".to_owned())).await;
    assert!(shares(&home.unwrap()).contains(&1.0));
    // Under a key's rights nobody is left.
    let told = picked(&app, |args| args.key = Some("team".to_owned())).await;
    let told = told.unwrap();
    let why = told["blocked"].as_str().unwrap();
    assert!(told["drawn"] == 0 && why.starts_with("all quotas are used up"));
    for mistake in [
        picked(&app, |args| args.model = "none".to_owned()).await,
        picked(&app, |args| args.key = Some("none".to_owned())).await,
        picked(&app, |args| args.requests = 0).await,
    ] {
        assert_eq!(mistake.unwrap_err().code, 1);
    }
}

#[tokio::test]
async fn accounts_without_quota_are_not_asked_and_clients_are_told_when() {
    let setup = Setup::new(&["alice", "bob"]).routing("queue_timeout", "500ms");
    let none = json!({"quota": {"gemini-*": {"remaining": 0, "reset": "3h"}}});
    let script = json!({"accounts": {"alice@example.com": none, "bob@example.com": none}});
    let app = TestApp::start(setup, script).await;
    spent(&app, &["alice", "bob"]).await;
    for dialect in BOTH {
        let told = app.say(dialect, FLASH, "hi").await.error(dialect);
        assert_eq!((told.status, told.kind.as_str()), (429, "rate_limit_error"));
        let after = told.retry_after.unwrap();
        assert!((10_000..=10_800).contains(&after), "{told:?}");
        if dialect == OpenAi {
            assert_eq!(told.code.as_deref(), Some("insufficient_quota"));
        }
    }
    assert!(app.served().is_empty());
    // Other models of theirs still serve.
    let alice = shown(&app, "alice").await;
    let reason = alice["reason"].as_str().unwrap();
    assert!(
        alice["state"] == "active" && reason.ends_with("cannot serve at present"),
        "{alice:#}"
    );
}

#[tokio::test]
async fn pause_resume_release_and_refresh_do_what_they_say() {
    use account::Action::{Pause, Release, Resume};
    let setup = Setup::new(&["alice", "bob"]).routing("strategy", "fill_first");
    let script = json!({"rules": [
        {"account": "alice@*", "skip": 1, "times": 1, "do": {"status": 403}},
        {"account": "alice@*", "skip": 1, "times": 1, "do": {"form": "terms_of_service"}}]});
    let app = TestApp::start(setup, script).await;
    let say = || async { assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200) };
    say().await;
    let out = told(&app, Pause, "alice").await.unwrap();
    assert!(
        out.starts_with("paused\n") && out.contains("agp account resume"),
        "{out}"
    );
    let out = told(&app, Pause, "alice").await.unwrap();
    assert!(out.starts_with("was paused already\n"), "{out}");
    say().await;
    told(&app, Resume, "alice").await.unwrap();
    // A 403 benches alice for an hour, which her release ends; being closed by the provider disables her.
    for (state, reason) in [
        ("cooling", "the upstream answered forbidden"),
        ("disabled", "closed by the provider"),
    ] {
        say().await;
        let alice = shown(&app, "alice").await;
        assert_eq!(
            (&alice["state"], &alice["reason"]),
            (&json!(state), &json!(reason))
        );
        assert!(alice["since"].is_string(), "{alice:#}");
        let out = told(&app, Release, "alice").await.unwrap();
        assert!(out.starts_with("released\n"), "{out}");
    }
    assert!(app.account("alice").on_trial());
    say().await;
    assert!(!app.account("alice").on_trial());
    let expected = ["alice", "bob", "alice", "bob", "alice", "bob", "alice"];
    assert_eq!(app.served(), expected);
    let failed = told(&app, Pause, "nobody").await.unwrap_err();
    assert_eq!(failed.code, 1);
    assert!(failed.message.contains("there is no account `nobody`"));
}

#[tokio::test]
async fn what_a_person_must_settle_survives_a_restart() {
    let setup = Setup::new(&["alice", "bob", "carol"]).routing("strategy", "fill_first");
    let script = json!({"rules": [
        {"account": "alice@*", "times": 1, "do": {"form": "terms_of_service"}}]});
    let mut app = TestApp::start(setup, script).await;
    told(&app, account::Action::Pause, "bob").await.unwrap();
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    app.restart().await;
    for (name, state, reason) in [
        ("alice", "disabled", json!("closed by the provider")),
        ("bob", "paused", json!("paused by a person")),
        ("carol", "active", Value::Null),
    ] {
        let account = shown(&app, name).await;
        assert_eq!(
            (&account["state"], &account["reason"]),
            (&json!(state), &json!(reason))
        );
    }
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["alice", "carol", "carol"]);
    // A trial is remembered too, until the first success.
    told(&app, account::Action::Release, "alice").await.unwrap();
    app.restart().await;
    assert!(app.account("alice").on_trial());
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    app.restart().await;
    let account = app.account("alice");
    assert!(!account.on_trial() && account.machine().standing.as_str() == "active");
}
