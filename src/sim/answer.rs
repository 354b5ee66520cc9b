//! What a model says: thoughts, text, calls, a picture, in the order and with the signatures of its family
//! (upstream-protocol.md 6.2, 8), before it is cut into chunks.

use serde_json::{Value, json};

use super::ask::{Ask, Said};
use super::calls;
use super::models::{Family, Model};
use super::sample;
use super::script::{AnswerKind, Behaviour};
use super::signature;
use super::tokens;

/// A picture of one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

/// An answer, cut into the parts of each chunk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// The parts of each chunk; at least one chunk.
    pub(super) chunks: Vec<Vec<Value>>,
    pub(super) finish: String,
    /// The prompt was blocked for this reason: no candidates.
    pub(super) blocked: Option<String>,
    /// The usage at the end, none where the script leaves it out.
    pub(super) usage: Option<Value>,
}

/// The pieces of an answer before it is cut.
#[derive(Debug, Default)]
struct Draft {
    /// Thoughts that are shown.
    thoughts: String,
    text: String,
    calls: Vec<Value>,
    image: bool,
    /// Tokens of thoughts that are not shown.
    hidden: u64,
    finish: &'static str,
}

/// Makes the answer of `model` to a request.
pub(super) fn make(model: &Model, request: &Value, b: &Behaviour) -> Answer {
    if let Some(reason) = &b.prompt_blocked {
        let usage = json!({"promptTokenCount": tokens::prompt(request), "totalTokenCount": tokens::prompt(request)});
        return Answer {
            chunks: vec![Vec::new()],
            finish: String::new(),
            blocked: Some(reason.clone()),
            usage: Some(usage),
        };
    }
    let ask = Ask::read(request);
    let mut draft = draft(model, &ask, b);
    limit(&mut draft, request);
    let finish = b.finish.clone().unwrap_or_else(|| draft.finish.to_owned());
    let usage = (b.usage != Some(false)).then(|| usage(model, request, &draft, b));
    Answer {
        chunks: cut(model, &draft, b),
        finish,
        blocked: None,
        usage,
    }
}

/// Whether the model thinks, and whether its thoughts are shown.
fn thinks(model: &Model, request: &Value, b: &Behaviour) -> (bool, bool) {
    if b.answer == Some(AnswerKind::Think) || b.thoughts.is_some() {
        return (true, true);
    }
    let config = &request["generationConfig"]["thinkingConfig"];
    let shown = config["includeThoughts"] == true;
    let budget = config["thinkingBudget"].as_i64();
    match model.family {
        Family::Claude => {
            let on = budget.is_some_and(|n| n > 0);
            (on, on && shown)
        }
        Family::Gemini25 => {
            let on = config.is_object() && budget != Some(0);
            (on, on && shown)
        }
        Family::Gemini3 => (true, shown),
        // Its thoughts come unasked (upstream-protocol.md 8.4).
        Family::GptOss => (true, true),
        Family::Image => (shown, shown),
    }
}

fn draft(model: &Model, ask: &Ask<'_>, b: &Behaviour) -> Draft {
    let mut draft = Draft {
        finish: "STOP",
        ..Draft::default()
    };
    if b.answer == Some(AnswerKind::Empty) {
        return draft;
    }
    let (on, shown) = thinks(model, ask.request, b);
    if on {
        let said = ask.short();
        let thoughts = b.thoughts.clone().unwrap_or_else(|| {
            format!("The user says: {said}. Nothing needs to be looked up. I repeat what was said.")
        });
        if shown {
            draft.thoughts = thoughts;
        } else {
            draft.hidden = tokens::of_text(&thoughts);
        }
    }
    draft.calls = calls::choose(model, ask, b);
    draft.image = b.answer == Some(AnswerKind::Image)
        || (model.family == Family::Image && b.text.is_none() && draft.calls.is_empty());
    draft.text = if let Some(text) = &b.text {
        text.clone()
    } else if let Some(bytes) = b.answer_bytes {
        filler(bytes)
    } else if draft.calls.is_empty() {
        echo(ask)
    } else {
        String::new()
    };
    draft
}

