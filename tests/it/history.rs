//! The history of the files: every generation with who, what and its texts; what differs; the way back.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use agp::server::admin;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::client::Dialect::OpenAi;
use crate::support::client::Got;
use crate::support::place::Place;
use crate::support::process::{Left, agp, run};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until, within};

const FLASH: &str = "gemini-2.5-flash";
/// A client's key beside the usual one, which protects nothing.
const OTHER: &str = "another-client-key-that-protects-nothing-at-all";
/// What must be nowhere: credentials, the provider's secret, clients' keys.
const SECRETS: [&str; 4] = ["sim-refresh", "sim-secret", KEY, OTHER];

fn setup() -> Setup {
    Setup::new(&["alice", "bob"]).account_set("alice", "enabled", true)
}

fn with_other(setup: Setup) -> Setup {
    setup.at(&["keys", "other"], "key", OTHER)
}

async fn started(setup: Setup) -> TestApp {
    TestApp::start(setup, json!({})).await
}

/// Runs a command; nothing secret may be in what it prints.
async fn told(folder: &Path, args: &[&str]) -> Left {
    let left = run(agp(folder, args), "").await;
    for secret in SECRETS {
        assert!(
            !left.out.contains(secret) && !left.err.contains(secret),
            "{secret}: {left:?}"
        );
    }
    left
}

async fn history(folder: &Path) -> Vec<Value> {
    let left = told(folder, &["history", "--format", "json"]).await;
    assert_eq!(left.code, 0, "{left:?}");
    let value: Value = serde_json::from_str(&left.out).unwrap();
    value["generations"].as_array().unwrap().clone()
}

/// Applies an edit made by hand and waits until it is in force.
async fn edit(app: &mut TestApp, change: impl FnOnce(Setup) -> Setup) {
    let generation = app.runtime().snapshot().generation;
    app.setup = change(app.setup.clone());
    app.save();
    applied(app, generation + 1).await;
}

async fn applied(app: &TestApp, generation: u64) {
    let runtime = app.runtime();
    until("a generation", || {
        runtime.snapshot().generation == generation
    })
    .await;
}

fn generation(app: &TestApp) -> u64 {
    app.runtime().snapshot().generation
}

fn text(app: &TestApp) -> String {
    std::fs::read_to_string(app.root()).unwrap()
}

async fn status_of(app: &TestApp, key: &str) -> u16 {
    let body = OpenAi.saying(FLASH, "hi", false);
    Got::read(app.request_as(OpenAi, key, &body)).await.status
}

#[tokio::test]
async fn every_generation_is_kept_with_who_and_what() {
    let mut app = started(setup()).await;
    let folder = app.dir.path().to_owned();
    let first = history(&folder).await;
    assert_eq!(first.len(), 1);
    assert_eq!(
        (&first[0]["generation"], &first[0]["who"], &first[0]["from"]),
        (&json!(1), &json!("file"), &json!("start"))
    );

    edit(&mut app, |s| s.routing("max_queue", 7)).await;
    let left = told(&folder, &["account", "disable", "alice"]).await;
    assert_eq!(left.code, 0, "{left:?}");
    let user = format!("cli:{}", folder.metadata().unwrap().uid());
    let now = history(&folder).await;
    let facts = |n: usize| {
        let entry = &now[n];
        let word = |name: &str| entry[name].as_str().unwrap().to_owned();
        (
            entry["generation"].as_u64().unwrap(),
            word("who"),
            word("from"),
            word("what"),
        )
    };
    assert_eq!(now.len(), 3);
    let what = "set `accounts.alice.enabled` (accounts.alice.enabled changed)".to_owned();
    assert_eq!(facts(0), (3, user.clone(), "socket".to_owned(), what));
    let what = "routing.max_queue changed".to_owned();
    assert_eq!(facts(1), (2, "file".to_owned(), "reload".to_owned(), what));
    assert_eq!(now[0]["running"], true);
    assert!(now.iter().all(|entry| entry["texts"] == true));
    let status = told(&folder, &["status"]).await;
    assert!(
        status
            .out
            .contains(&format!("by {user}: set `accounts.alice.enabled`")),
        "{status:?}"
    );
    let table = told(&folder, &["history", "-n", "2"]).await;
    assert_eq!(table.out.lines().count(), 3, "{table:?}");
    assert!(
        table.out.lines().nth(1).unwrap().starts_with("*  3 "),
        "{table:?}"
    );

    // What was in force goes on, and what changed meanwhile is told against it.
    app.restart().await;
    assert_eq!((generation(&app), history(&folder).await.len()), (3, 3));
    assert!(told(&folder, &["status"]).await.out.contains(&user));
    app.stop().await;
    app.setup = app
        .setup
        .clone()
        .routing("max_queue", 9)
        .account_set("alice", "enabled", false);
    app.save();
    app.restart().await;
    let now = history(&folder).await;
    assert_eq!((generation(&app), now.len()), (4, 4));
    assert_eq!(
        (&now[0]["who"], &now[0]["from"]),
        (&json!("file"), &json!("start"))
    );
    assert_eq!(
        now[0]["what"],
        "found at the start (routing.max_queue changed)"
    );
}

