//! Every value in force and where it came from: a file's line, a variable, or the default. Secrets are masked; where one is
//! found is not secret.

use std::path::PathBuf;

use toml::{Table, Value as Toml};

use crate::config::diagnostic::Span;
use crate::config::mask::{MASK, has_user, is_secret};
use crate::config::model::{Config, Kind};
use crate::config::pending;
use crate::config::schema::Shape;
use crate::config::source::Files;
use crate::config::tree::{KeyPath, Node, Origin, Seg, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody gave it.
    Default,
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// An environment variable of this name.
    Variable(String),
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The table that it stands in, as its header would be written; empty for the root's own.
    pub table: String,
    /// Its key in that table, with dots.
    pub key: String,
    /// The value, masked where it is secret.
    pub value: Toml,
    /// Where it came from.
    pub source: Source,
    /// Whether anything uses it so far.
    pub in_effect: bool,
}

impl Setting {
    /// The whole path of its key.
    pub fn path(&self) -> String {
        if self.table.is_empty() {
            self.key.clone()
        } else {
            format!("{}.{}", self.table, self.key)
        }
    }
}

/// All of them, in the file's canonical order; what has neither a value nor a default is left out.
pub(crate) fn settings(files: &Files, tree: &Node, config: &Config) -> Vec<Setting> {
    let mut walk = Walk {
        files,
        config,
        found: Vec::new(),
    };
    walk.table(Shape::root(), Some(tree), &KeyPath::default());
    walk.found
}

struct Walk<'a> {
    files: &'a Files,
    config: &'a Config,
    found: Vec<Setting>,
}

