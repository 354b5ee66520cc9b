//! Ranges and names that both dialects check in the same way.

use crate::base::error::Error;
use crate::ir::{Effort, Losses};
use crate::wire::json::{At, Int, Num, Text, shown};

/// A number within a range.
///
/// # Errors
/// A 400 that names the field and the range.
pub(crate) fn number(
    value: Option<Num>,
    low: f64,
    high: f64,
    at: &At<'_>,
) -> Result<Option<f64>, Error> {
    match value {
        None => Ok(None),
        Some(Num(n)) if (low..=high).contains(&n) => Ok(Some(n)),
        Some(Num(n)) => Err(at.bad(format_args!(
            "expected a number from {low} to {high}, found {n}"
        ))),
    }
}

/// A whole number of at least `low`; what is larger than 32 bits is the largest of 32 bits.
///
/// # Errors
/// A 400 that names the field and the bound.
pub(crate) fn at_least(value: Option<Int>, low: u32, at: &At<'_>) -> Result<Option<u32>, Error> {
    match value {
        None => Ok(None),
        Some(Int(n)) if n >= i64::from(low) => Ok(Some(u32::try_from(n).unwrap_or(u32::MAX))),
        Some(Int(n)) => Err(at.bad(format_args!(
            "expected an integer of at least {low}, found {n}"
        ))),
    }
}

/// A text that must be there and not be empty.
///
/// # Errors
/// A 400 that names the field.
pub(crate) fn required(value: Option<Text<'_>>, at: &At<'_>) -> Result<String, Error> {
    match value {
        Some(text) if !text.is_empty() => Ok(text.into_string()),
        _ => Err(at.bad("expected a string that is not empty, found none")),
    }
}

/// A 400 that says which of a few words was expected.
pub(crate) fn not_one_of(at: &At<'_>, expected: &str, found: &str) -> Error {
    at.bad(format_args!(
        "expected one of {expected}, found `{}`",
        shown(found)
    ))
}

/// How hard to think.
///
/// # Errors
/// A 400 that names the field and the words that are known.
pub(crate) fn effort(text: &str, at: &At<'_>) -> Result<Effort, Error> {
    Ok(match text {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::Xhigh,
        "max" => Effort::Max,
        other => {
            return Err(not_one_of(
                at,
                "`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`",
                other,
            ));
        }
    })
}

/// Notes keys that are not known. `prefix` is a path with `[]` for any index, so that a long history gives one line.
pub(crate) fn note_unknown(losses: &mut Losses, prefix: &str, keys: &[Text<'_>]) {
    for key in keys {
        let key = shown(key);
        if prefix.is_empty() {
            losses.note(key);
        } else {
            losses.note(format!("{prefix}.{key}"));
        }
    }
}
