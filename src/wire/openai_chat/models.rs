//! The list of models, as original.md section 3 has it.

use crate::wire::ModelInfo;
use crate::wire::json::write::{int, raw, string};

/// `created` of every model: the API wants a number there, and nobody knows a true one (2023-11-14T22:13:20Z).
const CREATED: u64 = 1_700_000_000;

/// The body of `GET /v1/models`.
pub fn encode_models(models: &[ModelInfo]) -> Vec<u8> {
    let mut out = br#"{"object":"list","data":["#.to_vec();
    for (i, model) in models.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(&mut out, model);
    }
    raw(&mut out, "]}");
    out
}

/// The body of `GET /v1/models/{id}`.
pub fn encode_model(model: &ModelInfo) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, model);
    out
}

fn write(out: &mut Vec<u8>, model: &ModelInfo) {
    raw(out, r#"{"id":"#);
    string(out, &model.id);
    raw(out, r#","object":"model","created":"#);
    int(out, CREATED);
    raw(out, r#","owned_by":"#);
    string(out, &model.owned_by);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_openais() {
        let model = ModelInfo {
            id: "gemini-2.5-flash".to_owned(),
            owned_by: "google".to_owned(),
            display_name: None,
            context: None,
            max_output: None,
        };
        let one = r#"{"id":"gemini-2.5-flash","object":"model","created":1700000000,"owned_by":"google"}"#;
        assert_eq!(encode_model(&model), one.as_bytes());
        assert_eq!(
            encode_models(&[model.clone(), model]),
            format!(r#"{{"object":"list","data":[{one},{one}]}}"#).as_bytes()
        );
        assert_eq!(encode_models(&[]), br#"{"object":"list","data":[]}"#);
    }
}
