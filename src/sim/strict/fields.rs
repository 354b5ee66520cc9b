//! The messages of the API as protobuf-JSON reads them: which names they have, and of which type each is.
//!
//! Both spellings of a name are taken, unknown names and wrong types are refused (upstream-protocol.md 0.1), and what
//! comes out has lowerCamelCase names only, so that the rules after this one look at one spelling.

use serde_json::{Map, Number, Value};

use crate::sim::reply::Problem;

/// The type of a field.
pub(super) enum Kind {
    Str,
    Bytes,
    Bool,
    Int32,
    Int64,
    Num,
    /// One of these words, in exactly this spelling.
    Enum(&'static [&'static str]),
    /// One of these words, in upper or lower case.
    AnyCase(&'static [&'static str]),
    /// A JSON object with content of any kind.
    Object,
    /// Any JSON value.
    Open,
    Message(&'static Message),
    /// An object whose names are free and whose values are such messages.
    Map(&'static Message),
}

/// A message: its fields' names, types, and whether they are lists.
pub(super) struct Message(pub(super) &'static [(&'static str, Kind, Many)]);

/// Whether a field is a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Many {
    One,
    List,
}

fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for c in name.chars() {
        if c == '_' && !out.is_empty() {
            up = true;
        } else if up {
            out.push(c.to_ascii_uppercase());
            up = false;
        } else {
            out.push(c);
        }
    }
    out
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The words of Google's JSON reader for a value of the wrong type.
fn wrong(path: &str, kind: &str, value: &Value) -> Problem {
    let mut shown = value.to_string();
    if shown.len() > 60 {
        let end = (0..=60).rev().find(|i| shown.is_char_boundary(*i));
        shown.truncate(end.unwrap_or_default());
    }
    Problem::payload(
        path,
        &format!("Invalid value at '{path}' ({kind}), {shown}"),
    )
}

/// Reads `value` as `message`.
///
/// # Errors
/// The 400 of the first name or type that does not fit.
pub(super) fn read(value: Value, message: &Message, path: &str) -> Result<Value, Problem> {
    let Value::Object(fields) = value else {
        return Err(match &value {
            Value::Array(_) => no_list(path),
            other => wrong(path, "type.googleapis.com/google.protobuf.Message", other),
        });
    };
    let mut out = Map::new();
    for (name, value) in fields {
        let canonical = camel(&name);
        let Some((known, kind, many)) = message.0.iter().find(|(n, ..)| *n == canonical) else {
            let place = if path.is_empty() {
                String::new()
            } else {
                format!(" at '{path}'")
            };
            return Err(Problem::payload(
                path,
                &format!("Unknown name \"{name}\"{place}: Cannot find field."),
            ));
        };
        let path = join(path, &name);
        let value = match (many, value) {
            (Many::List, Value::Array(items)) => {
                let items = items.into_iter().enumerate();
                let items: Result<_, _> = items
                    .map(|(i, item)| one(item, kind, &format!("{path}[{i}]")))
                    .collect();
                Value::Array(items?)
            }
            // Null is protobuf-JSON's word for absent, but where the field's own content could be null.
            (_, Value::Null) if !matches!(kind, Kind::Object | Kind::Open) => continue,
            (Many::List, other) => one(other, kind, &path).map(|v| Value::Array(vec![v]))?,
            (Many::One, other) => one(other, kind, &path)?,
        };
        out.insert((*known).to_owned(), value);
    }
    Ok(Value::Object(out))
}

fn no_list(path: &str) -> Problem {
    Problem::payload(
        path,
        &format!("Invalid value at '{path}': Proto field is not repeating, cannot start list."),
    )
}

