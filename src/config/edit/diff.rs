//! What differs between two states of the files, line by line, for people: nothing secret is in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::config::decode;
use crate::config::mask::{self, Masked};
use crate::config::source::{File, Files};
use crate::config::tree::{KeyPath, Node, Seg, Value};

/// Lines of context above and below a change.
pub(super) const CONTEXT: usize = 3;

/// Lines beyond which what differs is told as one block: the comparison takes time by the square of it.
const MAX_LINES: usize = 20_000;

/// What differs in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// The file, relative to the root file's folder.
    pub path: PathBuf,
    /// In the unified form, secrets as `••••`.
    pub text: String,
}

/// A file's text for people, secrets as `••••`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// The file, relative to the root file's folder.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// All files as they may be shown, the root first.
pub fn texts(files: &Files) -> Vec<FileText> {
    let folder = files.root().map_or(Path::new(""), File::folder);
    let shown = |(file, ranges): (&File, Vec<Range<usize>>)| FileText {
        path: below(&file.path, folder),
        text: Masked::new(&file.text, ranges).text,
    };
    files.iter().zip(masks(files, false)).map(shown).collect()
}

/// What differs between two states of the files, the root first; empty where nothing does.
pub fn diff(before: &Files, after: &Files) -> Vec<FileDiff> {
    let (old_masks, new_masks) = (masks(before, false), masks(after, false));
    let folder = after
        .root()
        .or(before.root())
        .map_or(Path::new(""), File::folder);
    let gone = before
        .iter()
        .filter(|file| find(after, &file.path).is_none());
    let mut found = Vec::new();
    for path in after.iter().chain(gone).map(|file| &file.path) {
        let (old, new) = (find(before, path), find(after, path));
        let text = |file: Option<&File>| file.map_or("", |f| &f.text).to_owned();
        let (old_text, new_text) = (text(old), text(new));
        if old_text == new_text && old.is_some() == new.is_some() {
            continue;
        }
        let path = below(path, folder);
        let name = |file: Option<&File>, side: &str| match file {
            Some(_) => format!("{side}/{}", path.display()),
            None => "/dev/null".to_owned(),
        };
        let hide = |file: Option<&File>, masks: &[Vec<Range<usize>>]| {
            let ranges = file.and_then(|f| masks.get(f.id.index()));
            Masked::new(
                file.map_or("", |f| &f.text),
                ranges.cloned().unwrap_or_default(),
            )
            .text
        };
        let (old_shown, new_shown) = (hide(old, &old_masks), hide(new, &new_masks));
        let mut out = format!("--- {}\n+++ {}\n", name(old, "a"), name(new, "b"));
        let (old_shown, new_shown) = (lines(&old_shown), lines(&new_shown));
        for hunk in hunks(&ops(&lines(&old_text), &lines(&new_text)), |_| true) {
            hunk.write(&old_shown, &new_shown, &mut out);
        }
        found.push(FileDiff { path, text: out });
    }
    found
}

fn find<'f>(files: &'f Files, path: &Path) -> Option<&'f File> {
    files.iter().find(|file| file.path == path)
}

/// A path relative to the root file's folder, where it is below it.
pub fn below(path: &Path, folder: &Path) -> PathBuf {
    path.strip_prefix(folder).unwrap_or(path).to_owned()
}

/// What must not be shown of each file. With `clear_only` references to secrets (a variable's or a file's name, a sealed
/// value) are left out: they are made to be committed.
pub(super) fn masks(files: &Files, clear_only: bool) -> Vec<Vec<Range<usize>>> {
    let parsed = decode::parse(files);
    // Finds the unknown keys, whose values are hidden too.
    decode::decode(&parsed.tree);
    let mut spans = mask::of_tree(&parsed.tree);
    if clear_only {
        let mut references = Vec::new();
        decode::walk(&parsed.tree, &mut KeyPath::default(), &mut |node, path| {
            if is_reference(&parsed.tree, node, path) {
                references.extend(node.value_place());
            }
        });
        spans.retain(|span| !references.contains(span));
    }
    spans.extend(parsed.masks);
    let mut by_file = vec![Vec::new(); files.iter().len()];
    for span in spans {
        if let Some(ranges) = by_file.get_mut(span.file.index()) {
            ranges.push(span.range);
        }
    }
    by_file
}

