//! Accounts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::server::admin::api::edits::Edited;

/// An account of the files, and what is known of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Account {
    /// Its table's name.
    pub name: String,
    /// Its upstream.
    pub upstream: String,
    /// Its e-mail, where the file gives one.
    pub email: Option<String>,
    /// Whether the file enables it.
    pub enabled: bool,
    /// Its state, as `agp account list` names it.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// What a person can do about it.
    pub step: Option<String>,
    /// When it is over by itself.
    pub until: Option<String>,
    /// What kind of refusal it was.
    pub class: Option<String>,
    /// The models whose quota is used up, where that is its state.
    pub exhausted: Option<Vec<String>>,
    /// Where to verify it, at its provider.
    pub link: Option<String>,
    /// Until when the whole account rests.
    pub cooling_until: Option<String>,
    /// Calls under way.
    pub in_flight: u32,
    /// The provider's tier.
    pub tier: Option<String>,
    /// The project in use.
    pub project: Option<String>,
    /// Share under `weighted`.
    pub weight: f64,
    /// The file's tier: lower ones go first.
    pub rank: u32,
    /// Most calls under way; null is no limit.
    pub max_concurrent: Option<u32>,
    /// Globs of the upstream's models that it may serve.
    pub allowed: Vec<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Whether it may go on past its quota at the user's cost.
    pub credits: bool,
    /// Until when its access token is good; null where it has none.
    pub token_until: Option<String>,
    /// When it last served.
    pub last_used: Option<String>,
    /// Requests of the last 24 hours.
    pub requests: u64,
    /// Of these, those that failed by fault of the upstream or the gateway.
    pub errors: u64,
    /// Of the input tokens of the last 24 hours, the part read from the upstream's cache, 0 to 1.
    pub cache_share: Option<f64>,
    /// The least of what is left of its models' quotas, 0 to 1; null where nothing is known.
    pub remaining: Option<f64>,
    /// Models that can't be had of it now.
    pub models: Vec<ClosedModel>,
    /// What is left of each model's quota.
    pub quotas: Vec<Quota>,
}

/// A model that can't be had of an account now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ClosedModel {
    /// The upstream's id.
    pub model: String,
    /// Until when.
    pub until: String,
    /// What kind of refusal it was; null where the quota is used up.
    pub class: Option<String>,
}

/// What is left of a model's quota.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Quota {
    /// The upstream's id.
    pub model: String,
    /// 0 to 1; null where it is not known.
    pub remaining: Option<f64>,
    /// When it is full again.
    pub reset: Option<String>,
    /// How well calls went lately, 0 to 1.
    pub health: f64,
}

/// A page of accounts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// How many there are.
    pub total: u64,
    /// How many the filter lets through.
    pub matched: u64,
    /// How many are in each state, of all.
    pub states: BTreeMap<String, u64>,
    /// Every upstream that has accounts.
    pub upstreams: Vec<String>,
    /// Every tag.
    pub tags: Vec<String>,
    /// Every tier of a provider.
    pub tiers: Vec<String>,
}

/// One account, and whether something was changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OneAccount {
    /// Whether something was changed; null where nothing was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// The account as it is now.
    pub account: Option<Account>,
    /// What its upstream said, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed: Option<Refreshed>,
    /// Why its upstream could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RefreshError>,
}

/// What an account's upstream said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Refreshed {
    /// `renewed` or `still good`.
    pub token: String,
    /// Until when the token is good.
    pub token_until: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The provider's tier.
    pub tier: Option<String>,
    /// How many models it lists; null where it was not asked.
    pub models: Option<u64>,
}

/// Why an account's upstream could not be asked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RefreshError {
    /// What kind of refusal.
    pub class: String,
    /// HTTP status.
    pub status: Option<u16>,
    /// In words.
    pub message: String,
    /// More.
    pub detail: String,
    /// Where to go, at the provider.
    pub link: Option<String>,
}

/// A new account.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAccount {
    /// Its table's name; made of the e-mail where none is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Its upstream; may be left out where there is one only.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Its e-mail; the file has none where none is given. One that an account of this upstream has already renews that account.
    #[serde(default)]
    pub email: Option<String>,
    /// Its refresh token. The file gets it sealed.
    pub refresh_token: String,
    /// Its project; discovered where none is given.
    #[serde(default)]
    pub project: Option<String>,
    /// Share under `weighted`.
    #[serde(default)]
    pub weight: Option<f64>,
    /// The file's tier.
    #[serde(default)]
    pub rank: Option<u32>,
    /// Labels.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Globs of the upstream's models that it may serve.
    #[serde(default)]
    pub allowed: Option<Vec<String>>,
}

/// What became of a new account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AddedAccount {
    /// Its table's name.
    pub name: String,
    /// Whether there was one with this e-mail, which has a new token now.
    pub renewed: bool,
    /// The edit.
    pub edited: Edited,
    /// The job that asks its upstream for token, project and quotas; null where nothing was saved.
    pub job: Option<String>,
}

/// New accounts, as text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAccounts {
    /// JSON (a list of objects as for one account) or CSV with a header line: `email,refresh_token` and, if wanted, `name`,
    /// `upstream`, `project`, `tags` (separated by spaces), `weight`, `rank`; 1,000 accounts at most.
    pub text: String,
    /// The upstream of those that name none; may be left out where there is one only.
    #[serde(default)]
    pub upstream: Option<String>,
}

/// What became of one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddOutcome {
    /// It is new.
    Added,
    /// There was one with this e-mail, which has a new token now.
    Renewed,
    /// It can't be added.
    Refused,
}

/// What became of one of several.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AddResult {
    /// Which one, from 1: the element of the list, or the line after the header.
    pub entry: u64,
    /// Its e-mail, where it has one.
    pub email: Option<String>,
    /// Its table's name, where it gets one.
    pub name: Option<String>,
    /// What became of it.
    pub outcome: AddOutcome,
    /// Why it was refused.
    pub error: Option<String>,
}

/// What became of several new accounts. Those that can be added are, in one edit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AddedAccounts {
    /// How many are new.
    pub added: u64,
    /// How many were renewed.
    pub renewed: u64,
    /// How many were refused.
    pub refused: u64,
    /// Each of them.
    pub results: Vec<AddResult>,
    /// The edit; null where none could be added.
    pub edited: Option<Edited>,
    /// The job that asks their upstreams for tokens, projects and quotas; null where nothing was saved.
    pub job: Option<String>,
}

/// Several accounts by name.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshAccounts {
    /// Their names; all enabled ones where none are given.
    #[serde(default)]
    pub names: Option<Vec<String>>,
}

/// What to do to several accounts without touching the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Take them out of use until they are resumed.
    Pause,
    /// Take them back into use.
    Resume,
    /// End their cooldowns.
    Release,
}

/// What to do to several accounts without touching the file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActOnAccounts {
    /// Their names, 10,000 at most.
    pub names: Vec<String>,
    /// What to do.
    pub action: Action,
}

/// What became of several accounts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Acted {
    /// How many were changed.
    pub changed: u64,
    /// Those that could not be, and why.
    pub refused: Vec<ActRefusal>,
}

/// Why something was not done to an account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ActRefusal {
    /// The account.
    pub name: String,
    /// Why.
    pub error: String,
}
