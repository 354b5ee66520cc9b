//! Time zones and days.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::config::de::DATE;

/// A time zone: an IANA name or an offset such as `+08:00`.
#[derive(Debug, Clone)]
pub(crate) struct Zone(pub(crate) jiff::tz::TimeZone);

impl Zone {
    /// UTC.
    pub(crate) fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }

    fn parse(text: &str) -> Option<Self> {
        let Some(sign) = text.chars().next().filter(|c| matches!(c, '+' | '-')) else {
            return jiff::tz::TimeZone::get(text).ok().map(Self);
        };
        let (hours, minutes) = text[1..].split_once(':')?;
        if hours.len() != 2
            || minutes.len() != 2
            || !text[1..].bytes().all(|b| b == b':' || b.is_ascii_digit())
        {
            return None;
        }
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        if minutes > 59 || hours > 18 {
            return None;
        }
        let seconds = (hours * 60 + minutes) * 60 * if sign == '-' { -1 } else { 1 };
        Some(Self(jiff::tz::TimeZone::fixed(
            jiff::tz::Offset::from_seconds(seconds).ok()?,
        )))
    }
}

/// Reads on after "expected".
const ZONE: &str = "a time zone such as \"Europe/Berlin\" or \"+08:00\"";

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Zone;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ZONE)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Zone, E> {
                Zone::parse(text)
                    .ok_or_else(|| E::custom(format!("expected {ZONE}, found \"{text}\"")))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": ZONE,
            "type": "string",
            "minLength": 1,
            "examples": ["Europe/Berlin"],
        })
    }
}

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date(pub(crate) jiff::civil::Date);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Day;

        impl Visitor<'_> for Day {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date without quotes such as `2027-01-01`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                text.parse().map(Date).map_err(|_| {
                    E::custom(format!(
                        "expected a date such as `2027-01-01`, found `{text}`"
                    ))
                })
            }
        }

        deserializer.deserialize_newtype_struct(DATE, Day)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a date without quotes such as 2027-01-01",
            "type": "string",
            "format": "date",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "examples": ["2027-01-01"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        for good in ["UTC", "Europe/Berlin", "+08:00", "-03:30"] {
            assert!(Zone::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "Mars/Olympus",
            "+8",
            "+08:60",
            "+99:00",
            "+0é:00",
            "+-1:00",
        ] {
            assert!(Zone::parse(bad).is_none(), "{bad}");
        }
    }
}