/// Whether the node is the text of `{ env = ... }`, `{ file = ... }` or `{ sealed = ... }`.
fn is_reference(tree: &Node, node: &Node, path: &KeyPath) -> bool {
    let Some((Seg::Key(last), up)) = path.0.split_last() else {
        return false;
    };
    let table = tree.get(&KeyPath(up.to_vec())).and_then(Node::as_table);
    matches!(node.value, Value::Str(_))
        && ["env", "file", "sealed"].contains(&last.as_str())
        && table.is_some_and(|table| table.len() == 1)
}

/// The lines with their line breaks.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// What to do to the old lines.
pub(super) fn ops(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let ends = old.iter().rev().zip(new.iter().rev()).take(rest);
    let tail = ends.take_while(|(a, b)| a == b).count();
    let (old_len, new_len) = (old.len() - head - tail, new.len() - head - tail);
    if old_len + new_len <= MAX_LINES {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let equal = |at: usize, new_at: usize, len: usize| DiffOp::Equal {
        old_index: at,
        new_index: new_at,
        len,
    };
    vec![
        equal(0, 0, head),
        DiffOp::Replace {
            old_index: head,
            old_len,
            new_index: head,
            new_len,
        },
        equal(old.len() - tail, new.len() - tail, tail),
    ]
}

/// Lines that belong together: ranges of the old and the new ones, context included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    /// How many lines of context begin it.
    pub(super) lead: usize,
    /// How many end it.
    pub(super) tail: usize,
    old: Range<usize>,
    new: Range<usize>,
    /// The changes and the context between them.
    parts: Vec<DiffOp>,
}

/// The changes with their context; an old line may be context where `shows` says so.
pub(super) fn hunks(ops: &[DiffOp], shows: impl Fn(usize) -> bool) -> Vec<Hunk> {
    let mut found: Vec<Hunk> = Vec::new();
    // The lines since the last change that may be context, up to the first that may not.
    for (n, op) in ops.iter().enumerate() {
        let (old, new) = (op.old_range(), op.new_range());
        if let DiffOp::Equal { .. } = op {
            continue;
        }
        let above = match n.checked_sub(1).and_then(|n| ops.get(n)) {
            Some(DiffOp::Equal { old_index, len, .. }) => *old_index..*old_index + *len,
            _ => old.start..old.start,
        };
        let below = match ops.get(n + 1) {
            Some(DiffOp::Equal { old_index, len, .. }) => *old_index..*old_index + *len,
            _ => old.end..old.end,
        };
        let lead = above
            .clone()
            .rev()
            .take(CONTEXT)
            .take_while(|l| shows(*l))
            .count();
        let tail = below.take(CONTEXT).take_while(|l| shows(*l)).count();
        let joins = found
            .last()
            .is_some_and(|last| last.old.end + lead >= old.start);
        match found.last_mut().filter(|_| joins) {
            Some(last) => {
                let between = above.len();
                last.parts.push(DiffOp::Equal {
                    old_index: above.start,
                    new_index: new.start - between,
                    len: between,
                });
                last.parts.push(*op);
                last.old.end = old.end + tail;
                last.new.end = new.end + tail;
                last.tail = tail;
            }
            None => found.push(Hunk {
                lead,
                tail,
                old: old.start - lead..old.end + tail,
                new: new.start - lead..new.end + tail,
                parts: vec![*op],
            }),
        }
    }
    found
}

impl Hunk {
    /// Whether it ends where the old lines end.
    pub(super) fn reaches(&self, end: usize) -> bool {
        self.old.end == end
    }

