//! What is kept, as plain values. Every text that a client or an upstream chose is cut to a bound before it is queued.

mod catalog;
mod log;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::id::{AccountId, KeyId, ModelName};
use crate::base::money::Nanos;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::ir::SignatureFamily;

pub use catalog::{CatalogModel, CatalogRecord, MAX_MODELS};
pub(super) use log::cut;
pub use log::{ErrorNote, LogRecord, MAX_TRIES, MAX_VERDICTS, TryRecord, Verdict};

/// Most call ids kept for one signature; the newest stay.
pub const MAX_CALL_IDS: usize = 64;
/// Longest free text (an upstream's words), in bytes.
const MAX_TEXT: usize = 500;
/// Longest link, in bytes.
const MAX_LINK: usize = 4096;

/// An account's access token, and its refresh token where that was rotated. Stored encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Whose it is.
    pub account: AccountId,
    /// SHA-256 over the configured credential and the OAuth client's id: another one in the file makes this record void.
    pub fingerprint: [u8; 32],
    /// The access token.
    pub access_token: Secret,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// The refresh token that replaces the configured one, once the provider rotated it.
    pub refresh_token: Option<Secret>,
}

/// What discovery found out about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Whose it is.
    pub account: AccountId,
    /// Of what credential this is known, as in [`TokenRecord::fingerprint`].
    pub fingerprint: [u8; 32],
    /// The provider's project.
    pub project: Option<String>,
    /// The provider's name for the plan.
    pub tier: Option<String>,
    /// Who signed in.
    pub email: Option<String>,
    /// Why the provider does not serve this account, in its words; `None` where it does.
    pub ineligible: Option<String>,
    /// When it was found out.
    pub at: Timestamp,
}

/// How much of a model an account has left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuotaRecord {
    /// Whose it is.
    pub account: AccountId,
    /// The upstream's id of the model.
    pub model: ModelName,
    /// 0 (none) to 1 (all); `None` where the upstream did not say.
    pub remaining: Option<f64>,
    /// When it is full again.
    pub reset: Option<Timestamp>,
    /// When it was learnt.
    pub at: Timestamp,
}

/// A cooldown, kept so that a restart does not ask an exhausted account again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CooldownRecord {
    /// Whose it is.
    pub account: AccountId,
    /// The upstream's id of the model; `None` for the whole account.
    pub model: Option<ModelName>,
    /// Not asked before this.
    pub until: Timestamp,
    /// The failure's class, by its name in table 9.3 of upstream-protocol.md.
    pub class: Cow<'static, str>,
    /// How many failures of this kind in a row: what doubling counts from.
    pub count: u32,
}

/// Why an account can't be used before a person acts, or that it is on trial: what the account machine says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRecord {
    /// Whose it is.
    pub account: AccountId,
    /// Of what credential this holds, as in [`TokenRecord::fingerprint`]: another one puts the account on trial again.
    pub fingerprint: [u8; 32],
    /// The state's name: `needs_login`, `needs_verification`, `disabled`, `paused`.
    pub state: Cow<'static, str>,
    /// Why, in words for people.
    pub reason: String,
    /// Where the provider wants a person to go.
    pub link: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Whose limits a record counts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BudgetOwner {
    /// A client key, by the SHA-256 of the whole key: a new name for it changes nothing.
    Key([u8; 32]),
    /// A group, by the name of its table.
    Group(Box<str>),
}

/// What was booked in a day or month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedRecord {
    /// When the period began.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// Tokens, input and output.
    pub tokens: u64,
    /// Money in billionths of a dollar.
    pub nanos: Nanos,
}

/// What a key or a group has used, and may have used since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRecord {
    /// Whose it is.
    pub owner: BudgetOwner,
    /// The day.
    pub day: BookedRecord,
    /// The month.
    pub month: BookedRecord,
    /// Tokens that were reserved on top of both: at least what was used since this was written. A start that finds them
    /// books them.
    pub open_tokens: u64,
    /// The same in money.
    pub open_nanos: Nanos,
    /// Since when no configuration names the owner.
    pub left: Option<Timestamp>,
}

impl StandingRecord {
    /// Cuts the texts to their bounds. A link that is too long is of no use in part, so it is dropped.
    pub(super) fn bound(&mut self) {
        log::cut(&mut self.reason, MAX_TEXT);
        self.link = self.link.take().filter(|link| link.len() <= MAX_LINK);
    }
}

