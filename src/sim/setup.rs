//! What is not generation: project discovery, onboarding, the model list with quotas, counting tokens
//! (upstream-protocol.md sections 3, 4 and 5.8).

use std::time::Duration;

use serde_json::{Map, Value, json};
use wildmatch::WildMatch;

use super::api::{foreign_project, may_use_model, may_use_project};
use super::http::Call;
use super::models::{Family, MODELS, Model};
use super::reply::{Problem, Reply, json};
use super::script::{Account, Script};
use super::state::{Onboarding, State};
use super::strict::{self, text};
use super::tokens;
use crate::base::time::Timestamp;
use crate::base::units::parse_duration;

/// Answers a method; `rest` is the path after `/v1internal`.
pub(super) fn answer(
    state: &State,
    script: &Script,
    call: &Call,
    method: &str,
    account: &str,
    rest: &str,
) -> Reply {
    let answered = match method {
        "loadCodeAssist" => {
            strict::load(&call.body).map(|body| load(state, script, account, &body))
        }
        "onboardUser" => {
            strict::onboard(&call.body).and_then(|body| onboard(state, script, account, &body))
        }
        "operations" => operation(state, script, account, rest.trim_start_matches('/')),
        "fetchAvailableModels" => {
            strict::models(&call.body).and_then(|body| models(script, account, &body))
        }
        _ => strict::count(&call.body)
            .map(|body| json!({"totalTokens": tokens::prompt(&body["request"])})),
    };
    match answered {
        Ok(value) => json(200, &value),
        Err(problem) => problem.reply(),
    }
}

/// Whether the account has a project by now.
fn onboarded(state: &State, account: &str, known: &Account) -> bool {
    known.onboarded
        || state
            .onboarding
            .lock()
            .get(account)
            .is_some_and(|o| o.left == 0)
}

fn tier(id: &str) -> Value {
    let name = match id {
        "free-tier" => "Free",
        "legacy-tier" => "Legacy",
        _ => "Standard",
    };
    json!({"id": id, "name": name, "description": format!("{name} tier of the simulator"),
        "userDefinedCloudaicompanionProject": id != "free-tier"})
}

fn load(state: &State, script: &Script, account: &str, body: &Value) -> Value {
    let known = script.account(account);
    let mut answer = json!({"gcpManaged": false});
    if let Some(reason) = &known.ineligible {
        let mut tier = json!({"tierId": known.tier, "tierName": "Standard", "reasonCode": reason,
            "reasonMessage": "This account is not eligible."});
        if reason == "VALIDATION_REQUIRED" {
            let link = known
                .validation_url
                .as_deref()
                .unwrap_or("https://accounts.example.com/verify?x=1");
            tier["validationUrl"] = json!(link);
            tier["validationErrorMessage"] = json!("Verify your account to continue.");
            tier["validationUrlLinkText"] = json!("Verify your account");
        }
        answer["ineligibleTiers"] = json!([tier]);
        return answer;
    }
    let mut default = tier(&known.tier);
    default["isDefault"] = json!(true);
    let mut allowed = vec![default];
    if known.tier != "standard-tier" {
        allowed.push(tier("standard-tier"));
    }
    answer["allowedTiers"] = json!(allowed);
    if !onboarded(state, account, &known) {
        return answer;
    }
    answer["currentTier"] = tier(&known.tier);
    if let Some(paid) = &known.paid_tier {
        answer["paidTier"] = json!({"id": paid, "name": "Google AI"});
    }
    if known.onboard_project || known.onboarded {
        let asked = text(body, "cloudaicompanionProject");
        let project = if asked.is_empty() || known.tier == "free-tier" {
            script.project(account)
        } else {
            asked.to_owned()
        };
        answer["cloudaicompanionProject"] = json!(project);
    }
    answer
}

fn onboard(state: &State, script: &Script, account: &str, body: &Value) -> Result<Value, Problem> {
    let known = script.account(account);
    let wanted = text(body, "tierId");
    if !matches!(wanted, "free-tier" | "legacy-tier" | "standard-tier") {
        return Err(Problem::invalid(format!("Invalid tier ID: {wanted}")));
    }
    let precondition = |why: &str| Problem {
        code: "FAILED_PRECONDITION",
        ..Problem::invalid(why)
    };
    if wanted == "free-tier" && !text(body, "cloudaicompanionProject").is_empty() {
        return Err(precondition("Precondition check failed."));
    }
    if known.ineligible.is_some() {
        return Err(precondition("The account is not eligible for this tier."));
    }
    poll(state, script, account, true)
}

