//! JSON written straight into a buffer: no tree, no allocation but the buffer's own.

/// Writes a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Writes the inside of a JSON string.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    loop {
        let (plain, behind) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let Some((&b, behind)) = behind.split_first() else {
            return;
        };
        rest = behind;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
    }
}

/// How many bytes from the beginning stand in a JSON string as they are.
fn plain(bytes: &[u8]) -> usize {
    let special = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    // Blocks of fixed length, looked at to their end, so that the compiler checks many bytes at once.
    let (blocks, _) = bytes.as_chunks::<32>();
    let clean = |block: &&[u8; 32]| {
        let mut found = false;
        for &b in *block {
            found |= special(b);
        }
        !found
    };
    let checked = blocks.iter().take_while(clean).count() * 32;
    let rest = &bytes[checked..];
    checked + rest.iter().position(|&b| special(b)).unwrap_or(rest.len())
}

/// Writes a string or `null`.
pub(crate) fn nullable(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => raw(out, "null"),
    }
}

/// Writes text that is JSON already.
pub(crate) fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Writes a number.
pub(crate) fn int(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(n % 10).unwrap_or_default();
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// What was written as text; it always is.
pub(crate) fn into_string(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            prop_assert!(!out.contains(&b'\n'));
        }

        #[test]
        fn long_strings_read_back(text in "([ -~]{0,70}[\"\\\\\n\t\u{1}é]){0,6}") {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_read_back(n in any::<u64>()) {
            let mut out = Vec::new();
            int(&mut out, n);
            prop_assert_eq!(into_string(out), n.to_string());
        }
    }

    #[test]
    fn controls_are_escaped() {
        let mut out = Vec::new();
        string(&mut out, "\u{1}\u{1f}\u{8}\"\\\n");
        assert_eq!(out, br#""\u0001\u001f\u0008\"\\\n""#);
    }
}
