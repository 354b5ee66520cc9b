//! How an import's secrets are written: sealed for the identity beside the new file, which is made when it is needed, or
//! in clear.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::base::secret::Secret;
use crate::config::quote_text;
use crate::config::raw;
use crate::config::seal::{Identity, may_create};

/// The store's file in `state.path`: where it is, tokens may be encrypted for an identity that is missing.
const STORE: &str = "agp.redb";

/// Writes secrets.
pub(super) struct Sealing {
    identity_path: PathBuf,
    store: PathBuf,
    plain: bool,
    identity: OnceCell<(Identity, bool)>,
}

impl Sealing {
    /// For a file whose `state.path` is as given, or the default.
    pub(super) fn new(state_dir: &Path, state_path: Option<&str>, plain: bool) -> Self {
        let default = raw::State::default().path.0;
        Self {
            identity_path: state_dir.join(raw::Secrets::default().identity.file.0),
            store: state_dir.join(state_path.unwrap_or(&default)).join(STORE),
            plain,
            identity: OnceCell::new(),
        }
    }

    /// The secret as the file has it.
    pub(super) fn write(&self, secret: &Secret) -> Result<String, String> {
        if self.plain {
            return Ok(quote_text(secret.expose()));
        }
        let identity = if let Some((identity, _)) = self.identity.get() {
            identity
        } else {
            let found = self.find()?;
            &self.identity.get_or_init(|| found).0
        };
        let sealed = identity.seal(secret).map_err(|e| e.to_string())?;
        Ok(format!("{{ sealed = {} }}", quote_text(&sealed)))
    }

    fn find(&self) -> Result<(Identity, bool), String> {
        let path = &self.identity_path;
        if let Some(identity) = Identity::load_or_none(path).map_err(|e| e.to_string())? {
            return Ok((identity, false));
        }
        if !may_create(false, self.store.exists()) {
            return Err(format!(
                "`{}` may hold what another identity sealed, and `{}` is missing: put it back, or import into another folder",
                self.store.display(),
                path.display()
            ));
        }
        let identity = Identity::create(path).map_err(|e| e.to_string())?;
        Ok((identity, true))
    }

    /// The identity that was used and whether it was made.
    pub(super) fn used(&self) -> Option<(PathBuf, bool)> {
        let (_, made) = self.identity.get()?;
        Some((self.identity_path.clone(), *made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_made_on_first_need_and_used_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let secret = Secret::new("a secret");
        let first = Sealing::new(dir.path(), None, false);
        assert_eq!(first.used(), None);
        let sealed = first.write(&secret).unwrap();
        assert!(sealed.starts_with("{ sealed = \"agp1:") && !sealed.contains("a secret"));
        let path = dir.path().join("data/agp-identity.txt");
        assert_eq!(first.used(), Some((path.clone(), true)));
        let second = Sealing::new(dir.path(), None, false);
        second.write(&secret).unwrap();
        assert_eq!(second.used(), Some((path.clone(), false)));
        let text = sealed
            .trim_start_matches("{ sealed = \"")
            .trim_end_matches("\" }");
        let identity = Identity::load(&path, &[]).unwrap();
        assert_eq!(identity.open(text).unwrap(), secret);
    }

    #[test]
    fn none_is_made_beside_a_store_that_had_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("kept")).unwrap();
        std::fs::write(dir.path().join("kept/agp.redb"), "").unwrap();
        let sealing = Sealing::new(dir.path(), Some("kept"), false);
        let why = sealing.write(&Secret::new("x")).unwrap_err();
        assert!(
            why.contains("agp-identity.txt") && why.contains("put it back"),
            "{why}"
        );
        assert!(!dir.path().join("data").exists());
        let plain = Sealing::new(dir.path(), Some("kept"), true);
        assert_eq!(plain.write(&Secret::new("x\"")).unwrap(), "\"x\\\"\"");
        assert_eq!(plain.used(), None);
    }
}
