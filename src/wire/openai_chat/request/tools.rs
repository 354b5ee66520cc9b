//! Tools and which of them is to be called.

use crate::base::error::Error;
use crate::ir::{Losses, Tool, ToolChoice};
use crate::wire::json::check::{not_one_of, note_unknown, required};
use crate::wire::json::{self, At, List, Text, TextOrObject, shown};
use crate::wire::openai_chat::types::{self, Choice, Function, Named};

/// `tools`, and `functions` of the old form.
///
/// # Errors
/// A 400 that names the tool and the field in it.
pub(super) fn tools(
    tools: Option<List<types::Tool<'_>>>,
    functions: Option<List<Function<'_>>>,
    losses: &mut Losses,
) -> Result<Vec<Tool>, Error> {
    let mut out = Vec::new();
    let at = At::field("tools");
    for (i, tool) in tools.map_or_else(Vec::new, |l| l.0).into_iter().enumerate() {
        let at = at.index(i);
        note_unknown(losses, "tools[]", &tool.unknown);
        match tool.kind.as_deref() {
            None | Some("function") => {
                let at = at.key("function");
                let given = tool
                    .function
                    .ok_or_else(|| at.bad("expected an object with `name`, found none"))?;
                out.push(function(given, losses, "tools[].function", &at)?);
            }
            Some("custom") => {
                let at = at.key("custom");
                let given = tool
                    .custom
                    .ok_or_else(|| at.bad("expected an object with `name`, found none"))?;
                note_unknown(losses, "tools[].custom", &given.unknown);
                let grammar = given.format.and_then(|format| format.kind);
                if grammar.is_some_and(|kind| &*kind != "text") {
                    losses.note("tools[].custom.format");
                }
                out.push(Tool {
                    name: required(given.name, &at.key("name"))?,
                    description: given.description.map(Text::into_string),
                    parameters: None,
                    free_text: true,
                });
            }
            Some(other) => {
                return Err(not_one_of(&at.key("type"), "`function`, `custom`", other));
            }
        }
    }
    let at = At::field("functions");
    let functions = functions.map_or_else(Vec::new, |l| l.0);
    for (i, given) in functions.into_iter().enumerate() {
        out.push(function(given, losses, "functions[]", &at.index(i))?);
    }
    Ok(out)
}

fn function(
    given: Function<'_>,
    losses: &mut Losses,
    prefix: &str,
    at: &At<'_>,
) -> Result<Tool, Error> {
    note_unknown(losses, prefix, &given.unknown);
    if given.parameters.is_some_and(|raw| !json::is_object(raw)) {
        return Err(at.key("parameters").bad("expected a JSON Schema object"));
    }
    Ok(Tool {
        name: required(given.name, &at.key("name"))?,
        description: given.description.map(Text::into_string),
        parameters: given.parameters.map(ToOwned::to_owned),
        free_text: false,
    })
}

/// `tool_choice`, or `function_call` of the old form.
///
/// # Errors
/// A 400 that names the field, also where a tool is named that is not among `tools`.
pub(super) fn choice(
    choice: Option<TextOrObject<'_, Choice<'_>>>,
    function_call: Option<TextOrObject<'_, Named<'_>>>,
    tools: &[Tool],
) -> Result<Option<ToolChoice>, Error> {
    let at = At::field("tool_choice");
    match (choice, function_call) {
        (Some(TextOrObject::Text(word)), _) => match &*word {
            "none" => Ok(Some(ToolChoice::None)),
            "auto" => Ok(Some(ToolChoice::Auto)),
            "required" => Ok(Some(ToolChoice::Any)),
            other => Err(not_one_of(&at, "`none`, `auto`, `required`", other)),
        },
        (Some(TextOrObject::Object(choice)), _) => {
            if choice.kind.as_deref() == Some("allowed_tools") {
                allowed(choice, tools, &at).map(Some)
            } else {
                named(choice, tools, &at).map(|name| Some(ToolChoice::Named(name)))
            }
        }
        (None, Some(TextOrObject::Text(word))) => match &*word {
            "none" => Ok(Some(ToolChoice::None)),
            "auto" => Ok(Some(ToolChoice::Auto)),
            other => Err(not_one_of(
                &At::field("function_call"),
                "`none`, `auto`",
                other,
            )),
        },
        (None, Some(TextOrObject::Object(call))) => {
            let at = At::field("function_call");
            known(call.name, tools, &at).map(|name| Some(ToolChoice::Named(name)))
        }
        (None, None) => Ok(None),
    }
}

fn allowed(choice: Choice<'_>, tools: &[Tool], at: &At<'_>) -> Result<ToolChoice, Error> {
    let at = at.key("allowed_tools");
    let Some(allowed) = choice.allowed_tools else {
        return Err(at.bad("expected an object with `mode` and `tools`, found none"));
    };
    let required = match allowed.mode.as_deref() {
        None | Some("auto") => false,
        Some("required") => true,
        Some(other) => return Err(not_one_of(&at.key("mode"), "`auto`, `required`", other)),
    };
    let at = at.key("tools");
    let list = allowed.tools.map_or_else(Vec::new, |list| list.0);
    if list.is_empty() {
        return Err(at.bad("expected at least one tool, found none"));
    }
    let names = list
        .into_iter()
        .enumerate()
        .map(|(i, choice)| named(choice, tools, &at.index(i)))
        .collect::<Result<_, _>>()?;
    Ok(ToolChoice::Allowed { names, required })
}

fn named(choice: Choice<'_>, tools: &[Tool], at: &At<'_>) -> Result<String, Error> {
    match choice.kind.as_deref() {
        None | Some("function") => known(
            choice.function.and_then(|f| f.name),
            tools,
            &at.key("function"),
        ),
        Some("custom") => known(choice.custom.and_then(|c| c.name), tools, &at.key("custom")),
        Some(other) => Err(not_one_of(
            &at.key("type"),
            "`function`, `custom`, `allowed_tools`",
            other,
        )),
    }
}

fn known(name: Option<Text<'_>>, tools: &[Tool], at: &At<'_>) -> Result<String, Error> {
    let at = at.key("name");
    let name = required(name, &at)?;
    if tools.iter().any(|tool| tool.name == name) {
        Ok(name)
    } else {
        Err(at.bad(format_args!(
            "no tool of the name `{}` is offered in this request",
            shown(&name)
        )))
    }
}
