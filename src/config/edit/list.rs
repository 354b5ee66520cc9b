//! What stands between brackets and commas, in lists and inline tables alike: put something in, take something out, in
//! the layout of the neighbours.

use std::ops::Range;

use crate::config::edit::layout::{Item, Kind, Val};
use crate::config::edit::lines::{Splice, head, lead, line_end, line_start, newline};

/// The items of a list or an inline table; none of a scalar.
pub(super) fn items(val: &Val) -> &[Item] {
    match &val.kind {
        Kind::List(items) | Kind::Table(items) => items,
        Kind::Scalar => &[],
    }
}

/// Whether nothing but white space stands before it on its line.
fn on_own_line(text: &str, item: &Item) -> bool {
    let start = item.span().start;
    text[line_start(text, start)..start].trim().is_empty()
}

/// The white space before it on its line.
fn indent<'t>(text: &'t str, item: &Item) -> &'t str {
    let start = item.span().start;
    &text[line_start(text, start)..start]
}

/// Where its comma stands, looked at only where it is on the item's own line.
fn near_comma(text: &str, item: &Item) -> Option<usize> {
    let end = item.val.span.end;
    item.comma.filter(|c| !text[end..*c].contains('\n'))
}

/// Puts `new` before the item at `at`, or behind the last.
pub(super) fn put(text: &str, val: &Val, at: usize, new: &str) -> Vec<Splice> {
    let items = items(val);
    let Some(last) = items.last() else {
        return vec![put_first(text, val, new)];
    };
    if let Some(next) = items.get(at) {
        let start = next.span().start;
        if !on_own_line(text, next) {
            return vec![Splice::put(start, format!("{new}, "))];
        }
        let floor = line_end(text, floor_of(items, val, at));
        let border = lead(text, line_start(text, start), floor);
        // A line that the last item's end or the bracket shares can't be split by whole lines.
        let text = format!("{}{new},{}", indent(text, next), newline(text, start));
        return vec![Splice::put(border, text)];
    }
    let end = last.val.span.end;
    if !on_own_line(text, last) || (last.comma.is_some() && near_comma(text, last).is_none()) {
        return vec![Splice::put(end, format!(", {new}"))];
    }
    let close = val.span.end - 1;
    let rest = last.comma.map_or(end, |c| c + 1);
    let line = line_end(text, rest);
    // The bracket on the last item's line stays there.
    let border = if line > close { rest } else { line };
    let fresh = text[..border].ends_with('\n');
    let newline = newline(text, line_start(text, end).max(1) - 1);
    let comma = if last.comma.is_some() { "," } else { "" };
    let line = if fresh {
        format!("{}{new}{comma}{newline}", indent(text, last))
    } else {
        format!("{newline}{}{new}{comma}", indent(text, last))
    };
    let mut splices = vec![Splice::put(border, line)];
    if last.comma.is_none() {
        if border == end {
            splices[0].text.insert(0, ',');
        } else {
            splices.push(Splice::put(end, ","));
        }
    }
    splices
}

/// Where what stands before the item at `at` ends.
fn floor_of(items: &[Item], val: &Val, at: usize) -> usize {
    match at.checked_sub(1).and_then(|n| items.get(n)) {
        Some(before) => before.comma.unwrap_or(before.val.span.end),
        None => val.span.start,
    }
}

/// Into empty brackets.
fn put_first(text: &str, val: &Val, new: &str) -> Splice {
    let inside = val.span.start + 1..val.span.end - 1;
    let space = &text[inside.clone()];
    let is_table = matches!(val.kind, Kind::Table(_));
    if space.is_empty() {
        let new = if is_table {
            format!(" {new} ")
        } else {
            new.to_owned()
        };
        return Splice::put(inside.start, new);
    }
    let Some(last_line) = space.rfind('\n') else {
        return Splice {
            range: inside,
            text: format!(" {new} "),
        };
    };
    // Several lines: below the opening bracket, indented like a comment there or one step deeper than the closing one.
    let border = line_end(text, inside.start);
    let comment = text[border..inside.end].find('#').map(|i| border + i);
    let indent = match comment.map(|at| &text[line_start(text, at)..at]) {
        Some(before) if before.trim().is_empty() => before.to_owned(),
        _ => format!("{}  ", &text[inside.start + last_line + 1..inside.end]),
    };
    Splice::put(
        border,
        format!("{indent}{new},{}", newline(text, inside.start)),
    )
}

