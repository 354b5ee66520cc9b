//! Saving a file that a command has changed, without a gateway.

use std::io;
use std::path::Path;

use crate::config::edit::Change;
use crate::config::write::{self, Keeper, WriteError};

/// Puts the new text in the place of the old one, as [`write::save`] does. Where the file can only be written in place, the old
/// text lies in `folder` for as long as that takes, and stays there where it fails.
///
/// # Errors
/// Somebody else saved it meanwhile, or it can't be written.
pub(super) fn save(change: &Change, folder: &Path) -> Result<(), WriteError> {
    let keeper = Kept {
        folder,
        change,
        file: parking_lot::Mutex::default(),
    };
    let (old, new) = (change.before.as_bytes(), change.after.as_bytes());
    write::save(&change.path, old, new, &keeper)?;
    // All is well: nobody needs it.
    drop(keeper.file.lock().take());
    Ok(())
}

/// The old text of a file that can only be written in place: in its folder for as long as that takes, and from then on
/// where it fails.
struct Kept<'a> {
    folder: &'a Path,
    change: &'a Change,
    file: parking_lot::Mutex<Option<tempfile::TempPath>>,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.file.get_mut().take() {
            let _ = file.keep();
        }
    }
}

impl Keeper for Kept<'_> {
    fn keep(&self) -> io::Result<()> {
        let name = self.change.path.file_name().unwrap_or_default();
        let mut file = tempfile::Builder::new()
            .prefix(&format!("before-edit-{}-", name.to_string_lossy()))
            .tempfile_in(self.folder)?;
        io::Write::write_all(&mut file, self.change.before.as_bytes())?;
        file.as_file().sync_all()?;
        std::fs::File::open(self.folder)?.sync_all()?;
        *self.file.lock() = Some(file.into_temp_path());
        Ok(())
    }
}
