//! Which tools a simulated model calls, and with what.

use serde_json::{Value, json};

use super::ask::Ask;
use super::models::{Family, Model};
use super::oauth::nonce;
use super::sample;
use super::script::{AnswerKind, Behaviour, CallSpec};
use super::strict::{declarations, list, text};

/// The calls of an answer, as parts. None where the turn brings results, unless the script asks for calls.
pub(super) fn choose(model: &Model, ask: &Ask<'_>, b: &Behaviour) -> Vec<Value> {
    let part = |name: &str, args: Option<&Value>, id: Option<&str>| {
        let args = args.cloned().unwrap_or_else(|| arguments(ask, name));
        let mut call = json!({"name": name, "args": args});
        if b.call_ids != Some(false) {
            let prefix = if model.family == Family::Claude {
                "toolu"
            } else {
                "call"
            };
            call["id"] = match id {
                Some(id) => json!(id),
                None => json!(format!("{prefix}_sim_{}", nonce())),
            };
        }
        json!({ "functionCall": call })
    };
    if let Some(calls) = &b.calls {
        return calls
            .iter()
            .map(|call| match call {
                CallSpec::Name(name) => part(name, None, None),
                CallSpec::Whole { name, args, id } => part(name, args.as_ref(), id.as_deref()),
            })
            .collect();
    }
    let names = wanted(ask, b);
    names
        .into_iter()
        .map(|name| part(name, None, None))
        .collect()
}

/// The tools to call: those the text mentions; where a call is a must, else the first that is allowed.
fn wanted<'a>(ask: &Ask<'a>, b: &Behaviour) -> Vec<&'a str> {
    let config = &ask.request["toolConfig"]["functionCallingConfig"];
    let mode = text(config, "mode");
    let asked = b.answer == Some(AnswerKind::Tools);
    let says_else = b.text.is_some() || b.answer_bytes.is_some();
    if mode == "NONE" || (!asked && (says_else || ask.has_results())) {
        return Vec::new();
    }
    let allowed = list(config, "allowedFunctionNames");
    let offered: Vec<&str> = declarations(ask.request)
        .map(|d| text(d, "name"))
        .filter(|name| allowed.is_empty() || allowed.iter().any(|a| a == name))
        .collect();
    let mentioned: Vec<&str> = offered
        .iter()
        .copied()
        .filter(|name| mentions(&ask.text, name))
        .collect();
    if mentioned.is_empty() && (asked || mode == "ANY") {
        return offered.into_iter().take(1).collect();
    }
    mentioned
}

/// Whether a text names a tool, be it in words: `get_weather`, `get weather`.
fn mentions(text: &str, name: &str) -> bool {
    let plain = |s: &str| -> String {
        let words = s
            .to_lowercase()
            .replace(|c: char| !c.is_alphanumeric(), " ");
        format!(
            " {} ",
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    };
    let name = plain(name);
    name.trim() != "" && plain(text).contains(&name)
}

/// Arguments that fit the tool's schema: its required properties.
fn arguments(ask: &Ask<'_>, name: &str) -> Value {
    let declared = declarations(ask.request).find(|d| text(d, "name") == name);
    declared
        .and_then(|d| {
            d.get("parameters")
                .or_else(|| d.get("parametersJsonSchema"))
        })
        .map_or_else(
            || json!({}),
            |schema| sample::value(schema, name, &ask.text),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_mentioned_by_words() {
        assert!(mentions("Please call get_weather now", "get_weather"));
        assert!(mentions("get weather!", "get_weather"));
        assert!(!mentions("forget_weather", "get_weather"));
        assert!(!mentions("get", "get_weather"));
    }
}
