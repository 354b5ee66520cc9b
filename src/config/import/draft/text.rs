//! The draft's text, in the order of agp-toml.md.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::base::id::hex;
use crate::base::secret::Secret;
use crate::config::import::draft::{
    ANTIGRAVITY, Account, Credential, Draft, Key, KeyValue, Model, Thinking, Upstream, Value,
};
use crate::config::{quote_key, quote_text};

/// The sections and those of their keys that imports set, in the order in which they are written.
const ORDER: &[(&str, &[&str])] = &[
    ("server", &["listen", "max_body", "keepalive", "tls"]),
    ("log", &["level", "format"]),
    (
        "admin",
        &["enabled", "password_hash", "jwt_secret", "time_zone"],
    ),
    ("state", &["path"]),
    (
        "routing",
        &[
            "strategy",
            "affinity",
            "default_model",
            "max_concurrent_per_account",
            "max_concurrent_per_model",
            "capacity_cooldown",
            "max_cooldown",
            "max_attempts",
            "retry_within",
            "total_timeout",
        ],
    ),
    ("openai", &["thinking_output"]),
];

impl Draft {
    /// The text. `secret` writes a secret's own value.
    ///
    /// # Errors
    /// Where `secret` fails.
    pub(in crate::config::import) fn text(
        &self,
        from: &str,
        secret: &dyn Fn(&Secret) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut out = Text {
            text: format!(
                "# Made by `agp import --from {from}`. Check it with `agp validate --strict`.\nversion = 1\n"
            ),
            secret,
        };
        self.sections(&mut out)?;
        for (name, upstream) in &self.upstreams {
            out.upstream(name, upstream, self.models.is_empty());
        }
        let mut priorities: HashMap<&str, BTreeSet<i64>> = HashMap::new();
        for account in &self.accounts {
            let of_upstream = priorities.entry(&account.upstream).or_default();
            of_upstream.insert(account.priority);
        }
        for account in &self.accounts {
            let of_upstream = priorities.get(account.upstream.as_str());
            let before = of_upstream.map_or(0, |all| all.range(account.priority + 1..).count());
            out.account(account, before + 1)?;
        }
        for key in &self.keys {
            out.key(key);
        }
        for model in &self.models {
            out.model(model);
        }
        Ok(out.text)
    }

    fn sections(&self, out: &mut Text<'_>) -> Result<(), String> {
        for (section, keys) in ORDER {
            let mut set: Vec<_> = self.settings.iter().filter(|s| s.0 == *section).collect();
            set.sort_by_key(|(_, key, ..)| keys.iter().position(|k| k == key));
            if !set.is_empty() {
                out.head(section, None);
            }
            for (_, key, value, comment) in set {
                if let Some(comment) = comment {
                    out.line(&format!("# {comment}"));
                }
                let value = out.value(value)?;
                out.entry(key, &value);
            }
        }
        Ok(())
    }
}

/// The text so far.
struct Text<'a> {
    text: String,
    secret: &'a dyn Fn(&Secret) -> Result<String, String>,
}

