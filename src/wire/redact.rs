//! Bodies without their media, for those that an operator asked to keep: each picture, document or sound becomes its type,
//! size and digest.
//!
//! It works on the text, whatever the dialect, so that broken JSON and streams of events are treated as well. What counts
//! as media: base64 in a data URL; a string under one of the names that base64 stands under, where all of it is base64; and
//! anything else that is base64 for at least 1,024 letters (signatures too). Letters may be escaped as JSON allows.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use sha2::{Digest as _, Sha256};

use crate::base::id::hex;
use crate::wire::media;

/// So many letters of base64 without a break are media wherever they stand.
const LONG: usize = 1024;
/// Fewer letters under a media name are a word.
const SHORT: usize = 16;
/// Names of strings that may be base64.
const NAMES: [&[u8]; 5] = [b"data", b"file_data", b"url", b"image_url", b"b64_json"];
/// Bytes before the data of a data URL in which its beginning is looked for.
const HEAD: usize = 200;
/// Letters decoded at once: whole groups of four.
const BLOCK: usize = 4096;

/// Reads what is left out, for its digest: nothing is refused.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// At most `limit` bytes of a body without its media, and whether that is all of it.
pub fn redact(body: &[u8], limit: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(body.len().min(limit) + 128);
    let mut at = 0;
    while at < body.len() {
        if out.len() > limit {
            return (cut(out, limit), false);
        }
        let Some(letters) = body[at..].iter().position(|b| is_letter(*b)) else {
            out.extend_from_slice(&body[at..body.len().min(at + limit + 1)]);
            break;
        };
        // Whatever stands between two words is copied, but never more than is kept.
        out.extend_from_slice(&body[at..at + letters.min(limit + 1)]);
        at += letters;
        at = match found(body, at) {
            Found::Media { end, mime } => {
                describe(&mut out, &body[at..end], mime.as_deref());
                end
            }
            Found::Url { data, end, mime } => {
                out.extend_from_slice(&body[at..data]);
                let decoded: Vec<u8> = percent_encoding::percent_decode(&body[data..end]).collect();
                write(&mut out, &mime, decoded.len(), &Sha256::digest(&decoded));
                end
            }
            Found::Word { end } => {
                out.extend_from_slice(&body[at..end.min(at + limit + 1)]);
                end
            }
        };
    }
    let whole = out.len() <= limit;
    (cut(out, limit), whole)
}

/// Cuts at a character's border.
fn cut(mut out: Vec<u8>, limit: usize) -> Vec<u8> {
    if out.len() > limit {
        let border = (0..=limit).rev().find(|at| out[*at] & 0xc0 != 0x80);
        out.truncate(border.unwrap_or(0));
    }
    out
}

/// What begins at a letter.
enum Found {
    /// Base64 up to `end`; its type where a data URL names it.
    Media { end: usize, mime: Option<String> },
    /// A data URL whose data from `data` to `end` are percent-encoded.
    Url {
        data: usize,
        end: usize,
        mime: String,
    },
    /// No media up to `end`.
    Word { end: usize },
}

fn found(body: &[u8], at: usize) -> Found {
    let before = &body[..at];
    if let Some(head) = before.strip_suffix(b";base64,") {
        let run = whole_string(body, at).unwrap_or_else(|| run(body, at, Breaks::None));
        return Found::Media {
            end: run.end,
            mime: label(head),
        };
    }
    if before.ends_with(b"\"") {
        if let Some(found) = percent_encoded(body, at) {
            return found;
        }
        if name_before(before).is_some_and(|name| NAMES.contains(&name))
            && let Some(run) = whole_string(body, at).filter(|run| run.letters >= SHORT)
        {
            return Found::Media {
                end: run.end,
                mime: None,
            };
        }
    }
    let run = run(body, at, Breaks::None);
    if run.letters >= LONG {
        Found::Media {
            end: run.end,
            mime: None,
        }
    } else {
        Found::Word { end: run.end }
    }
}

/// Where base64 ends.
struct Run {
    end: usize,
    letters: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    /// White space ends it.
    None,
    /// White space, plain or escaped, may stand in it, and percent-encoded letters.
    Allowed,
}

/// What stands at a place of base64: its length in the body, and its letter where it is one.
fn letter(body: &[u8], at: usize, breaks: Breaks) -> Option<(usize, Option<u8>)> {
    let rest = &body[at..];
    let allowed = breaks == Breaks::Allowed;
    match rest {
        [b'-', ..] => Some((1, Some(b'+'))),
        [b'_', ..] => Some((1, Some(b'/'))),
        [b, ..] if is_letter(*b) => Some((1, Some(*b))),
        [b'=', ..] => Some((1, None)),
        [b'\\', b'/', ..] => Some((2, Some(b'/'))),
        [b'\\', b'u', b'0', b'0', a, b, ..] => {
            let code = u8::from_str_radix(std::str::from_utf8(&[*a, *b]).ok()?, 16).ok()?;
            match code {
                b'=' => Some((6, None)),
                code => is_letter(code).then_some((6, Some(code))),
            }
        }
        [b' ' | b'\t' | b'\r' | b'\n', ..] if allowed => Some((1, None)),
        [b'\\', b'n' | b'r' | b't', ..] if allowed => Some((2, None)),
        [b'%', a, b, ..] if allowed => {
            let code = u8::from_str_radix(std::str::from_utf8(&[*a, *b]).ok()?, 16).ok()?;
            Some((3, Some(code).filter(|code| is_letter(*code))))
        }
        _ => None,
    }
}

