//! The documents: links lead somewhere, files shown in them are sound, and the two READMEs show the same.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use clap::Parser as _;

use agp::cli::Cli;
use agp::config::{self, source::Files};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The documents of the top level and of `docs/`, by their paths.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [root().to_owned(), root().join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The code blocks of one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    Regex::new(&format!(r"(?s)```{language}\n(.*?)```"))
        .unwrap()
        .captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let link = Regex::new(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)").unwrap();
    let documents = documents();
    assert!(documents.len() > 5, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for found in link.captures_iter(&text) {
            let target = document.parent().unwrap().join(&found[1]);
            assert!(
                target.exists(),
                "{}: there is no `{}`",
                document.display(),
                &found[1]
            );
        }
    }
}

#[test]
fn the_file_that_the_readme_shows_is_sound_and_uses_nothing_that_is_not_in_effect() {
    let shown = blocks(&read("README.md"), "toml");
    assert_eq!(shown.len(), 1);
    let files = Files::from_texts([("agp.toml".into(), shown[0].clone())]);
    let loaded = config::load(&files, std::iter::empty());
    assert!(loaded.config.is_some(), "{:?}", loaded.diagnostics);
    assert!(
        loaded.diagnostics.is_empty(),
        "not even a warning or note: {:?}",
        loaded.diagnostics
    );
}

#[test]
fn the_readmes_show_the_same_commands_and_code_and_begin_with_them() {
    let (english, chinese) = (read("README.md"), read("README.zh-CN.md"));
    let code = |text: &str| blocks(text, r"\w+");
    assert_eq!(code(&english), code(&chinese));
    let first = &code(&english)[0];
    assert!(first.contains("make run") && first.contains("make test"));
    assert!(english.starts_with(&format!("# agp\n\n```bash\n{first}```")));
}

#[test]
fn the_commands_of_the_ci_examples_can_be_parsed() {
    let command =
        Regex::new(r"(?m)^\s*(?:- |run: |entry: )?(agp [a-z].*?)(?: >.*| #.*)?$").unwrap();
    let mut n = 0;
    for entry in fs::read_dir(root().join("examples/ci")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for found in command.captures_iter(&text) {
            n += 1;
            let parsed = Cli::try_parse_from(found[1].split_whitespace());
            assert!(parsed.is_ok(), "{}: {}", &found[1], parsed.unwrap_err());
        }
    }
    assert_eq!(n, 9);
}
