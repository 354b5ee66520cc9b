//! Tables: add one after its siblings and in their manner, rename one with everything that refers to it, and where its
//! lines begin and end.

use crate::config::edit::docs::{Doc, Docs};
use crate::config::edit::layout::{Header, Item, Kind, Layout, Piece, Place, Val};
use crate::config::edit::lines::{
    Splice, blanks_above, cut_lines, ends_block, head, line_end, line_start, newline, put_at,
    put_lines, section_end, section_start,
};
use crate::config::edit::literal::{Literal, key_like};
use crate::config::edit::{Refused, Section, list};
use crate::config::raw::KEYS;
use crate::config::tree::quote_key;

/// Takes a header's lines out, with its comments, and the blank lines above where others follow.
pub(super) fn cut_section(text: &str, layout: &Layout, n: usize) -> Splice {
    let range = section_start(text, layout, n)..section_end(text, layout, n);
    cut_lines(text, range)
}

/// Behind what stands above a line of a body.
pub(super) fn floor_of_line(text: &str, layout: &Layout, place: &Place) -> usize {
    let section = &layout.sections[place.section];
    let above = match place.way.first().and_then(|n| n.checked_sub(1)) {
        Some(n) => section.items.get(n).map(|item| item.val.span.end),
        None => section.header.as_ref().map(|h| h.span.end),
    };
    above.map_or(head(text), |end| line_end(text, end))
}

/// A header of its own for a table that only deeper headers mention, before the first of them.
pub(super) fn header_before(doc: &Doc, n: usize, path: &[&str], line: &str) -> Splice {
    let first = (0..=n)
        .find(|n| {
            let keys = doc.layout.sections[*n].keys();
            keys.len() > path.len() && keys.iter().zip(path).all(|(k, p)| k.name == *p)
        })
        .unwrap_or(n);
    let at = section_start(&doc.text, &doc.layout, first);
    let path: Vec<String> = path.iter().map(|key| quote_key(key)).collect();
    let lines = [
        format!("[{}]", path.join(".")),
        line.to_owned(),
        String::new(),
    ];
    put_at(&doc.text, at, newline(&doc.text, at), &lines)
}

/// A section that no file has so far, in the root file, where the sample file has it.
pub(super) fn add_section(docs: &mut Docs, name: &str, lines: &[String]) {
    let Some(doc) = docs.0.first_mut() else {
        return;
    };
    let rank = |key: &str| KEYS.iter().position(|section| *section == key);
    let first = name.split('.').next().unwrap_or(name);
    let sections = &doc.layout.sections;
    let after = sections.iter().rposition(|section| {
        let key = section.keys().first();
        key.is_none_or(|key| rank(&key.name) <= rank(first))
    });
    let mut block = vec![format!("[{name}]")];
    block.extend_from_slice(lines);
    let splice = block_after(doc, after.unwrap_or(0), 1, block);
    doc.splice(vec![splice]);
}

/// A block of lines behind a section, with blank lines before it.
fn block_after(doc: &Doc, n: usize, blanks: usize, block: Vec<String>) -> Splice {
    let text = &doc.text;
    let border = section_end(text, &doc.layout, n);
    let above = text[..border].trim_end_matches(['\n', '\r']).len();
    let last = &text[line_start(text, above)..above];
    let blanks = match border {
        border if border == head(text) => 0,
        // In a file without blank lines there, what follows stays as close.
        border if !ends_block(text, border) => 0,
        _ if last.trim_start().starts_with('#') => blanks.max(1),
        _ => blanks,
    };
    let mut lines = vec![String::new(); blanks];
    lines.extend(block);
    put_at(text, border, newline(text, above), &lines)
}

/// Adds a table after its siblings.
pub(super) fn add(
    docs: &mut Docs,
    section: Section,
    name: &str,
    values: &[(String, Literal)],
) -> Result<(), Refused> {
    let path = [section.as_str()];
    if !docs.pieces(&[section.as_str(), name]).is_empty() {
        return Err(Refused::present(&[section.as_str(), name]));
    }
    let home = docs.home(&path);
    let doc = &docs.0[home];
    let Some(last) = doc.layout.pieces(&path).pop() else {
        let lines = lines(values, "", "", " = ");
        let header = format!("{}.{}", section.as_str(), quote_key(name));
        add_section(docs, &header, &lines);
        return Ok(());
    };
    let splices = match last {
        Piece::Header(n) => {
            let it = &doc.layout.sections[n];
            match (&it.header, it.items.last()) {
                (Some(header), last) if header.keys.len() > 1 || last.is_none() => {
                    vec![add_header(doc, n, header, section, name, values)]
                }
                (_, Some(last)) => vec![add_line(doc, last, 0, name, values)],
                _ => return Err(Refused::by_hand(&path)),
            }
        }
        Piece::Item(place) => {
            let Some(item) = doc.layout.item(&place) else {
                return Err(Refused::by_hand(&path));
            };
            if place.exact {
                let new = format!("{} = {}", quote_key(name), inline(values));
                list::put(&doc.text, &item.val, usize::MAX, &new)
            } else {
                vec![add_line(doc, item, 1, name, values)]
            }
        }
    };
    docs.0[home].splice(splices);
    Ok(())
}

fn inline(values: &[(String, Literal)]) -> String {
    Literal::table(values.iter().cloned()).written(None)
}

fn lines(values: &[(String, Literal)], indent: &str, prefix: &str, equals: &str) -> Vec<String> {
    let line = |(key, value): &(String, Literal)| {
        format!(
            "{indent}{prefix}{}{equals}{}",
            quote_key(key),
            value.written(None)
        )
    };
    values.iter().map(line).collect()
}

