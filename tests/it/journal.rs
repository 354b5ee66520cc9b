//! Edits of several files: all of them or none, also over a crash.

use std::path::{Path, PathBuf};

use agp::config::edit::{Intent, Literal, Section};
use agp::config::source::Files;
use agp::runtime::controller::{Ask, By, Done, Message, NotDone};
use agp::runtime::keyring::Keyring;
use agp::store::{JournalFile, JournalRecord, Options, Store};
use serde_json::json;
use tokio::sync::oneshot;

use crate::support::process::{Running, agp, run};
use crate::support::setup::Setup;
use crate::support::{TestApp, until, within};

const TEAM: &str = "# The team's.\n[keys.team]\nkey = \"a-key-of-the-team-that-protects-nothing-at-all\" # planted\ngroup = \"eng\"\naccounts = [\"alice\", \"bob\"]\n";

/// Two accounts and a group in the root file, a key that names them in another.
async fn start() -> TestApp {
    let setup = Setup::new(&["alice", "bob"])
        .at(&["groups", "eng"], "rpm", 500)
        .include("more.d/*.toml");
    let mut app = TestApp::start(setup, json!({})).await;
    std::fs::create_dir(app.dir.path().join("more.d")).unwrap();
    std::fs::write(team(&app), TEAM).unwrap();
    app.restart().await;
    assert!(app.runtime().snapshot().config.keys.contains_key("team"));
    app
}

