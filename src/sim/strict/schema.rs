//! The structural rules of schemas (upstream-protocol.md section 7), which hold on top of the known names.

use serde_json::Value;

use super::{list, text};
use crate::sim::models::Family;
use crate::sim::reply::Problem;

/// The 64-bit fields: they reach Claude as strings, which it refuses as no JSON Schema.
const LONGS: &[&str] = &[
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
];

/// Checks a tool's `parameters`.
///
/// # Errors
/// The 400 of the first rule broken.
pub(super) fn parameters(
    schema: &Value,
    family: Family,
    tool: usize,
    name: &str,
) -> Result<(), Problem> {
    let path = format!("GenerateContentRequest.tools[0].function_declarations[{tool}].parameters");
    if text(schema, "type") != "OBJECT" {
        return Err(Problem::invalid(format!(
            "{name} functionDeclaration `parameters` schema should be of type OBJECT."
        )));
    }
    let empty = schema["properties"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty);
    if empty && family != Family::Claude {
        return refuse(&path, "properties", "should be non-empty for OBJECT type");
    }
    if family == Family::Claude
        && let Some(field) = long(schema)
    {
        return Err(Problem::claude(format!(
            "tools.{tool}.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 \
             (https://json-schema.org/draft/2020-12). Learn more about tool use ({field})"
        )));
    }
    node(schema, &path)
}

/// Checks a `responseSchema`.
///
/// # Errors
/// The 400 of the first rule broken.
pub(super) fn response(schema: &Value) -> Result<(), Problem> {
    node(
        schema,
        "GenerateContentRequest.generation_config.response_schema",
    )
}

fn refuse<T>(path: &str, field: &str, why: &str) -> Result<T, Problem> {
    Err(Problem::invalid(format!("* {path}.{field}: {why}\n")))
}

/// The first 64-bit field anywhere in the schema.
fn long(schema: &Value) -> Option<&'static str> {
    let here = LONGS.iter().find(|f| schema.get(**f).is_some()).copied();
    here.or_else(|| children(schema).find_map(|(_, child)| long(child)))
}

/// The schemas right inside a schema, with their places.
fn children(schema: &Value) -> impl Iterator<Item = (String, &Value)> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let branches = list(schema, "anyOf").iter().enumerate();
    properties
        .map(|(name, s)| (format!("properties[{name}]"), s))
        .chain(schema.get("items").map(|s| ("items".to_owned(), s)))
        .chain(branches.map(|(i, s)| (format!("any_of[{i}]"), s)))
}

fn node(schema: &Value, path: &str) -> Result<(), Problem> {
    let kind = text(schema, "type");
    let has = |name: &str| schema.get(name).is_some();
    if has("anyOf") && schema.as_object().is_some_and(|s| s.len() > 1) {
        return refuse(path, "any_of", "it must be the only field set");
    }
    if has("anyOf") && list(schema, "anyOf").is_empty() {
        return refuse(path, "any_of", "should be non-empty");
    }
    if !has("anyOf") && kind.is_empty() {
        return refuse(path, "type", "must be specified");
    }
    if has("enum") && kind != "STRING" {
        return refuse(path, "enum", "only allowed for STRING type");
    }
    if has("enum") && list(schema, "enum").is_empty() {
        return refuse(path, "enum", "should be non-empty");
    }
    for (i, word) in list(schema, "enum").iter().enumerate() {
        if word == "" {
            return refuse(path, &format!("enum[{i}]"), "cannot be empty");
        }
    }
    if kind == "ARRAY" && !has("items") {
        return refuse(path, "items", "missing field.");
    }
    for (field, wanted) in [
        ("items", "ARRAY"),
        ("properties", "OBJECT"),
        ("required", "OBJECT"),
    ] {
        if has(field) && kind != wanted {
            return refuse(path, field, &format!("only allowed for {wanted} type"));
        }
    }
    for (i, name) in list(schema, "required").iter().enumerate() {
        let name = name.as_str().unwrap_or_default();
        if schema["properties"].get(name).is_none() {
            return refuse(path, &format!("required[{i}]"), "property is not defined");
        }
    }
    format(schema, kind, path)?;
    for (place, child) in children(schema) {
        node(child, &format!("{path}.{place}"))?;
    }
    Ok(())
}

/// S15: the formats that every server knows.
fn format(schema: &Value, kind: &str, path: &str) -> Result<(), Problem> {
    let format = text(schema, "format");
    let fits = match format {
        "" => true,
        "int32" | "int64" => kind == "INTEGER",
        "float" | "double" => kind == "NUMBER",
        "date-time" => kind == "STRING",
        "enum" => schema.get("enum").is_some(),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    refuse(
        path,
        "format",
        "only 'enum' and 'date-time' are supported for STRING type, 'int32' and 'int64' for INTEGER type, 'float' and \
         'double' for NUMBER type",
    )
}
