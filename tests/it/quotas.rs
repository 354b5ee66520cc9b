//! Who is asked for quotas and when, and what `agp account refresh`, `list` and `show` tell.

use std::collections::BTreeMap;

use agp::base::time::Timestamp;
use agp::cli::{Failed, account, serve};
use serde_json::{Value, json};

use crate::support::client::Dialect::OpenAi;
use crate::support::setup::Setup;
use crate::support::{TestApp, script, until};

const FLASH: &str = "gemini-2.5-flash";

fn all(app: &TestApp, json: bool) -> account::All {
    account::All {
        json,
        at: serve::Args {
            config: Some(app.root()),
            state_dir: None,
        }
        .into(),
    }
}

fn named(app: &TestApp, name: &str) -> account::Named {
    account::Named {
        name: name.to_owned(),
        all: all(app, false),
    }
}

/// Runs an action: what it prints, and how it fails.
async fn told(action: account::Action) -> (String, Option<Failed>) {
    let mut out = Vec::new();
    let done = account::run(&account::Args { action }, &mut out).await;
    (String::from_utf8(out).unwrap(), done.err())
}

async fn refreshed(app: &TestApp, name: Option<&str>) -> (String, Option<Failed>) {
    told(account::Action::Refresh(account::Refresh {
        name: name.map(str::to_owned),
        every: name.is_none(),
        all: all(app, false),
    }))
    .await
}

/// How often each account's models were asked for.
fn asked(app: &TestApp) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for call in app.sim.requests() {
        if call.method == "fetchAvailableModels" {
            let name = call.account.replace("@example.com", "");
            *asked.entry(name).or_default() += 1;
        }
    }
    asked
}

