//! `agp init`: a file to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::seal::Identity;

/// The file.
const STARTER: &str = include_str!("init/agp.toml");

/// Write a commented agp.toml to begin with, and the identity that opens sealed values. Nothing is ever overwritten.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Example:\n  agp init agp.toml")]
pub struct Args {
    /// The file, or the folder that it is put into (default: `./agp.toml`)
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Folder that the identity is put into, as `data/agp-identity.txt`; by default that of the file
    #[arg(long, value_name = "DIR", env = "AGP_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Writes both and prints what to do next. Gives the exit code: 0, or 1 where the file is there already or can't be written.
///
/// # Errors
/// Where the output can't be written.
pub fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let path = args.path.clone().unwrap_or_else(|| "agp.toml".into());
    let path = if path.is_dir() {
        path.join("agp.toml")
    } else {
        path
    };
    match make(&path, args.state_dir.as_deref()) {
        Ok(made) => {
            writeln!(out, "{}", next(&path, &made))?;
            Ok(0)
        }
        Err(message) => {
            writeln!(err, "error: {message}")?;
            Ok(1)
        }
    }
}

/// Writes the identity, where it is needed, and then the file. Gives a sentence about the identity.
fn make(path: &Path, state_dir: Option<&Path>) -> Result<String, String> {
    // A link that leads nowhere is something as well.
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(format!(
            "`{}` is there already and is never overwritten",
            path.display()
        ));
    }
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let failed = |error: io::Error| format!("`{}` can't be written: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let about = identity(state_dir.unwrap_or(folder))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(failed)?;
    file.write_all(STARTER.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(about)
}

/// The identity is made on first need, and never where a store may hold tokens that another one opens.
fn identity(state_dir: &Path) -> Result<String, String> {
    let data = state_dir.join("data");
    let path = data.join("agp-identity.txt");
    if let Some(identity) = Identity::load_or_none(&path).map_err(|e| e.to_string())? {
        return Ok(format!(
            "kept the identity {} (recipient {})",
            path.display(),
            identity.recipient()
        ));
    }
    if data.join("agp.redb").exists() {
        return Ok(format!(
            "made no identity: a store is in {} already, put back the identity {} that belongs to it",
            data.display(),
            path.display()
        ));
    }
    let made = Identity::create(&path).map_err(|e| e.to_string())?;
    Ok(format!(
        "made the identity {}: it opens what is sealed, so keep a copy, and keep the folder out of git\n(recipient {})",
        path.display(),
        made.recipient()
    ))
}

fn next(path: &Path, identity: &str) -> String {
    let file = path.display();
    format!(
        "wrote {file}\n{identity}\n\n\
         Next:\n\
         1. set AGP_OAUTH_CLIENT_ID and AGP_OAUTH_CLIENT_SECRET to those of your own OAuth client, run\n   \
            `agp login antigravity --config {file}`, and put the table that it prints in place of [accounts.me]\n\
         2. run `agp key new me` and put the table that it prints in place of [keys.me]\n\
         3. run `agp validate --strict --resolve {file}`, then `agp serve --config {file}`"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::format::format;
    use crate::config::source::Files;

    fn init(path: PathBuf, state_dir: Option<PathBuf>) -> (u8, String) {
        let args = Args {
            path: Some(path),
            state_dir,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &mut out, &mut err).unwrap();
        out.extend(err);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_file_is_sound_without_a_warning_and_formatted() {
        let dir = tempfile::tempdir().unwrap();
        let (code, text) = init(dir.path().to_owned(), None);
        assert_eq!(code, 0, "{text}");
        let path = dir.path().join("agp.toml");
        let loaded = crate::config::load(&Files::read(&path), std::iter::empty());
        assert!(
            loaded.config.is_some() && loaded.diagnostics.is_empty(),
            "{:#?}",
            loaded.diagnostics
        );
        assert_eq!(format(STARTER).as_deref(), Ok(STARTER));
        for step in [
            "1. ",
            "2. ",
            "3. ",
            "agp login",
            "agp key new",
            "agp validate",
        ] {
            assert!(text.contains(step), "{text}");
        }
    }

    #[test]
    fn what_is_commented_out_is_sound_too() {
        let uncommented: Vec<&str> = STARTER
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') || rest.split(' ').nth(1) == Some("=") => rest,
                _ => line,
            })
            .collect();
        let text = uncommented.join("\n");
        assert!(text.contains("\n[models.\"gemini-2.5-flash\"]\nroute = "));
        let files = Files::from_texts([("agp.toml".into(), text)]);
        let loaded = crate::config::load(&files, std::iter::empty());
        let errors: Vec<_> = loaded.diagnostics.error_codes();
        assert!(errors.is_empty(), "{:#?}", loaded.diagnostics);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/agp.toml");
        let state = dir.path().join("state");
        let (code, text) = init(path.clone(), Some(state.clone()));
        assert!(code == 0 && text.contains("made the identity"), "{text}");
        let identity = state.join("data/agp-identity.txt");
        let mode = std::fs::metadata(&identity).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = std::fs::read(&identity).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let (code, text) = init(path.clone(), Some(state.clone()));
        assert!(code == 1 && text.contains("never overwritten"), "{text}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
        let (code, text) = init(path, Some(state));
        assert!(code == 0 && text.contains("kept the identity"), "{text}");
        assert_eq!(std::fs::read(&identity).unwrap(), before);
    }

    #[test]
    fn a_store_without_its_identity_gets_no_new_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/agp.redb"), "").unwrap();
        let (code, text) = init(dir.path().join("agp.toml"), None);
        assert!(
            code == 0 && text.contains("put back the identity"),
            "{text}"
        );
        assert!(!dir.path().join("data/agp-identity.txt").exists());
    }
}
