//! `agp hash-password`: the line for `[admin]`.

use std::io::{self, BufRead, Write};

use argon2::password_hash::{PasswordHasher as _, SaltString};

use crate::cli::prompt;
use crate::config::weak;

/// Longest password in bytes.
const MAX_PASSWORD: u64 = 1024;

/// Hash a password for the admin panel; it is read from standard input.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp hash-password < password.txt")]
pub struct Args {}

/// Reads a line and prints `password_hash = "..."` with its argon2id hash. Gives the exit code: 0, or 1 where the password
/// is refused (too short, or published). `terminal` says that a person types it: then there is a prompt, and the terminal
/// is asked not to show it.
///
/// # Errors
/// Where input or output fail, or the system gives no random bytes.
pub fn run(
    _args: &Args,
    input: &mut dyn BufRead,
    terminal: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let password = prompt::line(input, MAX_PASSWORD, "Password", terminal, err)?;
    if password.len() as u64 > MAX_PASSWORD {
        writeln!(
            err,
            "error: expected a password of at most {MAX_PASSWORD} bytes"
        )?;
        return Ok(1);
    }
    if let Some(why) = weak::password(&password) {
        writeln!(err, "error: {why}")?;
        return Ok(1);
    }
    writeln!(out, "password_hash = \"{}\"", hash(&password)?)?;
    Ok(0)
}

/// The argon2id hash in PHC form, with a salt of 16 random bytes and the crate's parameters (OWASP's: 19 MiB, 2 rounds).
///
/// # Errors
/// Where the system gives no random bytes.
pub(in crate::cli) fn hash(password: &str) -> io::Result<String> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    let failed = |e: argon2::password_hash::Error| io::Error::other(e.to_string());
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    let hash = argon2::Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHash, PasswordVerifier as _};

    use super::*;

    fn hashed(input: &str) -> (u8, String, String) {
        let mut out = Vec::new();
        let mut err = Vec::new();
        let code = run(&Args {}, &mut input.as_bytes(), false, &mut out, &mut err).unwrap();
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn the_line_verifies_the_password_and_can_be_pasted() {
        let (code, out, _) = hashed("correct horse\r\n");
        assert_eq!(code, 0);
        let text = out.trim().strip_prefix("password_hash = \"").unwrap();
        let parsed = PasswordHash::new(text.trim_end_matches('"')).unwrap();
        let argon = argon2::Argon2::default();
        assert!(argon.verify_password(b"correct horse", &parsed).is_ok());
        assert!(argon.verify_password(b"correct hors3", &parsed).is_err());
        let text = format!("version = 1\n[admin]\n{out}");
        let files = crate::config::source::Files::from_texts([("agp.toml".into(), text)]);
        assert!(
            crate::config::load(&files, std::iter::empty())
                .config
                .is_some()
        );
    }

    #[test]
    fn weak_ones_are_refused_and_not_repeated() {
        for (input, said) in [
            ("short\n", "at least 12"),
            ("", "at least 12"),
            ("admin123\n", "published"),
        ] {
            let (code, out, err) = hashed(input);
            assert_eq!((code, out.as_str()), (1, ""), "{input}");
            assert!(err.contains(said), "{err}");
            assert!(input.is_empty() || !err.contains(input.trim()), "{err}");
        }
        assert_eq!(hashed(&"x".repeat(2000)).0, 1);
    }
}
