//! Project discovery: which calls, in which order, and how long an onboarding is waited for (upstream-protocol.md 3).

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::{Onboard, Operation, Setup};
use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};
use crate::upstream::antigravity::envelope::is_operation_name;
use crate::upstream::classify::{Endpoint, Refusal, classify, next_host};

/// Between two looks at an onboarding operation (3.2).
const POLL: Duration = Duration::from_secs(5);
/// No look after this (3.2).
const POLL_FOR: Duration = Duration::from_mins(1);
/// What a user behind VPC service controls is treated as (3.1).
const STANDARD: &str = "standard-tier";
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
            // Whom no tier takes can't be onboarded, now or later: what was said of the tiers is why.
            Err(failure) if failure.status == Some(400) && !setup.ineligible.is_empty() => {
                return Err(unusable(setup));
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
