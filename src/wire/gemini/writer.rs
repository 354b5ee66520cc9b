//! Writes JSON straight into the body's bytes, so that a picture in the request is copied once and never scanned.

pub(super) use crate::wire::json::write::string;

/// Writes any value. Writing to memory can't fail; a value that has no JSON form becomes `null`.
pub(super) fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// An object that is being written: puts the commas.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens it.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a name, which must need no escapes; the value is to be written to what is given back.
    pub(super) fn key(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A member that is a text.
    pub(super) fn string(&mut self, name: &'static str, text: &str) {
        string(self.key(name), text);
    }

    /// A member of any kind.
    pub(super) fn json<T: serde::Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        json(self.key(name), value);
    }

    /// A member whose value is JSON text already.
    pub(super) fn raw(&mut self, name: &'static str, text: &str) {
        self.key(name).extend_from_slice(text.as_bytes());
    }

    /// A member where there is a value.
    pub(super) fn some<T: serde::Serialize>(&mut self, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.json(name, &value);
        }
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Closes it.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes a list, each element by `write`.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
