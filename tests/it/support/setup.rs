//! The configuration file that a test wants, put together key by key.

use toml::{Table, Value};

/// The client key of every test, which protects nothing.
pub(crate) const KEY: &str = "test-client-key-that-protects-nothing-at-all";

/// The models of every test: each is served under the upstream's own name.
const MODELS: [&str; 7] = [
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3-flash",
    "gemini-3-pro-image",
    "claude-sonnet-4-5",
    "claude-sonnet-4-5-thinking",
    "gpt-oss-120b-medium",
];

/// A configuration file in the making.
#[derive(Debug, Clone)]
pub(crate) struct Setup(Table);

impl Setup {
    /// One upstream `sim`, these accounts, one key that may do everything. Times that tests wait for are short.
    pub(crate) fn new(accounts: &[&str]) -> Self {
        let setup = Self(Table::new())
            .top("version", 1)
            .set("server", "listen", "127.0.0.1:0")
            .set("server", "drain_timeout", "2s")
            .set("routing", "queue_timeout", "10s")
            .at(&["keys", "main"], "key", KEY)
            .at(&["upstreams", "sim"], "kind", "antigravity");
        let setup = accounts
            .iter()
            .fold(setup, |setup, name| setup.account(name));
        MODELS.iter().fold(setup, |setup, model| {
            setup.model(model, &format!("sim/{model}"))
        })
    }

    fn table(&mut self, path: &[&str]) -> &mut Table {
        path.iter().fold(&mut self.0, |table, name| {
            let inner = table.entry(*name).or_insert_with(|| Table::new().into());
            inner.as_table_mut().unwrap()
        })
    }

    fn top(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Sets a key of the table at this path.
    pub(crate) fn at(mut self, path: &[&str], key: &str, value: impl Into<Value>) -> Self {
        self.table(path).insert(key.to_owned(), value.into());
        self
    }

    /// Includes the files of this pattern.
    pub(crate) fn include(self, pattern: &str) -> Self {
        self.top("include", vec![pattern.to_owned()])
    }

    /// Sets a key of `[section]`.
    pub(crate) fn set(self, section: &str, key: &str, value: impl Into<Value>) -> Self {
        self.at(&[section], key, value)
    }

    /// Sets a key of `[routing]`.
    pub(crate) fn routing(self, key: &str, value: impl Into<Value>) -> Self {
        self.at(&["routing"], key, value)
    }

    /// Sets a key of the upstream.
    pub(crate) fn upstream(self, key: &str, value: impl Into<Value>) -> Self {
        self.at(&["upstreams", "sim"], key, value)
    }

    /// No limits of calls in flight.
    pub(crate) fn unlimited(self) -> Self {
        self.routing("max_concurrent_per_account", 0)
            .routing("max_concurrent_per_model", 0)
    }

    /// Adds the account that is NAME@example.com to the simulator.
    pub(crate) fn account(self, name: &str) -> Self {
        self.at(&["accounts", name], "upstream", "sim").at(
            &["accounts", name],
            "refresh_token",
            format!("sim-refresh-{name}"),
        )
    }

    /// Sets a key of an account.
    pub(crate) fn account_set(self, name: &str, key: &str, value: impl Into<Value>) -> Self {
        self.at(&["accounts", name], key, value)
    }

    /// Adds a model.
    pub(crate) fn model(self, name: &str, route: &str) -> Self {
        self.at(&["models", name], "route", vec![route.to_owned()])
    }

    /// Takes a table or key out.
    pub(crate) fn without(mut self, path: &[&str], key: &str) -> Self {
        self.table(path).remove(key);
        self
    }

    /// The names of the models.
    pub(crate) fn models(&mut self) -> Vec<String> {
        self.table(&["models"]).keys().cloned().collect()
    }

    /// The file, for a simulator at this address. What a test set of the upstream stays.
    pub(crate) fn text(&self, sim: &str) -> String {
        let mut whole = self.clone();
        let upstreams: Vec<String> = whole.table(&["upstreams"]).keys().cloned().collect();
        for name in upstreams {
            let table = whole.table(&["upstreams", &name]);
            table
                .entry("base_urls")
                .or_insert_with(|| vec![sim.to_owned()].into());
            let oauth = table
                .entry("oauth")
                .or_insert_with(|| Table::new().into())
                .as_table_mut()
                .unwrap();
            for (key, value) in [
                ("client_id", "sim-client".to_owned()),
                ("client_secret", "sim-secret".to_owned()),
                ("auth_url", format!("{sim}/o/oauth2/v2/auth")),
                ("token_url", format!("{sim}/token")),
                ("userinfo_url", format!("{sim}/oauth2/v2/userinfo")),
            ] {
                oauth.entry(key).or_insert_with(|| value.into());
            }
            // `SIM` stands for the simulator's address, which a test does not know beforehand.
            for key in ["base_urls", "setup_urls"] {
                let hosts = table.get_mut(key).and_then(Value::as_array_mut);
                for host in hosts.into_iter().flatten() {
                    let text = host.as_str().unwrap().replace("SIM", sim);
                    *host = text.into();
                }
            }
        }
        toml::to_string(&whole.0).unwrap()
    }
}
