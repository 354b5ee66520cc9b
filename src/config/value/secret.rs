//! A secret as written: in clear, or where it is found.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::base::secret::Secret;
use crate::config::seal;
use crate::config::suggest;
use crate::config::value::{SEALED, Word};

/// A secret as written: in clear, or where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretText {
    Env(String),
    File(String),
    Sealed(String),
    Plain(Secret),
}

/// The words that say where a secret is found.
const FORMS: &[&str] = &["env", "file", "sealed"];

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;

        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`{ env = \"NAME\" }`, `{ file = \"path\" }`, `{ sealed = \"agp1:...\" }` or a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
                if text.trim().is_empty() {
                    Err(E::custom("expected a secret, found an empty string"))
                } else if text.starts_with(SEALED) {
                    Err(E::custom(
                        "expected `{ sealed = \"agp1:...\" }`, found a sealed value without its table",
                    ))
                } else {
                    Ok(SecretText::Plain(Secret::new(text)))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretText, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    let Some(form) = FORMS.iter().find(|form| ***form == *key) else {
                        let hint = suggest::nearest(&key, FORMS.iter().copied())
                            .map(|name| format!("; did you mean `{name}`?"))
                            .unwrap_or_default();
                        return Err(de::Error::custom(format!(
                            "expected one of `env`, `file`, `sealed`, found key `{key}`{hint}"
                        )));
                    };
                    let text: String = map.next_value::<Word>()?.0;
                    if found.is_some() {
                        return Err(de::Error::custom(
                            "expected exactly one of `env`, `file`, `sealed`, found more",
                        ));
                    }
                    found = Some(match *form {
                        "env" => SecretText::Env(env_name(text).map_err(de::Error::custom)?),
                        "file" => SecretText::File(text),
                        _ => SecretText::Sealed(sealed(text).map_err(de::Error::custom)?),
                    });
                }
                found.ok_or_else(|| {
                    de::Error::custom(
                        "expected one of `env`, `file`, `sealed`, found an empty table",
                    )
                })
            }
        }

        deserializer.deserialize_any(SecretVisitor)
    }
}

fn env_name(text: String) -> Result<String, String> {
    let mut chars = text.chars();
    let ok = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if ok {
        Ok(text)
    } else {
        Err("expected the name of an environment variable: letters, digits and `_`".to_owned())
    }
}

fn sealed(text: String) -> Result<String, String> {
    let good = text.strip_prefix(SEALED).is_some_and(|body| {
        let cipher = base64::engine::general_purpose::STANDARD.decode(body);
        cipher.is_ok_and(|cipher| seal::is_age(&cipher))
    });
    if good {
        Ok(text)
    } else {
        Err("expected a sealed value: \"agp1:\" and the base64 of an age file, as `agp seal` makes it".to_owned())
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut any: Vec<Schema> = Vec::new();
        for form in FORMS {
            let (description, pattern) = match *form {
                "env" => (
                    "name of an environment variable",
                    "^[A-Za-z_][A-Za-z0-9_]*$",
                ),
                "file" => ("path of a file that holds it, trimmed; watched", "^.+$"),
                _ => (
                    "an age-encrypted value, as agp seals it",
                    "^agp1:[A-Za-z0-9+/=]+$",
                ),
            };
            any.push(json_schema!({
                "type": "object",
                "properties": { (*form): { "description": description, "type": "string", "pattern": pattern } },
                "required": [form],
                "additionalProperties": false,
            }));
        }
        any.push(json_schema!({
            "description": "in clear, which `agp validate` warns of",
            "type": "string",
            "pattern": "\\S",
        }));
        json_schema!({
            "description": "a secret: `{ env = \"NAME\" }`, `{ file = \"path\" }`, `{ sealed = \"agp1:...\" }`, or in clear",
            "anyOf": any,
            "examples": [{ "env": "NAME" }],
        })
    }
}
