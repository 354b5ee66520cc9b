//! `agp import`: an agp.toml of another gateway's configuration.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::MISTAKE;
use crate::cli::hash_password;
use crate::cli::validate::STATE_DIR_VARIABLE;
use crate::config::import::{self, Imported, Options, Report, Source};

/// Exit code for arguments that do not fit together.
const USAGE: u8 = 2;
/// Stands for standard output.
const STDOUT: &str = "-";

/// Make an agp.toml of another gateway's configuration, and tell what could not be carried over.
///
/// Nothing of the source is changed. Keys of clients become digests, so that they go on working; tokens and API keys
/// are sealed for the identity in the state folder, which is made when it is needed and missing.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  agp import --from original --env .env --db data/database.sqlite"
)]
pub struct Args {
    /// The gateway that it comes from
    #[arg(long, value_enum, value_name = "GATEWAY")]
    pub from: From,
    /// The YAML file of `litellm` or `cliproxyapi` (default: config.yaml)
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The variables of `original` (default: .env, where there is one)
    #[arg(long, value_name = "FILE")]
    pub env: Option<PathBuf>,
    /// The SQLite file of `original` (default: data/database.sqlite, where there is one)
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// The folder of `cliproxyapi`'s auth files (default: the one that its file names)
    #[arg(long, value_name = "DIR")]
    pub auth_dir: Option<PathBuf>,
    /// The new file, which must not exist; `-` prints it, and the report to standard error
    #[arg(long, value_name = "FILE", default_value = "agp.toml")]
    pub out: PathBuf,
    /// Folder that the identity is in (default: `$AGP_STATE_DIR`, else the new file's folder)
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Write tokens and API keys in clear instead of sealed
    #[arg(long)]
    pub plain_secrets: bool,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// The gateways that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum From {
    /// Antigravity Proxy: its .env and its SQLite file
    Original,
    /// LiteLLM's proxy: its config.yaml
    #[value(name = "litellm")]
    LiteLlm,
    /// CLIProxyAPI: its config.yaml and its auth files
    #[value(name = "cliproxyapi")]
    CliProxyApi,
}

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a terminal
    Human,
    /// For scripts
    Json,
}

/// The report for scripts.
#[derive(Serialize)]
struct Printed<'a> {
    /// The new file; `-` where it was printed.
    file: &'a Path,
    /// The identity file that secrets were sealed for.
    identity: Option<&'a Path>,
    /// Whether it was made for that.
    identity_made: bool,
    #[serde(flatten)]
    report: &'a Report,
}

/// Imports, writes the new file and prints the report. Gives the exit code.
///
/// # Errors
/// Where the output can't be written.
pub fn run(
    args: &Args,
    env: &BTreeMap<String, String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let source = match source(args) {
        Ok(source) => source,
        Err((code, message)) => {
            writeln!(err, "error: {message}")?;
            return Ok(code);
        }
    };
    let print = args.out == Path::new(STDOUT);
    // Told before anything is read or made; the writing itself never overwrites either.
    if !print && args.out.symlink_metadata().is_ok() {
        writeln!(err, "error: {}", taken(&args.out))?;
        return Ok(MISTAKE);
    }
    let folder = args
        .out
        .parent()
        .filter(|p| !print && !p.as_os_str().is_empty());
    let state_dir = args
        .state_dir
        .clone()
        .or_else(|| env.get(STATE_DIR_VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| folder.unwrap_or(Path::new(".")).to_owned());
    let hash = |password: &str| hash_password::hash(password).map_err(|e| e.to_string());
    let options = Options {
        state_dir: &state_dir,
        plain_secrets: args.plain_secrets,
        env,
        hash_password: &hash,
    };
    let imported = match import::import(&source, &options) {
        Ok(imported) => imported,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(MISTAKE);
        }
    };
    if print {
        out.write_all(imported.text.expose().as_bytes())?;
        err.write_all(report(args, &imported)?.as_bytes())?;
    } else if let Err(why) = write(&args.out, imported.text.expose()) {
        writeln!(err, "error: {why}")?;
        return Ok(MISTAKE);
    } else {
        out.write_all(report(args, &imported)?.as_bytes())?;
    }
    Ok(0)
}

/// What is to be read. Options of another gateway are a mistake in the usage.
fn source(args: &Args) -> Result<Source<'_>, (u8, String)> {
    let original = args.from == From::Original;
    let foreign = [
        (
            args.file.is_some() && original,
            "a FILE",
            "--from litellm` or `--from cliproxyapi",
        ),
        (
            args.env.is_some() && !original,
            "`--env`",
            "--from original",
        ),
        (args.db.is_some() && !original, "`--db`", "--from original"),
        (
            args.auth_dir.is_some() && args.from != From::CliProxyApi,
            "`--auth-dir`",
            "--from cliproxyapi",
        ),
    ];
    if let Some((_, option, whose)) = foreign.iter().find(|(given, ..)| *given) {
        return Err((USAGE, format!("{option} goes with `{whose}` only")));
    }
    let config = args.file.as_deref().unwrap_or(Path::new("config.yaml"));
    match args.from {
        From::LiteLlm => Ok(Source::LiteLlm { config }),
        From::CliProxyApi => Ok(Source::CliProxyApi {
            config,
            auth_dir: args.auth_dir.as_deref(),
        }),
        From::Original => {
            let there = |path: &'static str| Some(Path::new(path)).filter(|path| path.exists());
            let env = args.env.as_deref().or_else(|| there(".env"));
            let db = args.db.as_deref().or_else(|| there("data/database.sqlite"));
            if env.is_none() && db.is_none() {
                return Err((
                    MISTAKE,
                    "there is neither `.env` nor `data/database.sqlite` here: name them with `--env` and `--db`"
                        .to_owned(),
                ));
            }
            Ok(Source::Original { env, db })
        }
    }
}

fn taken(path: &Path) -> String {
    format!(
        "`{}` exists already and is never overwritten: name another file with `--out`",
        path.display()
    )
}

/// Writes the new file whole or not at all, mode 0600, and over nothing.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("can't write `{}`: {error}", path.display());
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".agp-import")
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(path)),
        Err(e) => return Err(failed(e.error)),
    }
    let _ = std::fs::File::open(folder).and_then(|f| f.sync_all());
    Ok(())
}

fn report(args: &Args, imported: &Imported) -> io::Result<String> {
    use std::fmt::Write as _;

    let (identity, made) = match &imported.identity {
        Some((path, made)) => (Some(path.as_path()), *made),
        None => (None, false),
    };
    if args.format == Format::Json {
        let printed = Printed {
            file: &args.out,
            identity,
            identity_made: made,
            report: &imported.report,
        };
        let text = serde_json::to_string_pretty(&printed).map_err(io::Error::other)?;
        return Ok(format!("{text}\n"));
    }
    let mut text = imported.report.human();
    if let Some(path) = identity {
        let path = path.display();
        let _ = if made {
            write!(
                text,
                "\nsecrets are sealed for the new identity `{path}`: keep it out of git, and keep a copy in a safe place\n"
            )
        } else {
            write!(text, "\nsecrets are sealed for the identity `{path}`\n")
        };
    }
    if args.plain_secrets {
        text.push_str("\nsecrets stand in the file in clear: keep it out of git\n");
    }
    if args.out != Path::new(STDOUT) {
        let path = args.out.display();
        let _ = write!(
            text,
            "\nwrote `{path}`: check it with `agp validate --strict {path}`\n"
        );
    }
    Ok(text)
}