#[tokio::test]
async fn a_change_over_http_names_the_token_and_the_address() {
    let token = "token-of-a-test-that-may-change-things";
    let digest = format!("{:x}", Sha256::digest(token));
    let ops = ["admin", "tokens", "ops"];
    let setup = setup().at(&ops, "sha256", digest).at(&ops, "role", "write");
    let app = started(setup).await;
    let url = app.url("/admin/api/v1/accounts/alice/disable");
    let done = Got::read(app.client.post(url).bearer_auth(token)).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let now = history(app.dir.path()).await;
    assert_eq!(
        (&now[0]["who"], &now[0]["from"]),
        (&json!("token:ops"), &json!("127.0.0.1"))
    );
}

#[tokio::test]
async fn two_generations_are_compared() {
    let mut app = started(setup()).await;
    edit(&mut app, |s| s.routing("max_queue", 7)).await;
    edit(&mut app, |s| {
        s.account_set("bob", "refresh_token", "sim-refresh-carol")
    })
    .await;
    let folder = app.dir.path().to_owned();
    let since = told(&folder, &["diff", "1"]).await;
    assert_eq!(since.code, 0, "{since:?}");
    assert!(
        since.out.starts_with("--- a/agp.toml\n+++ b/agp.toml\n"),
        "{since:?}"
    );
    assert!(since.out.contains("+max_queue = 7\n"));
    assert!(
        since
            .out
            .contains("-refresh_token = ••••\n+refresh_token = ••••\n")
    );
    let between = told(&folder, &["diff", "1", "2", "--plan"]).await;
    assert!(between.out.contains("+max_queue = 7\n") && !between.out.contains("refresh_token"));
    assert!(
        between.out.contains("generation 1 -> generation 2"),
        "{between:?}"
    );
    let back = told(&folder, &["diff", "2", "1"]).await;
    assert!(back.out.contains("-max_queue = 7\n"), "{back:?}");
    let same = told(&folder, &["diff", "3", "3"]).await;
    assert_eq!(same.out, "the files are the same\n");
    let left = told(&folder, &["diff", "2", "--plan", "--format", "json"]).await;
    let value: Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!((&value["before"], &value["after"]), (&json!(2), &json!(3)));
    assert_eq!(value["plan"]["changes"][0]["path"], "accounts.bob");
    let none = told(&folder, &["diff", "9"]).await;
    assert!(
        none.code == 1 && none.err.contains("generation 9 is not kept"),
        "{none:?}"
    );
}

