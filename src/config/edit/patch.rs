//! An edit as a patch for `git apply`: where the gateway must not or can't write the file itself, a person commits it.
//!
//! A patch has to hold the true lines, so what would need a secret in clear in it is refused, and no such line is taken for
//! context. References (`env`, `file`, `sealed`) may stand in it: they are what the repository holds anyway.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use crate::config::edit::diff::{below, hunks, lines, masks, ops};
use crate::config::source::{File, Files};

/// A patch.
#[derive(Clone, PartialEq, Eq)]
pub struct Patch {
    /// What `git apply` reads.
    pub text: String,
    /// Whether it has a change right above a line that could not be shown: `git apply` then needs `--unidiff-zero`, since
    /// it takes a hunk without context below for one at the end of the file.
    pub bare: bool,
}

impl Patch {
    /// The command that takes it, from the repository's top folder.
    pub fn command(&self) -> &'static str {
        if self.bare {
            "git apply --unidiff-zero"
        } else {
            "git apply"
        }
    }
}

impl std::fmt::Debug for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patch({} bytes, {})", self.text.len(), self.command())
    }
}

/// Why there is no patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPatch {
    /// A line that changes holds a secret in clear.
    #[error("`{}`, line {line} holds a secret in clear and would stand in the patch: seal it first, or name it with `env` or `file`", file.display())]
    Secret {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1, in the old text or else in the new one.
        line: usize,
    },
    /// The file is not below the folder that the patch is for.
    #[error("`{}` is outside of the root file's folder: change it where it is kept", .0.display())]
    Outside(PathBuf),
}

/// The patch from `before` to `after`, which are the same files. Paths are relative to the root file's folder, with
/// `prefix` (`admin.patch_prefix`) in front.
///
/// # Errors
/// See [`NoPatch`].
pub fn patch(before: &Files, after: &Files, prefix: &str) -> Result<Patch, NoPatch> {
    let (old_secret, new_secret) = (secret_lines(before), secret_lines(after));
    let folder = before.root().map_or(Path::new(""), File::folder);
    let mut patch = Patch {
        text: String::new(),
        bare: false,
    };
    for (n, (old, new)) in before.iter().zip(after).enumerate() {
        if old.text == new.text {
            continue;
        }
        let path = placed(&old.path, folder, prefix)?;
        let (old_lines, new_lines) = (lines(&old.text), lines(&new.text));
        let shows = |line: usize| !old_secret[n].contains(&line);
        let found = hunks(&ops(&old_lines, &new_lines), shows);
        for (old_range, new_range) in found.iter().flat_map(super::diff::Hunk::changed) {
            let hidden = |range: std::ops::Range<usize>, secret: &[usize]| {
                range.into_iter().find(|line| secret.contains(line))
            };
            let line = hidden(old_range, &old_secret[n]).or(hidden(new_range, &new_secret[n]));
            if let Some(line) = line {
                return Err(NoPatch::Secret {
                    file: below(&old.path, folder),
                    line: line + 1,
                });
            }
        }
        header(&path, &mut patch.text);
        for hunk in found {
            patch.bare |= hunk.tail == 0 && !hunk.reaches(old_lines.len());
            hunk.write(&old_lines, &new_lines, &mut patch.text);
        }
    }
    Ok(patch)
}

/// The numbers of the lines that hold a secret in clear, from 0, for each file.
fn secret_lines(files: &Files) -> Vec<Vec<usize>> {
    let of = |(file, ranges): (&File, Vec<std::ops::Range<usize>>)| {
        let lines = ranges
            .into_iter()
            .flat_map(|range| file.line(range.start) - 1..=file.line(range.end) - 1);
        lines.collect()
    };
    files.iter().zip(masks(files, true)).map(of).collect()
}

/// The path in the repository.
fn placed(path: &Path, folder: &Path, prefix: &str) -> Result<String, NoPatch> {
    let whole = Path::new(prefix).join(below(path, folder));
    let mut parts: Vec<String> = Vec::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir if parts.pop().is_some() => {}
            _ => return Err(NoPatch::Outside(path.to_owned())),
        }
    }
    Ok(parts.join("/"))
}

