//! The files' texts while they are being edited, each with its layout.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::edit::layout::{Item, Layout, Piece, Place};
use crate::config::edit::lines::{Splice, line_start, spliced};
use crate::config::source::Files;

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) layout: Layout,
}

impl Doc {
    /// Does the splices.
    pub(super) fn splice(&mut self, splices: Vec<Splice>) {
        self.text = spliced(&self.text, splices);
        self.layout = Layout::of(&self.text);
    }

    /// The white space before something on its line; none where something else stands there.
    pub(super) fn indent(&self, at: usize) -> &str {
        let before = &self.text[line_start(&self.text, at)..at];
        if before.trim().is_empty() { before } else { "" }
    }

    /// What stands between a key and its value, such as ` = `.
    pub(super) fn equals(&self, item: &Item) -> &str {
        let between = item
            .keys
            .last()
            .and_then(|key| self.text.get(key.span.end..item.val.span.start));
        between.unwrap_or(" = ")
    }

    /// The value of an entry as written.
    pub(super) fn raw(&self, item: &Item) -> &str {
        &self.text[item.val.span.clone()]
    }
}

/// All files, the root first.
#[derive(Debug, Clone)]
pub(super) struct Docs(pub(super) Vec<Doc>);

impl Docs {
    pub(super) fn of(files: &Files) -> Self {
        let docs = files.iter().map(|file| Doc {
            path: file.path.clone(),
            text: file.text.to_string(),
            layout: Layout::of(&file.text),
        });
        Self(docs.collect())
    }

    /// The texts as files.
    pub(super) fn files(&self) -> Files {
        Files::from_texts(
            self.0
                .iter()
                .map(|doc| (doc.path.clone(), doc.text.clone())),
        )
    }

    /// Every mention of a path, with its file.
    pub(super) fn pieces(&self, path: &[&str]) -> Vec<(usize, Piece)> {
        let mut found = Vec::new();
        for (n, doc) in self.0.iter().enumerate() {
            found.extend(doc.layout.pieces(path).into_iter().map(|piece| (n, piece)));
        }
        found
    }

    /// The entry whose key is the whole path, with its file.
    pub(super) fn exact(&self, path: &[&str]) -> Option<(usize, Place)> {
        self.pieces(path)
            .into_iter()
            .find_map(|(n, piece)| match piece {
                Piece::Item(place) if place.exact => Some((n, place)),
                _ => None,
            })
    }

    /// The names of what is in the table at a path, in one file.
    pub(super) fn children_in(&self, file: usize, path: &[&str]) -> BTreeSet<String> {
        let layout = &self.0[file].layout;
        let mut names = BTreeSet::new();
        let mut firsts = |items: &[Item]| {
            names.extend(
                items
                    .iter()
                    .filter_map(|i| Some(i.keys.first()?.name.clone())),
            );
        };
        let mut deeper = Vec::new();
        for piece in layout.pieces(path) {
            match piece {
                Piece::Header(n) => {
                    let section = &layout.sections[n];
                    match section.keys().get(path.len()) {
                        Some(key) => deeper.push(key.name.clone()),
                        None => firsts(&section.items),
                    }
                }
                Piece::Item(place) => {
                    let Some(item) = layout.item(&place) else {
                        continue;
                    };
                    match item.keys.get(place.at + 1) {
                        Some(key) => deeper.push(key.name.clone()),
                        None => firsts(item.table().unwrap_or_default()),
                    }
                }
            }
        }
        names.extend(deeper);
        names
    }

    /// The names of what is in the table at a path.
    pub(super) fn children(&self, path: &[&str]) -> BTreeSet<String> {
        (0..self.0.len())
            .flat_map(|n| self.children_in(n, path))
            .collect()
    }

    /// The file where most of what is in the table at a path stands; of equals the first.
    pub(super) fn home(&self, path: &[&str]) -> usize {
        let most = (0..self.0.len())
            .rev()
            .max_by_key(|n| self.children_in(*n, path).len());
        most.unwrap_or(0)
    }
}
