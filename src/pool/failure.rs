//! What an upstream's refusal means: class, scope and advice, by table 9.3 of upstream-protocol.md.

use std::time::Duration;

use crate::base::error::{Error, ErrorKind, Origin};

/// The classes of table 9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 401: the access token is stale.
    AuthExpired,
    /// The refresh token is dead or the account is closed.
    AccountInvalid,
    /// The provider wants a person to verify the account.
    NeedsValidation,
    /// Another 403.
    Forbidden,
    /// Too fast for now.
    RateLimited,
    /// Used up until a reset.
    QuotaExhausted,
    /// The model has no capacity; nobody's fault.
    Capacity,
    /// The request itself is refused.
    BadRequest,
    /// The prompt is too long.
    ContextTooLong,
    /// A thinking signature was refused.
    SignatureInvalid,
    /// The upstream does not know the model (for this account).
    ModelNotFound,
    /// 413.
    TooLarge,
    /// The upstream failed.
    ServerError,
    /// The upstream, or the way to it, took too long.
    Timeout,
    /// The answer is not of the protocol.
    UpstreamGarbage,
    /// No connection.
    Network,
    /// The operator's OAuth client is refused.
    OauthConfig,
    /// Nothing came back.
    EmptyAnswer,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 18] = [
        Self::AuthExpired,
        Self::AccountInvalid,
        Self::NeedsValidation,
        Self::Forbidden,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Capacity,
        Self::BadRequest,
        Self::ContextTooLong,
        Self::SignatureInvalid,
        Self::ModelNotFound,
        Self::TooLarge,
        Self::ServerError,
        Self::Timeout,
        Self::UpstreamGarbage,
        Self::Network,
        Self::OauthConfig,
        Self::EmptyAnswer,
    ];

    /// The class of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The name in table 9.3.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthExpired => "auth_expired",
            Self::AccountInvalid => "account_invalid",
            Self::NeedsValidation => "needs_validation",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Capacity => "capacity",
            Self::BadRequest => "bad_request",
            Self::ContextTooLong => "context_too_long",
            Self::SignatureInvalid => "signature_invalid",
            Self::ModelNotFound => "model_not_found",
            Self::TooLarge => "too_large",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::UpstreamGarbage => "upstream_garbage",
            Self::Network => "network",
            Self::OauthConfig => "oauth_config",
            Self::EmptyAnswer => "empty_answer",
        }
    }

    /// What it applies to.
    pub fn scope(self) -> Scope {
        match self {
            Self::RateLimited | Self::QuotaExhausted | Self::ModelNotFound => Scope::AccountModel,
            Self::AccountInvalid
            | Self::NeedsValidation
            | Self::Forbidden
            | Self::UpstreamGarbage => Scope::Account,
            Self::Capacity => Scope::Model,
            Self::OauthConfig => Scope::Upstream,
            _ => Scope::None,
        }
    }

    /// Whether it speaks against the account, and so against sending it more calls: neither the client's fault nor the
    /// upstream's (column "Account" of table 9.3).
    pub fn is_the_accounts(self) -> bool {
        matches!(
            self,
            Self::AuthExpired
                | Self::AccountInvalid
                | Self::NeedsValidation
                | Self::Forbidden
                | Self::RateLimited
                | Self::QuotaExhausted
                | Self::ModelNotFound
        )
    }

    /// Whether the next host of the same upstream may be asked (section 2: connect errors, 404, 408, 5xx).
    pub fn next_host(self) -> bool {
        matches!(
            self,
            Self::Network | Self::ServerError | Self::Capacity | Self::ModelNotFound
        )
    }

    /// Whether another account may be asked.
    pub fn other_account(self) -> OtherAccount {
        match self {
            Self::BadRequest | Self::ContextTooLong | Self::SignatureInvalid | Self::TooLarge => {
                OtherAccount::No
            }
            Self::ModelNotFound | Self::Timeout => OtherAccount::Once,
            Self::EmptyAnswer => OtherAccount::Twice,
            _ => OtherAccount::Yes,
        }
    }
}

/// What counts by class has room for each: the last one declared is the last one of the list.
const _: () = assert!(Class::EmptyAnswer as usize + 1 == Class::ALL.len());

/// What a failure is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Nobody.
    None,
    /// The account, for all models.
    Account,
    /// The account for this model.
    AccountModel,
    /// The model, for all accounts of the upstream.
    Model,
    /// The whole upstream.
    Upstream,
}

