//! The simulator's thought signatures. Each carries a digest, so that one can be told from an invented, altered, foreign
//! or moved one without remembering what was issued (upstream-protocol.md 8.1, 8.2, 13.1).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};

/// Mixed into every digest, so that a signature can't come about by accident. It protects nothing.
const SALT: &[u8] = b"agp simulated upstream, thought signatures, form 1";

/// The first byte: base64 of it begins with `E`, as the signatures of both families do.
const MARK: u8 = 0x12;

/// What Google documents in place of a signature that never was (upstream-protocol.md 8.2).
pub(super) const SENTINELS: [&str; 2] = [
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
];

const NONCE: usize = 10;

fn digest(family: &str, nonce: &[u8], content: &str) -> Vec<u8> {
    Sha256::new()
        .chain_update(SALT)
        .chain_update(family)
        .chain_update([0])
        .chain_update(nonce)
        .chain_update(content)
        .finalize()
        .to_vec()
}

fn sign(family: &str, content: &str) -> Vec<u8> {
    let nonce: [u8; 16] = ulid::Ulid::generate().to_bytes();
    let nonce = &nonce[16 - NONCE..];
    let mut signature = vec![MARK];
    signature.extend_from_slice(nonce);
    signature.extend(digest(family, nonce, content));
    signature
}

fn verify(family: &str, signature: &[u8], content: &str) -> bool {
    signature.len() == 1 + NONCE + 32
        && signature[0] == MARK
        && signature[1 + NONCE..] == digest(family, &signature[1..=NONCE], content)
}

/// Reads base64 of either alphabet, padded or not.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    engine.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// A Claude signature over a thinking text, in the upstream's form: base64 of Anthropic's own string, so it begins with `R`.
pub(super) fn claude(thinking: &str) -> String {
    STANDARD.encode(STANDARD.encode(sign("claude", thinking)))
}

/// Whether a signature is Claude's, over exactly this text.
pub(super) fn is_claude(signature: &str, thinking: &str) -> bool {
    decode(signature)
        .and_then(|native| String::from_utf8(native).ok())
        .and_then(|native| decode(&native))
        .is_some_and(|bytes| verify("claude", &bytes, thinking))
}

/// Where a Gemini signature stands: on the call of a tool, or on a text.
fn place(call: Option<&str>) -> String {
    call.map_or_else(|| "text".to_owned(), |name| format!("call {name}"))
}

/// A Gemini signature for a call of the tool of that name, or for a text.
pub(super) fn gemini(call: Option<&str>) -> String {
    STANDARD.encode(sign("gemini", &place(call)))
}

/// Whether a signature is Gemini's and stands where it was issued.
pub(super) fn is_gemini(signature: &str, call: Option<&str>) -> bool {
    decode(signature).is_some_and(|bytes| verify("gemini", &bytes, &place(call)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_signature_is_good_for_its_own_text_only(text in ".*", other in ".*") {
            let signature = claude(&text);
            prop_assert!(signature.starts_with('R'));
            let native = String::from_utf8(decode(&signature).unwrap()).unwrap();
            prop_assert!(native.starts_with('E'));
            prop_assert!(is_claude(&signature, &text));
            prop_assert_eq!(is_claude(&signature, &other), text == other);
            prop_assert!(!is_gemini(&signature, None));
            prop_assert!(!is_claude(&native, &text));
        }

        #[test]
        fn a_gemini_signature_stays_in_its_place(name in "[a-z]{1,8}") {
            let signature = gemini(Some(&name));
            prop_assert!(is_gemini(&signature, Some(&name)));
            prop_assert!(!is_gemini(&signature, None));
            prop_assert!(!is_gemini(&signature.replace(char::is_uppercase, "a"), Some(&name)));
            prop_assert!(!is_claude(&signature, &name));
        }
    }

    #[test]
    fn sentinels_are_no_signatures() {
        for word in SENTINELS {
            assert!(!is_gemini(word, None) && !is_claude(word, ""));
        }
    }
}
