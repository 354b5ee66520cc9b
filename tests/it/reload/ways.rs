//! Every way in which a file changes, twenty times each, while requests run: each change is one generation, a broken one is
//! none, and no request notices.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{FLASH, errors, has_key, key, load};
use crate::support::client::Dialect::OpenAi;
use crate::support::client::{Got, Stream};
use crate::support::process::{Running, agp, run};
use crate::support::setup::Setup;
use crate::support::{TestApp, simulate, until, within};

/// How often each way is gone.
const TIMES: usize = 20;

/// A gateway under load, with a stream that stays open from the first change to the last.
struct Loaded {
    app: TestApp,
    long: Stream,
    clients: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    served: Arc<AtomicUsize>,
    first: u64,
    /// From a change to its effect.
    delays: Vec<Duration>,
}

impl Loaded {
    async fn start(setup: Setup) -> Self {
        let script = json!({
            "rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}],
            "text": "abcdefgh", "chunks": 4, "chunk_delay": "3ms",
        });
        let app = TestApp::start(setup.unlimited(), script).await;
        let mut long = app.stream(OpenAi, FLASH, "long").await;
        assert_eq!(long.text().await.as_deref(), Some("ab"));
        let (stop, served) = (Arc::default(), Arc::default());
        let clients = (0..2).map(|n| load(&app, 2 * n, &stop, &served)).collect();
        let first = app.runtime().snapshot().generation;
        Self {
            app,
            long,
            clients,
            stop,
            served,
            first,
            delays: Vec::new(),
        }
    }

    fn generation(&self) -> u64 {
        self.app.runtime().snapshot().generation
    }

    fn text(&self) -> String {
        self.app.setup.text(&self.app.sim.url())
    }

    /// Puts a key of this number in place of the one before, by `put`, and waits for it.
    async fn change(&mut self, n: usize, put: &mut impl FnMut(&Path, &str)) {
        let setup = self.app.setup.clone();
        let setup = setup.at(&["keys", &format!("edit{n}")], "key", key(n));
        let before = format!("edit{}", n.wrapping_sub(1));
        self.app.setup = setup.without(&["keys"], &before);
        let generation = self.generation();
        let begun = Instant::now();
        put(&self.app.root(), &self.text());
        until("a change to take effect", || has_key(&self.app, n)).await;
        self.delays.push(begun.elapsed());
        assert_eq!(
            self.generation(),
            generation + 1,
            "one change, one generation"
        );
        let request = self
            .app
            .request_as(OpenAi, &key(n), &OpenAi.saying(FLASH, "hi", false));
        assert_eq!(Got::read(request).await.status, 200);
    }

    /// Puts a broken text in place, which changes nothing, and the good one again.
    async fn broken(&self, put: &mut impl FnMut(&Path, &str)) {
        let (generation, refused) = (
            self.generation(),
            self.app.runtime().metrics().refused.get(),
        );
        let good = self.text();
        put(
            &self.app.root(),
            &good.replace("[keys.main]", "[keys.main\n"),
        );
        until("the refusal", || !errors(&self.app).is_empty()).await;
        assert!(self.app.runtime().metrics().refused.get() > refused);
        assert_eq!(self.generation(), generation);
        assert_eq!(self.app.health().await["reload"], "refused");
        let status = run(agp(self.app.dir.path(), &["status"]), "").await;
        assert!(
            status.out.contains("differ from what runs: refused"),
            "{status:?}"
        );
        put(&self.app.root(), &good);
        until("the refusal to end", || errors(&self.app).is_empty()).await;
        assert_eq!(self.generation(), generation);
    }

    /// All ways of the root file are gone like this.
    async fn all(mut self, mut put: impl FnMut(&Path, &str)) {
        for n in 0..TIMES {
            self.change(n, &mut put).await;
            if n % 10 == 5 {
                self.broken(&mut put).await;
            }
        }
        assert_eq!(self.generation(), self.first + TIMES as u64);
        self.end().await;
    }

    /// No request has failed, and the open stream is whole.
    async fn end(self) {
        // Events, not the poll: on a machine that is busy all the time at least one change is seen early.
        let fastest = self.delays.iter().min().unwrap();
        assert!(*fastest < Duration::from_secs(1), "{:?}", self.delays);
        let before = self.served.load(Ordering::Relaxed);
        until("some more requests", || {
            self.served.load(Ordering::Relaxed) > before + 4
        })
        .await;
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        self.app.sim.release();
        let speech = self.long.rest().await;
        speech.assert_whole();
        assert_eq!(speech.text(), "abcd");
    }
}

fn usual() -> Setup {
    Setup::new(&["alice", "bob"]).upstream("idle_timeout", "10m")
}

