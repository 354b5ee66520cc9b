//! A model's `thinking`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::ir::{Effort, ThinkingDefault};

/// What a model's entry says of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thinking(pub(crate) ThinkingDefault);

impl<'de> Deserialize<'de> for Thinking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ThinkingVisitor;

        const FORM: &str = "`{ budget = 4096 }`, `{ level = \"high\" }` or \"off\"";

        impl<'de> Visitor<'de> for ThinkingVisitor {
            type Value = Thinking;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORM)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Thinking, E> {
                if text == "off" {
                    Ok(Thinking(ThinkingDefault::Off))
                } else {
                    Err(E::custom(format!("expected {FORM}, found \"{text}\"")))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Thinking, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    let value = match key.as_str() {
                        "budget" => match map.next_value::<u32>()? {
                            0 => {
                                return Err(de::Error::custom(
                                    "expected a budget of at least 1 token; write `thinking = \"off\"` for none",
                                ));
                            }
                            n => ThinkingDefault::Budget(n),
                        },
                        "level" => match map.next_value::<Effort>()? {
                            Effort::None => {
                                return Err(de::Error::custom(
                                    "expected a level; write `thinking = \"off\"` for none",
                                ));
                            }
                            level => ThinkingDefault::Level(level),
                        },
                        key => {
                            return Err(de::Error::custom(format!(
                                "expected {FORM}, found key `{key}`"
                            )));
                        }
                    };
                    if found.replace(value).is_some() {
                        return Err(de::Error::custom(
                            "expected `budget` or `level`, found both",
                        ));
                    }
                }
                found.map(Thinking).ok_or_else(|| {
                    de::Error::custom(format!("expected {FORM}, found an empty table"))
                })
            }
        }

        deserializer.deserialize_any(ThinkingVisitor)
    }
}

impl JsonSchema for Thinking {
    fn schema_name() -> Cow<'static, str> {
        "Thinking".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut level = generator.subschema_for::<Effort>();
        level.insert("not".to_owned(), json_schema!({ "const": "none" }).into());
        json_schema!({
            "description": "where the client says nothing of thinking: a budget of tokens, a level, or \"off\"",
            "anyOf": [
                { "type": "string", "const": "off" },
                {
                    "type": "object",
                    "properties": { "budget": { "description": "tokens", "type": "integer", "minimum": 1, "maximum": u32::MAX } },
                    "required": ["budget"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": { "level": level },
                    "required": ["level"],
                    "additionalProperties": false,
                },
            ],
            "examples": [{ "budget": 8192 }, { "level": "high" }, "off"],
        })
    }
}
