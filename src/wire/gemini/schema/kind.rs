//! The types of nodes. Rules S7, S8, S11.

use serde_json::Value;

use super::resolve::Merged;

/// The types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
    Null,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "string" => Self::String,
            "number" => Self::Number,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "object" => Self::Object,
            "null" => Self::Null,
            _ => return None,
        })
    }

    /// The name in JSON Schema.
    pub(super) fn lower(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
        }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(n) if n.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

/// The types that a node declares, each once; empty where it declares none that is known.
pub(super) fn kinds(merged: &Merged<'_>) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let mut add = |value: &Value| {
        if let Some(kind) = value.as_str().and_then(Kind::parse)
            && !kinds.contains(&kind)
        {
            kinds.push(kind);
        }
    };
    match merged.get("type") {
        Some(Value::Array(list)) => list.iter().for_each(&mut add),
        Some(one) => add(one),
        None => {}
    }
    if kinds.is_empty() && merged.get("const") == Some(&Value::Null) {
        kinds.push(Kind::Null);
    }
    kinds
}

/// The type that the other keywords tell (S11).
pub(super) fn infer(merged: &Merged<'_>) -> Option<Kind> {
    let any = |names: &[&str]| names.iter().any(|n| merged.has(n));
    if merged.opaque || merged.has_properties {
        return Some(Kind::Object);
    }
    if any(&["items", "prefixItems"]) {
        return Some(Kind::Array);
    }
    if merged.constants.is_some() {
        return Some(Kind::String);
    }
    if let Some(value) = merged.get("const") {
        return Some(Kind::of_value(value));
    }
    if let Some(Value::Array(list)) = merged.get("enum")
        && let Some(first) = list.iter().find(|v| !v.is_null())
    {
        return Some(Kind::of_value(first));
    }
    if any(&[
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "maxProperties",
    ]) {
        Some(Kind::Object)
    } else if any(&["minItems", "maxItems", "uniqueItems", "contains"]) {
        Some(Kind::Array)
    } else if any(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]) {
        Some(Kind::Number)
    } else {
        None
    }
}
