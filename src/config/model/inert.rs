//! What is read and has no effect so far.

use crate::config::model::SecretRef;

/// A key that is read but has no effect so far (see [`crate::config::pending`]), as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Inert {
    /// The keys on the way to it.
    pub path: Vec<String>,
    /// Its value.
    pub value: Written,
}

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// A single value, as TOML writes it.
    One(String),
    /// The texts of a list.
    List(Vec<String>),
    /// Under a secret key.
    Secret(SecretRef),
}
