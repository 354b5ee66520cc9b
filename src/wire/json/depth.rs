//! How deeply JSON is nested. Values that are skipped or kept as text are read without recursion, so nothing else bounds
//! them; whoever gets them next may well recurse.

use std::fmt::Write as _;

/// Most levels of arrays and objects.
pub(crate) const LIMIT: usize = 128;

/// The path of the place that is nested too deeply, its first segments only; `None` where all is well. Runs over the text
/// once and over the inside of strings at the speed of memchr. What is no JSON gives any answer, but no panic.
pub(crate) fn too_deep(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut depth, mut i) = (0_usize, 0);
    while let Some(&b) = bytes.get(i) {
        match b {
            b'"' => i = string_end(bytes, i),
            b'{' | b'[' => {
                depth += 1;
                if depth > LIMIT {
                    return Some(path_to(text, i));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        i += 1;
    }
    None
}

/// The index of the quote that ends the string which begins at `start`, or the text's length.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while let Some(found) = bytes.get(i..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let quote = i + found;
        // The quote is the string's own where an odd number of backslashes stands before it.
        let backslashes = bytes[i..quote].iter().rev().take_while(|&&b| b == b'\\');
        if backslashes.count() % 2 == 0 {
            return quote;
        }
        i = quote + 1;
    }
    bytes.len()
}

/// The first four segments of the path that leads to `offset`.
fn path_to(text: &str, offset: usize) -> String {
    const SHOWN: usize = 4;
    let bytes = text.as_bytes();
    // A level is an object with the key last seen, or an array with the index reached.
    let mut levels: Vec<Result<&str, usize>> = Vec::new();
    let (mut last, mut i) = ("", 0);
    while i < offset {
        match bytes[i] {
            b'"' => {
                let end = string_end(bytes, i);
                last = text.get(i + 1..end).unwrap_or_default();
                i = end;
            }
            b':' => {
                if let Some(Ok(key)) = levels.last_mut() {
                    *key = last;
                }
            }
            b',' => {
                if let Some(Err(index)) = levels.last_mut() {
                    *index += 1;
                }
            }
            b'{' => levels.push(Ok("")),
            b'[' => levels.push(Err(0)),
            b'}' | b']' => {
                levels.pop();
            }
            _ => {}
        }
        i += 1;
    }
    let mut path = String::new();
    for level in levels.iter().take(SHOWN) {
        match level {
            Ok(key) if path.is_empty() => path.push_str(&super::shown(key)),
            Ok(key) => {
                let _ = write!(path, ".{}", super::shown(key));
            }
            Err(index) => {
                let _ = write!(path, "[{index}]");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_levels_not_brackets_in_strings() {
        assert_eq!(too_deep(&"[".repeat(LIMIT)), None);
        assert!(too_deep(&"[".repeat(LIMIT + 1)).is_some());
        assert_eq!(too_deep(&format!("\"{}\"", "[".repeat(500))), None);
        assert_eq!(too_deep(&format!("\"\\\"{}\"", "[".repeat(500))), None);
        assert_eq!(too_deep(&"[]".repeat(500)), None);
        assert_eq!(too_deep("\"unclosed \\"), None);
    }

    #[test]
    fn strings_end_where_they_end() {
        for (text, end) in [
            (r#""""#, 1),
            (r#""a"b"#, 2),
            (r#""a\"b"c"#, 5),
            (r#""a\\"b"#, 4),
            (r#""\\\""c"#, 5),
            (r#""\"\"""#, 5),
            (r#""open"#, 5),
            (r#""open\""#, 7),
        ] {
            assert_eq!(string_end(text.as_bytes(), 0), end, "{text}");
        }
    }

    #[test]
    fn names_the_field() {
        let text = format!(
            r#"{{"a":[1,2],"tools":[{{}},{{"function":{{"parameters":{}"#,
            r#"{"x":"#.repeat(500)
        );
        assert_eq!(
            too_deep(&text).as_deref(),
            Some("tools[1].function.parameters")
        );
    }
}
