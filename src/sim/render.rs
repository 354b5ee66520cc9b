//! Answers as bytes: the chunks of a stream, framed, and the single object of the unary method (upstream-protocol.md 6.1).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::oauth::nonce;

/// How the chunks are put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Framing {
    /// One JSON object.
    Unary,
    /// Server-sent events.
    Sse,
    /// Server-sent events written as unusually as the format allows, to be sent in odd pieces.
    OddSse,
    /// A JSON array, which the stream method gives without `alt=sse`.
    Array,
}

impl Framing {
    /// The content type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Unary | Self::Array => "application/json; charset=UTF-8",
            Self::Sse | Self::OddSse => "text/event-stream",
        }
    }
}

/// The chunks' JSON.
pub(super) fn chunks(answer: &Answer, model: &str) -> Vec<Value> {
    let (response_id, trace) = (nonce(), nonce());
    let last = answer.chunks.len().saturating_sub(1);
    let chunk = |(i, parts): (usize, &Vec<Value>)| {
        let finish = (i == last).then_some(answer.finish.as_str());
        let usage = answer.usage.as_ref().map(|all| {
            if i == last {
                return all.clone();
            }
            let prompt = &all["promptTokenCount"];
            json!({"promptTokenCount": prompt, "totalTokenCount": prompt})
        });
        response(
            answer,
            parts.clone(),
            finish,
            usage,
            model,
            &response_id,
            &trace,
        )
    };
    answer.chunks.iter().enumerate().map(chunk).collect()
}

fn response(
    answer: &Answer,
    parts: Vec<Value>,
    finish: Option<&str>,
    usage: Option<Value>,
    model: &str,
    id: &str,
    trace: &str,
) -> Value {
    let mut inner = Map::new();
    if let Some(reason) = &answer.blocked {
        inner.insert("promptFeedback".to_owned(), json!({"blockReason": reason}));
    } else {
        let mut candidate = json!({"index": 0});
        if !parts.is_empty() {
            candidate["content"] = json!({"role": "model", "parts": Value::Array(parts)});
        }
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        inner.insert("candidates".to_owned(), json!([candidate]));
    }
    if let Some(usage) = usage {
        inner.insert("usageMetadata".to_owned(), usage);
    }
    inner.insert("modelVersion".to_owned(), json!(model));
    inner.insert("responseId".to_owned(), json!(id));
    json!({"response": inner, "traceId": trace})
}

/// The unary answer: all chunks in one, texts of one kind joined, a trailing signature on the text that it ends.
pub(super) fn unary(answer: &Answer, model: &str) -> Value {
    let mut parts: Vec<Value> = Vec::new();
    for part in answer.chunks.iter().flatten() {
        let joins = |last: &Value| {
            last["text"].is_string()
                && part["text"].is_string()
                && last["thought"] == part["thought"]
                && last.get("thoughtSignature").is_none()
        };
        match parts.last_mut().filter(|last| joins(last)) {
            Some(last) => {
                let text = |v: &Value| v["text"].as_str().unwrap_or_default().to_owned();
                last["text"] = json!(text(last) + &text(part));
                if let Some(signature) = part.get("thoughtSignature") {
                    last["thoughtSignature"] = signature.clone();
                }
            }
            None => parts.push(part.clone()),
        }
    }
    let usage = answer.usage.clone();
    response(
        answer,
        parts,
        Some(&answer.finish),
        usage,
        model,
        &nonce(),
        &nonce(),
    )
}

/// Frames JSON values; each value's bytes are one element, but for [`Framing::OddSse`], where they are many.
pub(super) fn frame(values: &[Value], framing: Framing) -> Vec<Vec<Bytes>> {
    let last = values.len().saturating_sub(1);
    values
        .iter()
        .enumerate()
        .map(|(i, value)| match framing {
            Framing::Unary => vec![Bytes::from(value.to_string() + "\n")],
            Framing::Sse => vec![Bytes::from(format!("data: {value}\n\n"))],
            Framing::OddSse => odd(value),
            Framing::Array => {
                let open = if i == 0 { "[" } else { ",\r\n" };
                let close = if i == last { "]\n" } else { "" };
                vec![Bytes::from(format!("{open}{value}{close}"))]
            }
        })
        .collect()
}

/// CRLF line ends, comments, fields that nobody needs, data over several lines, in pieces of odd lengths that also end
/// inside characters.
fn odd(value: &Value) -> Vec<Bytes> {
    let mut text = String::from(": odd\r\nid: 1\r\nevent: message\r\n");
    let pretty = format!("{value:#}");
    for (i, line) in pretty.lines().enumerate() {
        // The space after the colon is optional.
        text.push_str(if i % 2 == 0 { "data: " } else { "data:" });
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    let sizes = [1, 2, 7, 3, 31, 5, 64];
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    for byte in text.bytes() {
        piece.push(byte);
        // 0xC0 and above is the first byte of a character of several.
        if byte >= 0xC0 || piece.len() >= sizes[pieces.len() % sizes.len()] {
            pieces.push(Bytes::from(std::mem::take(&mut piece)));
        }
    }
    if !piece.is_empty() {
        pieces.push(Bytes::from(piece));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_pieces_end_inside_characters() {
        let pieces = odd(&json!({"text": "größer 日本"}));
        assert!(pieces.iter().any(|p| std::str::from_utf8(p).is_err()));
        let all: Vec<u8> = pieces.concat();
        let text = String::from_utf8(all).unwrap();
        let data: Vec<&str> = text
            .lines()
            .filter_map(|l| l.strip_prefix("data:"))
            .collect();
        let value: Value = serde_json::from_str(&data.join("\n")).unwrap();
        assert_eq!(value["text"], "größer 日本");
    }
}