/// Below the section `n`, whose header is a sibling's or that of the table of all siblings.
fn add_header(
    doc: &Doc,
    n: usize,
    header: &Header,
    section: Section,
    name: &str,
    values: &[(String, Literal)],
) -> Splice {
    let text = &doc.text;
    let (open, close) = match header.keys.as_slice() {
        [_, own] => (
            text[header.span.start..own.span.start].to_owned(),
            &text[own.span.end..header.span.end],
        ),
        _ => (format!("[{}.", section.as_str()), "]"),
    };
    let sibling = &doc.layout.sections[n];
    let (indent, equals) = match sibling.items.first() {
        Some(item) => (doc.indent(item.span().start), doc.equals(item)),
        None => ("", " = "),
    };
    let mut block = vec![format!(
        "{}{open}{}{close}",
        doc.indent(header.span.start),
        quote_key(name)
    )];
    block.extend(lines(values, indent, "", equals));
    let above = n
        .checked_sub(1)
        .and_then(|n| doc.layout.sections[n].keys().first());
    let blanks = match above {
        Some(key) if key.name == section.as_str() => {
            blanks_above(text, section_start(text, &doc.layout, n))
        }
        _ => 1,
    };
    block_after(doc, n, blanks, block)
}

/// Below a sibling that is a line: `name = { ... }` or `name.key = ...`; `at` is which of its segments is the name.
fn add_line(
    doc: &Doc,
    sibling: &Item,
    at: usize,
    name: &str,
    values: &[(String, Literal)],
) -> Splice {
    let start = sibling.span().start;
    let own = &sibling.keys[at];
    let prefix = format!("{}{}", &doc.text[start..own.span.start], quote_key(name));
    let (indent, equals) = (doc.indent(start), doc.equals(sibling));
    let lines = if sibling.keys.len() > at + 1 && !values.is_empty() {
        lines(values, indent, &format!("{prefix}."), equals)
    } else {
        vec![format!("{indent}{prefix}{equals}{}", inline(values))]
    };
    put_lines(&doc.text, sibling.val.span.end, &lines)
}

/// Renames a table and everything that refers to it.
pub(super) fn rename(
    docs: &mut Docs,
    section: Section,
    from: &str,
    to: &str,
) -> Result<(), Refused> {
    let path = [section.as_str(), from];
    let pieces = docs.pieces(&path);
    if pieces.is_empty() {
        return Err(Refused::absent(&path));
    }
    if from == to {
        return Ok(());
    }
    if !docs.pieces(&[section.as_str(), to]).is_empty() {
        return Err(Refused::present(&[section.as_str(), to]));
    }
    let mut splices: Vec<Vec<Splice>> = vec![Vec::new(); docs.0.len()];
    for (file, piece) in pieces {
        let layout = &docs.0[file].layout;
        let key = match &piece {
            Piece::Header(n) => layout.sections[*n].keys().get(1),
            Piece::Item(place) => layout.item(place).and_then(|item| item.keys.get(place.at)),
        };
        let Some(key) = key else {
            return Err(Refused::by_hand(&path));
        };
        let like = &docs.0[file].text[key.span.clone()];
        splices[file].push(Splice {
            range: key.span.clone(),
            text: key_like(to, like, from),
        });
    }
    for (doc, splices) in docs.0.iter_mut().zip(splices) {
        let mut all = splices;
        all.extend(references(doc, section, from, to));
        if !all.is_empty() {
            doc.splice(all);
        }
    }
    Ok(())
}

/// The texts of a file that name the table.
fn references(doc: &Doc, section: Section, from: &str, to: &str) -> Vec<Splice> {
    let mut found = Vec::new();
    for part in &doc.layout.sections {
        let path: Vec<&str> = part.keys().iter().map(|key| key.name.as_str()).collect();
        for item in &part.items {
            each_value(&path, item, &mut |path, val| {
                let raw = &doc.text[val.span.clone()];
                let Ok(toml_edit::Value::String(text)) = raw.parse() else {
                    return;
                };
                if let Some(new) = renamed(section, path, text.value(), from, to) {
                    found.push(Splice {
                        range: val.span.clone(),
                        text: Literal::from(new.as_str()).written(Some(raw)),
                    });
                }
            });
        }
    }
    found
}

/// Visits the scalars of an entry with their paths; a list's elements have the list's.
fn each_value(path: &[&str], item: &Item, visit: &mut impl FnMut(&[&str], &Val)) {
    let keys = item.keys.iter().map(|key| key.name.as_str());
    let path: Vec<&str> = path.iter().copied().chain(keys).collect();
    match &item.val.kind {
        Kind::Scalar => visit(&path, &item.val),
        Kind::List(items) | Kind::Table(items) => {
            for item in items {
                each_value(&path, item, visit);
            }
        }
    }
}

/// What a text becomes where it names the table.
fn renamed(section: Section, path: &[&str], text: &str, from: &str, to: &str) -> Option<String> {
    let whole = || (text == from).then(|| to.to_owned());
    match (section, path) {
        (Section::Accounts, ["keys", _, "accounts"])
        | (Section::Groups, ["keys", _, "group"])
        | (Section::Upstreams, ["accounts", _, "upstream"])
        | (Section::Models, ["keys", _, "models"] | ["routing", "default_model"]) => whole(),
        (Section::Upstreams, ["models", _, "route"]) => {
            let model = text.strip_prefix(from)?.strip_prefix('/')?;
            Some(format!("{to}/{model}"))
        }
        _ => None,
    }
}