#[tokio::test]
async fn a_rollback_is_planned_asked_for_and_made() {
    let mut app = started(setup()).await;
    let folder = app.dir.path().to_owned();
    let first = text(&app);
    edit(&mut app, |s| s.account("carol")).await;
    let second = text(&app);
    // Without carol something is lost: that is of high risk.
    for args in [&["rollback", "1"][..], &["rollback", "1", "--yes"]] {
        let left = told(&folder, args).await;
        assert_eq!(left.code, 3, "{left:?}");
        assert!(
            left.out.contains("running (generation 2) -> generation 1"),
            "{left:?}"
        );
        assert!(left.out.contains("- accounts.carol") && left.err.contains("--yes-high"));
        assert_eq!((text(&app), generation(&app)), (second.clone(), 2));
    }
    // Nor does the gateway itself do it unasked.
    let refused = asked(&app, "/history/1/rollback", json!({}))
        .await
        .unwrap_err();
    assert_eq!(refused.status.as_u16(), 422);
    assert!(refused.message.contains("accounts.carol"), "{refused:?}");
    assert_eq!(text(&app), second);

    let left = told(&folder, &["rollback", "1", "--yes-high"]).await;
    assert!(
        left.code == 0 && left.out.ends_with("generation 3 is in force\n"),
        "{left:?}"
    );
    assert_eq!(text(&app), first);
    assert!(
        !app.runtime()
            .snapshot()
            .config
            .accounts
            .contains_key("carol")
    );
    let now = history(&folder).await;
    assert_eq!(now[0]["what"], "rollback to 1 (accounts.carol removed)");
    assert!(now[0]["who"].as_str().unwrap().starts_with("cli:"));

    // Forward again is of no such risk, but nobody can be asked here.
    let left = told(&folder, &["rollback", "2"]).await;
    assert!(
        left.code == 3 && left.err.contains("without `--yes`"),
        "{left:?}"
    );
    let left = told(&folder, &["rollback", "2", "--yes"]).await;
    assert!(
        left.code == 0 && left.out.contains("generation 4"),
        "{left:?}"
    );
    assert_eq!(text(&app), second);
    let left = told(&folder, &["rollback", "2", "--yes"]).await;
    assert!(left.code == 0 && left.out.contains("already"), "{left:?}");
    let left = told(&folder, &["rollback", "9", "--yes"]).await;
    assert!(
        left.code == 1 && left.err.contains("generation 9 is not kept"),
        "{left:?}"
    );
    // What it changed is not read again as somebody's edit, and outlives a restart.
    app.restart().await;
    assert_eq!((generation(&app), history(&folder).await.len()), (4, 4));
    let left = told(&folder, &["rollback", "3", "--yes-high"]).await;
    assert!(
        left.code == 0 && left.out.contains("generation 5"),
        "{left:?}"
    );
    assert_eq!(text(&app), first);
}

async fn asked(app: &TestApp, path: &str, body: Value) -> Result<Value, admin::Refusal> {
    let gateway = std::sync::Arc::clone(app.gateway().gateway());
    let caller = admin::Caller {
        name: "cli:0".to_owned(),
        from: None,
        role: agp::config::model::Role::Write,
        how: admin::How::Socket,
    };
    let uri = format!("{}{path}", admin::BASE).parse().unwrap();
    let body = body.to_string().into();
    let ask = move || admin::run(&gateway, caller, &http::Method::POST, &uri, body);
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test]
async fn somebodys_edit_since_the_plan_is_not_overwritten() {
    let mut app = started(setup()).await;
    edit(&mut app, |s| s.routing("max_queue", 7)).await;
    let planned = asked(&app, "/history/1/plan", json!({})).await.unwrap();
    edit(&mut app, |s| s.routing("max_queue", 8)).await;
    let theirs = text(&app);
    let body = json!({"revision": planned["revision"]});
    let refused = asked(&app, "/history/1/rollback", body).await.unwrap_err();
    assert_eq!(refused.status.as_u16(), 409);
    assert!(refused.diff.unwrap().contains("+max_queue = 8\n"));
    assert_eq!(text(&app), theirs);
    let mistake = asked(&app, "/history/1/rollback", json!({"revison": 1})).await;
    assert_eq!(mistake.unwrap_err().status.as_u16(), 400);
}

#[tokio::test]
async fn a_key_that_was_revoked_stays_so_unless_it_is_named() {
    let mut app = started(with_other(setup())).await;
    let folder = app.dir.path().to_owned();
    let first = text(&app);
    assert_eq!(status_of(&app, OTHER).await, 200);
    edit(&mut app, |s| {
        s.routing("max_queue", 7).without(&["keys"], "other")
    })
    .await;
    assert_eq!(status_of(&app, OTHER).await, 401);

    let left = told(&folder, &["rollback", "1", "--yes"]).await;
    assert!(
        left.code == 0 && left.out.contains("key `other` stays deleted"),
        "{left:?}"
    );
    assert!(!text(&app).contains("max_queue") && !text(&app).contains("keys.other"));
    assert_eq!(
        (status_of(&app, OTHER).await, status_of(&app, KEY).await),
        (401, 200)
    );

    let wrong = told(
        &folder,
        &["rollback", "1", "--yes", "--restore-key", "main"],
    )
    .await;
    assert!(
        wrong.code == 1 && wrong.err.contains("`main` is no key"),
        "{wrong:?}"
    );
    let left = told(
        &folder,
        &["rollback", "1", "--yes", "--restore-key", "other"],
    )
    .await;
    assert!(
        left.code == 0 && left.out.contains("key `other` is accepted again"),
        "{left:?}"
    );
    assert_eq!((text(&app), status_of(&app, OTHER).await), (first, 200));
    let now = history(&folder).await;
    assert_eq!(
        now[0]["what"],
        "rollback to 1, restoring key `other` (keys.other added)"
    );

    // Disabled by hand.
    edit(&mut app, |s| {
        with_other(s).at(&["keys", "other"], "enabled", false)
    })
    .await;
    let left = told(&folder, &["rollback", "1", "--yes-high"]).await;
    assert!(left.out.contains("key `other` stays disabled"), "{left:?}");
    assert_eq!(status_of(&app, OTHER).await, 401);
}