impl Text<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn head(&mut self, table: &str, name: Option<&str>) {
        let name = name.map_or_else(String::new, |name| format!(".{}", quote_key(name)));
        self.line(&format!("\n[{table}{name}]"));
    }

    fn entry(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn maybe(&mut self, key: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.entry(key, &quote_text(text));
        }
    }

    fn number(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.entry(key, &number.to_string());
        }
    }

    fn value(&self, value: &Value) -> Result<String, String> {
        Ok(match value {
            Value::Text(text) => quote_text(text),
            Value::Int(number) => number.to_string(),
            Value::Flag(is) => is.to_string(),
            Value::Secret(credential) => self.credential(credential)?,
            Value::Texts(pairs) => inline(pairs),
        })
    }

    fn credential(&self, credential: &Credential) -> Result<String, String> {
        Ok(match credential {
            Credential::Env(name) => reference("env", name),
            Credential::File(path) => reference("file", path),
            Credential::Own(secret) => (self.secret)(secret)?,
        })
    }

    fn upstream(&mut self, name: &str, upstream: &Upstream, no_models: bool) {
        self.head("upstreams", Some(name));
        self.entry("kind", &quote_text(upstream.kind));
        if let Some(url) = &upstream.base_url {
            self.entry("base_urls", &list(std::slice::from_ref(url)));
        }
        if upstream.kind == ANTIGRAVITY {
            self.line(
                "# Your own OAuth client: the one that the refresh tokens below were given to.",
            );
            self.entry(
                "oauth",
                &format!(
                    "{{ client_id = {}, client_secret = {} }}",
                    reference("env", "AGP_OAUTH_CLIENT_ID"),
                    reference("env", "AGP_OAUTH_CLIENT_SECRET")
                ),
            );
        }
        if !upstream.headers.is_empty() {
            let headers = inline(&upstream.headers);
            self.entry("headers", &headers);
        }
        self.maybe("proxy", upstream.proxy.as_ref());
        self.maybe("connect_timeout", upstream.connect_timeout.as_ref());
        self.maybe("location", upstream.location.as_ref());
        // Without any model it is the default.
        if upstream.discover && !no_models {
            self.entry("discover", "true");
        }
    }

    fn account(&mut self, account: &Account, tier: usize) -> Result<(), String> {
        self.head("accounts", Some(&account.name));
        self.entry("upstream", &quote_text(&account.upstream));
        self.maybe("email", account.email.as_ref());
        let credential = self.credential(&account.credential)?;
        self.entry(account.holds, &credential);
        if let Some(weight) = account.weight {
            self.entry("weight", &format!("{weight:?}"));
        }
        if tier > 1 {
            self.entry("tier", &tier.to_string());
        }
        self.number("max_concurrent", account.max_concurrent);
        if let Some(models) = &account.models {
            self.entry("models", &list(models));
        }
        self.maybe("project", account.project.as_ref());
        if !account.enabled {
            self.entry("enabled", "false");
        }
        Ok(())
    }

    fn key(&mut self, key: &Key) {
        self.head("keys", Some(&key.name));
        self.maybe("name", key.title.as_ref());
        match &key.value {
            KeyValue::Sha256(digest) => self.entry("sha256", &quote_text(&hex(digest))),
            KeyValue::Env(name) => self.entry("key", &reference("env", name)),
        }
        if !key.enabled {
            self.entry("enabled", "false");
        }
    }

    fn model(&mut self, model: &Model) {
        self.head("models", Some(&model.name));
        let route: Vec<String> = model
            .route
            .iter()
            .map(|(upstream, name)| format!("{upstream}/{name}"))
            .collect();
        self.entry("route", &list(&route));
        if !model.aliases.is_empty() {
            self.entry("aliases", &list(&model.aliases));
        }
        match model.thinking {
            None => {}
            Some(Thinking::Off) => self.entry("thinking", "\"off\""),
            Some(Thinking::High) => self.entry("thinking", "{ level = \"high\" }"),
            Some(Thinking::Budget(budget)) => {
                self.entry("thinking", &format!("{{ budget = {budget} }}"));
            }
        }
        self.maybe("display_name", model.display_name.as_ref());
        self.number("context", model.context);
        self.number("max_output", model.max_output);
        if let Some((input, output, cached)) = model.price {
            let cached = cached.map_or_else(String::new, |n| format!(", cached_input = {n:?}"));
            self.entry(
                "price",
                &format!("{{ input = {input:?}, output = {output:?}{cached} }}"),
            );
        }
    }
}

/// `{ env = "NAME" }` and its like.
fn reference(form: &str, what: &str) -> String {
    format!("{{ {form} = {} }}", quote_text(what))
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quote_text(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn inline(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{} = {}", quote_key(key), quote_text(value)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}
