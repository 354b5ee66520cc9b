//! `agp validate`: whether files are sound, offline.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::diagnostic::{Code, Diagnostic, Severity};
use crate::config::explain;
use crate::config::render::{self, Style};
use crate::config::report::{self, Checked};
use crate::config::seal::Identity;
use crate::config::secret::{self, Resolver};
use crate::config::source::Files;
use crate::config::{self, Loaded};
use crate::server;

/// The variable that names the root file where no argument does.
pub const CONFIG_VARIABLE: &str = "AGP_CONFIG";
/// The variable that names the state folder where no option does.
pub const STATE_DIR_VARIABLE: &str = "AGP_STATE_DIR";

/// Check configuration files without starting anything.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp validate --strict agp.toml")]
pub struct Args {
    /// Root files, each with its includes (default: `$AGP_CONFIG`, else `./agp.toml`)
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Make warnings errors; notes stay notes
    #[arg(long)]
    pub strict: bool,
    /// Also read the environment, secret files and sealed values that the files name
    #[arg(long)]
    pub resolve: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Print the page about a code, such as `AGP012`, and check nothing
    #[arg(long, value_name = "CODE", value_parser = known_code, conflicts_with_all = ["files", "strict", "resolve", "format"])]
    pub explain: Option<Code>,
    /// Folder that the identity is in (default: `$AGP_STATE_DIR`, else the file's folder)
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines of the files, underlined
    #[default]
    Human,
    /// One JSON object
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitHub's workflow commands, shown at the lines of a pull request
    Github,
}

fn known_code(text: &str) -> Result<Code, String> {
    explain::code(text).ok_or_else(|| {
        let all: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        format!("expected one of {}", all.join(", "))
    })
}

/// Checks each file and prints what was found. Gives the exit code: 0 where all can be used, else 1. Of `env` only the
/// file's name is read, unless `--resolve` is given.
///
/// # Errors
/// Where the output can't be written.
pub fn run(
    args: &Args,
    env: &BTreeMap<String, String>,
    style: Style,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if let Some(code) = args.explain {
        write!(out, "{}", explain::page(code))?;
        return Ok(0);
    }
    let roots = if args.files.is_empty() {
        let Some(file) = default_file(env) else {
            writeln!(
                err,
                "error: no file to check: `{CONFIG_VARIABLE}` is not set and there is no `./agp.toml`"
            )?;
            return Ok(1);
        };
        vec![file]
    } else {
        args.files.clone()
    };
    let found: Vec<(Files, Loaded)> = roots.iter().map(|root| one(args, env, root)).collect();
    let checked: Vec<Checked<'_>> = roots
        .iter()
        .zip(&found)
        .map(|(root, (files, loaded))| Checked {
            root,
            files,
            diagnostics: &loaded.diagnostics,
        })
        .collect();
    match args.format {
        Format::Human => {
            for (checked, (_, loaded)) in checked.iter().zip(&found) {
                human(checked, loaded, style, out)?;
            }
        }
        Format::Json => out.write_all(report::json(&checked).as_bytes())?,
        Format::Sarif => out.write_all(report::sarif(&checked).as_bytes())?,
        Format::Github => out.write_all(report::github(&checked).as_bytes())?,
    }
    Ok(u8::from(checked.iter().any(|c| c.diagnostics.has_errors())))
}

/// The file that is meant where no argument names one.
pub(crate) fn default_file(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    match env.get(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Some(PathBuf::from(path)),
        None => Some(PathBuf::from("agp.toml")).filter(|path| path.exists()),
    }
}

fn one(args: &Args, env: &BTreeMap<String, String>, path: &Path) -> (Files, Loaded) {
    let files = Files::read(path);
    let overlay = env.clone().into_iter().filter(|_| args.resolve);
    let mut loaded = config::load(&files, overlay);
    if args.resolve {
        for diagnostic in resolve(args, env, path, &loaded) {
            loaded.diagnostics.push(diagnostic);
        }
    }
    if args.strict {
        loaded.diagnostics = loaded.diagnostics.strict();
    }
    (files, loaded)
}

