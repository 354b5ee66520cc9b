//! What the simulator does: the script, its rules and behaviours, as read from JSON or TOML. docs/simulator.md describes every key.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use wildmatch::WildMatch;

use crate::base::units::parse_duration;

/// A script: who the accounts are, how the OAuth client is called, and what happens to which call.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) settings: Settings,
    pub(super) defaults: Behaviour,
    pub(super) rules: Vec<Rule>,
    source: Value,
}

/// The keys of a script that are not behaviours.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) lenient: bool,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) expires_in: u64,
    pub(super) rotate_refresh: bool,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) quota: Map<String, Value>,
    pub(super) deprecated: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lenient: false,
            client_id: "sim-client".to_owned(),
            client_secret: "sim-secret".to_owned(),
            expires_in: 3599,
            rotate_refresh: false,
            accounts: BTreeMap::new(),
            quota: Map::new(),
            deprecated: BTreeMap::new(),
        }
    }
}

/// One account of a script. An account that no script names is as [`Account::default`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Account {
    pub(super) name: Option<String>,
    pub(super) project: Option<String>,
    pub(super) tier: String,
    pub(super) paid_tier: Option<String>,
    pub(super) onboarded: bool,
    pub(super) onboard_polls: u32,
    pub(super) onboard_project: bool,
    pub(super) ineligible: Option<String>,
    pub(super) validation_url: Option<String>,
    pub(super) revoked: bool,
    pub(super) expires_in: Option<u64>,
    pub(super) quota: Map<String, Value>,
    pub(super) models: Option<Vec<String>>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            name: None,
            project: None,
            tier: "free-tier".to_owned(),
            paid_tier: None,
            onboarded: true,
            onboard_polls: 1,
            onboard_project: true,
            ineligible: None,
            validation_url: None,
            revoked: false,
            expires_in: None,
            quota: Map::new(),
            models: None,
        }
    }
}

/// A duration as the script wrote it, since error bodies repeat the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) value: Duration,
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let value = parse_duration(&text).map_err(serde::de::Error::custom)?;
        Ok(Self { text, value })
    }
}

/// A behaviour that is switched on by `true`, or from some chunk on by that chunk's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Switch {
    On(bool),
    After(usize),
}

/// What kind of answer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerKind {
    Echo,
    Think,
    Tools,
    Image,
    Empty,
}

/// The form of an error's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    Bare,
    RetryInfo,
    MetadataDelay,
    Timestamp,
    RetryAfter,
    Text,
    QuotaExhausted,
    PerMinute,
    PerDay,
    LimitZero,
    Credits,
    Capacity,
    Validation,
    ServiceDisabled,
    TermsOfService,
    Nested,
    List,
    Html,
    Plain,
    NoBody,
}

/// A call to be made: only the tool's name, or the whole of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum CallSpec {
    Name(String),
    Whole {
        name: String,
        #[serde(default)]
        args: Option<Value>,
        #[serde(default)]
        id: Option<String>,
    },
}

/// Declares the behaviour struct with the merge of two of them, so that no field can be forgotten in it.
macro_rules! behaviour {
    ($($(#[$doc:meta])* $field:ident: $kind:ty,)*) => {
        /// What happens to a call. An absent field leaves the matter to the script's own top level, then to the default.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct Behaviour {
            $($(#[$doc])* pub(super) $field: Option<$kind>,)*
        }

        impl Behaviour {
            /// This behaviour, with `base`'s fields where this has none.
            fn over(self, base: &Self) -> Self {
                Self { $($field: self.$field.or_else(|| base.$field.clone()),)* }
            }
        }
    };
}

behaviour! {
    answer: AnswerKind,
    text: String,
    thoughts: String,
    calls: Vec<CallSpec>,
    spread_calls: bool,
    call_ids: bool,
    raw: String,
    answer_bytes: usize,
    finish: String,
    prompt_blocked: String,
    usage: bool,
    cached_tokens: u64,
    chunks: usize,
    chunk_bytes: usize,
    chunk_delay: Span,
    first_byte_delay: Span,
    pause_until_released: Switch,
    stall: Switch,
    cut: Switch,
    truncate: Switch,
    reset: Switch,
    drop: bool,
    odd_borders: bool,
    error_in_stream: Switch,
    status: u16,
    form: Form,
    delay: Span,
    message: String,
    reason: String,
    metadata: Map<String, Value>,
    link: String,
    body: String,
    content_type: String,
    headers: BTreeMap<String, String>,
    oauth_error: String,
    revoke: bool,
}

/// One rule: whom it concerns, how often it fires, and what it does.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    account: WildMatch,
    model: WildMatch,
    host: WildMatch,
    /// None: the two methods that generate.
    method: Option<WildMatch>,
    pub(super) times: Option<u32>,
    pub(super) skip: u32,
    pub(super) behaviour: Behaviour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    #[serde(default = "anything")]
    account: String,
    #[serde(default = "anything")]
    model: String,
    #[serde(default = "anything")]
    host: String,
    method: Option<String>,
    times: Option<u32>,
    #[serde(default)]
    skip: u32,
    #[serde(rename = "do")]
    behaviour: Behaviour,
}

fn anything() -> String {
    "*".to_owned()
}

impl Rule {
    /// Whether the rule concerns this call.
    pub(super) fn concerns(&self, account: &str, model: &str, host: &str, method: &str) -> bool {
        let method_fits = match &self.method {
            None => matches!(method, "generateContent" | "streamGenerateContent"),
            Some(pattern) => pattern.matches(method),
        };
        method_fits
            && self.host.matches(host)
            && self.account.matches(account)
            && self.model.matches(model)
    }
}

/// The keys of [`Settings`], by which a script's top level is told apart.
const SETTINGS: &[&str] = &[
    "lenient",
    "client_id",
    "client_secret",
    "expires_in",
    "rotate_refresh",
    "accounts",
    "quota",
    "deprecated",
];

impl Default for Script {
    /// Echo for everybody, strict.
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            defaults: Behaviour::default(),
            rules: Vec::new(),
            source: Value::Object(Map::new()),
        }
    }
}

