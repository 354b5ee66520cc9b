//! Other gateways' files in, a file of agp out, and a report of what could not be carried over.
//!
//! Whatever is read is a stranger's: bounded, and told by name where it can't be used. Secrets come out sealed, as digests
//! or as references, and in clear only where that was asked for; the report holds none. The result has passed
//! [`crate::config::load`] before anybody sees it.

mod cliproxyapi;
mod common;
mod dotenv;
mod draft;
mod finish;
mod litellm;
mod names;
mod original;
mod report;
mod sealing;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::base::secret::Secret;
use crate::config::import::draft::Draft;
use crate::config::source::read_bounded;

pub use report::{Carried, Note, Notes, Report};

/// Most entries of a list, most rows of a table, most auth files: far more than any gateway has.
const MAX_ENTRIES: usize = 10_000;

/// What is imported, and where it is.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The original system: its file of variables and its database. One of the two is enough.
    Original {
        /// The file of variables.
        env: Option<&'a Path>,
        /// The SQLite file.
        db: Option<&'a Path>,
    },
    /// LiteLLM's proxy.
    LiteLlm {
        /// Its YAML file.
        config: &'a Path,
    },
    /// CLIProxyAPI.
    CliProxyApi {
        /// Its YAML file.
        config: &'a Path,
        /// The folder of its auth files; without it the one that the file names.
        auth_dir: Option<&'a Path>,
    },
}

impl Source<'_> {
    /// Its name, as the command line has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Original { .. } => "original",
            Self::LiteLlm { .. } => "litellm",
            Self::CliProxyApi { .. } => "cliproxyapi",
        }
    }
}

/// Makes a password's hash.
pub type HashPassword<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// How secrets come out.
pub struct Options<'a> {
    /// What the new file's `secrets.identity` and `state.path` are relative to. The identity is made there when something
    /// must be sealed and there is none.
    pub state_dir: &'a Path,
    /// Write secrets in clear.
    pub plain_secrets: bool,
    /// The environment, for what a source takes from there and agp.toml can't.
    pub env: &'a BTreeMap<String, String>,
    /// Hashes the panel's password.
    pub hash_password: HashPassword<'a>,
}

/// What came out.
pub struct Imported {
    /// The file's text, which holds secrets only where that was asked for.
    pub text: Secret,
    /// The report.
    pub report: Report,
    /// The identity file that secrets were sealed for, and whether it was made for that.
    pub identity: Option<(PathBuf, bool)>,
}

impl fmt::Debug for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imported")
            .field("report", &self.report)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Why nothing came out. No message holds a value of the source.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file can't be read, or is not what it should be.
    #[error("`{path}`: {why}")]
    Source {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Secrets can't be sealed.
    #[error("{0}")]
    Sealing(String),
    /// What came out would not be a valid file: a mistake of the import.
    #[error("the imported file would not be valid; please report this:\n{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Reads the source and makes a file of it. Nothing is written but the identity file, where one is needed and missing.
///
/// # Errors
/// See [`ImportError`].
pub fn import(source: &Source<'_>, options: &Options<'_>) -> Result<Imported, ImportError> {
    let mut cx = Cx {
        draft: Draft::default(),
        report: Report {
            from: source.name(),
            ..Report::default()
        },
        options,
    };
    match source {
        Source::Original { env, db } => original::read(&mut cx, *env, *db)?,
        Source::LiteLlm { config } => litellm::read(&mut cx, config)?,
        Source::CliProxyApi { config, auth_dir } => cliproxyapi::read(&mut cx, config, *auth_dir)?,
    }
    finish::finish(cx)
}

/// What the sources share: the file in the making, its report, the options.
struct Cx<'a> {
    draft: Draft,
    report: Report,
    options: &'a Options<'a>,
}

/// A file's text.
fn read_text(path: &Path, most: u64) -> Result<String, ImportError> {
    let failed = |why: String| ImportError::Source {
        path: path.to_owned(),
        why,
    };
    let bytes = read_bounded(path, most)
        .map_err(|error| failed(format!("can't be read: {error}")))?
        .ok_or_else(|| failed(format!("larger than {} MiB", most >> 20)))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        failed(format!("not UTF-8 from byte {at} on"))
    })
}

/// A YAML file.
fn read_yaml(path: &Path) -> Result<yaml::Node, ImportError> {
    let failed = |why: String| ImportError::Source {
        path: path.to_owned(),
        why,
    };
    let node = yaml::parse(&read_text(path, yaml::MAX_TEXT)?).map_err(failed)?;
    match node.value {
        yaml::Value::Map(_) => Ok(node),
        _ => Err(failed("expected a map at the top".to_owned())),
    }
}

#[cfg(test)]
mod tests;
