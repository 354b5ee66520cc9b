//! Lines of a text: where a block begins with its comments and where it ends, and splices that keep the file's line
//! breaks, its blank lines and the state of its last line as they are.

use std::ops::Range;

use crate::config::edit::layout::Layout;

/// Bytes to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Splice {
    /// Takes bytes out.
    pub(super) fn cut(range: Range<usize>) -> Self {
        Self {
            range,
            text: String::new(),
        }
    }

    /// Puts bytes in.
    pub(super) fn put(at: usize, text: impl Into<String>) -> Self {
        Self {
            range: at..at,
            text: text.into(),
        }
    }
}

/// The text with the splices done. They must not overlap.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|s| (s.range.start, s.range.end));
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for splice in splices {
        out.push_str(text.get(from..splice.range.start).unwrap_or_default());
        out.push_str(&splice.text);
        from = splice.range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// The byte order mark's length, if there is one.
pub(super) fn head(text: &str) -> usize {
    if text.starts_with('\u{feff}') { 3 } else { 0 }
}

/// Where the line with this byte begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(head(text), |i| i + 1)
}

/// Behind the line break of the line with this byte, or the text's end.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |i| at + i + 1)
}

/// The line break in use at this byte: that of its line, else of the line before, else of the whole text.
pub(super) fn newline(text: &str, at: usize) -> &'static str {
    let crlf = |end: usize| text[..end].ends_with("\r\n");
    let end = line_end(text, at);
    if text[..end].ends_with('\n') && end > at {
        return if crlf(end) { "\r\n" } else { "\n" };
    }
    match text[..at].rfind('\n') {
        Some(i) if crlf(i + 1) => "\r\n",
        _ => "\n",
    }
}

/// Whether the line that begins here is blank.
fn is_blank(text: &str, start: usize) -> bool {
    text[start..line_end(text, start)].trim().is_empty()
}

fn is_comment(text: &str, start: usize) -> bool {
    text[start..line_end(text, start)]
        .trim_start()
        .starts_with('#')
}

/// Whether a comment is about the table or key below it: neither an editor's directive (`#:schema`) nor a key or header
/// that somebody has commented out, which is a thing of its own.
fn is_about_below(text: &str, start: usize) -> bool {
    let line = text[start..line_end(text, start)].trim();
    let Some(words) = line.strip_prefix('#').filter(|w| !w.starts_with(':')) else {
        return false;
    };
    let code = words.trim_start_matches('#').trim();
    let parsed = toml::de::DeTable::parse(code);
    !parsed.is_ok_and(|table| !table.get_ref().is_empty())
}

/// Where the comment lines directly above a line begin, not before `floor`; the line's own start where there are none.
pub(super) fn lead(text: &str, start: usize, floor: usize) -> usize {
    let mut first = start;
    while first > floor {
        let above = line_start(text, first - 1);
        if above < floor || !is_comment(text, above) || !is_about_below(text, above) {
            break;
        }
        first = above;
    }
    first
}

/// Behind the comment lines directly below a line's end, up to `limit`.
fn tail(text: &str, mut end: usize, limit: usize) -> usize {
    while end < limit && is_comment(text, end) {
        end = line_end(text, end);
    }
    end
}

/// Behind the last thing above a section's header.
fn floor(text: &str, layout: &Layout, section: usize) -> usize {
    layout.sections[..section]
        .iter()
        .rev()
        .find_map(super::layout::Section::end)
        .map_or(head(text), |end| line_end(text, end))
}

/// Where a section begins: at the comments directly above its header.
pub(super) fn section_start(text: &str, layout: &Layout, section: usize) -> usize {
    let Some(header) = layout.sections.get(section).and_then(|s| s.header.as_ref()) else {
        return head(text);
    };
    let line = line_start(text, header.span.start);
    lead(text, line, floor(text, layout, section))
}

/// Where a section ends: behind its last line and the comments that follow it without a blank line, unless they stand
/// directly above the next header.
pub(super) fn section_end(text: &str, layout: &Layout, section: usize) -> usize {
    let limit = match layout.sections.get(section + 1) {
        Some(_) => section_start(text, layout, section + 1),
        None => text.len(),
    };
    let Some(end) = layout
        .sections
        .get(section)
        .and_then(super::layout::Section::end)
    else {
        return head(text).min(limit);
    };
    tail(text, line_end(text, end).min(limit), limit)
}

