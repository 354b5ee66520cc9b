//! What a text must be like to be a URL, a network, a digest and so on.

use std::net::IpAddr;

use crate::base::secret::Secret;

pub(super) fn word(text: &str) -> Result<String, String> {
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

pub(super) fn http_url(text: &str) -> Result<String, String> {
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

pub(super) fn proxy_url(text: &str) -> Result<Secret, String> {
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

pub(super) fn cidr(text: &str) -> Result<(IpAddr, u8), String> {
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

pub(super) fn digest(text: &str) -> Result<[u8; 32], String> {
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

pub(super) fn header_name(text: &str) -> Result<String, String> {
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
