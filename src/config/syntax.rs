//! What the TOML parser finds, in the words of the other findings.

use std::ops::Range;

use crate::config::diagnostic::{Code, Diagnostic, Span};
use crate::config::hint;
use crate::config::source::{File, Lines};

/// An error of the parser.
pub(crate) fn diagnostic(file: &File, error: &toml::de::Error) -> Diagnostic {
    let span = |range| Span {
        file: file.id,
        range,
    };
    let at = error.span();
    if error.message() != "duplicate key" {
        let message = error.message().replace('\n', ", ");
        return Diagnostic::new(Code::Syntax, "", format!("this is not TOML: {message}"))
            .at(at.map(span))
            .with_help(hint::of_syntax(&message).to_owned());
    }
    let first = at.as_ref().and_then(|range| first_place(&file.text, range));
    let found =
        Diagnostic::new(Code::DefinedTwice, "", "this key is defined twice").at(at.map(span));
    match first {
        Some(first) => found
            .with_label("defined again here")
            .with_place(Some(span(first)), "first defined here"),
        None => found,
    }
}

/// Where the key or header at `range` stands for the first time, as far as the lines tell: a header by the same header above,
/// a key by a line of its table that begins with it.
fn first_place(text: &str, range: &Range<usize>) -> Option<Range<usize>> {
    let key = text.get(range.clone())?;
    let line_start = text[..range.start].rfind('\n').map_or(0, |i| i + 1);
    let line = text[line_start..].lines().next()?;
    let header = |line: &str| line.trim_start().starts_with('[');
    let mut found = None;
    let mut start = 0;
    for above in text[..line_start].split_inclusive('\n') {
        let begins = above.trim_start().strip_prefix(key).unwrap_or_default();
        if header(line) {
            let same = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
            if found.is_none() && same(above) == same(line) {
                let at = start + above.find(key)?;
                found = Some(at..at + key.len());
            }
        } else if header(above) {
            found = None;
        } else if begins.trim_start().starts_with(['=', '.']) && found.is_none() {
            let at = start + above.find(key)?;
            found = Some(at..at + key.len());
        }
        start += above.len();
    }
    found
}

/// Whether a list is open to the end of the file.
pub(crate) fn is_unclosed(error: &toml::de::Error) -> bool {
    error.message().starts_with("unclosed array")
}

/// The parser goes on after an error, and what it then says of the same line, or of the lines that it takes for the
/// inside of a list that was never closed, is the first error's echo.
pub(crate) fn first_of_each<'e>(
    text: &str,
    errors: &'e [toml::de::Error],
) -> Vec<&'e toml::de::Error> {
    const COMMA: &str = "missing comma between array elements";
    let unclosed = errors.iter().any(is_unclosed);
    let mut kept: Vec<&toml::de::Error> = Vec::new();
    let lines = Lines::of(text);
    let mut last_line = None;
    let mut sorted: Vec<&toml::de::Error> = errors.iter().collect();
    sorted.sort_by_key(|e| e.span().map_or(0, |s| s.start));
    for error in sorted {
        let start = error.span().map_or(0, |s| s.start.min(text.len()));
        let line = lines.line(text, start);
        let duplicate = error.message() == "duplicate key";
        if !duplicate && last_line == Some(line) {
            continue;
        }
        kept.push(error);
        if !duplicate {
            last_line = Some(line);
        }
        if unclosed && error.message().starts_with(COMMA) {
            break;
        }
    }
    kept
}
