//! Scripted refusals: the errors of upstream-protocol.md section 9 in all their forms.

use serde_json::{Value, json};

use super::reply::{Problem, Reply, json as json_reply, whole};
use super::script::{Behaviour, Form};
use crate::base::time::Timestamp;

/// The page that Google shows to an address it suspects (upstream-protocol.md section 2).
const SORRY: &str = "<html><head><meta http-equiv=\"content-type\" content=\"text/html; charset=utf-8\"/><title>Sorry...</title></head>\
<body><h1>We're sorry...</h1><p>... but your computer or network may be sending automated queries. To protect our users, \
we can't process your request right now.</p></body></html>";

/// Whether the behaviour refuses the call instead of answering it.
pub(super) fn refuses(b: &Behaviour) -> bool {
    b.revoke == Some(true)
        || b.oauth_error.is_some()
        || (b.error_in_stream.is_none()
            && (b.form.is_some() || b.body.is_some() || b.status.is_some_and(|s| s != 200)))
}

/// The status that a form usually has.
fn status_of(form: Form) -> u16 {
    match form {
        Form::Capacity => 503,
        Form::Validation | Form::ServiceDisabled | Form::TermsOfService => 403,
        Form::Html | Form::Plain => 200,
        _ => 429,
    }
}

/// The whole refusal.
pub(super) fn reply(b: &Behaviour, model: &str, now: Timestamp) -> Reply {
    if let Some(error) = &b.oauth_error {
        let text = b.message.as_deref().unwrap_or("Bad Request");
        let body = json!({"error": error, "error_description": text});
        return json_reply(b.status.unwrap_or(400), &body);
    }
    if b.revoke == Some(true) {
        return Problem::unauthenticated().reply();
    }
    if let Some(body) = &b.body {
        return whole(
            b.status.unwrap_or(200),
            "application/json; charset=UTF-8",
            body.clone(),
        );
    }
    let status = b.status.unwrap_or_else(|| b.form.map_or(200, status_of));
    match b.form {
        Some(Form::Html) => return whole(status, "text/html; charset=utf-8", SORRY),
        Some(Form::Plain) => {
            let text = b.message.as_deref().unwrap_or(
                "This version of the client is no longer supported. Please update to the latest version.",
            );
            return whole(status, "text/plain; charset=utf-8", text.to_owned());
        }
        Some(Form::NoBody) => return whole(status, "text/plain", ""),
        _ => {}
    }
    let problem = problem(b, model, now);
    let mut reply = match b.form {
        Some(Form::List) => json_reply(status, &Value::Array(vec![problem.body()])),
        Some(Form::Nested) => Problem::new(status, problem.body().to_string()).reply(),
        _ => problem.reply(),
    };
    if b.form == Some(Form::RetryAfter) {
        let seconds = wait(b).1.as_secs_f64().ceil().to_string();
        if let Ok(value) = seconds.parse() {
            reply.headers_mut().insert("retry-after", value);
        }
    }
    reply
}

/// The stated delay: the script's text and what it means; 30 s where it says nothing.
fn wait(b: &Behaviour) -> (&str, std::time::Duration) {
    b.delay
        .as_ref()
        .map_or(("30s", std::time::Duration::from_secs(30)), |d| {
            (d.text.as_str(), d.value)
        })
}

/// The delay as protobuf writes it: decimal seconds.
fn proto_delay(b: &Behaviour) -> String {
    let (text, value) = wait(b);
    let plain = text.trim_end_matches('s');
    if plain.parse::<f64>().is_ok() && text.len() == plain.len() + 1 {
        return text.to_owned();
    }
    format!("{}s", value.as_secs_f64())
}

/// The error itself, also for a stream's error chunk.
pub(super) fn problem(b: &Behaviour, model: &str, now: Timestamp) -> Problem {
    let form = b.form;
    let fallback = form.map_or(503, status_of);
    let status = b
        .status
        .unwrap_or(if fallback == 200 { 503 } else { fallback });
    let mut problem = form
        .and_then(|form| formed(form, b, model, now))
        .unwrap_or_else(|| bare(status, model));
    problem.status = status;
    problem.code = Problem::new(status, "").code;
    if let Some(reason) = &b.reason {
        let metadata = b.metadata.clone().unwrap_or_default();
        problem = problem.with_info(reason, Value::Object(metadata));
    }
    if let Some(message) = &b.message {
        problem.message.clone_from(message);
    }
    problem
}

