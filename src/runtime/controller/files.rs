//! From the files to a config, and from a config to a snapshot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Code, Severity};
use crate::config::model::Config;
use crate::config::secret::{self, Reference, Resolver};
use crate::config::source::Files;
use crate::config::watch::WatchSet;
use crate::config::{self, Loaded, render};
use crate::runtime::build::{Context, build};
use crate::runtime::keyring::Keyring;
use crate::runtime::registry::Registry;
use crate::runtime::snapshot::Snapshot;

/// Where the files and the state are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The root file, as given.
    pub root: PathBuf,
    /// What `state.path` and `secrets.identity` are relative to.
    pub state_dir: PathBuf,
}

/// The files as read, with the config in them.
pub struct Read {
    /// The files.
    pub files: Files,
    /// Their config.
    pub config: Arc<Config>,
    /// Every secret that the files name.
    pub secrets: Vec<Reference>,
    /// What to watch for changes.
    pub watch: WatchSet,
    /// Warnings and notes, a line each.
    pub remarks: Vec<(Severity, String)>,
}

/// Files that can't be used.
pub struct Unreadable {
    /// The files, as far as they could be read.
    pub files: Files,
    /// All errors, as text for people.
    pub errors: Vec<String>,
    /// Their codes, each once.
    pub codes: Vec<Code>,
}

/// Reads and checks the files.
///
/// # Errors
/// All errors, and the files that were read.
pub fn read(root: &Path) -> Result<Read, Box<Unreadable>> {
    let files = Files::read(root);
    let loaded = config::load(&files, environment());
    taken(root, files, loaded)
}

/// Files and what they say.
pub(super) fn taken(root: &Path, files: Files, loaded: Loaded) -> Result<Read, Box<Unreadable>> {
    let lines = |severity| {
        let of = loaded
            .diagnostics
            .iter()
            .filter(move |d| d.code.severity() == severity);
        of.map(|d| render::line(&files, d)).collect::<Vec<_>>()
    };
    let Some(config) = loaded.config else {
        let errors = lines(Severity::Error);
        let codes = loaded.diagnostics.error_codes();
        return Err(Box::new(Unreadable {
            files,
            errors,
            codes,
        }));
    };
    let remarks = [Severity::Warning, Severity::Note];
    let remarks = remarks
        .into_iter()
        .flat_map(|s| lines(s).into_iter().map(move |line| (s, line)))
        .collect();
    // Before anything reads the secrets.
    let watch = WatchSet::new(root, &files, secret::files(&loaded.secrets, &config));
    Ok(Read {
        config: Arc::new(config),
        watch,
        secrets: loaded.secrets,
        remarks,
        files,
    })
}

/// The environment's text variables.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Builds a snapshot of what was read.
///
/// # Errors
/// One line for each secret that can't be read.
pub fn wire(
    read: &Read,
    registry: &Registry,
    keyring: &Keyring,
    present: Option<&Snapshot>,
    generation: u64,
) -> Result<Snapshot, Vec<String>> {
    keyring.set_sealed(secret::has_sealed(&read.secrets));
    let (identity, path) = keyring.of_files().map_err(|error| vec![error])?;
    let env = |name: &str| std::env::var(name).ok();
    let secrets = Resolver::new(env, identity.as_ref(), path);
    let revision = read.files.revision().0;
    build(
        Arc::clone(&read.config),
        &Context {
            secrets: &secrets,
            registry,
            present,
            generation,
            revision,
        },
    )
}
