//! The forms that single values take in the file: durations, sizes, addresses, hashes, secrets. Each is checked while it
//! is decoded, so that the finding stands at the value itself, and each says in the schema what it takes. No message here
//! repeats what might be a secret.

mod parse;
mod secret;
mod thinking;
mod time;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::base::secret::Secret;
use crate::base::units;
use crate::config::seal;

pub(crate) use secret::SecretText;
pub(crate) use thinking::Thinking;
pub(crate) use time::{Date, Zone};

/// Begins every sealed value.
pub(crate) const SEALED: &str = "agp1:";

/// How a text is written: in words, as a pattern that no text that is taken fails, and an example.
struct Form {
    /// Reads on after "expected".
    words: &'static str,
    /// An ECMA-262 regular expression; empty for none.
    pattern: &'static str,
    example: &'static str,
}

impl Form {
    fn schema(&self) -> Schema {
        let mut schema = Schema::default();
        schema.insert("description".to_owned(), self.words.into());
        schema.insert("type".to_owned(), "string".into());
        if self.pattern.is_empty() {
            schema.insert("minLength".to_owned(), 1.into());
        } else {
            schema.insert("pattern".to_owned(), self.pattern.into());
        }
        if !self.example.is_empty() {
            schema.insert("examples".to_owned(), vec![self.example].into());
        }
        schema
    }
}

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident($inner:ty) = $parse:expr, $words:literal, $pattern:expr, $example:literal $(, shown $show:expr)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl $name {
            const FORM: Form = Form { words: $words, pattern: $pattern, example: $example };
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($name::FORM.words)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        let parse: fn(&str) -> Result<$inner, String> = $parse;
                        parse(text).map($name).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                Self::FORM.schema()
            }
        }

        $(impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let show: fn(&$inner) -> String = $show;
                serializer.serialize_str(&show(&self.0))
            }
        })?
    };
}

const DURATION: &str = r"^([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d)([0-9]+\.?[0-9]*(ms|s|m|h|d))*$";
const HTTP: &str = "^https?://";

text_value!(
    /// A duration, zero allowed.
    Dur(Duration) = units::parse_duration,
    "a duration such as \"15s\" or \"1h30m\"", DURATION, "15s", shown |d| units::show_duration(*d)
);
text_value!(
    /// A duration longer than zero.
    Positive(Duration) = |text| match units::parse_duration(text)? {
        Duration::ZERO => Err(format!("expected a duration longer than zero, found \"{text}\"")),
        d => Ok(d),
    },
    "a duration longer than zero such as \"15s\" or \"1h30m\"", DURATION, "15s", shown |d| units::show_duration(*d)
);
text_value!(
    /// A size in bytes, larger than zero.
    Size(u64) = |text| match units::parse_size(text)? {
        0 => Err(format!("expected a size larger than zero, found \"{text}\"")),
        n => Ok(n),
    },
    "a size such as \"32MiB\" or \"1GiB\"", "^[0-9]+([KMGT]i?)?B$", "32MiB", shown |n| units::show_size(*n)
);
text_value!(
    /// An address to listen on.
    Addr(SocketAddr) = |text| text.parse().map_err(|_| format!(
        "expected an IP address and a port such as \"127.0.0.1:8088\" or \"[::]:8088\", found \"{text}\""
    )),
    "an IP address and a port such as \"127.0.0.1:8088\"", "^.+:[0-9]+$", "127.0.0.1:8088", shown ToString::to_string
);
text_value!(
    /// A text that is not empty and has no white space around it or control characters in it.
    Word(String) = parse::word, "a string", "", "", shown Clone::clone
);
text_value!(
    /// A glob over names: `*` and `?`.
    Glob(String) = parse::word,
    "a pattern of names such as \"gemini-*\"", "", "gemini-*", shown Clone::clone
);
text_value!(
    /// An http or https URL without user info, query and fragment; no slash at its end.
    HttpUrl(String) = parse::http_url,
    "an http or https URL", HTTP, "https://example.com", shown Clone::clone
);
text_value!(
    /// An http or https URL as given, since it may have to be the same to the byte elsewhere; no user info in it.
    PageUrl(String) = |text| {
        let bare = text.split(['?', '#']).next().unwrap_or_default();
        parse::http_url(bare)?;
        parse::word(text)
    },
    "an http or https URL", HTTP, "https://example.com/path"
);
text_value!(
    /// An http, https or socks5 URL, with user info where the proxy wants it.
    ProxyUrl(Secret) = parse::proxy_url,
    "an http, https or socks5 URL such as \"http://127.0.0.1:7890\"", "^(https?|socks5h?)://", "http://127.0.0.1:7890"
);
text_value!(
    /// A browser's origin: scheme and host, port where it is not the scheme's own.
    Origin(String) = |text| {
        let url = parse::http_url(text)?;
        match reqwest::Url::parse(&url) {
            Ok(parsed) if parsed.path() == "/" => Ok(url),
            _ => Err(format!("expected an origin such as \"https://app.example.com\", found \"{text}\"")),
        }
    },
    "an origin such as \"https://app.example.com\"", HTTP, "https://app.example.com", shown Clone::clone
);
text_value!(
    /// A network: address and prefix length, or an address alone.
    Cidr((IpAddr, u8)) = parse::cidr,
    "a network such as \"10.0.0.0/8\"", "^[0-9A-Fa-f.:]+(/[0-9+]+)?$", "10.0.0.0/8",
    shown |(address, bits)| format!("{address}/{bits}")
);
text_value!(
    /// A SHA-256 as 64 hexadecimal digits.
    Digest([u8; 32]) = parse::digest,
    "a SHA-256: 64 hexadecimal digits", "^[0-9A-Fa-f]{64}$", ""
);
text_value!(
    /// The name of an HTTP header, in lower case, that the gateway does not set itself for framing.
    #[derive(PartialOrd, Ord)]
    HeaderName(String) = parse::header_name,
    "the name of an HTTP header", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "x-team", shown Clone::clone
);
text_value!(
    /// The value of an HTTP header.
    HeaderText(String) = |text| match http::HeaderValue::from_str(text) {
        Ok(value) if value.to_str().is_ok() => Ok(text.to_owned()),
        _ => Err("expected a header's value: visible ASCII characters on one line".to_owned()),
    },
    "a header's value: visible ASCII characters on one line", r"^[\t -~]*$", "agp", shown Clone::clone
);
text_value!(
    /// `RUST_LOG`'s syntax.
    LogLevel(String) = |text| {
        // The parser slices its text anywhere, and panics inside a character of several bytes.
        let ok = text.is_ascii()
            && !text.trim().is_empty()
            && tracing_subscriber::EnvFilter::try_new(text).is_ok();
        if ok { Ok(text.to_owned()) } else {
            Err(format!(
                "expected a level such as \"info\" or filters such as \"info,agp::pool=debug\", found \"{text}\""
            ))
        }
    },
    "a level such as \"info\" or filters such as \"info,agp::pool=debug\"", "", "info", shown Clone::clone
);
text_value!(
    /// A password's argon2id hash.
    PasswordHash(Secret) = |text| match argon2::PasswordHash::new(text) {
        Ok(hash) if hash.algorithm.as_str() == "argon2id" && hash.hash.is_some() => {
            Ok(Secret::new(text))
        }
        _ => Err("expected an argon2id hash as `agp hash-password` prints it".to_owned()),
    },
    "an argon2id hash as `agp hash-password` prints it", r"^\$argon2id\$", ""
);
text_value!(
    /// An age recipient.
    Recipient(String) = |text| seal::parse_recipient(text).map(|recipient| recipient.to_string()),
    "an age recipient such as \"age1...\"", "^[Aa][Gg][Ee]1", "", shown Clone::clone
);

