//! Status, headers and body of a refusal to a [`Failure`]: table 9.3 of upstream-protocol.md, and nothing else decides a
//! class. Pure.
//!
//! The body is asked first (reason, quota id, text), then the status. Words decide only within the status that the table
//! gives them, so that a prompt quoted in some other error can't change its class.

mod decision;
mod delay;
pub(crate) mod details;

use std::error::Error as _;
use std::time::Duration;

pub use self::decision::{Decision, decision};
pub use self::delay::parse_delay;
use self::delay::parse_retry_after;
use self::details::{Body, Details};
use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};

/// Longest text of the upstream that a client is shown, in characters.
const MAX_MESSAGE: usize = 2000;
/// A stated delay above this means that the quota is used up (9.3).
const LONGEST_RATE_LIMIT: Duration = Duration::from_mins(5);
/// A limit by the minute is over after this where nothing is stated (9.3).
const MINUTE: Duration = Duration::from_mins(1);

/// What was called. A 400 or 404 is the client's mistake only where the client's request was what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Generation, streamed or not.
    Generate,
    /// `countTokens`.
    Count,
    /// The list of models and quotas.
    Models,
    /// Project discovery and onboarding.
    Setup,
    /// The OAuth token endpoint.
    Token,
    /// Who signed in.
    Userinfo,
}

/// An answer that is no success.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// What was called.
    pub endpoint: Endpoint,
    /// When it was refused: times of reset become delays.
    pub now: Timestamp,
}

/// What a refusal means (upstream-protocol.md 9).
pub fn classify(refusal: &Refusal<'_>) -> Failure {
    let details = match details::read(refusal.body) {
        Body::Json(details) => *details,
        Body::Empty => Details::default(),
        Body::Other if refusal.endpoint == Endpoint::Token => Details::default(),
        Body::Other => {
            let mut failure = Failure::new(
                Class::UpstreamGarbage,
                excerpt(refusal.status, refusal.body),
            );
            failure.status = Some(refusal.status);
            return failure;
        }
    };
    let status = match details.code {
        Some(code) if details.nested || refusal.status < 300 => http_status(code, &details.status),
        _ => refusal.status,
    };
    if refusal.endpoint == Endpoint::Token {
        return token_failure(status, &details);
    }
    let retry_after = refusal
        .retry_after
        .and_then(|value| parse_retry_after(value, refusal.now));
    by_table(status, &details, retry_after, refusal.endpoint, refusal.now)
}

/// What an error chunk of a 200 stream means (upstream-protocol.md 6.7): like the HTTP error of its code. `error_json` is
/// the chunk's text, `{"error":…}` or that in a list.
pub fn classify_in_stream(error_json: &str, now: Timestamp) -> Failure {
    match details::read(error_json.as_bytes()) {
        Body::Json(details) if details.is_error() => {
            let status = http_status(details.code.unwrap_or(0), &details.status);
            by_table(status, &details, None, Endpoint::Generate, now)
        }
        _ => Failure::new(
            Class::UpstreamGarbage,
            format!("an error chunk without an error: {error_json}"),
        ),
    }
}

/// What a call that got no answer, or not the whole of it, means. A connect that took too long is `network`: nothing was
/// sent, so that the next host is as good.
pub fn classify_transport(error: &reqwest::Error) -> Failure {
    let class = if error.is_connect() || error.is_dns() {
        Class::Network
    } else if error.is_timeout() {
        Class::Timeout
    } else {
        Class::Network
    };
    // The error's own text names the URL; what matters is below it.
    let connecting = error.is_connect() || error.is_dns();
    let mut detail = String::from(if connecting {
        "could not connect"
    } else {
        "the connection broke off"
    });
    let mut source = error.source();
    while let Some(cause) = source {
        detail.push_str(": ");
        detail.push_str(&cause.to_string());
        source = cause.source();
    }
    Failure::new(class, detail)
}

/// The same for an answer whose head had come: the upstream was reached.
pub fn classify_broken_body(error: &reqwest::Error) -> Failure {
    let mut failure = classify_transport(error);
    if failure.class == Class::Network {
        "the upstream broke its answer off".clone_into(&mut failure.message);
    }
    failure
}

