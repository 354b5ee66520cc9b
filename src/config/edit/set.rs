//! Values: set one, take one away, elements of lists.

use crate::config::edit::docs::Docs;
use crate::config::edit::layout::{Item, Kind, Piece, Place};
use crate::config::edit::lines::{
    Splice, cut_lines, head, lead, line_end, line_start, newline, put_at, put_lines,
};
use crate::config::edit::literal::Literal;
use crate::config::edit::meaning::Meaning;
use crate::config::edit::{Refused, Section, list, shown, table};
use crate::config::tree::quote_key;

/// Sets the value at a path, whatever is there now.
pub(super) fn set(docs: &mut Docs, path: &[&str], value: &Literal) -> Result<(), Refused> {
    let Some((file, place)) = docs.exact(path) else {
        let is_there = !docs.pieces(path).is_empty();
        return match value.entries() {
            Some(entries) if is_there => set_entries(docs, path, &entries),
            _ if is_there => {
                remove(docs, path)?;
                insert(docs, path, value)
            }
            _ => insert(docs, path, value),
        };
    };
    let doc = &mut docs.0[file];
    let Some(item) = doc.layout.item(&place) else {
        return Err(Refused::by_hand(path));
    };
    match (&item.val.kind, value.elements(), value.entries()) {
        (Kind::List(_), Some(new), _) => set_elements(docs, path, &new),
        (Kind::Table(_), _, Some(entries)) => set_entries(docs, path, &entries),
        _ => {
            let raw = doc.raw(item);
            if !same(raw, value) {
                let text = value.written(Some(raw));
                let range = item.val.span.clone();
                doc.splice(vec![Splice { range, text }]);
            }
            Ok(())
        }
    }
}

/// What a value as written means.
fn meaning(raw: &str) -> Option<Meaning> {
    let value: toml_edit::Value = raw.parse().ok()?;
    Some((&Literal::of(&value)).into())
}

fn same(raw: &str, value: &Literal) -> bool {
    meaning(raw).is_some_and(|m| m == value.into())
}

fn set_entries(
    docs: &mut Docs,
    path: &[&str],
    entries: &[(String, Literal)],
) -> Result<(), Refused> {
    let keep: Vec<&String> = entries.iter().map(|(key, _)| key).collect();
    for (key, value) in entries {
        set(docs, &[path, &[key]].concat(), value)?;
    }
    for key in docs.children(path) {
        if !keep.contains(&&key) {
            remove(docs, &[path, &[&key]].concat())?;
        }
    }
    Ok(())
}

/// Makes a list another one, leaving the elements that stay, and the comments at them, where they are.
fn set_elements(docs: &mut Docs, path: &[&str], new: &[Literal]) -> Result<(), Refused> {
    let (file, place) = docs.exact(path).ok_or_else(|| Refused::absent(path))?;
    let doc = &docs.0[file];
    let item = doc
        .layout
        .item(&place)
        .ok_or_else(|| Refused::by_hand(path))?;
    let raws: Vec<String> = list::items(&item.val)
        .iter()
        .map(|item| doc.raw(item).to_owned())
        .collect();
    let equal = |(raw, new): &(&String, &Literal)| same(raw, new);
    let head = raws.iter().zip(new).take_while(equal).count();
    let rest = raws.len().min(new.len()) - head;
    let ends = raws.iter().rev().zip(new.iter().rev()).take(rest);
    let tail = ends.take_while(equal).count();
    let (old_end, new_end) = (raws.len() - tail, new.len() - tail);
    let both = old_end.min(new_end);
    for (n, value) in new.iter().enumerate().take(both).skip(head) {
        replace(docs, path, n, value)?;
    }
    for n in (both..old_end).rev() {
        take(docs, path, n)?;
    }
    for (n, value) in new.iter().enumerate().take(new_end).skip(both) {
        put(docs, path, Some(n), value)?;
    }
    Ok(())
}

