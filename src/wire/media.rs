//! Pictures, documents and sound as clients send them: data URLs and base64, without a copy where none is needed.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::base::error::Error;
use crate::ir::Media;
use crate::wire::json::{At, Text, shown};

/// Media from what stands in a field for a URL: a data URL, or bare base64 whose type is read from its first bytes and
/// is else `fallback`.
///
/// # Errors
/// A 400 that names `at` where it is an address to fetch, or nothing of all this.
pub(crate) fn from_url(
    body: &Bytes,
    url: Text<'_>,
    fallback: &str,
    at: &At<'_>,
) -> Result<Media, Error> {
    if starts_with_ignoring_case(&url, "data:") {
        return from_data_url(body, url, fallback, at);
    }
    if starts_with_ignoring_case(&url, "http://") || starts_with_ignoring_case(&url, "https://") {
        return Err(at.bad(
            "fetching from an address is not available yet: send the content as a data URL (`data:<type>;base64,<data>`)",
        ));
    }
    let head = url.get(..url.len().min(32)).unwrap_or_default();
    if let Some((scheme, _)) = head.split_once("://") {
        return Err(at.bad(format_args!(
            "addresses of kind `{scheme}://` are not read here: send the content as a data URL (`data:<type>;base64,<data>`)"
        )));
    }
    let Some(base64) = base64(body, url.0) else {
        return Err(
            at.bad("expected a data URL (`data:<type>;base64,<data>`) or base64, found neither")
        );
    };
    let mime = sniff(&base64).unwrap_or(fallback).to_owned();
    Ok(Media {
        mime,
        base64,
        name: None,
    })
}

/// Media from base64 whose type is known.
///
/// # Errors
/// A 400 that names `at` where it is not base64.
pub(crate) fn from_base64(
    body: &Bytes,
    mime: String,
    data: Text<'_>,
    at: &At<'_>,
) -> Result<Media, Error> {
    match base64(body, data.0) {
        Some(base64) => Ok(Media {
            mime,
            base64,
            name: None,
        }),
        None => Err(at.bad("expected base64, found text that is empty or not base64")),
    }
}

