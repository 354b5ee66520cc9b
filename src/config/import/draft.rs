//! The file in the making: tables as they will stand there.

mod text;

use std::collections::HashMap;

use crate::base::secret::Secret;
use crate::config::import::names::Names;

/// The kind whose accounts people sign in to.
pub(super) const ANTIGRAVITY: &str = "antigravity";

/// A value of a key.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Int(u64),
    Flag(bool),
    Secret(Credential),
    /// An inline table of texts.
    Texts(Vec<(String, String)>),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// A secret: where it is, or itself, to be sealed.
#[derive(Clone, PartialEq)]
pub(super) enum Credential {
    Env(String),
    File(String),
    Own(Secret),
}

/// A table of `[upstreams]`.
#[derive(Clone, PartialEq, Default)]
pub(super) struct Upstream {
    pub(super) kind: &'static str,
    /// One at most; without it the kind's public ones.
    pub(super) base_url: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) proxy: Option<String>,
    pub(super) connect_timeout: Option<String>,
    pub(super) location: Option<String>,
    /// Whether what it lists is published besides `[models]`.
    pub(super) discover: bool,
}

impl Upstream {
    /// Whether both say the same but for what is published.
    fn is(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.base_url == other.base_url
            && self.headers == other.headers
            && self.proxy == other.proxy
            && self.connect_timeout == other.connect_timeout
            && self.location == other.location
    }
}

/// A table of `[accounts]`.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) upstream: String,
    pub(super) email: Option<String>,
    /// The key that holds the credential.
    pub(super) holds: &'static str,
    pub(super) credential: Credential,
    pub(super) weight: Option<f64>,
    /// Higher ones first, as the sources have it; becomes a tier among the accounts of its upstream.
    pub(super) priority: i64,
    pub(super) max_concurrent: Option<u64>,
    /// Names of the upstream's models; none is all.
    pub(super) models: Option<Vec<String>>,
    pub(super) project: Option<String>,
    pub(super) enabled: bool,
}

impl Account {
    pub(super) fn new(
        name: String,
        upstream: String,
        holds: &'static str,
        credential: Credential,
    ) -> Self {
        Self {
            name,
            upstream,
            email: None,
            holds,
            credential,
            weight: None,
            priority: 0,
            max_concurrent: None,
            models: None,
            project: None,
            enabled: true,
        }
    }
}

/// What tells a client's key.
#[derive(Clone, PartialEq)]
pub(super) enum KeyValue {
    Sha256([u8; 32]),
    Env(String),
}

/// A table of `[keys]`.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) value: KeyValue,
    pub(super) enabled: bool,
}

/// What `thinking` says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Thinking {
    Off,
    High,
    Budget(u32),
}

/// A table of `[models]`.
#[derive(Default)]
pub(super) struct Model {
    pub(super) name: String,
    /// Upstream and its model.
    pub(super) route: Vec<(String, String)>,
    pub(super) aliases: Vec<String>,
    pub(super) thinking: Option<Thinking>,
    pub(super) display_name: Option<String>,
    pub(super) context: Option<u64>,
    pub(super) max_output: Option<u64>,
    /// USD a million tokens: input, output, cached input.
    pub(super) price: Option<(f64, f64, Option<f64>)>,
}

/// The file in the making.
#[derive(Default)]
pub(super) struct Draft {
    /// Section, key, value, and a comment.
    pub(super) settings: Vec<(&'static str, &'static str, Value, Option<&'static str>)>,
    pub(super) upstreams: Vec<(String, Upstream)>,
    pub(super) accounts: Vec<Account>,
    pub(super) keys: Vec<Key>,
    pub(super) models: Vec<Model>,
    /// Where a model is, by its name.
    model_at: HashMap<String, usize>,
    upstream_names: Names,
    pub(super) account_names: Names,
    pub(super) key_names: Names,
}

impl Draft {
    /// Sets a key of a section.
    pub(super) fn set(&mut self, section: &'static str, key: &'static str, value: Value) {
        self.settings.push((section, key, value, None));
    }

    /// Sets `routing.max_attempts`, unless it is the default.
    pub(super) fn set_attempts(&mut self, calls: u64) {
        if calls != 4 {
            self.set("routing", "max_attempts", Value::Int(calls));
        }
    }

    /// Sets a key of a section and says why in a comment.
    pub(super) fn set_with(
        &mut self,
        section: &'static str,
        key: &'static str,
        value: Value,
        comment: &'static str,
    ) {
        self.settings.push((section, key, value, Some(comment)));
    }

    /// The name of an upstream just like this one, which is added where there is none.
    pub(super) fn upstream(&mut self, wanted: &str, mut upstream: Upstream) -> String {
        let own = match upstream.kind {
            "gemini" => "https://generativelanguage.googleapis.com",
            "anthropic" => "https://api.anthropic.com",
            "openai" => "https://api.openai.com/v1",
            _ => "",
        };
        upstream.base_url = upstream.base_url.filter(|url| url != own);
        let known = self.upstreams.iter_mut().find(|(_, u)| u.is(&upstream));
        if let Some((name, known)) = known {
            known.discover |= upstream.discover;
            return name.clone();
        }
        let name = self.upstream_names.take(wanted, upstream.kind);
        self.upstreams.push((name.clone(), upstream));
        name
    }

    /// The model of this name, added where there is none.
    pub(super) fn model(&mut self, name: &str) -> &mut Model {
        let known = self.model_at.get(name).copied();
        let at = known.unwrap_or_else(|| {
            self.models.push(Model {
                name: name.to_owned(),
                ..Model::default()
            });
            let at = self.models.len() - 1;
            self.model_at.insert(name.to_owned(), at);
            at
        });
        &mut self.models[at]
    }

    /// The model of this name, where there is one already.
    pub(super) fn known_model(&mut self, name: &str) -> Option<&mut Model> {
        let at = *self.model_at.get(name)?;
        self.models.get_mut(at)
    }

    /// Whether clients may ask for a model by this name.
    pub(super) fn serves(&self, name: &str) -> bool {
        self.models
            .iter()
            .any(|model| model.name == name || model.aliases.iter().any(|alias| alias == name))
    }

    /// The setting, where it was set.
    pub(super) fn setting(&self, section: &str, key: &str) -> Option<&Value> {
        self.settings
            .iter()
            .find(|(s, k, ..)| *s == section && *k == key)
            .map(|(_, _, value, _)| value)
    }
}
