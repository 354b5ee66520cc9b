//! A bounded reader of YAML 1.2: values with the lines that they stand on, for files that somebody else wrote.
//!
//! A repeated key is an error, anchors are followed, and what they stand for counts anew at each place, so that a small
//! file can't become a large one. No message holds a value, since any value may be a secret.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Largest text in bytes.
pub(super) const MAX_TEXT: u64 = 4 << 20;
/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 32;
/// What all values together may cost: each its text and a flat rate.
const MAX_COST: usize = 64 << 20;
/// The flat rate of a value.
const FLAT: usize = 64;

/// A value and where it begins.
#[derive(Clone)]
pub(super) struct Node {
    /// Line, from 1; 0 where it was read from JSON.
    pub(super) line: usize,
    /// The value.
    pub(super) value: Value,
    depth: usize,
    cost: usize,
}

/// What a node holds. Nobody prints it: there is no `Debug`.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

/// An entry of a map.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Node,
}

impl Node {
    /// A map without entries.
    pub(super) fn empty() -> Self {
        Self::new(0, Value::Map(Vec::new()))
    }

    fn new(line: usize, value: Value) -> Self {
        let (depth, inner) = match &value {
            Value::Null => (0, 0),
            Value::Scalar(text) => (0, text.len()),
            Value::List(items) => inside(items.iter().map(|item| (item, 0))),
            Value::Map(pairs) => inside(pairs.iter().map(|pair| (&pair.value, pair.key.len()))),
        };
        Self {
            line,
            value,
            depth,
            cost: inner + FLAT,
        }
    }

    /// An entry of a map; one that is null counts as missing.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let pair = self.entries().iter().find(|pair| pair.key == key)?;
        (!matches!(pair.value.value, Value::Null)).then_some(&pair.value)
    }

    /// The entries, none where it is no map.
    pub(super) fn entries(&self) -> &[Pair] {
        match &self.value {
            Value::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// The items, none where it is no list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Scalar(text) => text.trim().is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(pairs) => pairs.is_empty(),
        }
    }

    /// A scalar's text without white space around it; `None` where it is none or empty.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// A truth value, in YAML 1.1's words too, since gateways in Python read those.
    pub(super) fn truth(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// A whole number.
    pub(super) fn int(&self) -> Option<i64> {
        self.text()?.replace('_', "").parse().ok()
    }

    /// A number.
    pub(super) fn number(&self) -> Option<f64> {
        let number: f64 = self.text()?.replace('_', "").parse().ok()?;
        number.is_finite().then_some(number)
    }
}

/// Depth and cost of what a list or map holds.
fn inside<'n>(children: impl Iterator<Item = (&'n Node, usize)>) -> (usize, usize) {
    children.fold((1, 0), |(depth, cost), (child, key)| {
        (depth.max(child.depth + 1), cost + child.cost + key)
    })
}

/// Reads one document; an empty text is an empty map.
///
/// # Errors
/// What is wrong and where: no YAML, a repeated key, too deep or too large, more than one document.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            format!("line {}: not YAML: {}", at.line(), error.info())
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.root.unwrap_or_else(Node::empty))
}

/// A list or map that is not complete.
enum Open {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    pairs: Vec<Pair>,
    seen: HashSet<String>,
    /// What `<<` brought, which the map's own keys override.
    merged: Vec<Pair>,
    key: Option<String>,
}

