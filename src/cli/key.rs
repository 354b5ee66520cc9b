//! `agp key`: client keys.

mod usage;

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::base::key::generate;
use crate::cli::{ask, serve};

pub use usage::run as run_usage;

/// Make keys for clients, and see what they use.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp key new ci")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `agp key`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make a key, or a token of the admin API: prints it once, and the table to paste into agp.toml
    #[command(after_help = "Example:\n  agp key new ci\n  agp key new --admin read plans")]
    New {
        /// Name of the `[keys.NAME]` table, or of the token in `[admin.tokens]`
        name: String,
        /// A token of the admin API with this role, instead of a key for clients
        #[arg(long, value_name = "ROLE", value_enum)]
        admin: Option<Role>,
    },
    /// Show what keys and groups have used of their limits in the running gateway
    #[command(after_help = "Example:\n  agp key usage ci")]
    Usage(UsageArgs),
}

/// What a token of the admin API may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Look at everything
    Read,
    /// Change things too
    Write,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Arguments of `agp key usage`.
#[derive(Debug, Clone, clap::Args)]
pub struct UsageArgs {
    /// Name of the `[keys.NAME]` table; without it every key and group with limits
    pub name: Option<String>,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub json: bool,
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

impl Args {
    /// Where the configuration and the state are, for those commands that ask a running gateway.
    pub fn serve_args(&mut self) -> Option<&mut serve::Args> {
        match &mut self.command {
            Command::New { .. } => None,
            Command::Usage(args) => Some(&mut args.at.serve),
        }
    }
}

/// Makes a key, or with a role a token. Gives the exit code: 0, or 1 where the name can't be used.
///
/// # Errors
/// Where the output can't be written or the system gives no random bytes.
pub fn run(
    name: &str,
    admin: Option<Role>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if name.is_empty()
        || name.trim() != name
        || name.chars().count() > 128
        || name.chars().any(char::is_control)
    {
        writeln!(
            err,
            "error: expected a name of 1 to 128 characters without white space around it and without control characters"
        )?;
        return Ok(1);
    }
    let key = generate()?;
    let digest = Sha256::digest(key.expose().as_bytes());
    writeln!(
        out,
        "# The {}. It is shown this once: give it to whoever will use it.\n{}\n",
        if admin.is_some() { "token" } else { "key" },
        key.expose()
    )?;
    let name = crate::config::quote_key(name);
    match admin {
        None => writeln!(
            out,
            "# Its table, for agp.toml:\n[keys.{name}]\nsha256 = \"{digest:x}\""
        )?,
        Some(role) => writeln!(
            out,
            "# Its table, for agp.toml:\n[admin.tokens.{name}]\nsha256 = \"{digest:x}\"\nrole = \"{}\"",
            role.as_str()
        )?,
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Files;

    fn new(name: &str) -> (u8, String) {
        let mut out = Vec::new();
        let mut err = Vec::new();
        let code = run(name, None, &mut out, &mut err).unwrap();
        out.extend(err);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_printed_table_is_the_keys_own_and_can_be_pasted() {
        for name in ["ci", "team a.b"] {
            let (code, text) = new(name);
            assert_eq!(code, 0);
            let key = text.lines().find(|l| l.starts_with("sk-")).unwrap();
            let table = &text[text.find("[keys.").unwrap()..];
            let files = Files::from_texts([("agp.toml".into(), format!("version = 1\n{table}"))]);
            let config = crate::config::load(&files, std::iter::empty())
                .config
                .unwrap();
            let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
            assert_eq!(
                config.keys[name].value,
                crate::config::model::KeyValue::Sha256(digest)
            );
        }
    }

    #[test]
    fn a_tokens_table_can_be_pasted_too() {
        let mut out = Vec::new();
        let mut err = Vec::new();
        let code = run("ci plans", Some(Role::Read), &mut out, &mut err).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(code, 0);
        let token = text.lines().find(|l| l.starts_with("sk-")).unwrap();
        let table = &text[text.find("[admin.tokens.").unwrap()..];
        let files = Files::from_texts([("agp.toml".into(), format!("version = 1\n{table}"))]);
        let config = crate::config::load(&files, std::iter::empty())
            .config
            .unwrap();
        let found = &config.admin.tokens["ci plans"];
        assert_eq!(found.role, crate::config::model::Role::Read);
        assert_eq!(found.sha256[..], Sha256::digest(token)[..]);
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", " x", "a\nb", &"x".repeat(129)] {
            assert_eq!(new(name).0, 1, "{name:?}");
        }
    }
}
