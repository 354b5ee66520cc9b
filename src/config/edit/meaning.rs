//! What the files say, without places: what an edit is checked against. The intention is done to it here by itself, apart
//! from all splicing; the edited files must then say just that.

use std::collections::BTreeMap;

use toml_edit::Value;

use crate::config::edit::literal::Literal;
use crate::config::edit::{Intent, Section};
use crate::config::tree::{self, Node};

/// A value as it is meant.
#[derive(Clone, PartialEq)]
pub(super) enum Meaning {
    Text(String),
    Int(i128),
    /// By its bits, so that a value equals itself.
    Float(u64),
    Bool(bool),
    Date(String),
    List(Vec<Meaning>),
    Table(BTreeMap<String, Meaning>),
}

impl From<&Node> for Meaning {
    fn from(node: &Node) -> Self {
        match &node.value {
            tree::Value::Str(text) | tree::Value::Env(text, _) => Self::Text(text.clone()),
            tree::Value::Int(n) => Self::Int(*n),
            tree::Value::Float(n) => Self::Float(n.to_bits()),
            tree::Value::Bool(b) => Self::Bool(*b),
            tree::Value::Date(date) => Self::Date(date.to_string()),
            tree::Value::Array(list) => Self::List(list.iter().map(Self::from).collect()),
            tree::Value::Table(table) => {
                let entries = table.iter().map(|(key, node)| (key.clone(), node.into()));
                Self::Table(entries.collect())
            }
        }
    }
}

impl From<&Literal> for Meaning {
    fn from(literal: &Literal) -> Self {
        match literal.value() {
            Value::String(text) => Self::Text(text.value().clone()),
            Value::Integer(n) => Self::Int((*n.value()).into()),
            Value::Float(n) => Self::Float(n.value().to_bits()),
            Value::Boolean(b) => Self::Bool(*b.value()),
            Value::Datetime(date) => Self::Date(date.value().to_string()),
            Value::Array(list) => {
                Self::List(list.iter().map(|v| (&Literal::of(v)).into()).collect())
            }
            Value::InlineTable(table) => {
                let entries = table
                    .iter()
                    .map(|(key, v)| (key.to_owned(), (&Literal::of(v)).into()));
                Self::Table(entries.collect())
            }
        }
    }
}

