//! What the real service refuses, the simulator refuses in the same words (upstream-protocol.md sections 2 to 8).

mod config;
mod contents;
mod fields;
mod messages;
mod schema;
mod tools;
mod turn;

pub(super) use tools::declarations;

use serde_json::Value;

use super::models::{self, Family, Model};
use super::reply::Problem;

/// A field's list; empty where it is absent.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A field's text; empty where it is absent.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Reads JSON as one of the API's messages.
fn message(body: &[u8], message: &fields::Message) -> Result<Value, Problem> {
    let value = serde_json::from_slice(body).map_err(|e| {
        Problem::invalid(format!(
            "Invalid JSON payload received. Unexpected token.\n{e}"
        ))
    })?;
    fields::read(value, message, "")
}

/// Reads a body of `loadCodeAssist`.
///
/// # Errors
/// The 400 of the first name or type that does not fit.
pub(super) fn load(body: &[u8]) -> Result<Value, Problem> {
    metadata(message(body, &messages::LOAD)?)
}

/// Reads a body of `onboardUser`.
///
/// # Errors
/// The 400 of the first name or type that does not fit.
pub(super) fn onboard(body: &[u8]) -> Result<Value, Problem> {
    metadata(message(body, &messages::ONBOARD)?)
}

/// Reads a body of `fetchAvailableModels`.
///
/// # Errors
/// The 400 of the first name or type that does not fit.
pub(super) fn models(body: &[u8]) -> Result<Value, Problem> {
    message(body, &messages::MODELS)
}

/// Reads a body of `countTokens`, for which thoughts are poison (upstream-protocol.md 5.8).
///
/// # Errors
/// The 400 of the first thing that does not fit, the 404 of an unknown model.
pub(super) fn count(body: &[u8]) -> Result<Value, Problem> {
    let value = message(body, &messages::COUNT)?;
    let request = &value["request"];
    let id = text(request, "model");
    let id = id.strip_prefix("models/").unwrap_or(id);
    if !id.is_empty() && models::find(id).is_none() {
        return Err(Problem::new(404, "Requested entity was not found."));
    }
    let contents = list(request, "contents");
    if contents.is_empty() {
        return Err(Problem::invalid(
            "* CountTokensRequest.contents: contents is not specified\n",
        ));
    }
    contents::parts(contents, Family::Gemini25)?;
    let thought = |part: &Value| part["thought"] == true;
    if contents
        .iter()
        .any(|c| list(c, "parts").iter().any(thought))
    {
        return Err(Problem::invalid("Unable to count thought parts."));
    }
    Ok(value)
}

/// The client's description of itself: words in upper case, or their numbers (upstream-protocol.md 3.1).
fn metadata(value: Value) -> Result<Value, Problem> {
    for name in ["ideType", "platform", "pluginType"] {
        let Some(word) = value["metadata"].get(name) else {
            continue;
        };
        let good = match word {
            Value::Number(n) => n.as_u64().is_some_and(|n| n < 64),
            Value::String(s) if name == "platform" => PLATFORMS.contains(&s.as_str()),
            Value::String(s) => {
                let letter = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
                !s.is_empty() && s.bytes().all(letter)
            }
            _ => false,
        };
        if !good {
            return Err(Problem::payload(
                &format!("metadata.{name}"),
                &format!("Invalid value at 'metadata.{name}' (TYPE_ENUM), {word}"),
            ));
        }
    }
    Ok(value)
}

const PLATFORMS: &[&str] = &[
    "PLATFORM_UNSPECIFIED",
    "DARWIN_AMD64",
    "DARWIN_ARM64",
    "LINUX_AMD64",
    "LINUX_ARM64",
    "WINDOWS_AMD64",
];

/// A generation request that passed every rule.
#[derive(Debug)]
pub(super) struct Checked {
    /// The model asked for.
    pub(super) model: &'static Model,
    /// The inner request, with lowerCamelCase names.
    pub(super) request: Value,
    /// The envelope's project.
    pub(super) project: String,
}

/// Reads and checks a body of `generateContent` or `streamGenerateContent`.
///
/// # Errors
/// The answer that the real service gives to the first rule broken.
pub(super) fn generate(body: &[u8], unary: bool) -> Result<Checked, Problem> {
    let mut envelope = message(body, &messages::ENVELOPE)?;
    let id = text(&envelope, "model");
    let model =
        models::find(id).ok_or_else(|| Problem::new(404, "Requested entity was not found."))?;
    if unary && model.stream_only() {
        return Err(Problem::invalid(format!(
            "Model {id} is not supported by generateContent; use streamGenerateContent."
        )));
    }
    for name in ["project", "requestId", "userAgent", "requestType"] {
        if text(&envelope, name).is_empty() {
            return Err(Problem::invalid(format!(
                "Request is missing the required field `{name}`."
            )));
        }
    }
    let kind = text(&envelope, "requestType");
    let fits = match model.family {
        Family::Image => kind == "image_gen",
        _ => matches!(kind, "agent" | "web_search" | "text"),
    };
    if !fits {
        return Err(Problem::invalid(format!(
            "Request type {kind} is not supported for model {id}."
        )));
    }
    let project = text(&envelope, "project").to_owned();
    let request = envelope["request"].take();
    contents::check(&request, model)?;
    tools::check(&request, model)?;
    config::check(&request, model)?;
    turn::check(&request, model)?;
    length(&request, model)?;
    Ok(Checked {
        model,
        request,
        project,
    })
}

/// The prompt may not be longer than the model takes; the words are those that agents look for.
fn length(request: &Value, model: &Model) -> Result<(), Problem> {
    let tokens = super::tokens::prompt(request);
    if tokens <= model.max_tokens {
        return Ok(());
    }
    let max = model.max_tokens;
    Err(if model.family == Family::Claude {
        Problem::claude(format!(
            "prompt is too long: {tokens} tokens > {max} maximum"
        ))
    } else {
        Problem::invalid(format!(
            "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({max})."
        ))
    })
}
