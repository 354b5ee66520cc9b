//! The panel's page and files: what the frontend's build left in `frontend/dist`, embedded in a release build, read from the
//! disk in a debug build. They are where the admin API is.
//!
//! A file is found by its exact name and in no other way: nothing in a path is decoded, joined or walked.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use warp::reply::Response;

use crate::base::id::hex;
use crate::server::Gateway;
use crate::server::admin::remote::Asked;
use crate::server::admin::{Refusal, oauth, who};

#[derive(RustEmbed)]
#[folder = "frontend/dist"]
#[allow_missing = true]
struct Dist;

/// Shown where the panel was not built.
const PLACEHOLDER: &str = include_str!("../../frontend/placeholder.html");

/// The page that every address of the panel has.
const PAGE: &str = "index.html";

/// Of the page and everything that it loads: nothing comes from elsewhere, nothing is inline, nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What else browsers are told, always.
const GUARDS: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// A file of the build.
struct File {
    data: Cow<'static, [u8]>,
    sha256: [u8; 32],
    kind: String,
}

/// The files by name.
type Files = fn(&str) -> Option<File>;

fn embedded(name: &str) -> Option<File> {
    let file = Dist::get(name)?;
    Some(File {
        sha256: file.metadata.sha256_hash(),
        kind: file.metadata.mimetype().to_owned(),
        data: file.data,
    })
}

/// What a request asks the panel for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A file that its name's hash pins.
    Asset,
    /// The page, by a browser.
    Page,
}

/// What is asked of the panel; `None` where it is nothing of its own.
pub(super) fn wanted(asked: &Asked) -> Option<Wanted> {
    if asked.uri.path().starts_with("/assets/") {
        return Some(Wanted::Asset);
    }
    let accepted = asked.headers.get(ACCEPT)?.to_str().ok()?;
    accepted.contains("text/html").then_some(Wanted::Page)
}

/// Answers it.
pub(super) async fn answer(gateway: Arc<Gateway>, asked: Asked, wanted: Wanted) -> Response {
    let snapshot = gateway.dispatcher.runtime.snapshot();
    if let Err(refusal) = who::checked(&snapshot, &asked) {
        return refused(&refusal);
    }
    if asked.uri.path() == oauth::CALLBACK
        && let Some(response) = oauth::returned(&gateway, &asked.uri, &asked.headers).await
    {
        return response;
    }
    // A debug build reads the disk.
    let made = tokio::task::spawn_blocking(move || {
        let path = asked.uri.path().trim_start_matches('/');
        match wanted {
            Wanted::Asset => asset(path, &asked.headers, embedded),
            Wanted::Page => page(&asked.headers, embedded),
        }
    });
    made.await.unwrap_or_else(|_| refused(&Refusal::failed()))
}

/// A refusal in words, for whoever looks at it in a browser.
fn refused(refusal: &Refusal) -> Response {
    let text = format!("{}\n", refusal.message);
    let mut response = guarded(Bytes::from(text), "text/plain; charset=utf-8");
    *response.status_mut() = refusal.status;
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn page(headers: &HeaderMap, files: Files) -> Response {
    let Some((file, coding)) = best(PAGE, headers, files) else {
        let mut response = guarded(PLACEHOLDER.into(), "text/html; charset=utf-8");
        set(&mut response, CACHE_CONTROL, "no-store");
        let policy = PLACEHOLDER_POLICY.clone();
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
        return response;
    };
    let tag = format!("\"{}\"", &hex(&file.sha256)[..32]);
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|line| {
        let mut tags = line.to_str().unwrap_or_default().split(',');
        tags.any(|known| known.trim().trim_start_matches("W/") == tag)
    });
    let mut response = if known {
        let mut response = guarded(Bytes::new(), &file.kind);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        sent(file, coding)
    };
    set(&mut response, ETAG, &tag);
    set(&mut response, CACHE_CONTROL, "no-cache");
    set(&mut response, VARY, "accept-encoding");
    response
}

fn asset(name: &str, headers: &HeaderMap, files: Files) -> Response {
    let Some((file, coding)) = best(name, headers, files).filter(|_| is_plain(name)) else {
        let missing =
            "the panel has no such file: it may be of another version; load the page again";
        return refused(&Refusal::not_found(missing));
    };
    let mut response = sent(file, coding);
    let forever = "public, max-age=31536000, immutable";
    set(&mut response, CACHE_CONTROL, forever);
    set(&mut response, VARY, "accept-encoding");
    response
}

/// Whether a name is one that a build gives: segments of letters, digits, `.`, `_` and `-`, none of which begins with a dot.
/// Where files are read from the disk, another name could lead elsewhere.
fn is_plain(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(known))
}

/// A file in the best coding that the client takes and the build made, with the kind of the file itself.
fn best(name: &str, headers: &HeaderMap, files: Files) -> Option<(File, Option<&'static str>)> {
    if !is_plain(name) {
        return None;
    }
    let plain = files(name)?;
    for (coding, ending) in [("br", "br"), ("gzip", "gz")] {
        if takes(headers, coding)
            && let Some(packed) = files(&format!("{name}.{ending}"))
        {
            let File { kind, .. } = plain;
            return Some((File { kind, ..packed }, Some(coding)));
        }
    }
    Some((plain, None))
}

/// Whether a client takes a coding (RFC 9110, 12.5.3): named, and not with a weight of 0.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let mut offers = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
    offers.any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, "q=1"));
        let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
        let wanted = weight.is_some_and(|weight| weight.is_ok_and(|weight| weight > 0.0));
        name.trim().eq_ignore_ascii_case(coding) && wanted
    })
}

