//! Requests in: the body to the canonical model. upstream-protocol.md 11.1.

mod content;
mod tools;

use bytes::Bytes;

use crate::base::error::{Error, ErrorKind};
use crate::base::id::Dialect;
use crate::ir::{Losses, OutputFormat, Reasoning, Request, Role, Sampling, Turn};
use crate::wire::anthropic::types::{Body, Format, OutputConfig, Thinking};
use crate::wire::json::check::{at_least, effort, not_one_of, note_unknown, number};
use crate::wire::json::{self, At, List, Text, TextOr};

/// Decodes the body of `POST /v1/messages` and of `POST /v1/messages/count_tokens`. Missing `max_tokens` is no error, as in
/// the original; a missing model is an empty one. Media stays a slice of `body`.
///
/// What a thinking model of Anthropic's own refuses (a budget below 1024 or not below `max_tokens`, a temperature other
/// than 1, a forced tool) is not refused here: it holds for that family only.
///
/// # Errors
/// A 400 that names the field at fault.
pub fn decode_request(body: &Bytes) -> Result<Request, Error> {
    let mut given: Body<'_> = json::parse(body)?;
    let model = given
        .model
        .take()
        .map(Text::into_string)
        .unwrap_or_default();
    let mut request = Request::new(Dialect::Anthropic, model);
    let losses = &mut request.losses;
    note_unknown(losses, "", &given.unknown);
    if given.thread.is_some() {
        return Err(no_threads());
    }

    let offered = tools::tools(given.tools.take(), losses)?;
    request.tool_choice = tools::choice(given.tool_choice.take(), &offered, losses)?;
    request.tools = offered.tools;
    request.sampling = sampling(&mut given)?;
    let config = given.output_config.take().unwrap_or_default();
    note_unknown(losses, "output_config", &config.unknown);
    request.reasoning = reasoning(given.thinking.take(), &config, losses)?;
    request.output = match (config.format, given.output_format.take()) {
        (Some(format), _) => output(&format, &At::field("output_config").key("format"))?,
        (None, Some(format)) => output(&format, &At::field("output_format"))?,
        (None, None) => OutputFormat::Text,
    };
    request.stream = given.stream.unwrap_or(false);
    if let Some(metadata) = given.metadata.take() {
        note_unknown(losses, "metadata", &metadata.unknown);
        request.conversation = metadata
            .user_id
            .map(Text::into_string)
            .filter(|text| !text.is_empty());
    }

    let mut reader = content::Reader { body, losses };
    if let Some(system) = given.system.take() {
        let at = At::field("system");
        let blocks = match system {
            TextOr::Text(text) => reader.system(vec![content::text_block(text)], &at)?,
            TextOr::List(blocks) => reader.system(blocks, &at)?,
        };
        request.turns.push(Turn {
            role: Role::System,
            blocks,
        });
    }
    let at = At::field("messages");
    let messages = given.messages.take().unwrap_or(List(Vec::new())).0;
    if messages.is_empty() {
        return Err(at.bad("expected at least one message, found none"));
    }
    request.turns.reserve(messages.len());
    for (i, message) in messages.into_iter().enumerate() {
        request.turns.push(reader.turn(message, &at.index(i))?);
    }
    Ok(request)
}

/// Message threads (beta `message-threads-2026-08-12` of Anthropic's API): the server holds the conversation, and later
/// requests bring their new messages only. Here nothing is held. The official packages' tool runner begins with one and
/// sends whole conversations from this error on; were the field dropped, the history would be.
fn no_threads() -> Error {
    Error {
        kind: ErrorKind::ThreadUnsupported,
        ..At::field("thread").bad(
            "conversations are not held here: send the whole conversation in `messages`, without `thread`",
        )
    }
}

fn sampling(given: &mut Body<'_>) -> Result<Sampling, Error> {
    let stop = given.stop_sequences.take().unwrap_or(List(Vec::new())).0;
    Ok(Sampling {
        temperature: number(given.temperature, 0.0, 1.0, &At::field("temperature"))?,
        top_p: number(given.top_p, 0.0, 1.0, &At::field("top_p"))?,
        top_k: at_least(given.top_k, 1, &At::field("top_k"))?,
        max_output: at_least(given.max_tokens, 1, &At::field("max_tokens"))?,
        stop: stop
            .into_iter()
            .map(Text::into_string)
            .filter(|text| !text.is_empty())
            .collect(),
        ..Sampling::default()
    })
}

fn reasoning(
    thinking: Option<Thinking<'_>>,
    config: &OutputConfig<'_>,
    losses: &mut Losses,
) -> Result<Option<Reasoning>, Error> {
    let effort = config
        .effort
        .as_ref()
        .map(|text| effort(text, &At::field("output_config").key("effort")))
        .transpose()?;
    let Some(thinking) = thinking else {
        return Ok(effort.map(Reasoning::EffortOnly));
    };
    note_unknown(losses, "thinking", &thinking.unknown);
    let at = At::field("thinking");
    match thinking.kind.as_deref() {
        Some("adaptive") => return Ok(Some(Reasoning::Adaptive(effort))),
        Some("disabled" | "enabled") => {}
        other => {
            return Err(not_one_of(
                &at.key("type"),
                "`enabled`, `disabled`, `adaptive`",
                other.unwrap_or_default(),
            ));
        }
    }
    if effort.is_some() {
        losses.note("output_config.effort");
    }
    if thinking.kind.as_deref() == Some("disabled") {
        return Ok(Some(Reasoning::Off));
    }
    let at = at.key("budget_tokens");
    match at_least(thinking.budget_tokens, 1, &at)? {
        Some(budget) => Ok(Some(Reasoning::Budget(budget))),
        None => Err(at.bad("expected a number of tokens where `thinking.type` is `enabled`")),
    }
}

fn output(format: &Format<'_>, at: &At<'_>) -> Result<OutputFormat, Error> {
    match format.kind.as_deref() {
        Some("json_schema") => match format.schema {
            Some(schema) if json::is_object(schema) => {
                Ok(OutputFormat::JsonSchema(schema.to_owned()))
            }
            _ => Err(at.key("schema").bad("expected a JSON Schema object")),
        },
        other => Err(not_one_of(
            &at.key("type"),
            "`json_schema`",
            other.unwrap_or_default(),
        )),
    }
}

#[cfg(test)]
mod tests;
