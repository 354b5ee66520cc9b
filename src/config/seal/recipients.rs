//! For whom things are sealed. Everything sealed here names its recipients in its age header, in a stanza of its own that
//! other age programs pass over (the age format, <https://age-encryption.org/v1>, lets a program ignore stanzas of unknown
//! types): a missing or wrong identity can then be told by the name of the right one.

use std::collections::HashSet;
use std::io::Write as _;

use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::secret::Secret;
use crate::config::seal::SealError;
use crate::config::value::SEALED;

/// The type of the stanza that names the recipients.
const NAMES: &str = "agp-recipients";
/// The first line of an age file.
const MAGIC: &str = "age-encryption.org/v1\n";
/// Fewest characters of base64 of a sealed value: the age header and one stanza take more.
const MIN_BODY: usize = 200;

/// For whom things are sealed: an identity's own recipient first.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipients(Vec<age::x25519::Recipient>);

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Recipients {
    pub(super) fn new(own: age::x25519::Recipient, more: &[String]) -> Result<Self, SealError> {
        let mut all = vec![own];
        for text in more {
            let recipient = parse(text).map_err(SealError::Recipient)?;
            if !all.contains(&recipient) {
                all.push(recipient);
            }
        }
        Ok(Self(all))
    }

    /// Their names, `age1...`.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Seals a text for the file: `agp1:` and the base64 of what the age tool would write.
    ///
    /// # Errors
    /// Only where encryption itself fails, which it does not in memory.
    pub fn seal(&self, secret: &Secret) -> Result<String, SealError> {
        let cipher = self.wrap(secret.expose().as_bytes())?;
        Ok(format!("{SEALED}{}", STANDARD.encode(cipher)))
    }

    /// Encrypts bytes to all of them, such as the store's data key.
    ///
    /// # Errors
    /// Only where encryption itself fails, which it does not in memory.
    pub fn wrap(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let failed = |e: &dyn std::fmt::Display| SealError::Damaged(e.to_string());
        let names = Names(self.names());
        let all = self.0.iter().map(|r| r as &dyn age::Recipient);
        let all = all.chain(std::iter::once(&names as &dyn age::Recipient));
        let encryptor = age::Encryptor::with_recipients(all).map_err(|e| failed(&e))?;
        let mut cipher = Vec::new();
        let mut writer = encryptor.wrap_output(&mut cipher).map_err(|e| failed(&e))?;
        writer.write_all(plain).map_err(|e| failed(&e))?;
        writer.finish().map_err(|e| failed(&e))?;
        Ok(cipher)
    }
}

/// Stands among the recipients, and opens nothing for anybody.
struct Names(Vec<String>);

