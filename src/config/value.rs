//! The forms that single values take in the file: durations, sizes, addresses, hashes, secrets. Each is checked while it
//! is decoded, so that the finding stands at the value itself. No message here repeats what might be a secret.

mod secret;
mod thinking;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::base::secret::Secret;
use crate::base::units;
use crate::config::de::DATE;
use crate::config::seal;

pub(crate) use secret::SecretText;
pub(crate) use thinking::Thinking;

/// Begins every sealed value.
pub(crate) const SEALED: &str = "agp1:";

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident($inner:ty) = $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <&str>::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<$inner, String> = $parse;
                parse(text).map(Self).map_err(de::Error::custom)
            }
        }
    };
}

text_value!(
    /// A duration, zero allowed.
    Dur(Duration) = units::parse_duration
);
text_value!(
    /// A duration longer than zero.
    Positive(Duration) = |text| match units::parse_duration(text)? {
        Duration::ZERO => Err(format!("expected a duration longer than zero, found \"{text}\"")),
        d => Ok(d),
    }
);
text_value!(
    /// A size in bytes, larger than zero.
    Size(u64) = |text| match units::parse_size(text)? {
        0 => Err(format!("expected a size larger than zero, found \"{text}\"")),
        n => Ok(n),
    }
);
text_value!(
    /// An address to listen on.
    Addr(SocketAddr) = |text| text.parse().map_err(|_| format!(
        "expected an IP address and a port such as \"127.0.0.1:8088\" or \"[::]:8088\", found \"{text}\""
    ))
);
text_value!(
    /// A text that is not empty and has no white space around it or control characters in it.
    Word(String) = word
);
text_value!(
    /// A glob over names: `*` and `?`.
    Glob(String) = word
);
text_value!(
    /// An http or https URL without user info, query and fragment; no slash at its end.
    HttpUrl(String) = http_url
);
text_value!(
    /// An http or https URL as given, since it may have to be the same to the byte elsewhere; no user info in it.
    PageUrl(String) = |text| {
        let bare = text.split(['?', '#']).next().unwrap_or_default();
        http_url(bare)?;
        word(text)
    }
);
text_value!(
    /// An http, https or socks5 URL, with user info where the proxy wants it.
    ProxyUrl(Secret) = proxy_url
);
text_value!(
    /// A browser's origin: scheme and host, port where it is not the scheme's own.
    Origin(String) = |text| {
        let url = http_url(text)?;
        match reqwest::Url::parse(&url) {
            Ok(parsed) if parsed.path() == "/" => Ok(url),
            _ => Err(format!("expected an origin such as \"https://app.example.com\", found \"{text}\"")),
        }
    }
);
text_value!(
    /// A network: address and prefix length, or an address alone.
    Cidr((IpAddr, u8)) = cidr
);
text_value!(
    /// A SHA-256 as 64 hexadecimal digits.
    Digest([u8; 32]) = digest
);
text_value!(
    /// The name of an HTTP header, in lower case, that the gateway does not set itself for framing.
    #[derive(PartialOrd, Ord)]
    HeaderName(String) = header_name
);
text_value!(
    /// The value of an HTTP header.
    HeaderText(String) = |text| match http::HeaderValue::from_str(text) {
        Ok(value) if value.to_str().is_ok() => Ok(text.to_owned()),
        _ => Err("expected a header's value: visible ASCII characters on one line".to_owned()),
    }
);
text_value!(
    /// `RUST_LOG`'s syntax.
    LogLevel(String) = |text| {
        let ok = !text.trim().is_empty() && tracing_subscriber::EnvFilter::try_new(text).is_ok();
        if ok { Ok(text.to_owned()) } else {
            Err(format!(
                "expected a level such as \"info\" or filters such as \"info,agp::pool=debug\", found \"{text}\""
            ))
        }
    }
);
text_value!(
    /// A password's argon2id hash.
    PasswordHash(Secret) = |text| match argon2::PasswordHash::new(text) {
        Ok(hash) if hash.algorithm.as_str() == "argon2id" && hash.hash.is_some() => {
            Ok(Secret::new(text))
        }
        _ => Err("expected an argon2id hash as `agp hash-password` prints it".to_owned()),
    }
);
text_value!(
    /// An age recipient.
    Recipient(String) = |text| seal::parse_recipient(text).map(|recipient| recipient.to_string())
);