impl Addr {
    /// A port of this machine only.
    pub(crate) fn loopback(port: u16) -> Self {
        Self(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// Whether a text is taken, and whether the schema's pattern fits it.
    fn both<T: for<'de> Deserialize<'de>>(form: &Form, text: &str) -> (bool, bool) {
        let from = de::value::StrDeserializer::<de::value::Error>::new(text);
        let fits = form.pattern.is_empty() || Regex::new(form.pattern).unwrap().is_match(text);
        (T::deserialize(from).is_ok(), fits)
    }

    macro_rules! each_form {
        ($text:expr; $($name:ident)*) => {
            [$((stringify!($name), both::<$name>(&$name::FORM, $text))),*]
        };
    }

    #[test]
    fn the_examples_are_taken() {
        for (name, example, taken) in [
            (
                "Dur",
                Dur::FORM.example,
                both::<Dur>(&Dur::FORM, Dur::FORM.example),
            ),
            (
                "Size",
                Size::FORM.example,
                both::<Size>(&Size::FORM, Size::FORM.example),
            ),
            (
                "Addr",
                Addr::FORM.example,
                both::<Addr>(&Addr::FORM, Addr::FORM.example),
            ),
            (
                "Glob",
                Glob::FORM.example,
                both::<Glob>(&Glob::FORM, Glob::FORM.example),
            ),
            (
                "HttpUrl",
                HttpUrl::FORM.example,
                both::<HttpUrl>(&HttpUrl::FORM, HttpUrl::FORM.example),
            ),
            (
                "PageUrl",
                PageUrl::FORM.example,
                both::<PageUrl>(&PageUrl::FORM, PageUrl::FORM.example),
            ),
            (
                "ProxyUrl",
                ProxyUrl::FORM.example,
                both::<ProxyUrl>(&ProxyUrl::FORM, ProxyUrl::FORM.example),
            ),
            (
                "Origin",
                Origin::FORM.example,
                both::<Origin>(&Origin::FORM, Origin::FORM.example),
            ),
            (
                "Cidr",
                Cidr::FORM.example,
                both::<Cidr>(&Cidr::FORM, Cidr::FORM.example),
            ),
            (
                "HeaderName",
                HeaderName::FORM.example,
                both::<HeaderName>(&HeaderName::FORM, HeaderName::FORM.example),
            ),
            (
                "LogLevel",
                LogLevel::FORM.example,
                both::<LogLevel>(&LogLevel::FORM, LogLevel::FORM.example),
            ),
        ] {
            assert_eq!(taken, (true, true), "{name}: {example}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_refuses_what_is_taken(
            text in "([0-9.]{0,4}(ms|s|m|h|d|KiB|GB|B)){1,3}|[0-9a-f.:]{0,20}(/[0-9]{0,3})?|https?://[a-z0-9.:/-]{1,12}|socks5h?://[a-z]{1,5}:[0-9]{1,4}|[0-9a-fA-F]{64}|\\PC{0,12}"
        ) {
            for (name, (taken, fits)) in each_form!(&text; Dur Positive Size Addr Word Glob HttpUrl PageUrl ProxyUrl Origin Cidr Digest HeaderName HeaderText LogLevel) {
                // A URL's parser takes more than anybody writes, such as a scheme in capitals.
                let odd_url = name.ends_with("Url") || name == "Origin";
                prop_assert!(!taken || fits || odd_url, "{name}: {text:?}");
            }
        }

        #[test]
        fn shown_durations_and_sizes_are_read_as_what_they_were(ms in 0u64..4_000_000_000, bytes in 1u64..1 << 50) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(units::parse_duration(&units::show_duration(d)), Ok(d));
            prop_assert_eq!(units::parse_size(&units::show_size(bytes)), Ok(bytes));
        }
    }
}
