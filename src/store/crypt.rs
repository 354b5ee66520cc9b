//! Encryption of stored secrets: XChaCha20-Poly1305 under a random data key, bound to the row it stands in.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// Bytes of the nonce in front of each sealed value. Random ones of this length do not repeat.
const NONCE: usize = 24;

/// Wraps and unwraps the data key; in production to the age identity of `secrets.identity`.
pub trait KeyWrap: Send + Sync {
    /// Encrypts the data key to the identity, which is made on first need.
    ///
    /// # Errors
    /// A sentence for people: why the identity can't be made or used.
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String>;

    /// Opens what [`Self::wrap`] gave.
    ///
    /// # Errors
    /// A sentence for people that names the recipient expected.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// The key that values are sealed with. The cipher wipes it on drop.
pub(super) struct DataKey(XChaCha20Poly1305);

impl DataKey {
    /// A new random key, and its bytes to be wrapped.
    pub(super) fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), String> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        getrandom::fill(&mut bytes).map_err(|e| format!("no randomness for a data key: {e}"))?;
        Ok((Self::from_bytes(&bytes)?, bytes))
    }

    /// The key that [`Self::generate`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        XChaCha20Poly1305::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| {
                format!(
                    "expected a data key of 32 bytes, found {} bytes",
                    bytes.len()
                )
            })
    }

    /// Seals a value for one row. Moved to another row it does not open.
    pub(super) fn seal(&self, table: &str, key: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = vec![0; NONCE];
        getrandom::fill(&mut out).map_err(|e| format!("no randomness for a nonce: {e}"))?;
        let payload = Payload {
            msg: plain,
            aad: &associated(table, key),
        };
        let sealed = self
            .0
            .encrypt(XNonce::from_slice(&out), payload)
            .map_err(|_| "a value could not be encrypted".to_owned())?;
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens what [`Self::seal`] gave for this row; `None` where it was made for another row, by another key, or altered.
    pub(super) fn open(
        &self,
        table: &str,
        key: &[&[u8]],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_at_checked(NONCE)?;
        let payload = Payload {
            msg: body,
            aad: &associated(table, key),
        };
        self.0
            .decrypt(XNonce::from_slice(nonce), payload)
            .ok()
            .map(Zeroizing::new)
    }
}

/// Table and key parts, each with its length in front, so that no two rows give the same bytes.
fn associated(table: &str, key: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in std::iter::once(table.as_bytes()).chain(key.iter().copied()) {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_own_row() {
        let (key, bytes) = DataKey::generate().unwrap();
        let sealed = key.seal("token", &[b"a", b"bc"], b"text").unwrap();
        let again = DataKey::from_bytes(&bytes).unwrap();
        assert_eq!(
            again.open("token", &[b"a", b"bc"], &sealed).unwrap()[..],
            b"text"[..]
        );
        assert!(again.open("token", &[b"ab", b"c"], &sealed).is_none());
        assert!(again.open("other", &[b"a", b"bc"], &sealed).is_none());
        let (other, _) = DataKey::generate().unwrap();
        assert!(other.open("token", &[b"a", b"bc"], &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(again.open("token", &[b"a", b"bc"], &altered).is_none());
            assert!(again.open("token", &[b"a", b"bc"], &sealed[..at]).is_none());
        }
    }

    #[test]
    fn the_same_text_never_seals_to_the_same_bytes() {
        let (key, _) = DataKey::generate().unwrap();
        let first = key.seal("t", &[], b"same").unwrap();
        assert_ne!(first, key.seal("t", &[], b"same").unwrap());
        assert!(!first.windows(4).any(|w| w == b"same"));
    }
}
