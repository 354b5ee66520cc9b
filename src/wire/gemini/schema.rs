//! The JSON Schema cleaner: what clients send to what Google's `Schema` message takes. upstream-protocol.md 7.
//!
//! Cleaning is deterministic, and cleaning twice gives what cleaning once gave: the text of the tools is part of the
//! upstream's prompt cache. Work and size are bounded whatever the schema refers to.

mod bounds;
mod emit;
mod kind;
mod resolve;
mod union;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::base::error::Error;
use crate::ir::Family;

use resolve::{Merged, Trail};

/// Levels below which nodes become stubs (S21).
const DEPTH: usize = 32;
/// Bytes of a result, about, from which on nodes become stubs (S21).
const BYTES: usize = 1 << 20;
/// Steps of resolving from which on nodes become stubs: references may not explode. A result of [`BYTES`] needs fewer.
const STEPS: usize = 400_000;

/// Who reads the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaTarget {
    /// Gemini families and `gpt-oss`: unions and constraints are kept.
    Gemini,
    /// Claude behind Google: unions are flattened and constraints become words.
    Claude,
}

impl SchemaTarget {
    /// The target that a family's tools have.
    pub fn of(family: Option<Family>) -> Self {
        match family {
            Some(Family::Claude) => Self::Claude,
            _ => Self::Gemini,
        }
    }
}

/// Cleans a schema by rules S1–S21.
///
/// # Errors
/// The text is no JSON Schema: neither an object nor a boolean.
pub fn clean(schema: &RawValue, target: SchemaTarget) -> Result<Value, Error> {
    Ok(Value::Object(clean_value(&parse(schema)?, target)))
}

/// Cleans the schema of a tool's arguments, which must come out as an object with properties: a union becomes one object
/// that allows the properties of all its branches. `None` where there are no arguments (S13).
///
/// # Errors
/// The text is no JSON Schema, or one of something else than an object.
pub fn clean_parameters(schema: &RawValue, target: SchemaTarget) -> Result<Option<Value>, Error> {
    let root = parse(schema)?;
    let mut cleaned = clean_value(&root, target);
    if let Some(Value::Array(branches)) = cleaned.remove("anyOf") {
        cleaned = union::one_object(branches);
    }
    cleaned.remove("nullable");
    let is_object = cleaned
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|t| t.eq_ignore_ascii_case("object"));
    if !is_object {
        let declared = ["type", "enum", "const", "items", "anyOf", "oneOf"]
            .iter()
            .any(|k| root.get(k).is_some_and(|v| !v.is_null() && v != "None"));
        return if declared {
            Err(Error::bad_request(
                "tools",
                "expected a JSON Schema of type `object` for a tool's arguments, found another type",
            ))
        } else {
            Ok(None)
        };
    }
    let has_properties = cleaned
        .get("properties")
        .and_then(Value::as_object)
        .is_some_and(|p| !p.is_empty());
    Ok(has_properties.then_some(Value::Object(cleaned)))
}

fn parse(schema: &RawValue) -> Result<Value, Error> {
    let bad = |found: &str| {
        Error::bad_request(
            "schema",
            format!("expected a JSON Schema, an object or a boolean, found {found}"),
        )
    };
    let value: Value = serde_json::from_str(schema.get())
        .map_err(|e| bad(&format!("what can't be read ({e})")))?;
    match value {
        Value::Object(_) | Value::Bool(_) => Ok(value),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Array(_) => Err(bad("a list")),
        Value::String(_) => Err(bad("a text")),
        Value::Number(_) => Err(bad("a number")),
    }
}

fn clean_value(root: &Value, target: SchemaTarget) -> Map<String, Value> {
    let mut cleaner = Cleaner {
        root,
        target,
        steps: 0,
        used: 0,
    };
    cleaner.node(root, &Trail::root(), 0).schema
}

/// Cleans one schema.
struct Cleaner<'r> {
    root: &'r Value,
    target: SchemaTarget,
    /// Work done in resolving.
    steps: usize,
    /// Bytes of the result, about.
    used: usize,
}

/// A cleaned node.
#[derive(Debug, Clone, PartialEq)]
struct Clean {
    schema: Map<String, Value>,
    /// Whether `null` is allowed: in the schema for Gemini, the parent's business for Claude (S9).
    nullable: bool,
}

impl<'r> Cleaner<'r> {
    fn node(&mut self, value: &'r Value, trail: &Trail<'r>, depth: usize) -> Clean {
        let merged = self.resolve(value, trail, 0);
        self.build(merged, depth)
    }

    /// Whether nothing more may be added.
    fn is_full(&self, depth: usize) -> bool {
        depth > DEPTH || self.used > BYTES || self.steps > STEPS
    }

    fn build(&mut self, mut merged: Merged<'r>, depth: usize) -> Clean {
        if self.is_full(depth) {
            return self.stub(&merged);
        }
        if let Some(done) = self.fold_unions(&mut merged, depth) {
            return done;
        }
        self.typed(merged, depth)
    }
}

#[cfg(test)]
mod tests;
