//! `anyOf`, `oneOf` and lists of types. Rules S5–S7.

use serde_json::{Map, Value};

use super::emit::order;
use super::kind::{Kind, infer, kinds};
use super::resolve::Merged;
use super::{Clean, Cleaner, SchemaTarget};

impl<'r> Cleaner<'r> {
    /// Works off the node's unions. Gives the finished node where it stays a union, else leaves in `merged` what the
    /// union came down to.
    pub(super) fn fold_unions(&mut self, merged: &mut Merged<'r>, depth: usize) -> Option<Clean> {
        merged.nullable |= kinds(merged).contains(&Kind::Null);
        while let Some(union) = merged.take("anyOf").or_else(|| merged.take("oneOf")) {
            let Value::Array(list) = union.value else {
                continue;
            };
            let mut branches = Vec::with_capacity(list.len());
            for value in list.iter().filter(|v| **v != Value::Bool(false)) {
                if self.is_full(depth) {
                    break;
                }
                let branch = self.resolve(value, &union.trail, 0);
                if kinds(&branch) == [Kind::Null] {
                    merged.nullable = true;
                } else {
                    branches.push(branch);
                }
            }
            if let Some(constants) = constants(&branches) {
                merged.nullable |= branches.iter().any(|b| b.nullable);
                merged.constants = Some(constants);
            } else if branches.len() > 1 && has_shape(merged) && !branches.iter().any(has_shape) {
                // `{"properties": …, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}`: not a choice of types.
                merged.hint(format!("{} alternatives", branches.len()));
            } else if branches.len() > 1 && self.target == SchemaTarget::Gemini {
                return Some(self.keep_union(merged, branches, depth));
            } else if let Some(best) = best(&branches) {
                if branches.len() > 1 {
                    merged.hint(format!("or {}", other_kinds(&branches, best)));
                }
                merged.merge(branches.swap_remove(best));
            }
        }
        None
    }

    /// The node becomes nothing but `anyOf` (S6).
    fn keep_union(
        &mut self,
        merged: &Merged<'r>,
        branches: Vec<Merged<'r>>,
        depth: usize,
    ) -> Clean {
        let mut cleaned = Vec::with_capacity(branches.len());
        for mut branch in branches {
            // What all branches share stands beside the union and would be lost with it.
            if merged.has_properties && (branch.has_properties || !has_shape(&branch)) {
                branch.merge(merged.members());
            }
            cleaned.push(self.build(branch, depth + 1));
        }
        self.join(merged, cleaned)
    }

    /// One branch for each type (S7).
    pub(super) fn split_types(
        &mut self,
        merged: &Merged<'r>,
        types: &[Kind],
        depth: usize,
    ) -> Clean {
        let mut cleaned = Vec::with_capacity(types.len());
        for kind in types {
            let mut branch = merged.clone();
            branch.nullable = false;
            cleaned.push(self.emit(&branch, *kind, depth + 1, true));
        }
        self.join(merged, cleaned)
    }

    fn join(&mut self, merged: &Merged<'r>, cleaned: Vec<Clean>) -> Clean {
        let description = self.describe(merged, &merged.hints);
        let mut branches: Vec<Map<String, Value>> = Vec::new();
        for clean in cleaned {
            for branch in flatten(clean.schema) {
                let branch = dress(branch, description.as_deref(), merged.nullable);
                if !branches.contains(&branch) {
                    branches.push(branch);
                }
            }
        }
        if branches.len() == 1
            && let Some(schema) = branches.pop()
        {
            return Clean {
                nullable: schema.contains_key("nullable"),
                schema,
            };
        }
        let mut schema = Map::new();
        schema.insert(
            "anyOf".to_owned(),
            Value::Array(branches.into_iter().map(Value::Object).collect()),
        );
        Clean {
            schema,
            nullable: false,
        }
    }
}