/// Lines put behind the line with byte `at`, in its line break; the text's end keeps or keeps lacking its own.
pub(super) fn put_lines(text: &str, at: usize, lines: &[String]) -> Splice {
    put_at(text, line_end(text, at), newline(text, at), lines)
}

/// Lines put at a line's border.
pub(super) fn put_at(text: &str, border: usize, newline: &str, lines: &[String]) -> Splice {
    let fresh = border == head(text) || text[..border].ends_with('\n');
    let joined = lines.join(newline);
    let text = if fresh {
        format!("{joined}{newline}")
    } else {
        format!("{newline}{joined}")
    };
    Splice::put(border, text)
}

/// How many blank lines stand directly above a line's start.
pub(super) fn blanks_above(text: &str, start: usize) -> usize {
    let mut n = 0;
    let mut at = start;
    while at > head(text) {
        at = line_start(text, at - 1);
        if !is_blank(text, at) {
            break;
        }
        n += 1;
    }
    n
}

/// Whether the text ends or a blank line follows at this border.
pub(super) fn ends_block(text: &str, border: usize) -> bool {
    border >= text.len() || is_blank(text, border)
}

/// Takes whole lines out. Of the blank lines around them those above go as well, where there would else be more of them
/// than before; at the text's beginning those below go.
pub(super) fn cut_lines(text: &str, range: Range<usize>) -> Splice {
    let (mut start, mut end) = (range.start, range.end);
    let whole = !text[..end].ends_with('\n');
    if ends_block(text, end) {
        for _ in 0..blanks_above(text, start) {
            start = line_start(text, start - 1);
        }
    }
    if start == head(text) {
        while end < text.len() && is_blank(text, end) {
            end = line_end(text, end);
        }
    } else if whole {
        // The last line had no line break: now the one above has none.
        let above = &text[..start];
        let above = above.strip_suffix('\n').unwrap_or(above);
        start = above.strip_suffix('\r').unwrap_or(above).len();
    }
    Splice::cut(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, what: &str) -> String {
        let start = text.find(what).unwrap();
        let range = start..start + what.len();
        spliced(text, vec![cut_lines(text, range)])
    }

    #[test]
    fn blank_lines_do_not_pile_up_and_are_not_lost() {
        assert_eq!(cut("a\n\nb\n\nc\n", "b\n"), "a\n\nc\n");
        assert_eq!(cut("a\n\nb\nc\n", "b\n"), "a\n\nc\n");
        assert_eq!(cut("a\n\nb\n\nc\n", "a\n"), "b\n\nc\n");
        assert_eq!(cut("a\r\n\r\nb", "b"), "a");
        assert_eq!(cut("a\nb\n", "b\n"), "a\n");
        assert_eq!(cut("\u{feff}a\n\nb\n", "a\n"), "\u{feff}b\n");
    }

    #[test]
    fn comments_belong_to_what_stands_below_them() {
        let text = "x = 1\n# of y\n#: no\n# of z\n# z = 3\n# truly\nz = 2\n";
        let start = text.find("\nz = 2").unwrap() + 1;
        let from = |floor| &text[lead(text, start, floor)..start];
        assert_eq!(from(0), "# truly\n");
        assert_eq!(from(start), "");
        let layout = Layout::of("[a]\nx = 1\n# y = 2\n# of b\n[b]\n# own\n\n# far\n");
        let text = "[a]\nx = 1\n# y = 2\n# of b\n[b]\n# own\n\n# far\n";
        assert_eq!(
            &text[section_start(text, &layout, 2)..section_end(text, &layout, 2)],
            "# of b\n[b]\n# own\n"
        );
        assert_eq!(
            &text[..section_end(text, &layout, 1)],
            "[a]\nx = 1\n# y = 2\n"
        );
    }

    #[test]
    fn line_breaks_are_those_of_the_neighbour() {
        assert_eq!(newline("a\r\nb\n", 0), "\r\n");
        assert_eq!(newline("a\r\nb\n", 3), "\n");
        assert_eq!(newline("a\r\nb", 4), "\r\n");
        assert_eq!(newline("a", 0), "\n");
        let put = put_lines("a\r\nb", 3, &["c".into()]);
        assert_eq!(spliced("a\r\nb", vec![put]), "a\r\nb\r\nc");
    }
}