/// A signature that a client may fail to return. upstream-protocol.md 13.3. Signature and thinking are stored encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureRecord {
    /// Whose conversation it belongs to: no key sees another's.
    pub key: KeyId,
    /// Whose signature it is.
    pub family: SignatureFamily,
    /// The upstream's signature, byte for byte.
    pub signature: String,
    /// The exact text it signs; `None` where it signs a call.
    pub thinking: Option<String>,
    /// The ids of the calls that it stands for, as the client was given them.
    pub call_ids: Vec<String>,
    /// When it was last made or used: it is forgotten a day later.
    pub at: Timestamp,
}

impl SignatureRecord {
    /// What it is stored under, beside the client key: see [`text_digest`] and [`call_digest`].
    pub fn digest(&self) -> [u8; 32] {
        match (&self.thinking, self.call_ids.first()) {
            (Some(text), _) => text_digest(self.family, text),
            (None, Some(id)) => call_digest(self.family, id),
            (None, None) => digest(self.family, 2, &self.signature),
        }
    }

    /// Adds the calls of an older record of the same digest: in order of appearance and at most [`MAX_CALL_IDS`]. The
    /// first stays, since the digest may stem from it; of the others the newest stay.
    pub(super) fn absorb_calls(&mut self, older: Vec<String>) {
        let mut ids = older;
        for id in self.call_ids.drain(..) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let surplus = ids.len().saturating_sub(MAX_CALL_IDS);
        if surplus > 0 {
            ids.drain(1..=surplus);
        }
        self.call_ids = ids;
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let ids: usize = self.call_ids.iter().map(|id| id.len() + 32).sum();
        200 + self.signature.len() + self.thinking.as_ref().map_or(0, String::len) + ids
    }
}

impl fmt::Debug for SignatureRecord {
    /// Thinking is a user's content: only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureRecord")
            .field("key", &self.key)
            .field("family", &self.family)
            .field("signature_bytes", &self.signature.len())
            .field("thinking_bytes", &self.thinking.as_ref().map(String::len))
            .field("call_ids", &self.call_ids)
            .field("at", &self.at)
            .finish()
    }
}

/// The digest under which a signed thinking text is stored.
pub fn text_digest(family: SignatureFamily, text: &str) -> [u8; 32] {
    digest(family, 0, text)
}

/// The digest under which the signature of a call without thinking is stored: of the first call it stands for.
pub fn call_digest(family: SignatureFamily, call_id: &str) -> [u8; 32] {
    digest(family, 1, call_id)
}

fn digest(family: SignatureFamily, kind: u8, text: &str) -> [u8; 32] {
    let family = match family {
        SignatureFamily::Claude => 0,
        SignatureFamily::Gemini => 1,
    };
    Sha256::new()
        .chain_update([family, kind])
        .chain_update(text)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(thinking: Option<&str>, calls: &[&str]) -> SignatureRecord {
        SignatureRecord {
            key: "k".into(),
            family: SignatureFamily::Claude,
            signature: "made-up-signature".into(),
            thinking: thinking.map(Into::into),
            call_ids: calls.iter().map(|c| (*c).to_owned()).collect(),
            at: Timestamp(1),
        }
    }

    #[test]
    fn digests_keep_texts_calls_and_families_apart() {
        let text = signature(Some("x"), &["y"]).digest();
        assert_eq!(text, text_digest(SignatureFamily::Claude, "x"));
        assert_ne!(text, text_digest(SignatureFamily::Gemini, "x"));
        assert_ne!(text, call_digest(SignatureFamily::Claude, "x"));
        assert_eq!(
            signature(None, &["a", "b"]).digest(),
            call_digest(SignatureFamily::Claude, "a")
        );
        assert_ne!(
            signature(None, &[]).digest(),
            signature(None, &["a"]).digest()
        );
    }

    #[test]
    fn the_debug_print_of_a_signature_shows_no_content() {
        let shown = format!("{:?}", signature(Some("private thoughts"), &["call"]));
        assert!(!shown.contains("private"), "{shown}");
        assert!(!shown.contains("made-up"), "{shown}");
    }

    #[test]
    fn calls_are_joined_and_the_newest_stay() {
        let mut record = signature(Some("x"), &["new", "both"]);
        record.absorb_calls((0..100).map(|n| format!("old{n}")).collect());
        assert_eq!(record.call_ids.len(), MAX_CALL_IDS);
        assert_eq!(record.call_ids[MAX_CALL_IDS - 2..], ["new", "both"]);
        assert_eq!(record.call_ids[0], "old0");
        let mut record = signature(Some("x"), &["first", "second"]);
        record.absorb_calls(vec!["first".into(), "third".into()]);
        assert_eq!(record.call_ids, ["first", "third", "second"]);
    }
}