/// The branches of a node that is nothing but a union, else the node itself.
pub(super) fn flatten(mut schema: Map<String, Value>) -> Vec<Map<String, Value>> {
    match schema.remove("anyOf") {
        Some(Value::Array(branches)) => branches
            .into_iter()
            .filter_map(|b| match b {
                Value::Object(map) => Some(map),
                _ => None,
            })
            .collect(),
        _ => vec![schema],
    }
}

/// Puts on a branch what stood beside the union.
fn dress(
    mut branch: Map<String, Value>,
    description: Option<&str>,
    nullable: bool,
) -> Map<String, Value> {
    if let Some(text) = description
        && !branch.contains_key("description")
    {
        branch.insert("description".to_owned(), Value::from(text));
    }
    if nullable {
        branch.insert("nullable".to_owned(), Value::Bool(true));
    }
    order(branch)
}

/// Whether the schema says what kind of value it is for, and not only how it is bounded.
fn has_shape(merged: &Merged<'_>) -> bool {
    merged.opaque
        || merged.has_properties
        || merged.constants.is_some()
        || [
            "type",
            "items",
            "prefixItems",
            "enum",
            "const",
            "anyOf",
            "oneOf",
        ]
        .iter()
        .any(|k| merged.has(k))
}

/// The texts, where every branch is nothing but constant texts.
fn constants<'r>(branches: &[Merged<'r>]) -> Option<Vec<&'r str>> {
    if branches.len() < 2 {
        return None;
    }
    let mut all = Vec::new();
    for branch in branches {
        if !matches!(kinds(branch)[..], [] | [Kind::String]) || branch.has_properties {
            return None;
        }
        match (branch.get("const"), branch.get("enum")) {
            (Some(Value::String(text)), _) => all.push(text.as_str()),
            (None, Some(Value::Array(list))) if !list.is_empty() => {
                for value in list {
                    all.push(value.as_str()?);
                }
            }
            _ => return None,
        }
    }
    Some(all)
}

/// The branch that says most: an object, else a list, else the first.
fn best(branches: &[Merged<'_>]) -> Option<usize> {
    let of = |kind: Kind| branches.iter().position(|b| shape(b) == Some(kind));
    of(Kind::Object)
        .or_else(|| of(Kind::Array))
        .or((!branches.is_empty()).then_some(0))
}

fn shape(branch: &Merged<'_>) -> Option<Kind> {
    kinds(branch).first().copied().or_else(|| infer(branch))
}

fn other_kinds(branches: &[Merged<'_>], best: usize) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (n, branch) in branches.iter().enumerate() {
        let name = shape(branch).map_or("any", Kind::lower);
        if n != best && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// One object that allows what any of the branches allows: for places where a union can't stand.
pub(super) fn one_object(branches: Vec<Value>) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required: Option<Vec<Value>> = None;
    let mut kind = None;
    let count = branches.len();
    for branch in branches {
        let Value::Object(mut branch) = branch else {
            continue;
        };
        let is_object = branch
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|t| t.eq_ignore_ascii_case("object"));
        if !is_object {
            continue;
        }
        kind = branch.remove("type").or(kind);
        if let Some(Value::Object(more)) = branch.remove("properties") {
            for (name, value) in more {
                properties.entry(name).or_insert(value);
            }
        }
        let names = match branch.remove("required") {
            Some(Value::Array(names)) => names,
            _ => Vec::new(),
        };
        required = Some(match required {
            None => names,
            Some(before) => before.into_iter().filter(|n| names.contains(n)).collect(),
        });
    }
    let mut out = Map::new();
    if let Some(kind) = kind {
        out.insert("type".to_owned(), kind);
        out.insert(
            "description".to_owned(),
            Value::from(format!("({count} alternatives)")),
        );
        out.insert("properties".to_owned(), Value::Object(properties));
        if let Some(names) = required.filter(|n| !n.is_empty()) {
            out.insert("required".to_owned(), Value::Array(names));
        }
    }
    out
}
