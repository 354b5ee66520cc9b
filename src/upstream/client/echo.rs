//! What an upstream repeats of a call. Its errors are logged, and some are told to clients: a secret that was sent must not
//! come back in them.

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in for it.
const MASK: &[u8] = "••••".as_bytes();
/// Texts below this length are no secrets, and would be found in any answer.
const SHORTEST: usize = 6;

/// The answer without these secrets, as they are and as a form has them.
pub(super) fn hide(mut body: Vec<u8>, secrets: &[&str]) -> Vec<u8> {
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        body = without(body, secret.as_bytes());
        if let Cow::Owned(encoded) = utf8_percent_encode(secret, NON_ALPHANUMERIC).into() {
            body = without(body, encoded.as_bytes());
        }
    }
    body
}

fn without(body: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    if memmem::find(&body, secret).is_none() {
        return body;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut from = 0;
    for at in memmem::find_iter(&body, secret) {
        out.extend_from_slice(&body[from..at]);
        out.extend_from_slice(MASK);
        from = at + secret.len();
    }
    out.extend_from_slice(&body[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_taken_out_in_both_forms_and_the_rest_stays() {
        let body =
            b"{\"error\":\"1//made-up is bad: refresh_token=1%2F%2Fmade%2Dup&x=short\"}".to_vec();
        let hidden = hide(body, &["1//made-up", "short", "another-one"]);
        let text = String::from_utf8(hidden).unwrap();
        assert_eq!(
            text,
            "{\"error\":\"•••• is bad: refresh_token=••••&x=short\"}"
        );
    }
}
