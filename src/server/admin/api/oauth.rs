//! Adding an account by its provider's consent page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Begins.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOauth {
    /// The upstream; may be left out where there is one only.
    #[serde(default)]
    pub upstream: Option<String>,
    /// The account that is to be signed in again.
    #[serde(default)]
    pub account: Option<String>,
    /// The origin that the panel is open at, such as `http://127.0.0.1:8088`.
    pub origin: String,
}

/// Where to go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OauthStarted {
    /// What this sign-in is known by.
    pub state: String,
    /// The provider's consent page.
    pub url: String,
    /// Where that leads back to.
    pub redirect_url: String,
    /// Whether that is where the panel is open: else the address is to be copied back.
    pub lands_here: bool,
    /// Where the panel is to be opened instead, since it is open at another name of this machine: then begin anew there.
    pub move_to: Option<String>,
    /// When it is too late.
    pub expires: String,
}

/// How far a sign-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OauthStep {
    /// The person is at the provider's.
    Waiting,
    /// The provider says who it is: to be confirmed.
    Found,
    /// The provider refused.
    Failed,
}

/// A sign-in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OauthPending {
    /// What it is known by.
    pub state: String,
    /// Its upstream.
    pub upstream: String,
    /// How far it is.
    pub step: OauthStep,
    /// The e-mail that the provider told.
    pub email: Option<String>,
    /// The account that has this e-mail, or that is to be signed in again: it gets a new token.
    pub account: Option<String>,
    /// A name for a new account.
    pub name: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it is too late.
    pub expires: String,
}

/// The address that the browser ended at, or the code in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasteOauth {
    /// As it was copied.
    pub address: String,
}

/// Makes the account, or renews it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmOauth {
    /// A new account's table name; the suggested one where none is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
}
