//! The one error that a client can be told. Each dialect renders it in its own shape (`wire`).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What went wrong, in the terms in which clients are told. Each dialect's renderer maps it to status, type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can't be served as it is: 400.
    BadRequest,
    /// The prompt is longer than the model takes: 400 with the words that agents look for.
    ContextTooLong,
    /// The request leans on a conversation that the server would have to hold: 400 with the code on which clients send the
    /// whole conversation instead.
    ThreadUnsupported,
    /// No client key was given: 401.
    MissingKey,
    /// The client key is unknown, disabled or expired: 401.
    InvalidKey,
    /// The key is good but may not do this: 403.
    Forbidden,
    /// No such model, or not for this key: 404.
    UnknownModel,
    /// No such path: 404.
    NotFound,
    /// The path exists, the method is wrong: 405.
    MethodNotAllowed,
    /// The body is larger than allowed: 413.
    TooLarge,
    /// The body is not of a kind that is read here: 415.
    UnsupportedMedia,
    /// Too many requests for now: 429.
    RateLimited,
    /// A quota is used up: 429.
    QuotaExhausted,
    /// The model has no capacity: 503, Anthropic's 529.
    Overloaded,
    /// Nobody can serve this at present, for a reason that is not the client's: 503.
    Unavailable,
    /// The upstream failed or broke its protocol: 502.
    UpstreamFailed,
    /// The upstream did not answer in time: 504.
    TimedOut,
    /// The client went away. Never sent.
    Cancelled,
    /// A fault of the gateway's own: 500.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order in which they are declared.
    pub const ALL: [Self; 19] = [
        Self::BadRequest,
        Self::ContextTooLong,
        Self::ThreadUnsupported,
        Self::MissingKey,
        Self::InvalidKey,
        Self::Forbidden,
        Self::UnknownModel,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Overloaded,
        Self::Unavailable,
        Self::UpstreamFailed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The stable name in logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ContextTooLong => "context_too_long",
            Self::ThreadUnsupported => "thread_unsupported",
            Self::MissingKey => "missing_key",
            Self::InvalidKey => "invalid_key",
            Self::Forbidden => "forbidden",
            Self::UnknownModel => "unknown_model",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::UpstreamFailed => "upstream_failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// What counts by kind has room for each: the last one declared is the last one of the list.
const _: () = assert!(ErrorKind::Internal as usize + 1 == ErrorKind::ALL.len());

/// Who is at fault, for the log and the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The client's request.
    Client,
    /// The upstream or the way to it.
    Upstream,
    /// agp itself or its configuration.
    Gateway,
}

/// An error with a text fit for strangers: no account names, e-mails, project ids or tokens in `message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whose fault it is.
    pub origin: Origin,
    /// The text that the client is shown.
    pub message: Cow<'static, str>,
    /// The request's field at fault, as a path such as `messages[2].content`.
    pub param: Option<String>,
    /// When it makes sense to come back.
    pub retry_after: Option<Duration>,
    /// More for the log only.
    pub detail: Option<String>,
}

impl Origin {
    /// The stable name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

impl Error {
    /// An error of the origin that its kind usually has.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let origin = match kind {
            ErrorKind::Internal => Origin::Gateway,
            ErrorKind::Overloaded
            | ErrorKind::Unavailable
            | ErrorKind::UpstreamFailed
            | ErrorKind::TimedOut => Origin::Upstream,
            _ => Origin::Client,
        };
        Self {
            kind,
            origin,
            message: message.into(),
            param: None,
            retry_after: None,
            detail: None,
        }
    }

    /// A 400 that names the field.
    pub fn bad_request(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(ErrorKind::BadRequest, message)
        }
    }

    /// The same with the time after which to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The same with more for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with another origin.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{}", kind.as_str());
        }
    }
}
