//! Reading JSON with errors that name the field, and writing it straight into a buffer.
//!
//! A body is parsed once, into structs that borrow from it. Only where that fails is it read again, slowly, to find out
//! which field was at fault.

pub(crate) mod at;
pub(crate) mod check;
pub(crate) mod depth;
pub(crate) mod read;
pub(crate) mod write;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::base::error::{Error, ErrorKind};
pub(crate) use at::At;
pub(crate) use read::{Int, List, Num, Text, TextOr, TextOrObject};

/// Longest piece of a client's own text that an error repeats, in characters.
const SHOWN: usize = 80;

/// Reads a whole body.
///
/// # Errors
/// A 400 that names line and column, or the field as a path such as `messages[2].content`, and says what was expected.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body).map_err(|e| {
        Error::new(
            ErrorKind::BadRequest,
            format!(
                "the body is not valid UTF-8 at byte {}: send JSON as UTF-8",
                e.valid_up_to()
            ),
        )
    })?;
    if let Some(path) = depth::too_deep(text) {
        let message = format!(
            "`{path}`: nested deeper than {} levels, which is the most that is read here",
            depth::LIMIT
        );
        return Err(Error::bad_request(path, message));
    }
    serde_json::from_str(text).map_err(|first| explain::<T>(text, &first))
}

/// Reads the body once more with a path kept, to say where it went wrong.
fn explain<'a, T: Deserialize<'a>>(text: &'a str, first: &serde_json::Error) -> Error {
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(e) => {
            let path = e.path().to_string();
            describe(&path, e.inner())
        }
        // Only what follows the value is wrong.
        Ok(_) => describe(".", first),
    }
}

fn describe(path: &str, e: &serde_json::Error) -> Error {
    let place = format!("line {} column {}", e.line(), e.column());
    let whole = e.to_string();
    let text = whole
        .strip_suffix(&format!(" at {place}"))
        .unwrap_or(&whole)
        .to_owned();
    let param = (path != ".").then(|| path.to_owned());
    let message = match (e.classify(), &param) {
        (Category::Data, Some(path)) => format!("`{path}`: {}", reworded(&text)),
        (Category::Data, None) => format!("the body: {}", reworded(&text)),
        (_, Some(path)) => format!("malformed JSON at {place} (in `{path}`): {text}"),
        (_, None) => format!("malformed JSON at {place}: {text}"),
    };
    Error {
        param,
        ..Error::new(ErrorKind::BadRequest, message)
    }
}

/// serde's words in the order that the project's messages have.
fn reworded(text: &str) -> String {
    let rest = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "));
    match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("expected {expected}, found {}", shown(found)),
        None => shown(text).into_owned(),
    }
}

/// A client's own text, cut to what an error message has room for.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Whether this raw value is an object.
pub(crate) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// Tool arguments as the text of a JSON object, whatever the client wrote: nothing is `{}`, an object stays as it is to
/// the last digit, anything else is kept under `raw_arguments` (upstream-protocol.md 10.1).
pub(crate) fn arguments(text: Cow<'_, str>) -> String {
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        return "{}".to_owned();
    }
    let object = trimmed.starts_with('{')
        && depth::too_deep(trimmed).is_none()
        && serde_json::from_str::<&RawValue>(trimmed).is_ok();
    if !object {
        let mut out = br#"{"raw_arguments":"#.to_vec();
        write::string(&mut out, &text);
        out.push(b'}');
        return write::into_string(out);
    }
    if trimmed.len() == text.len() {
        text.into_owned()
    } else {
        trimmed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample<'a> {
        #[serde(borrow)]
        #[expect(dead_code, reason = "read by serde only")]
        raw: Option<&'a RawValue>,
        #[expect(dead_code, reason = "read by serde only")]
        n: u32,
    }

    fn failure(text: &[u8]) -> Error {
        parse::<Sample<'_>>(text).unwrap_err()
    }

    #[test]
    fn errors_say_where() {
        let e = failure(br#"{"raw":[1,2],"n":"x"}"#);
        assert_eq!(e.param.as_deref(), Some("n"));
        assert_eq!(e.message, "`n`: expected u32, found string \"x\"");
        let e = failure(br#"{"n":1"#);
        assert!(
            e.message.starts_with("malformed JSON at line 1 column 6"),
            "{e}"
        );
        let e = failure(b"{\"n\":1\n} x");
        assert!(
            e.message.starts_with("malformed JSON at line 2 column 3"),
            "{e}"
        );
        let e = failure(b"[]");
        assert!(e.message.starts_with("the body: "), "{e}");
        let e = failure(b"{\"n\":\"\xff\"}");
        assert!(e.message.contains("UTF-8 at byte 6"), "{e}");
        assert!(failure(b"").message.contains("line 1 column 0"));
    }

    #[test]
    fn a_long_text_is_not_repeated() {
        let body = format!(r#"{{"n":"{}"}}"#, "é".repeat(10_000));
        assert!(failure(body.as_bytes()).message.len() < 300);
    }

    #[test]
    fn arguments_become_an_object() {
        for (text, want) in [
            ("", "{}"),
            ("  \n", "{}"),
            (r#"{"a":1.10}"#, r#"{"a":1.10}"#),
            (" {} ", "{}"),
            ("[1]", r#"{"raw_arguments":"[1]"}"#),
            (r#"{"a":"#, r#"{"raw_arguments":"{\"a\":"}"#),
            ("null", r#"{"raw_arguments":"null"}"#),
        ] {
            assert_eq!(arguments(text.into()), want, "{text}");
        }
        let deep = format!(
            "{}{}",
            r#"{"a":"#.repeat(1000),
            "1".to_owned() + &"}".repeat(1000)
        );
        assert!(arguments(deep.into()).starts_with(r#"{"raw_arguments":"#));
    }
}
