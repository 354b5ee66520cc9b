//! Diagnostics for people, in rustc's look: code, place, the key, the source line underlined, help. What is
//! secret, or may be, is shown as `••••`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::config::mask::Masked;
use crate::config::source::{FileId, Files};

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For pipes and logs.
    Plain,
    /// For a terminal.
    Colour,
}

/// All findings, each followed by an empty line, and a closing line that counts them; empty where there is none.
pub fn human(files: &Files, diagnostics: &Diagnostics, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Colour => Renderer::styled(),
    };
    let mut sources = Sources::new(files, diagnostics.masks());
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&one(&renderer, &mut sources, diagnostic));
        out.push_str("\n\n");
    }
    if !diagnostics.is_empty() {
        out.push_str(&summary(diagnostics));
        out.push('\n');
    }
    out
}

/// One finding on one line, such as `agp.toml:3:1: error[AGP010]: unknown key "x" (key: server.x)`: for logs.
pub fn line(files: &Files, diagnostic: &Diagnostic) -> String {
    let mut out = String::new();
    if let Some(span) = &diagnostic.span
        && let Some(file) = files.get(span.file)
    {
        let at = files.position(span);
        let _ = write!(out, "{}:{}:{}: ", file.path.display(), at.line, at.column);
    }
    let _ = write!(
        out,
        "{}[{}]: {}",
        diagnostic.severity.as_str(),
        diagnostic.code,
        diagnostic.message
    );
    if !diagnostic.key.is_empty() {
        let _ = write!(out, " (key: {})", diagnostic.key);
    }
    out
}

/// `2 errors, 1 warning, 3 notes`.
fn summary(diagnostics: &Diagnostics) -> String {
    let counts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (severity, diagnostics.count(severity)))
        .filter(|(_, n)| *n > 0)
        .map(|(severity, n)| {
            let plural = if n == 1 { "" } else { "s" };
            format!("{n} {}{plural}", severity.as_str())
        })
        .collect();
    counts.join(", ")
}

fn one(renderer: &Renderer, sources: &mut Sources<'_>, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level
        .primary_title(printable(&diagnostic.message))
        .id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    let mut places: BTreeMap<FileId, Vec<Place<'_>>> = BTreeMap::new();
    if let Some(span) = &diagnostic.span {
        let label = diagnostic.label.as_deref();
        places
            .entry(span.file)
            .or_default()
            .push((span, label, true));
    }
    for label in &diagnostic.labels {
        let text = Some(label.text.as_str());
        places
            .entry(label.span.file)
            .or_default()
            .push((&label.span, text, false));
    }
    // The file of the finding itself comes first.
    let mut files: Vec<FileId> = places.keys().copied().collect();
    files.sort_by_key(|file| diagnostic.span.as_ref().map(|s| s.file) != Some(*file));
    for file in &files {
        sources.mask(*file);
    }
    for file in files {
        if let Some((origin, snippet)) = sources.snippet(file, &places[&file]) {
            if let Some(origin) = origin {
                group = group.element(origin);
            }
            group = group.element(snippet);
        }
    }
    if !diagnostic.key.is_empty() {
        let key = Level::NOTE
            .with_name("key")
            .message(printable(&diagnostic.key));
        group = group.element(key);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    without_empty_origins(&renderer.render(&[group]))
}

/// Where the true place was said already, the renderer begins the lines with an empty name of a file.
fn without_empty_origins(text: &str) -> String {
    let empty = |line: &&str| {
        let mut plain = String::new();
        let mut escape = false;
        for c in line.chars() {
            match c {
                '\u{1b}' => escape = true,
                'm' if escape => escape = false,
                c if !escape => plain.push(c),
                _ => {}
            }
        }
        plain.trim() == ":::"
    };
    let lines: Vec<&str> = text.split('\n').filter(|line| !empty(line)).collect();
    lines.join("\n")
}

/// Control characters of the file's own words would rule the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A span, the word on it, and whether it is the finding itself.
type Place<'a> = (&'a Span, Option<&'a str>, bool);

/// The texts, masked when first asked for.
struct Sources<'a> {
    files: &'a Files,
    masks: &'a [Span],
    masked: BTreeMap<FileId, Masked>,
}

impl<'a> Sources<'a> {
    fn new(files: &'a Files, masks: &'a [Span]) -> Self {
        Self {
            files,
            masks,
            masked: BTreeMap::new(),
        }
    }

    /// Makes the masked text of a file, once.
    fn mask(&mut self, id: FileId) {
        let Some(file) = self.files.get(id) else {
            return;
        };
        let masks = self.masks;
        self.masked.entry(id).or_insert_with(|| {
            let ranges = masks.iter().filter(|s| s.file == id);
            Masked::new(&file.text, ranges.map(|s| s.range.clone()).collect())
        });
    }

    /// The lines that the places stand on, with the places marked; and the file's name with the true line and column where
    /// hidden values have moved the columns of the text that is shown.
    fn snippet<'s>(
        &'s self,
        id: FileId,
        places: &[Place<'s>],
    ) -> Option<(Option<Origin<'s>>, Snippet<'s, Annotation<'s>>)> {
        let file = self.files.get(id)?;
        let masked = self.masked.get(&id)?;
        let text = masked.text.as_str();
        let ranges: Vec<Range<usize>> = places
            .iter()
            .map(|(span, ..)| first_line(text, &masked.range(&span.range)))
            .collect();
        let from = ranges.iter().map(|r| r.start).min()?;
        let to = ranges.iter().map(|r| r.end).max()?;
        let from = text[..from].rfind('\n').map_or(0, |i| i + 1);
        let to = text[to..].find('\n').map_or(text.len(), |i| to + i);
        let mut snippet = Snippet::source(&text[from..to])
            .line_start(masked.line(from))
            .fold(true);
        let i = places.iter().position(|(.., own)| *own).unwrap_or(0);
        let at = self.files.position(places.get(i)?.0);
        let path = file.path.display().to_string();
        let start = ranges.get(i)?.start;
        let shown = text[..start].rfind('\n').map_or(0, |i| i + 1)..start;
        let origin = if text[shown].chars().count() + 1 == at.column {
            snippet = snippet.path(path);
            None
        } else {
            Some(Origin::path(path).line(at.line).char_column(at.column))
        };
        for ((_, label, own), range) in places.iter().zip(&ranges) {
            let kind = if *own {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let annotation = kind.span(range.start - from..range.end - from);
            snippet = snippet.annotation(match label {
                Some(label) => annotation.label(*label),
                None => annotation,
            });
        }
        Some((origin, snippet))
    }
}

/// The part of a range that is on its first line; within the text and on borders of characters whatever the range says.
fn first_line(text: &str, range: &Range<usize>) -> Range<usize> {
    let mut start = range.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = range.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let end = text[start..end].find('\n').map_or(end, |i| start + i);
    start..end
}
