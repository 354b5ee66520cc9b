//! The log's rows.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Origin};
use crate::base::id::{AccountId, Dialect, KeyId, ModelName, RequestId, UpstreamId};
use crate::base::money::Nanos;
use crate::base::time::Timestamp;
use crate::ir::Usage;

/// Most tries kept for one request.
pub const MAX_TRIES: usize = 64;
/// Most verdicts kept for one request.
pub const MAX_VERDICTS: usize = 256;
/// Most losses kept for one request: what [`crate::ir::Losses`] holds at most.
const MAX_LOSSES: usize = 32;
/// Longest free text (an upstream's words), in bytes.
const MAX_TEXT: usize = 500;
/// Longest name that a client or an upstream chose, in bytes.
const MAX_NAME: usize = 200;

/// One client request: a row of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The request's id, which tells when it began.
    #[serde(with = "request_id")]
    pub id: RequestId,
    /// When it ended.
    pub at: Timestamp,
    /// The client key; `None` where none was accepted.
    pub key: Option<KeyId>,
    /// The dialect it came in.
    pub dialect: Dialect,
    /// The model as the client wrote it.
    pub requested: String,
    /// The public model that this stands for; `None` where it stands for none. Sums are kept by this name, so that
    /// what clients invent makes no rows.
    pub model: Option<ModelName>,
    /// The upstream that served, or was tried last.
    pub upstream: Option<UpstreamId>,
    /// The account that served, or was tried last.
    pub account: Option<AccountId>,
    /// The upstream's id of the model that served, or was tried last.
    pub upstream_model: Option<String>,
    /// The status that the client was sent, 200 for a stream that began well.
    pub status: u16,
    /// What went wrong; `None` where nothing did.
    pub error: Option<ErrorNote>,
    /// Why the answer ended, by [`crate::ir::StopReason::as_str`].
    pub stop: Option<Cow<'static, str>>,
    /// Whether it was streamed.
    pub stream: bool,
    /// Token counts.
    #[serde(with = "UsageForm")]
    pub usage: Usage,
    /// From the request's begin to its end.
    pub latency_ms: u64,
    /// From the request's begin to the first content.
    pub first_token_ms: Option<u64>,
    /// How long it waited for a slot.
    pub queue_ms: u64,
    /// What could not be carried, as in [`crate::ir::Losses`].
    pub losses: Vec<String>,
    /// The calls that were made, in order. Kept in a table of their own; empty in lists.
    #[serde(skip)]
    pub tries: Vec<TryRecord>,
    /// What was decided of each account that was looked at.
    pub verdicts: Vec<Verdict>,
    /// How many more verdicts there were than are kept.
    pub more_verdicts: u32,
    /// What the answer cost, in billionths of a dollar; `None` where the model has no price.
    pub cost: Option<Nanos>,
}

impl LogRecord {
    /// A record of nothing yet.
    pub fn new(id: RequestId, at: Timestamp, dialect: Dialect) -> Self {
        Self {
            id,
            at,
            key: None,
            dialect,
            requested: String::new(),
            model: None,
            upstream: None,
            account: None,
            upstream_model: None,
            status: 0,
            error: None,
            stop: None,
            stream: false,
            usage: Usage::default(),
            latency_ms: 0,
            first_token_ms: None,
            queue_ms: 0,
            losses: Vec::new(),
            tries: Vec::new(),
            verdicts: Vec::new(),
            more_verdicts: 0,
            cost: None,
        }
    }

    /// Cuts every list and text to its bound.
    pub(in crate::store) fn bound(&mut self) {
        cut(&mut self.requested, MAX_NAME);
        if let Some(model) = &mut self.upstream_model {
            cut(model, MAX_NAME);
        }
        if let Some(error) = &mut self.error {
            cut(&mut error.message, MAX_TEXT);
            if let Some(detail) = &mut error.detail {
                cut(detail, MAX_TEXT);
            }
        }
        self.losses.truncate(MAX_LOSSES);
        for loss in &mut self.losses {
            cut(loss, MAX_NAME);
        }
        self.tries.truncate(MAX_TRIES);
        for call in &mut self.tries {
            cut(&mut call.model, MAX_NAME);
            cut(&mut call.host, MAX_NAME);
            cut(&mut call.detail, MAX_TEXT);
        }
        let more = self.verdicts.len().saturating_sub(MAX_VERDICTS);
        self.more_verdicts = self
            .more_verdicts
            .saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.verdicts.truncate(MAX_VERDICTS);
        for verdict in &mut self.verdicts {
            if verdict.text.len() > MAX_NAME {
                cut(verdict.text.to_mut(), MAX_NAME);
            }
        }
    }

