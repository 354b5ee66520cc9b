//! A configuration in the form in which two are compared: tables of fields, each as TOML writes it. It may leave the
//! program: of a secret there is only where it stands and a mark, which is a digest under a key of one comparison.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::model::{Config, Inert, SecretRef, Written};
use crate::config::tree::{quote_key, quote_text};

mod fact;
mod named;
mod sections;

use fact::HIDDEN;
pub use fact::{Fact, MarkKey};

/// What a table is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// `[server]` to `[fetch]`; the name is the table's.
    Settings,
    /// `[upstreams.*]`.
    Upstreams,
    /// `[accounts.*]`.
    Accounts,
    /// `[groups.*]`.
    Groups,
    /// `[keys.*]`.
    Keys,
    /// `[models.*]`.
    Models,
}

impl Section {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Settings,
        Self::Upstreams,
        Self::Accounts,
        Self::Groups,
        Self::Keys,
        Self::Models,
    ];

    /// Its name in the file; of the settings, a word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Upstreams => "upstreams",
            Self::Accounts => "accounts",
            Self::Groups => "groups",
            Self::Keys => "keys",
            Self::Models => "models",
        }
    }

    /// The path of one of its tables, as written in the file.
    pub fn path(self, name: &str) -> String {
        match self {
            Self::Settings => quote_key(name),
            _ => format!("{}.{}", self.as_str(), quote_key(name)),
        }
    }
}

/// The fields of a table by name. What is not given and has no default is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What stays where a table is only renamed: the mark of an account's credential or of a key's digest.
    pub identity: Option<String>,
    /// The fields; those of tables within are written with dots.
    pub fields: BTreeMap<String, Fact>,
}

impl Table {
    fn set(&mut self, field: &str, fact: Fact) {
        self.fields.insert(field.to_owned(), fact);
    }

    fn set_some(&mut self, field: &str, fact: Option<Fact>) {
        if let Some(fact) = fact {
            self.set(field, fact);
        }
    }

    pub(super) fn get(&self, field: &str) -> Option<&Fact> {
        self.fields.get(field)
    }

    pub(super) fn items(&self, field: &str) -> &[String] {
        self.get(field).map_or(&[], Fact::items)
    }

    /// The text of a word in quotes.
    pub(super) fn word(&self, field: &str) -> Option<&str> {
        match self.get(field)? {
            Fact::Word { text } => Some(text.trim_matches('"')),
            _ => None,
        }
    }

    pub(super) fn value(&self, field: &str) -> Option<f64> {
        match self.get(field)? {
            Fact::Amount { value, .. } => Some(*value),
            _ => None,
        }
    }

    pub(super) fn is(&self, field: &str) -> bool {
        self.word(field) == Some("true")
    }
}

/// The tables of one kind by name.
pub(super) type Tables = BTreeMap<String, Table>;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    key: MarkKey,
    sections: BTreeMap<Section, Tables>,
}

impl Facts {
    /// What `config` says. `folder` is that of the root file: files below it are told relative to it, so that the same
    /// texts in two folders say the same.
    pub fn of(config: &Config, folder: &Path, key: &MarkKey) -> Self {
        // Taken apart whole, so that a new table can't be forgotten in the two below.
        let Config {
            server: _,
            log: _,
            admin: _,
            state: _,
            secrets: _,
            routing: _,
            openai: _,
            upstreams: _,
            accounts: _,
            groups: _,
            keys: _,
            models: _,
            inert,
            locked: _,
        } = config;
        let maker = Maker { folder, key };
        let mut facts = Self {
            key: key.clone(),
            sections: BTreeMap::new(),
        };
        maker.sections(config, &mut facts);
        maker.named(config, &mut facts);
        for Inert { path, value } in inert {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let (section, name, rest) = match path.split_first() {
                Some((&"upstreams", [name, rest @ ..])) => (Section::Upstreams, *name, rest),
                Some((&"accounts", [name, rest @ ..])) => (Section::Accounts, *name, rest),
                Some((&"groups", [name, rest @ ..])) => (Section::Groups, *name, rest),
                Some((&"keys", [name, rest @ ..])) => (Section::Keys, *name, rest),
                Some((&"models", [name, rest @ ..])) => (Section::Models, *name, rest),
                Some((name, rest)) => (Section::Settings, *name, rest),
                None => continue,
            };
            let fact = match value {
                Written::One(text) => Fact::written(text),
                Written::List(items) => Fact::list(items),
                Written::Secret(secret) => maker.secret(secret),
            };
            let field: Vec<String> = rest.iter().map(|key| quote_key(key)).collect();
            facts.table(section, name).set(&field.join("."), fact);
        }
        facts
    }

