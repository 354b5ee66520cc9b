//! `agp config`: what is in force, and where it came from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::validate;
use crate::config::effective::{Setting, Source};
use crate::config::render::{self, Style};
use crate::config::source::Files;

/// Print every value in force: the file's, the environment's (`AGP__TABLE__KEY`) and the defaults. Secrets are masked.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp config agp.toml")]
pub struct Args {
    /// The root file (default: `$AGP_CONFIG`, else `./agp.toml`)
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines of TOML, each with where its value came from as a comment
    #[default]
    Toml,
    /// A list of objects
    Json,
}

/// Where the comments begin.
const COMMENT: usize = 44;

/// Prints the values. Gives the exit code: 0, or 1 where the file can't be used.
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
    let Some(root) = args.file.clone().or_else(|| validate::default_file(env)) else {
        writeln!(
            err,
            "error: there is no file: `{}` is not set and there is no `./agp.toml`",
            validate::CONFIG_VARIABLE
        )?;
        return Ok(1);
    };
    let files = Files::read(&root);
    let (loaded, settings) = crate::config::effective(&files, env.clone().into_iter());
    if loaded.config.is_none() {
        write!(err, "{}", render::human(&files, &loaded.diagnostics, style))?;
        return Ok(1);
    }
    match args.format {
        Format::Toml => out.write_all(toml(&settings).as_bytes())?,
        Format::Json => {
            let list: Vec<Entry<'_>> = settings.iter().map(Entry::from).collect();
            serde_json::to_writer_pretty(&mut *out, &list)?;
            writeln!(out)?;
        }
    }
    Ok(0)
}

fn toml(settings: &[Setting]) -> String {
    let mut text = String::new();
    let mut table = "";
    for setting in settings {
        if setting.table != table {
            table = &setting.table;
            let _ = write!(text, "\n[{table}]\n");
        }
        let line = format!("{} = {}", setting.key, setting.value);
        let mut from = match &setting.source {
            Source::Default => "default".to_owned(),
            Source::File { path, line } => format!("{}:{line}", path.display()),
            Source::Variable(name) => name.clone(),
        };
        if !setting.in_effect {
            from.push_str(", not yet in effect");
        }
        let _ = writeln!(text, "{line:<width$} # {from}", width = COMMENT - 1);
    }
    text
}

#[derive(Serialize)]
struct Entry<'a> {
    key: String,
    value: &'a toml::Value,
    from: &'static str,
    in_effect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<&'a str>,
}

impl<'a> From<&'a Setting> for Entry<'a> {
    fn from(setting: &'a Setting) -> Self {
        let (from, file, line, variable) = match &setting.source {
            Source::Default => ("default", None, None, None),
            Source::File { path, line } => {
                ("file", Some(path.display().to_string()), Some(*line), None)
            }
            Source::Variable(name) => ("environment", None, None, Some(name.as_str())),
        };
        Self {
            key: setting.path(),
            value: &setting.value,
            from,
            in_effect: setting.in_effect,
            file,
            line,
            variable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str, format: Format) -> (u8, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agp.toml");
        std::fs::write(&path, text).unwrap();
        let args = Args {
            file: Some(path),
            format,
        };
        let env = [("AGP__LOG__LEVEL".to_owned(), "warn".to_owned())].into();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &env, Style::Plain, &mut out, &mut err).unwrap();
        out.extend(err);
        (code, String::from_utf8(out).unwrap())
    }

    const TEXT: &str = "version = 1\n[upstreams.\"a b\"]\nkind = \"gemini\"\n[accounts.a]\nupstream = \"a b\"\napi_key = \"hunter2\"\n[keys.k]\nkey = { env = \"K\" }\nexpires = 2100-01-01\n";

    #[test]
    fn it_is_toml_with_the_origins_as_comments() {
        let (code, text) = printed(TEXT, Format::Toml);
        assert_eq!(code, 0, "{text}");
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["log"]["level"].as_str(), Some("warn"));
        assert_eq!(table["accounts"]["a"]["api_key"].as_str(), Some("••••"));
        assert!(
            text.contains("# AGP__LOG__LEVEL\n") && text.contains("# default\n"),
            "{text}"
        );
        assert!(
            text.contains("agp.toml:3\n") && text.contains("[upstreams.\"a b\"]\n"),
            "{text}"
        );
        assert!(!text.contains("hunter2"));
        let line = |key| text.lines().find(|l| l.starts_with(key)).unwrap();
        assert!(line("max_buffered").ends_with("# default, not yet in effect"));
        assert!(line("max_body").ends_with("# default"));
    }

    #[test]
    fn json_says_the_same() {
        let (code, text) = printed(TEXT, Format::Json);
        assert_eq!(code, 0);
        let list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let find = |key: &str| list.iter().find(|e| e["key"] == key).unwrap();
        assert_eq!(find("log.level")["variable"], "AGP__LOG__LEVEL");
        assert_eq!(find("accounts.a.upstream")["line"], 5);
        assert_eq!(find("server.listen")["from"], "default");
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn a_broken_file_has_no_values() {
        let (code, text) = printed("version = 1\n[server]\nlisen = 1\n", Format::Toml);
        assert!(code == 1 && text.contains("AGP010"), "{text}");
    }
}
