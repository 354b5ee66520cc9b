//! The files in play: the root file and what it includes, with their digests. Everything here is bounded.

mod glob;
mod lines;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use toml::de::{DeTable, DeValue};

use crate::config::diagnostic::{Code, Diagnostic, Span};

pub(crate) use glob::expand;
pub(crate) use lines::Lines;
pub use lines::Position;

/// Largest single file in bytes.
pub const MAX_FILE: u64 = 16 << 20;
/// Largest sum of all files in bytes.
pub const MAX_TOTAL: u64 = 64 << 20;
/// Most files.
pub const MAX_FILES: usize = 4096;

/// Which of [`Files`]; the root is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

impl FileId {
    /// The root file.
    pub const ROOT: Self = Self(0);

    /// Its place among the files.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    fn at(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// One file as it was read.
#[derive(Debug, Clone)]
pub struct File {
    /// Its place among the files.
    pub id: FileId,
    /// Its path: the root's as given, an include's joined to the root's folder. Links are not resolved.
    pub path: PathBuf,
    /// Its text; of a file that is not UTF-8 what precedes the first bad byte.
    pub text: Arc<str>,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    lines: Lines,
}

impl File {
    fn new(id: FileId, path: PathBuf, text: Arc<str>, digest: [u8; 32]) -> Self {
        let lines = Lines::of(&text);
        Self {
            id,
            path,
            text,
            digest,
            lines,
        }
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.line(&self.text, at)
    }

    /// The folder that paths in this file are relative to.
    pub fn folder(&self) -> &Path {
        folder_of(&self.path)
    }
}

/// The folder of a path as written; `.` where it has none.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// SHA-256 over the paths (relative to the root's folder) and bytes of all files in play.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub [u8; 32]);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for Revision {
    type Err = NoRevision;

    fn from_str(text: &str) -> Result<Self, NoRevision> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NoRevision);
        }
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NoRevision)?;
        }
        Ok(Self(digest))
    }
}

/// Why a text is no revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a revision: 64 hex digits, as `agp status --json` prints it")]
pub struct NoRevision;

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// All files in play and what went wrong while they were read.
#[derive(Debug, Clone)]
pub struct Files {
    list: Vec<File>,
    problems: Vec<Diagnostic>,
    patterns: Vec<PathBuf>,
    revision: Revision,
}

impl Files {
    /// Reads the root file and its includes. Never fails: what can't be read is among [`Self::problems`].
    pub fn read(root: &Path) -> Self {
        let mut reading = Reading::default();
        reading.add(root, None);
        let includes = reading
            .files
            .first()
            .map(|file| includes(&file.text))
            .unwrap_or_default();
        let mut patterns = Vec::new();
        let mut found = BTreeSet::new();
        for (pattern, range) in includes {
            let span = Span {
                file: FileId::ROOT,
                range,
            };
            let full = folder_of(root).join(&pattern);
            match expand(&full) {
                Ok(paths) => {
                    for path in paths {
                        if path != root && found.insert(path.clone()) {
                            reading.spans.push((path, span.clone()));
                        }
                    }
                    patterns.push(full);
                }
                Err(message) => reading
                    .problems
                    .push(Diagnostic::new(Code::Include, "include", message).at(Some(span))),
            }
        }
        for path in found {
            let span = reading
                .spans
                .iter()
                .find(|(p, _)| *p == path)
                .map(|(_, span)| span.clone());
            reading.add(&path, span);
        }
        Self::finish(root, reading.files, reading.problems, patterns)
    }

    /// Files from texts, the root first. Includes are not followed: what is given is what is in play.
    pub fn from_texts(texts: impl IntoIterator<Item = (PathBuf, String)>) -> Self {
        let files: Vec<File> = texts
            .into_iter()
            .enumerate()
            .map(|(i, (path, text))| {
                let digest = Sha256::digest(text.as_bytes()).into();
                File::new(FileId::at(i), path, text.into(), digest)
            })
            .collect();
        let root = files.first().map(|f| f.path.clone()).unwrap_or_default();
        let mut patterns = Vec::new();
        if let Some(file) = files.first() {
            for (pattern, _) in includes(&file.text) {
                patterns.push(file.folder().join(pattern));
            }
        }
        Self::finish(&root, files, Vec::new(), patterns)
    }

