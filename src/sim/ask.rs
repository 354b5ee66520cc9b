//! What the last turn of a request says, for answers that reflect it.

use serde_json::Value;

use super::strict::{list, text};

/// One thing that the last turn brought.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Text(String),
    Result { name: String, output: String },
    Media { kind: String, bytes: usize },
}

/// The last user turn of a request.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) request: &'a Value,
    pub(super) last: Vec<Said>,
    /// All its texts.
    pub(super) text: String,
}

impl<'a> Ask<'a> {
    /// Reads the last user turn. A request without one says nothing.
    pub(super) fn read(request: &'a Value) -> Self {
        let turns = list(request, "contents").iter();
        let last: Vec<Said> = turns
            .rev()
            .find(|c| text(c, "role") != "model")
            .map(|c| list(c, "parts").iter().filter_map(said).collect())
            .unwrap_or_default();
        let texts: Vec<&str> = texts(&last).collect();
        let text = texts.join("\n");
        Self {
            request,
            last,
            text,
        }
    }

    /// Whether the turn brings results of tools.
    pub(super) fn has_results(&self) -> bool {
        self.last.iter().any(|s| matches!(s, Said::Result { .. }))
    }

    /// The beginning of the text.
    pub(super) fn short(&self) -> String {
        let short: String = self.text.chars().take(60).collect();
        if short.is_empty() {
            "nothing in words".to_owned()
        } else {
            short
        }
    }
}

fn texts(said: &[Said]) -> impl Iterator<Item = &str> {
    said.iter().filter_map(|s| match s {
        Said::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

fn said(part: &Value) -> Option<Said> {
    if let Some(text) = part["text"].as_str() {
        return Some(Said::Text(text.to_owned()));
    }
    if let Some(result) = part.get("functionResponse") {
        return Some(Said::Result {
            name: text(result, "name").to_owned(),
            output: output(&result["response"]),
        });
    }
    let blob = part.get("inlineData")?;
    let data = text(blob, "data").trim_end_matches('=');
    Some(Said::Media {
        kind: text(blob, "mimeType").to_owned(),
        bytes: data.len() * 3 / 4,
    })
}

/// A result's output: `output`, else `error`, else all of it (upstream-protocol.md 5.3).
fn output(response: &Value) -> String {
    let (prefix, value) = match (response.get("output"), response.get("error")) {
        (Some(output), _) => ("", output),
        (None, Some(error)) => ("error: ", error),
        (None, None) => ("", response),
    };
    match value {
        Value::String(text) => format!("{prefix}{text}"),
        other => format!("{prefix}{other}"),
    }
}
