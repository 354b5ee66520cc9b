//! Requests out: the canonical model to the inner `request` payload. upstream-protocol.md 5, 8, 10.1, 11.1.

mod generation;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::base::error::Error;
use crate::ir::{
    BlockBody, Family, Losses, Request, SignatureFamily, SignatureLookup, ThinkingDefault,
};
use crate::wire::gemini::contents::{self, Content, Part};
use crate::wire::gemini::names::Names;
use crate::wire::gemini::signatures::{self, Replay};
use crate::wire::gemini::thinking::{self, Thinking};
use crate::wire::gemini::writer::{self, Object};
use crate::wire::gemini::{Api, Decode, tools};

/// `gpt-oss` answers with at most so many tokens (upstream-protocol.md 8.4).
const GPT_OSS_MOST: u32 = 32_768;

/// Where the request goes, and what the configuration says of it.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The upstream's id of the model, without `models/`.
    pub model: &'a str,
    /// The model's family; `None` where neither its id nor the configuration tells.
    pub family: Option<Family>,
    /// The service.
    pub api: Api,
    /// The most output tokens that the model or the operator allows. Clamps what the client asks for; Claude gets it
    /// also where the client says nothing (8.1).
    pub max_output: Option<u32>,
    /// Thinking where the client says nothing.
    pub thinking: Option<ThinkingDefault>,
    /// Category to threshold (5.7).
    pub safety_settings: &'a BTreeMap<String, String>,
    /// The conversation's key for the upstream's cache; upstream 1 only (5.1).
    pub session_id: Option<&'a str>,
    /// The second try after a refused thinking level: budgets in their place (5.6).
    pub level_as_budget: bool,
    /// The second try after a refused signature (13.4).
    pub repair: bool,
}

/// What came out beside the bytes.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What the reading of the answer needs.
    pub decode: Decode,
    /// What could not be said to this upstream.
    pub losses: Losses,
    /// The thinking signatures that went out, in the form in which the answers gave them: to be forgotten where the
    /// upstream refuses one (13.4).
    pub used_signatures: Vec<String>,
}

/// Appends the inner `request` object to `out`. On an error `out` may hold a beginning of it.
///
/// # Errors
/// What this model can't be asked, as a 400 that names the field.
pub fn encode_request(
    req: &Request,
    target: &Target<'_>,
    known: &dyn SignatureLookup,
    out: &mut Vec<u8>,
) -> Result<Encoded, Error> {
    let mut losses = Losses::default();
    let names = names_of(req);
    let tools = tools::plan(req, target.family, &mut losses)?;
    let max = max_output(req, target, &mut losses);
    let mut thinking = thinking::plan(req, target, max, tools.forced, &mut losses)?;
    let (system, turns) = contents::gather(req, &names, target.family, &mut losses);

    let mut replay = Replay {
        known,
        repair: target.repair,
        used: Vec::new(),
    };
    let turns = replay_signatures(turns, target, &mut replay, &mut thinking, &mut losses);
    let claude = target.family == Some(Family::Claude);
    let turns = contents::pair(contents::merge(turns), claude);
    if claude && thinking.is_some() && turns.last().is_some_and(|t| t.model) {
        return Err(Error::bad_request(
            "messages",
            "expected the last message to be the user's: an assistant message cannot be prefilled when thinking is enabled",
        ));
    }
    let output = generation::Output::of(req, target.family, &mut losses);
    let (system, turns) = place_system(system, turns, target.family, output.instruction())?;

    let mut request = Object::new(out);
    if !system.is_empty() {
        let mut instruction = Object::new(request.key("systemInstruction"));
        instruction.string("role", "user");
        writer::list(instruction.key("parts"), &system, |out, text| {
            let mut part = Object::new(out);
            part.string("text", text);
            part.end();
        });
        instruction.end();
    }
    contents::write(request.key("contents"), &turns);
    tools.write(&mut request, &names, target.family)?;
    generation::write_generation(
        &mut request,
        req,
        target,
        &output,
        max,
        thinking,
        &mut losses,
    )?;
    generation::write_safety(&mut request, target);
    if let (Api::Antigravity, Some(session)) = (target.api, target.session_id) {
        request.string("sessionId", session);
    }
    request.end();

    let free_text = tools.free_text().map(str::to_owned).collect();
    drop(turns);
    Ok(Encoded {
        decode: Decode {
            dialect: req.dialect,
            family: target.family,
            names: names.into_client(),
            free_text,
            strip_fence: output.strips_fence(),
        },
        losses,
        used_signatures: replay.used,
    })
}