impl Script {
    /// Reads a script: JSON where the text begins with `{`, else TOML. docs/simulator.md lists the keys.
    ///
    /// # Errors
    /// A sentence that names the key at fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let source: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|e| format!("the script is not JSON: {e}"))?
        } else {
            toml::from_str(text).map_err(|e| format!("the script is not TOML: {e}"))?
        };
        Self::from_value(source)
    }

    /// Reads a script that was parsed as JSON already.
    ///
    /// # Errors
    /// A sentence that names the key at fault.
    pub(super) fn from_value(source: Value) -> Result<Self, String> {
        let Value::Object(all) = source.clone() else {
            return Err("expected the script to be an object".to_owned());
        };
        let mut settings = Map::new();
        let mut defaults = Map::new();
        let mut rules = Vec::new();
        for (key, value) in all {
            if key == "rules" {
                rules = serde_path_to_error::deserialize::<_, Vec<RuleText>>(value)
                    .map_err(|e| format!("in `rules`: {e}"))?;
            } else if SETTINGS.contains(&key.as_str()) {
                settings.insert(key, value);
            } else {
                defaults.insert(key, value);
            }
        }
        let settings: Settings = serde_path_to_error::deserialize(Value::Object(settings))
            .map_err(|e| format!("in the script: {e}"))?;
        let defaults: Behaviour = serde_path_to_error::deserialize(Value::Object(defaults))
            .map_err(|e| format!("in the script: {e}"))?;
        let rules = rules
            .into_iter()
            .map(|rule| Rule {
                account: WildMatch::new(&rule.account),
                model: WildMatch::new(&rule.model),
                host: WildMatch::new(&rule.host),
                method: rule.method.as_deref().map(WildMatch::new),
                times: rule.times,
                skip: rule.skip,
                behaviour: rule.behaviour.over(&defaults),
            })
            .collect();
        Ok(Self {
            settings,
            defaults,
            rules,
            source,
        })
    }

    /// The script as it was given.
    pub(super) fn source(&self) -> &Value {
        &self.source
    }

    /// The e-mail addresses the script names, `alice@example.com` and `bob@example.com` where it names none.
    pub fn accounts(&self) -> Vec<String> {
        if self.settings.accounts.is_empty() {
            return vec!["alice@example.com".to_owned(), "bob@example.com".to_owned()];
        }
        self.settings.accounts.keys().cloned().collect()
    }

    /// The OAuth client's id.
    pub fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// The OAuth client's secret, which protects nothing.
    pub fn client_secret(&self) -> &str {
        &self.settings.client_secret
    }

    /// What is known of an account.
    pub(super) fn account(&self, email: &str) -> Account {
        self.settings
            .accounts
            .get(email)
            .cloned()
            .unwrap_or_default()
    }

    /// The project of an account.
    pub(super) fn project(&self, email: &str) -> String {
        self.settings
            .accounts
            .get(email)
            .and_then(|a| a.project.clone())
            .unwrap_or_else(|| {
                let name = email.strip_suffix("@example.com").unwrap_or(email);
                format!("sim-project-{}", name.replace(['@', '.'], "-"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let json = Script::parse(
            r#"{"chunk_delay":"20ms","rules":[{"account":"a*","times":2,"do":{"status":429,"delay":"34s"}}]}"#,
        )
        .unwrap();
        let toml = Script::parse(
            "chunk_delay = \"20ms\"\n[[rules]]\naccount = \"a*\"\ntimes = 2\ndo = { status = 429, delay = \"34s\" }\n",
        )
        .unwrap();
        for script in [json, toml] {
            let rule = &script.rules[0];
            assert!(rule.concerns("alice", "m", "main", "generateContent"));
            assert!(!rule.concerns("bob", "m", "main", "generateContent"));
            assert!(!rule.concerns("alice", "m", "main", "countTokens"));
            assert_eq!(rule.behaviour.delay.as_ref().unwrap().text, "34s");
            let delay = rule.behaviour.chunk_delay.as_ref().unwrap().value;
            assert_eq!(delay, Duration::from_millis(20));
        }
    }

    #[test]
    fn unknown_keys_are_named() {
        let top = Script::parse(r#"{"chunk_dealy":"20ms"}"#).unwrap_err();
        assert!(top.contains("chunk_dealy"), "{top}");
        let inner = Script::parse(r#"{"rules":[{"do":{"stats":1}}]}"#).unwrap_err();
        assert!(
            inner.contains("stats") && inner.contains("[0].do"),
            "{inner}"
        );
        let span = Script::parse(r#"{"chunk_delay":"soon"}"#).unwrap_err();
        assert!(span.contains("soon"), "{span}");
    }
}
