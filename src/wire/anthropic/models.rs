//! The list of models, for clients that send `anthropic-version`.

use crate::wire::ModelInfo;
use crate::wire::json::write::{int, nullable, raw, string};

/// `created_at` of every model: the API wants a time there, and nobody knows a true one.
const CREATED: &str = "2023-11-14T22:13:20Z";

/// The body of `GET /v1/models`: all of them on one page.
pub fn encode_models(models: &[ModelInfo]) -> Vec<u8> {
    let mut out = br#"{"data":["#.to_vec();
    for (i, model) in models.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(&mut out, model);
    }
    raw(&mut out, r#"],"has_more":false,"first_id":"#);
    nullable(&mut out, models.first().map(|m| &*m.id));
    raw(&mut out, r#","last_id":"#);
    nullable(&mut out, models.last().map(|m| &*m.id));
    out.push(b'}');
    out
}

/// The body of `GET /v1/models/{id}`.
pub fn encode_model(model: &ModelInfo) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, model);
    out
}

fn write(out: &mut Vec<u8>, model: &ModelInfo) {
    raw(out, r#"{"type":"model","id":"#);
    string(out, &model.id);
    raw(out, r#","display_name":"#);
    string(out, model.display_name.as_deref().unwrap_or(&model.id));
    raw(out, r#","created_at":"#);
    string(out, CREATED);
    for (key, value) in [
        (r#","max_input_tokens":"#, model.context),
        (r#","max_tokens":"#, model.max_output),
    ] {
        if let Some(value) = value {
            raw(out, key);
            int(out, value);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_anthropics() {
        let model = |id: &str, context| ModelInfo {
            id: id.to_owned(),
            owned_by: "anthropic".to_owned(),
            display_name: (id == "a").then(|| "The A".to_owned()),
            context,
            max_output: None,
        };
        let text = String::from_utf8(encode_models(&[model("a", None), model("b", Some(9))]));
        assert_eq!(
            text.unwrap(),
            concat!(
                r#"{"data":[{"type":"model","id":"a","display_name":"The A","created_at":"2023-11-14T22:13:20Z"},"#,
                r#"{"type":"model","id":"b","display_name":"b","created_at":"2023-11-14T22:13:20Z","max_input_tokens":9}],"#,
                r#""has_more":false,"first_id":"a","last_id":"b"}"#
            )
        );
        assert_eq!(
            encode_models(&[]),
            br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
        );
    }
}