    /// About how much memory it takes, in bytes.
    pub(in crate::store) fn weight(&self) -> usize {
        let error = self.error.as_ref().map_or(0, |e| {
            e.message.len() + e.detail.as_ref().map_or(0, String::len)
        });
        let losses: usize = self.losses.iter().map(|l| l.len() + 24).sum();
        let tries: usize = self
            .tries
            .iter()
            .map(|t| 200 + t.model.len() + t.host.len() + t.detail.len())
            .sum();
        let verdicts: usize = self.verdicts.iter().map(|v| 40 + v.text.len()).sum();
        400 + self.requested.len() + error + losses + tries + verdicts
    }
}

/// The error that a request ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorNote {
    /// [`crate::base::error::ErrorKind::as_str`].
    pub kind: Cow<'static, str>,
    /// Whose fault it was.
    #[serde(with = "OriginForm")]
    pub origin: Origin,
    /// What the client was told.
    pub message: String,
    /// More than the client was told.
    pub detail: Option<String>,
}

impl From<&Error> for ErrorNote {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind.as_str().into(),
            origin: error.origin,
            message: error.message.clone().into_owned(),
            detail: error.detail.clone(),
        }
    }
}

/// One call to an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryRecord {
    /// Its number within the request, from 1.
    pub n: u16,
    /// The upstream.
    pub upstream: UpstreamId,
    /// The account.
    pub account: AccountId,
    /// The upstream's id of the model.
    pub model: String,
    /// The host that was called.
    pub host: String,
    /// The HTTP status; `None` where there was none.
    pub status: Option<u16>,
    /// The failure's class by its name in table 9.3 of upstream-protocol.md; `None` where it served.
    pub class: Option<Cow<'static, str>>,
    /// From the call's begin to its end.
    pub latency_ms: u64,
    /// From the call's begin to the first byte of the answer.
    pub first_byte_ms: Option<u64>,
    /// The beginning of what came back, for the log only.
    pub detail: String,
    /// From the request's begin to the call's; `None` in rows of an agp that did not keep it.
    pub start_ms: Option<u64>,
}

/// What was decided of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The account.
    pub account: AccountId,
    /// The decision in words: chosen, cooling until, full.
    pub text: Cow<'static, str>,
}

/// Cuts a text to at most `limit` bytes, at a character's border.
pub(in crate::store) fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.shrink_to_fit();
    }
}

mod request_id {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::base::id::RequestId;

    pub(super) fn serialize<S: Serializer>(id: &RequestId, to: S) -> Result<S::Ok, S::Error> {
        id.as_u128().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RequestId, D::Error> {
        u128::deserialize(from).map(RequestId::from_u128)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Usage")]
struct UsageForm {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Origin")]
enum OriginForm {
    Client,
    Upstream,
    Gateway,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_bounded_whatever_the_client_sent() {
        let mut record = LogRecord::new(RequestId::from_u128(1), Timestamp(0), Dialect::Anthropic);
        record.requested = "é".repeat(1 << 20);
        record.losses = vec!["l".repeat(10_000); 1000];
        record.verdicts = vec![
            Verdict {
                account: "a".into(),
                text: "t".repeat(10_000).into(),
            };
            1000
        ];
        record.bound();
        assert_eq!(record.requested.len(), 200);
        assert_eq!(record.verdicts.len(), MAX_VERDICTS);
        assert_eq!(record.more_verdicts, 744);
        assert!(record.weight() < 100_000, "{}", record.weight());
    }
}
