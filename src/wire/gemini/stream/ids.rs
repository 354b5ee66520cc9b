//! Ids of tool calls. upstream-protocol.md 6.2, 10.2, 11.2.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::base::id::Dialect;
use crate::ir::Family;
use crate::wire::gemini::Decode;

/// The upstream's id where it is fit for the client and new in this answer, else a random one.
pub(super) fn unique(given: Option<&str>, decode: &Decode, seen: &mut HashSet<String>) -> String {
    let strict = decode.dialect == Dialect::Anthropic || decode.family == Some(Family::Claude);
    let id = given
        .filter(|id| !id.is_empty() && (!strict || is_plain(id)) && !seen.contains(*id))
        .map_or_else(|| mint(decode.dialect, seen.len()), str::to_owned);
    seen.insert(id.clone());
    id
}

/// Anthropic's alphabet for ids: `^[a-zA-Z0-9_-]+$`.
fn is_plain(id: &str) -> bool {
    id.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// 96 random bits: unique among all answers, since signatures are kept by these ids.
fn mint(dialect: Dialect, count: usize) -> String {
    let mut id = String::from(match dialect {
        Dialect::OpenAiChat => "call_",
        Dialect::Anthropic => "toolu_",
    });
    let mut random = [0_u8; 12];
    if getrandom::fill(&mut random).is_err() {
        // Without randomness an id is at least unique within its answer.
        let _ = write!(id, "n{count}_");
    }
    for byte in random {
        let _ = write!(id, "{byte:02x}");
    }
    id
}
