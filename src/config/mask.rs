//! What of a file's text is never shown: values under secret keys, values of unknown keys (a mistyped secret key is one),
//! and every value on a line that does not parse.

use std::ops::Range;

use crate::config::decode::walk;
use crate::config::diagnostic::Span;
use crate::config::seal::holds_identity;
use crate::config::source::{FileId, Lines};
use crate::config::tree::{KeyPath, Node, Origin, Problem, Value};

/// What stands in for it.
pub(crate) const MASK: &str = "••••";

/// Keys whose values, and everything in them, are secret or may hold a secret, wherever they stand.
const SECRET_KEYS: &[&str] = &[
    "refresh_token",
    "api_key",
    "service_account",
    "password",
    "password_hash",
    "jwt_secret",
    "client_secret",
    "key",
    "proxy",
    "headers",
];

/// Whether a value at this path is hidden, or holds some that is.
pub(crate) fn is_secret(path: &KeyPath) -> bool {
    path.keys().iter().any(|key| SECRET_KEYS.contains(key))
}

/// The places of secret values in the tree.
pub(crate) fn of_tree(tree: &Node) -> Vec<Span> {
    let mut found = Vec::new();
    walk(tree, &mut KeyPath::default(), &mut |node, path| {
        let Origin::File(file) = node.origin else {
            return;
        };
        let unknown = matches!(&*node.problem.borrow(), Some(Problem::UnknownKey(_)));
        if unknown {
            leaves(node, file, &mut found);
        } else if (is_secret(path) || node.as_str().is_some_and(|text| gives_away(text, path)))
            && !matches!(node.value, Value::Table(_) | Value::Array(_))
        {
            found.push(Span {
                file,
                range: node.span.clone(),
            });
        }
    });
    found
}

/// Whether a text may be a secret where none belongs: in a URL, among recipients, in the place of its digest.
fn gives_away(text: &str, path: &KeyPath) -> bool {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let for_digest = path.keys().last() == Some(&"sha256");
    has_user(text) || holds_identity(text) || (for_digest && !is_digest(text))
}

/// The places of all values in what is left out of the tree: defined a second time, it is in nobody's sight.
pub(crate) fn of_left_out(node: &Node) -> Vec<Span> {
    let mut found = Vec::new();
    if let Origin::File(file) = node.origin {
        leaves(node, file, &mut found);
    }
    found
}

/// Whether a text looks like a URL with a user, and so perhaps a password, in it.
pub(crate) fn has_user(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'))
}

fn leaves(node: &Node, file: FileId, found: &mut Vec<Span>) {
    walk(node, &mut KeyPath::default(), &mut |node, _| {
        if !matches!(node.value, Value::Table(_) | Value::Array(_)) {
            found.push(Span {
                file,
                range: node.span.clone(),
            });
        }
    });
}

/// The places of values in a text that is not TOML. The lines that do not parse are hidden from their first `=`, or
/// whole where they have none; on all others, since the tree of such a file can't be trusted, every quoted text is.
pub(crate) fn of_broken_text(file: FileId, text: &str, broken: &[Span]) -> Vec<Span> {
    if broken.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end_matches(['\n', '\r']).len();
        let hit = broken
            .iter()
            .any(|span| span.range.start <= end && span.range.end >= start);
        let hidden: Option<Range<usize>> = if hit {
            // A line without `=` may be the inside of a text of several lines.
            Some(line.find('=').map_or(start, |i| start + value_at(line, i))..end)
        } else {
            let first = line.find(['"', '\'']);
            let last = line.rfind(['"', '\'']);
            first.zip(last).map(|(first, last)| {
                // A single quote mark opens a text that goes on past the line, or closes one that began before it.
                if first == last {
                    start..end
                } else {
                    start + first..start + last + 1
                }
            })
        };
        if let Some(range) = hidden.filter(|range| range.start < range.end) {
            found.push(Span { file, range });
        }
        start += line.len();
    }
    found
}

/// Where the value behind the `=` at `i` begins.
fn value_at(line: &str, i: usize) -> usize {
    let rest = line[i + 1..].trim_end_matches(['\n', '\r']);
    i + 1 + (rest.len() - rest.trim_start().len())
}

/// A text with the places hidden, and how to find a place of the old text in the new one.
#[derive(Debug)]
pub(crate) struct Masked {
    pub(crate) text: String,
    /// Hidden range, where its stand-in begins, and how long that is.
    moved: Vec<(Range<usize>, usize, usize)>,
    lines: Lines,
}

impl Masked {
    /// Hides `ranges`, which may overlap.
    pub(crate) fn new(text: &str, mut ranges: Vec<Range<usize>>) -> Self {
        ranges.retain(|r| r.start < r.end && text.get(r.clone()).is_some());
        ranges.sort_by_key(|r| (r.start, r.end));
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut moved = Vec::new();
        let mut from = 0;
        for range in joined {
            out.push_str(&text[from..range.start]);
            let at = out.len();
            out.push_str(MASK);
            // The lines below keep their numbers.
            out.extend(text[range.clone()].chars().filter(|c| *c == '\n'));
            from = range.end;
            moved.push((range, at, out.len() - at));
        }
        out.push_str(&text[from..]);
        Self {
            lines: Lines::of(&out),
            text: out,
            moved,
        }
    }

    /// The line of a place in the new text.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.line(&self.text, at)
    }

    fn place(&self, old: usize, end: bool) -> usize {
        let i = self.moved.partition_point(|(range, ..)| range.start < old);
        let Some((range, at, len)) = i.checked_sub(1).and_then(|i| self.moved.get(i)) else {
            return old;
        };
        if old >= range.end {
            at + len + (old - range.end)
        } else if end {
            at + MASK.len()
        } else {
            *at
        }
    }

    /// A range of the old text in the new one.
    pub(crate) fn range(&self, old: &Range<usize>) -> Range<usize> {
        let start = self.place(old.start, false);
        start..self.place(old.end, true).max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_move_with_the_stand_ins() {
        let text = "a = \"secret\"\nb = \"\"\"x\ny\"\"\" # c\n";
        let secret = text.find("\"secret").unwrap()..text.find("\nb").unwrap();
        let long = text.find("\"\"\"").unwrap()..text.find(" # c").unwrap();
        let masked = Masked::new(text, vec![long, secret.clone()]);
        assert_eq!(masked.text, "a = ••••\nb = ••••\n # c\n");
        assert_eq!(&masked.text[masked.range(&secret)], MASK);
        let c = text.rfind('c').unwrap();
        assert_eq!(&masked.text[masked.range(&(c..c + 1))], "c");
    }

    #[test]
    fn lines_that_do_not_parse_show_no_value() {
        let text = "a = \"x\"\nrefresh_token = 1//secret\nb = \"y\" # z\n";
        let broken = [Span {
            file: FileId::ROOT,
            range: 30..31,
        }];
        let ranges = of_broken_text(FileId::ROOT, text, &broken);
        let masked = Masked::new(text, ranges.into_iter().map(|s| s.range).collect());
        assert_eq!(
            masked.text,
            "a = ••••\nrefresh_token = ••••\nb = •••• # z\n"
        );
    }
}