fn is_letter(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_')
}

fn run(body: &[u8], mut at: usize, breaks: Breaks) -> Run {
    let mut letters = 0;
    let mut padded = false;
    while let Some((length, found)) = letter(body, at, breaks) {
        // What follows the padding is something else, unless it is white space.
        if padded && found.is_some() {
            break;
        }
        padded |= body[at] == b'=';
        letters += usize::from(found.is_some());
        at += length;
    }
    Run { end: at, letters }
}

/// The run from here to the end of its string, where all of it is base64.
fn whole_string(body: &[u8], at: usize) -> Option<Run> {
    let run = run(body, at, Breaks::Allowed);
    let rest = &body[run.end..];
    (rest.starts_with(b"\"") || rest.starts_with(b"\\\"")).then_some(run)
}

/// The name of the string that begins after these bytes, which end with its quote.
fn name_before(before: &[u8]) -> Option<&[u8]> {
    let quote = |text: &'static [u8]| move |b: &[u8]| b.strip_suffix(text).map(<[u8]>::len);
    let strip = |b: &[u8]| -> Option<usize> {
        let length = quote(b"\"")(b)?;
        Some(b[..length].strip_suffix(b"\\").map_or(length, <[u8]>::len))
    };
    let value = before[..strip(before)?].trim_ascii_end();
    let name = value.strip_suffix(b":")?.trim_ascii_end();
    let name = &name[..strip(name)?];
    let tail = &name[name.len().saturating_sub(16)..];
    let begin = memchr::memrchr(b'"', tail)?;
    Some(&tail[begin + 1..])
}

/// The type that a data URL names before `;base64,`.
fn label(head: &[u8]) -> Option<String> {
    let tail = &head[head.len().saturating_sub(HEAD)..];
    let begin = memmem::rfind(tail, b"data:")? + b"data:".len();
    let text = String::from_utf8_lossy(&tail[begin..]).replace("\\/", "/");
    media::mime_type(&text)
}

/// A data URL that is not base64 and begins at this place, which is a string's first.
fn percent_encoded(body: &[u8], at: usize) -> Option<Found> {
    let url = body[at..].strip_prefix(b"data:")?;
    let comma = memchr::memchr3(b',', b'"', b' ', &url[..url.len().min(HEAD)])?;
    let head = &url[..comma];
    if url[comma] != b',' || head.ends_with(b";base64") {
        return None;
    }
    let text = String::from_utf8_lossy(head).replace("\\/", "/");
    let mime = media::mime_type(&text)?;
    let data = at + b"data:".len() + comma + 1;
    let length = memchr::memchr2(b'"', b'\\', &body[data..]).unwrap_or(body.len() - data);
    Some(Found::Url {
        data,
        end: data + length,
        mime,
    })
}

/// Writes type, size and digest of what this base64 stands for.
fn describe(out: &mut Vec<u8>, text: &[u8], mime: Option<&str>) {
    let (mut digest, mut size) = (Sha256::new(), 0);
    let mut block = Vec::with_capacity(BLOCK);
    let mut sniffed = None;
    let mut decoded = Vec::new();
    let mut take = |block: &mut Vec<u8>| {
        sniffed = sniffed.or_else(|| media::sniff(block).filter(|_| size == 0));
        // A single letter at the end stands for nothing.
        if block.len() % 4 == 1 {
            block.pop();
        }
        decoded.clear();
        if LENIENT.decode_vec(&block, &mut decoded).is_ok() {
            digest.update(&decoded);
            size += decoded.len();
        }
        block.clear();
    };
    let mut at = 0;
    while let Some((length, letter)) = letter_of(text, at) {
        block.extend(letter);
        if block.len() == BLOCK {
            take(&mut block);
        }
        at += length;
    }
    take(&mut block);
    let mime = mime.or(sniffed).unwrap_or("unknown type");
    write(out, mime, size, &digest.finalize());
}

fn letter_of(text: &[u8], at: usize) -> Option<(usize, Option<u8>)> {
    if at < text.len() {
        letter(text, at, Breaks::Allowed)
    } else {
        None
    }
}

fn write(out: &mut Vec<u8>, mime: &str, size: usize, digest: &[u8]) {
    let text = format!("[{mime}, {size} bytes, sha256 {}]", hex(digest));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
