//! Project and tier of an account (upstream-protocol.md 3): pure readers of the answers, and the discovery that asks for
//! them in order through [`SetupApi`].

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};
use crate::upstream::antigravity::envelope::is_operation_name;
use crate::upstream::classify::{Endpoint, Refusal, classify, details, next_host};
use crate::upstream::lenient;

/// Between two looks at an onboarding operation (3.2).
const POLL: Duration = Duration::from_secs(5);
/// No look after this (3.2).
const POLL_FOR: Duration = Duration::from_mins(1);
/// The tier whose project is made by the provider.
const FREE: &str = "free-tier";
/// What a user behind VPC service controls is treated as (3.1).
const STANDARD: &str = "standard-tier";
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

/// The calls that discovery makes. One implementation speaks HTTP, tests have others.
pub trait SetupApi {
    /// loadCodeAssist; the flag says whether a refusal names `SECURITY_POLICY_VIOLATED`.
    fn load(
        &self,
        project: Option<&str>,
    ) -> impl Future<Output = Result<Setup, (Failure, bool)>> + Send;
    /// onboardUser.
    fn onboard(
        &self,
        onboard: &Onboard,
        project: Option<&str>,
    ) -> impl Future<Output = Result<Operation, Failure>> + Send;
    /// An operation by its name.
    fn operation(&self, name: &str) -> impl Future<Output = Result<Operation, Failure>> + Send;
}

/// Finds tier and project, onboarding the account where it never was. What comes back has a project. `configured` is
/// `accounts.*.project`.
///
/// # Errors
/// What a call failed with; `needs_validation` where a person must act first; `forbidden` where the provider gives this
/// account no project, with the provider's reasons in the detail.
pub async fn discover_with<A: SetupApi>(
    api: &A,
    configured: Option<&str>,
) -> Result<Setup, Failure> {
    let mut setup = load(api, configured).await?;
    // A project that the operator names needs no other; but a user who never was onboarded has no right to any.
    let due = setup
        .onboard
        .take()
        .filter(|due| due.first || configured.is_none());
    if let Some(due) = due {
        if let Some(link) = setup.validation_link.take_if(|_| setup.project.is_none()) {
            return Err(needs_validation(link));
        }
        match onboard(api, &due, configured).await {
            Ok(Some(project)) => setup.project = Some(project),
            // Done, but no project: the next load may name it (3.2).
            Ok(None) => {
                let again = load(api, configured).await?;
                setup = Setup {
                    project: again.project.or(setup.project),
                    onboard: None,
                    ..again
                };
            }
            Err(failure) if setup.project.is_some() => {
                tracing::warn!(
                    detail = failure.detail,
                    "onboarding failed; the project that the provider named is used"
                );
            }
            Err(failure) => return Err(failure),
        }
    }
    if let Some(configured) = configured {
        setup.project = Some(configured.to_owned());
    }
    if setup.project.is_some() {
        Ok(setup)
    } else {
        Err(unusable(setup))
    }
}

async fn load<A: SetupApi>(api: &A, configured: Option<&str>) -> Result<Setup, Failure> {
    match api.load(configured).await {
        Ok(setup) => Ok(setup),
        Err((_, true)) => Ok(Setup {
            tier: STANDARD.to_owned(),
            project: None,
            onboard: None,
            ineligible: Vec::new(),
            validation_link: None,
        }),
        Err((failure, false)) => Err(failure),
    }
}

/// Starts onboarding and waits for its end; gives the project that it made, if it says which.
async fn onboard<A: SetupApi>(
    api: &A,
    due: &Onboard,
    configured: Option<&str>,
) -> Result<Option<String>, Failure> {
    let project = configured.filter(|_| due.sends_project);
    let until = Instant::now() + POLL_FOR;
    let mut operation = api.onboard(due, project).await?;
    while !operation.done {
        if Instant::now() + POLL > until {
            return Err(Failure::new(
                Class::Timeout,
                format!("onboarding was not done within {POLL_FOR:?}"),
            ));
        }
        tokio::time::sleep(POLL).await;
        let looked = if is_operation_name(&operation.name) {
            api.operation(&operation.name).await
        } else {
            api.onboard(due, project).await
        };
        match looked {
            Ok(next) if next.name.is_empty() => {
                operation = Operation {
                    name: operation.name,
                    ..next
                }
            }
            Ok(next) => operation = next,
            // The operation goes on while its host can't be asked.
            Err(failure) if next_host(&failure) || failure.class == Class::Timeout => {}
            Err(failure) => return Err(failure),
        }
    }
    match operation.error {
        None => Ok(operation.project),
        Some(error) => Err(classify(&Refusal {
            status: 200,
            retry_after: None,
            body: error.as_bytes(),
            endpoint: Endpoint::Setup,
            now: Timestamp::now(),
        })),
    }
}

fn needs_validation(link: String) -> Failure {
    Failure {
        link: Some(link),
        ..Failure::new(
            Class::NeedsValidation,
            "the provider wants the account verified before it gives it a project",
        )
    }
}

/// Why an account without a project is none that can be used.
fn unusable(setup: Setup) -> Failure {
    if let Some(link) = setup.validation_link {
        return needs_validation(link);
    }
    let mut detail = String::from("the provider gives this account no project");
    for tier in &setup.ineligible {
        detail.push_str("; not eligible for ");
        for (part, between) in [
            (&tier.tier_id, ": "),
            (&tier.reason_code, ", "),
            (&tier.message, ""),
        ] {
            if !part.is_empty() {
                detail.push_str(part);
                detail.push_str(between);
            }
        }
    }
    Failure::new(Class::Forbidden, detail)
}

#[cfg(test)]
mod tests;