impl age::Recipient for Names {
    fn wrap_file_key(
        &self,
        _: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let stanza = Stanza {
            tag: NAMES.to_owned(),
            args: self.0.clone(),
            body: Vec::new(),
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

/// The recipients that an age file names. Those made by other programs name none.
pub fn named(cipher: &[u8]) -> Vec<String> {
    let Some(header) = cipher.strip_prefix(MAGIC.as_bytes()) else {
        return Vec::new();
    };
    let lines = header.split(|b| *b == b'\n').map(std::str::from_utf8);
    let lines = lines.map_while(Result::ok);
    lines
        .take_while(|line| !line.starts_with("---"))
        .filter_map(|line| line.strip_prefix("-> ")?.strip_prefix(NAMES))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// The recipients that a sealed value names; the text with its `agp1:`.
pub fn named_in(sealed: &str) -> Vec<String> {
    let body = sealed.strip_prefix(SEALED).unwrap_or_default();
    STANDARD
        .decode(body)
        .map_or(Vec::new(), |cipher| named(&cipher))
}

/// Whether these are the bytes of an age file, as far as its first line tells.
pub(crate) fn is_age(cipher: &[u8]) -> bool {
    cipher.starts_with(MAGIC.as_bytes())
}

/// Every sealed value in a text and where it begins, in comments too. A mere `agp1:...` is none.
pub fn find(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices(SEALED).filter_map(|(at, _)| {
        let body = &text[at + SEALED.len()..];
        let end = body.find(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
        let body = &body[..end.unwrap_or(body.len())];
        let is_sealed = || STANDARD.decode(body).is_ok_and(|cipher| is_age(&cipher));
        let sealed = &text[at..at + SEALED.len() + body.len()];
        (body.len() >= MIN_BODY && is_sealed()).then_some((at, sealed))
    })
}

/// A recipient from its text.
pub(crate) fn parse(text: &str) -> Result<age::x25519::Recipient, String> {
    const EXPECTED: &str = "expected an age recipient such as \"age1...\", found";
    let lower = text.trim().to_ascii_lowercase();
    text.parse().map_err(|_| {
        // A secret is not repeated in the message.
        if lower.contains("age-secret-key-") {
            format!("{EXPECTED} a secret key: write its public half here, which `age-keygen -y` tells, and take the secret for published if this file is")
        } else if lower.starts_with("ssh-") {
            format!("{EXPECTED} an SSH key: make an age one with `age-keygen`")
        } else if text.trim() != text {
            format!("{EXPECTED} \"{text}\": take the white space around it away")
        } else if lower.starts_with("age1") && lower.len() == 62 {
            format!("{EXPECTED} \"{text}\", whose check sum does not fit: some letter is another one")
        } else if lower.starts_with("age1") && !lower[4..].contains('1') {
            format!("{EXPECTED} \"{text}\": one has 62 characters, this one {}", lower.len())
        } else if lower.starts_with("age1") {
            format!("{EXPECTED} \"{text}\": only those of X25519 are taken, no plugin's")
        } else {
            format!("{EXPECTED} \"{text}\"")
        }
    })
}

/// Whether a text holds the secret half of an age key.
pub(crate) fn holds_identity(text: &str) -> bool {
    text.to_ascii_lowercase().contains("age-secret-key-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::seal::Identity;

    fn identity() -> Identity {
        let dir = tempfile::tempdir().unwrap();
        Identity::create(&dir.path().join("id")).unwrap()
    }

    #[test]
    fn each_of_the_recipients_opens_what_is_sealed_and_nobody_else() {
        let (own, other, stranger) = (identity(), identity(), identity());
        let more = [other.recipient(), own.recipient(), other.recipient()];
        let recipients = own.recipients(&more).unwrap();
        assert_eq!(recipients.names(), [own.recipient(), other.recipient()]);
        let sealed = recipients.seal(&Secret::new("value")).unwrap();
        assert_eq!(own.open(&sealed).unwrap().expose(), "value");
        assert_eq!(other.open(&sealed).unwrap().expose(), "value");
        let told = stranger.open(&sealed).unwrap_err().to_string();
        for name in [stranger.recipient(), own.recipient(), other.recipient()] {
            assert!(told.contains(&name), "{told}");
        }
        assert_eq!(named_in(&sealed), recipients.names());
    }

    #[test]
    fn what_names_nobody_is_told_without_a_name() {
        let (own, other) = (identity(), identity());
        let recipient: age::x25519::Recipient = own.recipient().parse().unwrap();
        let cipher = age::encrypt(&recipient, b"x").unwrap();
        assert!(named(&cipher).is_empty());
        assert_eq!(own.unwrap(&cipher).unwrap()[..], b"x"[..]);
        let told = other.unwrap(&cipher).unwrap_err().to_string();
        assert!(
            told.contains(&other.recipient()) && !told.contains("expected"),
            "{told}"
        );
        for bad in [&b""[..], b"age-encryption.org/v1\n", b"\xff\xff"] {
            assert!(named(bad).is_empty());
        }
    }

    #[test]
    fn sealed_values_are_found_wherever_they_stand() {
        let own = identity();
        let one = own.seal(&Secret::new("one")).unwrap();
        let two = own.seal(&Secret::new("two")).unwrap();
        let text = format!(
            "# write {{ sealed = \"agp1:...\" }}, not agp1:AAAA\na = '{one}'\n#b = \"{two}\"#"
        );
        let found: Vec<_> = find(&text).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].1, found[1].1), (one.as_str(), two.as_str()));
        assert_eq!(text[found[1].0..].find(&two), Some(0));
    }

    #[test]
    fn what_is_no_recipient_is_told_by_its_kind_and_no_secret_repeated() {
        let good = identity().recipient();
        assert!(parse(&good).is_ok());
        let mut typo = good.clone().into_bytes();
        typo[20] = if typo[20] == b'q' { b'p' } else { b'q' };
        let typo = String::from_utf8(typo).unwrap();
        let spaced = format!(" {good}");
        for (text, word) in [
            (typo.as_str(), "check sum"),
            (&good[..40], "62 characters, this one 40"),
            (spaced.as_str(), "white space"),
            ("age1yubikey1qqqq", "plugin"),
            ("ssh-ed25519 AAAA", "SSH key"),
            ("alice", "\"alice\""),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(word), "{text}: {told}");
        }
        let told = parse("AGE-SECRET-KEY-1QQQQQQ").unwrap_err();
        assert!(
            told.contains("secret key") && !told.contains("QQQ"),
            "{told}"
        );
    }
}
