//! Thinking signatures: their forms on either side. upstream-protocol.md 8.1, 8.2, 13.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ir::SignatureFamily;

/// Stands in for a signature that history never had; Google documents it for Gemini 3 (upstream-protocol.md 8.2).
pub(super) const SENTINEL: &str = "skip_thought_signature_validator";

/// The form that clients are given. Claude's signatures come base64-encoded once more (they begin with `R`) and go out
/// in Anthropic's own form (which begins with `E`); all others are passed on as they are.
pub(super) fn to_client(family: SignatureFamily, value: &str) -> Cow<'_, str> {
    match family {
        SignatureFamily::Claude => claude_native(value).map_or(Cow::Borrowed(value), Cow::Owned),
        SignatureFamily::Gemini => Cow::Borrowed(value),
    }
}

/// Claude's signature in the form that upstream 1 takes, from either form; `None` where the text is neither.
pub(super) fn claude_upstream(value: &str) -> Option<Cow<'_, str>> {
    if is_native(value) {
        Some(Cow::Owned(STANDARD.encode(value)))
    } else {
        claude_native(value).map(|_| Cow::Borrowed(value))
    }
}

/// Anthropic's own form of a signature in the upstream's form; `None` where it is not in that form.
pub(super) fn claude_native(value: &str) -> Option<String> {
    if !value.starts_with('R') {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    is_native(&text).then_some(text)
}

fn is_native(value: &str) -> bool {
    value.starts_with('E')
        && value.len() >= 8
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_forms_convert_both_ways() {
        let native = "EjwKAgkQFx4lLDM6QUhPVl1ka3J5";
        let upstream = claude_upstream(native).unwrap().into_owned();
        assert!(upstream.starts_with('R'));
        assert_eq!(claude_native(&upstream).as_deref(), Some(native));
        assert_eq!(claude_upstream(&upstream).unwrap(), upstream);
        assert_eq!(to_client(SignatureFamily::Claude, &upstream), native);
        assert_eq!(to_client(SignatureFamily::Gemini, &upstream), upstream);
    }

    #[test]
    fn what_is_not_claudes_is_known() {
        for value in ["", "E", "CpQBAAAA", "Rubbish", "E with space", SENTINEL] {
            assert_eq!(claude_upstream(value), None, "{value}");
        }
    }
}