impl Addr {
    /// A port of this machine only.
    pub(crate) fn loopback(port: u16) -> Self {
        Self(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

fn word(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("expected a text that is not empty".to_owned())
    } else if text.trim() != text || text.chars().any(char::is_control) {
        Err(
            "expected a text without white space around it and without control characters"
                .to_owned(),
        )
    } else {
        Ok(text.to_owned())
    }
}

fn http_url(text: &str) -> Result<String, String> {
    let bad = |why: &str| format!("expected an http or https URL, {why}");
    let url = reqwest::Url::parse(text)
        .map_err(|e| bad(&format!("found one that does not parse: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        Err(bad(&format!("found scheme `{}`", url.scheme())))
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(bad("found one with a user or password in it"))
    } else if url.query().is_some() || url.fragment().is_some() {
        Err(bad("found one with a query or fragment"))
    } else if url.host_str().is_none_or(str::is_empty) {
        Err(bad("found one without a host"))
    } else {
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}

fn proxy_url(text: &str) -> Result<Secret, String> {
    let bad = || {
        "expected an http, https or socks5 URL with a host such as \"http://127.0.0.1:7890\""
            .to_owned()
    };
    let url = reqwest::Url::parse(text).map_err(|_| bad())?;
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let plain = matches!(url.path(), "" | "/") && url.query().is_none();
    if known && plain && url.host_str().is_some_and(|h| !h.is_empty()) {
        Ok(Secret::new(text))
    } else {
        Err(bad())
    }
}

fn cidr(text: &str) -> Result<(IpAddr, u8), String> {
    let bad = || format!("expected a network such as \"10.0.0.0/8\", found \"{text}\"");
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|n| *n <= most).ok_or_else(bad)?,
        None => most,
    };
    Ok((address, bits))
}

fn digest(text: &str) -> Result<[u8; 32], String> {
    let bad = || "expected a SHA-256: 64 hexadecimal digits".to_owned();
    if text.len() != 64 || !text.is_ascii() {
        return Err(format!(
            "{}, found {} characters",
            bad(),
            text.chars().count()
        ));
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
        if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
    }
    Ok(out)
}

fn header_name(text: &str) -> Result<String, String> {
    let name = http::HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| format!("expected the name of an HTTP header, found \"{text}\""))?;
    match name.as_str() {
        "host" | "content-length" | "transfer-encoding" | "connection" | "te" | "upgrade"
        | "trailer" => Err(format!(
            "header `{name}` is set by the gateway itself and can't be configured"
        )),
        name => Ok(name.to_owned()),
    }
}

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

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Self::parse(text).ok_or_else(|| {
            de::Error::custom(format!(
                "expected a time zone such as \"Europe/Berlin\" or \"+08:00\", found \"{text}\""
            ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_last_slash_and_keep_no_user() {
        assert_eq!(
            http_url("https://a.example/"),
            Ok("https://a.example".to_owned())
        );
        assert_eq!(
            http_url("http://a.example:80/v1/"),
            Ok("http://a.example/v1".to_owned())
        );
        for bad in [
            "a.example",
            "ftp://a.example",
            "https://u:p@a.example",
            "https://a.example?x=1",
            "https://",
        ] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
        assert!(
            !http_url("https://u:hunter2@a.example")
                .unwrap_err()
                .contains("hunter2")
        );
    }

    #[test]
    fn proxies() {
        for good in ["http://127.0.0.1:7890", "socks5://u:p@h:1", "https://h"] {
            assert!(proxy_url(good).is_ok(), "{good}");
        }
        for bad in ["ftp://h", "http://", "127.0.0.1:1", "http://h/path"] {
            assert!(proxy_url(bad).is_err(), "{bad}");
        }
    }

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

    #[test]
    fn networks() {
        assert_eq!(cidr("10.0.0.0/8"), Ok((IpAddr::from([10, 0, 0, 0]), 8)));
        assert_eq!(cidr("::1").map(|c| c.1), Ok(128));
        for bad in ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/"] {
            assert!(cidr(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests() {
        assert_eq!(digest(&"0F".repeat(32)), Ok([15; 32]));
        for bad in [
            "",
            "xyz",
            &"zz".repeat(32),
            &"0f".repeat(31),
            &"+f".repeat(32),
        ] {
            assert!(digest(bad).is_err(), "{bad}");
        }
    }
}
