//! The headers by which clients name the session that a request belongs to.

use http::HeaderMap;

/// In this order. `x-claude-code-session-id`: Claude Code (its LLM gateway protocol reference, "Request headers").
/// `session_id`: Codex (codex-rs, `build_conversation_headers`); `session-id`: the same name where underscores are not let
/// through. `x-session-id`: what clients send that let their user set headers.
const HEADERS: [&str; 4] = [
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "x-session-id",
];

/// A longer name is none: it is kept while the request lasts, and sessions have short ones.
const LONGEST: usize = 256;

/// The session's name, where a header gives one.
pub(super) fn named(headers: &HeaderMap) -> Option<&str> {
    let values = HEADERS.into_iter().filter_map(|name| headers.get(name));
    let mut names = values.filter_map(|value| value.to_str().ok().map(str::trim));
    names.find(|name| (1..=LONGEST).contains(&name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Option<String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_str(value).unwrap())
            })
            .collect();
        named(&headers).map(str::to_owned)
    }

    #[test]
    fn every_known_header_names_a_session() {
        for name in HEADERS {
            assert_eq!(of(&[(name, " s1 ")]).as_deref(), Some("s1"), "{name}");
        }
        assert_eq!(of(&[("x-request-id", "s1")]), None);
        let both = [("session_id", "a"), ("x-claude-code-session-id", "b")];
        assert_eq!(of(&both).as_deref(), Some("b"));
    }

    #[test]
    fn what_is_no_name_is_passed_over() {
        let long = "x".repeat(LONGEST + 1);
        for bad in ["", "  ", long.as_str(), "sitzung-é"] {
            assert_eq!(of(&[("session_id", bad)]), None, "{bad}");
            let next = [("session_id", bad), ("x-session-id", "s2")];
            assert_eq!(of(&next).as_deref(), Some("s2"));
        }
    }
}
