//! Every dependency of Cargo.toml is used.

use std::fs;
use std::path::Path;

use regex::Regex;

/// The text of all Rust files below a folder of the package, comments left out.
fn code(folder: &str) -> String {
    fn walk(folder: &Path, out: &mut String) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let lines = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                out.extend(lines.flat_map(|line| [line, "\n"]));
            }
        }
    }
    let mut out = String::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        &mut out,
    );
    out
}

/// The dependencies of one table that the code does not name.
fn unused(manifest: &toml::Table, table: &str, code: &str) -> Vec<String> {
    let names = manifest[table].as_table().unwrap().keys();
    names
        .filter(|name| {
            let name = name.replace('-', "_");
            !Regex::new(&format!(r"\b{name}(?:::|;| as )"))
                .unwrap()
                .is_match(code)
        })
        .cloned()
        .collect()
}

#[test]
fn every_dependency_is_used() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let src = code("src");
    assert_eq!(unused(&manifest, "dependencies", &src), [""; 0]);
    let all = src + &code("tests") + &code("benches");
    assert_eq!(unused(&manifest, "dev-dependencies", &all), [""; 0]);
}

#[test]
fn an_unused_one_is_found() {
    let manifest: toml::Table = "[dependencies]\nserde-json = '1'\nbytes = '1'\nused = '1'"
        .parse()
        .unwrap();
    let code = "use serde_json::Value;\nlet bytes = 1;\npub use used as other;";
    assert_eq!(unused(&manifest, "dependencies", code), ["bytes"]);
}
