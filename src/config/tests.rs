//! What the whole layer makes of texts.

mod broken;
mod defaults;
mod files;
mod laws;
mod many;
mod schema;
mod shown;

use crate::base::time::Timestamp;
use crate::config::diagnostic::{Code, Diagnostic, Severity};
use crate::config::source::Files;
use crate::config::{Loaded, load_at};

/// A time before every date in the tests' files.
pub(crate) const NOW: Timestamp = Timestamp(0);

fn files(text: &str) -> Files {
    Files::from_texts([("agp.toml".into(), text.to_owned())])
}

fn loaded(text: &str) -> Loaded {
    load_at(&files(text), std::iter::empty(), NOW)
}

fn overlaid(text: &str, env: &[(&str, &str)]) -> Loaded {
    let env: Vec<(String, String)> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    load_at(&files(text), env.into_iter(), NOW)
}

/// The findings that are not notes, on one line each.
fn findings(loaded: &Loaded) -> Vec<&Diagnostic> {
    loaded
        .diagnostics
        .iter()
        .filter(|d| d.severity != Severity::Note)
        .collect()
}

fn codes(loaded: &Loaded) -> Vec<Code> {
    findings(loaded).iter().map(|d| d.code).collect()
}
