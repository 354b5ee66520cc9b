//! `agp fmt`: the canonical form of configuration files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::{FAILED, saving, validate};
use crate::config::edit::Change;
use crate::config::format::format;
use crate::config::source::{Files, MAX_FILE};

/// Put files into canonical order and spacing. Comments stay with what they are about, values keep their spelling.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp fmt --check agp.toml")]
pub struct Args {
    /// Files (default: `$AGP_CONFIG`, else `./agp.toml`, and what it includes)
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write nothing; name the files that would change, and exit with 3 where there is one
    #[arg(long)]
    pub check: bool,
}

/// Formats the files and names those that changed. Gives the exit code: 0; 1 where a file can't be formatted; under `--check`
/// 3 where one would change.
///
/// # Errors
/// Where the output can't be written.
pub fn run(
    args: &Args,
    env: &BTreeMap<String, String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let files = if args.files.is_empty() {
        let Some(root) = validate::default_file(env) else {
            writeln!(
                err,
                "error: no file to format: `{}` is not set and there is no `./agp.toml`",
                validate::CONFIG_VARIABLE
            )?;
            return Ok(1);
        };
        // A root that can't be read is named below.
        let mut paths = vec![root.clone()];
        let read = Files::read(&root);
        paths.extend(read.iter().map(|file| file.path.clone()).skip(1));
        paths
    } else {
        args.files.clone()
    };
    let mut code = 0;
    for path in &files {
        match one(path, args.check) {
            Ok(false) => {}
            Ok(true) if args.check => {
                writeln!(out, "{} is not formatted", path.display())?;
                code = code.max(FAILED);
            }
            Ok(true) => writeln!(out, "formatted {}", path.display())?,
            Err(message) => {
                writeln!(err, "error: {message}")?;
                code = 1;
            }
        }
    }
    Ok(code)
}

/// Whether the file changes, or under `check` would.
fn one(path: &Path, check: bool) -> Result<bool, String> {
    let of = |why: &dyn std::fmt::Display| format!("`{}`: {why}", path.display());
    let size = std::fs::metadata(path).map_err(|e| of(&e))?.len();
    if size > MAX_FILE {
        let why = format!("it has more than {} MiB", MAX_FILE >> 20);
        return Err(of(&why));
    }
    let text = std::fs::read_to_string(path).map_err(|e| of(&e))?;
    let formatted = format(&text).map_err(|e| of(&e))?;
    let changes = formatted != text;
    if changes && !check {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let change = Change {
            path: path.to_owned(),
            before: text,
            after: formatted,
        };
        saving::save(&change, folder.unwrap_or(Path::new("."))).map_err(|e| e.to_string())?;
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn fmt(paths: &[PathBuf], check: bool, env: &[(&str, &str)]) -> (u8, String) {
        let args = Args {
            files: paths.to_vec(),
            check,
        };
        let env = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &env, &mut out, &mut err).unwrap();
        out.extend(err);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn check_tells_and_changes_nothing_and_without_it_the_file_changes_once() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real.toml");
        let link = dir.path().join("agp.toml");
        std::fs::write(&real, "version=1\n").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        let (code, text) = fmt(std::slice::from_ref(&link), true, &[]);
        assert!(code == 3 && text.contains("not formatted"), "{text}");
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "version=1\n");
        assert_eq!(fmt(std::slice::from_ref(&link), false, &[]).0, 0);
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "version = 1\n");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = std::fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fmt(&[link], true, &[]), (0, String::new()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn without_a_name_the_file_and_what_it_includes_are_formatted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("agp.toml");
        std::fs::write(&root, "version=1\ninclude=[\"d/*.toml\"]\n").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/a.toml"), "[log]\nlevel=\"info\"\n").unwrap();
        let env = [("AGP_CONFIG", root.to_str().unwrap())];
        let (code, text) = fmt(&[], false, &env);
        assert_eq!((code, text.lines().count()), (0, 2), "{text}");
        assert_eq!(fmt(&[], true, &env).0, 0);
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agp.toml");
        std::fs::write(&path, "api_key = \"hunter2\n").unwrap();
        let (code, text) = fmt(&[path.clone(), dir.path().join("none")], false, &[]);
        assert!(code == 1 && text.lines().count() == 2, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "api_key = \"hunter2\n"
        );
    }
}
