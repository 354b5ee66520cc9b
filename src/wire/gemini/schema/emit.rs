//! A node of one type, keyword by keyword. Rules S7–S20.

use serde_json::{Map, Value};

use super::bounds::whole;
use super::kind::{Kind, infer, kinds};
use super::resolve::Merged;
use super::union::flatten;
use super::{Clean, Cleaner, SchemaTarget};

/// The keywords of a result, in the order in which they are written.
const ORDER: [&str; 18] = [
    "type",
    "format",
    "description",
    "nullable",
    "enum",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
];

/// Brings the keywords into their order.
pub(super) fn order(mut map: Map<String, Value>) -> Map<String, Value> {
    let mut ordered = Map::new();
    for name in ORDER {
        if let Some(value) = map.remove(name) {
            ordered.insert(name.to_owned(), value);
        }
    }
    ordered
}

impl<'r> Cleaner<'r> {
    /// Settles the type of a node without unions and writes it.
    pub(super) fn typed(&mut self, mut merged: Merged<'r>, depth: usize) -> Clean {
        let mut types = kinds(&merged);
        let declared = types.len();
        types.retain(|k| *k != Kind::Null);
        merged.nullable |= types.len() < declared;
        if merged.get("const") == Some(&Value::Null) {
            merged.nullable = true;
            merged.take("const");
        }
        if let Some(Value::Array(list)) = merged.get("enum") {
            merged.nullable |= list.contains(&Value::Null);
        }
        if merged.opaque {
            types = vec![Kind::Object];
        }
        match types[..] {
            [] => {
                let kind = infer(&merged).unwrap_or(Kind::String);
                self.emit(&merged, kind, depth, false)
            }
            [kind] => self.emit(&merged, kind, depth, false),
            [first, ..] if self.target == SchemaTarget::Claude => {
                let others: Vec<&str> = types[1..].iter().map(|k| k.lower()).collect();
                merged.hint(format!("or {}", others.join(", ")));
                self.emit(&merged, first, depth, true)
            }
            _ => self.split_types(&merged, &types, depth),
        }
    }

    /// What stands where nothing more may be added (S21).
    pub(super) fn stub(&mut self, merged: &Merged<'r>) -> Clean {
        let kind = kinds(merged).first().copied().or_else(|| infer(merged));
        let kind = if kind == Some(Kind::Object) {
            Kind::Object
        } else {
            Kind::String
        };
        self.steps += 1;
        self.emit(&Merged::default(), kind, 0, false)
    }

    /// Writes a node of one type. `mixed` says that the node had several, so that only what fits is meant.
    pub(super) fn emit(
        &mut self,
        merged: &Merged<'r>,
        kind: Kind,
        depth: usize,
        mixed: bool,
    ) -> Clean {
        let mut out = Map::new();
        let mut hints = merged.hints.clone();
        let name = match self.target {
            SchemaTarget::Gemini => kind.lower().to_ascii_uppercase(),
            SchemaTarget::Claude => kind.lower().to_owned(),
        };
        out.insert("type".to_owned(), Value::from(name));
        self.constants(merged, kind, mixed, &mut out, &mut hints);
        match kind {
            Kind::Object => self.object(merged, depth, &mut out, &mut hints),
            Kind::Array => self.array(merged, depth, &mut out, &mut hints),
            Kind::String => {
                self.counts(merged, &["minLength", "maxLength"], &mut out, &mut hints);
                if let Some(Value::String(pattern)) = merged.get("pattern") {
                    self.keep_or_hint(
                        "pattern",
                        Value::from(pattern.as_str()),
                        &mut out,
                        &mut hints,
                    );
                }
            }
            Kind::Integer | Kind::Number => self.bounds(merged, kind, &mut out, &mut hints),
            Kind::Boolean | Kind::Null => {}
        }
        self.format(merged, kind, &mut out, &mut hints);
        if let Some(text) = self.describe(merged, &hints) {
            out.insert("description".to_owned(), Value::from(text));
        }
        if merged.nullable && self.target == SchemaTarget::Gemini {
            out.insert("nullable".to_owned(), Value::Bool(true));
        }
        // About what the node adds to the result beside its children.
        self.used += 24 + 24 * out.len();
        Clean {
            schema: order(out),
            nullable: merged.nullable,
        }
    }

    /// The description with the hints behind it.
    pub(super) fn describe(&mut self, merged: &Merged<'r>, hints: &[String]) -> Option<String> {
        let own = merged
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut text = own.to_owned();
        for hint in hints {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push('(');
            text.push_str(hint);
            text.push(')');
        }
        self.used += text.len();
        (!text.is_empty()).then_some(text)
    }

