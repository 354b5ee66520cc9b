//! Clients' requests to the inner Gemini payload.

use std::collections::BTreeMap;

use agp::ir::{Family, KnownCall, SignatureFamily, SignatureLookup};
use agp::wire::front::Front;
use agp::wire::gemini::{Api, Target, encode_request};
use bytes::Bytes;
use serde_json::{Value, json};

pub(super) fn openai_chat(input: &Value) -> Result<Vec<Value>, String> {
    convert(input, Front::OpenAiChat)
}

pub(super) fn anthropic(input: &Value) -> Result<Vec<Value>, String> {
    convert(input, Front::Anthropic)
}

fn convert(input: &Value, front: Front) -> Result<Vec<Value>, String> {
    let body = Bytes::from(input["body"].to_string());
    let request = front.decode_request(&body).map_err(|e| e.to_string())?;
    let model = input["model"].as_str().ok_or("no model")?;
    let safety = BTreeMap::new();
    let target = Target {
        model,
        family: Family::of(model),
        api: api(input)?,
        max_output: None,
        thinking: None,
        safety_settings: &safety,
        session_id: None,
        level_as_budget: false,
        repair: false,
    };
    let mut out = Vec::new();
    encode_request(&request, &target, &Known::of(input)?, &mut out).map_err(|e| e.to_string())?;
    let payload: Value = serde_json::from_slice(&out).map_err(|e| e.to_string())?;
    Ok(vec![json!({ "request": payload })])
}

fn api(input: &Value) -> Result<Api, String> {
    match input["upstream"].as_str() {
        Some("antigravity") => Ok(Api::Antigravity),
        Some("gemini") => Ok(Api::GeminiApi),
        Some("vertex") => Ok(Api::Vertex),
        other => Err(format!("unknown upstream {other:?}")),
    }
}

/// A case's `state.signatures`.
pub(super) struct Known(Vec<Entry>);

struct Entry {
    family: SignatureFamily,
    signature: String,
    call_id: Option<String>,
    thinking: Option<String>,
}

impl Known {
    /// What the case says the store knows.
    pub(super) fn of(input: &Value) -> Result<Self, String> {
        let list = input["state"]["signatures"].as_array();
        let text = |entry: &Value, key: &str| entry[key].as_str().map(str::to_owned);
        list.into_iter()
            .flatten()
            .map(|entry| {
                Ok(Entry {
                    family: match entry["family"].as_str() {
                        Some("claude") => SignatureFamily::Claude,
                        Some("gemini") => SignatureFamily::Gemini,
                        other => return Err(format!("unknown family {other:?}")),
                    },
                    signature: text(entry, "signature").ok_or("no signature")?,
                    call_id: text(entry, "call_id"),
                    thinking: text(entry, "thinking"),
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl SignatureLookup for Known {
    fn by_call(&self, call_id: &str) -> Option<KnownCall> {
        let entry = self
            .0
            .iter()
            .find(|e| e.call_id.as_deref() == Some(call_id))?;
        Some(KnownCall {
            family: entry.family,
            signature: entry.signature.clone(),
            thinking: entry.thinking.clone(),
        })
    }

    fn by_text(&self, family: SignatureFamily, text: &str) -> Option<String> {
        self.0
            .iter()
            .find(|e| e.family == family && e.thinking.as_deref() == Some(text))
            .map(|e| e.signature.clone())
    }

    fn owner(&self, signature: &str) -> Option<(SignatureFamily, Option<String>)> {
        self.0
            .iter()
            .find(|e| e.signature == signature)
            .map(|e| (e.family, e.thinking.clone()))
    }
}
