//! Bounds on numbers and counts. Rules S16 and S17.

use serde_json::{Map, Number, Value};

use super::kind::Kind;
use super::resolve::Merged;
use super::{Cleaner, SchemaTarget};

impl<'r> Cleaner<'r> {
    /// `minimum`, `maximum` and their exclusive forms (S16, S17).
    pub(super) fn bounds(
        &self,
        merged: &Merged<'r>,
        kind: Kind,
        out: &mut Map<String, Value>,
        hints: &mut Vec<String>,
    ) {
        let sides = [
            ("minimum", "exclusiveMinimum", 1_i64),
            ("maximum", "exclusiveMaximum", -1),
        ];
        for (plain, exclusive, step) in sides {
            let mut bound = merged.get(plain).filter(|v| v.is_number()).cloned();
            let beyond = match merged.get(exclusive) {
                Some(Value::Bool(true)) => bound.clone(),
                Some(value) if value.is_number() => Some(value.clone()),
                _ => None,
            };
            if let Some(beyond) = beyond {
                let stepped = if kind == Kind::Integer && self.target == SchemaTarget::Gemini {
                    step_over(&beyond, step)
                } else {
                    None
                };
                match (stepped, bound.as_ref().and_then(Value::as_f64)) {
                    (Some(stepped), Some(old)) if !tighter(stepped, old, step) => {}
                    (Some(stepped), _) => bound = Some(Value::from(stepped)),
                    (None, _) => {
                        let word = if step > 0 { "more than" } else { "less than" };
                        hints.push(format!("{word} {beyond}"));
                    }
                }
            }
            if let Some(bound) = bound {
                self.keep_or_hint(plain, bound, out, hints);
            }
        }
    }
}

/// A number without a fraction.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let number: &Number = value.as_number()?;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0).then(|| to_i64(float))?
    })
}

/// The next whole number beyond a bound that is not allowed itself.
fn step_over(bound: &Value, step: i64) -> Option<i64> {
    if let Some(whole) = whole(bound) {
        return whole.checked_add(step);
    }
    let float = bound.as_f64()?;
    to_i64(if step > 0 {
        float.ceil()
    } else {
        float.floor()
    })
}

fn tighter(new: i64, old: f64, step: i64) -> bool {
    to_i64(old).is_none_or(|old| if step > 0 { new > old } else { new < old })
}

/// The whole number that a float is, within what floats hold exactly.
fn to_i64(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked, and the fraction is meant to go"
    )]
    (float.abs() <= EXACT).then_some(float as i64)
}
