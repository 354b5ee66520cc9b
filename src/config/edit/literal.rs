//! Values to be written: what they are, how they look beside the value they take the place of.

use std::fmt;
use std::str::FromStr;

use toml_edit::Value;

use crate::config::tree::{quote_key, quote_text};

/// A value of the file. It may be a secret, so that its `Debug` tells its type only.
#[derive(Clone)]
pub struct Literal {
    value: Value,
    /// Whether a person chose how it looks.
    as_written: bool,
}

impl Literal {
    fn new(value: Value) -> Self {
        Self {
            value,
            as_written: false,
        }
    }

    /// A table written in one line.
    pub fn table(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        let mut table = toml_edit::InlineTable::new();
        for (key, value) in entries {
            table.insert(key, value.value);
        }
        Self::new(Value::InlineTable(table))
    }

    /// A list written in one line.
    pub fn list(elements: impl IntoIterator<Item = Self>) -> Self {
        let list = elements.into_iter().map(|element| element.value);
        Self::new(Value::Array(list.collect()))
    }

    /// A secret in one of its forms: `{ sealed = ... }`, `{ env = ... }` or `{ file = ... }`.
    fn reference(form: &str, text: &str) -> Self {
        Self::table([(form.to_owned(), text.into())])
    }

    /// A secret that `agp seal` has sealed: `text` is its `agp1:...`.
    pub fn sealed(text: &str) -> Self {
        Self::reference("sealed", text)
    }

    /// A secret in a variable.
    pub fn env(name: &str) -> Self {
        Self::reference("env", name)
    }

    /// A secret in a file.
    pub fn file(path: &str) -> Self {
        Self::reference("file", path)
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn of(value: &Value) -> Self {
        Self::new(value.clone())
    }

    /// The entries, where it is a table.
    pub(super) fn entries(&self) -> Option<Vec<(String, Self)>> {
        let table = self.value.as_inline_table()?;
        let entries = table.iter().map(|(k, v)| (k.to_owned(), Self::of(v)));
        Some(entries.collect())
    }

    /// The elements, where it is a list.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        Some(self.value.as_array()?.iter().map(Self::of).collect())
    }

    /// As the file writes it, in the manner of the value it takes the place of.
    pub(super) fn written(&self, like: Option<&str>) -> String {
        let like = like.filter(|_| !self.as_written);
        match (&self.value, like) {
            (Value::String(text), Some(like)) if is_literal(like) && fits_literal(text.value()) => {
                format!("'{}'", text.value())
            }
            (Value::Integer(n), Some(like)) if like.contains('_') && !like.starts_with('0') => {
                grouped(*n.value())
            }
            (Value::Array(list), _) => {
                let list: Vec<String> = list.iter().map(|v| Self::of(v).written(None)).collect();
                format!("[{}]", list.join(", "))
            }
            (Value::InlineTable(table), _) if table.is_empty() => "{}".to_owned(),
            (Value::InlineTable(table), _) => {
                let entries: Vec<String> = table
                    .iter()
                    .map(|(k, v)| format!("{} = {}", quote_key(k), Self::of(v).written(None)))
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
            (value, _) => value.clone().decorated("", "").to_string(),
        }
    }
}

fn is_literal(raw: &str) -> bool {
    raw.starts_with('\'') && !raw.starts_with("'''")
}

fn fits_literal(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c == '\'' || (c.is_control() && c != '\t'))
}

/// `20_000_000`.
fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = if n < 0 { "-".to_owned() } else { String::new() };
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// A name in the quotes that `like` has, unless they were there only because the name before needed them.
pub(super) fn key_like(name: &str, like: &str, before: &str) -> String {
    match like.chars().next() {
        Some('"') if quote_key(before) == before => quote_text(name),
        Some('\'') if fits_literal(name) => format!("'{name}'"),
        _ => quote_key(name),
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Literal({})", self.value.type_name())
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        // Parsed from the one way in which agp writes texts, so that this is how it will look.
        let value = quote_text(text).parse();
        Self::new(value.unwrap_or_else(|_| Value::from(text)))
    }
}

impl From<i64> for Literal {
    fn from(n: i64) -> Self {
        Self::new(Value::from(n))
    }
}

impl From<f64> for Literal {
    fn from(n: f64) -> Self {
        Self::new(Value::from(n))
    }
}

impl From<bool> for Literal {
    fn from(b: bool) -> Self {
        Self::new(Value::from(b))
    }
}

impl<T: Into<Literal>> FromIterator<T> for Literal {
    fn from_iter<I: IntoIterator<Item = T>>(list: I) -> Self {
        Self::list(list.into_iter().map(Into::into))
    }
}

/// Why a text is no value; does not hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one TOML value on one line, such as `true`, `60`, `\"12h\"` or `[\"a\", \"b\"]`")]
pub struct NoValue;

impl FromStr for Literal {
    type Err = NoValue;

    /// Of a value as the file writes it. Scalars keep their quotes and their form, such as `0x10` or `1_000`.
    fn from_str(text: &str) -> Result<Self, NoValue> {
        if text.contains(['\n', '\r']) {
            return Err(NoValue);
        }
        let value = text.trim().parse().map_err(|_| NoValue)?;
        Ok(Self {
            value,
            as_written: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_like_those_they_replace() {
        let text = Literal::from("a\"b");
        assert_eq!(text.written(None), r#""a\"b""#);
        assert_eq!(text.written(Some("'x'")), "'a\"b'");
        assert_eq!(Literal::from("it's").written(Some("'x'")), "\"it's\"");
        assert_eq!(
            Literal::from("a\nb\u{7f}").written(None),
            "\"a\\nb\\u007F\""
        );
        let n = Literal::from(-30_000_000);
        assert_eq!(n.written(Some("20_000")), "-30_000_000");
        assert_eq!(n.written(Some("20000")), "-30000000");
        assert_eq!(Literal::from(1.0).written(None), "1.0");
        assert_eq!(Literal::from(0.075).written(None), "0.075");
        let list: Literal = ["a", "b"].into_iter().collect();
        assert_eq!(list.written(None), r#"["a", "b"]"#);
        let table = Literal::table([("a.b".to_owned(), list), ("c".to_owned(), true.into())]);
        assert_eq!(table.written(None), r#"{ "a.b" = ["a", "b"], c = true }"#);
    }

    #[test]
    fn what_was_written_by_hand_stays_so_and_debug_shows_nothing() {
        for raw in [
            "0x10",
            "1_0",
            "'x'",
            "2027-01-01",
            "[1, 0x2]",
            "{ a = 'b' }",
            "inf",
            "1e3",
        ] {
            let literal: Literal = raw.parse().unwrap();
            assert_eq!(literal.written(None), raw);
        }
        for bad in ["", "x y", "1 # c\n", "\"\"\"\n\"\"\"", "[1,\n2]"] {
            assert!(bad.parse::<Literal>().is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Literal::from("planted")), "Literal(string)");
    }
}
