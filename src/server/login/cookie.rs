//! The cookie that holds a session.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Its name.
const NAME: &str = "agp_session";
/// Where browsers send it: the panel's own paths need none.
const PATH: &str = "/admin";
/// Most of them that are looked at: another page of the host may have set one of its own.
const MOST: usize = 4;
/// Longest value; that of a session has about 300 bytes.
const LONGEST: usize = 1024;

/// The sessions that a request names.
pub(in crate::server) fn given(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    named(headers, NAME)
}

/// The values of a request's cookies of this name.
pub(in crate::server) fn named<'a>(
    headers: &'a HeaderMap,
    wanted: &'static str,
) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
    let values = pairs.filter_map(move |pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted && !value.is_empty() && value.len() <= LONGEST).then_some(value)
    });
    values.take(MOST)
}

/// Sets it. Without `life` it ends with the browser.
pub(in crate::server) fn set(
    token: &str,
    life: Option<Duration>,
    secure: bool,
) -> Option<HeaderValue> {
    let age = life.map_or_else(String::new, |life| format!("; Max-Age={}", life.as_secs()));
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{NAME}={token}; Path={PATH}; HttpOnly; SameSite=Strict{age}{secure}");
    HeaderValue::try_from(text).ok()
}

/// Takes it out of the browser.
pub(in crate::server) fn cleared(secure: bool) -> Option<HeaderValue> {
    set("", Some(Duration::ZERO), secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            "a=b; agp_session=one;agp_sessions=x".parse().unwrap(),
        );
        headers.append(COOKIE, "agp_session=; agp_session=two".parse().unwrap());
        let long = format!("agp_session={}", "x".repeat(5000));
        headers.append(COOKIE, long.parse().unwrap());
        assert_eq!(given(&headers).collect::<Vec<_>>(), ["one", "two"]);
        let many = vec!["agp_session=x"; 100].join("; ");
        headers.append(COOKIE, many.parse().unwrap());
        assert_eq!(given(&headers).count(), MOST);
    }

    #[test]
    fn it_is_kept_from_scripts_and_other_sites() {
        let plain = set("t", None, false).unwrap();
        assert_eq!(
            plain,
            "agp_session=t; Path=/admin; HttpOnly; SameSite=Strict"
        );
        let kept = set("t", Some(Duration::from_mins(1)), true).unwrap();
        let kept = kept.to_str().unwrap();
        assert!(kept.ends_with("; Max-Age=60; Secure"), "{kept}");
        let cleared = cleared(false).unwrap();
        assert!(cleared.to_str().unwrap().starts_with("agp_session=; "));
        assert!(cleared.to_str().unwrap().contains("Max-Age=0"));
    }
}
