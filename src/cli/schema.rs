//! `agp schema`: the form of agp.toml for editors and other tools.

use std::io::{self, Write};

use crate::config::schema;

/// Print the JSON Schema (draft 2020-12) of agp.toml and of what it includes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp schema > agp.schema.json")]
pub struct Args {}

/// Prints it. Gives the exit code, which is always 0.
///
/// # Errors
/// Where the output can't be written.
pub fn run(_args: &Args, out: &mut dyn Write) -> io::Result<u8> {
    out.write_all(schema::text().as_bytes())?;
    Ok(0)
}
