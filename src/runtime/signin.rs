//! What the panel's sign-in is checked against: the secrets of `[admin]`, read.

use crate::base::secret::Secret;

/// The secrets of `[admin]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIn {
    /// Who may sign in; `None`: nobody.
    pub password: Option<KnownPassword>,
    /// What sessions are signed with; `None`: what the store keeps.
    pub signing: Option<Secret>,
}

/// How the password is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownPassword {
    /// By its argon2id hash in PHC form.
    Hash(Secret),
    /// By itself.
    Plain(Secret),
}

impl KnownPassword {
    /// What changes where the password is another one: its hash, or itself.
    pub fn material(&self) -> &Secret {
        match self {
            Self::Hash(text) | Self::Plain(text) => text,
        }
    }
}
