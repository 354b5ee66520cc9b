//! Client keys and tokens as agp makes them.

use std::io;

use crate::base::secret::Secret;

/// Characters of a key behind its `sk-` (agp-toml.md): 256 bits.
const LENGTH: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn generate() -> io::Result<Secret> {
    let mut key = String::with_capacity(3 + LENGTH);
    key.push_str("sk-");
    let mut bytes = zeroize::Zeroizing::new([0u8; 64]);
    while key.len() < 3 + LENGTH {
        getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
        // Bytes past the last whole round of the alphabet are thrown away, else its first characters came more often.
        let kept = bytes
            .iter()
            .filter(|b| usize::from(**b) < 4 * ALPHABET.len());
        key.extend(
            kept.take(3 + LENGTH - key.len())
                .map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])),
        );
    }
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_form_and_differ() {
        let keys: Vec<Secret> = (0..50).map(|_| generate().unwrap()).collect();
        for key in &keys {
            let body = key.expose().strip_prefix("sk-").unwrap();
            assert_eq!(body.len(), 43);
            assert!(body.bytes().all(|b| ALPHABET.contains(&b)));
        }
        assert_ne!(keys[0], keys[1]);
        // 2,150 characters of 62 kinds: none is left out by chance (less than 1 in 10^13).
        let all: String = keys.iter().map(|k| &k.expose()[3..]).collect();
        assert!(ALPHABET.iter().all(|c| all.contains(char::from(*c))));
    }
}
