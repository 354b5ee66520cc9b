//! What stands around the Gemini payload (upstream-protocol.md 5.1). Pure but for the request id's randomness.

use sha2::{Digest, Sha256};

use crate::base::id::{AccountId, RequestId};
use crate::ir::Family;

/// The envelope's `requestType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// Chat.
    Agent,
    /// Image models.
    ImageGen,
}

impl RequestType {
    /// The type for a model of this family; `None` is a family that the id does not tell.
    pub fn of(family: Option<Family>) -> Self {
        if family == Some(Family::Image) {
            Self::ImageGen
        } else {
            Self::Agent
        }
    }

    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::ImageGen => "image_gen",
        }
    }
}

/// What the envelope says of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeMeta<'a> {
    /// The account's project; left out where it is not known, which some public gateways do too (5.1).
    pub project: Option<&'a str>,
    /// The upstream's id of the model, without `models/`.
    pub model: &'a str,
    /// Unique for each call, see [`new_request_id`].
    pub request_id: &'a str,
    /// `upstreams.*.user_agent`.
    pub user_agent: &'a str,
    /// Chat or image.
    pub request_type: RequestType,
    /// `accounts.*.credits`: go on past the quota at the user's cost (4.2).
    pub credits: bool,
}

/// Writes the envelope up to where the Gemini payload, one JSON value, has to follow.
pub fn begin(out: &mut Vec<u8>, meta: &EnvelopeMeta<'_>) {
    out.push(b'{');
    if let Some(project) = meta.project {
        field(out, "project", project);
    }
    field(out, "requestId", meta.request_id);
    field(out, "model", meta.model.trim_start_matches("models/"));
    field(out, "userAgent", meta.user_agent);
    field(out, "requestType", meta.request_type.as_str());
    if meta.credits {
        out.extend_from_slice(br#""enabledCreditTypes":["GOOGLE_ONE_AI"],"#);
    }
    out.extend_from_slice(br#""request":"#);
}

/// Closes what [`begin`] opened.
pub fn end(out: &mut Vec<u8>) {
    out.push(b'}');
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // Text into memory: neither can fail.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b',');
}

/// A new `requestId`: `agent-` and a random UUID (RFC 9562, version 4).
pub fn new_request_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Unique is all that it has to be; our own ids are.
        bytes = RequestId::generate().as_u128().to_be_bytes();
    }
    format_request_id(bytes)
}

fn format_request_id(bytes: [u8; 16]) -> String {
    let id = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc000 << 48)
        | (0x4000 << 64)
        | (0x8000 << 48);
    let hex = format!("{id:032x}");
    format!(
        "agent-{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// The `sessionId` of a conversation: `-` and 63 bits of a hash over account, system text and first user message, so that
/// it stays the same for a conversation and differs between accounts (5.1).
pub fn session_id(account: &AccountId, system_text: &str, first_user_text: &str) -> String {
    let mut hash = Sha256::new();
    for part in [account.as_str(), system_text, first_user_text] {
        // The lengths keep two different triples from being one text.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let head = digest
        .iter()
        .take(8)
        .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("-{}", head >> 1)
}

/// Whether an operation's name can stand in a path as it is: it is the upstream's own text.
pub(super) fn is_operation_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 512
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_.-~:".contains(&b))
}

/// The value of an `Authorization` header, marked so that no debug print shows it.
pub(super) fn bearer(token: &str) -> Result<http::HeaderValue, String> {
    let mut value = http::HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| "the access token can't stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn wrapped(meta: &EnvelopeMeta<'_>, payload: &str) -> Value {
        let mut out = Vec::new();
        begin(&mut out, meta);
        out.extend_from_slice(payload.as_bytes());
        end(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn meta<'a>() -> EnvelopeMeta<'a> {
        EnvelopeMeta {
            project: Some("demo-project-1"),
            model: "gemini-2.5-flash",
            request_id: "agent-1",
            user_agent: "agp/1.0.0",
            request_type: RequestType::Agent,
            credits: false,
        }
    }

    #[test]
    fn the_envelope_of_5_1() {
        let payload = r#"{"contents":[]}"#;
        let whole = json!({"project": "demo-project-1", "requestId": "agent-1", "model": "gemini-2.5-flash",
            "userAgent": "agp/1.0.0", "requestType": "agent", "request": {"contents": []}});
        assert_eq!(wrapped(&meta(), payload), whole);
        let other = EnvelopeMeta {
            project: None,
            model: "models/gemini-3-pro-image",
            request_type: RequestType::of(Some(Family::Image)),
            credits: true,
            ..meta()
        };
        let other = wrapped(&other, payload);
        assert_eq!(other.get("project"), None);
        assert_eq!(other["model"], "gemini-3-pro-image");
        assert_eq!(other["requestType"], "image_gen");
        assert_eq!(other["enabledCreditTypes"], json!(["GOOGLE_ONE_AI"]));
    }

    #[test]
    fn request_types() {
        for family in [
            None,
            Some(Family::Gemini3),
            Some(Family::Claude),
            Some(Family::GptOss),
        ] {
            assert_eq!(RequestType::of(family).as_str(), "agent");
        }
        assert_eq!(RequestType::of(Some(Family::Image)).as_str(), "image_gen");
    }

    #[test]
    fn request_ids_are_uuids() {
        let zero = format_request_id([0; 16]);
        assert_eq!(zero, "agent-00000000-0000-4000-8000-000000000000");
        let ones = format_request_id([0xff; 16]);
        assert_eq!(ones, "agent-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(new_request_id(), new_request_id());
    }

    #[test]
    fn session_ids() {
        let of =
            |account: &str, system: &str, user: &str| session_id(&account.into(), system, user);
        let id = of("a", "s", "u");
        assert_eq!(id, of("a", "s", "u"));
        for other in [
            of("b", "s", "u"),
            of("a", "", "u"),
            of("a", "s", "v"),
            of("as", "", "u"),
            of("a", "su", ""),
        ] {
            assert_ne!(id, other);
        }
        let number: i64 = id.parse().unwrap();
        assert!(number < 0 && id.starts_with('-'), "{id}");
    }

    #[test]
    fn operation_names() {
        for good in ["operations/abc", "a", "projects/p-1/operations/x.y_z"] {
            assert!(is_operation_name(good), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "../x", "a/../b", "a?b", "a b", "a%2e", "a#b", "ä",
        ] {
            assert!(!is_operation_name(bad), "{bad}");
        }
    }

    #[test]
    fn bearer_headers() {
        let value = bearer("tok-1").unwrap();
        assert_eq!(value, "Bearer tok-1");
        assert!(!format!("{value:?}").contains("tok-1"));
        assert!(bearer("a\nb").is_err());
    }

    proptest! {
        #[test]
        fn any_text_makes_a_valid_envelope(project in "\\PC{0,20}", agent in ".{0,20}") {
            let meta = EnvelopeMeta { project: Some(&project), user_agent: &agent, ..meta() };
            let whole = wrapped(&meta, "{}");
            prop_assert_eq!(&whole["project"], &project);
            prop_assert_eq!(&whole["userAgent"], &agent);
        }
    }
}
