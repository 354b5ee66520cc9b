//! The disk may fill up or go away: requests are served, the trouble is told, and writing resumes by itself.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use agp::base::task::Tasks;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got, Stream};
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

/// Eight clients that stream without a pause until they are told to stop; gives how many answers each way were whole.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn begin(app: &TestApp) -> Self {
        let (stop, served) = (Arc::default(), Arc::<AtomicUsize>::default());
        let clients = (0..8).map(|n| {
            let dialect = BOTH[n % 2];
            let (url, client) = (app.url(dialect.path()), app.client.clone());
            let (stop, served): (Arc<AtomicBool>, _) = (Arc::clone(&stop), Arc::clone(&served));
            app.aside(async move {
                while !stop.load(Ordering::Acquire) {
                    let body = dialect.saying(FLASH, "hi", true).to_string();
                    let request = dialect.with_key(client.post(&url).body(body), KEY);
                    Stream::open(dialect, request)
                        .await
                        .rest()
                        .await
                        .assert_whole();
                    served.fetch_add(1, Ordering::AcqRel);
                }
            })
        });
        let clients = clients.collect();
        Self {
            stop,
            served,
            clients,
        }
    }

    /// Goes on until so many more were served.
    async fn more(&self, n: usize) {
        let wanted = self.served.load(Ordering::Acquire) + n;
        until("more answers", || {
            self.served.load(Ordering::Acquire) >= wanted
        })
        .await;
    }

    /// How many answers there were; a client that met a failure panics here.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Release);
        for client in self.clients {
            client.await.unwrap();
        }
        self.served.load(Ordering::Acquire)
    }
}

/// What a scrape says of the store's two files.
async fn measured(app: &TestApp) -> String {
    let at = app.gateway().metrics_addr().unwrap();
    let got = Got::read(app.client.get(format!("http://{at}/metrics"))).await;
    let lines = got.text.lines().filter(|l| l.starts_with("agp_store_"));
    lines.collect::<Vec<_>>().join("\n")
}

