//! The canonical form of a file: order of tables and keys, spacing. Comments stay, each with what it is about; values keep
//! their spelling. The entries of a named table keep their order, which is people's.

mod order;
mod scan;
mod value;

use scan::{Header, Line, Pair, Trailing};

/// Why a text has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is not TOML.
    #[error("it is not TOML; `agp validate` shows where")]
    NotToml,
    /// What came out would not mean the same.
    #[error(
        "it has a form that can't be formatted without changing what it means; it was left as it is"
    )]
    Unsafe,
}

/// The canonical form of a text. Line ends stay what the first one is.
///
/// # Errors
/// A text that is not TOML, or that could not be formatted without changing what it means.
pub fn format(text: &str) -> Result<String, FormatError> {
    let meaning = |text: &str| text.parse::<toml::Table>().map(|t| format!("{t:?}"));
    let before = meaning(text).map_err(|_| FormatError::NotToml)?;
    let eol = match text.find('\n') {
        Some(i) if text[..i].ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let mut document = scan::lines(text)
        .map(Document::new)
        .ok_or(FormatError::Unsafe)?;
    order::sort(&mut document);
    let formatted = document.print(eol);
    if meaning(&formatted) == Ok(before) {
        Ok(formatted)
    } else {
        Err(FormatError::Unsafe)
    }
}

/// A comment line, or an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trivia {
    Blank,
    Comment(Trailing),
}

/// A key with its value and the comments about it.
#[derive(Debug)]
struct Item {
    /// Whether an empty line stands before it and its comments.
    apart: bool,
    lead: Vec<Trivia>,
    pair: Pair,
    /// Comment lines below that belong to it: the lines on which its own comment goes on, or keys that are commented out.
    after: Vec<Trailing>,
}

/// A table: header and keys.
#[derive(Debug, Default)]
struct Section {
    lead: Vec<Trivia>,
    header: Option<Header>,
    /// Comment lines below the header, apart from the first key.
    head: Vec<Trailing>,
    items: Vec<Item>,
    /// Comment lines below the last key.
    tail: Vec<Trailing>,
}

/// A whole file.
#[derive(Debug, Default)]
struct Document {
    preamble: Vec<Trivia>,
    sections: Vec<Section>,
    footer: Vec<Trivia>,
}

impl Document {
    fn new(lines: Vec<Line>) -> Self {
        let mut document = Self::default();
        let mut section = Section::default();
        let mut waiting: Vec<Trivia> = Vec::new();
        let mut first = true;
        for line in lines {
            match line {
                // Of several empty lines one is left.
                Line::Blank if waiting.last() == Some(&Trivia::Blank) => {}
                Line::Blank => waiting.push(Trivia::Blank),
                Line::Comment(comment) => waiting.push(Trivia::Comment(comment)),
                Line::Header(header) => {
                    let mut lead = if first {
                        document.take_preamble(std::mem::take(&mut waiting))
                    } else {
                        section.end(std::mem::take(&mut waiting))
                    };
                    strip(&mut lead);
                    document.sections.push(std::mem::replace(
                        &mut section,
                        Section {
                            lead,
                            header: Some(header),
                            ..Section::default()
                        },
                    ));
                    first = false;
                }
                Line::Pair(pair) => {
                    let mut lead = if first {
                        document.take_preamble(std::mem::take(&mut waiting))
                    } else {
                        section.within(std::mem::take(&mut waiting))
                    };
                    let apart = strip(&mut lead);
                    section.items.push(Item {
                        apart,
                        lead,
                        pair,
                        after: Vec::new(),
                    });
                    first = false;
                }
            }
        }
        document.footer = if first {
            waiting
        } else {
            section.end_of_file(waiting)
        };
        strip(&mut document.footer);
        document.sections.push(section);
        document
    }

    /// What stands at the top, apart from the first key or header, and editors' directives, stays there.
    fn take_preamble(&mut self, waiting: Vec<Trivia>) -> Vec<Trivia> {
        let directive = |t: &Trivia| matches!(t, Trivia::Comment(c) if c.text.starts_with("#:"));
        let apart = waiting.iter().rposition(|t| *t == Trivia::Blank);
        let directives = waiting.iter().rposition(directive);
        let n = apart.max(directives).map_or(0, |i| i + 1);
        let mut waiting = waiting;
        let lead = waiting.split_off(n);
        strip(&mut waiting);
        self.preamble = waiting;
        lead
    }

    fn print(&self, eol: &str) -> String {
        let mut out = Out {
            text: String::new(),
            eol,
        };
        out.trivia(&self.preamble);
        for section in &self.sections {
            section.print(&mut out);
        }
        if !self.footer.is_empty() {
            out.blank();
            out.trivia(&self.footer);
        }
        let end = out.text.trim_end_matches(['\n', '\r']).len();
        out.text.truncate(end);
        if !out.text.is_empty() {
            out.text.push_str(eol);
        }
        out.text
    }
}

