//! The canonical order: that of the schema, which is that of the document. Entries with free names stay in the order that they
//! first appear in, and what the file's form does not have comes last.

use std::collections::BTreeMap;

use crate::config::format::{Document, Section};
use crate::config::schema::Shape;

/// Sorts the tables, and the keys in each. In a file with arrays of tables, which the form does not have, the order of tables
/// may mean something: it stays.
pub(super) fn sort(document: &mut Document) {
    for section in &mut document.sections {
        sort_keys(section);
    }
    let array = |s: &Section| s.header.as_ref().is_some_and(|h| h.array);
    if document.sections.iter().any(array) {
        return;
    }
    let mut order = Order::default();
    // The keys without a header come before all.
    document.sections.sort_by_cached_key(|section| {
        let header = section.header.as_ref();
        header.map_or_else(Vec::new, |h| order.place(Some(Shape::root()), &h.path).0)
    });
}

fn sort_keys(section: &mut Section) {
    let header = section.header.as_ref().map(|h| h.path.as_slice());
    let mut table = Some(Shape::root());
    for key in header.unwrap_or_default() {
        table = table.and_then(|shape| shape.child(key));
    }
    let mut order = Order::default();
    for item in &mut section.items {
        item.pair.shape = order.place(table, &item.pair.path).1;
    }
    section
        .items
        .sort_by_cached_key(|item| order.place(table, &item.pair.path).0);
}

/// Numbers for names in the order that they first appear in.
#[derive(Default)]
struct Order(BTreeMap<Vec<String>, usize>);

impl Order {
    /// What to sort a path by, and what stands there. A key that the form does not have goes by its first appearance too.
    fn place(&mut self, shape: Option<Shape>, path: &[String]) -> (Vec<usize>, Option<Shape>) {
        let mut shape = shape;
        let mut places = Vec::new();
        for (n, key) in path.iter().enumerate() {
            let next = self.0.len();
            let seen = *self.0.entry(path[..=n].to_vec()).or_insert(next);
            let rank = shape.map_or(usize::MAX, |s| s.rank(key));
            places.extend([rank, if rank == usize::MAX { seen } else { 0 }]);
            shape = shape.and_then(|s| s.child(key));
        }
        (places, shape)
    }
}
