//! `agp seal`: a secret that may be committed.

use std::io::{BufRead, IsTerminal as _, Write};

use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::cli::sealing::Shop;
use crate::cli::{Failed, prompt, serve};
use crate::config::edit::{self, Intent, Literal, Refused};
use crate::config::model::SecretRef;
use crate::config::seal::Recipients;
use crate::config::secret::{MAX_SECRET, Reference};
use crate::config::{self, key_path, render};

/// Arguments of `agp seal`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The secret is read from standard input, without the line break at its end; at a terminal it is asked for and not shown.\n\nExample:\n  agp seal < token.txt\n  agp seal --in-place accounts.alice.refresh_token"
)]
pub struct Args {
    /// Seal the plain values of these keys where they stand in the files, such as `accounts.alice.refresh_token`
    #[arg(long, value_name = "KEY", num_args = 1..)]
    pub in_place: Vec<String>,
    /// Where the configuration and the identity are
    #[command(flatten)]
    pub serve: serve::Args,
}

/// Prints the value to paste, or seals plain values in the files.
///
/// # Errors
/// A sentence for people.
pub async fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failed> {
    let shop = Shop::open(&args.serve)?;
    if !args.in_place.is_empty() {
        return in_place(&shop, &args.in_place, out, err).await;
    }
    let secret = {
        let input = std::io::stdin();
        let terminal = input.is_terminal();
        read(&mut input.lock(), terminal, err)?
    };
    let recipients = recipients(&shop, err).await?;
    let sealed = recipients.seal(&secret).map_err(|e| e.to_string())?;
    let _ = writeln!(out, "{{ sealed = \"{sealed}\" }}");
    Ok(())
}

/// The secret to seal.
fn read(input: &mut dyn BufRead, terminal: bool, err: &mut dyn Write) -> Result<Secret, String> {
    let read = if terminal {
        prompt::line(input, MAX_SECRET, "Secret", true, err)
    } else {
        prompt::all(input, MAX_SECRET)
    };
    let text = read.map_err(|e| format!("standard input: {e}"))?;
    if text.len() as u64 > MAX_SECRET {
        return Err(format!(
            "expected a secret of at most {} KiB",
            MAX_SECRET >> 10
        ));
    }
    match text.trim() {
        "" => Err("expected a secret on standard input, found nothing".to_owned()),
        text if text.starts_with("agp1:") => {
            Err("this is sealed already; `agp rotate` seals it for other recipients".to_owned())
        }
        text => Ok(Secret::new(text)),
    }
}

/// For whom to seal. Tells where the identity was made for it.
async fn recipients(shop: &Shop, err: &mut dyn Write) -> Result<Recipients, Failed> {
    let (identity, made) = shop.identity_to_seal().await?;
    if made {
        let _ = writeln!(
            err,
            "made the identity {}: it opens what is sealed, so keep a copy, and keep the file out of git (recipient {})",
            shop.identity_path().display(),
            identity.recipient()
        );
    }
    let more = &shop.sealing.secrets.recipients;
    Ok(identity.recipients(more).map_err(|e| e.to_string())?)
}

async fn in_place(
    shop: &Shop,
    keys: &[String],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), Failed> {
    let found: Vec<(&Reference, Option<&Secret>)> = keys
        .iter()
        .map(|key| plain(&shop.loaded.secrets, key))
        .collect::<Result<_, _>>()?;
    let recipients = recipients(shop, err).await?;
    let mut intents = Vec::new();
    for (reference, secret) in &found {
        let Some(secret) = secret else {
            let _ = writeln!(out, "`{}` is sealed already", reference.key);
            continue;
        };
        let sealed = recipients.seal(secret).map_err(|e| e.to_string())?;
        intents.push(Intent::Set {
            path: key_path(&reference.key).unwrap_or_default(),
            value: Literal::table([("sealed".to_owned(), Literal::from(sealed.as_str()))]),
        });
    }
    let seen = shop.files.revision();
    let env = config::environment();
    let edited = edit::edit(&shop.files, &env, seen, &intents, Timestamp::now());
    let edited = edited.map_err(|refused| match refused {
        Refused::Invalid {
            files, diagnostics, ..
        } => {
            let lines: Vec<String> = diagnostics
                .iter()
                .filter(|d| d.severity == config::diagnostic::Severity::Error)
                .map(|d| render::line(&files, d))
                .collect();
            format!("the files have errors:\n{}", lines.join("\n"))
        }
        other => other.to_string(),
    })?;
    shop.save(&edited.changes)?;
    for (reference, _) in found.iter().filter(|(_, secret)| secret.is_some()) {
        let _ = writeln!(out, "sealed `{}`", reference.key);
    }
    if !intents.is_empty() {
        let _ = writeln!(
            err,
            "if the plain value was ever committed, it is still in git's history: have a new one issued"
        );
    }
    Ok(())
}

/// The plain value of a key; no value where it is sealed already.
fn plain<'r>(
    references: &'r [Reference],
    key: &str,
) -> Result<(&'r Reference, Option<&'r Secret>), String> {
    let reference = named(references, key)?;
    match (&reference.secret, &reference.span) {
        (SecretRef::Sealed(_), _) => Ok((reference, None)),
        (SecretRef::Plain(_), None) => Err(format!(
            "`{}` is given by the environment, not by a file",
            reference.key
        )),
        (SecretRef::Plain(secret), Some(_)) => Ok((reference, Some(secret))),
        (SecretRef::Env(name), _) => Err(format!(
            "`{}` is not in the file: it is read from the environment variable `{name}`",
            reference.key
        )),
        (SecretRef::File(path), _) => Err(format!(
            "`{}` is not in the file: it is read from `{}`",
            reference.key,
            path.display()
        )),
    }
}

/// The secret that a key names, however its parts are quoted.
///
/// # Errors
/// There is none, or the key is none; names those that there are.
pub fn named<'r>(references: &'r [Reference], key: &str) -> Result<&'r Reference, String> {
    let wanted = key_path(key)
        .ok_or_else(|| "expected a key such as `accounts.alice.refresh_token`".to_owned())?;
    let is = |r: &&Reference| key_path(&r.key).is_some_and(|path| path == wanted);
    references.iter().find(is).ok_or_else(|| {
        let keys: Vec<String> = references.iter().map(|r| format!("`{}`", r.key)).collect();
        let there = match keys.len() {
            0 => "the files hold no secret".to_owned(),
            1..=20 => format!("the files have {}", keys.join(", ")),
            n => format!("the files have {n}, such as {}", keys[..5].join(", ")),
        };
        format!("there is no secret at this key: {there}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(input: &str) -> Result<String, String> {
        let read = read(&mut input.as_bytes(), false, &mut Vec::new());
        read.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_input_is_trimmed_bounded_and_never_repeated() {
        assert_eq!(secret(" value\r\n").as_deref(), Ok("value"));
        assert_eq!(
            secret("{\n \"a\": 1\n}\n").as_deref(),
            Ok("{\n \"a\": 1\n}")
        );
        assert!(secret("\n").unwrap_err().contains("nothing"));
        assert!(secret("agp1:AAAA").unwrap_err().contains("sealed already"));
        let long = secret(&"x".repeat(70_000)).unwrap_err();
        assert!(long.contains("64 KiB") && !long.contains("xxx"), "{long}");
        let mut all = Vec::new();
        let one = read(&mut &b"typed\nmore\n"[..], true, &mut all).unwrap();
        assert_eq!(one.expose(), "typed");
        let all = String::from_utf8(all).unwrap();
        assert!(all.contains("Secret: ") && !all.contains("typed"), "{all}");
    }
}