/// The list at a path: its file and entry.
fn list_at(docs: &Docs, path: &[&str]) -> Result<(usize, Item), Refused> {
    let (file, place) = docs.exact(path).ok_or_else(|| Refused::absent(path))?;
    let item = docs.0[file].layout.item(&place);
    match item {
        Some(item) if matches!(item.val.kind, Kind::List(_)) => Ok((file, item.clone())),
        _ => Err(Refused::Unfit(format!("`{}` is no list", shown(path)))),
    }
}

fn replace(docs: &mut Docs, path: &[&str], at: usize, value: &Literal) -> Result<(), Refused> {
    let (file, list) = list_at(docs, path)?;
    let doc = &mut docs.0[file];
    if let Some(item) = list::items(&list.val).get(at) {
        let text = value.written(Some(doc.raw(item)));
        let range = item.val.span.clone();
        doc.splice(vec![Splice { range, text }]);
    }
    Ok(())
}

/// Puts an element into a list, which is made where there is none.
pub(super) fn put(
    docs: &mut Docs,
    path: &[&str],
    at: Option<usize>,
    value: &Literal,
) -> Result<(), Refused> {
    if docs.pieces(path).is_empty() {
        let list: Literal = std::iter::once(value.clone()).collect();
        return insert(docs, path, &list);
    }
    let (file, item) = list_at(docs, path)?;
    let doc = &mut docs.0[file];
    let neighbour = list::items(&item.val).last().map(|item| doc.raw(item));
    let new = value.written(neighbour);
    let splices = list::put(&doc.text, &item.val, at.unwrap_or(usize::MAX), &new);
    doc.splice(splices);
    Ok(())
}

/// Takes an element out of a list.
pub(super) fn take(docs: &mut Docs, path: &[&str], at: usize) -> Result<(), Refused> {
    let (file, item) = list_at(docs, path)?;
    let n = list::items(&item.val).len();
    if at >= n {
        let message = format!("`{}` has {n} elements: there is none at {at}", shown(path));
        return Err(Refused::Unfit(message));
    }
    let doc = &mut docs.0[file];
    let splices = list::cut(&doc.text, &item.val, at);
    doc.splice(splices);
    Ok(())
}

/// Takes away what is at a path, every mention of it, with the comments directly above.
pub(super) fn remove(docs: &mut Docs, path: &[&str]) -> Result<(), Refused> {
    if docs.pieces(path).is_empty() {
        return Err(Refused::absent(path));
    }
    while let Some((file, piece)) = docs.pieces(path).pop() {
        let doc = &mut docs.0[file];
        let (text, layout) = (&doc.text, &doc.layout);
        let splices = match piece {
            Piece::Header(n) => vec![table::cut_section(text, layout, n)],
            Piece::Item(place) => match (layout.holder(&place), layout.item(&place)) {
                (Some(holder), Some(_)) => {
                    let at = place.way.last().copied().unwrap_or_default();
                    list::cut(text, &holder.val, at)
                }
                (None, Some(item)) => {
                    let line = line_start(text, item.span().start);
                    let floor = table::floor_of_line(text, layout, &place);
                    let range = lead(text, line, floor)..line_end(text, item.val.span.end);
                    vec![cut_lines(text, range)]
                }
                _ => return Err(Refused::by_hand(path)),
            },
        };
        if splices.iter().all(|s| s.range.is_empty()) {
            return Err(Refused::by_hand(path));
        }
        doc.splice(splices);
    }
    Ok(())
}