#[tokio::test]
async fn without_write_back_a_rollback_is_a_patch() {
    let setup = setup().set("admin", "write_back", false);
    let mut app = started(setup).await;
    let first = text(&app);
    edit(&mut app, |s| s.account_set("alice", "enabled", false)).await;
    let second = text(&app);
    let left = told(app.dir.path(), &["rollback", "1", "--yes"]).await;
    assert!(
        left.code == 0
            && left
                .out
                .contains("nothing is saved: `admin.write_back` is false"),
        "{left:?}"
    );
    assert_eq!((text(&app), generation(&app)), (second, 2));
    let patch = left.out.split("git apply").nth(1).unwrap();
    let patch = &patch[patch.find("--- ").unwrap()..];
    std::fs::write(app.dir.path().join("the.patch"), patch).unwrap();
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("SKIPPED history::without_write_back_a_rollback_is_a_patch: there is no git");
        return;
    }
    let unidiff = left.out.contains("--unidiff-zero");
    let mut git = Command::new("git");
    git.arg("apply")
        .args(unidiff.then_some("--unidiff-zero"))
        .arg("the.patch");
    let applied = git.current_dir(app.dir.path()).output().unwrap();
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(text(&app), first);
}

#[tokio::test]
async fn an_edit_from_an_older_revision_is_shown_what_has_changed_since() {
    let mut app = started(setup()).await;
    let seen = agp::config::source::Revision(app.runtime().snapshot().revision).to_string();
    for n in [7, 8, 9] {
        edit(&mut app, |s| s.routing("max_queue", n)).await;
    }
    let args = ["account", "disable", "alice", "--revision", &seen];
    let left = told(app.dir.path(), &args).await;
    assert!(
        left.code == 1 && left.err.contains("+max_queue = 9\n"),
        "{left:?}"
    );
    // Also in the next run.
    app.restart().await;
    let left = told(app.dir.path(), &args).await;
    assert!(
        left.code == 1 && left.err.contains("+max_queue = 9\n"),
        "{left:?}"
    );
}