/// Takes the item at `at` out, with what belongs to it: its comma, its line, the comments on its line and above it.
pub(super) fn cut(text: &str, val: &Val, at: usize) -> Vec<Splice> {
    let items = items(val);
    let Some(item) = items.get(at) else {
        return Vec::new();
    };
    let before = at.checked_sub(1).and_then(|n| items.get(n));
    let mut splices = Vec::new();
    let is_last = at + 1 == items.len();
    // A list that ends without a comma goes on doing so.
    if let Some(comma) = before
        .and_then(|b| b.comma)
        .filter(|_| is_last && item.comma.is_none())
    {
        splices.push(Splice::cut(comma..comma + 1));
    }
    if let Some(lines) = own_lines(text, val, items, at) {
        splices.push(Splice::cut(lines));
        return splices;
    }
    let span = item.span();
    let rest = near_comma(text, item)
        .or(item.comma)
        .map_or(span.end, |c| c + 1);
    let cut = match (before, items.get(at + 1)) {
        (_, Some(next)) if !text[rest..next.span().start].contains(['\n', '#']) => {
            span.start..next.span().start
        }
        (Some(before), None) => {
            // Its own comma, if any, now closes the list; without one the cut above has taken the one before.
            let border = before.val.span.end;
            if text[border..span.start].contains('#') {
                span.start..rest
            } else {
                border..span.end
            }
        }
        (None, None) => {
            let inside = val.span.start + 1..val.span.end - 1;
            let blank =
                |range: Range<usize>| text[range].bytes().all(|b| matches!(b, b' ' | b'\t'));
            let alone = blank(inside.start..span.start) && blank(rest..inside.end);
            match val.kind {
                // An empty table has no space in it, an empty list what it had.
                Kind::Table(_) if alone => inside,
                _ if alone && inside.start < span.start => span.start..inside.end,
                _ => span.start..rest,
            }
        }
        _ => span.start..rest,
    };
    splices.push(Splice::cut(cut));
    joined(splices)
}

/// The lines that the item has for itself, with the comments above it.
fn own_lines(text: &str, val: &Val, items: &[Item], at: usize) -> Option<Range<usize>> {
    let item = items.get(at)?;
    if !on_own_line(text, item) || (item.comma.is_some() && near_comma(text, item).is_none()) {
        return None;
    }
    let rest = item.comma.map_or(item.val.span.end, |c| c + 1);
    let end = line_end(text, rest);
    let after = text[rest..end].trim();
    if end > val.span.end - 1 || !(after.is_empty() || after.starts_with('#')) {
        return None;
    }
    let floor = line_end(text, floor_of(items, val, at)).max(head(text));
    let start = line_start(text, item.span().start);
    // Nothing of the item before may stand on the first line.
    (floor <= start).then(|| lead(text, start, floor)..end)
}

