//! The rules of tools and toolConfig (upstream-protocol.md 5.5).

use std::collections::HashSet;

use serde_json::Value;

use super::{list, schema, text};
use crate::sim::models::{Family, Model};
use crate::sim::reply::Problem;

/// The declarations of every `tools` entry.
pub(in crate::sim) fn declarations(request: &Value) -> impl Iterator<Item = &Value> {
    list(request, "tools")
        .iter()
        .flat_map(|tool| list(tool, "functionDeclarations"))
}

/// Checks tools, toolConfig, and the names in the history.
///
/// # Errors
/// The 400 of the first rule broken.
pub(super) fn check(request: &Value, model: &Model) -> Result<(), Problem> {
    let tools = list(request, "tools");
    if model.family == Family::Image && !tools.is_empty() {
        return invalid("Function calling is not enabled for this model.");
    }
    let mut names = HashSet::new();
    for (i, declared) in declarations(request).enumerate() {
        let name = text(declared, "name");
        good_name(name, model.family, i)?;
        if !names.insert(name) {
            return invalid(format!("Duplicate function declaration found: {name}"));
        }
        declaration(declared, model.family, i)?;
    }
    if tools
        .iter()
        .any(|t| t.as_object().is_some_and(serde_json::Map::is_empty))
    {
        return invalid(
            "* GenerateContentRequest.tools: tool_type: required one_of 'tool_type' must have one initialized field\n",
        );
    }
    let search = tools.iter().any(|t| t.get("googleSearch").is_some());
    let mixed = request["toolConfig"]["includeServerSideToolInvocations"] == true;
    if search && !names.is_empty() && !(mixed && model.family == Family::Gemini3) {
        return invalid("Multiple tools are supported only when they are all search tools.");
    }
    history(request, model.family)?;
    calling(request, &names)
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::invalid(message))
}

fn good_name(name: &str, family: Family, place: usize) -> Result<(), Problem> {
    if family == Family::Claude {
        let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if (1..=128).contains(&name.len()) && name.bytes().all(letter) {
            return Ok(());
        }
        return Err(Problem::claude(format!(
            "tools.{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )));
    }
    let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b':' | b'-');
    let first = name
        .bytes()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    if first && name.len() <= 64 && name.bytes().all(letter) {
        return Ok(());
    }
    invalid(format!(
        "* GenerateContentRequest.tools[0].function_declarations[{place}].name: Invalid function name. Must start with \
         a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or \
         dashes (-), with a maximum length of 64.\n"
    ))
}

fn declaration(declared: &Value, family: Family, place: usize) -> Result<(), Problem> {
    let name = text(declared, "name");
    let json = declared.get("parametersJsonSchema").is_some();
    match declared.get("parameters") {
        Some(_) if json => invalid(format!(
            "{name}: only one of `parameters` and `parameters_json_schema` can be set."
        )),
        Some(parameters) => schema::parameters(parameters, family, place, name),
        None if family == Family::Claude && !json => Err(Problem::claude(format!(
            "tools.{place}.custom.input_schema: Field required"
        ))),
        None => Ok(()),
    }
}

/// The names of past calls and results obey the same rule as declarations.
fn history(request: &Value, family: Family) -> Result<(), Problem> {
    for content in list(request, "contents") {
        for part in list(content, "parts") {
            for field in ["functionCall", "functionResponse"] {
                if let Some(call) = part.get(field) {
                    good_name(text(call, "name"), family, 0)?;
                }
            }
        }
    }
    Ok(())
}

fn calling(request: &Value, names: &HashSet<&str>) -> Result<(), Problem> {
    let config = &request["toolConfig"]["functionCallingConfig"];
    let mode = text(config, "mode");
    let allowed = list(config, "allowedFunctionNames");
    if mode == "ANY" && names.is_empty() {
        return invalid("Function calling config is set without function_declarations.");
    }
    if !allowed.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return invalid(
            "Function calling mode must be ANY or VALIDATED when allowed_function_names is set.",
        );
    }
    for name in allowed.iter().filter_map(Value::as_str) {
        if !names.contains(name) {
            return invalid(format!(
                "allowed_function_names contains a function that is not declared: {name}"
            ));
        }
    }
    Ok(())
}
