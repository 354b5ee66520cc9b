//! What edits make of texts.

mod corpus;
mod laws;
mod rules;
mod wishes;

use std::collections::BTreeMap;

use super::*;
use crate::config::source::Files;

fn file(text: &str) -> Files {
    Files::from_texts([("agp.toml".into(), text.to_owned())])
}

fn done(files: &Files, intents: &[Intent]) -> Result<Edited, Refused> {
    edit(
        files,
        &BTreeMap::new(),
        files.revision(),
        intents,
        Timestamp(0),
    )
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(|key| key.replace('%', ".")).collect()
}

fn set(at: &str, value: &str) -> Intent {
    Intent::Set {
        path: path(at),
        value: value.parse().unwrap(),
    }
}

fn remove(at: &str) -> Intent {
    Intent::Remove { path: path(at) }
}

fn add(section: Section, name: &str, values: &[(&str, &str)]) -> Intent {
    let values = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.parse().unwrap()));
    Intent::Add {
        section,
        name: name.to_owned(),
        values: values.collect(),
    }
}

fn rename(section: Section, from: &str, to: &str) -> Intent {
    Intent::Rename {
        section,
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

fn delete(section: Section, name: &str) -> Intent {
    Intent::Delete {
        section,
        name: name.to_owned(),
        mentions: false,
    }
}

fn purge(section: Section, name: &str) -> Intent {
    Intent::Delete {
        section,
        name: name.to_owned(),
        mentions: true,
    }
}

fn insert(at: &str, before: Option<usize>, value: &str) -> Intent {
    Intent::Insert {
        path: path(at),
        at: before,
        value: value.parse().unwrap(),
    }
}

fn take(at: &str, n: usize) -> Intent {
    Intent::Take {
        path: path(at),
        at: n,
    }
}