    /// The key of this comparison.
    pub fn key(&self) -> &MarkKey {
        &self.key
    }

    /// Takes over from `running` what the environment holds there, whatever a file says: settings by their path.
    /// Gives the paths of those that would be something else without.
    pub fn hold<'l>(
        &mut self,
        running: &Self,
        locked: impl Iterator<Item = &'l String>,
    ) -> Vec<&'l String> {
        let mut held = Vec::new();
        for path in locked {
            let Some((name, wanted)) = path.split_once('.') else {
                continue;
            };
            let within = |field: &str| {
                field == wanted
                    || (field.strip_prefix(wanted)).is_some_and(|rest| rest.starts_with('.'))
                    || (wanted.strip_prefix(field)).is_some_and(|rest| rest.starts_with('.'))
            };
            let theirs = running.tables(Section::Settings).get(name);
            let theirs: BTreeMap<String, Fact> = theirs
                .into_iter()
                .flat_map(|table| &table.fields)
                .filter(|(field, _)| within(field))
                .map(|(field, fact)| (field.clone(), fact.clone()))
                .collect();
            let fields = &mut self.table(Section::Settings, name).fields;
            let own: BTreeMap<String, Fact> =
                fields.extract_if(.., |field, _| within(field)).collect();
            if own != theirs {
                held.push(path);
            }
            fields.extend(theirs);
        }
        held
    }

    pub(super) fn tables(&self, section: Section) -> &Tables {
        static NONE: Tables = Tables::new();
        self.sections.get(&section).unwrap_or(&NONE)
    }

    fn table(&mut self, section: Section, name: &str) -> &mut Table {
        let tables = self.sections.entry(section).or_default();
        tables.entry(name.to_owned()).or_default()
    }
}

/// What making facts needs.
struct Maker<'a> {
    folder: &'a Path,
    key: &'a MarkKey,
}

impl Maker<'_> {
    fn path(&self, path: &Path) -> String {
        let path = path.strip_prefix(self.folder).unwrap_or(path);
        quote_text(&path.to_string_lossy())
    }

    fn file(&self, path: &Path) -> Fact {
        let text = self.path(path);
        Fact::Word { text }
    }

    fn secret(&self, secret: &SecretRef) -> Fact {
        let (place, mark) = match secret {
            SecretRef::Env(name) => (format!("{{ env = {} }}", quote_text(name)), String::new()),
            SecretRef::File(path) => (format!("{{ file = {} }}", self.path(path)), String::new()),
            SecretRef::Sealed(text) => (
                format!("{{ sealed = \"{HIDDEN}\" }}"),
                self.key.mark("sealed", text.as_bytes()),
            ),
            SecretRef::Plain(secret) => (
                format!("\"{HIDDEN}\""),
                self.key.mark("plain", secret.expose().as_bytes()),
            ),
        };
        Fact::Secret { place, mark }
    }

    /// A value that may hold a secret.
    fn hidden(&self, text: &str) -> Fact {
        Fact::Secret {
            place: format!("\"{HIDDEN}\""),
            mark: self.key.mark("plain", text.as_bytes()),
        }
    }

    /// What a reference is known by.
    fn identity(&self, secret: &SecretRef) -> String {
        match self.secret(secret) {
            Fact::Secret { place, mark } => self
                .key
                .mark("identity", format!("{place} {mark}").as_bytes()),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
