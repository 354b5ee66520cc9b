//! The running gateway changes its file: one account is switched.

use std::path::Path;
use std::process::Command;

use agp::config::model::Role;
use agp::server::admin;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::process::{agp, run};
use crate::support::setup::Setup;
use crate::support::{TestApp, until};

/// Alice has `enabled`, and a token in clear beside it, as it should not be.
fn setup() -> Setup {
    Setup::new(&["alice", "bob"]).account_set("alice", "enabled", true)
}

async fn asked(app: &TestApp, path: &str) -> Result<Value, admin::Refusal> {
    let gateway = std::sync::Arc::clone(app.gateway().gateway());
    let caller = admin::Caller {
        name: "cli:0".to_owned(),
        from: None,
        role: Role::Write,
        how: admin::How::Socket,
    };
    let uri = format!("{}{path}", admin::BASE).parse().unwrap();
    tokio::task::spawn_blocking(move || {
        admin::run(&gateway, caller, &Method::POST, &uri, bytes::Bytes::new())
    })
    .await
    .unwrap()
}

fn git(folder: &Path, args: &[&str]) -> Option<String> {
    let out = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{args:?}: {told}");
    Some(String::from_utf8(out.stdout).unwrap())
}

/// Commits the file as it is; `false` where there is no git.
fn committed(app: &TestApp, test: &str) -> bool {
    let folder = app.dir.path();
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("SKIPPED edits::{test}: there is no git");
        return false;
    }
    git(folder, &["init", "-q"]);
    git(folder, &["add", "agp.toml"]);
    git(folder, &["commit", "-qm", "first"]);
    true
}

fn text(app: &TestApp) -> String {
    std::fs::read_to_string(app.root()).unwrap()
}

fn enabled(app: &TestApp) -> bool {
    app.runtime().snapshot().config.accounts["alice"].enabled
}