    /// `enum` and `const` (S8, S10).
    fn constants(
        &mut self,
        merged: &Merged<'r>,
        kind: Kind,
        mixed: bool,
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        let from_enum;
        let values: Vec<&Value> = match (merged.get("const"), merged.get("enum")) {
            (Some(value), _) => vec![value],
            (None, Some(Value::Array(list))) => {
                from_enum = list;
                from_enum.iter().filter(|v| !v.is_null()).collect()
            }
            _ => Vec::new(),
        };
        let mut texts: Vec<&str> = values.iter().filter_map(|v| v.as_str()).collect();
        let all_texts = texts.len() == values.len();
        if texts.is_empty() && values.is_empty() {
            texts = merged.constants.clone().unwrap_or_default();
        }
        if kind == Kind::String && (all_texts || mixed) {
            let mut list: Vec<Value> = Vec::with_capacity(texts.len());
            for text in texts.into_iter().filter(|t| !t.is_empty()) {
                if !list.iter().any(|v| v == text) {
                    self.used += text.len() + 3;
                    list.push(Value::from(text));
                }
            }
            if !list.is_empty() {
                out.insert("enum".to_owned(), Value::Array(list));
            }
        } else if !values.is_empty() {
            let mut shown: Vec<String> = values.iter().take(20).map(ToString::to_string).collect();
            if values.len() > shown.len() {
                shown.push("…".to_owned());
            }
            let shown = shown.join(", ");
            let what = if merged.has("const") {
                "always"
            } else {
                "one of"
            };
            hints.push(format!("{what} {shown}"));
        }
    }

    fn object(
        &mut self,
        merged: &Merged<'r>,
        depth: usize,
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        let mut properties = Map::new();
        let mut required: Vec<&str> = merged.required.clone();
        let mut optional: Vec<&str> = Vec::new();
        for slot in &merged.properties {
            if *slot.value == Value::Bool(false) {
                continue;
            }
            // Draft 3 said it inside the property.
            if slot.value.get("required") == Some(&Value::Bool(true)) {
                required.push(slot.name);
            }
            self.used += slot.name.len() + 4;
            let child = self.node(slot.value, &slot.trail, depth + 1);
            if child.nullable && self.target == SchemaTarget::Claude {
                optional.push(slot.name);
            }
            properties.insert(slot.name.to_owned(), Value::Object(child.schema));
        }
        let mut names: Vec<Value> = Vec::new();
        for name in required {
            let fits = properties.contains_key(name) && !optional.contains(&name);
            if fits && !names.iter().any(|n| n == name) {
                self.used += name.len() + 3;
                names.push(Value::from(name));
            }
        }
        if !properties.is_empty() || self.target == SchemaTarget::Claude {
            out.insert("properties".to_owned(), Value::Object(properties));
        }
        if !names.is_empty() {
            out.insert("required".to_owned(), Value::Array(names));
        }
        self.counts(merged, &["minProperties", "maxProperties"], out, hints);
    }

    /// `items` is a must (S12).
    fn array(
        &mut self,
        merged: &Merged<'r>,
        depth: usize,
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        let mut kinds_of_items: Vec<Map<String, Value>> = Vec::new();
        for name in ["prefixItems", "items"] {
            let Some(slot) = merged.slot(name) else {
                continue;
            };
            // Several kinds will stand one level deeper, as branches of a union.
            let (list, level) = match slot.value {
                Value::Array(list) => (list.as_slice(), depth + 2),
                Value::Object(_) if merged.has("prefixItems") => {
                    (std::slice::from_ref(slot.value), depth + 2)
                }
                Value::Object(_) => (std::slice::from_ref(slot.value), depth + 1),
                _ => continue,
            };
            for value in list {
                if !kinds_of_items.is_empty() && self.target == SchemaTarget::Claude {
                    break;
                }
                let child = self.node(value, &slot.trail, level);
                for schema in flatten(child.schema) {
                    if !kinds_of_items.contains(&schema) {
                        kinds_of_items.push(schema);
                    }
                }
            }
        }
        let items = match kinds_of_items.len() {
            0 => {
                self.emit(&Merged::default(), Kind::String, depth, false)
                    .schema
            }
            1 => kinds_of_items.swap_remove(0),
            _ => {
                let list = kinds_of_items.into_iter().map(Value::Object).collect();
                Map::from_iter([("anyOf".to_owned(), Value::Array(list))])
            }
        };
        out.insert("items".to_owned(), Value::Object(items));
        self.counts(merged, &["minItems", "maxItems"], out, hints);
    }

    /// Keywords that are whole numbers from 0 on (S17).
    fn counts(
        &self,
        merged: &Merged<'r>,
        names: &[&'static str],
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        for name in names {
            let count = merged.get(name).and_then(whole).filter(|n| *n >= 0);
            if let Some(count) = count {
                self.keep_or_hint(name, Value::from(count), out, hints);
            }
        }
    }

    /// `format` (S15).
    fn format(
        &self,
        merged: &Merged<'r>,
        kind: Kind,
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        let Some(format) = merged.get("format").and_then(Value::as_str) else {
            return;
        };
        let kept = self.target == SchemaTarget::Gemini
            && match format {
                "int32" | "int64" => kind == Kind::Integer,
                "float" | "double" => kind == Kind::Number,
                "date-time" => kind == Kind::String,
                "enum" => out.contains_key("enum"),
                _ => false,
            };
        if kept {
            out.insert("format".to_owned(), Value::from(format));
        } else if format != "enum" && !format.is_empty() {
            hints.push(format!("format: {format}"));
        }
    }

    pub(super) fn keep_or_hint(
        &self,
        name: &str,
        value: Value,
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        match self.target {
            SchemaTarget::Gemini => {
                out.insert(name.to_owned(), value);
            }
            SchemaTarget::Claude => hints.push(format!("{name}: {value}")),
        }
    }
}
