//! The texts of an earlier generation made fit to take the place of the present ones: a key, or a token of the admin API,
//! that has been revoked since stays revoked. Pure; [`crate::config::edit`] does the edits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::base::id::{KeyId, hex};
use crate::base::time::Timestamp;
use crate::config::edit::{self, Edited, Intent, Literal, Refused, Section};
use crate::config::model::{AdminToken, Config, Key, KeyValue, SecretRef};
use crate::config::source::Files;
use crate::config::{load_at, quote_key};

/// How a key was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Its table is gone.
    Deleted,
    /// It has another value now.
    Replaced,
    /// It is disabled, or has expired.
    Disabled,
    /// It may do less: a token.
    Narrowed,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "stays deleted",
            Self::Replaced => "keeps its present value",
            Self::Disabled => "stays disabled",
            Self::Narrowed => "keeps its present role",
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Reverted {
    /// The files and what they say.
    pub edited: Edited,
    /// Keys and tokens that the texts would have accepted again, and that are not. Keys by the names of their tables, tokens by
    /// their paths: `admin.tokens.NAME`.
    pub kept: Vec<(String, Revoked)>,
    /// Those that are accepted again, since they were named.
    pub restored: Vec<String>,
}

/// Why it can't be done.
#[derive(Debug, thiserror::Error)]
pub enum NotReverted {
    /// The texts can't be edited, or have errors.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What was named has not been revoked since.
    #[error(
        "`{0}` is no key and no token that has been revoked since: there is nothing to restore"
    )]
    NotRevoked(String),
}

