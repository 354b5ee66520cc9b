//! Rules 1 to 7 of the contents (upstream-protocol.md 5.2), and what a part may be (5.3).

use std::collections::HashSet;

use serde_json::Value;

use super::{list, text};
use crate::sim::models::{Family, Model};
use crate::sim::reply::Problem;

/// The fields of which each part has exactly one.
const DATA: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];

/// Checks the contents and the system text of a generation request.
///
/// # Errors
/// The 400 of the first rule broken.
pub(super) fn check(request: &Value, model: &Model) -> Result<(), Problem> {
    let contents = list(request, "contents");
    if contents.is_empty() {
        return Err(Problem::invalid(
            "* GenerateContentRequest.contents: contents is not specified\n",
        ));
    }
    roles(contents)?;
    parts(contents, model.family)?;
    pairs(contents)?;
    if model.family == Family::Claude {
        claude_ids(contents)?;
    }
    system(request)
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::invalid(message))
}

/// Rules 1 and 6.
fn roles(contents: &[Value]) -> Result<(), Problem> {
    let mut last = "model";
    for content in contents {
        let role = text(content, "role");
        if !matches!(role, "user" | "model") {
            return invalid("Please use a valid role: user, model.");
        }
        if role == last {
            return invalid(
                if last == "model" && std::ptr::eq(content, &raw const contents[0]) {
                    "Please ensure that the contents begin with a user turn."
                } else {
                    "Please ensure that multiturn requests alternate between user and model."
                },
            );
        }
        last = role;
    }
    Ok(())
}

/// Rules 2 and 3, and 5.3: what each part is.
///
/// # Errors
/// The 400 of the first part that is none.
pub(super) fn parts(contents: &[Value], family: Family) -> Result<(), Problem> {
    for (i, content) in contents.iter().enumerate() {
        let all = list(content, "parts");
        if all.is_empty() {
            return invalid(format!(
                "* GenerateContentRequest.contents[{i}].parts: contents.parts must not be empty.\n"
            ));
        }
        for (j, part) in all.iter().enumerate() {
            let place = format!("GenerateContentRequest.contents[{i}].parts[{j}]");
            one_part(part, text(content, "role"), family, &place)?;
        }
    }
    Ok(())
}

fn one_part(part: &Value, role: &str, family: Family, place: &str) -> Result<(), Problem> {
    let fields: Vec<&str> = DATA
        .iter()
        .copied()
        .filter(|f| part.get(*f).is_some())
        .collect();
    let [field] = fields[..] else {
        return invalid(format!(
            "* {place}.data: required oneof field 'data' must have one initialized field\n"
        ));
    };
    let signed = part.get("thoughtSignature").is_some();
    match field {
        "text" if !signed && text(part, "text").is_empty() => invalid(format!(
            "* {place}.data: required oneof field 'data' must have one initialized field\n"
        )),
        "text" if family == Family::Claude && part["thought"] != true => {
            if text(part, "text").trim().is_empty() {
                let why = if text(part, "text").is_empty() {
                    "messages: text content blocks must be non-empty"
                } else {
                    "messages: text content blocks must contain non-whitespace text"
                };
                return Err(Problem::claude(why));
            }
            Ok(())
        }
        "inlineData" => media(&part["inlineData"], family),
        "fileData" => invalid("Cannot fetch content from the provided URL."),
        "functionCall" if role != "model" => {
            invalid("Please ensure that function call parts are in a turn of the model.")
        }
        "functionResponse" if role != "user" => {
            invalid("Please ensure that function response parts are in a turn of the user.")
        }
        "functionCall" | "functionResponse" => function(&part[field], field),
        _ => Ok(()),
    }
}

fn function(value: &Value, field: &str) -> Result<(), Problem> {
    if text(value, "name").is_empty() {
        return invalid(format!(
            "* GenerateContentRequest.contents.parts.{field}.name: Name cannot be empty.\n"
        ));
    }
    if field == "functionResponse" && value.get("response").is_none() {
        return invalid(
            "* GenerateContentRequest.contents.parts.function_response.response: required field\n",
        );
    }
    Ok(())
}

fn media(blob: &Value, family: Family) -> Result<(), Problem> {
    let kind = text(blob, "mimeType");
    let group = kind.split('/').next().unwrap_or_default();
    if family == Family::GptOss {
        return invalid("Image input modality is not enabled for this model.");
    }
    let seen = match family {
        Family::Claude => group == "image" || kind == "application/pdf",
        _ => {
            matches!(group, "image" | "audio" | "video" | "text")
                || matches!(kind, "application/pdf" | "application/json")
        }
    };
    if !seen {
        return invalid(format!("Unsupported MIME type: {kind}"));
    }
    if text(blob, "data").is_empty() {
        return invalid("Unable to process input image. Please retry or report in the console.");
    }
    Ok(())
}

/// A call's or a result's id and name.
fn key(value: &Value) -> (&str, &str) {
    (text(value, "id"), text(value, "name"))
}

/// Rules 4 and 5: the results of each call turn.
fn pairs(contents: &[Value]) -> Result<(), Problem> {
    let mut calls: Vec<(&str, &str)> = Vec::new();
    for content in contents {
        let parts = list(content, "parts");
        let results: Vec<_> = parts
            .iter()
            .filter_map(|p| p.get("functionResponse"))
            .map(key)
            .collect();
        if results.len() != calls.len() {
            return invalid(if calls.is_empty() {
                "Please ensure that function response turn comes immediately after a function call turn."
            } else {
                "Please ensure that the number of function response parts is equal to the number of function call \
                 parts of the function call turn."
            });
        }
        if results != calls {
            return invalid(format!(
                "Please ensure that function response parts have the ids and names of the function call parts, in \
                 their order: expected {calls:?}, found {results:?}."
            ));
        }
        let first = parts.iter().take(results.len());
        if !first.clone().all(|p| p.get("functionResponse").is_some()) {
            return invalid("Please ensure that function response parts come first in their turn.");
        }
        calls = parts
            .iter()
            .filter_map(|p| p.get("functionCall"))
            .map(key)
            .collect();
    }
    if calls.is_empty() {
        return Ok(());
    }
    invalid("Please ensure that function call turn is followed by a function response turn.")
}

/// Claude's calls have ids of its alphabet, each only once (upstream-protocol.md 5.3, 8.1).
fn claude_ids(contents: &[Value]) -> Result<(), Problem> {
    let mut ids = HashSet::new();
    for (i, content) in contents.iter().enumerate() {
        let calls = list(content, "parts").iter().enumerate();
        for (j, call) in calls.filter_map(|(j, p)| Some((j, p.get("functionCall")?))) {
            let id = text(call, "id");
            let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
            if id.is_empty() || !id.bytes().all(letter) {
                return Err(Problem::claude(format!(
                    "messages.{i}.content.{j}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
                )));
            }
            if !ids.insert(id) {
                return Err(Problem::claude("messages: `tool_use` ids must be unique"));
            }
        }
    }
    Ok(())
}

/// 5.4: text only.
fn system(request: &Value) -> Result<(), Problem> {
    let Some(system) = request.get("systemInstruction") else {
        return Ok(());
    };
    let parts = list(system, "parts");
    let good =
        |p: &Value| !text(p, "text").is_empty() && p.as_object().is_some_and(|p| p.len() == 1);
    if parts.is_empty() || !parts.iter().all(good) {
        return invalid(
            "* GenerateContentRequest.system_instruction.parts: must be non-empty text parts\n",
        );
    }
    Ok(())
}
