//! Error bodies. upstream-protocol.md 9.3 (last columns), 9.4 and 11.4.

use std::borrow::Cow;

use crate::base::error::{Error, ErrorKind};
use crate::base::id::RequestId;
use crate::wire::json::write::{raw, string};

/// How the message must begin for agents to see that they have to shorten their prompt. upstream-protocol.md 9.3.
const TOO_LONG: &str = "prompt is too long";

/// Status and body for an error that goes out before anything else.
pub fn render_error(error: &Error, request: RequestId) -> (u16, Vec<u8>) {
    let mut body = Vec::with_capacity(256);
    write_error(&mut body, error);
    body.pop();
    raw(&mut body, r#","request_id":"req_"#);
    raw(&mut body, &request.to_string().to_ascii_lowercase());
    raw(&mut body, r#""}"#);
    (status(error.kind), body)
}

/// Writes `{"type":"error","error":{…}}`, the same inside a stream and outside.
pub(super) fn write_error(out: &mut Vec<u8>, error: &Error) {
    raw(out, r#"{"type":"error","error":{"type":"#);
    string(out, kind(error.kind));
    raw(out, r#","message":"#);
    string(out, &message(error));
    if error.kind == ErrorKind::ThreadUnsupported {
        raw(
            out,
            r#","details":{"error_code":"thread_unsupported_request"}"#,
        );
    }
    raw(out, "}}");
}

fn message(error: &Error) -> Cow<'_, str> {
    let known = error
        .message
        .get(..TOO_LONG.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(TOO_LONG));
    match error.kind {
        ErrorKind::ContextTooLong if known => {
            format!("{TOO_LONG}{}", &error.message[TOO_LONG.len()..]).into()
        }
        ErrorKind::ContextTooLong => format!("{TOO_LONG}: {}", error.message).into(),
        _ => Cow::Borrowed(&error.message),
    }
}

pub(in crate::wire) fn status(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::BadRequest | ErrorKind::ContextTooLong | ErrorKind::ThreadUnsupported => 400,
        ErrorKind::MissingKey | ErrorKind::InvalidKey => 401,
        ErrorKind::Forbidden => 403,
        ErrorKind::UnknownModel | ErrorKind::NotFound => 404,
        ErrorKind::MethodNotAllowed => 405,
        ErrorKind::TooLarge => 413,
        ErrorKind::UnsupportedMedia => 415,
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => 429,
        // Nobody is there to read it; the number is what proxies log for this.
        ErrorKind::Cancelled => 499,
        ErrorKind::Internal => 500,
        ErrorKind::UpstreamFailed => 502,
        ErrorKind::Unavailable => 503,
        ErrorKind::TimedOut => 504,
        ErrorKind::Overloaded => 529,
    }
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::ContextTooLong
        | ErrorKind::ThreadUnsupported
        | ErrorKind::MethodNotAllowed
        | ErrorKind::UnsupportedMedia => "invalid_request_error",
        ErrorKind::MissingKey | ErrorKind::InvalidKey => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::UnknownModel | ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => "rate_limit_error",
        ErrorKind::TimedOut => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Unavailable
        | ErrorKind::UpstreamFailed
        | ErrorKind::Cancelled
        | ErrorKind::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(kind: ErrorKind, message: &'static str) -> (u16, String) {
        let (status, body) = render_error(&Error::new(kind, message), RequestId::from_u128(10));
        (status, String::from_utf8(body).unwrap())
    }

    #[test]
    fn the_shape_is_anthropics() {
        assert_eq!(
            rendered(ErrorKind::InvalidKey, "no such key"),
            (
                401,
                r#"{"type":"error","error":{"type":"authentication_error","message":"no such key"},"request_id":"req_0000000000000000000000000a"}"#
                    .to_owned()
            )
        );
    }

    #[test]
    fn each_kind_has_its_status_and_type() {
        for (kind, status, class) in [
            (ErrorKind::BadRequest, 400, "invalid_request_error"),
            (ErrorKind::UnknownModel, 404, "not_found_error"),
            (ErrorKind::TooLarge, 413, "request_too_large"),
            (ErrorKind::QuotaExhausted, 429, "rate_limit_error"),
            (ErrorKind::Overloaded, 529, "overloaded_error"),
            (ErrorKind::Unavailable, 503, "api_error"),
            (ErrorKind::UpstreamFailed, 502, "api_error"),
            (ErrorKind::TimedOut, 504, "timeout_error"),
        ] {
            let (got, body) = rendered(kind, "x");
            assert_eq!(got, status);
            assert!(body.contains(&format!(r#""type":"{class}""#)), "{body}");
        }
    }

    #[test]
    fn clients_find_the_code_that_tells_them_to_go_without_a_thread() {
        let (status, body) = rendered(ErrorKind::ThreadUnsupported, "x");
        assert_eq!(status, 400);
        assert!(
            body.starts_with(
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"x","details":{"error_code":"thread_unsupported_request"}}"#
            ),
            "{body}"
        );
    }

    #[test]
    fn agents_find_their_words() {
        for message in [
            "the input token count (9) exceeds",
            "Prompt is too long: 9 > 8",
            "é",
        ] {
            let (status, body) = rendered(ErrorKind::ContextTooLong, message);
            assert_eq!(status, 400);
            assert!(
                body.contains(r#""message":"prompt is too long: "#),
                "{body}"
            );
            assert_eq!(body.matches("rompt is too long").count(), 1);
        }
    }
}