    /// The old and the new lines that change.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let changes = self
            .parts
            .iter()
            .filter(|op| !matches!(op, DiffOp::Equal { .. }));
        changes.map(|op| (op.old_range(), op.new_range()))
    }

    /// Writes it in the unified form.
    pub(super) fn write(&self, old: &[&str], new: &[&str], out: &mut String) {
        use std::fmt::Write as _;

        let place = |range: &Range<usize>| {
            // Of no lines the line before is named.
            let first = if range.is_empty() {
                range.start
            } else {
                range.start + 1
            };
            match range.len() {
                1 => first.to_string(),
                n => format!("{first},{n}"),
            }
        };
        let _ = writeln!(out, "@@ -{} +{} @@", place(&self.old), place(&self.new));
        let context = |range: Range<usize>, out: &mut String| put(out, ' ', old, range);
        context(self.old.start..self.old.start + self.lead, out);
        for part in &self.parts {
            if let DiffOp::Equal { .. } = part {
                context(part.old_range(), out);
            } else {
                put(out, '-', old, part.old_range());
                put(out, '+', new, part.new_range());
            }
        }
        context(self.old.end - self.tail..self.old.end, out);
    }
}

fn put(out: &mut String, mark: char, lines: &[&str], range: Range<usize>) {
    for line in lines.get(range).unwrap_or_default() {
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Files {
        Files::from_texts([("conf/agp.toml".into(), text.to_owned())])
    }

    fn numbered(range: Range<usize>) -> String {
        let lines: Vec<String> = range.map(|n| format!("# {n}")).collect();
        lines.join("\n") + "\n"
    }

    #[test]
    fn lines_that_differ_are_shown_with_three_around_them() {
        let old = numbered(0..20);
        let new = old
            .replace("# 5\n", "# five\n")
            .replace("# 18\n", "")
            .replace("# 19\n", "# 19");
        let found = diff(&files(&old), &files(&new));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].text,
            "--- a/agp.toml\n+++ b/agp.toml\n@@ -3,7 +3,7 @@\n # 2\n # 3\n # 4\n-# 5\n+# five\n # 6\n # 7\n # 8\n@@ -16,5 +16,4 @@\n # 15\n # 16\n # 17\n-# 18\n-# 19\n+# 19\n\\ No newline at end of file\n"
        );
        assert_eq!(diff(&files(&old), &files(&old)), []);
    }

    #[test]
    fn nothing_secret_is_shown_whether_the_file_parses_or_not() {
        let old = "version = 1\n[accounts.a]\nrefresh_token = \"planted-1\"\nenabled = true\npassward = 'planted-2'\n";
        let new = "version = 1\n[accounts.a]\nrefresh_token = \"planted-3\"\nenabled = false\nproject = \"planted-4\nx = 'planted-5'\n";
        for (old, new) in [(old, new), (new, old), ("", old), (new, "")] {
            let found = diff(&files(old), &files(new));
            assert!(!found[0].text.contains("planted"), "{}", found[0].text);
            assert!(found[0].text.contains("refresh_token = ••••"));
        }
    }

    #[test]
    fn files_come_and_go() {
        let root = ("agp.toml".into(), "version = 1\n".to_owned());
        let one = Files::from_texts([root.clone()]);
        let two = Files::from_texts([root, ("d/x.toml".into(), "# x\n".to_owned())]);
        assert_eq!(
            diff(&one, &two)[0].text,
            "--- /dev/null\n+++ b/d/x.toml\n@@ -0,0 +1 @@\n+# x\n"
        );
        assert_eq!(
            diff(&two, &one)[0].text,
            "--- a/d/x.toml\n+++ /dev/null\n@@ -1 +0,0 @@\n-# x\n"
        );
    }

    #[test]
    fn huge_differences_are_told_as_one_block() {
        let old = numbered(0..15_000);
        let new = numbered(1..15_001);
        let found = diff(&files(&old), &files(&new));
        assert_eq!(found[0].text.matches("@@ -").count(), 1);
    }
}
