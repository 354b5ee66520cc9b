//! One value of a field, and the marks of secrets.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::base::id::hex;
use crate::base::time::Timestamp;
use crate::base::units::{parse_duration, parse_size, show_duration, show_size};
use crate::config::tree::quote_text;

/// What stands in for a secret.
pub(super) const HIDDEN: &str = "••••";

/// The key that secrets are marked with: two marks under one key are equal where the secrets are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkKey([u8; 32]);

impl MarkKey {
    /// A key of these bytes. Marks that leave the program need a random one, so that no table of digests made before
    /// tells the secret.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A random key.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn random() -> Result<Self, String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| format!("no randomness for a comparison: {e}"))?;
        Ok(Self(bytes))
    }

    pub(super) fn mark(&self, what: &str, bytes: &[u8]) -> String {
        let mut digest = Sha256::new();
        digest.update(self.0);
        digest.update(what.as_bytes());
        digest.update([0]);
        digest.update(bytes);
        hex(&digest.finalize())
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey")
    }
}

/// One field's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Fact {
    /// A text, a word, a flag.
    Word {
        /// As TOML writes it.
        text: String,
    },
    /// A number, a duration, a size, a time.
    Amount {
        /// As TOML writes it.
        text: String,
        /// To tell what is more; of a duration its seconds, of a time its milliseconds.
        value: f64,
    },
    /// A list of texts.
    List {
        /// Its items.
        items: Vec<String>,
    },
    /// A secret.
    Secret {
        /// Where its value is.
        place: String,
        /// Equal where the secret is.
        mark: String,
    },
}

impl Fact {
    /// As TOML writes it; a secret hidden.
    pub fn shown(&self) -> String {
        match self {
            Self::Word { text } | Self::Amount { text, .. } => text.clone(),
            Self::List { items } => {
                let quoted: Vec<String> = items.iter().map(|item| quote_text(item)).collect();
                format!("[{}]", quoted.join(", "))
            }
            Self::Secret { place, .. } => place.clone(),
        }
    }

    pub(in crate::config::plan) fn items(&self) -> &[String] {
        match self {
            Self::List { items } => items,
            _ => &[],
        }
    }

    pub(super) fn text(text: &str) -> Self {
        let text = quote_text(text);
        Self::Word { text }
    }

    pub(super) fn flag(is: bool) -> Self {
        let text = is.to_string();
        Self::Word { text }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "which of two is more; that they differ is told by their texts"
    )]
    pub(super) fn count(n: u64) -> Self {
        Self::Amount {
            text: n.to_string(),
            value: n as f64,
        }
    }

    pub(super) fn number(n: f64) -> Self {
        Self::Amount {
            text: n.to_string(),
            value: n,
        }
    }

    pub(super) fn time(duration: Duration) -> Self {
        Self::Amount {
            text: quote_text(&show_duration(duration)),
            value: duration.as_secs_f64(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as for counts")]
    pub(super) fn size(bytes: u64) -> Self {
        Self::Amount {
            text: quote_text(&show_size(bytes)),
            value: bytes as f64,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as for counts")]
    pub(super) fn moment(at: Timestamp) -> Self {
        Self::Amount {
            text: at.to_string(),
            value: at.as_millis() as f64,
        }
    }

    pub(super) fn list<T: AsRef<str>>(items: &[T]) -> Self {
        let items = items.iter().map(|item| item.as_ref().to_owned()).collect();
        Self::List { items }
    }

    /// A value that nothing uses so far, of whose type only the form is known.
    pub(super) fn written(text: &str) -> Self {
        let bare = text.trim_matches('"');
        #[expect(clippy::cast_precision_loss, reason = "as for counts")]
        let value = match text.parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) if bare.len() == text.len() => None,
            Err(_) => parse_duration(bare)
                .map(|d| d.as_secs_f64())
                .or_else(|_| parse_size(bare).map(|n| n as f64))
                .ok(),
        };
        let text = text.to_owned();
        match value {
            Some(value) => Self::Amount { text, value },
            None => Self::Word { text },
        }
    }
}
