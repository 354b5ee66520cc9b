//! The JSON Schema of the file (draft 2020-12), made from the structs that decode it: what `agp schema` prints, where hints
//! come from, and the canonical order of keys.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::config::raw::Raw;
use crate::config::tree::{KeyPath, Seg};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Raw>().to_value();
    simplify(&mut schema);
    let mut root = Map::new();
    if let Some(draft) = schema.get("$schema") {
        root.insert("$schema".to_owned(), draft.clone());
    }
    root.insert("title".to_owned(), "agp.toml".into());
    root.insert(
        "description".to_owned(),
        "The configuration of agp, and of the files that it includes.".into(),
    );
    if let Value::Object(rest) = schema {
        root.extend(rest);
    }
    Value::Object(root)
});

/// The schema as `agp schema` prints it, with a newline at its end.
pub fn text() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// The schema as a value.
pub fn value() -> &'static Value {
    &SCHEMA
}

/// TOML has no null: a key that may be left out is simply not required. Rust's names of numbers are no formats that others
/// know: what they mean is said as a range.
fn simplify(node: &mut Value) {
    match node {
        Value::Object(map) => {
            let format = map
                .get("format")
                .and_then(Value::as_str)
                .unwrap_or_default();
            match format {
                "uint32" => {
                    map.insert("maximum".to_owned(), u32::MAX.into());
                    map.shift_remove("format");
                }
                "uint64" | "double" => {
                    map.shift_remove("format");
                }
                _ => {}
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if map.get("default").is_some_and(Value::is_null) {
                map.shift_remove("default");
            }
            if let Some(Value::Array(any)) = map.get_mut("anyOf") {
                any.retain(|one| one.get("type") != Some(&Value::from("null")));
                if let [Value::Object(only)] = &any[..] {
                    let only = only.clone();
                    map.shift_remove("anyOf");
                    map.extend(only);
                }
            }
            map.values_mut().for_each(simplify);
        }
        Value::Array(list) => list.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// What kind of value stands at a place, as far as JSON and TOML write it in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A secret or where it is found.
    Secret,
    /// A date.
    Date,
    /// A whole number.
    Integer,
    /// A number with a point.
    Number,
    /// Anything else.
    Other,
}

/// One place in the schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape(&'static Value);

impl Shape {
    /// The root table.
    pub(crate) fn root() -> Self {
        Self(&SCHEMA)
    }

    /// The shape of the value at a path; `None` where the file's form has none there.
    pub(crate) fn at(path: &KeyPath) -> Option<Self> {
        path.0
            .iter()
            .try_fold(Self::root(), |shape, seg| match seg {
                Seg::Key(key) => shape.child(key),
                Seg::Index(_) => shape.item(),
            })
    }

    /// What a `$ref` leads to, or the place itself.
    fn resolved(self) -> &'static Value {
        let name = self.0.get("$ref").and_then(Value::as_str);
        name.and_then(|name| SCHEMA.pointer(name.strip_prefix('#')?))
            .unwrap_or(self.0)
    }

    /// What this place says, else what the type there says.
    fn get(self, word: &str) -> Option<&'static Value> {
        self.0.get(word).or_else(|| self.resolved().get(word))
    }

    /// A table's key: one that it has by name, or any where its names are free.
    pub(crate) fn child(self, key: &str) -> Option<Self> {
        self.property(key).or_else(|| {
            let node = self.resolved();
            let free = node.get("additionalProperties").filter(|v| v.is_object());
            let by_pattern = || node.get("patternProperties")?.as_object()?.values().next();
            free.or_else(by_pattern).map(Self)
        })
    }

    fn property(self, key: &str) -> Option<Self> {
        self.resolved().get("properties")?.get(key).map(Self)
    }

    /// The keys that a table has by name, in their order.
    pub(crate) fn keys(self) -> impl Iterator<Item = (&'static str, Self)> {
        self.resolved()
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), Self(value)))
    }

    /// What an element of a list is.
    pub(crate) fn item(self) -> Option<Self> {
        self.resolved().get("items").map(Self)
    }

    /// What kind of value stands there.
    pub(crate) fn form(self) -> Form {
        let word = |word| self.get(word).and_then(Value::as_str);
        let leads_to = self.0.get("$ref").and_then(Value::as_str);
        match (leads_to, word("format"), word("type")) {
            (Some("#/$defs/Secret"), ..) => Form::Secret,
            (_, Some("date"), _) => Form::Date,
            (_, _, Some("integer")) => Form::Integer,
            (_, _, Some("number")) => Form::Number,
            _ => Form::Other,
        }
    }

    /// Whether it is a table that has its keys by name.
    pub(crate) fn is_table(self) -> bool {
        self.resolved().get("properties").is_some()
    }

    /// Whether it is a table whose names are free.
    pub(crate) fn is_named(self) -> bool {
        !self.is_table() && self.child("").is_some()
    }

    /// Whether a text stands there, or a secret, which may be one.
    pub(crate) fn is_text(self) -> bool {
        self.get("type").is_none_or(|t| t == "string")
    }

    /// The place of a key in the canonical order; after all others where the name is free or unknown.
    pub(crate) fn rank(self, key: &str) -> usize {
        self.keys()
            .position(|(name, _)| name == key)
            .unwrap_or(usize::MAX)
    }

    /// What it is, in the form of messages.
    pub(crate) fn description(self) -> Option<String> {
        let text = self.get("description")?.as_str()?.trim_end_matches('.');
        let mut chars = text.chars();
        let first = chars.next()?;
        // `SHA-256` keeps its capitals.
        if chars.clone().next().is_some_and(char::is_uppercase) {
            return Some(text.to_owned());
        }
        Some(first.to_lowercase().chain(chars).collect())
    }

    /// The default as TOML writes it; `None` where there is none or it depends on something.
    pub(crate) fn default_text(self) -> Option<String> {
        self.get("default").and_then(toml_text)
    }

    /// An example as TOML writes it.
    pub(crate) fn example(self) -> Option<String> {
        self.example_with("")
    }

    /// The first example that has this key in it, else the first one.
    pub(crate) fn example_with(self, part: &str) -> Option<String> {
        let list = |word| self.get(word).and_then(Value::as_array);
        if let Some(examples) = list("examples") {
            let fits = |example: &&Value| example.get(part).is_some();
            let text = toml_text(examples.iter().find(fits).or(examples.first())?)?;
            let date = self.get("format").is_some_and(|format| format == "date");
            return Some(if date { text.replace('"', "") } else { text });
        }
        // Of words that are listed the first one.
        let word = list("enum").and_then(|words| words.first());
        let described = || list("oneOf")?.first()?.get("const");
        if let Some(word) = word.or_else(described) {
            return toml_text(word);
        }
        let item = self.item()?;
        Some(format!("[{}]", item.example()?))
    }
}

/// A JSON value as TOML writes it inline.
pub(crate) fn toml_text(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|v| v.to_string())
}
