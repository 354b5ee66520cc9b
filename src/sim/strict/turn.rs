//! Thought signatures, and what must lead the running turn (upstream-protocol.md 5.2 rule 7, 8.1, 8.2).

use serde_json::Value;

use super::{config, list, text};
use crate::sim::models::{Family, Model};
use crate::sim::reply::Problem;
use crate::sim::signature;

/// Checks the signatures of a request, family by family.
///
/// # Errors
/// The 400 of the first one that is missing, altered, foreign or moved.
pub(super) fn check(request: &Value, model: &Model) -> Result<(), Problem> {
    let contents = list(request, "contents");
    match model.family {
        Family::Claude => claude(contents, config::claude_budget(request).is_some(), model),
        Family::Gemini3 => {
            gemini(contents)?;
            steps(&contents[running(contents)..])
        }
        Family::Gemini25 => gemini(contents),
        Family::GptOss => none(contents),
        Family::Image => Ok(()),
    }
}

/// Where the running turn begins: after the last user content that is more than results.
fn running(contents: &[Value]) -> usize {
    contents
        .iter()
        .rposition(|content| {
            text(content, "role") == "user"
                && list(content, "parts")
                    .iter()
                    .any(|p| p.get("functionResponse").is_none())
        })
        .map_or(0, |i| i + 1)
}

/// Every signature that is there must be Gemini's and stand where it was issued, or be a sentinel on a call.
fn gemini(contents: &[Value]) -> Result<(), Problem> {
    for part in contents.iter().flat_map(|c| list(c, "parts")) {
        let Some(signed) = part.get("thoughtSignature").and_then(Value::as_str) else {
            continue;
        };
        let call = part.get("functionCall").map(|c| text(c, "name"));
        let sentinel = call.is_some() && signature::SENTINELS.contains(&signed);
        if !sentinel && !signature::is_gemini(signed, call) {
            return Err(Problem::invalid("Corrupted thought signature."));
        }
    }
    Ok(())
}

/// In each step of the running turn the first call is signed.
fn steps(turn: &[Value]) -> Result<(), Problem> {
    for (i, content) in turn.iter().enumerate() {
        let calls = list(content, "parts").iter();
        let Some(first) = calls.clone().find(|p| p.get("functionCall").is_some()) else {
            continue;
        };
        if text(first, "thoughtSignature").is_empty() {
            let name = text(&first["functionCall"], "name");
            return Err(Problem::invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to \
                 work correctly, and missing thought_signature may lead to degraded model performance. Additional \
                 data, function call `default_api:{name}` , position {}.",
                i + 1
            )));
        }
    }
    Ok(())
}

fn none(contents: &[Value]) -> Result<(), Problem> {
    let mut parts = contents.iter().flat_map(|c| list(c, "parts"));
    if parts.any(|p| p.get("thoughtSignature").is_some()) {
        return Err(Problem::invalid("Corrupted thought signature."));
    }
    Ok(())
}

fn claude(contents: &[Value], thinks: bool, model: &Model) -> Result<(), Problem> {
    for (i, content) in contents.iter().enumerate() {
        claude_thinking(i, list(content, "parts"))?;
    }
    let prefill = contents.last().is_some_and(|c| text(c, "role") == "model");
    // 5.2 rule 7: newer models take no prefill at all, the others none while they think.
    if prefill && (thinks || model.id.contains("-4-6")) {
        return Err(Problem::claude(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    if !thinks {
        return Ok(());
    }
    let start = running(contents);
    for (i, content) in contents.iter().enumerate().skip(start) {
        let parts = list(content, "parts");
        let calls = parts.iter().any(|p| p.get("functionCall").is_some());
        let led = parts.first().is_some_and(|p| p["thought"] == true);
        if calls && !led {
            let found = match parts.first() {
                Some(p) if p.get("functionCall").is_some() => "tool_use",
                _ => "text",
            };
            return Err(Problem::claude(format!(
                "messages.{i}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When \
                 `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the \
                 lastmost set of `tool_use` and `tool_result` blocks)."
            )));
        }
    }
    Ok(())
}

/// Each thinking block is signed over its exact text. A block may come as several parts, the signature on the last.
fn claude_thinking(turn: usize, parts: &[Value]) -> Result<(), Problem> {
    let invalid = |j: usize| {
        Err(Problem::claude(format!(
            "messages.{turn}.content.{j}: Invalid `signature` in `thinking` block"
        )))
    };
    let unsigned = |j: usize| {
        Err(Problem::claude(format!(
            "messages.{turn}.content.{j}.thinking.signature: Field required"
        )))
    };
    let mut open = String::new();
    for (j, part) in parts.iter().enumerate() {
        let signed = text(part, "thoughtSignature");
        if part["thought"] != true {
            if !open.is_empty() {
                return unsigned(j.saturating_sub(1));
            }
            if !signed.is_empty() {
                return invalid(j);
            }
            continue;
        }
        open.push_str(text(part, "text"));
        if signed.is_empty() {
            continue;
        }
        if !signature::is_claude(signed, &open) {
            return invalid(j);
        }
        open.clear();
    }
    if open.is_empty() {
        return Ok(());
    }
    unsigned(parts.len().saturating_sub(1))
}
