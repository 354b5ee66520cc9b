//! Pictures, documents and sound inside a request or an answer.

use bytes::Bytes;

/// Media as every dialect carries it: a type and base64 text.
///
/// The text is a slice of the body it came in where that was possible, so a 20 MiB picture is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// MIME type in lower case, without parameters.
    pub mime: String,
    /// Standard base64 with padding; only `A–Z a–z 0–9 + / =`, checked by whoever made this. So it is UTF-8 and needs
    /// no escaping inside JSON.
    pub base64: Bytes,
    /// The file's name, where the client gave one.
    pub name: Option<String>,
}

impl Media {
    /// The base64 text. Empty in the impossible case that it isn't text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.base64).unwrap_or_default()
    }
}