fn from_data_url(body: &Bytes, url: Text<'_>, fallback: &str, at: &At<'_>) -> Result<Media, Error> {
    let Some(comma) = memchr::memchr(b',', url.as_bytes()) else {
        return Err(at.bad("the data URL has no comma: expected `data:<type>;base64,<data>`"));
    };
    let mut head = url["data:".len()..comma].split(';').map(str::trim);
    let label = head.next().unwrap_or_default();
    let encoded = head.any(|p| p.eq_ignore_ascii_case("base64"));
    let mime = match label {
        "" => None,
        label => Some(mime_type(label).ok_or_else(|| {
            at.bad(format_args!(
                "expected a type such as `image/png` in the data URL, found `{}`",
                shown(label)
            ))
        })?),
    };
    let data = match url.0 {
        Cow::Borrowed(text) => Cow::Borrowed(&text[comma + 1..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(comma + 1)),
    };
    let base64 = if encoded {
        // A percent sign can't be base64: some clients write `+`, `/` and `=` that way.
        let data = if memchr::memchr(b'%', data.as_bytes()).is_some() {
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(&data).collect();
            Cow::Owned(String::from_utf8(decoded).unwrap_or_default())
        } else {
            data
        };
        base64(body, data)
            .ok_or_else(|| at.bad("the data URL holds no data, or what is not base64"))?
    } else {
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(&data).collect();
        if decoded.is_empty() {
            return Err(at.bad("the data URL holds no data"));
        }
        Bytes::from(STANDARD.encode(decoded))
    };
    let mime = mime.unwrap_or_else(|| sniff(&base64).unwrap_or(fallback).to_owned());
    Ok(Media {
        mime,
        base64,
        name: None,
    })
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A MIME type in lower case without parameters; `None` where the text is none.
pub(crate) fn mime_type(text: &str) -> Option<String> {
    let text = text.split(';').next().unwrap_or_default().trim();
    let (kind, sub) = text.split_once('/')?;
    let token = |t: &str| {
        !t.is_empty()
            && t.len() <= 100
            && t.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    (token(kind) && token(sub)).then(|| text.to_ascii_lowercase())
}

/// Standard base64 with padding, as a slice of the body where the text stands in it so; else the repaired text: URL-safe
/// letters, white space and missing padding are put right. `None` where it is empty or no base64.
pub(crate) fn base64(body: &Bytes, text: Cow<'_, str>) -> Option<Bytes> {
    if is_standard(text.as_bytes()) {
        return Some(match text {
            Cow::Borrowed(text) => slice_of(body, text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        });
    }
    repaired(text.as_bytes()).map(Bytes::from)
}

fn slice_of(body: &Bytes, part: &[u8]) -> Bytes {
    let (whole, inner) = (body.as_ptr_range(), part.as_ptr_range());
    if whole.start <= inner.start && inner.end <= whole.end {
        body.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}

fn is_standard(text: &[u8]) -> bool {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return false;
    }
    let data = text.strip_suffix(b"=").unwrap_or(text);
    let data = data.strip_suffix(b"=").unwrap_or(data);
    // Blocks of fixed length, looked at to their end, so that the compiler checks many letters at once.
    let (blocks, rest) = data.as_chunks::<32>();
    let clean = |block: &[u8; 32]| {
        let mut bad = false;
        for &b in block {
            bad |= !is_letter(b);
        }
        !bad
    };
    blocks.iter().all(clean) && rest.iter().all(|&b| is_letter(b))
}

/// Whether this is a letter of standard base64, padding not counted.
fn is_letter(b: u8) -> bool {
    let lower = b | 0x20;
    // The slash stands right before the digits.
    lower.is_ascii_lowercase() || matches!(b, b'/'..=b'9' | b'+')
}

fn repaired(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 3);
    let mut padding = false;
    for &b in text {
        match b {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'=' => padding = true,
            _ if padding => return None,
            b'-' => out.push(b'+'),
            b'_' => out.push(b'/'),
            _ if is_letter(b) => out.push(b),
            _ => return None,
        }
    }
    match out.len() % 4 {
        _ if out.is_empty() => return None,
        0 => {}
        2 => out.extend_from_slice(b"=="),
        3 => out.push(b'='),
        _ => return None,
    }
    Some(out)
}

/// The type that the first bytes name; `None` where they name none that is known here.
pub(crate) fn sniff(base64: &[u8]) -> Option<&'static str> {
    let head = base64.get(..base64.len().min(16) / 4 * 4)?;
    let bytes = STANDARD.decode(head).ok()?;
    let at = |offset: usize, magic: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    if at(0, b"\x89PNG") {
        Some("image/png")
    } else if at(0, b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if at(0, b"GIF8") {
        Some("image/gif")
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Some("image/webp")
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        Some("audio/wav")
    } else if at(0, b"%PDF") {
        Some("application/pdf")
    } else if at(4, b"ftypheic") || at(4, b"ftypheix") {
        Some("image/heic")
    } else if at(4, b"ftypavif") {
        Some("image/avif")
    } else {
        None
    }
}

/// The type that a file's name tells; `None` where it tells none that is known here.
pub(crate) fn type_of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match &*extension.to_ascii_lowercase() {
        "pdf" => "application/pdf",
        "txt" | "log" | "toml" | "yaml" | "yml" | "ini" | "rs" | "go" | "java" | "c" | "h"
        | "cpp" | "sh" | "ts" | "sql" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "xml" => "text/xml",
        "js" | "mjs" => "text/javascript",
        "py" => "text/x-python",
        "json" => "application/json",
        "rtf" => "text/rtf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "avif" => "image/avif",
        "bmp" => "image/bmp",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "m4a" | "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII=";

    fn url(text: &str) -> Result<Media, Error> {
        from_url(
            &Bytes::new(),
            Text(Cow::Borrowed(text)),
            "image/png",
            &At::field("url"),
        )
    }

    #[test]
    fn base64_is_repaired_or_refused() {
        for (text, want) in [
            ("QUJD", Some("QUJD")),
            ("QUI=", Some("QUI=")),
            ("QUI", Some("QUI=")),
            ("QQ", Some("QQ==")),
            ("-_-_", Some("+/+/")),
            ("QU\nJD\r\n", Some("QUJD")),
            ("", None),
            ("    ", None),
            ("Q", None),
            ("QUJD*", None),
            ("Q=Q=", None),
            ("====", None),
            ("héhé", None),
        ] {
            let got = base64(&Bytes::new(), Cow::Borrowed(text));
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn a_slice_of_the_body_is_not_copied() {
        let body = Bytes::from(format!("{{\"x\":\"{PNG}\"}}"));
        let text = std::str::from_utf8(&body[6..6 + PNG.len()]).unwrap();
        let got = base64(&body, Cow::Borrowed(text)).unwrap();
        assert_eq!(got.as_ptr(), body[6..].as_ptr());
    }

    #[test]
    fn types_are_read_from_url_bytes_and_name() {
        assert_eq!(url(PNG).unwrap().mime, "image/png");
        assert_eq!(url("/9j/4AAQSkZJRgAB").unwrap().mime, "image/jpeg");
        assert_eq!(url("QUJDREVGR0g=").unwrap().mime, "image/png");
        let media = url("DATA:Image/JPEG;x=y;base64,QUJD").unwrap();
        assert_eq!((&*media.mime, media.text()), ("image/jpeg", "QUJD"));
        let media = url("data:text/plain,a%20b").unwrap();
        assert_eq!((&*media.mime, media.text()), ("text/plain", "YSBi"));
        assert_eq!(url("data:image/png;base64,QUI%3D").unwrap().text(), "QUI=");
        assert_eq!(
            url("data:;base64,JVBERi0xLjQK").unwrap().mime,
            "application/pdf"
        );
        assert_eq!(type_of_name("A.PDF"), Some("application/pdf"));
        assert_eq!(type_of_name("x"), None);
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        for (text, words) in [
            ("https://example.com/a.png", "not available yet"),
            ("gs://bucket/a.png", "gs://"),
            ("data:image/png;base64", "no comma"),
            ("data:image/png;base64,", "no data"),
            ("data:image/png;base64,***", "not base64"),
            ("data:nonsense;base64,QUJD", "nonsense"),
            ("not a picture!", "found neither"),
            ("", "found neither"),
        ] {
            let e = url(text).unwrap_err();
            assert_eq!(e.param.as_deref(), Some("url"));
            assert!(e.message.contains(words), "{text}: {e}");
        }
    }
}
