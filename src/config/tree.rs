//! The spanned tree of all files put together, with the environment's values on top. A place in it is a key path, so
//! that every later finding can be shown where its key stands, whichever file that is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostic::Span;
use crate::config::source::FileId;
use crate::config::suggest;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// In a file.
    File(FileId),
    /// In the environment variable of this name.
    Env(Arc<str>),
}

/// What is wrong with one node, found while it was decoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// Its key is not one of these.
    UnknownKey(&'static [&'static str]),
    /// Its type: what was expected, what was found.
    Type { expected: String, found: String },
    /// Its word is not one of these.
    Choice {
        found: String,
        expected: &'static [&'static str],
    },
    /// A key in it that must be given.
    Missing(&'static str),
    /// Its key can't be used, in a sentence.
    Key(String),
    /// Anything else, in a sentence.
    Value(String),
}

/// A value with its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    /// The key; of a list's element the element itself.
    pub(crate) key_span: Range<usize>,
    /// The value; of a table with a header the header.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
    /// Set once something is found wrong with it; decoding then goes on as if it were not there.
    pub(crate) problem: RefCell<Option<Problem>>,
}

/// The value itself.
#[derive(Debug)]
pub(crate) enum Value {
    Str(String),
    Int(i128),
    Float(f64),
    Bool(bool),
    Date(toml::value::Datetime),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// From the environment: the text, and what it is as a TOML value, if it is one. The type asked for decides.
    Env(String, Option<Box<Node>>),
}

impl Node {
    fn new(origin: Origin, key_span: Range<usize>, span: Range<usize>, value: Value) -> Self {
        Self {
            origin,
            key_span,
            span,
            value,
            problem: RefCell::new(None),
        }
    }

    /// An empty table.
    pub(crate) fn table(origin: Origin) -> Self {
        Self::new(origin, 0..0, 0..0, Value::Table(BTreeMap::new()))
    }

    /// A value of the environment.
    pub(crate) fn env(name: Arc<str>, text: String) -> Self {
        let origin = Origin::Env(name);
        let parsed = DeValue::parse(&text)
            .ok()
            .map(|v| Box::new(Self::from_value(&origin, 0..0, &v)));
        Self::new(origin, 0..0, 0..0, Value::Env(text, parsed))
    }

    /// A file's whole text as it was parsed.
    pub(crate) fn from_file(file: FileId, table: &Spanned<DeTable<'_>>) -> Self {
        let origin = Origin::File(file);
        let value = Self::convert_table(&origin, table.get_ref());
        Self::new(origin, 0..0, table.span(), value)
    }

    fn convert_table(origin: &Origin, table: &DeTable<'_>) -> Value {
        Value::Table(
            table
                .iter()
                .map(|(key, value)| {
                    (
                        key.get_ref().to_string(),
                        Self::from_value(origin, key.span(), value),
                    )
                })
                .collect(),
        )
    }

    fn from_value(origin: &Origin, key_span: Range<usize>, value: &Spanned<DeValue<'_>>) -> Self {
        let converted = match value.get_ref() {
            DeValue::String(s) => Value::Str(s.to_string()),
            DeValue::Integer(i) => {
                Value::Int(i128::from_str_radix(i.as_str(), i.radix()).unwrap_or(
                    if i.as_str().starts_with('-') {
                        i128::MIN
                    } else {
                        i128::MAX
                    },
                ))
            }
            DeValue::Float(f) => Value::Float(f.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(b) => Value::Bool(*b),
            DeValue::Datetime(d) => Value::Date(*d),
            DeValue::Array(list) => Value::Array(
                list.iter()
                    .map(|item| Self::from_value(origin, item.span(), item))
                    .collect(),
            ),
            DeValue::Table(table) => Self::convert_table(origin, table),
        };
        Self::new(origin.clone(), key_span, value.span(), converted)
    }

    /// Whether something is wrong with it.
    pub(crate) fn is_bad(&self) -> bool {
        self.problem.borrow().is_some()
    }

    /// Notes what is wrong; the first finding stays.
    pub(crate) fn blame(&self, problem: Problem) {
        self.problem.borrow_mut().get_or_insert(problem);
    }

    /// The table's entries; none of what is no table.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.as_table().into_iter().flatten()
    }

    /// The table, also one that the environment gave.
    pub(crate) fn as_table(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.value {
            Value::Table(table) => Some(table),
            Value::Env(_, Some(parsed)) => parsed.as_table(),
            _ => None,
        }
    }

