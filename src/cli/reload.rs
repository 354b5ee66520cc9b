//! `agp reload`: the admin operation `reload`.

use std::io::Write;

use http::Method;
use serde::Deserialize;

use crate::cli::{Failed, ask};

/// Arguments of `agp reload`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp reload")]
pub struct Args {
    /// Which gateway is asked
    #[command(flatten)]
    pub at: ask::At,
}

/// What the gateway answers.
#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
enum Answer {
    Applied {
        generation: u64,
        what: String,
        after_restart: Vec<String>,
    },
    Unchanged {
        generation: u64,
        after_restart: Vec<String>,
    },
    Refused {
        errors: Vec<String>,
    },
}

/// Asks the running gateway to read its files, and waits for the outcome.
///
/// # Errors
/// Code 1 with all errors where the files are refused, code 4 where no gateway runs on this state folder.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let (text, after_restart) = reload(&args.at).await?;
    let _ = out.write_all(text.as_bytes());
    for setting in after_restart {
        let _ = writeln!(out, "  takes effect after a restart: {setting}");
    }
    Ok(())
}

/// Does it for this gateway. Gives what came of it, and the settings that take effect after a restart.
///
/// # Errors
/// As [`run`].
pub async fn reload(at: &ask::At) -> Result<(String, Vec<String>), Failed> {
    let value = ask::operation(at, Method::POST, "/reload").await?;
    let answer: Answer = serde_json::from_value(value)
        .map_err(|e| format!("the gateway's answer can't be read: {e}"))?;
    match answer {
        Answer::Applied {
            generation,
            what,
            after_restart,
        } => Ok((
            format!("applied as generation {generation}: {what}\n"),
            after_restart,
        )),
        Answer::Unchanged {
            generation,
            after_restart,
        } => Ok((
            format!("nothing changed: generation {generation} stays in force\n"),
            after_restart,
        )),
        Answer::Refused { errors } => Err(format!(
            "refused, the configuration before stays in force:\n{}",
            errors.join("\n")
        )
        .into()),
    }
}
