//! The requests that the shared vectors expect are requests that the simulator takes: both were drawn from one document.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{envelope, with_tool};
use crate::sim::strict;

/// The plain value that a vector's matcher stands for; none: nothing.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if text == "<absent>" => None,
        Value::String(text) if text == "<string>" => Some(json!("x")),
        Value::Array(items) => Some(items.iter().filter_map(plain).collect()),
        Value::Object(fields) => {
            if fields.contains_key("$optional") {
                return None;
            }
            if let Some(first) = fields.get("$oneOf").and_then(|o| o.get(0)) {
                return plain(first);
            }
            if let Some(list) = fields.get("$unordered") {
                return plain(list);
            }
            if fields.contains_key("$re") {
                return Some(json!("x"));
            }
            let kept = fields.iter().filter(|(name, _)| *name != "$partial");
            let kept: Map<_, _> = kept
                .filter_map(|(name, v)| Some((name.clone(), plain(v)?)))
                .collect();
            Some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

fn files(group: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/shared")
        .join(group);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn check(model: &str, request: &Value) -> Result<(), String> {
    let body = envelope(model, request).to_string();
    strict::generate(body.as_bytes(), false)
        .map(drop)
        .map_err(|problem| problem.message)
}

#[test]
fn expected_requests_pass() {
    let (mut passed, mut made_up) = (0, 0);
    let all = ["openai_to_gemini", "anthropic_to_gemini"];
    for file in all.into_iter().flat_map(files) {
        let vector = read(&file);
        let Some(request) = plain(&vector["expect"]["request"]).filter(Value::is_object) else {
            continue;
        };
        let model = vector["input"]["model"].as_str().unwrap();
        match check(model, &request) {
            Ok(()) => passed += 1,
            // The vectors' signatures are made up, which must be noticed.
            Err(why) if why.contains("ignature") => made_up += 1,
            Err(why) => panic!("{}: {why}", file.display()),
        }
    }
    assert!(passed >= 34 && made_up == 4, "{passed} {made_up}");
}

#[test]
fn expected_schemas_pass() {
    let mut passed = 0;
    for file in files("schema") {
        let vector = read(&file);
        let schema = plain(&vector["expect"]["schema"]).unwrap();
        let model = match vector["direction"].as_str().unwrap() {
            "schema_to_claude" => "claude-sonnet-4-6",
            _ => "gemini-2.5-flash",
        };
        let mut request = with_tool("hi");
        request["tools"][0]["functionDeclarations"][0]["parameters"] = schema;
        if let Err(why) = check(model, &request) {
            panic!("{}: {why}", file.display());
        }
        passed += 1;
    }
    assert!(passed >= 12, "{passed}");
}
