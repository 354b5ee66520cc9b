//! `[secrets]`, and where a secret's value is.

use std::path::PathBuf;

use crate::base::secret::Secret;

/// `[secrets]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// File of the age identity, as written (relative to the state dir).
    pub identity: PathBuf,
    /// More age recipients that can open what is sealed; each once.
    pub recipients: Vec<String>,
}

/// Where a secret is found. The value itself is read when a snapshot is built.
#[derive(Debug, Clone, PartialEq)]
pub enum SecretRef {
    /// In the environment.
    Env(String),
    /// In a file, trimmed; path already joined to the folder of the file that names it.
    File(PathBuf),
    /// Sealed to the age identity: the text after `agp1:` is checked to be base64.
    Sealed(String),
    /// In clear.
    Plain(Secret),
}