/// Takes a leading empty line away; whether there was one.
fn strip(trivia: &mut Vec<Trivia>) -> bool {
    let blank = trivia.first() == Some(&Trivia::Blank);
    if blank {
        trivia.remove(0);
    }
    blank
}

/// Takes the comment lines before the first empty line.
fn before_blank(waiting: &mut Vec<Trivia>) -> Vec<Trailing> {
    let n = waiting.iter().take_while(|t| **t != Trivia::Blank).count();
    comments(waiting.drain(..n))
}

fn comments(trivia: impl Iterator<Item = Trivia>) -> Vec<Trailing> {
    trivia
        .filter_map(|t| match t {
            Trivia::Comment(comment) => Some(comment),
            Trivia::Blank => None,
        })
        .collect()
}

impl Section {
    fn is_empty(&self) -> bool {
        self.header.is_none() && self.items.is_empty()
    }

    /// Gives the last line the comment lines below that are indented: its own comment goes on in them.
    fn continued(&mut self, waiting: &mut Vec<Trivia>) {
        let indented = |t: &&Trivia| matches!(t, Trivia::Comment(c) if c.column > 0);
        let n = waiting.iter().take_while(indented).count();
        let lines = comments(waiting.drain(..n));
        match self.items.last_mut() {
            Some(item) => item.after.extend(lines),
            None => self.head.extend(lines),
        }
    }

    /// What stands between two keys: the rest is the next one's.
    fn within(&mut self, mut waiting: Vec<Trivia>) -> Vec<Trivia> {
        self.continued(&mut waiting);
        if waiting.contains(&Trivia::Blank) {
            let lines = before_blank(&mut waiting);
            match self.items.last_mut() {
                Some(item) => item.after.extend(lines),
                None => self.head.extend(lines),
            }
        }
        waiting
    }

    /// What stands between the last key and the next header: the rest is the header's.
    fn end(&mut self, mut waiting: Vec<Trivia>) -> Vec<Trivia> {
        self.continued(&mut waiting);
        if waiting.contains(&Trivia::Blank) {
            self.tail.extend(before_blank(&mut waiting));
        }
        waiting
    }

    /// What stands behind the last key of all: the rest is the file's.
    fn end_of_file(&mut self, mut waiting: Vec<Trivia>) -> Vec<Trivia> {
        self.continued(&mut waiting);
        self.tail.extend(before_blank(&mut waiting));
        waiting
    }

    fn print(&self, out: &mut Out<'_>) {
        if self.is_empty() && self.tail.is_empty() && self.head.is_empty() {
            return;
        }
        if let Some(header) = &self.header {
            out.blank();
            out.trivia(&self.lead);
            out.line(&header.text, header.comment.as_ref());
        } else if !out.text.is_empty() && self.items.first().is_none_or(|i| i.apart) {
            out.blank();
        }
        self.head.iter().for_each(|c| out.comment(c));
        let mut apart = !self.head.is_empty();
        for (n, item) in self.items.iter().enumerate() {
            if apart || (n > 0 && item.apart) {
                out.blank();
            }
            out.trivia(&item.lead);
            let code = format!("{} = {}", item.pair.key, value::print(&item.pair, out.eol));
            out.line(&code, item.pair.comment.as_ref());
            item.after.iter().for_each(|c| out.comment(c));
            // A comment that does not go on from the line above would else be taken for the next key's.
            apart = item.after.iter().any(|c| c.column == 0);
        }
        self.tail.iter().for_each(|c| out.comment(c));
    }
}

struct Out<'a> {
    text: String,
    eol: &'a str,
}

impl Out<'_> {
    /// An empty line, but not at the top and not after another one.
    fn blank(&mut self) {
        let doubled = [self.eol, self.eol].concat();
        if !self.text.is_empty() && !self.text.ends_with(&doubled) {
            self.text.push_str(self.eol);
        }
    }

    fn trivia(&mut self, trivia: &[Trivia]) {
        for one in trivia {
            match one {
                Trivia::Blank => self.blank(),
                Trivia::Comment(comment) => {
                    self.text.push_str(&comment.text);
                    self.text.push_str(self.eol);
                }
            }
        }
    }

    /// A comment line where it stood.
    fn comment(&mut self, comment: &Trailing) {
        self.line("", Some(comment));
    }

    /// A line, and its comment in the column where it stood, if there is room.
    fn line(&mut self, code: &str, comment: Option<&Trailing>) {
        self.text.push_str(code);
        if let Some(comment) = comment {
            pad(&mut self.text, code, comment.column);
            self.text.push_str(&comment.text);
        }
        self.text.push_str(self.eol);
    }
}

/// Spaces from the end of `code` to the column of a comment: at least one, where there is code.
fn pad(out: &mut String, code: &str, column: usize) {
    let width = code.rsplit('\n').next().unwrap_or_default().chars().count();
    let least = usize::from(!code.is_empty());
    let n = column.saturating_sub(width).max(least);
    out.extend(std::iter::repeat_n(' ', n));
}

#[cfg(test)]
mod tests;
