//! Signing in and out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the sign-in page must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignInPage {
    /// Whether a password is set in the file; without one nobody can sign in.
    pub password: bool,
    /// How long a sign-in lasts where "stay signed in" is ticked, in seconds; `null`: it is not offered.
    pub remember_seconds: Option<u64>,
    /// The gateway's version.
    pub version: &'static str,
}

/// A sign-in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The password; 1 to 1024 bytes.
    #[schemars(length(min = 1, max = 1024))]
    pub password: String,
    /// Whether to stay signed in.
    #[serde(default)]
    pub remember: bool,
}

/// Who was signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
}

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Session {
    /// `admin`, a token's name, or the user's number at the socket.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they showed who they are.
    pub how: How,
    /// What a session's requests other than GET and HEAD send back as `X-AGP-CSRF`; `null` for who needs none.
    pub csrf: Option<String>,
    /// When the session ends unless it is renewed, in RFC 3339; `null` where there is no session.
    pub expires: Option<String>,
    /// Whether "stay signed in" was ticked.
    pub remembered: bool,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Read,
    /// Change, too.
    Write,
}

/// How a caller showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a session's cookie.
    Session,
    /// By a token of `[admin.tokens]`.
    Token,
    /// By the password with each request (`admin.password_as_bearer`).
    Password,
    /// By opening the socket.
    Socket,
}

/// Nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Done {}
