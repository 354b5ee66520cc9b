//! The lines of a text that is known to be TOML.

/// A comment, where it stands, in characters from the line's beginning, and its text from the `#` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trailing {
    pub(super) column: usize,
    pub(super) text: String,
}

/// `[a.b]`.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) text: String,
    pub(super) path: Vec<String>,
    /// Whether it is one of an array of tables.
    pub(super) array: bool,
    pub(super) comment: Option<Trailing>,
}

/// `a.b = value`.
#[derive(Debug)]
pub(super) struct Pair {
    /// As it is written, without spaces around its dots.
    pub(super) key: String,
    pub(super) path: Vec<String>,
    /// As it is written.
    pub(super) value: String,
    /// What the file's form has there.
    pub(super) shape: Option<crate::config::schema::Shape>,
    pub(super) comment: Option<Trailing>,
}

/// One of them. A value of several lines is one.
#[derive(Debug)]
pub(super) enum Line {
    Blank,
    Comment(Trailing),
    Header(Header),
    Pair(Pair),
}

/// The lines; `None` for what no valid text has.
pub(super) fn lines(text: &str) -> Option<Vec<Line>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        at = spaces(bytes, at);
        match bytes.get(at) {
            None => break,
            Some(b'\n') => found.push(Line::Blank),
            Some(b'#') => {
                let end = line_end(bytes, at);
                found.push(Line::Comment(comment(text, start, at, end)));
                at = end;
            }
            Some(b'[') => {
                let end = key_end(bytes, at, b"\n#")?;
                let written = text[at..end].trim();
                let array = written.starts_with("[[");
                let inner = written.trim_start_matches('[').trim_end_matches(']');
                let (key, path) = key(inner)?;
                let (open, close) = if array { ("[[", "]]") } else { ("[", "]") };
                let (comment, end) = rest(text, start, end);
                found.push(Line::Header(Header {
                    text: format!("{open}{key}{close}"),
                    path,
                    array,
                    comment,
                }));
                at = end;
            }
            Some(_) => {
                let equals = key_end(bytes, at, b"=")?;
                let (key, path) = key(&text[at..equals])?;
                let end = value_end(bytes, equals + 1)?;
                let value = text[equals + 1..end].trim().to_owned();
                let last = text[..end].rfind('\n').map_or(0, |i| i + 1);
                let (comment, end) = rest(text, last, end);
                found.push(Line::Pair(Pair {
                    key,
                    path,
                    value,
                    shape: None,
                    comment,
                }));
                at = end;
            }
        }
        // Over the line's end.
        at = spaces(bytes, at);
        at += usize::from(bytes.get(at) == Some(&b'\n'));
    }
    Some(found)
}

/// Behind spaces, tabs, and the first half of a line's end.
pub(super) fn spaces(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |i| at + i)
}

/// The comment from `at` to the line's end; the line begins at `start`.
pub(super) fn comment(text: &str, start: usize, at: usize, end: usize) -> Trailing {
    Trailing {
        column: text[start..at].chars().count(),
        text: text[at..end].trim_end().to_owned(),
    }
}

/// A comment behind what ends at `at`, and where the line ends.
fn rest(text: &str, start: usize, at: usize) -> (Option<Trailing>, usize) {
    let at = spaces(text.as_bytes(), at);
    let end = line_end(text.as_bytes(), at);
    let found = text[at..].starts_with('#');
    (found.then(|| comment(text, start, at, end)), end)
}

/// The first of `ends` from `at` on that is not in quotes, or the text's end.
pub(super) fn key_end(bytes: &[u8], mut at: usize, ends: &[u8]) -> Option<usize> {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = string_end(bytes, at)?,
            byte if ends.contains(byte) => return Some(at),
            _ => at += 1,
        }
    }
    Some(bytes.len())
}

/// Where the value that begins at `at` ends: a line's end or a comment outside of brackets and quotes.
fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b'\n' | b'#' if depth == 0 => return Some(at),
            b'#' => {
                at = line_end(bytes, at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Some(bytes.len())
}

/// Behind the text in quotes that begins at `at`.
pub(super) fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = *bytes.get(at)?;
    let long = bytes[at..].starts_with(&[quote; 3]);
    let mut i = at + if long { 3 } else { 1 };
    loop {
        let byte = *bytes.get(i)?;
        if byte == b'\\' && quote == b'"' {
            i += 2;
        } else if byte != quote {
            i += 1;
        } else if !long {
            return Some(i + 1);
        } else if bytes[i..].starts_with(&[quote; 3]) {
            // Up to two quotes may stand before the three that close.
            let n = bytes[i..].iter().take_while(|b| **b == quote).count();
            return Some(i + n.min(5));
        } else {
            i += 1;
        }
    }
}

/// A key without spaces around its dots, and its parts as texts.
pub(super) fn key(written: &str) -> Option<(String, Vec<String>)> {
    let mut parts = Vec::new();
    let mut path = Vec::new();
    let mut from = 0;
    loop {
        let end = key_end(written.as_bytes(), from, b".")?;
        let part = written[from..end].trim();
        let table: toml::Table = format!("{part} = 0").parse().ok()?;
        path.extend(table.into_iter().next().map(|(key, _)| key));
        parts.push(part);
        if end == written.len() {
            return Some((parts.join("."), path));
        }
        from = end + 1;
    }
}