#[tokio::test]
async fn one_account_is_switched_by_one_line() {
    let app = TestApp::start(setup(), json!({})).await;
    let generation = app.runtime().snapshot().generation;
    let is_git = committed(&app, "one_account_is_switched_by_one_line");
    let before = text(&app);

    let answer = asked(&app, "/accounts/alice/disable").await.unwrap();
    assert!(!enabled(&app), "in force when the answer comes");
    assert_eq!(
        text(&app),
        before.replace("enabled = true", "enabled = false")
    );
    assert_eq!(
        (&answer["changed"], &answer["saved"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(answer["generation"], generation + 1);
    let revision = answer["revision"].as_str().unwrap().to_owned();
    let diff = answer["diff"].as_str().unwrap();
    assert!(
        diff.contains("-enabled = true\n+enabled = false\n"),
        "{diff}"
    );
    assert!(
        !diff.contains("sim-refresh") && diff.contains("••••"),
        "{diff}"
    );
    if is_git {
        let numbers = git(app.dir.path(), &["diff", "--numstat"]).unwrap();
        assert_eq!(numbers, "1\t1\tagp.toml\n");
    }

    let again = asked(&app, "/accounts/alice/disable").await.unwrap();
    assert_eq!(
        (&again["changed"], &again["saved"]),
        (&json!(false), &json!(false))
    );
    let on = format!("/accounts/alice/enable?revision={revision}");
    assert_eq!(asked(&app, &on).await.unwrap()["saved"], true);
    assert_eq!(text(&app), before);
    let left = run(agp(app.dir.path(), &["account", "disable", "alice"]), "").await;
    assert!(
        left.code == 0 && left.out.starts_with("disabled\n\n--- a/agp.toml\n"),
        "{left:?}"
    );
    let left = run(agp(app.dir.path(), &["account", "disable", "alice"]), "").await;
    assert_eq!(left.out, "was disabled already\n");
    let left = run(agp(app.dir.path(), &["account", "enable", "alice"]), "").await;
    assert!(
        left.code == 0 && left.out.starts_with("enabled\n\n"),
        "{left:?}"
    );
    assert_eq!(text(&app), before);
    // Without the key an account is enabled: nothing to write.
    assert_eq!(
        asked(&app, "/accounts/bob/enable").await.unwrap()["changed"],
        false
    );
    assert_eq!(text(&app), before);
    let missing = asked(&app, "/accounts/carol/disable").await.unwrap_err();
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let mistake = asked(&app, "/accounts/alice/disable?revision=12")
        .await
        .unwrap_err();
    assert_eq!(mistake.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_edit_in_between_is_not_overwritten() {
    let app = TestApp::start(setup(), json!({})).await;
    let seen_bytes = app.runtime().snapshot().revision;
    let seen = agp::config::source::Revision(seen_bytes).to_string();
    let theirs = text(&app)
        .replace("[server]", "# theirs\n[server]")
        .replace("sim-refresh-bob", "planted");
    std::fs::write(app.root(), &theirs).unwrap();

    let path = format!("/accounts/alice/disable?revision={seen}");
    let refused = asked(&app, &path).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let diff = refused.diff.as_ref().unwrap();
    assert!(diff.contains("+# theirs\n"), "{diff}");
    assert!(
        !diff.contains("planted") && !diff.contains("sim-refresh"),
        "{diff}"
    );
    assert!(refused.body().contains("# theirs"));
    let body: Value = serde_json::from_str(&refused.body()).unwrap();
    let present = body["present"]["files"][0]["text"].as_str().unwrap();
    assert!(present.contains("# theirs\n") && present.contains("[accounts.bob]"));
    assert!(!present.contains("planted") && !present.contains("sim-refresh"));
    assert_ne!(body["present"]["revision"], seen);
    assert_eq!(text(&app), theirs);

    // Also when theirs is in force by now, and for whoever uses the command line.
    let theirs_runs = || app.runtime().snapshot().revision != seen_bytes;
    until("their change", theirs_runs).await;
    let refused = asked(&app, &path).await.unwrap_err();
    assert!(refused.diff.unwrap().contains("+# theirs\n"));
    let left = run(
        agp(
            app.dir.path(),
            &["account", "disable", "alice", "--revision", &seen],
        ),
        "",
    )
    .await;
    assert!(left.code == 1 && left.err.contains("+# theirs"), "{left:?}");
    assert_eq!(text(&app), theirs);
    assert!(enabled(&app));

    // A broken file is not edited either, and stays what it is.
    let broken = format!("{theirs}\nx = = 'planted'\n");
    std::fs::write(app.root(), &broken).unwrap();
    let refused = asked(&app, "/accounts/alice/disable").await.unwrap_err();
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.message.contains("AGP004") && !refused.message.contains("planted"));
    assert_eq!(text(&app), broken);
}

/// The editor never looks at what is there: its text must stand there in the end, with or without the switch on top.
#[tokio::test]
async fn no_save_of_an_editor_is_lost_to_an_operation() {
    let app = TestApp::start(setup(), json!({})).await;
    let base = text(&app);
    let rounds = std::env::var("AGP_EDIT_RACES").ok();
    let rounds: u32 = rounds.map_or(20, |n| n.parse().unwrap());
    let mut saved = 0;
    for round in 0..rounds {
        let mark = format!("# round {round}\n");
        let theirs = format!("{base}{mark}");
        let (file, beside) = (app.root(), app.dir.path().join("editor~"));
        let editor = tokio::task::spawn_blocking(move || {
            if round % 2 == 0 {
                std::fs::write(&file, &theirs).unwrap();
            } else {
                std::fs::write(&beside, &theirs).unwrap();
                std::fs::rename(&beside, &file).unwrap();
            }
        });
        let way = if enabled(&app) { "disable" } else { "enable" };
        let path = format!("/accounts/alice/{way}");
        let (answer, editor) = tokio::join!(asked(&app, &path), editor);
        editor.unwrap();
        match answer {
            Ok(answer) => saved += u32::from(answer["saved"] == true),
            Err(refusal) => assert!(
                // A file that is just being written has no `version` yet.
                [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&refusal.status),
                "{refusal:?}"
            ),
        }
        let now = text(&app);
        assert!(now.ends_with(&mark), "round {round}: {now}");
        let switched = base.replace("enabled = true", "enabled = false");
        assert!(now.starts_with(&base) || now.starts_with(&switched));
    }
    assert!(saved > 0, "every one was refused");
}

#[tokio::test]
async fn without_write_back_the_answer_is_the_patch() {
    let setup =
        setup()
            .set("admin", "write_back", false)
            .set("admin", "patch_prefix", "deploy/gateway");
    let app = TestApp::start(setup, json!({})).await;
    let before = text(&app);
    let answer = asked(&app, "/accounts/alice/disable").await.unwrap();
    assert_eq!(
        (&answer["changed"], &answer["saved"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(answer["why"], "`admin.write_back` is false");
    assert_eq!(text(&app), before);
    assert!(enabled(&app));
    let left = run(agp(app.dir.path(), &["account", "disable", "alice"]), "").await;
    assert!(
        left.code == 0
            && left.out.starts_with(
                "nothing is saved: `admin.write_back` is false\nto be committed with `git apply"
            ),
        "{left:?}"
    );
    let patch = answer["patch"]["text"].as_str().unwrap();
    assert!(patch.contains("--- a/deploy/gateway/agp.toml\n"), "{patch}");
    assert!(!patch.contains("sim-refresh"), "{patch}");

    let repository = tempfile::tempdir().unwrap();
    let folder = repository.path().join("deploy/gateway");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("agp.toml"), &before).unwrap();
    std::fs::write(repository.path().join("the.patch"), patch).unwrap();
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("SKIPPED edits::without_write_back_the_answer_is_the_patch: there is no git");
        return;
    }
    git(repository.path(), &["init", "-q"]);
    let command = answer["patch"]["command"].as_str().unwrap();
    let mut args: Vec<&str> = command.split(' ').skip(1).collect();
    args.push("the.patch");
    git(repository.path(), &args);
    let after = std::fs::read_to_string(folder.join("agp.toml")).unwrap();
    assert_eq!(after, before.replace("enabled = true", "enabled = false"));
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_answered_with_the_patch() {
    use std::os::unix::fs::PermissionsExt as _;

    let app = TestApp::start(setup(), json!({})).await;
    let before = text(&app);
    std::fs::set_permissions(app.root(), std::fs::Permissions::from_mode(0o444)).unwrap();
    let answer = asked(&app, "/accounts/alice/disable").await.unwrap();
    assert_eq!(answer["saved"], false);
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .contains("can't be written here")
    );
    assert!(
        answer["patch"]["text"]
            .as_str()
            .unwrap()
            .contains("+enabled = false")
    );
    assert_eq!(text(&app), before);
    assert!(enabled(&app));
}