fn one(value: Value, kind: &Kind, path: &str) -> Result<Value, Problem> {
    if matches!(value, Value::Array(_)) && !matches!(kind, Kind::Open) {
        return Err(no_list(path));
    }
    match kind {
        Kind::Str if value.is_string() => Ok(value),
        Kind::Str => Err(wrong(path, "TYPE_STRING", &value)),
        Kind::Bytes => match value.as_str() {
            Some(text) if base64(text) => Ok(value),
            Some(_) => Err(Problem::payload(
                path,
                &format!("Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed"),
            )),
            None => Err(wrong(path, "TYPE_BYTES", &value)),
        },
        Kind::Bool if value.is_boolean() => Ok(value),
        Kind::Bool => Err(wrong(path, "TYPE_BOOL", &value)),
        Kind::Int32 => int(&value)
            .filter(|n| i32::try_from(*n).is_ok())
            .map(|n| Value::Number(Number::from(n)))
            .ok_or_else(|| wrong(path, "TYPE_INT32", &value)),
        Kind::Int64 => int(&value)
            .map(|n| Value::Number(Number::from(n)))
            .ok_or_else(|| wrong(path, "TYPE_INT64", &value)),
        Kind::Num => value
            .as_f64()
            .or_else(|| value.as_str()?.parse().ok())
            .filter(|n| n.is_finite())
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| wrong(path, "TYPE_DOUBLE", &value)),
        Kind::Enum(words) => match value.as_str() {
            Some(word) if words.contains(&word) => Ok(value),
            _ => Err(wrong(path, "TYPE_ENUM", &value)),
        },
        Kind::AnyCase(words) => match value.as_str().map(str::to_ascii_uppercase) {
            Some(word) if words.contains(&word.as_str()) => Ok(Value::String(word)),
            _ => Err(wrong(path, "TYPE_ENUM", &value)),
        },
        Kind::Object if value.is_object() => Ok(value),
        Kind::Object => Err(wrong(
            path,
            "type.googleapis.com/google.protobuf.Struct",
            &value,
        )),
        Kind::Open => Ok(value),
        Kind::Message(message) => read(value, message, path),
        Kind::Map(message) => {
            let Value::Object(entries) = value else {
                return Err(wrong(path, "TYPE_MESSAGE", &value));
            };
            let mut out = Map::new();
            for (name, value) in entries {
                let path = format!("{path}[{name}]");
                out.insert(name, read(value, message, &path)?);
            }
            Ok(Value::Object(out))
        }
    }
}

fn int(value: &Value) -> Option<i64> {
    if let Some(n) = value.as_i64() {
        return Some(n);
    }
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let n = value.as_f64().filter(|n| n.fract() == 0.0)?;
    format!("{n:.0}").parse().ok()
}

/// Whether the text is base64, of either alphabet, with its padding or without.
fn base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'-' | b'_');
    body.bytes().all(letter)
        && body.len() % 4 != 1
        && (padding == 0 || (text.len().is_multiple_of(4) && padding < 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static INNER: Message = Message(&[
        ("someName", Kind::Int64, Many::One),
        ("again", Kind::Message(&INNER), Many::List),
        ("data", Kind::Bytes, Many::One),
        ("mode", Kind::Enum(&["A"]), Many::One),
        ("kind", Kind::AnyCase(&["X"]), Many::One),
        ("args", Kind::Object, Many::One),
    ]);

    #[test]
    fn both_spellings_and_texts_of_numbers() {
        let read = read(
            json!({"some_name": "12", "again": [{"someName": 3.0}], "kind": "x", "mode": null}),
            &INNER,
            "r",
        );
        assert_eq!(
            read.unwrap(),
            json!({"someName": 12, "again": [{"someName": 3}], "kind": "X"})
        );
    }

    #[test]
    fn refusals_name_the_place() {
        let message = |value| read(value, &INNER, "r").unwrap_err().message;
        assert_eq!(
            message(json!({"again": [{}, {"x": 1}]})),
            "Invalid JSON payload received. Unknown name \"x\" at 'r.again[1]': Cannot find field."
        );
        assert!(message(json!({"someName": [1]})).contains("cannot start list"));
        assert!(message(json!({"mode": "a"})).contains("'r.mode' (TYPE_ENUM), \"a\""));
        for bad in [
            json!({"args": null}),
            json!({"args": []}),
            json!({"args": "{}"}),
        ] {
            read(bad, &INNER, "r").unwrap_err();
        }
        for bad in ["a", "data:image/png;base64,AAAA", "AAA=A", "AA=="] {
            let refused = read(json!({"data": bad}), &INNER, "r").is_err();
            assert_eq!(refused, bad != "AA==", "{bad}");
        }
    }
}