/// Whether another account may be tried after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OtherAccount {
    /// No: every account would answer the same.
    No,
    /// One more.
    Once,
    /// Two repeats in all, on whatever account.
    Twice,
    /// Yes, within `max_attempts` and `retry_within`.
    Yes,
}

/// One failed call to an upstream, classed. Made by the upstream's `classify` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class.
    pub class: Class,
    /// The upstream's HTTP status, or that of the error object inside a stream; `None` where there was none.
    pub status: Option<u16>,
    /// How long the upstream says to wait; `None` where it said nothing.
    pub delay: Option<Duration>,
    /// For client mistakes the upstream's own text; else a neutral one without account names, projects or tokens.
    pub message: String,
    /// The page where a person can verify the account ([`Class::NeedsValidation`]).
    pub link: Option<String>,
    /// For the log: reason and the beginning of the body, at most 500 characters, never sent to a client.
    pub detail: String,
    /// Set on a 400 that refuses the thinking level on a Gemini 3 model: one retry with a budget (section 5.6).
    pub level_refused: bool,
    /// Set where the refresh token itself is refused (`invalid_grant`): a person must sign in again. Any other
    /// [`Class::AccountInvalid`] means that the provider has closed the account.
    pub login_dead: bool,
}

impl Failure {
    /// A failure of this class with a neutral text.
    pub fn new(class: Class, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if let Some((cut, _)) = detail.char_indices().nth(500) {
            detail.truncate(cut);
        }
        let message = match class {
            Class::AuthExpired
            | Class::AccountInvalid
            | Class::NeedsValidation
            | Class::Forbidden => "no upstream account can serve this request at present",
            Class::RateLimited => "the upstream's rate limit is reached",
            Class::QuotaExhausted => "the upstream's quota for this model is used up",
            Class::Capacity => "the upstream has no capacity for this model at present",
            Class::BadRequest => "the upstream refused the request",
            Class::ContextTooLong => "prompt is too long",
            Class::SignatureInvalid => "the upstream refused a thinking signature of the history",
            Class::ModelNotFound => "the upstream does not know this model",
            Class::TooLarge => "the upstream refused the request as too large",
            Class::ServerError => "the upstream failed",
            Class::Timeout => "the upstream did not answer in time",
            Class::UpstreamGarbage => "the upstream's answer could not be understood",
            Class::Network => "the upstream could not be reached",
            Class::OauthConfig => "the gateway's sign-in to the upstream is not configured right",
            Class::EmptyAnswer => "the upstream gave an empty answer",
        };
        Self {
            class,
            status: None,
            delay: None,
            message: message.to_owned(),
            link: None,
            detail,
            level_refused: false,
            login_dead: false,
        }
    }

    /// What the client is told when nothing is left to try (the last two columns of table 9.3).
    pub fn to_error(&self) -> Error {
        let kind = match self.class {
            Class::AuthExpired
            | Class::AccountInvalid
            | Class::NeedsValidation
            | Class::Forbidden
            | Class::OauthConfig => ErrorKind::Unavailable,
            Class::RateLimited => ErrorKind::RateLimited,
            Class::QuotaExhausted => ErrorKind::QuotaExhausted,
            Class::Capacity => ErrorKind::Overloaded,
            Class::BadRequest | Class::SignatureInvalid => ErrorKind::BadRequest,
            Class::ContextTooLong => ErrorKind::ContextTooLong,
            Class::ModelNotFound => ErrorKind::UnknownModel,
            Class::TooLarge => ErrorKind::TooLarge,
            Class::ServerError | Class::UpstreamGarbage | Class::Network | Class::EmptyAnswer => {
                ErrorKind::UpstreamFailed
            }
            Class::Timeout => ErrorKind::TimedOut,
        };
        let origin = match kind {
            ErrorKind::BadRequest | ErrorKind::ContextTooLong | ErrorKind::TooLarge => {
                Origin::Client
            }
            _ => Origin::Upstream,
        };
        let mut error = Error::new(kind, self.message.clone())
            .with_origin(origin)
            .with_detail(self.detail.clone());
        error.retry_after = match kind {
            ErrorKind::RateLimited | ErrorKind::QuotaExhausted | ErrorKind::Overloaded => {
                self.delay
            }
            _ => None,
        };
        error
    }
}