    fn finish(
        root: &Path,
        files: Vec<File>,
        problems: Vec<Diagnostic>,
        patterns: Vec<PathBuf>,
    ) -> Self {
        let folder = folder_of(root);
        let mut hash = Sha256::new();
        for file in &files {
            let name = file
                .path
                .strip_prefix(folder)
                .unwrap_or(&file.path)
                .to_string_lossy();
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name.as_bytes());
            hash.update(file.digest);
        }
        Self {
            list: files,
            problems,
            patterns,
            revision: Revision(hash.finalize().into()),
        }
    }

    /// The files, the root first, then the includes by path.
    pub fn iter(&self) -> std::slice::Iter<'_, File> {
        self.list.iter()
    }

    /// One of them.
    pub fn get(&self, id: FileId) -> Option<&File> {
        self.list.get(id.index())
    }

    /// The root file; `None` where it could not be read.
    pub fn root(&self) -> Option<&File> {
        self.list.first()
    }

    /// What went wrong while reading.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// The include patterns, joined to the root's folder: what a watcher must look for besides the files.
    pub fn patterns(&self) -> &[PathBuf] {
        &self.patterns
    }

    /// The revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Where a span begins, for people.
    pub fn position(&self, span: &Span) -> Position {
        let Some(file) = self.get(span.file) else {
            return Position { line: 1, column: 1 };
        };
        let before = file.text.get(..span.range.start).unwrap_or(&file.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Position {
            line: file.line(before.len()),
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl<'a> IntoIterator for &'a Files {
    type Item = &'a File;
    type IntoIter = std::slice::Iter<'a, File>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[derive(Default)]
struct Reading {
    files: Vec<File>,
    problems: Vec<Diagnostic>,
    spans: Vec<(PathBuf, Span)>,
    total: u64,
}

impl Reading {
    /// Reads one file; `span` is the include that led to it.
    fn add(&mut self, path: &Path, span: Option<Span>) {
        let key = if span.is_some() { "include" } else { "" };
        if self.files.len() >= MAX_FILES {
            if self.files.len() == MAX_FILES
                && !self.problems.iter().any(|d| d.code == Code::TooLarge)
            {
                self.problems.push(
                    Diagnostic::new(
                        Code::TooLarge,
                        key,
                        format!("more than {MAX_FILES} files are included"),
                    )
                    .at(span),
                );
            }
            return;
        }
        let room = MAX_FILE.min(MAX_TOTAL.saturating_sub(self.total));
        match read_bounded(path, room) {
            Err(error) => self.problems.push(
                Diagnostic::new(
                    Code::Unreadable,
                    key,
                    format!("can't read `{}`: {error}", path.display()),
                )
                .at(span),
            ),
            Ok(None) => self.problems.push(
                Diagnostic::new(
                    Code::TooLarge,
                    key,
                    format!(
                        "`{}` is too large: at most {} MiB a file and {} MiB in all are read",
                        path.display(),
                        MAX_FILE >> 20,
                        MAX_TOTAL >> 20
                    ),
                )
                .at(span),
            ),
            Ok(Some(bytes)) => self.take(path, bytes),
        }
    }

    fn take(&mut self, path: &Path, bytes: Vec<u8>) {
        let id = FileId::at(self.files.len());
        self.total += bytes.len() as u64;
        let digest = Sha256::digest(&bytes).into();
        let text: Arc<str> = match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                self.problems.push(
                    Diagnostic::new(
                        Code::NotUtf8,
                        "",
                        format!("`{}` is not UTF-8 from byte {good} on", path.display()),
                    )
                    .at(Some(Span {
                        file: id,
                        range: good..good,
                    }))
                    .with_help("save the file as UTF-8".to_owned()),
                );
                String::from_utf8_lossy(&bytes[..good]).into_owned().into()
            }
        };
        self.files
            .push(File::new(id, path.to_owned(), text, digest));
    }
}

/// Reads at most `room` bytes; `None` where there are more.
pub(crate) fn read_bounded(path: &Path, room: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(room + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= room).then_some(bytes))
}

/// The files that a root file with this text includes, as [`Files::read`] would find them now. Blocks on the disk.
///
/// # Errors
/// A sentence about a pattern that can't be followed.
pub fn included(root: &Path, text: &str) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    for (pattern, _) in includes(text) {
        let paths = expand(&folder_of(root).join(pattern))?;
        found.extend(paths.into_iter().filter(|path| path != root));
    }
    Ok(found)
}

/// The patterns under `include` of a root file, with their places. What is no list of strings `decode` reports.
fn includes(text: &str) -> Vec<(String, Range<usize>)> {
    let (table, _) = DeTable::parse_recoverable(text);
    let Some(DeValue::Array(list)) = table.get_ref().get("include").map(toml::Spanned::get_ref)
    else {
        return Vec::new();
    };
    list.iter()
        .filter_map(|item| Some((item.get_ref().as_str()?.to_owned(), item.span())))
        .collect()
}
