//! Who asks for an operation.

use std::net::IpAddr;

use crate::base::id::hex;
use crate::config::model::Role;
use crate::runtime::signin::KnownPassword;
use crate::server::login::Session;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `cli:<uid>` over the socket, `token:<name>`, or `panel` for whoever knows the password.
    pub name: String,
    /// The address that it asks from; `None` over the socket.
    pub from: Option<IpAddr>,
    /// What it may do.
    pub role: Role,
    /// How it showed who it is.
    pub how: How,
}

impl Caller {
    /// What belongs to this caller alone is kept under it: of a session its own id, so that no other session of the same
    /// person has a part in it.
    pub fn owner(&self) -> String {
        match &self.how {
            How::Session(session) => format!("session:{}", hex(&session.id)),
            How::Socket | How::Token(_) | How::Password(_) => self.name.clone(),
        }
    }

    /// Whether it asks through the panel.
    pub fn is_session(&self) -> bool {
        matches!(self.how, How::Session(_))
    }
}

/// How a caller showed who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It opened the socket.
    Socket,
    /// By the token of `[admin.tokens]` that has this SHA-256.
    Token([u8; 32]),
    /// By the password with each request.
    Password(KnownPassword),
    /// By a session's cookie.
    Session(Session),
}
