//! A whole gateway with a simulated upstream behind it, and how tests talk to it.

pub(crate) mod admin;
pub(crate) mod client;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod setup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agp::app::App;
use agp::base::id::RequestId;
use agp::base::task::Tasks;
use agp::cli::serve;
use agp::runtime::Runtime;
use agp::runtime::account::AccountState;
use agp::runtime::controller::Places;
use agp::sim::{Script, Sim};
use agp::store::{Filter, LogRecord, MAX_PAGE};
use serde_json::Value;
use tempfile::TempDir;

use client::{Dialect, Got, Stream};
use setup::{KEY, Setup};

/// Longer than anything here takes on a busy machine: what is not there by then does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running gateway, its upstream, and its folder.
pub(crate) struct TestApp {
    pub(crate) sim: Sim,
    pub(crate) client: reqwest::Client,
    pub(crate) setup: Setup,
    pub(crate) dir: TempDir,
    /// The gateway's tasks.
    pub(crate) tasks: Tasks,
    app: Option<App>,
    /// Those of the simulator and of clients.
    others: Tasks,
}

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Waits until a condition holds that nobody tells of.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A script from its JSON.
pub(crate) fn script(value: &Value) -> Script {
    Script::parse(&value.to_string()).unwrap()
}

/// A simulator on a free port.
pub(crate) async fn simulate(value: &Value, tasks: &Tasks) -> Sim {
    let address = "127.0.0.1:0".parse().unwrap();
    Sim::start(address, script(value), tasks).await.unwrap()
}

impl TestApp {
    /// Starts a simulator by this script, and a gateway in front of it.
    pub(crate) async fn start(setup: Setup, value: Value) -> Self {
        if let Ok(level) = std::env::var("AGP_TEST_LOG") {
            let log = agp::config::model::Log {
                level,
                format: agp::config::model::LogFormat::Text,
            };
            agp::app::log::start(&log).unwrap();
        }
        let others = Tasks::new();
        let sim = simulate(&value, &others).await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut app = Self {
            sim,
            client,
            setup,
            dir: tempfile::tempdir().unwrap(),
            tasks: Tasks::new(),
            app: None,
            others,
        };
        app.save();
        app.boot().await;
        app
    }

    /// Writes the file in place.
    pub(crate) fn save(&self) {
        std::fs::write(self.root(), self.setup.text(&self.sim.url())).unwrap();
    }

    async fn boot(&mut self) {
        self.tasks = Tasks::new();
        let places = Places {
            root: self.root(),
            state_dir: self.dir.path().to_owned(),
        };
        let read = serve::read(&places).unwrap();
        let app = Box::pin(App::start(read, places, self.tasks.clone(), None)).await;
        self.app = Some(app.unwrap());
    }

    /// Drains and stops the gateway.
    pub(crate) async fn stop(&mut self) {
        if let Some(app) = self.app.take() {
            within("the end", app.stop(std::future::pending())).await;
        }
    }

    /// Takes the gateway out, to be stopped beside something else.
    pub(crate) fn take(&mut self) -> App {
        self.app.take().unwrap()
    }

    /// Stops the gateway and starts it again on the same folder.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.boot().await;
    }

    /// Runs something beside the test.
    pub(crate) fn aside<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.others.spawn(future)
    }

    /// The configuration file.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("agp.toml")
    }

    pub(crate) fn gateway(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.gateway().gateway().dispatcher.runtime
    }

    /// What the gateway knows of an account.
    pub(crate) fn account(&self, name: &str) -> Arc<AccountState> {
        Arc::clone(&self.runtime().snapshot().accounts[name])
    }

    /// An account's standing by its name in `agp status`.
    pub(crate) fn standing(&self, name: &str) -> &'static str {
        self.account(name).health().0.as_str()
    }

    /// How many requests wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.gateway().gateway().dispatcher.queue.len()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway().addr().unwrap())
    }

    /// Waits until the gateway has signed in to every account and heard of its quotas.
    pub(crate) async fn warm(&self) {
        let accounts = self.runtime().snapshot().accounts.len();
        within(
            "the first quotas",
            self.sim
                .until(|sim| calls(sim, "fetchAvailableModels") >= accounts),
        )
        .await;
    }

    /// How often a method of the upstream was called.
    pub(crate) fn calls(&self, method: &str) -> usize {
        calls(&self.sim, method)
    }

    /// The bodies of all generations that the upstream saw, oldest first.
    pub(crate) fn payloads(&self) -> Vec<Value> {
        let seen = self.sim.requests().into_iter();
        seen.filter(|call| call.method == "streamGenerateContent")
            .map(|call| call.body)
            .collect()
    }

    /// The accounts of all generations that the upstream saw, oldest first, by the names of their tables.
    pub(crate) fn served(&self) -> Vec<String> {
        let seen = self.sim.requests().into_iter();
        seen.filter(|call| call.method == "streamGenerateContent")
            .map(|call| call.account.replace("@example.com", ""))
            .collect()
    }

    /// A request with the usual key.
    pub(crate) fn request(&self, dialect: Dialect, body: &Value) -> reqwest::RequestBuilder {
        self.request_as(dialect, KEY, body)
    }

    /// A request with another key.
    pub(crate) fn request_as(
        &self,
        dialect: Dialect,
        key: &str,
        body: &Value,
    ) -> reqwest::RequestBuilder {
        let request = self
            .client
            .post(self.url(dialect.path()))
            .header("content-type", "application/json")
            .body(body.to_string());
        dialect.with_key(request, key)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, dialect: Dialect, body: &Value) -> Got {
        Got::read(self.request(dialect, body)).await
    }

    /// Says one thing and reads the whole answer.
    pub(crate) async fn say(&self, dialect: Dialect, model: &str, text: &str) -> Got {
        self.send(dialect, &dialect.saying(model, text, false))
            .await
    }

    /// Says one thing and begins to read the streamed answer.
    pub(crate) async fn stream(&self, dialect: Dialect, model: &str, text: &str) -> Stream {
        let body = dialect.saying(model, text, true);
        Stream::open(dialect, self.request(dialect, &body)).await
    }

    /// A request's row of the log, with its tries; `id` is its `x-request-id`. Waits for it.
    pub(crate) async fn log(&self, id: &str) -> LogRecord {
        let id = RequestId::parse(id).unwrap();
        let store = self.runtime().store.clone();
        within("a row of the log", async {
            loop {
                store.flush().await.unwrap();
                if let Some(record) = store.log_record(id).unwrap() {
                    return record;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    /// The tries of a request, each as `account class`, the last word `ok` where it went well.
    pub(crate) async fn tries(&self, id: &str) -> Vec<String> {
        let record = self.log(id).await;
        let tries = record.tries.iter();
        tries
            .map(|t| format!("{} {}", t.account, t.class.as_deref().unwrap_or("ok")))
            .collect()
    }

    /// Waits until so many rows are in the log, and gives them, newest first.
    pub(crate) async fn logs(&self, rows: usize) -> Vec<LogRecord> {
        let store = self.runtime().store.clone();
        within("rows of the log", async {
            loop {
                store.flush().await.unwrap();
                let page = store.query(&Filter::default(), None, MAX_PAGE).unwrap();
                if page.rows.len() >= rows {
                    return page.rows;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    /// What `/healthz` says.
    pub(crate) async fn health(&self) -> Value {
        let got = Got::read(self.client.get(self.url("/healthz"))).await;
        assert_eq!(got.status, 200);
        got.json()
    }
}

fn calls(sim: &Sim, method: &str) -> usize {
    sim.requests()
        .iter()
        .filter(|call| call.method == method)
        .count()
}
