//! A start waits for the process before it: a rolling restart cuts nobody off, and whoever stays is named.

use std::path::Path;
use std::process::{Command, Stdio};

use agp::base::task::Tasks;
use agp::sim::Sim;
use serde_json::{Value, json};

use crate::support::client::Dialect::OpenAi;
use crate::support::client::{Got, Stream};
use crate::support::process::{Running, agp, run};
use crate::support::setup::{KEY, Setup};
use crate::support::{PATIENCE, simulate, until, within};

const FLASH: &str = "gemini-2.5-flash";

/// A folder with a file in it that names a simulator.
struct Place {
    dir: tempfile::TempDir,
    sim: Sim,
    listen: String,
    client: reqwest::Client,
}

impl Place {
    async fn new(script: Value, drain_timeout: &str) -> Self {
        let sim = simulate(&script, &Tasks::new()).await;
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = socket.local_addr().unwrap().to_string();
        let setup = Setup::new(&["alice"])
            .set("server", "listen", listen.clone())
            .set("server", "drain_timeout", drain_timeout);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agp.toml"), setup.text(&sim.url())).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            dir,
            sim,
            listen,
            client,
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn serve(&self) -> Running {
        Running::start(agp(self.path(), &["serve"]))
    }

    async fn ready(&self) {
        within("the gateway to be ready", async {
            let url = format!("http://{}/readyz", self.listen);
            while !matches!(self.client.get(&url).send().await, Ok(r) if r.status() == 200) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    fn ask(&self, stream: bool) -> reqwest::RequestBuilder {
        let body = OpenAi.saying(FLASH, "hi", stream).to_string();
        let url = format!("http://{}{}", self.listen, OpenAi.path());
        OpenAi.with_key(self.client.post(url).body(body), KEY)
    }
}

#[tokio::test]
async fn a_new_process_waits_for_the_old_one_to_drain() {
    let script = json!({"rules": [{"method": "streamGenerateContent", "times": 1,
        "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let place = Place::new(script, &format!("{}s", PATIENCE.as_secs())).await;
    let old = place.serve();
    place.ready().await;
    let mut stream = Stream::open(OpenAi, place.ask(true)).await;
    assert_eq!(stream.text().await.as_deref(), Some("ab"));

    let log = place.path().join("new.log");
    let mut command = agp(place.path(), &["serve"]);
    command
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap());
    let mut new = command.spawn().unwrap();
    let told = || std::fs::read_to_string(&log).unwrap();
    until("the new one to wait", || {
        told().contains("waiting for the other process to end")
    })
    .await;
    if cfg!(target_os = "linux") {
        let holder = format!("`agp` (pid {})", old.id());
        assert!(told().contains(&holder), "no {holder} in {}", told());
    }

    let asked = Command::new("kill").arg(old.id().to_string()).status();
    assert!(asked.unwrap().success());
    place.sim.release();
    let speech = stream.rest().await;
    speech.assert_whole();
    assert_eq!(speech.text(), "abcd");
    let mut old = old;
    assert_eq!(old.wait().await, 0);
    place.ready().await;
    assert!(told().contains("the state is free"), "{}", told());
    assert_eq!(Got::read(place.ask(false)).await.status, 200);
    new.kill().unwrap();
    new.wait().unwrap();
}

#[tokio::test]
async fn a_start_gives_up_in_time_and_names_who_is_in_the_way() {
    let place = Place::new(json!({}), "300ms").await;
    let old = place.serve();
    place.ready().await;
    let left = run(agp(place.path(), &["serve"]), "").await;
    assert_eq!(left.code, 1, "{left:?}");
    let pid = old.id().to_string();
    let mut expected = vec!["agp.redb", "is in use", "`state.path`", "waited 0.3 s"];
    if cfg!(target_os = "linux") {
        expected.push(&pid);
    }
    for word in expected {
        assert!(left.err.contains(word), "no `{word}` in {}", left.err);
    }
    assert_eq!(Got::read(place.ask(false)).await.status, 200);
    assert_eq!(old.terminate().await, 0);
}