/// Appends the whole body of a `countTokens` call of upstream 1 (5.8): system text and tools go in as text, thoughts
/// stay out.
///
/// # Errors
/// A tool's parameters are no JSON Schema, or there is nothing to count.
pub fn encode_count(
    req: &Request,
    target: &Target<'_>,
    out: &mut Vec<u8>,
) -> Result<Losses, Error> {
    let mut losses = Losses::default();
    let names = names_of(req);
    let tools = tools::plan(req, target.family, &mut losses)?;
    let (system, mut turns) = contents::gather(req, &names, target.family, &mut losses);
    // They are left out on purpose, which is no loss.
    signatures::drop_thoughts(&mut turns, &mut Losses::default());
    let turns = contents::pair(
        contents::merge(turns),
        target.family == Some(Family::Claude),
    );
    let mut front: Vec<Part<'_>> = system.into_iter().map(Part::text).collect();
    if let Some(text) = tools.as_text(&names, target.family)? {
        front.push(Part::text(text));
    }
    let mut all = vec![Content {
        model: false,
        parts: front,
    }];
    all.extend(turns);
    let all = contents::merge(all);
    if all.is_empty() {
        return Err(no_content());
    }
    let mut body = Object::new(out);
    let mut request = Object::new(body.key("request"));
    let model = target.model.strip_prefix("models/").unwrap_or(target.model);
    request.string("model", &format!("models/{model}"));
    contents::write(request.key("contents"), &all);
    request.end();
    body.end();
    Ok(losses)
}

/// All tool names of the request: declared, called in the history, or chosen.
fn names_of(req: &Request) -> Names {
    let declared = req.tools.iter().map(|t| t.name.as_str());
    let called = req
        .turns
        .iter()
        .flat_map(|t| &t.blocks)
        .filter_map(|b| match &b.body {
            BlockBody::ToolCall { name, .. } => Some(name.as_str()),
            _ => None,
        });
    Names::new(declared.chain(called))
}

fn max_output(req: &Request, target: &Target<'_>, losses: &mut Losses) -> Option<u32> {
    let most = match target.family {
        Some(Family::GptOss) => Some(
            target
                .max_output
                .map_or(GPT_OSS_MOST, |m| m.min(GPT_OSS_MOST)),
        ),
        _ => target.max_output,
    };
    match (req.sampling.max_output, most) {
        (Some(wanted), Some(most)) => {
            if wanted > most {
                losses.note(format!("max_tokens (lowered to {most})"));
            }
            Some(wanted.min(most))
        }
        (Some(wanted), None) => Some(wanted),
        (None, most) if target.family == Some(Family::Claude) => most,
        (None, _) => None,
    }
}

/// 13.3 by family. Where Claude can't think for lack of a signature, `thinking` is taken back.
fn replay_signatures<'a>(
    mut turns: Vec<Content<'a>>,
    target: &Target<'_>,
    replay: &mut Replay<'_>,
    thinking: &mut Option<Thinking>,
    losses: &mut Losses,
) -> Vec<Content<'a>> {
    match (target.family, target.family.and_then(Family::signatures)) {
        (_, Some(SignatureFamily::Claude)) => {
            if !replay.claude(&mut turns, thinking.is_some(), losses) && thinking.is_some() {
                *thinking = None;
                losses.note("thinking (off for this request: the history lacks its signatures)");
            }
        }
        (family, Some(SignatureFamily::Gemini)) => {
            replay.gemini(&mut turns, family == Some(Family::Gemini3), losses);
        }
        (_, None) => signatures::drop_thoughts(&mut turns, losses),
    }
    turns
}

/// Puts the system text where the model takes it (5.4, 8.5).
fn place_system<'a>(
    mut system: Vec<Cow<'a, str>>,
    mut turns: Vec<Content<'a>>,
    family: Option<Family>,
    instruction: Option<String>,
) -> Result<(Vec<Cow<'a, str>>, Vec<Content<'a>>), Error> {
    system.extend(instruction.map(Cow::Owned));
    if !turns.is_empty() && family != Some(Family::Image) {
        return Ok((system, turns));
    }
    let parts: Vec<Part<'_>> = system.into_iter().map(Part::text).collect();
    match turns.first_mut() {
        Some(first) => {
            first.parts.splice(0..0, parts);
        }
        None if parts.is_empty() => return Err(no_content()),
        None => turns.push(Content {
            model: false,
            parts,
        }),
    }
    Ok((Vec::new(), turns))
}

fn no_content() -> Error {
    Error::bad_request(
        "messages",
        "expected at least one message with content, found none",
    )
}

#[cfg(test)]
mod tests;
