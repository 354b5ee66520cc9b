//! The files and what they say.

use std::path::Path;
use std::sync::Arc;

use crate::config::diagnostic::Severity;
use crate::config::model::Config;
use crate::config::secret::Reference;
use crate::config::source::Files;
use crate::config::{self, Loaded, render};

/// The files as read, with the config in them.
pub struct Read {
    /// The files.
    pub files: Files,
    /// Their config.
    pub config: Arc<Config>,
    /// Every secret that the files name.
    pub secrets: Vec<Reference>,
    /// Warnings and notes, a line each.
    pub remarks: Vec<(Severity, String)>,
}

/// Files that can't be used.
pub struct Unreadable {
    /// The files, as far as they could be read.
    pub files: Files,
    /// All errors, as text for people.
    pub errors: Vec<String>,
}

/// Reads and checks the files.
///
/// # Errors
/// All errors, and the files that were read.
pub fn read(root: &Path) -> Result<Read, Box<Unreadable>> {
    let files = Files::read(root);
    let loaded = config::load(&files, environment());
    taken(files, loaded)
}

/// Files and what they say.
pub(super) fn taken(files: Files, loaded: Loaded) -> Result<Read, Box<Unreadable>> {
    let lines = |severity| {
        let of = loaded
            .diagnostics
            .iter()
            .filter(move |d| d.code.severity() == severity);
        of.map(|d| render::line(&files, d)).collect::<Vec<_>>()
    };
    let Some(config) = loaded.config else {
        let errors = lines(Severity::Error);
        return Err(Box::new(Unreadable { files, errors }));
    };
    let remarks = [Severity::Warning, Severity::Note];
    let remarks = remarks
        .into_iter()
        .flat_map(|s| lines(s).into_iter().map(move |line| (s, line)))
        .collect();
    Ok(Read {
        config: Arc::new(config),
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