    /// The list, also one that the environment gave.
    pub(crate) fn as_array(&self) -> Option<&Vec<Self>> {
        match &self.value {
            Value::Array(list) => Some(list),
            Value::Env(_, Some(parsed)) => parsed.as_array(),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) | Value::Env(text, _) => Some(text),
            _ => None,
        }
    }

    /// The place of the key.
    pub(crate) fn key_place(&self) -> Option<Span> {
        self.place(&self.key_span)
    }

    /// The place of the value; of a table with a header the key that names it, since the table's own span says little.
    pub(crate) fn value_place(&self) -> Option<Span> {
        match self.value {
            Value::Table(_) if self.span.start < self.key_span.end => self.key_place(),
            _ => self.place(&self.span),
        }
    }

    fn place(&self, range: &Range<usize>) -> Option<Span> {
        match self.origin {
            Origin::File(file) => Some(Span {
                file,
                range: range.clone(),
            }),
            Origin::Env(_) => None,
        }
    }

    /// The child under a key or at a place in a list.
    pub(crate) fn child(&self, seg: &Seg) -> Option<&Self> {
        match seg {
            Seg::Key(key) => self.as_table()?.get(key.as_str()),
            Seg::Index(i) => self.as_array()?.get(*i),
        }
    }

    /// The node at a path.
    pub(crate) fn get(&self, path: &KeyPath) -> Option<&Self> {
        path.0.iter().try_fold(self, Self::child)
    }

    /// The deepest node on the way to a path, for a key that is not there.
    pub(crate) fn nearest(&self, path: &KeyPath) -> &Self {
        let mut node = self;
        for seg in &path.0 {
            match node.child(seg) {
                Some(child) => node = child,
                None => break,
            }
        }
        node
    }

    /// Whether an unknown key of this table is probably meant to be this one. Then it is not missing besides.
    pub(crate) fn has_misspelt(&self, key: &str) -> bool {
        self.entries()
            .any(|(name, node)| match &*node.problem.borrow() {
                Some(Problem::UnknownKey(known)) => {
                    suggest::nearest(name, known.iter().copied()) == Some(key)
                }
                _ => false,
            })
    }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seg {
    Key(String),
    Index(usize),
}

impl From<&str> for Seg {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Seg {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Seg {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A way from the root of the tree; displays as it would be written, such as `models."gemini-2.5-flash".route[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct KeyPath(pub(crate) Vec<Seg>);

impl KeyPath {
    /// This path and one step more.
    pub(crate) fn with(&self, seg: impl Into<Seg>) -> Self {
        let mut path = self.clone();
        path.0.push(seg.into());
        path
    }

    /// The keys as texts; a list's places are left out.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter_map(|seg| match seg {
                Seg::Key(key) => Some(key.as_str()),
                Seg::Index(_) => None,
            })
            .collect()
    }
}

impl<const N: usize> From<[&str; N]> for KeyPath {
    fn from(keys: [&str; N]) -> Self {
        Self(keys.into_iter().map(Seg::from).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, seg) in self.0.iter().enumerate() {
            match seg {
                Seg::Index(index) => write!(f, "[{index}]")?,
                Seg::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(&quote_key(key))?;
                }
            }
        }
        Ok(())
    }
}

/// A key as TOML writes it: bare where it can be, else quoted.
pub fn quote_key(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare {
        key.to_owned()
    } else {
        quote_text(key)
    }
}

/// The parts of a key as TOML writes it, such as `accounts."a.b".weight`; `None` for what is no key.
pub fn key_path(text: &str) -> Option<Vec<String>> {
    let line = format!("{text} = 0");
    let table = DeTable::parse(&line).ok()?;
    let mut path = Vec::new();
    let mut table = table.get_ref();
    loop {
        let mut entries = table.iter();
        let ((key, value), None) = (entries.next()?, entries.next()) else {
            return None;
        };
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            DeValue::Integer(_) => return Some(path),
            _ => return None,
        }
    }
}

/// A text as a basic TOML string.
pub fn quote_text(text: &str) -> String {
    use fmt::Write as _;

    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_however_they_are_quoted() {
        let path = |text| key_path(text).map(|path| path.join("/"));
        assert_eq!(path("a.b-c").as_deref(), Some("a/b-c"));
        assert_eq!(path("a . \"b.c\".'d e'").as_deref(), Some("a/b.c/d e"));
        for bad in ["", "a.", "a b", "a = 1\nb", "[a]", "a[0]"] {
            assert_eq!(path(bad), None, "{bad}");
        }
        let text = KeyPath::from(["a", "b \"c\""]).to_string();
        assert_eq!(path(&text).as_deref(), Some("a/b \"c\""));
    }

    #[test]
    fn paths_are_written_as_in_the_file() {
        let path = KeyPath::from(["models", "gemini-2.5-flash", "route"]).with(1);
        assert_eq!(path.to_string(), "models.\"gemini-2.5-flash\".route[1]");
        assert_eq!(
            KeyPath::from(["a", "x\"y\n"]).to_string(),
            "a.\"x\\\"y\\n\""
        );
    }
}
