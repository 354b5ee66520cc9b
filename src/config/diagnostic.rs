//! What is wrong with the configuration, and where: stable codes, spans, help. How it looks is `render`'s matter.
//! A span is a file and a range in it, never an offset into texts put together.

use std::fmt;
use std::ops::Range;

use crate::config::hint;
use crate::config::source::FileId;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration can't be used.
    Error,
    /// It can be used, but something in it is probably not meant. An error under `--strict`.
    Warning,
    /// Good to know; never fails a check.
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident;)*) => {
        /// The register of codes. A code never changes its meaning and is never used for another one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it is printed, such as `AGP012`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// How bad it is unless `--strict` says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }
        }
    };
}

codes! {
    /// A file can't be read.
    Unreadable = "AGP001", Error;
    /// A file is not UTF-8.
    NotUtf8 = "AGP002", Error;
    /// A file, or all of them together, is larger than is taken.
    TooLarge = "AGP003", Error;
    /// A line is not TOML.
    Syntax = "AGP004", Error;
    /// An include can't be followed.
    Include = "AGP005", Error;
    /// A key is defined twice.
    DefinedTwice = "AGP006", Error;
    /// `version` is missing or not one that this release reads.
    Version = "AGP007", Error;
    /// A key that the file's form does not have.
    UnknownKey = "AGP010", Error;
    /// A value of the wrong type.
    WrongType = "AGP011", Error;
    /// A key that must be given is not.
    Missing = "AGP012", Error;
    /// A word that is not among those a key takes.
    UnknownChoice = "AGP013", Error;
    /// A value that is out of range or not of the form its key takes.
    Value = "AGP014", Error;
    /// A variable `AGP__...` that names no setting.
    Overlay = "AGP015", Error;
    /// The name of a table can't be used.
    Name = "AGP016", Error;
    /// A name that is defined nowhere.
    Reference = "AGP020", Error;
    /// Two entries claim the same thing.
    Duplicate = "AGP021", Error;
    /// Credentials that do not fit the upstream's kind, or more than one, or none.
    Credential = "AGP022", Error;
    /// Keys that can't be given together.
    Conflict = "AGP023", Error;
    /// A secret that is published or too short.
    WeakSecret = "AGP024", Error;
    /// A secret that can't be read (`--resolve`, start and reload).
    Unresolved = "AGP025", Error;
    /// The panel where other machines reach it, without a password.
    Unguarded = "AGP026", Error;
    /// A secret in clear.
    PlainSecret = "AGP030", Warning;
    /// A model that no account may serve.
    NoAccount = "AGP031", Warning;
    /// A key whose time is over.
    Expired = "AGP032", Warning;
    /// A client key that can't be used for anything: no model, no account, or no account for its models.
    UselessKey = "AGP033", Warning;
    /// An alias that is also a model's name.
    Shadowed = "AGP034", Warning;
    /// A money budget over a model without a price.
    Unpriced = "AGP035", Warning;
    /// A key that is read and checked, but that nothing uses so far.
    NotInEffect = "AGP040", Note;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in one file: a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Bytes of its text.
    pub range: Range<usize>,
}

/// A second place with a word on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The word.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which finding.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where; `None` for what comes from the environment or from no readable file.
    pub span: Option<Span>,
    /// The key's path, such as `accounts.alice.weight`; empty where there is none.
    pub key: String,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// A word under the span.
    pub label: Option<String>,
    /// Further places.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding of the severity that its code has.
    pub fn new(code: Code, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            span: None,
            key: key.into(),
            message: message.into(),
            label: None,
            labels: Vec::new(),
            help: None,
        }
    }

    /// The same at this place.
    #[must_use]
    pub fn at(mut self, span: Option<Span>) -> Self {
        self.span = span;
        self
    }

    /// The same with a word under the span.
    #[must_use]
    pub fn with_label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(text.into());
        self
    }

    /// The same with one more place.
    #[must_use]
    pub fn with_place(mut self, span: Option<Span>, text: impl Into<String>) -> Self {
        if let Some(span) = span {
            self.labels.push(Label {
                span,
                text: text.into(),
            });
        }
        self
    }

    /// The same with what to do; `None` leaves it as it is.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<Option<String>>) -> Self {
        if let Some(help) = help.into() {
            self.help = Some(help);
        }
        self
    }
}

/// All findings, sorted by place, and what must not be shown of the texts around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    masks: Vec<Span>,
}

impl Diagnostics {
    /// Sorts the findings by file and place; `masks` are the ranges shown as `••••` in source lines.
    /// One without help gets that of its code.
    pub fn new(mut list: Vec<Diagnostic>, masks: Vec<Span>) -> Self {
        list.iter_mut().for_each(Self::complete);
        list.sort_by(|a, b| Self::order(a).cmp(&Self::order(b)));
        Self { list, masks }
    }

    fn complete(d: &mut Diagnostic) {
        if d.help.is_none() {
            d.help = hint::of_code(d.code).map(str::to_owned);
        }
    }

    fn order(d: &Diagnostic) -> (usize, usize, Code, &str) {
        let (file, start) = d
            .span
            .as_ref()
            .map_or((usize::MAX, 0), |s| (s.file.index(), s.range.start));
        (file, start, d.code, &d.key)
    }

    /// Adds one more, such as a secret that could not be read, in its place.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        Self::complete(&mut diagnostic);
        let at = self
            .list
            .partition_point(|d| Self::order(d) <= Self::order(&diagnostic));
        self.list.insert(at, diagnostic);
    }

    /// The findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there is none, not even a note.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|d| d.severity == severity).count()
    }

    /// Whether the configuration can't be used.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|d| d.severity == Severity::Error)
    }

    /// Makes warnings errors, as `--strict` does. Notes stay notes.
    #[must_use]
    pub fn strict(mut self) -> Self {
        for d in &mut self.list {
            if d.severity == Severity::Warning {
                d.severity = Severity::Error;
            }
        }
        self
    }

    /// Drops the findings of a code.
    #[cfg(test)]
    pub(crate) fn forget(&mut self, code: Code) {
        self.list.retain(|d| d.code != code);
    }

    /// The distinct codes of the errors, in order: all that `/healthz` may tell.
    pub fn error_codes(&self) -> Vec<Code> {
        let mut codes: Vec<Code> = self
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| d.code)
            .collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// What `render` must not show.
    pub fn masks(&self) -> &[Span] {
        &self.masks
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_rising() {
        let texts: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert!(texts.windows(2).all(|w| w[0] < w[1]), "{texts:?}");
    }

    #[test]
    fn strict_makes_warnings_errors_and_leaves_notes() {
        let all = Diagnostics::new(
            vec![
                Diagnostic::new(Code::PlainSecret, "", ""),
                Diagnostic::new(Code::NotInEffect, "", ""),
            ],
            Vec::new(),
        );
        assert!(!all.has_errors());
        let strict = all.strict();
        assert_eq!(strict.count(Severity::Error), 1);
        assert_eq!(strict.count(Severity::Note), 1);
        assert_eq!(strict.error_codes(), [Code::PlainSecret]);
    }
}
