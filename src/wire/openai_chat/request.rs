//! Requests in: the body to the canonical model. upstream-protocol.md 10.1.

mod message;
mod tools;

use bytes::Bytes;

use crate::base::error::Error;
use crate::base::id::Dialect;
use crate::ir::{Losses, OutputFormat, Reasoning, Request, Sampling};
use crate::wire::json::check::{at_least, effort, not_one_of, note_unknown, number};
use crate::wire::json::{self, At, List, Text, TextOr};
use crate::wire::openai_chat::types::{Chat, Format};

/// Decodes the body of `POST /v1/chat/completions`. A missing model is an empty one: which then serves is not the codec's
/// business. Media stays a slice of `body`.
///
/// # Errors
/// A 400 that names the field at fault.
pub fn decode_request(body: &Bytes) -> Result<Request, Error> {
    let mut chat: Chat<'_> = json::parse(body)?;
    let model = chat.model.take().map(Text::into_string).unwrap_or_default();
    let mut request = Request::new(Dialect::OpenAiChat, model);
    note_ignored(&mut request.losses, &chat);

    let (tools, functions) = (chat.tools.take(), chat.functions.take());
    request.tools = tools::tools(tools, functions, &mut request.losses)?;
    request.tool_choice = tools::choice(
        chat.tool_choice.take(),
        chat.function_call.take(),
        &request.tools,
    )?;
    request.sampling = sampling(&mut chat)?;
    request.reasoning = reasoning(&chat)?;
    request.output = output(chat.response_format.take(), &mut request.losses)?;
    images(&mut chat, &mut request)?;
    if let Some(n) = chat.n.filter(|n| n.0 != 1) {
        return Err(At::field("n").bad(format_args!(
            "expected 1, found {}: one request gives one answer here, send it several times instead",
            n.0
        )));
    }
    request.stream = chat.stream.unwrap_or(false);
    if let Some(options) = &chat.stream_options {
        request.include_usage = options.include_usage.unwrap_or(false);
        note_unknown(&mut request.losses, "stream_options", &options.unknown);
    }
    request.conversation = chat
        .prompt_cache_key
        .take()
        .or(chat.user.take())
        .map(Text::into_string)
        .filter(|text| !text.is_empty());

    let messages = chat.messages.take().map_or_else(Vec::new, |list| list.0);
    if messages.is_empty() {
        return Err(At::field("messages").bad("expected at least one message, found none"));
    }
    request.turns = message::turns(body, messages, &mut request.losses)?;
    Ok(request)
}

/// What is dropped at the top level: unknown fields, and known ones whose value asks for something.
fn note_ignored(losses: &mut Losses, chat: &Chat<'_>) {
    note_unknown(losses, "", &chat.unknown);
    for (name, asked) in [
        (
            "parallel_tool_calls",
            chat.parallel_tool_calls == Some(false),
        ),
        ("store", chat.store == Some(true)),
        ("logprobs", chat.logprobs == Some(true)),
        (
            "max_tokens",
            chat.max_tokens.is_some()
                && chat.max_completion_tokens.is_some()
                && chat.max_tokens != chat.max_completion_tokens,
        ),
    ] {
        if asked {
            losses.note(name);
        }
    }
}

fn sampling(chat: &mut Chat<'_>) -> Result<Sampling, Error> {
    let completion = at_least(
        chat.max_completion_tokens,
        1,
        &At::field("max_completion_tokens"),
    )?;
    let tokens = at_least(chat.max_tokens, 1, &At::field("max_tokens"))?;
    let stop = match chat.stop.take() {
        None => Vec::new(),
        Some(TextOr::Text(text)) => vec![text.into_string()],
        Some(TextOr::List(list)) => list.into_iter().map(Text::into_string).collect(),
    };
    Ok(Sampling {
        temperature: number(chat.temperature, 0.0, 2.0, &At::field("temperature"))?,
        top_p: number(chat.top_p, 0.0, 1.0, &At::field("top_p"))?,
        top_k: at_least(chat.top_k, 1, &At::field("top_k"))?,
        max_output: completion.or(tokens),
        stop: stop.into_iter().filter(|text| !text.is_empty()).collect(),
        seed: chat.seed.map(|n| n.0),
        presence_penalty: number(
            chat.presence_penalty,
            -2.0,
            2.0,
            &At::field("presence_penalty"),
        )?,
        frequency_penalty: number(
            chat.frequency_penalty,
            -2.0,
            2.0,
            &At::field("frequency_penalty"),
        )?,
    })
}

