//! Reading answers whose shape is somebody else's: a field of the wrong type counts as absent, the rest is still read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// For `#[serde(default, deserialize_with = "lenient::field")]`: `None` where the value is of another type.
pub(super) fn field<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// The same for lists: elements of another type are left out, a value that is no list is an empty one.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let elements: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).unwrap_or_default();
    Ok(elements
        .iter()
        .filter_map(|element| serde_json::from_str(element.get()).ok())
        .collect())
}

/// A number that protobuf-JSON may write as a string (upstream-protocol.md 0.1: 64-bit integers arrive as strings).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Text(text) => text
                .trim()
                .parse()
                .map(Self)
                .map_err(|_| serde::de::Error::custom("expected a whole number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "field")]
        text: Option<String>,
        #[serde(default, deserialize_with = "list")]
        numbers: Vec<Number>,
    }

    #[test]
    fn wrong_types_count_as_absent() {
        let sample: Sample =
            serde_json::from_str(r#"{"text":{"a":[1]},"numbers":[1,"2",true,"x",null]}"#).unwrap();
        assert_eq!(sample.text, None);
        assert_eq!(sample.numbers, [Number(1), Number(2)]);
        let sample: Sample = serde_json::from_str(r#"{"text":"t","numbers":7}"#).unwrap();
        assert_eq!(sample.text.as_deref(), Some("t"));
        assert!(sample.numbers.is_empty());
        let sample: Sample = serde_json::from_str("{}").unwrap();
        assert!(sample.text.is_none() && sample.numbers.is_empty());
    }
}