impl Walk<'_> {
    fn table(&mut self, shape: Shape, node: Option<&Node>, path: &KeyPath) {
        for (key, child) in shape.keys() {
            let node = node.and_then(|node| node.child(&key.into()));
            self.entry(child, node, &path.with(key));
        }
        if shape.is_named() {
            for (key, node) in node.into_iter().flat_map(Node::entries) {
                if let Some(shape) = shape.child(key) {
                    self.entry(shape, Some(node), &path.with(key));
                }
            }
        }
    }

    fn entry(&mut self, shape: Shape, node: Option<&Node>, path: &KeyPath) {
        let section = path.0.len() == 1 && !shape.is_named();
        match node {
            _ if shape.is_table() && (section || node.is_some()) => self.table(shape, node, path),
            Some(_) if shape.is_named() => self.table(shape, node, path),
            Some(node) => {
                let value = masked(plain(node, shape), path);
                self.push(path, value, self.source(node));
            }
            None => {
                let value = default(shape).or_else(|| self.derived(path));
                if let Some(Toml::Table(table)) = value {
                    for (key, value) in table {
                        self.push(&path.with(&key), value, Source::Default);
                    }
                } else if let Some(value) = value {
                    self.push(path, value, Source::Default);
                }
            }
        }
    }

    fn push(&mut self, path: &KeyPath, value: Toml, source: Source) {
        let header = match path.keys().first() {
            Some(&("upstreams" | "accounts" | "groups" | "keys" | "models")) => 2,
            _ => path.0.len().min(2) - 1,
        };
        let (table, key) = path.0.split_at(header);
        self.found.push(Setting {
            table: KeyPath(table.to_vec()).to_string(),
            key: KeyPath(key.to_vec()).to_string(),
            value,
            source,
            in_effect: !pending::covers(&path.keys()),
        });
    }

    fn source(&self, node: &Node) -> Source {
        match &node.origin {
            Origin::Env(name) => Source::Variable(name.to_string()),
            Origin::File(id) => {
                let span = Span {
                    file: *id,
                    range: node.key_span.clone(),
                };
                Source::File {
                    path: self
                        .files
                        .get(*id)
                        .map(|f| f.path.clone())
                        .unwrap_or_default(),
                    line: self.files.position(&span).line,
                }
            }
        }
    }

    /// What follows from other values where nothing is given.
    fn derived(&self, path: &KeyPath) -> Option<Toml> {
        let texts = |list: &[String]| Toml::from(list.to_vec());
        let shared = |key: &str| {
            let mut found = self.found.iter();
            let routing = found.find(|s| s.table == "routing" && s.key == key);
            routing.map(|setting| setting.value.clone())
        };
        match path.keys()[..] {
            ["keys", name, "name"] => Some(name.into()),
            ["accounts", _, "max_concurrent"] => shared("max_concurrent_per_account"),
            ["models", _, "strategy"] => shared("strategy"),
            ["upstreams", name, key] => {
                let upstream = self.config.upstreams.get(name)?;
                let setup = upstream.kind == Kind::Antigravity;
                match key {
                    "base_urls" => Some(texts(&upstream.base_urls)),
                    "setup_urls" if setup => Some(texts(&upstream.setup_urls)),
                    "user_agent" => Some(upstream.user_agent.as_str().into()),
                    "discover" => Some(upstream.discover.into()),
                    _ => None,
                }
            }
            ["upstreams", name, "oauth", key] => {
                let oauth = self.config.upstreams.get(name)?.oauth.as_ref()?;
                match key {
                    "auth_url" => Some(oauth.auth_url.as_str().into()),
                    "token_url" => Some(oauth.token_url.as_str().into()),
                    "userinfo_url" => Some(oauth.userinfo_url.as_str().into()),
                    "scopes" => Some(texts(&oauth.scopes)),
                    "redirect_url" => Some(oauth.redirect_uri.as_str().into()),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The schema's default.
fn default(shape: Shape) -> Option<Toml> {
    let text = format!("x = {}", shape.default_text()?);
    text.parse::<Table>().ok()?.remove("x")
}

/// A node's value. A variable's text is what its key asks for: a text, else what it is as TOML.
fn plain(node: &Node, shape: Shape) -> Toml {
    match &node.value {
        Value::Int(n) => i64::try_from(*n).unwrap_or(i64::MAX).into(),
        Value::Float(n) => (*n).into(),
        Value::Bool(b) => (*b).into(),
        Value::Date(date) => (*date).into(),
        Value::Array(list) => Toml::Array(list.iter().map(|node| plain(node, shape)).collect()),
        Value::Table(table) => table
            .iter()
            .map(|(key, node)| (key.clone(), plain(node, shape)))
            .collect::<Table>()
            .into(),
        Value::Env(_, Some(parsed)) if !shape.is_text() => plain(parsed, shape),
        Value::Str(text) | Value::Env(text, _) => text.as_str().into(),
    }
}

/// The value without what is secret in it. Where a secret is found, by variable or file, is told.
fn masked(value: Toml, path: &KeyPath) -> Toml {
    // The certificate's key is named by the path of its file.
    let names_file = path.keys() == ["server", "tls", "key"];
    match value {
        Toml::String(text) if (is_secret(path) && !names_file) || has_user(&text) => MASK.into(),
        Toml::Table(table) => table
            .into_iter()
            .map(|(key, value)| {
                let named = matches!(key.as_str(), "env" | "file") && value.is_str();
                let shown = if named {
                    value
                } else {
                    masked(value, &path.with(Seg::Key(key.clone())))
                };
                (key, shown)
            })
            .collect::<Table>()
            .into(),
        Toml::Array(list) => list
            .into_iter()
            .map(|v| masked(v, path))
            .collect::<Vec<_>>()
            .into(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::effective;

    fn all(text: &str, env: &[(&str, &str)]) -> Vec<Setting> {
        let files = Files::from_texts([("agp.toml".into(), text.to_owned())]);
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let (loaded, settings) = effective(&files, env);
        assert!(loaded.config.is_some(), "{:#?}", loaded.diagnostics);
        settings
    }

    fn shown(settings: &[Setting], path: &str) -> (String, Source) {
        let setting = settings.iter().find(|s| s.path() == path);
        let setting = setting.unwrap_or_else(|| panic!("no `{path}` in {settings:#?}"));
        (setting.value.to_string(), setting.source.clone())
    }

    fn line(line: usize) -> Source {
        Source::File {
            path: "agp.toml".into(),
            line,
        }
    }

    const TEXT: &str = r#"version = 1
[server]
listen = "127.0.0.1:80"
[upstreams.u]
kind = "antigravity"
oauth = { client_id = "id", client_secret = { env = "SECRET" } }
proxy = "http://u:hunter2@h"
headers = { x-key = "hunter2" }
[accounts.a]
upstream = "u"
refresh_token = "hunter2 in clear"
[accounts.b]
upstream = "u"
refresh_token = { sealed = "agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==" }
tags = ["x"]
[keys."the key"]
key = { file = "k" }
expires = 2100-01-01
[models.m]
route = ["u/x"]
thinking = { budget = 5 }
"#;

    #[test]
    fn each_value_says_where_it_came_from() {
        let env = [
            ("AGP__ROUTING__STRATEGY", "random"),
            ("AGP__ROUTING__MAX_ATTEMPTS", "7"),
            ("AGP__LOG__LEVEL", "5"),
        ];
        let settings = all(TEXT, &env);
        let variable = |name: &str| Source::Variable(name.to_owned());
        for (path, value, source) in [
            ("version", "1", line(1)),
            ("server.listen", "\"127.0.0.1:80\"", line(3)),
            ("server.max_body", "\"32MiB\"", Source::Default),
            (
                "routing.strategy",
                "\"random\"",
                variable("AGP__ROUTING__STRATEGY"),
            ),
            (
                "routing.max_attempts",
                "7",
                variable("AGP__ROUTING__MAX_ATTEMPTS"),
            ),
            ("upstreams.u.connect_timeout", "\"30s\"", Source::Default),
            (
                "upstreams.u.oauth.redirect_url",
                "\"http://localhost:80/oauth-callback\"",
                Source::Default,
            ),
            ("upstreams.u.discover", "false", Source::Default),
            ("accounts.b.tags", "[\"x\"]", line(15)),
            ("accounts.b.weight", "1.0", Source::Default),
            ("keys.\"the key\".expires", "2100-01-01", line(18)),
            ("models.m.strategy", "\"random\"", Source::Default),
            ("models.m.thinking", "{ budget = 5 }", line(21)),
        ] {
            assert_eq!(shown(&settings, path), (value.to_owned(), source), "{path}");
        }
        // A key that asks for a text gets one.
        assert!(settings.iter().all(|s| !s.path().starts_with("groups")));
    }

    #[test]
    fn secrets_are_masked_and_their_places_are_not() {
        let settings = all(
            TEXT,
            &[("AGP__ADMIN__JWT_SECRET", "hunter2 hunter2 hunter2")],
        );
        for (path, value) in [
            ("accounts.a.refresh_token", "\"••••\""),
            ("accounts.b.refresh_token", "{ sealed = \"••••\" }"),
            ("upstreams.u.proxy", "\"••••\""),
            ("upstreams.u.headers.x-key", "\"••••\""),
            ("upstreams.u.oauth.client_secret", "{ env = \"SECRET\" }"),
            ("keys.\"the key\".key", "{ file = \"k\" }"),
            ("admin.jwt_secret", "\"••••\""),
        ] {
            assert_eq!(shown(&settings, path).0, value, "{path}");
        }
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert!(!format!("{settings:?}").contains("aHVudGVy"));
    }

    #[test]
    fn every_default_of_a_section_is_there() {
        let settings = all("version = 1", &[]);
        let given: Vec<&Setting> = settings
            .iter()
            .filter(|s| s.source != Source::Default)
            .collect();
        assert_eq!(given.len(), 1, "{given:?}");
        assert!(settings.len() > 45, "{}", settings.len());
        let lines: Vec<String> = settings
            .iter()
            .map(|s| format!("{} = {}", s.path(), s.value))
            .collect();
        let text = lines.join("\n");
        let again = all(&text, &[]);
        let values = |settings: &[Setting]| -> Vec<(String, Toml)> {
            settings
                .iter()
                .map(|s| (s.path(), s.value.clone()))
                .collect()
        };
        assert_eq!(values(&again), values(&settings));
    }
}