/// Makes the texts of `then` fit to follow what is there: of each key and token that they accept and one of `present` does
/// not, by its value, what revoked it is done to them too, unless `restore` names it.
///
/// # Errors
/// See [`NotReverted`].
pub fn revert(
    then: &Files,
    present: &[&Config],
    restore: &BTreeSet<String>,
    env: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Reverted, NotReverted> {
    let pairs = env.iter().map(|(k, v)| (k.clone(), v.clone()));
    let loaded = load_at(then, pairs, now);
    let Some(config) = &loaded.config else {
        return Err(NotReverted::Refused(Refused::Invalid {
            before: true,
            files: Box::new(then.clone()),
            diagnostics: loaded.diagnostics,
        }));
    };
    let (mut kept, mut restored, mut intents) = (Vec::new(), Vec::new(), Vec::new());
    for (id, key) in config.keys.iter().filter(|(_, key)| accepted(key, now)) {
        let id: &KeyId = id;
        let Some(by) = present.iter().find(|config| !accepts(config, key, now)) else {
            continue;
        };
        let name = id.as_str().to_owned();
        if restore.contains(&name) {
            restored.push(name);
        } else {
            let revoked = revoke(&name, key, by.keys.get(id), now, &mut intents);
            kept.push((name, revoked));
        }
    }
    for (name, token) in &config.admin.tokens {
        let tokens = present.iter().map(|config| &config.admin.tokens);
        let Some(by) = tokens.into_iter().find(|tokens| !admits(tokens, token)) else {
            continue;
        };
        let path = format!("admin.tokens.{}", quote_key(name));
        if restore.contains(&path) {
            restored.push(path);
        } else {
            kept.push((path, withhold(name, token, by, &mut intents)));
        }
    }
    if let Some(unknown) = restore.iter().find(|name| !restored.contains(name)) {
        return Err(NotReverted::NotRevoked(unknown.clone()));
    }
    let edited = if intents.is_empty() {
        Edited {
            changes: Vec::new(),
            files: then.clone(),
            loaded,
        }
    } else {
        edit::edit(then, env, then.revision(), &intents, now)?
    };
    Ok(Reverted {
        edited,
        kept,
        restored,
    })
}

/// What is to be done to a key's table, so that the key stays revoked. `today` is the table of the same name.
fn revoke(
    name: &str,
    key: &Key,
    today: Option<&Key>,
    now: Timestamp,
    intents: &mut Vec<Intent>,
) -> Revoked {
    let disable = Intent::set(["keys", name, "enabled"], false);
    let Some(today) = today else {
        intents.push(Intent::Delete {
            section: Section::Keys,
            name: name.to_owned(),
            // Nothing refers to a key.
            mentions: false,
        });
        return Revoked::Deleted;
    };
    if same(&key.value, &today.value) {
        intents.push(disable);
        return Revoked::Disabled;
    }
    // The present value takes the place of the old one, where it can be written down from here.
    let field = |value: &KeyValue| match value {
        KeyValue::Sha256(_) => "sha256",
        KeyValue::Key(_) => "key",
    };
    let Some(value) = literal(&today.value) else {
        intents.push(disable);
        return Revoked::Disabled;
    };
    let (old, new) = (field(&key.value), field(&today.value));
    if old != new {
        intents.push(Intent::remove(["keys", name, old]));
    }
    intents.push(Intent::set(["keys", name, new], value));
    if !accepted(today, now) {
        intents.push(disable);
    }
    Revoked::Replaced
}

type Tokens = BTreeMap<String, AdminToken>;

/// Whether this token may do at least as much, under any name.
fn admits(tokens: &Tokens, token: &AdminToken) -> bool {
    let mut tokens = tokens.values();
    tokens.any(|known| known.sha256 == token.sha256 && known.role >= token.role)
}

/// What is to be done to a token's table, so that the token may do no more than by the tokens of today.
fn withhold(name: &str, token: &AdminToken, today: &Tokens, intents: &mut Vec<Intent>) -> Revoked {
    let set = |key: &str, value: &str| Intent::set(["admin", "tokens", name, key], value);
    let same = today.values().find(|known| known.sha256 == token.sha256);
    if let Some(same) = same {
        intents.push(set("role", same.role.as_str()));
        return Revoked::Narrowed;
    }
    let Some(other) = today.get(name) else {
        intents.push(Intent::remove(["admin", "tokens", name]));
        return Revoked::Deleted;
    };
    intents.push(set("sha256", &hex(&other.sha256)));
    intents.push(set("role", other.role.as_str()));
    Revoked::Replaced
}

/// A key's value as the file writes it; `None` where it is in a file, whose path depends on where it is written.
fn literal(value: &KeyValue) -> Option<Literal> {
    let reference = |kind: &str, text: &str| {
        let entry = (kind.to_owned(), Literal::from(text));
        Literal::table([entry])
    };
    match value {
        KeyValue::Sha256(digest) => Some(Literal::from(hex(digest).as_str())),
        KeyValue::Key(SecretRef::Plain(text)) => Some(Literal::from(text.expose())),
        KeyValue::Key(SecretRef::Env(name)) => Some(reference("env", name)),
        KeyValue::Key(SecretRef::Sealed(text)) => Some(reference("sealed", text)),
        KeyValue::Key(SecretRef::File(_)) => None,
    }
}

fn accepted(key: &Key, now: Timestamp) -> bool {
    key.enabled && key.expires.is_none_or(|at| now < at)
}

/// Whether a configuration accepts what this key's value is, under any name.
fn accepts(config: &Config, key: &Key, now: Timestamp) -> bool {
    let mut keys = config.keys.values();
    keys.any(|known| same(&known.value, &key.value) && accepted(known, now))
}

/// Whether two values are the same key, as far as the files tell.
fn same(one: &KeyValue, other: &KeyValue) -> bool {
    let digest = |value: &KeyValue| match value {
        KeyValue::Sha256(digest) => Some(*digest),
        KeyValue::Key(SecretRef::Plain(text)) => Some(Sha256::digest(text.expose()).into()),
        KeyValue::Key(_) => None,
    };
    match (digest(one), digest(other)) {
        (Some::<[u8; 32]>(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
