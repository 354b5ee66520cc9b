//! The disk may fill up or go away: requests are served, the trouble is told, and writing resumes by itself.

use std::path::Path;
use std::process::Command;

use agp::base::task::Tasks;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got};
use crate::support::process::{AGP, Running, agp, run, shell};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, simulate, until, within};

const FLASH: &str = "gemini-2.5-flash";

async fn serve_some(app: &TestApp, requests: usize) {
    let all = (0..requests).map(|n| async move {
        let dialect = BOTH[n % 2];
        let got = app
            .send(dialect, &dialect.saying(FLASH, "hi", n % 3 == 0))
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
    });
    join_all(all).await;
}

fn store_is(app: &TestApp, ok: bool) -> bool {
    app.runtime().store.health().is_ok() == ok
}

/// A small file system, unmounted at the end.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(at: &'a Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "agp-test"])
            .arg(at)
            .output();
        mount.is_ok_and(|m| m.status.success()).then_some(Self(at))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_stops_nobody_and_writing_resumes() {
    let disk = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(disk.path()) else {
        println!(
            "SKIPPED: a_full_disk_stops_nobody_and_writing_resumes: nothing can be mounted here"
        );
        return;
    };
    let setup =
        Setup::new(&["alice"])
            .unlimited()
            .set("state", "path", disk.path().to_str().unwrap());
    let app = TestApp::start(setup, json!({"rotate_refresh": true})).await;
    serve_some(&app, 4).await;
    app.logs(4).await;
    let filler = disk.path().join("filler");
    fill(&filler);
    within("the trouble to be told", async {
        while store_is(&app, true) {
            serve_some(&app, 10).await;
        }
    })
    .await;
    let health = app.health().await;
    assert_eq!(
        (&health["status"], &health["store"]),
        (&json!("ok"), &json!("failing"))
    );
    assert_eq!(
        Got::read(app.client.get(app.url("/readyz"))).await.status,
        200
    );
    // Also what must be durable: a rotated refresh token.
    app.sim.revoke("alice@example.com");
    serve_some(&app, 10).await;
    std::fs::remove_file(&filler).unwrap();
    until("writing to resume", || store_is(&app, true)).await;
    let got = app.say(OpenAi, FLASH, "hi").await;
    assert_eq!(app.log(got.id()).await.status, 200);
    assert_eq!(app.health().await["store"], "ok");
    assert_eq!(app.runtime().store.health().dropped_writes, 0);
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if file
            .write_all(&vec![b'x'; size])
            .and_then(|()| file.flush())
            .is_err()
        {
            size /= 2;
        }
    }
}

#[tokio::test]
async fn a_file_that_may_not_grow_stops_nobody_and_writing_resumes() {
    let sim = simulate(&json!({}), &Tasks::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = socket.local_addr().unwrap().to_string();
    drop(socket);
    let setup = Setup::new(&["alice"])
        .unlimited()
        .set("server", "listen", listen.clone());
    std::fs::write(dir.path().join("agp.toml"), setup.text(&sim.url())).unwrap();
    if run(shell(dir.path(), "command -v prlimit"), "").await.code != 0 {
        println!(
            "SKIPPED: a_file_that_may_not_grow_stops_nobody_and_writing_resumes: there is no prlimit"
        );
        return;
    }
    // Writes beyond the limit fail instead of killing, since the signal is ignored.
    let line = format!("trap '' XFSZ; exec '{AGP}' serve");
    let serving = Running::start(shell(dir.path(), &line));
    until("the socket", || dir.path().join("data/agp.sock").exists()).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let serve = async |requests: usize| {
        let all = (0..requests).map(|n| {
            let dialect = BOTH[n % 2];
            let url = format!("http://{listen}{}", dialect.path());
            let body = dialect.saying(&"no-such-model".repeat(n % 2 * 15), "hi", false);
            let served = dialect.saying(FLASH, "hi", n % 3 == 0);
            let client = &client;
            async move {
                let ask =
                    |body: &Value| dialect.with_key(client.post(&url).body(body.to_string()), KEY);
                assert_eq!(Got::read(ask(&served)).await.status, 200);
                // Rows that take room.
                assert!(Got::read(ask(&body)).await.status < 500);
            }
        });
        join_all(all).await;
    };
    let health = async || {
        Got::read(client.get(format!("http://{listen}/healthz")))
            .await
            .json()
    };
    serve(4).await;
    assert_eq!(health().await["store"], "ok");
    let limit = async |bytes: &str| {
        let line = format!("prlimit --pid {} --fsize={bytes}:", serving.id());
        let left = run(shell(dir.path(), &line), "").await;
        assert_eq!(left.code, 0, "{left:?}");
    };
    limit("4096").await;
    within("the trouble to be told", async {
        while health().await["store"] == "ok" {
            serve(20).await;
        }
    })
    .await;
    assert_eq!(health().await["status"], "ok");
    serve(20).await;
    let status = run(agp(dir.path(), &["status"]), "").await;
    assert!(
        status.code == 0 && status.out.contains("failing"),
        "{status:?}"
    );
    limit("unlimited").await;
    within("writing to resume", async {
        while health().await["store"] != "ok" {
            serve(1).await;
        }
    })
    .await;
    assert_eq!(serving.terminate().await, 0);
}

#[tokio::test]
async fn a_state_folder_that_goes_away_stops_nobody() {
    let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await;
    serve_some(&app, 4).await;
    std::fs::remove_dir_all(app.dir.path().join("data")).unwrap();
    serve_some(&app, 30).await;
    assert_eq!(app.say(Anthropic, FLASH, "hi").await.status, 200);
    assert_eq!(app.health().await["status"], "ok");
    // The next start begins anew.
    app.restart().await;
    serve_some(&app, 4).await;
    app.logs(4).await;
}