/// Neighbouring cuts as one, so that none overlaps another.
fn joined(mut splices: Vec<Splice>) -> Vec<Splice> {
    splices.sort_by_key(|s| s.range.start);
    splices.dedup_by(|next, first| {
        let touches = next.range.start <= first.range.end;
        if touches {
            first.range.end = first.range.end.max(next.range.end);
        }
        touches
    });
    splices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::layout::Layout;
    use crate::config::edit::lines::spliced;

    fn value(text: &str) -> Val {
        Layout::of(text).sections[0].items[0].val.clone()
    }

    fn with(text: &str, at: usize, new: &str) -> String {
        let text = format!("x = {text}\n");
        let out = spliced(&text, put(&text, &value(&text), at, new));
        toml::de::DeTable::parse(&out).unwrap();
        out.trim_start_matches("x = ").trim_end().to_owned()
    }

    fn without(text: &str, at: usize) -> String {
        let text = format!("x = {text}\n");
        let out = spliced(&text, cut(&text, &value(&text), at));
        toml::de::DeTable::parse(&out).unwrap();
        out.trim_start_matches("x = ").trim_end().to_owned()
    }

    #[test]
    fn a_new_element_looks_like_its_neighbours_and_goes_again() {
        for (before, after) in [
            ("[]", "[9]"),
            ("[ ]", "[ 9 ]"),
            ("{}", "{ k = 9 }"),
            ("[1]", "[1, 9]"),
            ("[ 1 ]", "[ 1, 9 ]"),
            ("[1,]", "[1, 9,]"),
            ("[ 1 , ]", "[ 1, 9 , ]"),
            ("{a = 1}", "{a = 1, k = 9}"),
            ("[\n  1,\n]", "[\n  1,\n  9,\n]"),
            (
                "[\n  1, # one\n  2  # two\n]",
                "[\n  1, # one\n  2,  # two\n  9\n]",
            ),
            (
                "[\n\t1, # one\n\t# of two\n\t2, # two\n\t# end\n]",
                "[\n\t1, # one\n\t# of two\n\t2, # two\n\t9,\n\t# end\n]",
            ),
            ("[\n  1\n]", "[\n  1,\n  9\n]"),
            ("[\n  1]", "[\n  1,\n  9]"),
            ("[\n  1, ]", "[\n  1,\n  9, ]"),
            ("[\r\n  1,\r\n]", "[\r\n  1,\r\n  9,\r\n]"),
            ("[ 1\n, 2\n]", "[ 1\n, 2, 9\n]"),
            ("[\n]", "[\n  9,\n]"),
            ("[\n    # none\n]", "[\n    9,\n    # none\n]"),
            ("[\n  1 # c\n  , 2 # d\n]", "[\n  1 # c\n  , 2, 9 # d\n]"),
            ("{\n  a = 1,\n}", "{\n  a = 1,\n  k = 9,\n}"),
        ] {
            let new = if before.starts_with('{') {
                "k = 9"
            } else {
                "9"
            };
            assert_eq!(with(before, usize::MAX, new), after, "{before}");
            let n = items(&value(&format!("x = {after}\n"))).len() - 1;
            if !matches!(before, "{}") {
                assert_eq!(without(after, n), before, "{after}");
            }
        }
    }

    #[test]
    fn elements_go_in_before_others_and_out_again() {
        for (before, at, after) in [
            ("[1, 2]", 0, "[9, 1, 2]"),
            ("[1, 2]", 1, "[1, 9, 2]"),
            (
                "[\n  1, # one\n  # of two\n  2\n]",
                1,
                "[\n  1, # one\n  9,\n  # of two\n  2\n]",
            ),
            ("[ # all\n  1,\n]", 0, "[ # all\n  9,\n  1,\n]"),
            ("[\n  1, 2,\n  3\n]", 1, "[\n  1, 9, 2,\n  3\n]"),
            ("[\n  1, 2,\n  3\n]", 2, "[\n  1, 2,\n  9,\n  3\n]"),
        ] {
            assert_eq!(with(before, at, "9"), after, "{before}");
            assert_eq!(without(after, at), before, "{after}");
        }
    }

    #[test]
    fn what_goes_takes_its_comments_and_leaves_those_of_others() {
        for (before, at, after) in [
            ("[\n  # of one\n  1, # one\n  2\n]", 0, "[\n  2\n]"),
            ("[ 1, # one\n 2 ]", 1, "[ 1 # one\n  ]"),
            ("[ 1, # one\n  2,\n]", 0, "[  # one\n  2,\n]"),
            ("[ 1, 2, ]", 1, "[ 1, ]"),
            ("[\n  1,\n\n  # of two\n  2,\n]", 1, "[\n  1,\n\n]"),
        ] {
            assert_eq!(without(before, at), after, "{before}");
        }
    }
}
