//! The data key of a store that no gateway has open.

use std::path::Path;

use redb::{Database, ReadableDatabase as _};

use super::{place_of, state_path};
use crate::store::crypt::KeyWrap;
use crate::store::open::{Fault, File, guarded};
use crate::store::{StoreError, query, writer};

/// The data key of a gateway that is stopped, wrapped; `None` where there is no store, or nothing was ever encrypted in it.
///
/// # Errors
/// [`StoreError::Locked`] while a gateway runs; where the file can't be used.
pub fn wrapped_key(dir: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    with_state(dir, |db| query::wrapped_key(&db.begin_read()?))
}

/// Wraps the data key of a gateway that is stopped anew, and gives it so; `None` where there is none.
///
/// # Errors
/// [`StoreError::Locked`] while a gateway runs; where the file can't be used, or the key can't be opened or wrapped. The
/// file is then as before.
pub fn rewrap(dir: &Path, keys: &dyn KeyWrap) -> Result<Option<Vec<u8>>, StoreError> {
    with_state(dir, |db| {
        let mut txn = db.begin_write()?;
        txn.set_quick_repair(true);
        let wrapped = writer::rewrap(&txn, keys)?;
        txn.commit()?;
        Ok(wrapped)
    })
}

/// Opens `agp.redb`, where there is one.
fn with_state<T>(
    dir: &Path,
    f: impl FnOnce(&Database) -> Result<Option<T>, Fault>,
) -> Result<Option<T>, StoreError> {
    let path = state_path(dir);
    if !path.exists() {
        return Ok(None);
    }
    let file = File::state(Box::new(place_of(&path)));
    guarded(|| {
        let db = file.place.open(false)?;
        file.inspect(&db)?;
        let out = f(&db)?;
        db.close()?;
        Ok(out)
    })
    .map_err(|fault| file.tell(&fault))
}