fn team(app: &TestApp) -> PathBuf {
    app.dir.path().join("more.d/team.toml")
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

async fn edit(app: &TestApp, intents: Vec<Intent>) -> Result<Done, NotDone> {
    let (reply, answer) = oneshot::channel();
    let by = By {
        who: "cli:0".to_owned(),
        from: "socket".to_owned(),
    };
    let ask = Ask {
        by,
        intents,
        seen: Some(Files::read(&app.root()).revision()),
        if_needed: false,
        dry_run: false,
        reply,
    };
    let controller = &app.gateway().gateway().controller;
    controller.send(Message::Edit(ask)).await.unwrap();
    answer.await.unwrap()
}

fn rename() -> Intent {
    Intent::Rename {
        section: Section::Groups,
        from: "eng".to_owned(),
        to: "platform".to_owned(),
    }
}

fn purge_alice() -> Intent {
    Intent::Delete {
        section: Section::Accounts,
        name: "alice".to_owned(),
        mentions: true,
    }
}

#[tokio::test]
async fn an_edit_of_several_files_is_one() {
    let app = start().await;
    let (root, generation) = (text(app.root()), app.runtime().snapshot().generation);
    let done = edit(&app, vec![rename()]).await.unwrap();
    assert_eq!(
        (done.changed, &done.unsaved, done.generation),
        (true, &None, generation + 1)
    );
    assert_eq!(
        text(app.root()),
        root.replace("[groups.eng]", "[groups.platform]")
    );
    assert_eq!(text(team(&app)), TEAM.replace("\"eng\"", "\"platform\""));
    let paths: Vec<String> = (done.diff.iter())
        .map(|d| d.path.display().to_string())
        .collect();
    assert_eq!(paths, ["agp.toml", "more.d/team.toml"]);
    assert!(app.runtime().store.journal().unwrap().is_none());
    let key = app.runtime().snapshot().config.keys["team"].clone();
    assert_eq!(key.group.as_deref(), Some("platform"));

    // An account goes, and the key in the other file forgets it.
    edit(&app, vec![purge_alice()]).await.unwrap();
    assert!(text(team(&app)).contains("accounts = [\"bob\"]\n"));
    assert!(!text(app.root()).contains("alice"));
    assert_eq!(app.runtime().snapshot().config.accounts.len(), 1);
    assert_eq!(app.runtime().snapshot().generation, generation + 2);
}

#[tokio::test]
async fn a_file_that_may_not_be_written_holds_the_others_back() {
    use std::os::unix::fs::PermissionsExt as _;

    let app = start().await;
    let root = text(app.root());
    std::fs::set_permissions(team(&app), std::fs::Permissions::from_mode(0o444)).unwrap();
    let done = edit(&app, vec![rename()]).await.unwrap();
    assert!(
        done.unsaved
            .unwrap()
            .contains("team.toml` can't be written")
    );
    let patch = done.patch.unwrap().text;
    assert!(patch.contains("+[groups.platform]") && patch.contains("+group = \"platform\""));
    assert_eq!(
        (text(app.root()), text(team(&app))),
        (root, TEAM.to_owned())
    );
    assert!(app.runtime().store.journal().unwrap().is_none());

    // Where the state is does not move with several files at once: a crash would leave what nobody finds.
    std::fs::set_permissions(team(&app), std::fs::Permissions::from_mode(0o644)).unwrap();
    let moved = Intent::set(["state", "path"], "elsewhere");
    let refused = edit(&app, vec![rename(), moved]).await.unwrap_err();
    assert!(refused.message().contains("change them by themselves"));
    assert_eq!(text(team(&app)), TEAM);
}

/// What is kept of an edit that was cut off, put into the stopped gateway's store.
async fn cut_off(app: &TestApp, files: Vec<(PathBuf, String, String)>) {
    let data = app.dir.path().join("data");
    let keyring = Keyring::open(&data.join("agp-identity.txt"), false).unwrap();
    let store = Store::open(&data, keyring, Options::default()).unwrap();
    let files = files.into_iter().map(|(path, before, after)| JournalFile {
        path: path.into_os_string().into_encoded_bytes(),
        before: before.into(),
        after: after.into(),
    });
    let record = JournalRecord {
        files: files.collect(),
    };
    let kept = tokio::task::spawn_blocking(move || store.put_journal(record).map(|()| store));
    kept.await.unwrap().unwrap().close().await;
}

#[tokio::test]
async fn half_an_edit_is_finished_when_the_gateway_starts() {
    let mut app = start().await;
    app.stop().await;
    let (root, path) = (text(app.root()), team(&app));
    let new_root = root.replace("rpm = 500", "rpm = 600");
    let new_team = format!("{TEAM}rpm = 7\n");
    let files = vec![
        (app.root(), root, new_root.clone()),
        (path.clone(), TEAM.to_owned(), new_team.clone()),
    ];
    cut_off(&app, files).await;
    std::fs::write(app.root(), &new_root).unwrap();
    app.restart().await;
    assert_eq!(text(&path), new_team);
    let snapshot = app.runtime().snapshot();
    assert_eq!(snapshot.config.keys["team"].limits.rpm, Some(7));
    assert_eq!(snapshot.revision, Files::read(&app.root()).revision().0);
    assert!(app.runtime().store.journal().unwrap().is_none());
}

/// Waits until the program in the folder answers.
async fn answers(app: &TestApp) {
    within("an answer", async {
        while run(agp(app.dir.path(), &["status"]), "").await.code != 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn half_an_edit_that_can_not_be_read_is_finished_by_the_program() {
    let mut app = start().await;
    app.stop().await;
    let (root, path) = (text(app.root()), team(&app));
    let new_root = root.replace("[groups.eng]", "[groups.platform]");
    let new_team = TEAM.replace("\"eng\"", "\"platform\"");
    let files = vec![
        (app.root(), root.clone(), new_root.clone()),
        (path.clone(), TEAM.to_owned(), new_team.clone()),
    ];
    cut_off(&app, files.clone()).await;
    std::fs::write(app.root(), &new_root).unwrap();
    let left = run(agp(app.dir.path(), &["validate"]), "").await;
    assert_ne!(left.code, 0, "the half of it is no configuration");
    let serve = Running::start(agp(app.dir.path(), &["serve"]));
    until("the other half", || text(&path) == new_team).await;
    answers(&app).await;
    assert_eq!(serve.terminate().await, 0);
    assert_eq!(text(app.root()), new_root);

    // Somebody has changed the other file since: theirs stays, ours goes.
    let theirs = format!("{TEAM}# theirs\n");
    std::fs::write(&path, &theirs).unwrap();
    cut_off(&app, files).await;
    let serve = Running::start(agp(app.dir.path(), &["serve"]));
    until("the half undone", || text(app.root()) == root).await;
    assert_eq!(text(&path), theirs);
    answers(&app).await;
    assert_eq!(serve.terminate().await, 0);
    assert_eq!(text(&path), theirs);
}

#[tokio::test]
async fn a_secret_is_sealed_into_the_file_that_has_it() {
    let app = start().await;
    let intent = Intent::set(["keys", "team", "key"], Literal::env("PATH"));
    let done = edit(&app, vec![intent]).await.unwrap();
    assert!(done.unsaved.is_none());
    assert!(!done.diff[0].text.contains("protects-nothing"));
    let plain = "\"a-key-of-the-team-that-protects-nothing-at-all\"";
    assert_eq!(text(team(&app)), TEAM.replace(plain, "{ env = \"PATH\" }"));
}