/// A budget (the extension) says more than an effort and wins.
fn reasoning(chat: &Chat<'_>) -> Result<Option<Reasoning>, Error> {
    let effort = chat
        .reasoning_effort
        .as_ref()
        .map(|text| effort(text, &At::field("reasoning_effort")))
        .transpose()?;
    let (budget, at) = match (chat.thinking_budget, chat.budget_tokens) {
        (Some(budget), _) => (Some(budget), At::field("thinking_budget")),
        (None, budget) => (budget, At::field("budget_tokens")),
    };
    Ok(match budget {
        // Gemini's own word for "as much as it likes".
        Some(n) if n.0 == -1 => Some(Reasoning::Adaptive(None)),
        Some(n) if n.0 == 0 => Some(Reasoning::Off),
        budget => at_least(budget, 1, &at)?
            .map(Reasoning::Budget)
            .or(effort.map(Reasoning::Effort)),
    })
}

fn output(format: Option<Format<'_>>, losses: &mut Losses) -> Result<OutputFormat, Error> {
    let Some(format) = format else {
        return Ok(OutputFormat::Text);
    };
    let at = At::field("response_format");
    note_unknown(losses, "response_format", &format.unknown);
    match format.kind.as_deref() {
        Some("text") => Ok(OutputFormat::Text),
        Some("json_object") => Ok(OutputFormat::JsonObject),
        Some("json_schema") => {
            let at = at.key("json_schema");
            let Some(given) = format.json_schema else {
                return Err(at.bad("expected an object with `schema`, found none"));
            };
            note_unknown(losses, "response_format.json_schema", &given.unknown);
            match given.schema {
                None => Ok(OutputFormat::JsonObject),
                Some(schema) if json::is_object(schema) => {
                    Ok(OutputFormat::JsonSchema(schema.to_owned()))
                }
                Some(_) => Err(at.key("schema").bad("expected a JSON Schema object")),
            }
        }
        other => Err(not_one_of(
            &at.key("type"),
            "`text`, `json_object`, `json_schema`",
            other.unwrap_or_default(),
        )),
    }
}

/// `modalities`, and `size` and `quality` as the images API has them.
fn images(chat: &mut Chat<'_>, request: &mut Request) -> Result<(), Error> {
    let at = At::field("modalities");
    for (i, modality) in chat
        .modalities
        .take()
        .unwrap_or(List(Vec::new()))
        .0
        .into_iter()
        .enumerate()
    {
        match &*modality.to_ascii_lowercase() {
            "text" => {}
            "image" => request.wants_images = true,
            "audio" => {
                return Err(at
                    .index(i)
                    .bad("no upstream answers with sound: leave `audio` out"));
            }
            other => return Err(not_one_of(&at.index(i), "`text`, `image`", other)),
        }
    }
    if let Some(size) = chat.size.take().filter(|size| &**size != "auto") {
        let numbers = size
            .split_once('x')
            .filter(|(w, h)| [w, h].iter().all(|n| n.parse::<u16>().is_ok_and(|n| n > 0)));
        if numbers.is_none() {
            return Err(At::field("size").bad(format_args!(
                "expected `auto` or width and height such as `1024x1024`, found `{}`",
                json::shown(&size)
            )));
        }
        request.image.size = Some(size.into_string());
    }
    if let Some(quality) = chat.quality.take() {
        match &*quality {
            "hd" | "high" | "medium" | "standard" | "low" | "auto" => {}
            other => {
                return Err(not_one_of(
                    &At::field("quality"),
                    "`hd`, `high`, `medium`, `standard`, `low`, `auto`",
                    other,
                ));
            }
        }
        request.image.quality = Some(quality.into_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
