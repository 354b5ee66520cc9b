//! Reads Rust sources as far as the rules need: no comments, no texts, and which lines are tests.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// One file of `src/`.
pub(super) struct Source {
    /// Below `src/`, such as `pool/select.rs`.
    pub(super) path: String,
    /// The text with comments, strings and characters blanked; the lines are those of the file.
    pub(super) code: String,
    /// `code` with its test items blanked as well; empty for a file of tests.
    pub(super) production: String,
    /// Lines of the file that are no tests.
    pub(super) n_lines: usize,
}

impl Source {
    /// A file that is no file of tests.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = blank_texts(text);
        let (production, n_tests) = blank_tests(&code);
        Self {
            path: path.to_owned(),
            n_lines: text.lines().count() - n_tests,
            code,
            production,
        }
    }

    /// The file's own modules, outermost first: `wire/json/read.rs` is `wire`, `json`, `read`.
    pub(super) fn modules(&self) -> Vec<&str> {
        self.path.trim_end_matches(".rs").split('/').collect()
    }

    /// The line, counted from 1, of a place in the text.
    pub(super) fn line(text: &str, at: usize) -> usize {
        text[..at].matches('\n').count() + 1
    }
}

/// All files of `src/`, in order. Files that another one declares under `#[cfg(test)]` are tests as a whole.
pub(super) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    walk(&root, "", &mut sources);
    let tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        if tests
            .iter()
            .any(|t| stem == t || stem.starts_with(&format!("{t}/")))
        {
            source.production.clear();
            source.n_lines = 0;
        }
    }
    sources
}

fn walk(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{name}/"), sources);
        } else if entry.path().extension().is_some_and(|e| e == "rs") {
            sources.push(Source::new(
                &name,
                &fs::read_to_string(entry.path()).unwrap(),
            ));
        }
    }
}

/// The modules, as paths below `src/`, that the file declares as tests in files of their own.
fn test_modules(source: &Source) -> Vec<String> {
    static DECLARED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;").unwrap()
    });
    let folder = source.path.trim_end_matches(".rs");
    DECLARED
        .captures_iter(&source.code)
        .map(|found| format!("{folder}/{}", &found[1]))
        .collect()
}

/// Blanks what stands in comments, strings and character literals, and keeps the line ends. Works on bytes: all that is
/// looked for is ASCII, and what is blanked becomes spaces.
fn blank_texts(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !word_before(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).unwrap()
}

/// Whether `at` continues an identifier. The `b` and `c` of `br""` and `cr""` do not count.
fn word_before(bytes: &[u8], at: usize) -> bool {
    let word = |at: usize| bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_';
    match at.checked_sub(1) {
        Some(before) if matches!(bytes[before], b'b' | b'c') => before > 0 && word(before - 1),
        Some(before) => word(before),
        None => false,
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let tail = &bytes[from..];
    tail.windows(what.len())
        .position(|w| w == what)
        .map(|at| from + at)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..]
        .iter()
        .take_while(|b| **b == b'#')
        .count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    find(bytes, open + 1, close.as_bytes()).map(|at| at + close.len())
}

/// The end of a character literal; none where the quote begins a lifetime.
fn char_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        return find(bytes, start + 3, b"'").map(|at| at + 1);
    }
    // One character of one to four bytes, then the quote.
    let text = std::str::from_utf8(&bytes[start + 1..]).ok()?;
    let end = start + 1 + text.chars().next()?.len_utf8();
    (bytes.get(end) == Some(&b'\'')).then_some(end + 1)
}

/// Blanks every item under `#[cfg(test)]`, and says how many lines they take.
fn blank_tests(code: &str) -> (String, usize) {
    let mut out = code.as_bytes().to_vec();
    let mut n_lines = 0;
    let mut from = 0;
    while let Some(start) = find(code.as_bytes(), from, b"#[cfg(test)]") {
        let end = item_end(code.as_bytes(), start + "#[cfg(test)]".len());
        n_lines += code[start..end].matches('\n').count() + 1;
        for byte in &mut out[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end;
    }
    (String::from_utf8(out).unwrap(), n_lines)
}

/// The end of the item that begins at `from`: its `;`, or the brace that closes its body.
pub(super) fn item_end(code: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(from) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}
