//! `agp state`: the files in the state folder, for operators.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::cli::{FAILED, Failed, UNREACHABLE, ask, serve};
use crate::config::secret;
use crate::runtime::keyring::Keyring;
use crate::server::{admin, socket};
use crate::store::{StoreError, upkeep};

/// How long the gateway may take for a backup.
const BACKUP: Duration = Duration::from_mins(5);

/// Arguments of `agp state`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp state backup /backup/agp.redb")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
    /// Where the configuration and the state are
    #[command(flatten)]
    pub serve: serve::Args,
}

/// What can be done.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Copy tokens, accounts, quotas and signatures into a new file, while the gateway serves or not
    #[command(
        after_help = "The copy opens only with the identity of `secrets.identity`: keep that too, elsewhere. The log is not in it.\n\nExample:\n  agp state backup /backup/agp.redb"
    )]
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Put a backup in place; the present file is kept under a new name (the gateway must be stopped)
    #[command(after_help = "Example:\n  agp state restore /backup/agp.redb")]
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Check every page and row of both files; exit code 3 where one is damaged (the gateway must be stopped)
    #[command(after_help = "Example:\n  agp state check")]
    Check,
    /// Give the disk back what the files no longer need (the gateway must be stopped)
    #[command(after_help = "Example:\n  agp state compact")]
    Compact,
}

/// Does it.
///
/// # Errors
/// Code 1 where a gateway runs that must be stopped or a file can't be used, 3 where a check finds damage, 4 where a
/// gateway runs that does not answer.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let places = args.serve.places()?;
    let read = serve::read(&places)?;
    let dir = places.state_dir.join(&read.config.state.path);
    let identity = secret::identity_path(&read.config, &places.state_dir);
    let keys = || Keyring::open(&identity, true);
    let (text, outcome) = match &args.action {
        Action::Backup { file } => (backup(&dir, file).await?, Ok(())),
        Action::Restore { file } => (restore(&dir, file, &*keys()?)?, Ok(())),
        Action::Check => check(&dir, &*keys()?),
        Action::Compact => (compact(&dir)?, Ok(())),
    };
    let _ = out.write_all(text.as_bytes());
    outcome
}

/// An error of the store, with what to do where a gateway is in the way.
fn told(error: &StoreError) -> Failed {
    match error {
        StoreError::Locked { file, holder } => {
            let by = holder
                .as_ref()
                .map_or_else(String::new, |h| format!(" by {h}"));
            format!("`{file}` is in use{by}: stop the gateway first, then try again").into()
        }
        error => error.to_string().into(),
    }
}

async fn backup(dir: &Path, file: &Path) -> Result<String, Failed> {
    if file.exists() {
        return Err(format!(
            "expected a new file, but `{}` is there already",
            file.display()
        )
        .into());
    }
    match UnixStream::connect(socket::path(dir)).await {
        Ok(stream) => from_gateway(dir, stream, file).await?,
        // No gateway: the file is free, or its lock says that one runs all the same.
        Err(_) => match upkeep::backup(dir, file) {
            Ok(()) => {}
            Err(StoreError::Locked { file, .. }) => {
                return Err(Failed {
                    message: format!(
                        "`{file}` is in use, but no gateway answers on `{}`",
                        socket::path(dir).display()
                    ),
                    code: UNREACHABLE,
                });
            }
            Err(error) => return Err(told(&error)),
        },
    }
    Ok(format!("backed up to `{}`\n", file.display()))
}

/// Lets the gateway make the copy, and moves it to its place.
async fn from_gateway(dir: &Path, stream: UnixStream, file: &Path) -> Result<(), Failed> {
    let unreachable = |why: String| Failed {
        message: format!("the gateway gave no backup: {why}"),
        code: UNREACHABLE,
    };
    let path = format!("{}/state/backup", admin::BASE);
    let (status, body) = ask::request(
        stream,
        http::Method::POST,
        &path,
        bytes::Bytes::new(),
        BACKUP,
    )
    .await
    .map_err(unreachable)?;
    let answer: Value = serde_json::from_slice(&body).map_err(|e| unreachable(e.to_string()))?;
    let Some(name) = answer["file"].as_str().filter(|_| status == 200) else {
        let why = answer["error"].as_str().unwrap_or("no file was named");
        return Err(why.to_owned().into());
    };
    let made = dir.join(name);
    move_to(&made, file).map_err(|error| {
        let (made, file) = (made.display(), file.display());
        Failed::from(format!(
            "the backup is in `{made}`, but can't be moved to `{file}`: {error}"
        ))
    })
}

/// Renames a file, or copies it to another file system. Never replaces one.
fn move_to(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if std::fs::hard_link(from, to).is_err() {
        let mut source = std::fs::File::open(from)?;
        let mut target = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)?;
        std::io::copy(&mut source, &mut target)?;
        target.sync_all()?;
    }
    std::fs::remove_file(from)
}

fn restore(dir: &Path, file: &Path, keys: &Keyring) -> Result<String, Failed> {
    let aside = upkeep::restore(dir, file, keys).map_err(|e| told(&e))?;
    let mut text = format!("`{}` is in place\n", file.display());
    if let Some(aside) = aside {
        let _ = writeln!(text, "what was there is kept in `{}`", aside.display());
    }
    Ok(text)
}

fn check(dir: &Path, keys: &Keyring) -> (String, Result<(), Failed>) {
    let mut text = String::new();
    let mut outcome = Ok(());
    for (file, found) in upkeep::check(dir, keys) {
        let file = file.display();
        let checked = match found {
            Ok(checked) => checked,
            Err(error) => {
                let _ = writeln!(text, "{file}: {error}");
                let damaged = matches!(error, StoreError::Damaged { .. });
                let failed = if damaged {
                    Failed {
                        message: "a file is damaged".to_owned(),
                        code: FAILED,
                    }
                } else {
                    told(&error)
                };
                outcome = outcome.and(Err(failed));
                continue;
            }
        };
        let _ = writeln!(
            text,
            "{file}: every page is whole, schema {}",
            checked.schema
        );
        for (name, rows) in &checked.tables {
            let _ = writeln!(text, "  {name:<18} {rows:>10}");
        }
        if checked.unreadable > 0 {
            let n = checked.unreadable;
            let _ = writeln!(text, "  rows that can't be read: {n}");
            let failed = Failed {
                message: format!("`{file}` holds rows that can't be read"),
                code: FAILED,
            };
            outcome = outcome.and(Err(failed));
        }
    }
    (text, outcome)
}

fn compact(dir: &Path) -> Result<String, Failed> {
    let mut text = String::new();
    for done in upkeep::compact(dir).map_err(|e| told(&e))? {
        let (before, after) = (done.before / 1024, done.after / 1024);
        let file = done.file.display();
        let _ = writeln!(text, "{file}: {before} KiB before, {after} KiB now");
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