/// Text of exactly so many bytes.
pub(super) fn filler(bytes: usize) -> String {
    "The quick brown fox jumps over the lazy dog. "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

/// An answer that shows what arrived: the last text, the results of tools, pictures and documents.
fn echo(ask: &Ask<'_>) -> String {
    let config = &ask.request["generationConfig"];
    if config["responseMimeType"] == "application/json" {
        return match config
            .get("responseSchema")
            .or_else(|| config.get("responseJsonSchema"))
        {
            Some(schema) => sample::value(schema, "value", &ask.text).to_string(),
            None => json!({"echo": ask.text}).to_string(),
        };
    }
    let mut lines = Vec::new();
    for said in &ask.last {
        lines.push(match said {
            Said::Text(text) => format!("You said: {text}"),
            Said::Result { name, output } => format!("{name} answered: {output}"),
            Said::Media { kind, bytes } => format!("You sent {kind} of {bytes} bytes"),
        });
    }
    lines.join("\n")
}

/// Honours stop sequences, and the maximum with four characters to the token.
fn limit(draft: &mut Draft, request: &Value) {
    let config = &request["generationConfig"];
    let stops = config["stopSequences"].as_array().into_iter().flatten();
    let hit = stops.filter_map(|s| draft.text.find(s.as_str()?)).min();
    if let Some(at) = hit {
        draft.text.truncate(at);
    }
    let Some(max) = config["maxOutputTokens"].as_u64() else {
        return;
    };
    let mut left = usize::try_from(max.saturating_mul(4)).unwrap_or(usize::MAX);
    for text in [&mut draft.thoughts, &mut draft.text] {
        if let Some((at, _)) = text.char_indices().nth(left) {
            text.truncate(at);
            draft.calls.clear();
            draft.image = false;
            draft.finish = "MAX_TOKENS";
        }
        left -= text.chars().count().min(left);
    }
}

fn usage(model: &Model, request: &Value, draft: &Draft, b: &Behaviour) -> Value {
    let prompt = tokens::prompt(request);
    let thoughts = tokens::of_text(&draft.thoughts) + draft.hidden;
    let calls: u64 = draft
        .calls
        .iter()
        .map(|c| tokens::of_text(&c["functionCall"].to_string()))
        .sum();
    let image = if draft.image { 1290 } else { 0 };
    let candidates = tokens::of_text(&draft.text) + calls + image;
    let mut usage = json!({"promptTokenCount": prompt,
        "totalTokenCount": prompt + candidates + thoughts});
    // Claude's thoughts are counted among the candidates (upstream-protocol.md 8.1). Zeros are left out, as proto3 does.
    let inside = model.family == Family::Claude;
    let counted = candidates + if inside { thoughts } else { 0 };
    let shown = if inside { 0 } else { thoughts };
    let cached = b.cached_tokens.unwrap_or(0).min(prompt);
    for (name, count) in [
        ("candidatesTokenCount", counted),
        ("thoughtsTokenCount", shown),
        ("cachedContentTokenCount", cached),
    ] {
        if count > 0 {
            usage[name] = json!(count);
        }
    }
    usage
}

/// Cuts a text into pieces as the script says; pieces end between characters.
pub(super) fn pieces(text: &str, b: &Behaviour) -> Vec<String> {
    let size = match (b.chunks, b.chunk_bytes) {
        (Some(n), _) => return even(text, n.max(1)),
        (None, Some(bytes)) => bytes.max(1),
        (None, None) => (text.len() / 64).max(24),
    };
    let mut pieces: Vec<String> = Vec::new();
    for c in text.chars() {
        match pieces.last_mut() {
            Some(last) if last.len() + c.len_utf8() <= size => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

/// Cuts a text into `n` pieces of about one length, into fewer where it has fewer characters.
fn even(text: &str, n: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let n = n.min(chars.len());
    (0..n)
        .map(|i| {
            chars[i * chars.len() / n..(i + 1) * chars.len() / n]
                .iter()
                .collect()
        })
        .collect()
}

fn cut(model: &Model, draft: &Draft, b: &Behaviour) -> Vec<Vec<Value>> {
    let mut chunks: Vec<Vec<Value>> = Vec::new();
    for piece in pieces(&draft.thoughts, b) {
        chunks.push(vec![json!({"text": piece, "thought": true})]);
    }
    if model.family == Family::Claude && !draft.thoughts.is_empty() {
        let signature = signature::claude(&draft.thoughts);
        chunks.push(vec![
            json!({"text": "", "thought": true, "thoughtSignature": signature}),
        ]);
    }
    if draft.image && !draft.thoughts.is_empty() {
        let blob = json!({"mimeType": "image/png", "data": PNG});
        chunks.push(vec![json!({"inlineData": blob, "thought": true})]);
    }
    for piece in pieces(&draft.text, b) {
        chunks.push(vec![json!({"text": piece})]);
    }
    if draft.image {
        let blob = json!({"mimeType": "image/png", "data": PNG});
        chunks.push(vec![json!({ "inlineData": blob })]);
    }
    let mut made = draft.calls.clone();
    let signs = match model.family {
        Family::Gemini3 => true,
        Family::Gemini25 => !draft.thoughts.is_empty() || draft.hidden > 0,
        _ => false,
    };
    if let Some(first) = made.first_mut().filter(|_| signs) {
        let name = first["functionCall"]["name"].as_str().map(str::to_owned);
        first["thoughtSignature"] = Value::String(signature::gemini(name.as_deref()));
    }
    let called = !made.is_empty();
    if b.spread_calls == Some(true) {
        chunks.extend(made.into_iter().map(|call| vec![call]));
    } else if called {
        chunks.push(made);
    }
    if model.family == Family::Gemini3 && !called && !draft.text.is_empty() {
        let last = json!({"text": "", "thoughtSignature": signature::gemini(None)});
        // A script that counts its chunks gets exactly so many.
        match chunks.last_mut().filter(|_| b.chunks.is_some()) {
            Some(chunk) => chunk.push(last),
            None => chunks.push(vec![last]),
        }
    }
    if chunks.is_empty() {
        chunks.push(Vec::new());
    }
    chunks
}