fn human(
    checked: &Checked<'_>,
    loaded: &Loaded,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let diagnostics = checked.diagnostics;
    write!(out, "{}", render::human(checked.files, diagnostics, style))?;
    if diagnostics.has_errors() {
        return Ok(());
    }
    let counts: Vec<String> = loaded
        .config
        .iter()
        .flat_map(|c| {
            [
                (c.upstreams.len(), "upstream"),
                (c.accounts.len(), "account"),
                (c.keys.len(), "key"),
                (c.models.len(), "model"),
            ]
        })
        .map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" }))
        .collect();
    let warnings = match diagnostics.count(Severity::Warning) {
        0 => "",
        _ => ", with warnings",
    };
    writeln!(
        out,
        "{}: fine{warnings}: {}; revision {}",
        checked.root.display(),
        counts.join(", "),
        loaded.revision
    )
}

/// What can't be read of what the files name.
fn resolve(
    args: &Args,
    env: &BTreeMap<String, String>,
    root: &Path,
    loaded: &Loaded,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let Some(config) = &loaded.config else {
        // Where the identity is, say, is not known: the errors come first.
        return found;
    };
    let folder = root.parent().filter(|p| !p.as_os_str().is_empty());
    let state_dir = args
        .state_dir
        .clone()
        .or_else(|| env.get(STATE_DIR_VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| folder.unwrap_or(Path::new(".")).to_owned());
    let path = secret::identity_path(config, &state_dir);
    let identity = if secret::has_sealed(&loaded.secrets) {
        Identity::load_or_none(&path).unwrap_or_else(|error| {
            found.push(Diagnostic::new(
                Code::Unresolved,
                "secrets.identity",
                error.to_string(),
            ));
            None
        })
    } else {
        None
    };
    let resolver = Resolver::new(|name| env.get(name).cloned(), identity.as_ref(), path);
    found.extend(secret::check(&loaded.secrets, &resolver));
    for (name, upstream) in &config.upstreams {
        if let Some(file) = &upstream.ca_file
            && let Err(error) = std::fs::File::open(file)
        {
            let key = format!("upstreams.{}.ca_file", config::quote_key(name.as_str()));
            let message = format!("`{key}`: can't read `{}`: {error}", file.display());
            found.push(Diagnostic::new(Code::Unresolved, key, message));
        }
    }
    if let Some(tls) = &config.server.tls
        && let Err(error) = server::tls::load(tls)
    {
        found.push(Diagnostic::new(Code::Unresolved, "server.tls", error));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(dir: &Path, args: &Args, env: &[(&str, &str)]) -> (u8, String) {
        let args = Args {
            files: args.files.iter().map(|f| dir.join(f)).collect(),
            ..args.clone()
        };
        let env = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let mut out = Vec::new();
        let mut err = Vec::new();
        let code = run(&args, &env, Style::Plain, &mut out, &mut err).unwrap();
        out.extend(err);
        (code, String::from_utf8(out).unwrap())
    }

    fn args() -> Args {
        Args {
            files: vec!["agp.toml".into()],
            ..Args::default()
        }
    }

    const PLAIN: &str = "version = 1\n[upstreams.g]\nkind = \"gemini\"\n[accounts.a]\nupstream = \"g\"\napi_key = \"hunter2hunter2\"\n";

    #[test]
    fn strict_fails_on_warnings_and_shows_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agp.toml"), PLAIN).unwrap();
        let (code, text) = validate(dir.path(), &args(), &[]);
        assert_eq!(code, 0, "{text}");
        assert!(
            text.contains("warning[AGP030]") && text.contains("fine, with warnings"),
            "{text}"
        );
        let strict = Args {
            strict: true,
            ..args()
        };
        let (code, text) = validate(dir.path(), &strict, &[]);
        assert_eq!(code, 1);
        assert!(
            text.contains("error[AGP030]") && text.contains("••••"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn resolve_reads_what_the_file_names() {
        let dir = tempfile::tempdir().unwrap();
        let text = PLAIN.replace("\"hunter2hunter2\"", "{ env = \"THE_KEY\" }");
        std::fs::write(dir.path().join("agp.toml"), text).unwrap();
        assert_eq!(validate(dir.path(), &args(), &[]).0, 0);
        let resolve = Args {
            resolve: true,
            ..args()
        };
        let (code, text) = validate(dir.path(), &resolve, &[]);
        assert_eq!(code, 1);
        assert!(text.contains("agp.toml:6:11"), "{text}");
        assert!(
            text.contains("AGP025") && text.contains("`THE_KEY` is not set"),
            "{text}"
        );
        assert_eq!(validate(dir.path(), &resolve, &[("THE_KEY", "x")]).0, 0);
        let overlaid = [("THE_KEY", "x"), ("AGP__LOG__FORMAT", "yaml")];
        assert_eq!(validate(dir.path(), &resolve, &overlaid).0, 1);
        assert_eq!(validate(dir.path(), &args(), &overlaid).0, 0);
    }

    #[test]
    fn a_sealed_value_is_opened_with_the_identity_of_the_state_dir() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let identity = Identity::create(&state.join("data/agp-identity.txt")).unwrap();
        let sealed = identity
            .seal(&crate::base::secret::Secret::new("x"))
            .unwrap();
        let text = PLAIN.replace(
            "\"hunter2hunter2\"",
            &format!("{{ sealed = \"{sealed}\" }}"),
        );
        std::fs::write(dir.path().join("agp.toml"), text).unwrap();
        let mut resolve = Args {
            resolve: true,
            ..args()
        };
        assert_eq!(validate(dir.path(), &resolve, &[]).0, 1);
        resolve.state_dir = Some(state);
        let (code, text) = validate(dir.path(), &resolve, &[]);
        assert_eq!(code, 0, "{text}");
    }

    #[test]
    fn every_format_tells_every_file_and_gives_the_same_code() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agp.toml"), PLAIN).unwrap();
        std::fs::write(dir.path().join("bad.toml"), "version = 2\n").unwrap();
        for (format, line) in [
            (Format::Human, "bad.toml:1:11"),
            (Format::Json, "\"line\": 1"),
            (Format::Sarif, "\"startLine\": 1"),
            (Format::Github, "line=1,"),
        ] {
            let both = Args {
                files: vec!["agp.toml".into(), "bad.toml".into()],
                format,
                ..Args::default()
            };
            let (code, text) = validate(dir.path(), &both, &[]);
            assert_eq!(code, 1);
            for word in ["AGP030", "AGP007", "bad.toml", line] {
                assert!(text.contains(word), "{format:?}: no `{word}` in {text}");
            }
            assert!(!text.contains("hunter2"), "{text}");
            let fine = Args { format, ..args() };
            assert_eq!(validate(dir.path(), &fine, &[]).0, 0);
        }
    }

    #[test]
    fn a_code_is_explained() {
        let args = Args {
            explain: Some(Code::Missing),
            ..Args::default()
        };
        let (code, text) = validate(Path::new("."), &args, &[]);
        assert!(code == 0 && text.starts_with("## AGP012: "), "{text}");
        assert!(known_code("AGP999").unwrap_err().contains("AGP012"));
    }

    #[test]
    fn the_command_lines_are_sound() {
        use clap::Args as _;

        let command = clap::Command::new("agp");
        Args::augment_args(command.clone()).debug_assert();
        crate::cli::key::Args::augment_args(command.clone()).debug_assert();
        crate::cli::hash_password::Args::augment_args(command).debug_assert();
    }

    #[test]
    fn the_variable_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.toml");
        std::fs::write(&path, "version = 2\n").unwrap();
        let env = [("AGP_CONFIG", path.to_str().unwrap())];
        let (code, text) = validate(dir.path(), &Args::default(), &env);
        assert_eq!(code, 1);
        assert!(
            text.contains("other.toml:1:11") && text.contains("AGP007"),
            "{text}"
        );
    }
}