/// Whether the next host of the same upstream may be asked after this: no connection, 404, 408, 5xx, and a model without
/// capacity whatever the status; 400 and 401 never (upstream-protocol.md 2 and 9.3).
pub fn next_host(failure: &Failure) -> bool {
    match failure.status {
        Some(status) => matches!(status, 404 | 408 | 500..=599) || failure.class == Class::Capacity,
        None => failure.class.next_host(),
    }
}

/// The HTTP status of an error object: `code` may also be one of gRPC's, or missing while `status` names it.
fn http_status(code: u16, status: &str) -> u16 {
    if (100..600).contains(&code) {
        return code;
    }
    match (code, status) {
        (3 | 9 | 11, _) | (_, "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE") => 400,
        (16, _) | (_, "UNAUTHENTICATED") => 401,
        (7, _) | (_, "PERMISSION_DENIED") => 403,
        (5, _) | (_, "NOT_FOUND") => 404,
        (6 | 10, _) | (_, "ALREADY_EXISTS" | "ABORTED") => 409,
        (8, _) | (_, "RESOURCE_EXHAUSTED") => 429,
        (1, _) | (_, "CANCELLED") => 499,
        (12, _) | (_, "UNIMPLEMENTED") => 501,
        (14, _) | (_, "UNAVAILABLE") => 503,
        (4, _) | (_, "DEADLINE_EXCEEDED") => 504,
        _ => 500,
    }
}

/// The token endpoint's own codes (upstream-protocol.md 1.2). What is none of them passes by itself.
fn token_failure(status: u16, details: &Details) -> Failure {
    let class = match (status, details.status.as_str()) {
        (400..=403, "invalid_grant") => Class::AccountInvalid,
        (
            400..=403,
            "invalid_client" | "unauthorized_client" | "invalid_scope" | "invalid_request",
        ) => Class::OauthConfig,
        _ => Class::ServerError,
    };
    let mut failure = finish(class, status, details);
    failure.login_dead = class == Class::AccountInvalid;
    failure
}

fn by_table(
    status: u16,
    details: &Details,
    retry_after: Option<Duration>,
    endpoint: Endpoint,
    now: Timestamp,
) -> Failure {
    let delay = details.delay(retry_after, now);
    let class = by_reason(status, details).unwrap_or_else(|| by_status(status, details, delay));
    let class = match (endpoint, class) {
        (Endpoint::Generate | Endpoint::Count, class) => class,
        // The gateway's own request was refused, which no client can mend and which says nothing of a model.
        (
            _,
            Class::BadRequest
            | Class::ContextTooLong
            | Class::SignatureInvalid
            | Class::TooLarge
            | Class::ModelNotFound
            | Class::Capacity,
        ) => Class::ServerError,
        (_, class) => class,
    };
    let mut failure = finish(class, status, details);
    failure.delay = match class {
        Class::RateLimited if details.has_quota(&["PerMinute"]) => delay.or(Some(MINUTE)),
        Class::RateLimited | Class::QuotaExhausted | Class::Capacity => delay,
        _ => None,
    };
    failure
}

/// The reasons that decide by themselves, each within the statuses that come with it.
fn by_reason(status: u16, details: &Details) -> Option<Class> {
    let any = |reasons: &[&str]| details.has_reason(reasons);
    match status {
        _ if any(&["INSUFFICIENT_G1_CREDITS_BALANCE"]) => Some(Class::QuotaExhausted),
        429 | 503 if any(&["MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"]) => {
            Some(Class::Capacity)
        }
        429 if any(&["QUOTA_EXHAUSTED"]) => Some(Class::QuotaExhausted),
        429 if any(&["RATE_LIMIT_EXCEEDED"]) => Some(Class::RateLimited),
        403 if any(&["VALIDATION_REQUIRED"]) => Some(Class::NeedsValidation),
        400 | 401 | 403 if any(&["ACCOUNT_DISABLED", "USER_DISABLED"]) => {
            Some(Class::AccountInvalid)
        }
        400 if any(&["API_KEY_INVALID"]) => Some(Class::AccountInvalid),
        _ => None,
    }
}

