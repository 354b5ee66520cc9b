//! serde over the spanned tree. Two things make it report more than a plain derive does: a key that a struct does not
//! have is noted on its node and skipped, and a value that fails blames its own node and is left out of the next try.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use crate::config::tree::{Node, Problem, Value};

/// Newtype name under which dates are asked for, so that a quoted date is not taken for one.
pub(crate) const DATE: &str = "$agp::date";

/// Why a decode failed; `placed` once a node carries the blame.
#[derive(Debug)]
pub(crate) struct DeError {
    problem: Problem,
    placed: bool,
}

impl DeError {
    fn new(problem: Problem) -> Self {
        Self {
            problem,
            placed: false,
        }
    }

    /// The same about the key, where it was found in reading one.
    fn of_key(mut self) -> Self {
        if let Problem::Value(message) = self.problem {
            self.problem = Problem::Key(message);
        }
        self
    }

    fn blame(mut self, node: &Node) -> Self {
        if !self.placed {
            node.blame(self.problem.clone());
            self.placed = true;
        }
        self
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Value(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Problem::Type {
            expected: plain_expected(&expected.to_string()),
            found: plain_found(found),
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            // A number in the message helps; a text might be a secret.
            Unexpected::Signed(n) => Self::range(&n.to_string(), expected),
            Unexpected::Unsigned(n) => Self::range(&n.to_string(), expected),
            _ => Self::invalid_type(found, expected),
        }
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::Choice {
            found: found.to_owned(),
            expected,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }
}

impl DeError {
    fn range(found: &str, expected: &dyn Expected) -> Self {
        Self::new(Problem::Value(format!(
            "expected {}, found {found}",
            plain_expected(&expected.to_string())
        )))
    }
}

/// serde's word for an expectation in the words of the file.
fn plain_expected(text: &str) -> String {
    match text {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" => "a whole number, 0 or more".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a borrowed string" => "a string".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        text if text.starts_with("struct ") => "a table".to_owned(),
        text => text.to_owned(),
    }
}

fn plain_found(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        Unexpected::Other(what) => what,
        _ => "something else",
    }
    .to_owned()
}

/// Most rounds for one table, and so most wrong values that are told of it at once: a bound for what no person wrote.
const MAX_ROUNDS: usize = 500;

/// Decodes a node, as often as it takes to find everything that is wrong in it. What is wrong is left on the nodes;
/// `None` where nothing could be made of the node at all.
pub(crate) fn decode<'a, T: de::Deserialize<'a>>(node: &'a Node) -> Option<T> {
    for _ in 0..MAX_ROUNDS {
        if node.is_bad() {
            return None;
        }
        match T::deserialize(De(node)) {
            Ok(value) => return Some(value),
            Err(error) => {
                let _ = error.blame(node);
            }
        }
    }
    None
}

/// A node as a source of data.
#[derive(Clone, Copy)]
struct De<'a>(&'a Node);

impl<'a> De<'a> {
    fn unexpected(self) -> Unexpected<'a> {
        match &self.0.value {
            Value::Env(_, Some(parsed)) => De(parsed).unexpected(),
            Value::Str(text) | Value::Env(text, None) => Unexpected::Str(text),
            Value::Int(_) => Unexpected::Signed(0),
            Value::Float(n) => Unexpected::Float(*n),
            Value::Bool(b) => Unexpected::Bool(*b),
            Value::Date(_) => Unexpected::Other("a date"),
            Value::Array(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        }
    }

    /// The value that a typed question is asked of: what the environment's text is as TOML, else the node itself.
    fn typed(self) -> Self {
        match &self.0.value {
            Value::Env(_, Some(parsed)) => De(parsed),
            _ => self,
        }
    }

    fn seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0.as_array() {
            Some(list) => visitor.visit_seq(Seq(list.iter())),
            None => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0.as_table() {
            Some(table) => visitor.visit_map(Map {
                entries: table.iter(),
                value: None,
            }),
            None => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }
}

macro_rules! typed {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
            self.typed().deserialize_any(visitor)
        }
    )*};
}

impl<'a> Deserializer<'a> for De<'a> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Env(text, parsed) => match parsed.as_deref().map(|p| &p.value) {
                Some(Value::Array(_)) => self.seq(visitor),
                Some(Value::Table(_)) => self.map(visitor),
                _ => visitor.visit_borrowed_str(text),
            },
            Value::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                (Ok(n), _) => visitor.visit_i64(n),
                (_, Ok(n)) => visitor.visit_u64(n),
                _ => Err(de::Error::custom(
                    "expected a whole number of at most 64 bits",
                )),
            },
            Value::Float(n) => visitor.visit_f64(*n),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Date(_) => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
            Value::Array(_) => self.seq(visitor),
            Value::Table(_) => self.map(visitor),
        }
    }

    typed! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Str(text) | Value::Env(text, _) => visitor.visit_borrowed_str(text),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name != DATE {
            return visitor.visit_newtype_struct(self);
        }
        match &self.typed().0.value {
            Value::Date(date) => visitor.visit_string(date.to_string()),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        for (key, node) in self.0.entries() {
            if !fields.contains(&key.as_str()) {
                node.blame(Problem::UnknownKey(fields));
            }
        }
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Str(text) | Value::Env(text, _) => visitor.visit_enum(Word(text)),
            _ => Err(de::Error::invalid_type(self.unexpected(), &"a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Seq<'a>(std::slice::Iter<'a, Node>);

impl<'a> SeqAccess<'a> for Seq<'a> {
    type Error = DeError;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeError> {
        match self.0.by_ref().find(|node| !node.is_bad()) {
            Some(node) => seed
                .deserialize(De(node))
                .map(Some)
                .map_err(|error| error.blame(node)),
            None => Ok(None),
        }
    }
}

struct Map<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Node>,
    value: Option<&'a Node>,
}

impl<'a> MapAccess<'a> for Map<'a> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        match self.entries.by_ref().find(|(_, node)| !node.is_bad()) {
            Some((key, node)) => {
                self.value = Some(node);
                seed.deserialize(de::value::BorrowedStrDeserializer::new(key))
                    .map(Some)
                    .map_err(|error: DeError| error.of_key().blame(node))
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        match self.value.take() {
            Some(node) => seed
                .deserialize(De(node))
                .map_err(|error| error.blame(node)),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// A word that chooses a variant.
struct Word<'a>(&'a str);

impl<'a> EnumAccess<'a> for Word<'a> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), DeError> {
        let value = seed.deserialize(de::value::BorrowedStrDeserializer::new(self.0))?;
        Ok((value, self))
    }
}

impl<'a> VariantAccess<'a> for Word<'a> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, _seed: T) -> Result<T::Value, DeError> {
        Err(de::Error::custom("expected a word"))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _len: usize, _visitor: V) -> Result<V::Value, DeError> {
        Err(de::Error::custom("expected a word"))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, DeError> {
        Err(de::Error::custom("expected a word"))
    }
}