#[derive(Default)]
struct Reader {
    /// Each with its line and the id of its anchor.
    stack: Vec<(Open, usize, usize)>,
    anchors: HashMap<usize, Node>,
    spent: usize,
    root: Option<Node>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(format!(
                "line {line}: expected one YAML document, found more"
            )),
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(line, tag.as_deref())?;
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                self.finished(Node::new(line, value), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(line, tag.as_deref())?;
                self.open(Open::List(Vec::new()), line, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(line, tag.as_deref())?;
                self.open(Open::Map(OpenMap::default()), line, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, line, anchor)) = self.stack.pop() else {
                    return Ok(());
                };
                let value = match open {
                    Open::List(items) => Value::List(items),
                    Open::Map(map) => Value::Map(map.close()),
                };
                self.finished(Node::new(line, value), anchor)
            }
            Event::Alias(id) => {
                let node = self.anchors.get(&id).ok_or_else(|| {
                    format!("line {line}: an alias stands inside of what it stands for")
                })?;
                if self.stack.len() + node.depth > MAX_DEPTH {
                    return Err(too_deep(line));
                }
                // Before it is copied, not after.
                self.spent = spend(self.spent, node.cost, line)?;
                let node = node.clone();
                self.place(node)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, line: usize, anchor: usize) -> Result<(), String> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        self.stack.push((open, line, anchor));
        Ok(())
    }

    /// A value that was read whole.
    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        let own = match &node.value {
            Value::Scalar(text) => text.len() + FLAT,
            _ => FLAT,
        };
        self.spent = spend(self.spent, own, node.line)?;
        if anchor > 0 {
            self.spent = spend(self.spent, node.cost, node.line)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node)
    }

    fn place(&mut self, node: Node) -> Result<(), String> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(items), ..)) => items.push(node),
            Some((Open::Map(map), ..)) => map.add(node)?,
        }
        Ok(())
    }
}

impl OpenMap {
    fn add(&mut self, node: Node) -> Result<(), String> {
        let line = node.line;
        let Some(key) = self.key.take() else {
            let key = match node.value {
                Value::Scalar(text) => text,
                Value::Null => "null".to_owned(),
                Value::List(_) | Value::Map(_) => {
                    return Err(format!("line {line}: expected a text as key"));
                }
            };
            if key != "<<" && !self.seen.insert(key.clone()) {
                let key: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(format!(
                    "line {line}: key `{key}` stands in this map already"
                ));
            }
            self.key = Some(key);
            return Ok(());
        };
        if key != "<<" {
            self.pairs.push(Pair { key, value: node });
            return Ok(());
        }
        match node.value {
            Value::Map(pairs) => self.merged.extend(pairs),
            Value::List(items) => {
                for item in items {
                    match item.value {
                        Value::Map(pairs) => self.merged.extend(pairs),
                        _ => return Err(format!("line {line}: expected maps to merge")),
                    }
                }
            }
            _ => return Err(format!("line {line}: expected a map to merge")),
        }
        Ok(())
    }

    /// Its own entries, then those merged in whose keys it does not have; of those the first counts.
    fn close(mut self) -> Vec<Pair> {
        for pair in self.merged {
            if self.seen.insert(pair.key.clone()) {
                self.pairs.push(pair);
            }
        }
        self.pairs
    }
}

fn spend(spent: usize, cost: usize, line: usize) -> Result<usize, String> {
    match spent + cost {
        sum if sum > MAX_COST => Err(format!(
            "line {line}: the file holds more than {} MiB of values, its aliases written out",
            MAX_COST >> 20
        )),
        sum => Ok(sum),
    }
}

fn too_deep(line: usize) -> String {
    format!("line {line}: nested more than {MAX_DEPTH} deep")
}

/// YAML's own tags say what is clear anyway; others would mean something that nobody here knows.
fn check_tag(line: usize, tag: Option<&Tag>) -> Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() && !tag.suffix.is_empty() => Err(format!(
            "line {line}: a tag of its own stands before a value, which can't be read here"
        )),
        _ => Ok(()),
    }
}

