//! Diagnostics for programs: JSON, SARIF 2.1.0, GitHub's workflow commands. No line of the files' own text is in them, so
//! that nothing secret can be; messages never hold a secret.

mod sarif;

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::config::render::printable;
use crate::config::source::{Files, Revision};

pub use sarif::sarif;

/// One root file, what it includes, and what was found in them.
#[derive(Debug)]
pub struct Checked<'a> {
    /// The root file as it was given.
    pub root: &'a Path,
    /// The files in play.
    pub files: &'a Files,
    /// What was found.
    pub diagnostics: &'a Diagnostics,
}

/// A place for programs: lines and columns count from 1, columns in characters; the end is behind the last one.
#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Checked<'_> {
    fn place(&self, span: &Span) -> Option<Place> {
        let file = self.files.get(span.file)?;
        let start = self.files.position(span);
        let end = self.files.position(&Span {
            file: span.file,
            range: span.range.end..span.range.end,
        });
        Some(Place {
            file: file.path.display().to_string(),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        })
    }

    fn place_of(&self, diagnostic: &Diagnostic) -> Option<Place> {
        self.place(diagnostic.span.as_ref()?)
    }
}

#[derive(Serialize)]
struct Report {
    files: Vec<FileReport>,
    diagnostics: Vec<Finding>,
    errors: usize,
    warnings: usize,
    notes: usize,
}

#[derive(Serialize)]
struct FileReport {
    path: String,
    revision: String,
    fine: bool,
}

#[derive(Serialize)]
struct Finding {
    code: &'static str,
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// Of what stands in no file, such as a variable, the root file alone.
    #[serde(flatten)]
    place: Option<Place>,
    #[serde(rename = "file", skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related>,
}

#[derive(Serialize)]
struct Related {
    message: String,
    #[serde(flatten)]
    place: Place,
}

/// One JSON object about all of them, with a newline at its end.
pub fn json(checked: &[Checked<'_>]) -> String {
    let count = |severity| checked.iter().map(|c| c.diagnostics.count(severity)).sum();
    let report = Report {
        files: checked
            .iter()
            .map(|c| FileReport {
                path: c.root.display().to_string(),
                revision: Revision::to_string(&c.files.revision()),
                fine: !c.diagnostics.has_errors(),
            })
            .collect(),
        diagnostics: checked
            .iter()
            .flat_map(|c| c.diagnostics.iter().map(|d| finding(c, d)))
            .collect(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        notes: count(Severity::Note),
    };
    pretty(&report)
}

fn finding(checked: &Checked<'_>, diagnostic: &Diagnostic) -> Finding {
    let place = checked.place_of(diagnostic);
    Finding {
        code: diagnostic.code.as_str(),
        severity: diagnostic.severity.as_str(),
        message: diagnostic.message.clone(),
        key: diagnostic.key.clone(),
        help: diagnostic.help.clone(),
        root: place.is_none().then(|| checked.root.display().to_string()),
        place,
        related: diagnostic
            .labels
            .iter()
            .filter_map(|label| {
                Some(Related {
                    message: label.text.clone(),
                    place: checked.place(&label.span)?,
                })
            })
            .collect(),
    }
}

fn pretty(value: &impl Serialize) -> String {
    // Texts and numbers only: there is nothing in it that JSON can't hold.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// One workflow command a line, which GitHub shows at the line of the file:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.
pub fn github(checked: &[Checked<'_>]) -> String {
    let mut out = String::new();
    for checked in checked {
        for diagnostic in checked.diagnostics {
            let command = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let mut properties = match checked.place_of(diagnostic) {
                Some(at) => format!(
                    "file={},line={},endLine={},col={},endColumn={}",
                    property(&at.file),
                    at.line,
                    at.end_line,
                    at.column,
                    at.end_column
                ),
                None => format!("file={}", property(&checked.root.display().to_string())),
            };
            let _ = write!(properties, ",title={}", property(diagnostic.code.as_str()));
            let mut text = printable(&diagnostic.message);
            if let Some(help) = &diagnostic.help {
                let _ = write!(text, "\nhelp: {}", printable(help));
            }
            let _ = writeln!(out, "::{command} {properties}::{}", data(&text));
        }
    }
    out
}

/// The escapes of a command's text.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The escapes of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests;
