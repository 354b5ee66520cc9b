//! Error bodies. upstream-protocol.md 9.3 (last columns), 9.4 and 10.4; original.md section 3.

use crate::base::error::{Error, ErrorKind};
use crate::base::id::RequestId;
use crate::wire::json::write::{nullable, raw, string};

/// Status and body for an error that goes out before anything else.
pub fn render_error(error: &Error, _request: RequestId) -> (u16, Vec<u8>) {
    let mut body = Vec::with_capacity(256);
    write_error(&mut body, error);
    (status(error.kind), body)
}

/// Writes `{"error":{…}}`, the same inside a stream and outside.
pub(super) fn write_error(out: &mut Vec<u8>, error: &Error) {
    raw(out, r#"{"error":{"message":"#);
    string(out, &error.message);
    raw(out, r#","type":"#);
    string(out, kind(error.kind));
    raw(out, r#","param":"#);
    nullable(out, error.param.as_deref());
    raw(out, r#","code":"#);
    nullable(out, code(error.kind));
    raw(out, "}}");
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
        ErrorKind::Overloaded | ErrorKind::Unavailable => 503,
        ErrorKind::UpstreamFailed => 502,
        ErrorKind::TimedOut => 504,
        // Nobody is there to read it; the number is what proxies log for this.
        ErrorKind::Cancelled => 499,
        ErrorKind::Internal => 500,
    }
}

fn kind(kind: ErrorKind) -> &'static str {
    match status(kind) {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn code(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::BadRequest | ErrorKind::ThreadUnsupported => return None,
        ErrorKind::ContextTooLong => "context_length_exceeded",
        ErrorKind::MissingKey => "missing_api_key",
        ErrorKind::InvalidKey => "invalid_api_key",
        ErrorKind::Forbidden => "permission_denied",
        ErrorKind::UnknownModel => "model_not_found",
        ErrorKind::NotFound => "not_found",
        ErrorKind::MethodNotAllowed => "method_not_allowed",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::UnsupportedMedia => "unsupported_media_type",
        ErrorKind::RateLimited => "rate_limit_exceeded",
        ErrorKind::QuotaExhausted => "insufficient_quota",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Unavailable => "service_unavailable",
        ErrorKind::UpstreamFailed => "upstream_error",
        ErrorKind::TimedOut => "timeout",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Internal => "internal_error",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(error: &Error) -> (u16, String) {
        let (status, body) = render_error(error, RequestId::from_u128(1));
        (status, String::from_utf8(body).unwrap())
    }

    #[test]
    fn the_shape_is_openais() {
        let e = Error::bad_request("messages[0].role", "no \"such\" role");
        assert_eq!(
            rendered(&e),
            (
                400,
                r#"{"error":{"message":"no \"such\" role","type":"invalid_request_error","param":"messages[0].role","code":null}}"#
                    .to_owned()
            )
        );
    }

    #[test]
    fn each_kind_has_its_status_type_and_code() {
        for (kind, status, class, code) in [
            (
                ErrorKind::ContextTooLong,
                400,
                "invalid_request_error",
                "context_length_exceeded",
            ),
            (
                ErrorKind::MissingKey,
                401,
                "invalid_request_error",
                "missing_api_key",
            ),
            (
                ErrorKind::InvalidKey,
                401,
                "invalid_request_error",
                "invalid_api_key",
            ),
            (
                ErrorKind::UnknownModel,
                404,
                "invalid_request_error",
                "model_not_found",
            ),
            (
                ErrorKind::TooLarge,
                413,
                "invalid_request_error",
                "request_too_large",
            ),
            (
                ErrorKind::RateLimited,
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
            ),
            (
                ErrorKind::QuotaExhausted,
                429,
                "rate_limit_error",
                "insufficient_quota",
            ),
            (ErrorKind::Overloaded, 503, "server_error", "overloaded"),
            (
                ErrorKind::UpstreamFailed,
                502,
                "server_error",
                "upstream_error",
            ),
            (ErrorKind::TimedOut, 504, "server_error", "timeout"),
        ] {
            let (got, body) = rendered(&Error::new(kind, "x"));
            assert_eq!(got, status);
            assert!(
                body.contains(&format!(r#""type":"{class}","param":null,"code":"{code}""#)),
                "{body}"
            );
        }
    }
}
