//! The data key wrapped anew: for another identity, or for other recipients. The key itself stays, and so does all that it
//! sealed.

use redb::{ReadableTable as _, WriteTransaction};

use super::{Writer, attempt};
use crate::store::StoreError;
use crate::store::apply;
use crate::store::crypt::KeyWrap;
use crate::store::open::Fault;
use crate::store::table::{self, META, META_KEY};

/// Opens the wrapped data key and wraps it anew, in one transaction; gives it as it is now, `None` where there is none.
pub(in crate::store) fn rewrap(
    txn: &WriteTransaction,
    keys: &dyn KeyWrap,
) -> Result<Option<Vec<u8>>, Fault> {
    let found = {
        let meta = txn.open_table(META)?;
        let value = meta.get(META_KEY)?;
        value.and_then(|value| table::decode::<Vec<u8>>(value.value()))
    };
    let Some(wrapped) = found else {
        return Ok(None);
    };
    let again = again(&wrapped, keys)?;
    apply::write_key(txn, &again)?;
    Ok(Some(again))
}

fn again(wrapped: &[u8], keys: &dyn KeyWrap) -> Result<Vec<u8>, Fault> {
    let key = keys.unwrap(wrapped).map_err(Fault::Key)?;
    keys.wrap(&key).map_err(Fault::Key)
}

impl Writer {
    /// Wraps the data key anew. On a failure the file is as before.
    pub(super) fn rewrap(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let shared = &self.shared;
        let outcome = attempt(&shared.state, false, |txn| {
            let done = rewrap(txn, &*shared.keys)?;
            let changed = done.is_some();
            Ok((done, changed))
        });
        let done = outcome.map_err(|fault| shared.state.tell(&fault))?;
        let Some(unsaved) = &self.unsaved_key else {
            return Ok(done);
        };
        // A key that is in use but not written yet is written as it is then.
        let wrapped = again(unsaved, &*shared.keys).map_err(|fault| shared.state.tell(&fault))?;
        self.unsaved_key = Some(wrapped.clone());
        Ok(Some(wrapped))
    }
}
