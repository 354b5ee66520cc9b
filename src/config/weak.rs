//! Secrets that are refused: short ones, and those that everybody knows (original.md F10).

use sha2::{Digest as _, Sha256};

/// Fewest characters of a password.
pub const MIN_PASSWORD: usize = 12;

/// SHA-256 of a published admin password (original.md F10).
const PASSWORD: &str = "240be518fabd2724ddb6f04eeb1da5967448d7e831c08c8fa822809f74c720a9";
/// SHA-256 of a published signing secret (original.md F10).
const SIGNING: &str = "441b6f618ad1e2e893be90b179a4a46d0d06bc0db469452ef6758183aa591426";
/// SHA-256 of the value that an example file has for both (original.md F10).
const EXAMPLE: &str = "e2186dbdb1bb4193608605e84f33208765b5693b55edd4f730a719a100eeea6f";

/// Why a password is refused; `None` where it is not. The sentence never holds it.
pub fn password(text: &str) -> Option<String> {
    if published(text, &[PASSWORD, EXAMPLE]) {
        Some("this password is published and known to everybody: choose another one".to_owned())
    } else if text.chars().count() < MIN_PASSWORD {
        Some(format!(
            "expected a password of at least {MIN_PASSWORD} characters"
        ))
    } else {
        None
    }
}

/// Why a signing secret is refused; `None` where it is not. The sentence never holds it.
pub fn signing_secret(text: &str) -> Option<String> {
    if published(text, &[SIGNING, EXAMPLE]) {
        Some("this secret is published and known to everybody: choose another one".to_owned())
    } else if text.len() < 16 {
        Some("expected a secret of at least 16 bytes".to_owned())
    } else {
        None
    }
}

fn published(text: &str, digests: &[&str]) -> bool {
    let digest = Sha256::digest(text.as_bytes());
    let hex = format!("{digest:x}");
    digests.contains(&hex.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_published_ones_are_refused() {
        assert!(password("elevenchars").is_some());
        assert!(password("twelve chars").is_none());
        // A published one, whose digest is in the list above.
        assert!(password("admin123").unwrap().contains("published"));
    }

    #[test]
    fn the_digests_are_digests() {
        for hex in [PASSWORD, SIGNING, EXAMPLE] {
            assert_eq!(hex.len(), 64);
            assert!(hex.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
