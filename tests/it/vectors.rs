//! The conformance vectors: every file under tests/vectors/shared is run and compared with what it expects.

mod answers;
mod compare;
mod pool;
mod requests;
mod schema;
mod upstream;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Turns a case's `input` into what its `expect` describes.
type Convert = fn(&Value) -> Result<Vec<Value>, String>;

/// Who converts each direction. A converter may give several results, each of which must match: a stream is read at
/// several chunk borders.
const DIRECTIONS: &[(&str, Convert)] = &[
    ("openai_chat_request_to_gemini", requests::openai_chat),
    ("anthropic_messages_request_to_gemini", requests::anthropic),
    ("gemini_response_to_openai_chat", answers::openai_whole),
    (
        "gemini_response_to_anthropic_messages",
        answers::anthropic_whole,
    ),
    ("gemini_stream_to_openai_chat", answers::openai_stream),
    (
        "gemini_stream_to_anthropic_messages",
        answers::anthropic_stream,
    ),
    ("schema_to_gemini", schema::gemini),
    ("schema_to_claude", schema::claude),
    ("envelope", upstream::enveloped),
    ("count_tokens", upstream::counted),
    ("duration_to_ms", upstream::durations),
    ("oauth_authorize_url", upstream::authorize),
    ("oauth_refresh", upstream::refresh),
    ("quota", upstream::quota),
    ("tier", upstream::tier),
    ("upstream_error_to_decision", upstream::decision),
    ("pool_to_response", pool::response),
];

/// What later parts of the program take, by name.
const SKIPPED: &[&str] = &[
    "r01_input_string",
    "r02_agent_turn",
    "r03_stream_text",
    "r04_stream_function_call",
    "o22_envelope_gemini_api",
    "o25_envelope_vertex",
    "go12_unary_gemini_api_no_wrapper",
];

struct Case {
    name: String,
    direction: String,
    input: Value,
    expect: Value,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/shared")
}

/// All files under a folder by their path in it.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_path_buf();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn cases() -> Vec<Case> {
    files(&root())
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "json"))
        .map(|(path, bytes)| {
            let mut case: Value = serde_json::from_slice(&bytes).unwrap();
            let name = case["name"].as_str().unwrap().to_owned();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(name.as_str()));
            Case {
                direction: case["direction"].as_str().unwrap().to_owned(),
                input: case["input"].take(),
                expect: case["expect"].take(),
                name,
            }
        })
        .collect()
}

#[test]
fn every_vector_passes() {
    let cases = cases();
    assert_eq!(cases.len(), 100, "the vectors are 100 files");
    let mut problems = Vec::new();
    let mut run = 0;
    for case in &cases {
        if SKIPPED.contains(&case.name.as_str()) {
            continue;
        }
        let Some((_, convert)) = DIRECTIONS.iter().find(|(d, _)| *d == case.direction) else {
            problems.push(format!("{}: nobody converts {}", case.name, case.direction));
            continue;
        };
        run += 1;
        match convert(&case.input) {
            Ok(results) => {
                assert!(!results.is_empty(), "{}: nothing to compare", case.name);
                for result in results {
                    for problem in compare::check(&case.expect, &result) {
                        problems.push(format!("{}: {problem}", case.name));
                    }
                }
            }
            Err(error) => problems.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(problems.is_empty(), "{run} run:\n{}", problems.join("\n"));
}

#[test]
fn what_is_left_out_is_left_out_by_name() {
    let cases = cases();
    for name in SKIPPED {
        assert!(
            cases.iter().any(|c| c.name == *name),
            "no such vector: {name}"
        );
    }
    // Nothing of errors and of the pool is left out.
    for name in ["e05", "e10", "e11", "e14"] {
        let of = |known: &str| known.starts_with(name);
        assert!(cases.iter().any(|c| of(&c.name)), "no vector {name}");
        assert!(!SKIPPED.iter().any(|skipped| of(skipped)), "{name}");
    }
    for (direction, _) in DIRECTIONS {
        assert!(
            cases.iter().any(|c| c.direction == *direction),
            "{direction}"
        );
    }
}

#[test]
fn the_copy_is_the_original() {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    if !original.is_dir() {
        return;
    }
    let (ours, theirs) = (files(&root()), files(&original));
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (name, bytes) in &theirs {
        assert!(ours[name] == *bytes, "{} differs", name.display());
    }
}