#[tokio::test]
async fn a_refresh_does_its_work_and_tells_what_came_of_it() {
    let quota =
        json!({"gemini-*": {"remaining": 0.4, "reset": "3h"}, "claude-*": 0, "gpt-*": null});
    let script_of = |rules: Value| {
        json!({"rules": rules, "accounts":
            {"alice@example.com": {"quota": quota, "paid_tier": "g1-pro-tier"}}})
    };
    let app = TestApp::start(Setup::new(&["alice", "bob"]), script_of(json!([]))).await;
    app.warm().await;
    let before = app.calls("fetchAvailableModels");
    let (out, failed) = refreshed(&app, Some("alice")).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(app.calls("fetchAvailableModels"), before + 1);
    // The project was not known before: nobody had asked for anything but quotas.
    for part in [
        "token still good until 2",
        "project sim-project-alice",
        "tier g1-pro-tier",
        " models\n",
        "  alice ",
        "    gemini-2.5-flash             ####......  40 % left, full again at 2",
        "    claude-sonnet-4-5            ..........   0 % left",
        "    gpt-oss-120b-medium                     unknown\n",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    // A token that is worthless before its time is renewed.
    app.sim.revoke("alice@example.com");
    let (out, failed) = refreshed(&app, Some("alice")).await;
    assert!(
        failed.is_none() && out.starts_with("token renewed until "),
        "{out}"
    );
    // What the upstream refuses is told, with the class of the refusal, and is an error of the command.
    for (rule, told) in [
        (
            json!({"method": "fetchAvailableModels", "do": {"status": 500}}),
            "server_error: ",
        ),
        (
            json!({"method": "fetchAvailableModels", "do": {"form": "validation"}}),
            "accounts.example.com/verify",
        ),
        (
            json!({"method": "token", "do": {"oauth_error": "invalid_grant"}}),
            "account_invalid: ",
        ),
    ] {
        app.sim.set_script(script(&script_of(json!([rule]))));
        if told == "account_invalid: " {
            app.sim.revoke("alice@example.com");
        }
        let (out, failed) = refreshed(&app, Some("alice")).await;
        let failed = failed.unwrap();
        assert!(out.is_empty() && failed.code == 1, "{out}");
        assert!(
            failed.message.contains(told)
                && failed.message.contains("`alice` could not be refreshed"),
            "{told}: {}",
            failed.message
        );
    }
    // A dead sign-in is news about the account; now it can't be asked, and says why.
    assert_eq!(app.standing("alice"), "needs_login");
    let (_, failed) = refreshed(&app, Some("alice")).await;
    let message = failed.unwrap().message;
    assert!(
        message.contains("needs_login") && message.contains("agp login"),
        "{message}"
    );
    let (_, failed) = refreshed(&app, Some("nobody")).await;
    assert!(
        failed
            .unwrap()
            .message
            .contains("there is no account `nobody`")
    );
}

#[tokio::test]
async fn all_are_refreshed_a_few_at_a_time_with_a_line_for_each() {
    let names: Vec<String> = (1..=12).map(|n| format!("a{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let app = TestApp::start(Setup::new(&names), json!({})).await;
    app.warm().await;
    told(account::Action::Pause(named(&app, "a03"))).await;
    let (out, failed) = refreshed(&app, None).await;
    assert!(failed.is_none(), "{failed:?}");
    let mut lines: Vec<&str> = out
        .lines()
        .map(|l| l.split_whitespace().next().unwrap())
        .collect();
    lines.sort_unstable();
    let open: Vec<&str> = names.iter().copied().filter(|n| *n != "a03").collect();
    assert_eq!(lines, open);
    assert!(
        out.lines().all(|line| line.contains("token still good")),
        "{out}"
    );
    app.sim.set_script(script(&json!({"rules": [
        {"method": "fetchAvailableModels", "account": "a07@*", "do": {"status": 500}}]})));
    let (out, failed) = refreshed(&app, None).await;
    assert_eq!(out.lines().count(), 11, "{out}");
    assert_eq!(
        out.lines()
            .filter(|l| l.contains("failed: server_error"))
            .count(),
        1
    );
    let failed = failed.unwrap();
    assert_eq!(failed.message, "1 of 11 accounts could not be refreshed");
    assert_eq!(failed.code, 1);
}

#[tokio::test]
async fn quotas_are_asked_for_in_rounds_but_not_of_those_that_are_out() {
    let names = ["good", "spent", "paused", "closed", "login", "verify"];
    let setup = Setup::new(&names)
        .routing("quota_refresh", "1s")
        .routing("affinity", "none");
    let accounts = json!({"spent@example.com": {"quota": {"*": {"remaining": 0, "reset": "3h"}}}});
    let script = json!({"accounts": accounts, "rules": [
        {"account": "closed@*", "do": {"form": "terms_of_service"}},
        {"account": "verify@*", "do": {"form": "validation"}},
        {"account": "login@*", "do": {"status": 401}}]});
    let app = TestApp::start(setup.routing("max_attempts", 9), script).await;
    app.warm().await;
    told(account::Action::Pause(named(&app, "paused"))).await;
    until("the states", || {
        let _ = app.waiting();
        app.account("spent")
            .lane(FLASH)
            .empty_until(Timestamp::now())
            .is_some()
    })
    .await;
    // Until those that are to be out of use are.
    let states = || ["closed", "login", "verify"].map(|name| app.standing(name));
    while states() != ["disabled", "needs_login", "needs_verification"] {
        app.say(OpenAi, FLASH, "hi").await;
    }
    let before = asked(&app);
    until("two more rounds", || {
        let now = asked(&app);
        ["good", "spent", "verify"]
            .iter()
            .all(|n| now[*n] >= before[*n] + 2)
    })
    .await;
    let now = asked(&app);
    for name in ["paused", "closed", "login"] {
        // One may have been under way when it was taken out.
        assert!(now[name] <= before[name] + 1, "{name}: {before:?} {now:?}");
    }
}

#[tokio::test]
async fn a_used_up_quota_and_a_resumed_account_are_asked_about_at_once() {
    let setup = Setup::new(&["alice", "bob"]).routing("strategy", "fill_first");
    let rule =
        json!({"account": "alice@*", "times": 1, "do": {"form": "quota_exhausted", "delay": "2h"}});
    let app = TestApp::start(setup, json!({"rules": [rule]})).await;
    app.warm().await;
    let before = asked(&app);
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    until("the quotas", || asked(&app)["alice"] > before["alice"]).await;
    assert_eq!(asked(&app)["bob"], before["bob"]);
    told(account::Action::Pause(named(&app, "bob"))).await;
    told(account::Action::Resume(named(&app, "bob"))).await;
    until("the quotas", || asked(&app)["bob"] > before["bob"]).await;
}

#[tokio::test]
async fn a_slow_account_holds_no_other_up_and_only_the_failed_are_asked_again() {
    let names: Vec<String> = (1..=8).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let script = json!({"rules": [
        {"method": "fetchAvailableModels", "account": "a1@*", "times": 1, "do": {"first_byte_delay": "8s"}},
        {"method": "fetchAvailableModels", "account": "a2@*", "times": 1, "do": {"status": 500}}]});
    let app = TestApp::start(Setup::new(&names), script).await;
    // The round still waits for a1; a3 is asked for beside it.
    until("the others", || asked(&app).len() >= 7).await;
    let before = asked(&app)["a3"];
    app.runtime().ask_quota(&"a3".into());
    until("a3", || asked(&app)["a3"] > before).await;
    until("a2 once more", || asked(&app).get("a2") == Some(&2)).await;
    let now = asked(&app);
    for name in ["a4", "a5", "a6", "a7", "a8"] {
        assert_eq!(now[name], 1, "{now:?}");
    }
}

#[tokio::test]
async fn list_and_show_tell_what_is_left() {
    let quota = json!({"gemini-2.5-pro": 0.25, "*": 1.0});
    let setup = Setup::new(&["alice", "bob"]).account_set("bob", "enabled", false);
    let script = json!({"accounts": {"alice@example.com": {"quota": quota}}});
    let app = TestApp::start(setup, script).await;
    let lane = app.account("alice").lane("gemini-2.5-pro");
    until("the quota", || lane.remaining(Timestamp::now()).is_some()).await;
    let (out, _) = told(account::Action::List(all(&app, false))).await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "  alice                    sim              active             ###.......  25 % left",
            "  bob                      sim              paused                        unknown",
        ]
    );
    let (out, _) = told(account::Action::Show(named(&app, "alice"))).await;
    assert!(
        out.contains("gemini-2.5-pro               ###.......  25 % left"),
        "{out}"
    );
    assert!(
        out.contains("gemini-2.5-flash             ########## 100 % left"),
        "{out}"
    );
    let (out, _) = told(account::Action::Show(named(&app, "bob"))).await;
    assert!(out.contains("`enabled = false` in the file"), "{out}");
    let (_, failed) = told(account::Action::Show(named(&app, "nobody"))).await;
    assert_eq!(failed.unwrap().code, 1);
}

#[tokio::test]
async fn credits_are_spent_where_the_file_allows_it() {
    let none = json!({"quota": {"gemini-*": {"remaining": 0, "reset": "3h"}}});
    for (credits, status) in [(false, 429), (true, 200)] {
        let setup = Setup::new(&["alice"])
            .account_set("alice", "credits", credits)
            .routing("queue_timeout", "50ms");
        let script = json!({"accounts": {"alice@example.com": none.clone()}});
        let app = TestApp::start(setup, script).await;
        until("the quota", || {
            let lane = app.account("alice").lane(FLASH);
            lane.empty_until(Timestamp::now()).is_some()
        })
        .await;
        assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, status);
        let types: Vec<Value> = app
            .payloads()
            .iter()
            .map(|body| body["enabledCreditTypes"].clone())
            .collect();
        let expected = credits.then(|| json!(["GOOGLE_ONE_AI"]));
        assert_eq!(types, Vec::from_iter(expected));
    }
    // The quota is not used up, and nothing is allowed.
    let app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert!(app.payloads()[0].get("enabledCreditTypes").is_none());
}