#[tokio::test]
async fn state_history_says_how_many_are_kept() {
    let mut app = started(setup()).await;
    let folder = app.dir.path().to_owned();
    for n in [7, 8, 9] {
        edit(&mut app, |s| s.routing("max_queue", n)).await;
    }
    assert_eq!(history(&folder).await.len(), 4);
    edit(&mut app, |s| s.set("state", "history", 2)).await;
    let numbers = async || -> Vec<u64> {
        let now = history(&folder).await;
        now.iter()
            .map(|entry| entry["generation"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers().await, [5, 4]);
    edit(&mut app, |s| s.routing("max_queue", 10)).await;
    assert_eq!(numbers().await, [6, 5]);
    edit(&mut app, |s| s.set("state", "history", 0)).await;
    within("all to be forgotten", async {
        while !numbers().await.is_empty() {}
    })
    .await;
    let left = told(&folder, &["history"]).await;
    assert!(left.out.contains("no generation is kept"), "{left:?}");
    let left = told(&folder, &["rollback", "5", "--yes"]).await;
    assert_eq!(left.code, 1);
    // Numbers go on all the same.
    app.restart().await;
    assert_eq!(generation(&app), 8);
}

#[tokio::test]
async fn files_that_came_or_went_are_in_the_way_or_left_alone() {
    let more = "[models.more]\nroute = [\"sim/gemini-2.5-flash\"]\n";
    let mut app = started(setup()).await;
    let folder = app.dir.path().to_owned();
    std::fs::create_dir(folder.join("conf.d")).unwrap();
    let write =
        |name: &str, text: &str| std::fs::write(folder.join("conf.d").join(name), text).unwrap();
    let plain = text(&app);
    write("a.toml", more);
    edit(&mut app, |s| s.include("conf.d/*.toml")).await;
    assert!(app.runtime().snapshot().config.models.contains_key("more"));
    let with_a = text(&app);

    // To before the include: the file stays where it is, out of play.
    let left = told(&folder, &["rollback", "1", "--yes-high"]).await;
    assert!(left.code == 0, "{left:?}");
    assert!(
        left.out
            .contains("`conf.d/a.toml` is no longer in play; it stays on the disk"),
        "{left:?}"
    );
    assert_eq!(text(&app), plain);
    assert_eq!(
        std::fs::read_to_string(folder.join("conf.d/a.toml")).unwrap(),
        more
    );

    // And back into play, as long as it is what it was.
    write("a.toml", &format!("{more}# changed\n"));
    let left = told(&folder, &["rollback", "2", "--yes"]).await;
    assert!(
        left.code == 1 && left.err.contains("`conf.d/a.toml` is not in play any more"),
        "{left:?}"
    );
    std::fs::remove_file(folder.join("conf.d/a.toml")).unwrap();
    let left = told(&folder, &["rollback", "2", "--yes"]).await;
    assert!(
        left.code == 1 && left.err.contains("`conf.d/a.toml` is not there any more"),
        "{left:?}"
    );
    write("a.toml", more);
    write("b.toml", "# b\n");
    let left = told(&folder, &["rollback", "2", "--yes"]).await;
    assert!(
        left.code == 1 && left.err.contains("`conf.d/b.toml` came since"),
        "{left:?}"
    );
    assert_eq!((text(&app), generation(&app)), (plain, 3));
    std::fs::remove_file(folder.join("conf.d/b.toml")).unwrap();
    let left = told(&folder, &["rollback", "2", "--yes"]).await;
    assert!(left.code == 0, "{left:?}");
    assert_eq!((text(&app), generation(&app)), (with_a.clone(), 4));

    // Several files at once, all or none.
    write("a.toml", &more.replace("2.5-flash", "2.5-pro"));
    applied(&app, 5).await;
    app.setup = app.setup.clone().routing("max_queue", 7);
    edit(&mut app, |s| s).await;
    let left = told(&folder, &["rollback", "4", "--yes-high"]).await;
    assert!(
        left.code == 0 && left.out.contains("generation 7"),
        "{left:?}"
    );
    assert_eq!(text(&app), with_a);
    assert_eq!(
        std::fs::read_to_string(folder.join("conf.d/a.toml")).unwrap(),
        more
    );
    assert_eq!(history(&folder).await.len(), 7);
}

#[tokio::test]
async fn a_broken_file_is_put_right_by_going_back() {
    let mut app = started(setup()).await;
    edit(&mut app, |s| s.routing("max_queue", 7)).await;
    let good = text(&app);
    std::fs::write(app.root(), format!("{good}\nx = = 'sim-refresh-alice'\n")).unwrap();
    let runtime = app.runtime().clone();
    until("the refusal", || !runtime.reload.lock().errors.is_empty()).await;
    let left = told(app.dir.path(), &["rollback", "2", "--yes"]).await;
    assert!(
        left.code == 0 && left.out.contains("generation 2 is in force"),
        "{left:?}"
    );
    assert_eq!(text(&app), good);
    until("no drift", || runtime.reload.lock().errors.is_empty()).await;
    assert_eq!(generation(&app), 2);
}

#[tokio::test]
async fn what_was_told_to_be_applied_outlives_a_kill_and_no_secret_is_in_clear() {
    let place = Place::new(with_other(setup()), &json!({})).await;
    let mut serving = place.serve();
    place.ready().await;
    let root = place.path().join("agp.toml");
    let text = std::fs::read_to_string(&root).unwrap();
    std::fs::write(&root, format!("{text}\n# a change\n")).unwrap();
    within("two generations", async {
        while history(place.path()).await.len() < 2 {}
    })
    .await;
    serving.kill().await;
    for file in ["agp.redb", "agp-log.redb"] {
        let bytes = std::fs::read(place.path().join("data").join(file)).unwrap();
        for secret in SECRETS {
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert!(found.is_none(), "{secret} in {file}");
        }
    }
    let serving = place.serve();
    place.ready().await;
    let now = history(place.path()).await;
    assert_eq!((now.len(), &now[0]["generation"]), (2, &json!(2)));
    assert_eq!(
        (&now[0]["running"], &now[0]["what"]),
        (&json!(true), &json!("texts without effect"))
    );
    let left = told(place.path(), &["rollback", "1", "--yes"]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert_eq!(std::fs::read_to_string(&root).unwrap(), text);
    drop(serving);
}
