//! L3: text in, [`model::Config`] or diagnostics out.
//!
//! [`load`] is the one way from texts to a configuration: `agp validate`, the start and every reload take it. It reads no
//! file, no variable and no secret by itself; [`source::Files`] and [`secret::Resolver`] do that at the edge.

mod check;
mod de;
mod decode;
pub mod diagnostic;
pub mod edit;
pub mod effective;
pub mod explain;
pub mod format;
mod hint;
#[cfg(feature = "import")]
pub mod import;
mod mask;
pub mod model;
pub mod names;
mod overlay;
pub mod pending;
pub mod plan;
mod raw;
pub mod render;
pub mod report;
pub mod revert;
pub mod schema;
pub mod seal;
pub mod secret;
pub mod source;
mod suggest;
mod syntax;
mod tree;
mod value;
pub mod watch;
pub mod weak;
pub mod write;

use std::path::PathBuf;

use crate::base::time::Timestamp;
use crate::config::diagnostic::{Code, Diagnostic, Diagnostics, Severity, Span};
use crate::config::effective::Setting;
use crate::config::model::{Config, Secrets};
use crate::config::secret::Reference;
use crate::config::source::{Files, Revision};
use crate::config::tree::Node;

pub use overlay::{PREFIX as OVERLAY_PREFIX, environment};
pub use tree::{key_path, quote_key, quote_text};

/// What came out of the texts.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` where there is an error.
    pub config: Option<Config>,
    /// Everything that was found, in order of place.
    pub diagnostics: Diagnostics,
    /// Every secret that the files name, `[admin]`'s too.
    pub secrets: Vec<Reference>,
    /// How to seal and where the state is, of files with errors elsewhere too: a table is often unsound only for want of
    /// the secret that is about to be sealed. `None` where the files could not be read whole or this is what is unsound.
    pub sealing: Option<Sealing>,
    /// The revision of the files.
    pub revision: Revision,
}

/// What sealing a value takes of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// `[secrets]`.
    pub secrets: Secrets,
    /// `state.path` as written.
    pub state: PathBuf,
}

/// Parses and checks the files with the environment's `AGP__...` values over them; other variables are passed over.
/// Secrets stay references. Expired keys are told by the wall clock; see [`load_at`].
pub fn load(files: &Files, env: impl Iterator<Item = (String, String)>) -> Loaded {
    load_at(files, env, Timestamp::now())
}

/// [`load`] at a given time.
pub fn load_at(
    files: &Files,
    env: impl Iterator<Item = (String, String)>,
    now: Timestamp,
) -> Loaded {
    load_parsed(files, decode::parse(files), env, now).0
}

/// [`load`], and every value that is then in force with where it came from; none where there is an error.
pub fn effective(
    files: &Files,
    env: impl Iterator<Item = (String, String)>,
) -> (Loaded, Vec<Setting>) {
    let (loaded, tree) = load_parsed(files, decode::parse(files), env, Timestamp::now());
    let settings = loaded
        .config
        .as_ref()
        .map(|config| effective::settings(files, &tree, config));
    (loaded, settings.unwrap_or_default())
}

/// Where the state and the identity are by these files, which may have errors: `state.path` and `secrets.identity`, or their
/// defaults where they can't be read.
pub fn whereabouts(
    files: &Files,
    env: impl Iterator<Item = (String, String)>,
) -> (PathBuf, PathBuf) {
    let mut parsed = decode::parse(files);
    overlay::apply(&mut parsed.tree, env);
    let raw = decode::decode(&parsed.tree);
    let config = check::check(&raw, &parsed.tree, files, Timestamp::now()).config;
    (config.state.path, config.secrets.identity)
}

/// [`load_at`] for files that are parsed already, with the tree under the environment's values.
fn load_parsed(
    files: &Files,
    mut parsed: decode::Parsed,
    env: impl Iterator<Item = (String, String)>,
    now: Timestamp,
) -> (Loaded, Node) {
    let mut found = std::mem::take(&mut parsed.diagnostics);
    let overlaid = overlay::apply(&mut parsed.tree, env);
    let raw = decode::decode(&parsed.tree);
    let checked = check::check(&raw, &parsed.tree, files, now);
    let mut masks = mask::of_tree(&parsed.tree);
    masks.append(&mut parsed.masks);

    let mut derived = decode::problems(&parsed.tree);
    derived.extend(overlaid);
    derived.extend(checked.found);
    derived.extend(pending::notes(&parsed.tree));
    // A file that could not be read whole lacks keys that it may well have: only what stands there is judged.
    let whole = parsed.broken.is_empty() && files.problems().is_empty();
    derived.retain(|d| (whole || !needs_all(d.code)) && !on_broken_line(files, &parsed.broken, d));
    if !whole {
        found.retain(|d| d.code != Code::Version || !parsed_without_version(d));
    }
    found.extend(derived);

    let diagnostics = Diagnostics::new(found, masks);
    let usable = !diagnostics.has_errors() && files.root().is_some();
    let unsound = |d: &Diagnostic| {
        let table = d.key.split('.').next().unwrap_or_default();
        d.severity == Severity::Error && ["secrets", "state"].contains(&table)
    };
    let sound = whole && files.root().is_some() && !diagnostics.iter().any(unsound);
    let sealing = sound.then(|| Sealing {
        secrets: checked.config.secrets.clone(),
        state: checked.config.state.path.clone(),
    });
    let loaded = Loaded {
        config: usable.then_some(checked.config),
        diagnostics,
        secrets: checked.secrets,
        sealing,
        revision: files.revision(),
    };
    (loaded, parsed.tree)
}

/// Findings that a part of a file that could not be read may be the cause of.
fn needs_all(code: Code) -> bool {
    matches!(code, Code::Missing | Code::Reference | Code::NoAccount)
}

/// Whether the finding is that `version` is not there at all.
fn parsed_without_version(d: &Diagnostic) -> bool {
    d.span.as_ref().is_some_and(|s| s.range == (0..0))
}

/// Whether a finding stands on a line that does not parse: it is that mistake's shadow.
fn on_broken_line(files: &Files, broken: &[Span], d: &Diagnostic) -> bool {
    let Some(span) = &d.span else {
        return false;
    };
    let Some(file) = files.get(span.file) else {
        return false;
    };
    broken.iter().filter(|b| b.file == span.file).any(|b| {
        if b.range.start < span.range.end && span.range.start <= b.range.end {
            return true;
        }
        let (from, to) = if b.range.start <= span.range.start {
            (b.range.end.min(span.range.start), span.range.start)
        } else {
            (span.range.start, b.range.start)
        };
        !file.text.get(from..to).unwrap_or("\n").contains('\n')
    })
}

#[cfg(test)]
mod tests;