/// An error without details, in the service's usual words.
fn bare(status: u16, model: &str) -> Problem {
    let text = match status {
        400 => "Request contains an invalid argument.".to_owned(),
        401 => return Problem::unauthenticated(),
        403 => "The caller does not have permission".to_owned(),
        404 => "Requested entity was not found.".to_owned(),
        413 => "Request payload size exceeds the limit: 20971520 bytes.".to_owned(),
        429 => "Resource has been exhausted (e.g. check quota).".to_owned(),
        499 => "The operation was cancelled.".to_owned(),
        500 => "Internal error encountered.".to_owned(),
        503 => "The service is currently unavailable.".to_owned(),
        504 => "Deadline expired before operation could complete.".to_owned(),
        _ => format!("Error {status} for model {model}."),
    };
    Problem::new(status, text)
}

fn formed(form: Form, b: &Behaviour, model: &str, now: Timestamp) -> Option<Problem> {
    let limited = |text: &str| Problem::new(429, text);
    let (text, value) = wait(b);
    let retry =
        json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": proto_delay(b)});
    let exhausted = format!(
        "You have exhausted your capacity on this model. Your quota will reset after {text}."
    );
    Some(match form {
        Form::RetryInfo | Form::Nested | Form::List => {
            let mut problem = limited("Too many requests.")
                .with_info("RATE_LIMIT_EXCEEDED", json!({"model": model}));
            problem.details.push(retry);
            problem
        }
        Form::MetadataDelay => limited("Too many requests.").with_info(
            "RATE_LIMIT_EXCEEDED",
            json!({"model": model, "quotaResetDelay": text}),
        ),
        Form::Timestamp => limited("Too many requests.").with_info(
            "RATE_LIMIT_EXCEEDED",
            json!({"model": model, "quotaResetTimeStamp": now.plus(value).to_string()}),
        ),
        Form::Text => limited(&format!("Quota exceeded. Please retry in {text}.")),
        Form::QuotaExhausted => {
            let metadata = json!({"model": model, "quotaResetDelay": text,
                "quotaResetTimeStamp": now.plus(value).to_string()});
            let mut problem = limited(&exhausted).with_info("QUOTA_EXHAUSTED", metadata);
            problem.details.push(retry);
            problem
        }
        Form::PerMinute => quota(
            "GenerateRequestsPerMinutePerProjectPerModel",
            "60",
            b,
            retry,
        ),
        Form::PerDay => quota(
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "20",
            b,
            retry,
        ),
        Form::LimitZero => limited(&format!(
            "You exceeded your current quota. * Quota exceeded for metric: generate_requests, limit: 0, model: {model}"
        )),
        Form::Credits => limited("Not enough credits.")
            .with_info("INSUFFICIENT_G1_CREDITS_BALANCE", json!({"model": model})),
        Form::Capacity => Problem::new(
            503,
            format!("No capacity available for model {model} on the server"),
        )
        .with_info("MODEL_CAPACITY_EXHAUSTED", json!({"model": model})),
        Form::Validation => validation(b),
        Form::ServiceDisabled => Problem::new(
            403,
            "Gemini for Google Cloud API has not been used in project before or it is disabled.",
        )
        .with_info(
            "SERVICE_DISABLED",
            json!({"service": "cloudaicompanion.googleapis.com"}),
        ),
        Form::TermsOfService => Problem::new(
            403,
            "This service has been disabled in this account for violation of Terms of Service.",
        ),
        Form::RetryAfter | Form::Bare | Form::Html | Form::Plain | Form::NoBody => return None,
    })
}

/// A quota's own limit; the delay is told only where the script states one.
fn quota(id: &str, limit: &str, b: &Behaviour, retry: Value) -> Problem {
    let mut problem = Problem::new(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
    );
    problem.details.push(json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaMetric": "cloudcode-pa.googleapis.com/generate_requests", "quotaId": id,
            "quotaDimensions": {"location": "global"}, "quotaValue": limit}]}));
    if b.delay.is_some() {
        problem.details.push(retry);
    }
    problem
}

fn validation(b: &Behaviour) -> Problem {
    let link = b
        .link
        .as_deref()
        .unwrap_or("https://accounts.example.com/verify?x=1");
    let mut problem = Problem::new(403, "Verify your account to continue.")
        .with_info("VALIDATION_REQUIRED", json!({"validation_url": link}));
    problem
        .details
        .push(json!({"@type": "type.googleapis.com/google.rpc.Help",
        "links": [{"description": "Verify your account", "url": link}]}));
    problem
}