/// From JSON, with the same shape. The depth is the JSON reader's to bound, the size that of the text.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        fn scalar(text: String) -> Node {
            Node::new(0, Value::Scalar(text))
        }

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::new(0, Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(scalar(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(scalar(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(scalar(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(scalar(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(scalar(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::new(0, Value::List(items)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    pairs.push(Pair { key, value });
                }
                Ok(Node::new(0, Value::Map(pairs)))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn refused(text: &str) -> String {
        parse(text).err().expect("this must be refused")
    }

    #[test]
    fn values_and_their_lines() {
        let node = parse("a: 1\nb:\n  - x\n  - 'true'\nc: ~\nd: { e: 2.5, f: off }\n").unwrap();
        assert_eq!(node.get("a").unwrap().int(), Some(1));
        let list = node.get("b").unwrap().items();
        assert_eq!((list[1].line, list[1].text()), (4, Some("true")));
        assert!(node.get("c").is_none() && node.get("z").is_none());
        let d = node.get("d").unwrap();
        assert_eq!(d.get("e").unwrap().number(), Some(2.5));
        assert_eq!(d.get("f").unwrap().truth(), Some(false));
        assert!(parse("").unwrap().is_empty() && parse("# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let node = parse(
            "base: &b { key: one, other: 1 }\nx:\n  <<: *b\n  key: two\ny: *b\nz:\n  <<: [*b, { more: 3, key: no }]\n",
        )
        .unwrap();
        let of = |map: &str, key: &str| {
            let value = node.get(map).unwrap().get(key).unwrap();
            value.text().unwrap().to_owned()
        };
        assert_eq!(
            (of("x", "key"), of("x", "other")),
            ("two".into(), "1".into())
        );
        assert_eq!(
            (of("y", "key"), of("z", "key")),
            ("one".into(), "one".into())
        );
        assert_eq!(of("z", "more"), "3");
    }

    #[test]
    fn rubbish_is_refused_with_its_line() {
        for (text, line, said) in [
            ("a: 1\na: 2\n", 2, "key `a`"),
            ("a: 1\n---\nb: 2\n", 2, "one YAML document"),
            ("a: &x [*x]\n", 1, "inside of what it stands for"),
            ("a: !ENV ${SECRET}\n", 1, "tag"),
            ("a: b: c\n", 1, "not YAML"),
            ("a: 'open\n", 1, "not YAML"),
            ("? [1]\n: x\n", 1, "text as key"),
            ("a:\n  <<: text\n", 2, "map to merge"),
        ] {
            let why = refused(text);
            assert!(why.contains(said), "{text:?}: {why}");
            assert!(
                why.contains("line ") && !why.contains("SECRET"),
                "{text:?} line {line}: {why}"
            );
        }
    }

    #[test]
    fn depth_is_bounded_also_by_aliases() {
        assert!(refused(&"[".repeat(100)).contains("deep"));
        // The parser has a limit of its own, which it may reach first.
        assert!(refused(&"[".repeat(100_000)).contains("recursion limit"));
        assert!(refused(&format!("a: {}", "{ b: ".repeat(5_000))).contains("deep"));
        // Each line nests what the line before stands for.
        let mut text = "a0: &a0 [x]\n".to_owned();
        for i in 1..60 {
            writeln!(text, "a{i}: &a{i} [*a{}]", i - 1).unwrap();
        }
        assert!(refused(&text).contains("deep"));
    }

    #[test]
    fn a_small_file_does_not_become_a_large_one() {
        let mut text = "a0: &a0 lol\n".to_owned();
        for i in 1..12 {
            let ten = vec![format!("*a{}", i - 1); 10].join(", ");
            writeln!(text, "a{i}: &a{i} [{ten}]").unwrap();
        }
        assert!(refused(&text).contains("64 MiB"));
        let long = "x".repeat(1 << 20);
        let text = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 1000].join(", "));
        assert!(refused(&text).contains("64 MiB"));
    }

    #[test]
    fn json_has_the_same_shape() {
        let node: Node =
            serde_json::from_str(r#"{"a": "\ud83d\ude00", "b": [true, null, 3], "c": -1.5}"#)
                .unwrap();
        assert_eq!(node.get("a").unwrap().text(), Some("😀"));
        assert_eq!(node.get("b").unwrap().items()[0].truth(), Some(true));
        assert_eq!(node.get("c").unwrap().number(), Some(-1.5));
    }
}
