//! Tools and which of them is to be called.

use crate::base::error::Error;
use crate::ir::{Losses, Tool, ToolChoice};
use crate::wire::anthropic::types::{self, Choice};
use crate::wire::json::check::{not_one_of, note_unknown, required};
use crate::wire::json::{self, At, List, Text, shown};

/// The tools that a client offers.
pub(super) struct Offered {
    /// Those that are passed on.
    pub(super) tools: Vec<Tool>,
    /// The names of the server tools that were dropped.
    dropped: Vec<String>,
}

/// `tools`. Server and vendor tools are recognised by their `type`, not by their name, and are dropped.
///
/// # Errors
/// A 400 that names the tool and the field in it.
pub(super) fn tools(
    tools: Option<List<types::Tool<'_>>>,
    losses: &mut Losses,
) -> Result<Offered, Error> {
    let mut offered = Offered {
        tools: Vec::new(),
        dropped: Vec::new(),
    };
    let at = At::field("tools");
    for (i, tool) in tools.map_or_else(Vec::new, |l| l.0).into_iter().enumerate() {
        let at = at.index(i);
        match tool.kind.as_deref() {
            None | Some("custom") => {}
            // A schema of its own is what no server tool has: this is a function with a wrong type.
            Some(other) if tool.input_schema.is_some() => {
                return Err(not_one_of(
                    &at.key("type"),
                    "`custom` or a server tool's type",
                    other,
                ));
            }
            Some(kind) => {
                losses.note(format!("tools[{i}] ({})", shown(kind)));
                offered.dropped.extend(tool.name.map(Text::into_string));
                continue;
            }
        }
        note_unknown(losses, "tools[]", &tool.unknown);
        if tool.input_schema.is_some_and(|raw| !json::is_object(raw)) {
            return Err(at.key("input_schema").bad("expected a JSON Schema object"));
        }
        offered.tools.push(Tool {
            name: required(tool.name, &at.key("name"))?,
            description: tool.description.map(Text::into_string),
            parameters: tool.input_schema.map(ToOwned::to_owned),
            free_text: false,
        });
    }
    Ok(offered)
}

/// `tool_choice`.
///
/// # Errors
/// A 400 that names the field, also where a tool is named that is not among `tools`.
pub(super) fn choice(
    choice: Option<Choice<'_>>,
    offered: &Offered,
    losses: &mut Losses,
) -> Result<Option<ToolChoice>, Error> {
    let Some(choice) = choice else {
        return Ok(None);
    };
    let at = At::field("tool_choice");
    note_unknown(losses, "tool_choice", &choice.unknown);
    if choice.disable_parallel_tool_use == Some(true) {
        losses.note("tool_choice.disable_parallel_tool_use");
    }
    match choice.kind.as_deref() {
        Some("auto") => Ok(Some(ToolChoice::Auto)),
        Some("any") => Ok(Some(ToolChoice::Any)),
        Some("none") => Ok(Some(ToolChoice::None)),
        Some("tool") => {
            let at = at.key("name");
            let name = required(choice.name, &at)?;
            if offered.tools.iter().any(|tool| tool.name == name) {
                Ok(Some(ToolChoice::Named(name)))
            } else if offered.dropped.contains(&name) {
                losses.note("tool_choice");
                Ok(None)
            } else {
                Err(at.bad(format_args!(
                    "no tool of the name `{}` is offered in this request",
                    shown(&name)
                )))
            }
        }
        other => Err(not_one_of(
            &at.key("type"),
            "`auto`, `any`, `tool`, `none`",
            other.unwrap_or_default(),
        )),
    }
}
