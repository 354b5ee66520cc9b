//! Texts to raw tables. Each file is parsed as far as it can be, the trees are put together, and each table is decoded
//! until everything that is wrong in it is known.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::de::DeTable;

use crate::config::de;
use crate::config::diagnostic::{Code, Diagnostic, Span};
use crate::config::hint;
use crate::config::mask;
use crate::config::raw::{self, Raw};
use crate::config::source::{FileId, Files};
use crate::config::suggest;
use crate::config::syntax;
use crate::config::tree::{KeyPath, Node, Origin, Problem, Value};

/// The trees of all files, put together.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) tree: Node,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What must not be shown, as far as the text alone tells.
    pub(crate) masks: Vec<Span>,
    /// The places that are not TOML.
    pub(crate) broken: Vec<Span>,
}

/// Parses all files and puts them together.
pub(crate) fn parse(files: &Files) -> Parsed {
    let mut parsed = Parsed {
        tree: Node::table(Origin::File(FileId::ROOT)),
        diagnostics: files.problems().to_vec(),
        masks: Vec::new(),
        broken: Vec::new(),
    };
    for file in files {
        let (table, errors) = DeTable::parse_recoverable(&file.text);
        let cut = files
            .problems()
            .iter()
            .any(|d| d.code == Code::NotUtf8 && d.span.as_ref().is_some_and(|s| s.file == file.id));
        let (mut broken, mut twice) = (Vec::new(), Vec::new());
        for error in syntax::first_of_each(&file.text, &errors) {
            let diagnostic = syntax::diagnostic(file, error);
            // What is defined a second time is not in the tree either, so that nothing tells its secrets apart.
            match diagnostic.code {
                Code::Syntax => broken.extend(diagnostic.span.clone()),
                _ => twice.extend(diagnostic.span.clone()),
            }
            // What breaks off at a bad byte breaks off in the middle of something: one finding is enough.
            if !cut {
                parsed.diagnostics.push(diagnostic);
            }
        }
        // What follows was read as the inside of the list.
        if errors.iter().any(syntax::is_unclosed)
            && let Some(first) = broken.last().map(|s: &Span| s.range.start)
        {
            broken.push(Span {
                file: file.id,
                range: first..file.text.len(),
            });
        }
        twice.extend_from_slice(&broken);
        parsed
            .masks
            .extend(mask::of_broken_text(file.id, &file.text, &twice));
        parsed.broken.append(&mut broken);
        merge(&mut parsed, Node::from_file(file.id, &table));
    }
    version(&mut parsed);
    parsed
}

/// Takes one file's tables over into the common tree. The entries of a table may come from several files; one entry
/// comes from one file.
fn merge(parsed: &mut Parsed, file: Node) {
    let is_root = file.origin == Origin::File(FileId::ROOT);
    let (Value::Table(from), Value::Table(into)) = (file.value, &mut parsed.tree.value) else {
        return;
    };
    for (section, node) in from {
        match section.as_str() {
            "include" if !is_root => {
                parsed.diagnostics.push(
                    Diagnostic::new(
                        Code::Include,
                        "include",
                        "`include` is followed in the root file only",
                    )
                    .at(node.key_place())
                    .with_help("list the file in the root file's `include`".to_owned()),
                );
                continue;
            }
            "version" if !is_root => {
                check_version(&node, &mut parsed.diagnostics);
                continue;
            }
            _ => {}
        }
        let Some(there) = into.get_mut(&section) else {
            into.insert(section, node);
            continue;
        };
        let both = matches!(
            (&there.value, &node.value),
            (Value::Table(_), Value::Table(_))
        );
        if !both {
            let path = KeyPath::from([section.as_str()]);
            parsed.diagnostics.push(twice(&path, there, &node));
            parsed.masks.extend(mask::of_left_out(&node));
            continue;
        }
        if let (Value::Table(there), Value::Table(entries)) = (&mut there.value, node.value) {
            for (key, entry) in entries {
                match there.get(&key) {
                    Some(first) => {
                        let path = KeyPath::from([section.as_str(), key.as_str()]);
                        parsed.diagnostics.push(twice(&path, first, &entry));
                        parsed.masks.extend(mask::of_left_out(&entry));
                    }
                    None => {
                        there.insert(key, entry);
                    }
                }
            }
        }
    }
}

fn twice(path: &KeyPath, first: &Node, second: &Node) -> Diagnostic {
    Diagnostic::new(
        Code::DefinedTwice,
        path.to_string(),
        format!("`{path}` is defined in two files"),
    )
    .at(second.key_place())
    .with_label("defined again here")
    .with_place(first.key_place(), "first defined here")
    .with_help("keep one of them".to_owned())
}

fn version(parsed: &mut Parsed) {
    let path = KeyPath::from(["version"]);
    match parsed.tree.get(&path) {
        Some(node) => check_version(node, &mut parsed.diagnostics),
        // Where no root file could be read, that is the finding.
        None if parsed
            .diagnostics
            .iter()
            .any(|d| d.code == Code::Unreadable && d.key.is_empty()) => {}
        None => parsed.diagnostics.push(
            Diagnostic::new(
                Code::Version,
                "version",
                "`version` is missing: the root file must say which form it has",
            )
            .at(Some(Span {
                file: FileId::ROOT,
                range: 0..0,
            }))
            .with_help("write `version = 1` at the top".to_owned()),
        ),
    }
}