/// Writes a new text beside and renames it over.
fn renamed(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// Puts a link in the place of whatever is there.
fn linked(path: &Path, target: impl AsRef<Path>) {
    let beside = format!("{}.link", path.display());
    symlink(target, &beside).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn written_in_place() {
    let loaded = Loaded::start(usual()).await;
    let put = |root: &Path, text: &str| {
        let mut file = std::fs::OpenOptions::new().write(true).open(root).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_len(text.len() as u64).unwrap();
    };
    loaded.all(put).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncated_and_written() {
    let loaded = Loaded::start(usual()).await;
    let put = |root: &Path, text: &str| {
        let mut file = std::fs::File::create(root).unwrap();
        // In pieces that end at tables: what is there in between could be read as a whole file.
        for piece in text.split_inclusive("\n\n") {
            std::thread::sleep(Duration::from_millis(1));
            file.write_all(piece.as_bytes()).unwrap();
        }
    };
    loaded.all(put).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_over() {
    Loaded::start(usual()).await.all(renamed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapped_behind_the_data_link() {
    let loaded = Loaded::start(usual()).await;
    let mut n = 0;
    // As a kubelet does: a new folder with the whole text, then `..data` leads there, then the old folder goes.
    let mut put = move |root: &Path, text: &str| {
        let folder = root.parent().unwrap();
        let (old, new) = (format!("..v{n}"), format!("..v{}", n + 1));
        n += 1;
        std::fs::create_dir(folder.join(&new)).unwrap();
        std::fs::write(folder.join(&new).join("agp.toml"), text).unwrap();
        linked(&folder.join("..data"), &new);
        if !root.is_symlink() {
            linked(root, "..data/agp.toml");
        }
        let _ = std::fs::remove_dir_all(folder.join(old));
    };
    put(&loaded.app.root(), &loaded.text());
    loaded.all(put).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_at_each_place_of_a_chain_of_links() {
    let loaded = Loaded::start(usual()).await;
    let folder = loaded.app.dir.path().to_owned();
    for name in ["one", "two", "three"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let mut n = 0;
    let mut put = move |root: &Path, text: &str| {
        n += 1;
        let file = folder.join(format!("three/text{n}.toml"));
        match n % 3 {
            // The file at the end is another one.
            0 => renamed(&std::fs::canonicalize(root).unwrap(), text),
            // The last link leads to another file.
            1 => {
                std::fs::write(&file, text).unwrap();
                linked(&folder.join("two/last.toml"), &file);
            }
            // The link in the middle leads elsewhere.
            _ => {
                let last = folder.join(format!("two/other{n}.toml"));
                std::fs::write(&file, text).unwrap();
                symlink(format!("../three/text{n}.toml"), &last).unwrap();
                linked(&folder.join("one/middle.toml"), &last);
                linked(&folder.join("two/last.toml"), &file);
                linked(&folder.join("one/middle.toml"), "../two/last.toml");
            }
        }
        if n == 1 {
            linked(&folder.join("one/middle.toml"), "../two/last.toml");
            linked(root, "one/middle.toml");
        }
    };
    put(&loaded.app.root(), &loaded.text());
    loaded.all(put).await;
}

/// Adds an included file and takes it away, `times` each.
async fn added_and_removed(times: usize) {
    let mut loaded = Loaded::start(usual().include("d/*.toml")).await;
    let folder = loaded.app.dir.path().join("d");
    std::fs::create_dir(&folder).unwrap();
    for n in 0..times {
        let file = folder.join(format!("{n}.toml"));
        let begun = Instant::now();
        std::fs::write(&file, format!("[keys.edit{n}]\nkey = \"{}\"\n", key(n))).unwrap();
        until("the file to be included", || has_key(&loaded.app, n)).await;
        loaded.delays.push(begun.elapsed());
        let mut begun = Instant::now();
        if n == 0 {
            // Empty for a moment is how a save looks.
            let text = std::fs::read(&file).unwrap();
            std::fs::write(&file, "").unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
            assert!(has_key(&loaded.app, n));
            std::fs::write(&file, text).unwrap();
        }
        // One that goes again before anybody has seen it come back was never there.
        if n > 0 {
            begun = Instant::now();
        }
        std::fs::remove_file(&file).unwrap();
        until("the file to be gone", || !has_key(&loaded.app, n)).await;
        assert!(
            begun.elapsed() >= Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
    assert_eq!(loaded.generation(), loaded.first + 2 * times as u64);
    loaded.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_included_file_comes_and_goes() {
    // A file that goes is waited for, so that the twenty are shared by four gateways.
    let one = || added_and_removed(TIMES / 4);
    tokio::join!(one(), one(), one(), one());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_file_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, key(999)).unwrap();
    let mut from = toml::Table::new();
    from.insert("file".to_owned(), file.to_str().unwrap().into());
    let mut loaded = Loaded::start(usual().at(&["keys", "rotated"], "key", from)).await;
    for n in 0..TIMES {
        let begun = Instant::now();
        if n % 2 == 0 {
            renamed(&file, &key(n));
        } else {
            std::fs::write(&file, key(n)).unwrap();
        }
        let ask = async |n| {
            let request =
                loaded
                    .app
                    .request_as(OpenAi, &key(n), &OpenAi.saying(FLASH, "hi", false));
            Got::read(request).await.status
        };
        within("the new key", async {
            while ask(n).await != 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(ask(if n == 0 { 999 } else { n - 1 }).await, 401);
        loaded.delays.push(begun.elapsed());
    }
    // The files say what they said: it is the same generation.
    assert_eq!(loaded.generation(), loaded.first);
    loaded.end().await;
}

/// Whether an unprivileged namespace with mounts of its own can be had here.
fn namespaces() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["-rm", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

/// `agp serve` where one file is mounted over another one, and its log.
fn mounted(outside: &Path, inside: &Path, log: &Path) -> Running {
    let line = format!(
        "mount --bind '{}' '{}/agp.toml' && exec '{}' serve 2>'{}'",
        outside.display(),
        inside.display(),
        env!("CARGO_BIN_EXE_agp"),
        log.display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "sh", "-c", &line]).current_dir(inside);
    Running::start(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_mounted_by_itself() {
    if !namespaces() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED a_file_that_is_mounted_by_itself: no unprivileged namespaces here"
        );
        return;
    }
    let tasks = agp::base::task::Tasks::new();
    let sim = simulate(&json!({}), &tasks).await;
    let dir = tempfile::tempdir().unwrap();
    let (outside, inside) = (dir.path().join("host.toml"), dir.path().join("etc"));
    let log = dir.path().join("log.txt");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("agp.toml"), "").unwrap();
    let listen = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().to_string()
    };
    let setup = usual().unlimited().set("server", "listen", listen.clone());
    std::fs::write(&outside, setup.text(&sim.url())).unwrap();
    let serving = mounted(&outside, &inside, &log);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = async || {
        let asked = client.get(format!("http://{listen}/healthz")).send().await;
        let text = asked.ok()?.text().await.ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok()
    };
    let generation = async |wanted: u64| {
        within("a generation", async {
            while health().await.is_none_or(|h| h["generation"] != wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    generation(1).await;
    let mut delays = Vec::new();
    for n in 0..TIMES {
        let begun = Instant::now();
        let changed = setup.clone().at(&["keys", "edit"], "key", key(n));
        std::fs::write(&outside, changed.text(&sim.url())).unwrap();
        generation(2 + n as u64).await;
        delays.push(begun.elapsed());
    }
    assert!(
        delays.iter().min().unwrap() < &Duration::from_secs(1),
        "{delays:?}"
    );
    // A broken text is told, and changes nothing.
    std::fs::write(&outside, "version = \n").unwrap();
    within("the refusal", async {
        while health().await.is_none_or(|h| h["reload"] != "refused") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    generation(1 + TIMES as u64).await;
    let said = std::fs::read_to_string(&log).unwrap();
    for word in [
        "mounted by itself",
        "agp.toml:1:",
        "is refused: the one before stays in force",
    ] {
        assert!(said.contains(word), "no `{word}` in {said}");
    }
    assert_eq!(serving.terminate().await, 0);
}

#[tokio::test]
async fn a_hangup_reads_the_files_again() {
    let tasks = agp::base::task::Tasks::new();
    let sim = simulate(&json!({}), &tasks).await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("agp.toml");
    std::fs::write(&root, usual().text(&sim.url())).unwrap();
    let serving = Running::start(agp(dir.path(), &["serve"]));
    until("the admin socket", || {
        dir.path().join("data/agp.sock").exists()
    })
    .await;
    let read = async || {
        let left = run(agp(dir.path(), &["status", "--json"]), "").await;
        let status: serde_json::Value = serde_json::from_str(&left.out).unwrap_or_default();
        status["config"]["read"].as_str().map(str::to_owned)
    };
    let before = read().await;
    let hangup = std::process::Command::new("kill")
        .args(["-HUP", &serving.id().to_string()])
        .status();
    assert!(hangup.unwrap().success());
    within("the files to be read", async {
        while read().await == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(serving.terminate().await, 0);
}

#[tokio::test]
async fn a_burst_is_one_change() {
    let mut app = TestApp::start(usual().unlimited(), json!({})).await;
    // The first look of the watcher is over.
    app.setup = app.setup.clone().at(&["keys", "edit0"], "key", key(0));
    app.save();
    until("the edit to take effect", || has_key(&app, 0)).await;
    let generation = app.runtime().snapshot().generation;
    for n in 1..=TIMES {
        app.setup = app
            .setup
            .clone()
            .at(&["keys", &format!("edit{n}")], "key", key(n));
        renamed(&app.root(), &app.setup.text(&app.sim.url()));
    }
    until("the last edit to take effect", || has_key(&app, TIMES)).await;
    let generations = app.runtime().snapshot().generation - generation;
    // On a busy machine a burst may last for longer than it is waited for.
    assert!(generations < TIMES as u64 / 2, "{generations}");
}