/// The operation's state, one poll further on.
fn poll(state: &State, script: &Script, account: &str, start: bool) -> Result<Value, Problem> {
    let known = script.account(account);
    let name = operation_name(script, account);
    let mut all = state.onboarding.lock();
    let begun = all.get(account).copied();
    let left = match begun {
        None if start => known.onboard_polls,
        None => return Err(Problem::new(404, "Requested entity was not found.")),
        Some(onboarding) => onboarding.left.saturating_sub(1),
    };
    all.insert(account.to_owned(), Onboarding { left });
    drop(all);
    if left > 0 {
        return Ok(json!({"name": name, "done": false}));
    }
    let mut response = json!({});
    if known.onboard_project {
        let project = script.project(account);
        response["cloudaicompanionProject"] =
            json!({"id": project, "name": project, "projectNumber": "100200300"});
    }
    Ok(json!({"name": name, "done": true, "response": response}))
}

fn operation_name(script: &Script, account: &str) -> String {
    format!("operations/{}", script.project(account))
}

fn operation(state: &State, script: &Script, account: &str, name: &str) -> Result<Value, Problem> {
    if name != operation_name(script, account) {
        return Err(Problem::new(404, "Requested entity was not found."));
    }
    poll(state, script, account, false)
}

fn models(script: &Script, account: &str, body: &Value) -> Result<Value, Problem> {
    let project = text(body, "project");
    if !project.is_empty() && !may_use_project(script, account, project) {
        return Err(foreign_project(project));
    }
    let known = script.account(account);
    let now = Timestamp::now();
    let offered = MODELS
        .iter()
        .filter(|m| may_use_model(script, account, m.id));
    let all: Map<String, Value> = offered
        .map(|m| {
            let entry = quota(&known.quota, m.id).or_else(|| quota(&script.settings.quota, m.id));
            let quota = quota_info(entry, now);
            (m.id.to_owned(), model(m, quota))
        })
        .collect();
    let mut answer = json!({"models": all, "defaultAgentModelId": "gemini-3-flash",
        "webSearchModelIds": ["gemini-2.5-flash"]});
    if !script.settings.deprecated.is_empty() {
        let renamed = script.settings.deprecated.iter();
        let renamed: Map<String, Value> = renamed
            .map(|(old, new)| (old.clone(), json!({"newModelId": new})))
            .collect();
        answer["deprecatedModelIds"] = Value::Object(renamed);
    }
    Ok(answer)
}

fn model(m: &Model, quota: Option<Value>) -> Value {
    let mut shown = json!({"maxTokens": m.max_tokens, "maxOutputTokens": m.max_output});
    if !m.name.is_empty() {
        shown["displayName"] = json!(m.name);
    }
    if m.sees() {
        shown["supportsImages"] = json!(true);
        shown["supportedMimeTypes"] =
            json!({"image/png": true, "image/jpeg": true, "application/pdf": true});
    }
    if m.family != Family::Image {
        shown["supportsThinking"] = json!(true);
    }
    if let Some(budgets) = m.budgets() {
        let budget = if budgets.dynamic { -1 } else { budgets.min };
        shown["thinkingBudget"] = json!(budget);
    }
    if let Some(quota) = quota {
        shown["quotaInfo"] = quota;
    }
    shown
}

/// The first entry of a script's quotas whose glob fits the model.
fn quota<'a>(quotas: &'a Map<String, Value>, model: &str) -> Option<&'a Value> {
    let mut all = quotas.iter();
    all.find(|(glob, _)| WildMatch::new(glob).matches(model))
        .map(|(_, entry)| entry)
}

/// `quotaInfo` as proto3 writes it: a remaining fraction of zero is left out. The reset is a time or a duration from now.
/// A script's null leaves the quota unknown; without an entry all of it is left.
fn quota_info(entry: Option<&Value>, now: Timestamp) -> Option<Value> {
    let (remaining, reset) = match entry {
        None => (Some(1.0), None),
        Some(Value::Null) => return None,
        Some(Value::Object(fields)) => (
            fields.get("remaining").and_then(Value::as_f64),
            fields.get("reset").and_then(Value::as_str),
        ),
        Some(remaining) => (remaining.as_f64(), None),
    };
    let after = |text: &str| parse_duration(text).ok().map(|d| now.plus(d).to_string());
    let reset = match reset {
        Some(text) => after(text).unwrap_or_else(|| text.to_owned()),
        None => now.plus(Duration::from_hours(5)).to_string(),
    };
    let mut info = json!({"resetTime": reset});
    if let Some(remaining) = remaining.filter(|r| *r > 0.0) {
        info["remainingFraction"] = json!(remaining);
    }
    Some(info)
}
