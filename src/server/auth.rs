//! Client keys from each dialect's usual places.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use crate::base::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::runtime::snapshot::{KeyEntry, Snapshot};

/// Longer than any key; a longer text is not digested.
const MAX_KEY: usize = 512;

/// The client key of a request: `x-api-key` is looked at first, else `Authorization: Bearer` (original.md section 3).
///
/// # Errors
/// 401: no key, another scheme, an unknown, disabled or expired key. Which of the last three is not told.
pub fn key(
    headers: &HeaderMap,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Arc<KeyEntry>, Error> {
    let text = match (headers.get("x-api-key"), headers.get(AUTHORIZATION)) {
        (Some(key), _) => key.to_str().map_err(|_| invalid())?,
        (None, Some(authorization)) => bearer(authorization.to_str().map_err(|_| invalid())?)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidKey,
                    "expected `Authorization: Bearer <key>` or `x-api-key: <key>`",
                )
            })?,
        (None, None) => {
            return Err(Error::new(
                ErrorKind::MissingKey,
                "an API key is needed: send it as `Authorization: Bearer <key>` or `x-api-key: <key>`",
            ));
        }
    };
    if text.is_empty() || text.len() > MAX_KEY {
        return Err(invalid());
    }
    let digest: [u8; 32] = Sha256::digest(text).into();
    snapshot
        .key(&digest)
        .filter(|key| key.is_valid(now))
        .cloned()
        .ok_or_else(invalid)
}

/// The token of an `Authorization` header of that scheme.
pub(super) fn bearer(text: &str) -> Option<&str> {
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn invalid() -> Error {
    Error::new(ErrorKind::InvalidKey, "the API key is not valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_is_read_as_the_rfc_writes_it() {
        assert_eq!(bearer("Bearer k"), Some("k"));
        assert_eq!(bearer("bearer   k "), Some("k"));
        assert_eq!(bearer("Basic k"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
