//! `schema_to_gemini` and `schema_to_claude`.

use agp::wire::gemini::schema::{SchemaTarget, clean};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(super) fn gemini(input: &Value) -> Result<Vec<Value>, String> {
    convert(input, SchemaTarget::Gemini)
}

pub(super) fn claude(input: &Value) -> Result<Vec<Value>, String> {
    convert(input, SchemaTarget::Claude)
}

fn convert(input: &Value, target: SchemaTarget) -> Result<Vec<Value>, String> {
    let raw = RawValue::from_string(input["schema"].to_string()).map_err(|e| e.to_string())?;
    let once = clean(&raw, target).map_err(|e| e.to_string())?;
    let raw = RawValue::from_string(once.to_string()).map_err(|e| e.to_string())?;
    let twice = clean(&raw, target).map_err(|e| e.to_string())?;
    Ok(vec![json!({ "schema": once }), json!({ "schema": twice })])
}
