//! A folder in which the built program serves, with the simulator that its file names.

use std::path::Path;
use std::time::Duration;

use agp::base::task::Tasks;
use agp::sim::Sim;
use serde_json::Value;

use super::client::Dialect;
use super::process::{Running, agp};
use super::setup::{KEY, Setup};
use super::{simulate, within};

/// The folder.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    pub(crate) sim: Sim,
    pub(crate) client: reqwest::Client,
    listen: String,
}

impl Place {
    /// Writes the file. Whoever serves in the folder takes the same address.
    pub(crate) async fn new(setup: Setup, script: &Value) -> Self {
        let sim = simulate(script, &Tasks::new()).await;
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = socket.local_addr().unwrap().to_string();
        let setup = setup.set("server", "listen", listen.clone());
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agp.toml"), setup.text(&sim.url())).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            dir,
            sim,
            client,
            listen,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn serve(&self) -> Running {
        Running::start(agp(self.path(), &["serve"]))
    }

    /// Waits until the gateway takes requests.
    pub(crate) async fn ready(&self) {
        within("the gateway to be ready", async {
            let url = format!("http://{}/readyz", self.listen);
            while !matches!(self.client.get(&url).send().await, Ok(r) if r.status() == 200) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// A request that says one thing.
    pub(crate) fn ask(
        &self,
        dialect: Dialect,
        model: &str,
        text: &str,
        stream: bool,
    ) -> reqwest::RequestBuilder {
        let body = dialect.saying(model, text, stream).to_string();
        let url = format!("http://{}{}", self.listen, dialect.path());
        dialect.with_key(self.client.post(url).body(body), KEY)
    }
}
