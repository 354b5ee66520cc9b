//! References and `allOf`: a node with everything that applies to it in one place. Rules S2–S4.

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Cleaner, STEPS};

/// Deepest nesting of references and `allOf` inside one node.
const LEVELS: usize = 64;

/// The references that were followed to reach a node: meeting one again is a cycle.
#[derive(Debug, Clone)]
pub(super) struct Trail<'r>(Option<Rc<Link<'r>>>);

#[derive(Debug)]
struct Link<'r> {
    pointer: Cow<'r, str>,
    before: Trail<'r>,
}

impl<'r> Trail<'r> {
    /// The trail of the root, which `#` refers to.
    pub(super) fn root() -> Self {
        Self(None).with(Cow::Borrowed(""))
    }

    fn with(&self, pointer: Cow<'r, str>) -> Self {
        Self(Some(Rc::new(Link {
            pointer,
            before: self.clone(),
        })))
    }

    fn contains(&self, pointer: &str) -> bool {
        let mut at = &self.0;
        while let Some(link) = at {
            if link.pointer == pointer {
                return true;
            }
            at = &link.before.0;
        }
        false
    }
}

/// A value of a node and the references that led to it.
#[derive(Debug, Clone)]
pub(super) struct Slot<'r> {
    pub(super) name: &'r str,
    pub(super) value: &'r Value,
    pub(super) trail: Trail<'r>,
}

/// Everything that applies to one node.
#[derive(Debug, Clone, Default)]
pub(super) struct Merged<'r> {
    /// The keywords but for `properties`, `required` and what resolving takes away.
    keys: Vec<Slot<'r>>,
    /// The properties in order.
    pub(super) properties: Vec<Slot<'r>>,
    /// Whether `properties` was written, be it empty.
    pub(super) has_properties: bool,
    /// The required names as they come.
    pub(super) required: Vec<&'r str>,
    /// What the description shall say of things left out.
    pub(super) hints: Vec<String>,
    /// A reference that can't be followed: stands for any object.
    pub(super) opaque: bool,
    /// Whether `null` is allowed.
    pub(super) nullable: bool,
    /// Constants that a union came down to.
    pub(super) constants: Option<Vec<&'r str>>,
}

impl<'r> Merged<'r> {
    /// The value of a keyword; `null` counts as absent but for `const`.
    pub(super) fn get(&self, name: &str) -> Option<&'r Value> {
        self.slot(name)
            .map(|s| s.value)
            .filter(|v| !v.is_null() || name == "const")
    }

    pub(super) fn slot(&self, name: &str) -> Option<&Slot<'r>> {
        self.keys.iter().find(|s| s.name == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Slot<'r>> {
        let at = self.keys.iter().position(|s| s.name == name)?;
        Some(self.keys.remove(at))
    }

    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        let hint = hint.into();
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }

    /// Only the properties and which of them are required.
    pub(super) fn members(&self) -> Self {
        Self {
            properties: self.properties.clone(),
            has_properties: self.has_properties,
            required: self.required.clone(),
            ..Self::default()
        }
    }

    /// Adds what another schema says of the same node. Own keys win, properties and required names are united.
    pub(super) fn merge(&mut self, other: Self) {
        let own_shape = self.has("type") || self.has_properties;
        self.opaque |= other.opaque && !own_shape;
        self.has_properties |= other.has_properties;
        self.nullable |= other.nullable;
        for slot in other.keys {
            if self.slot(slot.name).is_none() {
                self.keys.push(slot);
            }
        }
        let names: HashSet<&str> = self.properties.iter().map(|s| s.name).collect();
        let new: Vec<Slot<'r>> = other
            .properties
            .into_iter()
            .filter(|s| !names.contains(s.name))
            .collect();
        self.properties.extend(new);
        self.required.extend(other.required);
        for hint in other.hints {
            self.hint(hint);
        }
        if self.constants.is_none() {
            self.constants = other.constants;
        }
    }
}

impl<'r> Cleaner<'r> {
    /// Follows the node's references and merges its `allOf`.
    pub(super) fn resolve(
        &mut self,
        value: &'r Value,
        trail: &Trail<'r>,
        level: usize,
    ) -> Merged<'r> {
        let mut merged = Merged::default();
        let Value::Object(map) = value else {
            return merged;
        };
        self.steps += 1 + map.len();
        let reference = map.get("$ref").and_then(Value::as_str);
        for (name, value) in map {
            match (name.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    self.steps += properties.len();
                    merged.has_properties = true;
                    merged
                        .properties
                        .extend(properties.iter().map(|(name, value)| Slot {
                            name,
                            value,
                            trail: trail.clone(),
                        }));
                }
                ("required", Value::Array(names)) => {
                    merged
                        .required
                        .extend(names.iter().filter_map(Value::as_str));
                }
                ("$ref" | "allOf" | "$defs" | "definitions" | "properties" | "required", _) => {}
                ("nullable", Value::Bool(nullable)) => merged.nullable = *nullable,
                _ => merged.keys.push(Slot {
                    name,
                    value,
                    trail: trail.clone(),
                }),
            }
        }
        if let Some(reference) = reference {
            match self.target_of(reference, trail, level) {
                Some((target, trail)) => {
                    let target = self.resolve(target, &trail, level + 1);
                    merged.merge(target);
                }
                None => merged = opaque(merged, reference),
            }
        }
        if let Some(Value::Array(branches)) = map.get("allOf") {
            for branch in branches {
                if level > LEVELS || self.steps > STEPS {
                    break;
                }
                let branch = self.resolve(branch, trail, level + 1);
                merged.merge(branch);
            }
        }
        merged
    }

    /// What a reference points to; `None` for one that is remote, dangling or in a cycle.
    fn target_of(
        &self,
        reference: &'r str,
        trail: &Trail<'r>,
        level: usize,
    ) -> Option<(&'r Value, Trail<'r>)> {
        let fragment = reference.strip_prefix('#')?;
        let pointer = percent_decode_str(fragment).decode_utf8().ok()?;
        if level > LEVELS || self.steps > STEPS || trail.contains(&pointer) {
            return None;
        }
        let target = self.root.pointer(&pointer)?;
        Some((target, trail.with(pointer)))
    }
}

/// A node whose reference can't be followed keeps its description only (S3).
fn opaque<'r>(mut merged: Merged<'r>, reference: &str) -> Merged<'r> {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    let mut bare = Merged {
        opaque: true,
        nullable: merged.nullable,
        ..Merged::default()
    };
    bare.keys.extend(merged.take("description"));
    bare.hint(format!("a {name}"));
    bare
}