/// While it lasts everybody who looks is told.
async fn assert_told(app: &TestApp, load: &Load) {
    load.more(40).await;
    let health = app.health().await;
    assert_eq!(
        (&health["status"], &health["store"]),
        (&json!("ok"), &json!("failing"))
    );
    let status = run(agp(app.dir.path(), &["status"]), "").await;
    assert!(
        status.code == 0
            && status.out.contains("failing")
            && status.out.contains("can't be written since 2"),
        "{status:?}"
    );
    let measured = measured(app).await;
    assert!(
        measured.contains("agp_store_ok{file=\"log\"} 0"),
        "{measured}"
    );
    assert!(
        !measured.contains("agp_store_queued{file=\"log\"} 0"),
        "{measured}"
    );
    assert_eq!(
        Got::read(app.client.get(app.url("/readyz"))).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_fails_no_stream() {
    let disk = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(disk.path()) else {
        println!("SKIPPED: a_disk_that_fills_up_fails_no_stream: nothing can be mounted here");
        return;
    };
    let setup = Setup::new(&["alice"])
        .unlimited()
        .at(&["server", "metrics"], "listen", "127.0.0.1:0")
        .set("state", "path", disk.path().to_str().unwrap());
    let app = TestApp::start(setup, json!({"text": "abcdefgh", "chunks": 4})).await;
    let load = Load::begin(&app);
    load.more(20).await;
    assert_eq!(app.health().await["store"], "ok");
    let filler = disk.path().join("filler");
    fill(&filler);
    until("the trouble to be told", || store_is(&app, false)).await;
    assert_told(&app, &load).await;
    std::fs::remove_file(&filler).unwrap();
    until("writing to resume", || store_is(&app, true)).await;
    assert_eq!(app.health().await["store"], "ok");
    load.more(20).await;
    let served = load.end().await;
    // Every row is there, also of what was served meanwhile: they waited in memory.
    let store = app.runtime().store.clone();
    store.flush().await.unwrap();
    let filter = agp::store::Filter::default();
    let (mut rows, mut cursor) = (0, None);
    loop {
        let page = store.query(&filter, cursor, agp::store::MAX_PAGE).unwrap();
        rows += page.rows.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(rows, served);
    let health = store.health();
    assert_eq!((health.dropped_logs, health.dropped_writes), (0, 0));
    let measured = measured(&app).await;
    for line in [
        "agp_store_ok{file=\"state\"} 1",
        "agp_store_ok{file=\"log\"} 1",
        "agp_store_dropped_total{file=\"log\"} 0",
    ] {
        assert!(measured.contains(line), "{measured}");
    }
    drop((app, mount));
}

#[tokio::test]
async fn rows_for_which_there_is_no_room_in_memory_are_counted() {
    let disk = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(disk.path()) else {
        println!(
            "SKIPPED: rows_for_which_there_is_no_room_in_memory_are_counted: nothing can be mounted here"
        );
        return;
    };
    let setup = Setup::new(&["alice"])
        .unlimited()
        .at(&["server", "metrics"], "listen", "127.0.0.1:0")
        .set("state", "path", disk.path().to_str().unwrap());
    let app = TestApp::start(setup, json!({})).await;
    serve_some(&app, 4).await;
    app.logs(4).await;
    let filler = disk.path().join("filler");
    fill(&filler);
    let store = app.runtime().store.clone();
    within("rows to be lost", async {
        while store.health().dropped_logs == 0 {
            for _ in 0..1000 {
                let id = agp::base::id::RequestId::generate();
                let now = agp::base::time::Timestamp::now();
                let mut row =
                    agp::store::LogRecord::new(id, now, agp::base::id::Dialect::Anthropic);
                row.requested = "x".repeat(200);
                store.log(row);
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    serve_some(&app, 4).await;
    let lost = store.health().dropped_logs;
    let measured = measured(&app).await;
    assert!(
        measured.contains(&format!("agp_store_dropped_total{{file=\"log\"}} {lost}")),
        "{measured}"
    );
    let status = run(agp(app.dir.path(), &["status"]), "").await;
    assert!(
        status
            .out
            .contains(&format!("{lost} log rows were lost since the start")),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_full_disk_holds_up_no_reload_and_the_history_follows() {
    let disk = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(disk.path()) else {
        println!(
            "SKIPPED: a_full_disk_holds_up_no_reload_and_the_history_follows: nothing can be mounted here"
        );
        return;
    };
    let setup =
        Setup::new(&["alice"])
            .unlimited()
            .set("state", "path", disk.path().to_str().unwrap());
    let mut app = TestApp::start(setup, json!({})).await;
    let filler = disk.path().join("filler");
    fill(&filler);
    within("the trouble to be told", async {
        while store_is(&app, true) {
            serve_some(&app, 10).await;
        }
    })
    .await;
    app.setup = app.setup.clone().routing("max_queue", 7);
    app.save();
    until("the reload", || app.runtime().snapshot().generation == 2).await;
    assert!(store_is(&app, false));
    let left = run(agp(app.dir.path(), &["account", "disable", "alice"]), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    assert_eq!(app.runtime().snapshot().generation, 3);
    std::fs::remove_file(&filler).unwrap();
    until("writing to resume", || store_is(&app, true)).await;
    let kept = app.runtime().store.history(usize::MAX).unwrap();
    let kept: Vec<(u64, bool)> = kept.iter().map(|r| (r.generation, r.bytes > 0)).collect();
    assert_eq!(kept, [(3, true), (2, true), (1, true)]);
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
    // As on a disk that has become read-only: no byte can be written to any file. (A mount can't be made read-only under
    // files that are open to be written.)
    limit("0").await;
    serve(40).await;
    let told = health().await;
    assert_eq!(
        (&told["status"], &told["store"]),
        (&json!("ok"), &json!("failing"))
    );
    let status = run(agp(dir.path(), &["status"]), "").await;
    assert!(
        status.code == 0 && status.out.contains("can't be written since 2"),
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

#[tokio::test]
async fn state_and_identity_lie_where_the_file_says() {
    let setup = Setup::new(&["alice"]).set("state", "path", "kept").at(
        &["secrets", "identity"],
        "file",
        "own-identity.txt",
    );
    let app = TestApp::start(setup, json!({})).await;
    serve_some(&app, 1).await;
    let there = |path: &str| app.dir.path().join(path).exists();
    // It is made for the first token that is kept.
    until("an identity", || there("own-identity.txt")).await;
    assert!(there("kept/agp.redb") && there("kept/agp-log.redb"));
    assert!(!there("data"));
}