fn by_status(status: u16, details: &Details, delay: Option<Duration>) -> Class {
    match status {
        400 => bad_request(&own_words(&details.message)),
        401 => Class::AuthExpired,
        403 => {
            let text = own_words(&details.message);
            if text.contains("has been disabled") && text.contains("terms of service") {
                Class::AccountInvalid
            } else {
                Class::Forbidden
            }
        }
        404 => Class::ModelNotFound,
        407 => Class::Network,
        413 => Class::TooLarge,
        429 => too_many(details, delay),
        503 => Class::Capacity,
        504 => Class::Timeout,
        // 409 is gRPC's ABORTED, which asks for a repeat; 425 asks for one by its definition.
        408 | 409 | 425 | 499 | 500..=599 => Class::ServerError,
        402..=498 => Class::BadRequest,
        _ => Class::UpstreamGarbage,
    }
}

/// The message in lower case without what it quotes, from the first double quote to the last: Google's refusals repeat the
/// offending value in such quotes, and a prompt may say anything. A message that is JSON is somebody's error passed on.
fn own_words(message: &str) -> String {
    let lower = message.to_ascii_lowercase();
    match (lower.find('"'), lower.rfind('"')) {
        (Some(first), Some(last)) if !lower.trim_start().starts_with(['{', '[']) => {
            format!("{} {}", &lower[..first], &lower[last + 1..])
        }
        _ => lower,
    }
}

fn bad_request(text: &str) -> Class {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if any(&["user location is not supported"]) {
        Class::Forbidden
    } else if any(&[
        "exceeds the maximum number of tokens",
        "input token count",
        "prompt is too long",
        "context length",
    ]) {
        Class::ContextTooLong
    } else if any(&[
        "invalid `signature`",
        "thought_signature",
        "corrupted thought signature",
        "thinking.signature",
        "expected `thinking`",
    ]) {
        Class::SignatureInvalid
    } else {
        Class::BadRequest
    }
}

fn too_many(details: &Details, delay: Option<Duration>) -> Class {
    if details.has_quota(&["PerDay", "Daily"]) {
        Class::QuotaExhausted
    } else if details.has_quota(&["PerMinute"]) {
        Class::RateLimited
    } else if limit_is_zero(&own_words(&details.message))
        || delay.is_some_and(|d| d > LONGEST_RATE_LIMIT)
    {
        Class::QuotaExhausted
    } else {
        Class::RateLimited
    }
}

/// `limit: 0`, but not `limit: 0.5` or `limit: 05`.
fn limit_is_zero(text: &str) -> bool {
    text.match_indices("limit: 0").any(|(at, found)| {
        let mut rest = text[at + found.len()..].chars();
        match rest.next() {
            Some('.') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => !c.is_ascii_digit(),
            None => true,
        }
    })
}

/// Puts together what is the same for every class: for client mistakes the upstream's own words, else neutral ones.
fn finish(class: Class, status: u16, details: &Details) -> Failure {
    let mut detail = format!("status {status}");
    for part in details
        .reasons
        .iter()
        .chain([&details.status, &details.message])
    {
        if !part.is_empty() {
            detail.push_str(if detail.contains(": ") { ", " } else { ": " });
            detail.push_str(part);
        }
    }
    let mut failure = Failure::new(class, detail);
    failure.status = Some(status);
    let text = bounded(details.message.trim(), MAX_MESSAGE);
    match class {
        Class::BadRequest | Class::SignatureInvalid | Class::TooLarge if !text.is_empty() => {
            text.clone_into(&mut failure.message);
        }
        // Agents look for these words to know that they must shorten the conversation.
        Class::ContextTooLong if !text.is_empty() => {
            let begins = text
                .get(..failure.message.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(&failure.message));
            failure.message = if begins {
                text.to_owned()
            } else {
                format!("{}: {text}", failure.message)
            };
        }
        Class::NeedsValidation => failure.link.clone_from(&details.link),
        _ => {}
    }
    failure.level_refused = class == Class::BadRequest && status == 400 && {
        let text = details.message.to_ascii_lowercase();
        ["thinking level", "thinking_level", "thinkinglevel"]
            .iter()
            .any(|word| text.contains(word))
    };
    failure
}

/// The beginning of a body that is no JSON, for the log: one line.
fn excerpt(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(2048)]);
    let line: Vec<&str> = text.split_whitespace().collect();
    format!("status {status}, not JSON: {}", line.join(" "))
}

fn bounded(text: &str, characters: usize) -> &str {
    text.char_indices()
        .nth(characters)
        .map_or(text, |(cut, _)| &text[..cut])
}

#[cfg(test)]
mod tests;
