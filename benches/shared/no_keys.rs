//! A store's key for benchmarks: nothing is sealed with it.

use agp::store::KeyWrap;
use zeroize::Zeroizing;

/// Nothing is sealed here.
pub(crate) struct NoKeys;

impl KeyWrap for NoKeys {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        Ok(data_key.to_vec())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Ok(Zeroizing::new(wrapped.to_vec()))
    }
}