fn sent(file: File, coding: Option<&'static str>) -> Response {
    let body = match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    };
    let text = file.kind.starts_with("text/") && !file.kind.contains("charset");
    let charset = if text { "; charset=utf-8" } else { "" };
    let mut response = guarded(body, &format!("{}{charset}", file.kind));
    if let Some(coding) = coding {
        set(&mut response, CONTENT_ENCODING, coding);
    }
    response
}

/// A response with all that protects the panel.
fn guarded(body: Bytes, kind: &str) -> Response {
    let mut response = Response::new(body.into());
    set(&mut response, CONTENT_TYPE, kind);
    set(&mut response, CONTENT_SECURITY_POLICY, POLICY);
    for (name, value) in GUARDS {
        set(&mut response, name, value);
    }
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The placeholder's one style is known by its digest.
static PLACEHOLDER_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = PLACEHOLDER.split_once("<style>").and_then(|(_, rest)| {
        let (style, _) = rest.split_once("</style>")?;
        Some(STANDARD.encode(Sha256::digest(style)))
    });
    let own = format!("style-src 'sha256-{}'", style.unwrap_or_default());
    HeaderValue::try_from(POLICY.replace("style-src 'self'", &own))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str) -> Option<File> {
        let (kind, data): (_, &'static [u8]) = match name {
            "index.html" => ("text/html", b"<page>"),
            "index.html.br" => ("application/octet-stream", b"br of page"),
            "assets/a-1.js" => ("text/javascript", b"script"),
            "assets/a-1.js.br" => ("application/octet-stream", b"br"),
            "assets/a-1.js.gz" => ("application/octet-stream", b"gz"),
            "assets/b.woff2" => ("font/woff2", b"font"),
            _ => return None,
        };
        Some(File {
            data: data.into(),
            sha256: Sha256::digest(data).into(),
            kind: kind.to_owned(),
        })
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        Some(response.headers().get(name)?.to_str().unwrap())
    }

    fn is_guarded(response: &Response) {
        let policy = header(response, "content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in GUARDS {
            assert_eq!(header(response, name.as_str()), Some(value));
        }
    }

    #[test]
    fn an_asset_comes_in_the_best_coding_and_stays_for_ever() {
        for (accepted, coding) in [
            ("", None),
            ("identity", None),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0, gzip;q=0.5", Some("gzip")),
            ("BR; q=0.1", Some("br")),
            ("br;q=0,gzip;q=0.000", None),
            ("br;q=x", None),
        ] {
            let headers = headers(&[("accept-encoding", accepted)]);
            let response = asset("assets/a-1.js", &headers, files);
            assert_eq!(header(&response, "content-encoding"), coding, "{accepted}");
            let kind = header(&response, "content-type");
            assert_eq!(kind, Some("text/javascript; charset=utf-8"));
            let cache = header(&response, "cache-control").unwrap();
            assert_eq!(cache, "public, max-age=31536000, immutable");
            assert_eq!(header(&response, "vary"), Some("accept-encoding"));
            is_guarded(&response);
        }
        let font = asset(
            "assets/b.woff2",
            &headers(&[("accept-encoding", "br")]),
            files,
        );
        assert_eq!(header(&font, "content-encoding"), None);
        assert_eq!(header(&font, "content-type"), Some("font/woff2"));
    }

    #[test]
    fn the_page_is_asked_for_again_each_time() {
        let first = page(&headers(&[]), files);
        assert_eq!(header(&first, "cache-control"), Some("no-cache"));
        assert_eq!(header(&first, "vary"), Some("accept-encoding"));
        is_guarded(&first);
        let tag = header(&first, "etag").unwrap();
        let packed = page(&headers(&[("accept-encoding", "br")]), files);
        assert_ne!(header(&packed, "etag"), Some(tag), "another text");
        for (known, status) in [
            (tag.to_owned(), 304),
            (format!("\"x\", W/{tag}"), 304),
            ("\"x\"".to_owned(), 200),
        ] {
            let again = page(&headers(&[("if-none-match", &known)]), files);
            assert_eq!(again.status(), status, "{known}");
            assert_eq!(header(&again, "etag"), Some(tag));
            is_guarded(&again);
        }
    }

    #[test]
    fn without_a_build_the_placeholder_says_how_to_make_one() {
        let response = page(&headers(&[]), |_| None);
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
        let policy = header(&response, "content-security-policy").unwrap();
        assert!(policy.contains("style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("sha256-'"), "{policy}");
        is_guarded(&response);
        assert!(PLACEHOLDER.contains("make panel"));
        // One style, no script: what the policy lets through.
        assert_eq!(PLACEHOLDER.matches("<style").count(), 1);
        assert!(!PLACEHOLDER.contains("<script") && !PLACEHOLDER.contains("style="));
    }

    #[test]
    fn nothing_but_a_name_leads_to_a_file() {
        for name in [
            "assets/",
            "assets/../index.html",
            "assets/./a-1.js",
            "assets//a-1.js",
            "/assets/a-1.js",
            "assets/%2e%2e/index.html",
            "assets/..%2findex.html",
            "assets/a-1.js%00",
            "assets\\a-1.js",
            "assets/a-1.js/",
            "assets/.a",
            "",
            "/etc/passwd",
            "assets/../../Cargo.toml",
            "assets//etc/passwd",
        ] {
            assert!(!is_plain(name) || files(name).is_none(), "{name}");
            let everything: Files = |_| {
                Some(File {
                    data: Cow::Borrowed(b"secret"),
                    sha256: [0; 32],
                    kind: "text/plain".to_owned(),
                })
            };
            let response = asset(name, &headers(&[]), everything);
            assert_eq!(response.status(), 404, "{name}");
            is_guarded(&response);
        }
        assert!(is_plain("assets/index-B3x_9.js") && is_plain("index.html"));
    }
}