fn check_version(node: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let found = match node.value {
        Value::Int(1) => return,
        Value::Int(n) => format!("found {n}"),
        _ => "found something else".to_owned(),
    };
    diagnostics.push(
        Diagnostic::new(
            Code::Version,
            "version",
            format!("expected `version = 1`, {found}"),
        )
        .at(node.value_place()),
    );
}

/// Decodes every table of the tree. What is wrong is left on its nodes for [`problems`].
pub(crate) fn decode(tree: &Node) -> Raw {
    for (key, node) in tree.entries() {
        if !raw::KEYS.contains(&key.as_str()) {
            node.blame(Problem::UnknownKey(raw::KEYS));
        }
    }
    Raw::decode(tree)
}

/// One value or table of the root; its default where it is not there or nothing can be made of it.
pub(crate) fn section<T: DeserializeOwned + Default>(tree: &Node, name: &str) -> T {
    tree.get(&KeyPath::from([name]))
        .and_then(de::decode)
        .unwrap_or_default()
}

/// The entries of one named table.
pub(crate) fn named<T: DeserializeOwned>(tree: &Node, name: &str) -> BTreeMap<String, T> {
    let Some(node) = tree.get(&KeyPath::from([name])) else {
        return BTreeMap::new();
    };
    if node.as_table().is_none() {
        // Asked for as a table of anything, so that the finding is the usual one.
        let _ = de::decode::<AnyTable>(node);
    }
    node.entries()
        .filter_map(|(name, entry)| Some((name.clone(), de::decode(entry)?)))
        .collect()
}

/// A table of anything.
#[derive(serde::Deserialize)]
struct AnyTable {}

/// Everything that decoding found, with its place.
pub(crate) fn problems(tree: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    walk(tree, &mut KeyPath::default(), &mut |node, path| {
        if let Some(problem) = &*node.problem.borrow() {
            found.extend(describe(node, path, problem));
        }
    });
    found
}

/// Visits every node with its path.
pub(crate) fn walk(node: &Node, path: &mut KeyPath, visit: &mut impl FnMut(&Node, &KeyPath)) {
    visit(node, path);
    for (key, child) in node.entries() {
        path.0.push(key.into());
        walk(child, path, visit);
        path.0.pop();
    }
    for (i, child) in node.as_array().into_iter().flatten().enumerate() {
        path.0.push(i.into());
        walk(child, path, visit);
        path.0.pop();
    }
}

fn describe(node: &Node, path: &KeyPath, problem: &Problem) -> Option<Diagnostic> {
    let key = path.to_string();
    let mut diagnostic = match problem {
        Problem::UnknownKey(known) => {
            let last = path.keys().last().copied().unwrap_or_default().to_owned();
            let help = suggest::help(&last, known.iter().copied())
                .unwrap_or_else(|| format!("known keys here: {}", list(known)));
            Diagnostic::new(Code::UnknownKey, key, format!("unknown key `{last}`"))
                .at(node.key_place())
                .with_help(help)
        }
        Problem::Type { expected, found } => Diagnostic::new(
            Code::WrongType,
            key,
            format!("`{path}`: expected {expected}, found {found}"),
        )
        .at(node.value_place())
        .with_help(hint::of_key(path)),
        Problem::Choice { found, expected } => Diagnostic::new(
            Code::UnknownChoice,
            key,
            format!(
                "`{path}`: expected one of {}, found `{found}`",
                list(expected)
            ),
        )
        .at(node.value_place())
        .with_help(suggest::help(found, expected.iter().copied()).or_else(|| hint::of_key(path))),
        Problem::Missing(field) => {
            if node.as_table().is_some_and(|t| t.contains_key(*field)) || node.has_misspelt(field) {
                return None;
            }
            let path = path.with(*field);
            Diagnostic::new(
                Code::Missing,
                path.to_string(),
                format!("`{path}` is missing"),
            )
            .at(node.value_place())
            .with_help(hint::of_missing(&path))
        }
        Problem::Key(message) => Diagnostic::new(Code::Value, key, format!("`{path}`: {message}"))
            .at(node.key_place())
            .with_help("choose another name".to_owned()),
        // Without the child that was blamed, the rest looks wrong as well.
        Problem::Value(_) if node.entries().any(|(_, child)| child.is_bad()) => return None,
        Problem::Value(message) => {
            Diagnostic::new(Code::Value, key, format!("`{path}`: {message}"))
                .at(node.value_place())
                .with_help(hint::of_key(path))
        }
    };
    if let Origin::Env(name) = &node.origin {
        if diagnostic.code == Code::UnknownKey {
            diagnostic.code = Code::Overlay;
        }
        diagnostic.message = format!("environment variable `{name}`: {}", diagnostic.message);
    }
    Some(diagnostic)
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
