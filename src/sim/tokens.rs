//! Believable token counts: four characters are one token, a picture is 258.

use serde_json::Value;

/// What one picture or document counts (Gemini's figure for a small image).
const MEDIA: u64 = 258;

/// The tokens of a text.
pub(super) fn of_text(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// The tokens of a request: contents, system text and tools.
pub(super) fn prompt(request: &Value) -> u64 {
    ["contents", "systemInstruction", "tools"]
        .iter()
        .filter_map(|name| request.get(name))
        .map(of_value)
        .sum::<u64>()
        .max(1)
}

fn of_value(value: &Value) -> u64 {
    match value {
        Value::String(text) => of_text(text),
        Value::Array(items) => items.iter().map(of_value).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match name.as_str() {
                "inlineData" | "inline_data" | "fileData" => MEDIA,
                "thoughtSignature" | "role" | "mimeType" => 0,
                _ => of_value(value),
            })
            .sum(),
        Value::Number(_) | Value::Bool(_) => 1,
        Value::Null => 0,
    }
}
