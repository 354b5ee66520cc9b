//! Who may ask for the admin operations, and for what.

/// A token that the admin API takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// SHA-256 of the whole token.
    pub sha256: [u8; 32],
    /// What it may do.
    pub role: Role,
}

/// What a caller of the admin operations may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Change, too.
    Write,
}

impl Role {
    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}