impl Meaning {
    /// The value at a path.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| match value {
            Self::Table(table) => table.get(*key),
            _ => None,
        })
    }

    fn slot(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |value, key| match value {
            Self::Table(table) => table.get_mut(*key),
            _ => None,
        })
    }

    fn set(&mut self, path: &[&str], value: Self) {
        let (Self::Table(table), Some((first, rest))) = (self, path.split_first()) else {
            return;
        };
        if rest.is_empty() {
            table.insert((*first).to_owned(), value);
            return;
        }
        table
            .entry((*first).to_owned())
            .or_insert_with(|| Self::Table(BTreeMap::new()))
            .set(rest, value);
    }

    fn remove(&mut self, path: &[&str]) {
        let Some((last, up)) = path.split_last() else {
            return;
        };
        if let Some(Self::Table(table)) = self.slot(up) {
            table.remove(*last);
        }
    }

    fn list(&mut self, path: &[&str]) -> Option<&mut Vec<Self>> {
        match self.slot(path)? {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Does the intention.
    pub(super) fn apply(&mut self, intent: &Intent) {
        match intent {
            Intent::Set { path, value } => self.set(&segments(path), value.into()),
            Intent::Remove { path } => self.remove(&segments(path)),
            Intent::Add {
                section,
                name,
                values,
            } => {
                let table = values
                    .iter()
                    .map(|(key, value)| (key.clone(), value.into()));
                self.set(&[section.as_str(), name], Self::Table(table.collect()));
            }
            Intent::Rename { section, from, to } => self.rename(*section, from, to),
            Intent::Delete {
                section,
                name,
                mentions,
            } => {
                self.remove(&[section.as_str(), name]);
                if *mentions {
                    self.forget(*section, name);
                }
            }
            Intent::Insert { path, at, value } => {
                let value = value.into();
                if let Some(list) = self.list(&segments(path)) {
                    list.insert(at.unwrap_or(list.len()).min(list.len()), value);
                } else if self.get(&segments(path)).is_none() {
                    self.set(&segments(path), Self::List(vec![value]));
                }
            }
            Intent::Take { path, at } => {
                if let Some(list) = self.list(&segments(path)).filter(|list| *at < list.len()) {
                    list.remove(*at);
                }
            }
        }
    }

    fn rename(&mut self, section: Section, from: &str, to: &str) {
        if let Some(Self::Table(table)) = self.slot(&[section.as_str()])
            && let Some(entry) = table.remove(from)
        {
            table.insert(to.to_owned(), entry);
        }
        match section {
            Section::Accounts => self.each("keys", "accounts", &|text| swap(text, from, to)),
            Section::Groups => self.each("keys", "group", &|text| swap(text, from, to)),
            Section::Upstreams => {
                self.each("accounts", "upstream", &|text| swap(text, from, to));
                self.each("models", "route", &|text| {
                    if let Some((upstream, model)) = text.split_once('/')
                        && upstream == from
                    {
                        *text = format!("{to}/{model}");
                    }
                });
            }
            Section::Models => {
                self.each("keys", "models", &|text| swap(text, from, to));
                if let Some(Self::Text(text)) = self.slot(&["routing", "default_model"]) {
                    swap(text, from, to);
                }
            }
            Section::Keys => {}
        }
    }

    fn forget(&mut self, section: Section, name: &str) {
        let is = |text: &str| text == name;
        let route = |text: &str| text.split_once('/').is_some_and(|(first, _)| first == name);
        match section {
            Section::Accounts => self.drop_each("keys", "accounts", &is),
            Section::Groups => self.drop_each("keys", "group", &is),
            Section::Models => {
                self.drop_each("keys", "models", &is);
                let default = ["routing", "default_model"];
                if matches!(self.get(&default), Some(Self::Text(text)) if text == name) {
                    self.remove(&default);
                }
            }
            Section::Upstreams => self.drop_each("models", "route", &route),
            Section::Keys => {}
        }
    }

    /// Takes the texts for which `goes` holds from under a key of all tables of a section.
    fn drop_each(&mut self, section: &str, key: &str, goes: &dyn Fn(&str) -> bool) {
        let Some(Self::Table(entries)) = self.slot(&[section]) else {
            return;
        };
        for entry in entries.values_mut() {
            match entry.slot(&[key]) {
                Some(Self::Text(text)) if goes(text) => entry.remove(&[key]),
                Some(Self::List(list)) => {
                    list.retain(|item| !matches!(item, Self::Text(text) if goes(text)));
                }
                _ => {}
            }
        }
    }

    /// The texts under a key of all tables of a section.
    fn each(&mut self, section: &str, key: &str, change: &dyn Fn(&mut String)) {
        let Some(Self::Table(entries)) = self.slot(&[section]) else {
            return;
        };
        for entry in entries.values_mut() {
            match entry.slot(&[key]) {
                Some(Self::Text(text)) => change(text),
                Some(Self::List(list)) => {
                    for item in list {
                        if let Self::Text(text) = item {
                            change(text);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes away the tables on the way to a path that have nothing in them, the deepest first: whether such a table is
    /// still mentioned depends on how it was written.
    pub(super) fn prune(&mut self, path: &[&str]) {
        for n in (1..=path.len()).rev() {
            if matches!(self.get(&path[..n]), Some(Self::Table(table)) if table.is_empty()) {
                self.remove(&path[..n]);
            }
        }
    }
}

fn swap(text: &mut String, from: &str, to: &str) {
    if text == from {
        to.clone_into(text);
    }
}

/// A path's segments as texts.
pub(super) fn segments(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
