//! Where everything stands in one file's text: headers, keys, values, commas, each with its bytes. It is made of the token
//! stream of the parser that `toml` and `toml_edit` themselves stand on, since their trees forget the place of all but
//! the first mention of a table's name (`[accounts.alice]`, then `[accounts.alice.x]`), and a rename needs every one.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, parse_document};

/// One segment of a key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

/// A value's place and what is in it.
#[derive(Debug, Clone)]
pub(super) struct Val {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value is, as far as places go.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar,
    List(Vec<Item>),
    Table(Vec<Item>),
}

/// `key = value` in a body or an inline table, or an element of a list, which has no key.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) keys: Vec<Key>,
    pub(super) val: Val,
    /// The place of the comma behind it.
    pub(super) comma: Option<usize>,
}

impl Item {
    /// From the first byte of its key, or of its value, to the last of its value.
    pub(super) fn span(&self) -> Range<usize> {
        let start = self
            .keys
            .first()
            .map_or(self.val.span.start, |k| k.span.start);
        start..self.val.span.end
    }

    /// What is in it, where it is an inline table.
    pub(super) fn table(&self) -> Option<&[Self]> {
        match &self.val.kind {
            Kind::Table(items) => Some(items),
            _ => None,
        }
    }
}

/// A header.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) keys: Vec<Key>,
    /// From its first bracket to its last.
    pub(super) span: Range<usize>,
}

/// A header and the lines below it; the first of a file has none.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) header: Option<Header>,
    pub(super) items: Vec<Item>,
}

impl Section {
    /// The header's segments.
    pub(super) fn keys(&self) -> &[Key] {
        self.header.as_ref().map_or(&[], |h| &h.keys)
    }

    /// The end of the last thing in it that is neither comment nor blank.
    pub(super) fn end(&self) -> Option<usize> {
        let header = self.header.as_ref().map(|h| h.span.end);
        self.items.last().map(|i| i.val.span.end).or(header)
    }
}

/// One file's sections in order.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) sections: Vec<Section>,
}

/// Where a key path is mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// In the header of this section.
    Header(usize),
    /// In a line.
    Item(Place),
}

/// The way to a line or to what is in its inline table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The section.
    pub(super) section: usize,
    /// Which line, then which of the inline table's entries, and so on.
    pub(super) way: Vec<usize>,
    /// Which of the entry's key segments is the path's last.
    pub(super) at: usize,
    /// Whether the path ends with that entry's key.
    pub(super) exact: bool,
}

impl Layout {
    /// Of a text that parses.
    pub(super) fn of(text: &str) -> Self {
        let source = Source::new(text);
        let tokens: Vec<_> = source.lex().collect();
        let mut events: Vec<Event> = Vec::new();
        let mut keep = |event: Event| events.push(event);
        parse_document(&tokens, &mut keep, &mut ());
        let mut reader = Reader {
            source,
            events: events.into_iter(),
        };
        reader.document()
    }

    /// Every mention of a path, in the text's order. What stands below a header of the path is not mentioned again.
    pub(super) fn pieces(&self, path: &[&str]) -> Vec<Piece> {
        let mut found = Vec::new();
        for (n, section) in self.sections.iter().enumerate() {
            let head = section.keys();
            if section.header.is_some() && head.len() >= path.len() {
                if begins(head, path) {
                    found.push(Piece::Header(n));
                }
                continue;
            }
            if !agree(head, path) {
                continue;
            }
            search(
                &section.items,
                &path[head.len()..],
                &mut Vec::new(),
                &mut |way, at, exact| {
                    found.push(Piece::Item(Place {
                        section: n,
                        way: way.to_vec(),
                        at,
                        exact,
                    }));
                },
            );
        }
        found
    }

    /// The entry at a place.
    pub(super) fn item(&self, place: &Place) -> Option<&Item> {
        let (first, rest) = place.way.split_first()?;
        let line = self.sections.get(place.section)?.items.get(*first)?;
        rest.iter().try_fold(line, |item, n| item.table()?.get(*n))
    }

    /// The inline table that holds the entry at a place; `None` where it is a line.
    pub(super) fn holder(&self, place: &Place) -> Option<&Item> {
        let (_, up) = place.way.split_last().filter(|(_, up)| !up.is_empty())?;
        self.item(&Place {
            way: up.to_vec(),
            ..place.clone()
        })
    }
}

/// Whether a header's segments begin with the path.
fn begins(keys: &[Key], path: &[&str]) -> bool {
    keys.len() >= path.len() && agree(keys, path)
}

/// Whether segments and path are the same as far as both go.
fn agree(keys: &[Key], path: &[&str]) -> bool {
    keys.iter().zip(path).all(|(key, name)| key.name == *name)
}

