//! Client keys and their groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::server::admin::api::edits::Edited;

/// What money may be spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// In US dollars.
    pub usd: f64,
    /// `day` or `month`.
    pub per: String,
}

/// How much of a limit is used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LimitUse {
    /// Its key in the file.
    pub limit: String,
    /// `requests`, `tokens` or `usd`.
    pub unit: String,
    /// `minute`, `day` or `month`.
    pub per: String,
    /// Used so far.
    pub used: f64,
    /// What may be used.
    pub bound: f64,
    /// When it begins anew.
    pub reset: String,
}

/// The limits that a key or group has; those that it has not are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u64>,
    /// Tokens a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Tokens a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Requests under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u64>,
}

/// Whether a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It opens.
    Active,
    /// The file says `enabled = false`.
    Disabled,
    /// Its time is over.
    Expired,
}

/// A client key. The key itself is known to its holder alone.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Key {
    /// Its table's name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// Its group.
    pub group: Option<String>,
    /// Whether it opens.
    pub state: KeyState,
    /// The first 8 digits of its SHA-256, to tell keys apart.
    pub digest: String,
    /// Globs of the public models that it may use.
    pub models: Vec<String>,
    /// Accounts that it may use, by name, glob or `tag:`; null is every account.
    pub accounts: Option<Vec<String>>,
    /// When it expires.
    pub expires: Option<String>,
    /// Its limits.
    pub limits: Limits,
    /// How much of them is used.
    pub uses: Vec<LimitUse>,
    /// Requests, as far back as sums are kept.
    pub requests: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their cost in US dollars.
    pub cost_usd: f64,
    /// Requests of the last 24 hours.
    pub requests_24h: u64,
    /// When it was last used, to a quarter hour.
    pub last_used: Option<String>,
}

/// Limits that several keys share.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Group {
    /// Its table's name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// How much of them is used.
    pub uses: Vec<LimitUse>,
    /// How many keys are in it.
    pub members: u64,
    /// The keys in it, the first hundred by name.
    pub keys: Vec<Member>,
}

/// A key of a group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Member {
    /// Its table's name.
    pub name: String,
    /// Its name for people.
    pub label: String,
}

/// Client keys, all or a page of them, and all groups.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyList {
    /// The keys that were asked for, sorted.
    pub keys: Vec<Key>,
    /// How many keys there are in the file.
    pub total: u64,
    /// How many of them the filters let through.
    pub matched: u64,
    /// The groups, by name.
    pub groups: Vec<Group>,
}

/// A new client key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Its name for people.
    pub label: String,
    /// Its table's name; made of the label where none is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Its group.
    #[serde(default)]
    pub group: Option<String>,
    /// Globs of the public models that it may use; every model where none are given.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// Accounts that it may use; every account where none are given.
    #[serde(default)]
    pub accounts: Option<Vec<String>>,
    /// At the beginning of which day it expires.
    #[serde(default)]
    pub expires: Option<String>,
    /// Its limits.
    #[serde(default)]
    pub limits: Limits,
}

/// A new client key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MadeKey {
    /// Its table's name.
    pub name: String,
    /// The key: shown now and never again. Null with `dry_run`.
    pub key: Option<String>,
    /// The edit.
    pub edited: Edited,
}

/// What keys and groups have used of their limits.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyUsage {
    /// Keys that have limits.
    pub keys: Vec<KeyUses>,
    /// Groups that have limits.
    pub groups: Vec<GroupUses>,
}

/// What a key has used of its limits.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyUses {
    /// Its table's name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// Its group.
    pub group: Option<String>,
    /// Its limits.
    pub limits: Vec<LimitUse>,
}

/// What a group has used of its limits.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupUses {
    /// Its table's name.
    pub name: String,
    /// Its limits.
    pub limits: Vec<LimitUse>,
}
