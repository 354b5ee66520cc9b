//! Project and tier of an account (upstream-protocol.md 3): pure readers of the answers; the calls and their order are
//! [`discover`]'s.

pub mod discover;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::pool::failure::{Class, Failure};
use crate::upstream::classify::details;
use crate::upstream::lenient;

/// The tier whose project is made by the provider.
const FREE: &str = "free-tier";
/// The tier for onboarding where the answer allows none.
const LEGACY: &str = "legacy-tier";

/// What is known of an account's tier and project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The tier to show: paid, else current, else the default of the allowed ones, else `free-tier`.
    pub tier: String,
    /// The project that requests name.
    pub project: Option<String>,
    /// What has to be done first, if anything.
    pub onboard: Option<Onboard>,
    /// Tiers that this account can't have, and why.
    pub ineligible: Vec<Ineligible>,
    /// Where a person can verify the account, if the provider wants that.
    pub validation_link: Option<String>,
}

/// How to onboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onboard {
    /// The tier to ask for: never a paid one.
    pub tier_id: String,
    /// Whether a configured project is sent along. On the free tier one is refused.
    pub sends_project: bool,
    /// The account has no tier at all, so that nothing works before; else only a project is missing.
    pub first: bool,
}

/// A tier that is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ineligible {
    /// The tier.
    pub tier_id: String,
    /// Such as `UNSUPPORTED_LOCATION`.
    pub reason_code: String,
    /// For people.
    pub message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetupRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tier_id: Option<&'a str>,
    pub(super) metadata: Metadata<'a>,
    #[serde(
        rename = "cloudaicompanionProject",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) project: Option<&'a str>,
}

/// The configured block, with the project where one is sent.
#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    #[serde(flatten)]
    pub(super) configured: &'a BTreeMap<String, String>,
    #[serde(rename = "duetProject", skip_serializing_if = "Option::is_none")]
    pub(super) duet_project: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoadAnswer {
    #[serde(default, deserialize_with = "lenient::field")]
    current_tier: Option<Tier>,
    #[serde(default, deserialize_with = "lenient::field")]
    paid_tier: Option<Tier>,
    #[serde(default, deserialize_with = "lenient::list")]
    allowed_tiers: Vec<Tier>,
    #[serde(default, deserialize_with = "lenient::list")]
    ineligible_tiers: Vec<IneligibleTier>,
    #[serde(default, deserialize_with = "lenient::field")]
    cloudaicompanion_project: Option<Project>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tier {
    #[serde(default, deserialize_with = "lenient::field")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    is_default: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IneligibleTier {
    #[serde(default, deserialize_with = "lenient::field")]
    tier_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    reason_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    reason_message: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    validation_url: Option<String>,
}

/// A string, or an object with `id` (3.1).
#[derive(Deserialize)]
#[serde(untagged)]
enum Project {
    Id(String),
    Object { id: String },
}

impl Project {
    fn into_id(self) -> Option<String> {
        let (Self::Id(id) | Self::Object { id }) = self;
        Some(id).filter(|id| !id.is_empty())
    }
}

impl Tier {
    fn into_id(self) -> Option<String> {
        self.id.filter(|id| !id.is_empty())
    }
}

/// Reads loadCodeAssist's answer. Onboarding is due where there is no current tier, or no project.
///
/// # Errors
/// It is no JSON object: `upstream_garbage`.
pub fn read_load(answer: &[u8]) -> Result<Setup, Failure> {
    let answer: LoadAnswer = read_json(answer, "loadCodeAssist")?;
    let default_tier = answer
        .allowed_tiers
        .iter()
        .find(|tier| tier.is_default == Some(true))
        .and_then(|tier| tier.id.clone());
    let first_tier = answer.allowed_tiers.into_iter().find_map(Tier::into_id);
    let current = answer.current_tier.and_then(Tier::into_id);
    let project = answer.cloudaicompanion_project.and_then(Project::into_id);
    let onboard = (current.is_none() || project.is_none()).then(|| {
        let tier_id = default_tier
            .clone()
            .or_else(|| current.clone())
            .or(first_tier)
            .unwrap_or_else(|| LEGACY.to_owned());
        Onboard {
            sends_project: tier_id != FREE,
            first: current.is_none(),
            tier_id,
        }
    });
    let validation_link = answer
        .ineligible_tiers
        .iter()
        .filter(|tier| tier.reason_code.as_deref() == Some("VALIDATION_REQUIRED"))
        .find_map(|tier| tier.validation_url.clone())
        .filter(|link| details::is_link(link));
    Ok(Setup {
        tier: answer
            .paid_tier
            .and_then(Tier::into_id)
            .or(current)
            .or(default_tier)
            .unwrap_or_else(|| FREE.to_owned()),
        project,
        onboard,
        ineligible: answer
            .ineligible_tiers
            .into_iter()
            .map(|tier| Ineligible {
                tier_id: tier.tier_id.unwrap_or_default(),
                reason_code: tier.reason_code.unwrap_or_default(),
                message: tier.reason_message.unwrap_or_default(),
            })
            .collect(),
        validation_link,
    })
}

/// A long-running operation, as onboardUser and its poll give it (3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name; empty where it can't be asked for by name.
    pub name: String,
    /// Whether it has ended.
    pub done: bool,
    /// The project that it made.
    pub project: Option<String>,
    /// Why it failed, as the text of an error object.
    pub error: Option<String>,
}

/// Reads an operation.
///
/// # Errors
/// It is no JSON object: `upstream_garbage`.
pub fn read_operation(answer: &[u8]) -> Result<Operation, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default, deserialize_with = "lenient::field")]
        name: Option<String>,
        #[serde(default, deserialize_with = "lenient::field")]
        done: Option<bool>,
        #[serde(default, deserialize_with = "lenient::field")]
        response: Option<Response>,
        #[serde(default)]
        error: Option<Box<RawValue>>,
    }
    #[derive(Deserialize)]
    struct Response {
        #[serde(
            default,
            rename = "cloudaicompanionProject",
            deserialize_with = "lenient::field"
        )]
        project: Option<Project>,
    }
    let answer: Answer = read_json(answer, "onboardUser")?;
    Ok(Operation {
        name: answer.name.unwrap_or_default(),
        done: answer.done.unwrap_or(false),
        project: answer
            .response
            .and_then(|response| response.project)
            .and_then(Project::into_id),
        error: answer
            .error
            .map(|error| format!(r#"{{"error":{}}}"#, error.get())),
    })
}

fn read_json<'a, T: Deserialize<'a>>(answer: &'a [u8], what: &str) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|error| {
        Failure::new(
            Class::UpstreamGarbage,
            format!("the answer of {what} can't be read: {error}"),
        )
    })
}

#[cfg(test)]
mod tests;
