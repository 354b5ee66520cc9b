//! The file is edited while requests run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got, Stream};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until, within};

const FLASH: &str = "gemini-2.5-flash";

fn key(n: usize) -> String {
    format!("test-key-of-edit-{n}-that-protects-nothing")
}

/// The three ways in which editors, deployments and mounted volumes put a new text in place.
fn put(root: &Path, text: &str, n: usize) {
    let folder = root.parent().unwrap();
    match n % 3 {
        0 => std::fs::write(root, text).unwrap(),
        1 => {
            let beside = folder.join("agp.toml.new");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, root).unwrap();
        }
        _ => {
            let target = PathBuf::from(format!("revision-{n}.toml"));
            std::fs::write(folder.join(&target), text).unwrap();
            let link = folder.join("link.new");
            std::os::unix::fs::symlink(target, &link).unwrap();
            std::fs::rename(link, root).unwrap();
        }
    }
}

fn has_key(app: &TestApp, n: usize) -> bool {
    app.runtime()
        .snapshot()
        .config
        .keys
        .contains_key(format!("edit{n}").as_str())
}

/// A client that asks again and again until it is told to stop; every answer must be a good one.
fn load(
    app: &TestApp,
    n: usize,
    stop: &Arc<AtomicBool>,
    served: &Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<()> {
    let dialect = BOTH[n % 2];
    let stream = n % 4 < 2;
    let request = app.request(dialect, &dialect.saying(FLASH, "hi", stream));
    let (stop, served) = (Arc::clone(stop), Arc::clone(served));
    app.aside(async move {
        while !stop.load(Ordering::Relaxed) {
            let request = request.try_clone().unwrap();
            if stream {
                let speech = Stream::open(dialect, request).await.rest().await;
                speech.assert_whole();
                assert_eq!(speech.text(), "abcdefgh");
            } else {
                assert_eq!(Got::read(request).await.said(dialect), "abcdefgh");
            }
            served.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_edits_under_load_fail_no_request() {
    let script = json!({"text": "abcdefgh", "chunks": 4, "chunk_delay": "3ms"});
    let app = TestApp::start(Setup::new(&["alice", "bob"]).unlimited(), script).await;
    let root = app.root();
    let (stop, served) = (Arc::default(), Arc::default());
    let clients: Vec<_> = (0..4).map(|n| load(&app, n, &stop, &served)).collect();
    let first = app.runtime().snapshot().generation;
    let mut setup = app.setup.clone();
    for n in 0..100 {
        setup = setup.at(&["keys", &format!("edit{n}")], "key", key(n));
        if n > 0 {
            setup = setup.without(&["keys"], &format!("edit{}", n - 1));
        }
        put(&root, &setup.text(&app.sim.url()), n);
        // Some edits come in bursts, of which the last one counts.
        if n < 20 || n % 10 == 9 {
            until("an edit to take effect", || has_key(&app, n)).await;
            let request = app.request_as(OpenAi, &key(n), &OpenAi.saying(FLASH, "hi", false));
            assert_eq!(Got::read(request).await.status, 200);
        }
    }
    assert!(app.runtime().snapshot().generation >= first + 28);
    let before = served.load(Ordering::Relaxed);
    until("some more requests", || {
        served.load(Ordering::Relaxed) > before + 8
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(app.health().await["reload"], "ok");
    // The keys of the edits before are worth nothing any more.
    let request = app.request_as(OpenAi, &key(98), &OpenAi.saying(FLASH, "hi", false));
    assert_eq!(Got::read(request).await.status, 401);
    for row in app.logs(1).await {
        assert!(row.status == 200 && row.error.is_none(), "{row:?}");
    }
}

fn errors(app: &TestApp) -> Vec<String> {
    app.runtime().reload.lock().errors.clone()
}

#[tokio::test]
async fn an_invalid_edit_changes_nothing_and_says_why() {
    let app = TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await;
    let good = app.setup.text(&app.sim.url());
    let (before, root) = (app.health().await, app.root());
    for (n, (what, text)) in [
        ("agp.toml:1:", "version = \n".to_owned()),
        ("version", String::new()),
        (
            "stratgey",
            good.replace("[routing]", "[routing]\nstratgey = \"random\""),
        ),
        (
            "elsewhere",
            good.replace("upstream = \"sim\"", "upstream = \"elsewhere\""),
        ),
        ("server.listen", good.replace("127.0.0.1:0", "nowhere")),
        (
            "NOT_SET_ANYWHERE",
            good.replace("\"sim-refresh-alice\"", "{ env = \"NOT_SET_ANYWHERE\" }"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        put(&root, &text, n);
        until("the refusal", || !errors(&app).is_empty()).await;
        let told = errors(&app).join("\n");
        assert!(told.contains(what), "no `{what}`: {told}");
        assert!(
            !told.contains(KEY) && !told.contains("sim-refresh"),
            "{told}"
        );
        let health = app.health().await;
        assert_eq!(health["reload"], "refused");
        assert_eq!(
            (&health["generation"], &health["revision"]),
            (&before["generation"], &before["revision"])
        );
        for dialect in BOTH {
            assert_eq!(app.say(dialect, FLASH, "hi").await.status, 200);
        }
        put(&root, &good, n);
        until("the refusal to end", || errors(&app).is_empty()).await;
        let health = app.health().await;
        assert_eq!(
            (&health["reload"], &health["revision"]),
            (&json!("ok"), &before["revision"])
        );
    }
    // The file goes, which changes nothing, and comes back.
    std::fs::remove_file(&root).unwrap();
    until("the refusal", || !errors(&app).is_empty()).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    std::fs::write(&root, &good).unwrap();
    until("the refusal to end", || errors(&app).is_empty()).await;
}

#[tokio::test]
async fn a_new_key_model_account_and_limit_take_effect() {
    let script = json!({"rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let mut app = TestApp::start(
        Setup::new(&["alice"]).routing("queue_timeout", "100ms"),
        script,
    )
    .await;
    let mut long = app.stream(OpenAi, FLASH, "long").await;
    long.text().await.unwrap();
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 429);
    let fast = OpenAi.saying("fast", "hi", false);
    assert_eq!(
        Got::read(app.request_as(OpenAi, &key(1), &fast))
            .await
            .status,
        401
    );
    assert_eq!(app.send(OpenAi, &fast).await.status, 404);
    app.setup = app
        .setup
        .clone()
        .at(&["keys", "edit1"], "key", key(1))
        .model("fast", "sim/gemini-2.5-flash")
        .routing("max_concurrent_per_account", 2);
    app.save();
    until("the edit to take effect", || has_key(&app, 1)).await;
    let got = Got::read(app.request_as(OpenAi, &key(1), &fast)).await;
    assert_eq!(got.said(OpenAi), "You said: hi");
    assert_eq!(got.json()["model"], "fast");
    let listed = Got::read(app.client.get(app.url("/v1/models")).bearer_auth(KEY)).await;
    assert!(listed.text.contains("\"fast\""));
    // A second account serves as soon as it is there.
    app.setup = app
        .setup
        .clone()
        .account("bob")
        .account_set("alice", "enabled", false);
    app.save();
    until("the edit to take effect", || {
        app.runtime().snapshot().accounts.contains_key("bob")
    })
    .await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["alice", "alice", "bob"]);
    app.sim.release();
    long.rest().await.assert_whole();
}

#[tokio::test]
async fn an_account_that_is_deleted_leaves_its_stream_alone() {
    for dialect in BOTH {
        let script = json!({"rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
        let setup = Setup::new(&["alice", "bob"]).account_set("bob", "tier", 2);
        let mut app = TestApp::start(setup, script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.text().await.as_deref(), Some("ab"));
        app.setup = app.setup.clone().without(&["accounts"], "alice");
        app.save();
        until("the edit to take effect", || {
            !app.runtime().snapshot().accounts.contains_key("alice")
        })
        .await;
        assert_eq!(app.say(dialect, FLASH, "hi").await.status, 200);
        app.sim.release();
        let speech = stream.rest().await;
        speech.assert_whole();
        assert_eq!(speech.text(), "abcd");
        assert_eq!(app.served(), ["alice", "bob"]);
    }
}

fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn another_address_is_bound_before_the_old_one_is_left() {
    let script = json!({"rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), script).await;
    let old = app.gateway().addr().unwrap();
    let mut stream = app.stream(OpenAi, FLASH, "hi").await;
    assert_eq!(stream.text().await.as_deref(), Some("ab"));
    let new = free_port();
    app.setup = app.setup.clone().set("server", "listen", new.to_string());
    app.save();
    until("the new address", || app.gateway().addr() == Some(new)).await;
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    within("the old address to be left", async {
        while tokio::net::TcpStream::connect(old).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    app.sim.release();
    stream.rest().await.assert_whole();
}

#[tokio::test]
async fn an_address_that_can_not_be_had_refuses_the_whole_edit() {
    let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await;
    let old = app.gateway().addr();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let good = app.setup.clone();
    app.setup = good.clone().at(&["keys", "edit1"], "key", key(1)).set(
        "server",
        "listen",
        taken.local_addr().unwrap().to_string(),
    );
    app.save();
    until("the refusal", || !errors(&app).is_empty()).await;
    assert!(
        errors(&app)[0].contains("server.listen"),
        "{:?}",
        errors(&app)
    );
    assert_eq!(app.gateway().addr(), old);
    assert!(!has_key(&app, 1), "nothing of it is in force");
    for dialect in BOTH {
        assert_eq!(app.say(dialect, FLASH, "hi").await.status, 200);
    }
    app.setup = good;
    app.save();
    until("the refusal to end", || errors(&app).is_empty()).await;
    assert_eq!(app.gateway().addr(), old);
}

#[tokio::test]
async fn a_secret_file_that_is_rotated_takes_effect() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, format!("{}\n", key(1))).unwrap();
    let mut from = toml::Table::new();
    from.insert("file".to_owned(), file.to_str().unwrap().into());
    let setup = Setup::new(&["alice"]).at(&["keys", "main"], "key", from);
    let app = TestApp::start(setup, json!({})).await;
    let ask = async |n| {
        let request = app.request_as(Anthropic, &key(n), &Anthropic.saying(FLASH, "hi", false));
        Got::read(request).await.status
    };
    assert_eq!((ask(1).await, ask(2).await), (200, 401));
    let beside = dir.path().join("new");
    std::fs::write(&beside, key(2)).unwrap();
    std::fs::rename(beside, &file).unwrap();
    within("the new key", async {
        while ask(2).await != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(ask(1).await, 401);
}

#[tokio::test]
async fn what_needs_a_restart_is_named() {
    let mut app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    app.setup = app.setup.clone().set("state", "path", "elsewhere");
    app.save();
    let restart = || app.runtime().reload.lock().restart.clone();
    until("the note", || !restart().is_empty()).await;
    assert_eq!(restart(), ["state.path"]);
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
}

#[tokio::test]
async fn what_the_upstream_lists_is_served_where_no_models_are_declared() {
    let mut setup = Setup::new(&["alice"]);
    let names: Vec<String> = setup.models();
    for name in names {
        setup = setup.without(&["models"], &name);
    }
    let script = json!({"rules": [{"method": "fetchAvailableModels", "do": {"first_byte_delay": "100ms"}}],
        "deprecated": {"gemini-2-flash": FLASH}});
    let app = TestApp::start(setup, script).await;
    // The first request waits for the list.
    for (dialect, model) in [
        (OpenAi, FLASH),
        (Anthropic, "claude-sonnet-4-5"),
        (OpenAi, "gemini-2-flash"),
    ] {
        assert_eq!(
            app.say(dialect, model, "hi").await.said(dialect),
            "You said: hi"
        );
    }
    let told = app.say(OpenAi, "gpt-17", "hi").await.error(OpenAi);
    assert_eq!(told.status, 404);
    let listed: Value = Got::read(app.client.get(app.url("/v1/models")).bearer_auth(KEY))
        .await
        .json();
    let all = listed["data"].as_array().unwrap();
    let owner = |id: &str| {
        all.iter()
            .find(|m| m["id"] == id)
            .map(|m| m["owned_by"].as_str().unwrap())
    };
    assert_eq!(owner("gemini-3-flash"), Some("google"));
    assert_eq!(owner("claude-sonnet-4-5"), Some("anthropic"));
    assert_eq!(owner("gpt-oss-120b-medium"), Some("openai"));
}