fn search(
    items: &[Item],
    path: &[&str],
    way: &mut Vec<usize>,
    found: &mut impl FnMut(&[usize], usize, bool),
) {
    for (n, item) in items.iter().enumerate() {
        if !agree(&item.keys, path) {
            continue;
        }
        way.push(n);
        if item.keys.len() >= path.len() {
            found(way, path.len() - 1, item.keys.len() == path.len());
        } else if let Some(inner) = item.table() {
            search(inner, &path[item.keys.len()..], way, found);
        }
        way.pop();
    }
}

struct Reader<'t> {
    source: Source<'t>,
    events: std::vec::IntoIter<Event>,
}

impl Reader<'_> {
    fn document(&mut self) -> Layout {
        let mut sections = vec![Section::default()];
        let mut keys: Vec<Key> = Vec::new();
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    let header = self.header(event.span().start());
                    sections.push(Section {
                        header: Some(header),
                        items: Vec::new(),
                    });
                }
                EventKind::SimpleKey => keys.push(self.key(&event)),
                EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen => {
                    let item = Item {
                        keys: std::mem::take(&mut keys),
                        val: self.value(&event),
                        comma: None,
                    };
                    if let Some(section) = sections.last_mut() {
                        section.items.push(item);
                    }
                }
                _ => {}
            }
        }
        Layout { sections }
    }

    fn header(&mut self, start: usize) -> Header {
        let mut header = Header {
            keys: Vec::new(),
            span: start..start,
        };
        while let Some(event) = self.events.next() {
            header.span.end = event.span().end();
            match event.kind() {
                EventKind::SimpleKey => header.keys.push(self.key(&event)),
                EventKind::StdTableClose | EventKind::ArrayTableClose => break,
                _ => {}
            }
        }
        header
    }

    fn key(&self, event: &Event) -> Key {
        let mut name = std::borrow::Cow::Borrowed("");
        if let Some(raw) = self.source.get(event) {
            raw.decode_key(&mut name, &mut ());
        }
        Key {
            name: name.into_owned(),
            span: event.span().start()..event.span().end(),
        }
    }

    fn value(&mut self, first: &Event) -> Val {
        let mut span = first.span().start()..first.span().end();
        let kind = match first.kind() {
            EventKind::ArrayOpen => Kind::List(self.items(&mut span.end)),
            EventKind::InlineTableOpen => Kind::Table(self.items(&mut span.end)),
            _ => Kind::Scalar,
        };
        Val { span, kind }
    }

    fn items(&mut self, end: &mut usize) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        while let Some(event) = self.events.next() {
            *end = event.span().end();
            match event.kind() {
                EventKind::SimpleKey => keys.push(self.key(&event)),
                EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen => {
                    items.push(Item {
                        keys: std::mem::take(&mut keys),
                        val: self.value(&event),
                        comma: None,
                    });
                }
                EventKind::ValueSep => {
                    if let Some(last) = items.last_mut() {
                        last.comma = Some(event.span().start());
                    }
                }
                EventKind::ArrayClose | EventKind::InlineTableClose => break,
                _ => {}
            }
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact<'l>(layout: &'l Layout, path: &[&str]) -> &'l Item {
        let pieces = layout.pieces(path);
        let found = pieces.iter().find_map(|piece| match piece {
            Piece::Item(place) if place.exact => layout.item(place),
            _ => None,
        });
        found.unwrap()
    }

    #[test]
    fn every_mention_of_a_name_is_found() {
        let text = "\u{feff}a.'b'.c = 1\r\n[a . b.d] # x\r\ny = [ 1, { z.w = 2, }, ]\r\n[q]\r\n[a.e]\r\nb = { \"b\" = 1 }\r\n";
        let layout = Layout::of(text);
        let seen: Vec<&str> = layout
            .pieces(&["a", "b"])
            .iter()
            .map(|piece| match piece {
                Piece::Header(n) => &text[layout.sections[*n].keys()[1].span.clone()],
                Piece::Item(place) => {
                    assert!(!place.exact);
                    &text[layout.item(place).unwrap().keys[place.at].span.clone()]
                }
            })
            .collect();
        assert_eq!(seen, ["'b'", "b"]);
        let inner = exact(&layout, &["a", "e", "b", "b"]);
        assert_eq!(&text[inner.span()], "\"b\" = 1");
        let list = exact(&layout, &["a", "b", "d", "y"]);
        let Kind::List(items) = &list.val.kind else {
            panic!("a list");
        };
        assert_eq!(&text[items[1].span()], "{ z.w = 2, }");
        assert_eq!(&text[items[1].comma.unwrap()..][..1], ",");
        assert_eq!(
            &text[layout.sections[1].header.as_ref().unwrap().span.clone()],
            "[a . b.d]"
        );
    }
}