/// Writes a value where none is.
fn insert(docs: &mut Docs, path: &[&str], value: &Literal) -> Result<(), Refused> {
    let Some((key, up)) = path.split_last() else {
        return Err(Refused::by_hand(path));
    };
    if let ([section], Some(entries)) = (up, value.entries())
        && let Some(section) = Section::named(section)
    {
        return table::add(docs, section, key, &entries);
    }
    let line = |indent: &str, prefix: &str, equals: &str| {
        format!(
            "{indent}{prefix}{}{equals}{}",
            quote_key(key),
            value.written(None)
        )
    };
    let Some((first, rest)) = up.split_first() else {
        return insert_at_root(docs, &line("", "", " = "));
    };
    let home = if rest.is_empty() { docs.home(up) } else { 0 };
    let pieces = docs.pieces(up);
    let of_home = pieces
        .iter()
        .filter(|(file, _)| !rest.is_empty() || *file == home);
    let mut best: Option<(usize, &Piece)> = None;
    for (file, piece) in of_home {
        let rank = rank(docs, *file, piece, up.len());
        if best.is_none_or(|(file, best)| rank >= self::rank(docs, file, best, up.len())) {
            best = Some((*file, piece));
        }
    }
    let Some((file, piece)) = best else {
        return match rest {
            [] => {
                table::add_section(docs, first, &[line("", "", " = ")]);
                Ok(())
            }
            [_] if Section::named(first).is_some() => Err(Refused::absent(up)),
            _ => {
                let value = Literal::table([((*key).to_owned(), value.clone())]);
                insert(docs, up, &value)
            }
        };
    };
    let doc = &docs.0[file];
    let splices = match piece {
        Piece::Header(n) if doc.layout.sections[*n].keys().len() == up.len() => {
            let section = &doc.layout.sections[*n];
            let start = section.keys().first().map_or(0, |key| key.span.start);
            let (indent, equals, at) = match section.items.last() {
                Some(last) => (
                    doc.indent(last.span().start),
                    doc.equals(last),
                    last.val.span.end,
                ),
                None => ("", " = ", section.end().unwrap_or(start)),
            };
            vec![put_lines(&doc.text, at, &[line(indent, "", equals)])]
        }
        Piece::Header(n) => vec![table::header_before(doc, *n, up, &line("", "", " = "))],
        Piece::Item(place) => beside(docs, file, place, up, line)?,
    };
    docs.0[file].splice(splices);
    Ok(())
}

/// How well a new entry of a table goes beside a mention of the table.
fn rank(docs: &Docs, file: usize, piece: &Piece, depth: usize) -> u8 {
    match piece {
        Piece::Item(place) if place.exact => 3,
        Piece::Header(n) if docs.0[file].layout.sections[*n].keys().len() == depth => 2,
        Piece::Item(_) => 1,
        Piece::Header(_) => 0,
    }
}

/// Into an inline table, or below a dotted key of the same table.
fn beside(
    docs: &Docs,
    file: usize,
    place: &Place,
    up: &[&str],
    line: impl Fn(&str, &str, &str) -> String,
) -> Result<Vec<Splice>, Refused> {
    let doc = &docs.0[file];
    let item = doc.layout.item(place).ok_or_else(|| Refused::by_hand(up))?;
    if place.exact {
        let Some(inner) = item.table() else {
            return Err(Refused::Unfit(format!("`{}` is no table", shown(up))));
        };
        let equals = inner.last().map_or(" = ", |last| doc.equals(last));
        let new = line("", "", equals);
        return Ok(list::put(&doc.text, &item.val, usize::MAX, &new));
    }
    let start = item.span().start;
    let prefix = format!("{}.", &doc.text[start..item.keys[place.at].span.end]);
    let equals = doc.equals(item);
    Ok(if let Some(holder) = doc.layout.holder(place) {
        let new = line("", &prefix, equals);
        let at = place.way.last().map_or(usize::MAX, |at| at + 1);
        list::put(&doc.text, &holder.val, at, &new)
    } else {
        let new = line(doc.indent(start), &prefix, equals);
        vec![put_lines(&doc.text, item.val.span.end, &[new])]
    })
}

/// A key outside all tables, which must stand above the first header.
fn insert_at_root(docs: &mut Docs, line: &str) -> Result<(), Refused> {
    let Some(doc) = docs.0.first_mut() else {
        return Err(Refused::by_hand(&[]));
    };
    let lines = [line.to_owned()];
    let root = doc.layout.sections.first();
    let splice = if let Some(last) = root.and_then(|root| root.items.last()) {
        put_lines(&doc.text, last.val.span.end, &lines)
    } else {
        let head = head(&doc.text);
        put_at(&doc.text, head, newline(&doc.text, head), &lines)
    };
    doc.splice(vec![splice]);
    Ok(())
}
