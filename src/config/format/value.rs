//! Spacing inside of values. A list that is written on several lines stays so; numbers and texts stay as they are written.

use crate::config::format::pad;
use crate::config::format::scan::{self, Pair, Trailing};
use crate::config::schema::Shape;

/// The value of a pair as it is printed.
pub(super) fn print(pair: &Pair, eol: &str) -> String {
    let mut reader = Reader {
        text: &pair.value,
        at: 0,
        shape: pair.shape,
    };
    match reader.value() {
        Some(value) if reader.at == pair.value.len() => {
            let mut out = String::new();
            value.print(&mut out, 0, eol);
            out
        }
        // What was not understood is left alone.
        _ => pair.value.clone(),
    }
}

enum Value {
    /// A text, number, date or word.
    Atom(String),
    List(Vec<Entry>, bool),
    Table(Vec<(String, Value)>),
}

/// A value of a list, or a comment between them.
struct Entry {
    value: Option<Value>,
    comment: Option<Trailing>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    shape: Option<Shape>,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        self.at = scan::spaces(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'[' => self.list(),
            b'{' => self.table(),
            b'"' | b'\'' => {
                let end = scan::string_end(self.text.as_bytes(), self.at)?;
                Some(Value::Atom(self.take(end)))
            }
            _ => {
                let end = scan::key_end(self.text.as_bytes(), self.at, b",]}#\n")?;
                Some(Value::Atom(self.take(end).trim_end().to_owned()))
            }
        }
    }

    fn take(&mut self, end: usize) -> String {
        let taken = self.text[self.at..end].to_owned();
        self.at = end;
        taken
    }

    fn list(&mut self) -> Option<Value> {
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        let mut several = false;
        // Whether a comment here is about the value before it.
        let mut same_line = false;
        loop {
            match self.peek()? {
                b']' => {
                    self.at += 1;
                    return Some(Value::List(entries, several));
                }
                b',' => self.at += 1,
                b'\n' => {
                    (several, same_line) = (true, false);
                    self.at += 1;
                }
                b'#' => {
                    several = true;
                    let start = self.text[..self.at].rfind('\n').map_or(0, |i| i + 1);
                    let end = self.at + self.text[self.at..].find('\n')?;
                    let comment = Some(scan::comment(self.text, start, self.at, end));
                    self.at = end;
                    match entries.last_mut() {
                        Some(entry) if same_line => entry.comment = comment,
                        _ => entries.push(Entry {
                            value: None,
                            comment,
                        }),
                    }
                    same_line = false;
                }
                _ => {
                    entries.push(Entry {
                        value: Some(self.value()?),
                        comment: None,
                    });
                    same_line = true;
                }
            }
        }
    }

    /// A table on one line; one on several lines is not understood, and so left alone.
    fn table(&mut self) -> Option<Value> {
        let shape = self.shape.take();
        self.at += 1;
        let mut pairs: Vec<(usize, String, Value)> = Vec::new();
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    pairs.sort_by_key(|(rank, ..)| *rank);
                    let pairs = pairs.into_iter().map(|(_, key, value)| (key, value));
                    return Some(Value::Table(pairs.collect()));
                }
                b',' => self.at += 1,
                b'\n' | b'#' => return None,
                _ => {
                    let equals = scan::key_end(self.text.as_bytes(), self.at, b"=\n}")?;
                    let (key, path) = scan::key(&self.text[self.at..equals])?;
                    self.at = equals + 1;
                    let first = path.first()?;
                    self.shape = shape.and_then(|s| s.child(first));
                    let rank = shape.map_or(usize::MAX, |s| s.rank(first));
                    let value = self.value()?;
                    pairs.push((rank, key, value));
                }
            }
        }
    }
}

impl Value {
    fn print(&self, out: &mut String, depth: usize, eol: &str) {
        match self {
            Self::Atom(text) => out.push_str(text),
            Self::List(entries, several) if *several && !entries.is_empty() => {
                out.push('[');
                out.push_str(eol);
                for entry in entries {
                    let mut line = "    ".repeat(depth + 1);
                    if let Some(value) = &entry.value {
                        value.print(&mut line, depth + 1, eol);
                        line.push(',');
                        if let Some(comment) = &entry.comment {
                            let code = line.clone();
                            pad(&mut line, &code, comment.column);
                        }
                    }
                    if let Some(comment) = &entry.comment {
                        line.push_str(&comment.text);
                    }
                    out.push_str(&line);
                    out.push_str(eol);
                }
                out.push_str(&"    ".repeat(depth));
                out.push(']');
            }
            Self::List(entries, _) => {
                out.push('[');
                for (n, value) in entries.iter().filter_map(|e| e.value.as_ref()).enumerate() {
                    out.push_str(if n > 0 { ", " } else { "" });
                    value.print(out, depth, eol);
                }
                out.push(']');
            }
            Self::Table(pairs) if pairs.is_empty() => out.push_str("{}"),
            Self::Table(pairs) => {
                for (n, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if n > 0 { ", " } else { "{ " });
                    out.push_str(key);
                    out.push_str(" = ");
                    value.print(out, depth, eol);
                }
                out.push_str(" }");
            }
        }
    }
}