/// The file's lines above its hunks, quoted as git does.
fn header(path: &str, out: &mut String) {
    let quoted = |side: &str| {
        let plain = path
            .chars()
            .all(|c| !c.is_control() && c != '"' && c != '\\');
        if plain {
            return format!("{side}/{path}");
        }
        let mut text = format!("\"{side}/");
        for byte in path.bytes() {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
                0..=31 | 127.. => {
                    let _ = write!(text, "\\{byte:03o}");
                }
                _ => text.push(char::from(byte)),
            }
        }
        text + "\""
    };
    let (old, new) = (quoted("a"), quoted("b"));
    // What ends at a tab may have spaces in it.
    let end = if path.contains(' ') { "\t" } else { "" };
    let _ = write!(
        out,
        "diff --git {old} {new}\n--- {old}{end}\n+++ {new}{end}\n"
    );
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn files(texts: &[(&str, &str)]) -> Files {
        Files::from_texts(texts.iter().map(|(p, t)| ((*p).into(), (*t).to_owned())))
    }

    /// Applies the patch with the true git to the files below `prefix`; `false` where there is no git.
    fn applied(before: &Files, after: &Files, root: &str, prefix: &str, patch: &Patch) -> bool {
        if Command::new("git").arg("--version").output().is_err() {
            eprintln!("SKIPPED config::edit::patch: there is no git");
            return false;
        }
        let top = tempfile::tempdir().unwrap();
        let place = |path: &Path| {
            let name = path
                .strip_prefix(Path::new(root).parent().unwrap())
                .unwrap();
            top.path().join(prefix).join(name)
        };
        for file in before {
            std::fs::create_dir_all(place(&file.path).parent().unwrap()).unwrap();
            std::fs::write(place(&file.path), file.text.as_bytes()).unwrap();
        }
        std::fs::write(top.path().join("the.patch"), &patch.text).unwrap();
        let git = |args: &[&str]| {
            let out = Command::new("git")
                .args(args)
                .current_dir(top.path())
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_SYSTEM", "/dev/null")
                .env("GIT_CEILING_DIRECTORIES", top.path().parent().unwrap())
                .output()
                .unwrap();
            assert!(
                out.status.success(),
                "{args:?}: {}\n{}",
                String::from_utf8_lossy(&out.stderr),
                patch.text
            );
        };
        git(&["init", "-q"]);
        let mut args: Vec<&str> = patch.command().split(' ').skip(1).collect();
        args.push("the.patch");
        git(&args);
        for file in after {
            let text = std::fs::read_to_string(place(&file.path)).unwrap();
            assert_eq!(text, &*file.text, "{}", patch.text);
        }
        true
    }

    #[test]
    fn git_takes_it() {
        let long: Vec<String> = (0..40).map(|n| format!("# {n}\n")).collect();
        let long = long.concat();
        let first = format!("{long}version = 1\n");
        let cases: &[(&str, &str)] = &[
            (
                &first,
                &first.replace("# 5\n", "# five\n").replace("# 30\n", ""),
            ),
            ("version = 1\n", "version = 1\n[log]\n"),
            ("version = 1", "version = 1\n[log]"),
            ("version = 1\n", "version = 1"),
            (
                "version = 1\r\n# a\r\n# b\r\n",
                "version = 1\r\n# x\r\n# b\r\n",
            ),
            ("version = 1\r\n# a\n# b\r\n", "version = 1\r\n# a\r\n# b"),
            (
                "\u{feff}version = 1\n# a\n",
                "\u{feff}version = 1\n# a\n# b\n",
            ),
            ("", "version = 1\n"),
            ("# a\nversion = 1\n", "version = 1\n"),
        ];
        for (prefix, name) in [
            ("", "agp.toml"),
            ("deploy/a b", "x \u{fc}.toml"),
            ("d", "q\"uote.toml"),
        ] {
            let root = "conf/agp.toml";
            let other = format!("conf/more d/{name}");
            for (old, new) in cases {
                let before = files(&[(root, old), (&other, old), ("conf/same.toml", old)]);
                let after = files(&[(root, new), (&other, new), ("conf/same.toml", old)]);
                let patch = patch(&before, &after, prefix).unwrap();
                assert!(!patch.bare);
                if !applied(&before, &after, root, prefix, &patch) {
                    return;
                }
            }
        }
    }

    #[test]
    fn no_line_with_a_secret_in_clear_is_context() {
        let old = "version = 1\n[accounts.a]\nenabled = true\nrefresh_token = \"planted\" # x\ntier = 1\nweight = 1.0\n\n# y\n[keys.k]\nkey = { env = \"K\" }\nrpm = 1\npassward = \"\"\"\nplanted\nplanted\"\"\"\n";
        let before = files(&[("conf/agp.toml", old)]);
        for (from, to, bare) in [
            ("true", "false", true),
            ("tier = 1", "tier = 2", false),
            ("1.0", "2.0", false),
            ("rpm = 1\n", "", true),
            (
                "[accounts.a]\nenabled = true\n",
                "[accounts.a]\n# n\nenabled = false\n",
                true,
            ),
        ] {
            let after = files(&[("conf/agp.toml", &old.replace(from, to))]);
            let made = patch(&before, &after, "p").unwrap();
            assert!(!made.text.contains("planted"), "{}", made.text);
            assert_eq!(made.bare, bare, "{}", made.text);
            applied(&before, &after, "conf/agp.toml", "p", &made);
            // Two changes with the secret between them are two hunks.
            let two = files(&[(
                "conf/agp.toml",
                &old.replace(from, to).replace("1.0", "3.0"),
            )]);
            let made = patch(&before, &two, "p").unwrap();
            assert!(!made.text.contains("planted"), "{}", made.text);
            applied(&before, &two, "conf/agp.toml", "p", &made);
        }
    }

    #[test]
    fn a_change_of_a_secret_in_clear_gives_no_patch() {
        let old = "version = 1\n[accounts.a]\napi_key = 'planted'\n";
        let before = files(&[("agp.toml", old)]);
        for new in [
            "version = 1\n",
            &old.replace("planted", "planted-2"),
            &format!("{old}[admin]\npassword = 'planted'\n"),
        ] {
            let refused = patch(&before, &files(&[("agp.toml", new)]), "").unwrap_err();
            assert!(matches!(refused, NoPatch::Secret { .. }));
            assert!(!refused.to_string().contains("planted"));
        }
        let sealed = old.replace(
            "'planted'",
            "{ sealed = 'agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==' }",
        );
        let after = sealed.replace("eA", "eB");
        assert!(
            patch(
                &files(&[("agp.toml", &sealed)]),
                &files(&[("agp.toml", &after)]),
                ""
            )
            .is_ok()
        );
    }

    #[test]
    fn files_outside_of_the_repository_are_told() {
        let before = files(&[
            ("conf/agp.toml", "version = 1\n"),
            ("/etc/more.toml", "# a\n"),
            ("conf/../x.toml", "# a\n"),
        ]);
        let with = |n: usize| {
            let mut texts: Vec<(PathBuf, String)> = before
                .iter()
                .map(|f| (f.path.clone(), f.text.to_string()))
                .collect();
            texts[n].1 = "# b\n".to_owned();
            Files::from_texts(texts)
        };
        let outside = |made: Result<Patch, NoPatch>| matches!(made, Err(NoPatch::Outside(_)));
        assert!(outside(patch(&before, &with(1), "deploy")));
        assert!(outside(patch(&before, &with(2), "")));
        assert!(
            patch(&before, &with(2), "deploy")
                .unwrap()
                .text
                .contains("--- a/x.toml\n")
        );
    }
}
