use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value as Json;

use crate::config::diagnostic::Code;
use crate::config::schema::{self, Shape};
use crate::config::tests::broken::{CASES, case};
use crate::config::tests::{findings, loaded};
use crate::config::tree::KeyPath;
use crate::config::{pending, quote_key};

/// The sample of the document that this file's form was laid down in; values that it leaves open are filled in.
const SAMPLE: &str = include_str!("../../../tests/config/sample.toml");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A judge that is not agp itself.
struct Judge {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler
            .add_resource("agp.schema.json", schema::value().clone())
            .unwrap();
        let index = compiler.compile("agp.schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn errors(&self, text: &str) -> Option<String> {
        let value = json(toml::Value::Table(text.parse().unwrap()));
        let result = self.schemas.validate(&value, self.index);
        result.err().map(|error| format!("{error:#}"))
    }
}

/// As editors and other tools read TOML: a date is a text.
fn json(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(n) => n.into(),
        toml::Value::Float(n) => n.into(),
        toml::Value::Boolean(b) => b.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(k, v)| (k, json(v))).collect(),
    }
}

#[test]
fn the_checked_in_schema_is_fresh() {
    let path = root().join("docs/agp.schema.json");
    assert!(
        std::fs::read_to_string(path).unwrap() == schema::text(),
        "run `cargo run -- schema > docs/agp.schema.json`"
    );
}

#[test]
fn every_file_that_is_shown_passes() {
    let judge = Judge::new();
    let mut files = vec![
        root().join("agp.toml.example"),
        root().join("tests/config/sample.toml"),
    ];
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    assert!(files.len() >= 4);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(judge.errors(&text), None, "{}", path.display());
    }
}

#[test]
fn what_is_commented_out_in_the_example_passes_too() {
    // `# key = value` and `# key = value   # why`, one after the other in the table that they stand in.
    let judge = Judge::new();
    let text = std::fs::read_to_string(root().join("agp.toml.example")).unwrap();
    let commented = Regex::new(r"(?m)^# (\[|[a-z_]+ = )").unwrap();
    let count = commented.find_iter(&text).count();
    let text = commented.replace_all(&text, "$1");
    assert!(count > 25, "{count}");
    assert_eq!(judge.errors(&text), None);
    let loaded = loaded(&text);
    assert!(loaded.config.is_some(), "{:#?}", findings(&loaded));
}

#[test]
fn mistakes_of_form_are_refused_by_the_schema_too() {
    let judge = Judge::new();
    let of_form = [
        Code::UnknownKey,
        Code::WrongType,
        Code::UnknownChoice,
        Code::Missing,
    ];
    let mut n = 0;
    for (marked, code, key) in CASES {
        let (text, _) = case(marked);
        // A quoted date is a date to whoever reads TOML as JSON; which credential an account needs is its upstream's kind.
        let beyond = [
            "keys.k.expires",
            "keys.k.sha256",
            "accounts.a.refresh_token",
            "upstreams.u.oauth",
        ];
        if of_form.contains(code) && !beyond.contains(key) {
            n += 1;
            assert!(judge.errors(&text).is_some(), "passes:\n{text}");
        }
    }
    assert!(n > 20, "{n}");
}

/// Every key of the schema with its path, `*` standing for a free name.
fn keys() -> Vec<(Vec<String>, Shape)> {
    fn walk(shape: Shape, path: &[String], found: &mut Vec<(Vec<String>, Shape)>) {
        let mut children: Vec<(String, Shape)> = shape
            .keys()
            .map(|(key, shape)| (key.to_owned(), shape))
            .collect();
        if shape.is_named() {
            children.extend(shape.child("*").map(|shape| ("*".to_owned(), shape)));
        }
        for (key, shape) in children {
            let mut path = path.to_vec();
            path.push(key);
            walk(shape, &path, found);
            found.push((path, shape));
        }
    }
    let mut found = Vec::new();
    walk(Shape::root(), &[], &mut found);
    found
}

#[test]
fn every_key_has_a_default_or_an_example_and_it_is_taken() {
    for (path, shape) in keys() {
        let table = shape.is_table() || shape.is_named();
        if table && path.len() < 3 || path.last().is_some_and(|key| key == "*") {
            continue;
        }
        let dotted: Vec<String> = path.iter().map(|key| quote_key(key)).collect();
        let dotted = dotted.join(".").replace("\"*\"", "x");
        let hints = [shape.default_text(), shape.example()];
        let known: Vec<&str> = hints.iter().flatten().map(String::as_str).collect();
        // Nothing that could be copied makes sense there.
        let none = [
            "version",
            "admin.password_hash",
            "admin.tokens.x.sha256",
            "secrets.recipients",
            "keys.x.sha256",
        ];
        assert!(
            !known.is_empty() || none.contains(&&*dotted),
            "{dotted} has no example"
        );
        for value in known {
            let version = if dotted == "version" {
                ""
            } else {
                "version = 1\n"
            };
            let loaded = loaded(&format!("{version}{dotted} = {value}\n"));
            let wrong: Vec<_> = findings(&loaded)
                .into_iter()
                .filter(|d| d.key.starts_with(&dotted) && d.code < Code::Reference)
                .collect();
            assert!(wrong.is_empty(), "{dotted} = {value}: {wrong:#?}");
        }
    }
}

/// Keys of the schema that the sample does not give, but tells of beside others: the words that do.
const TOLD: &[(&str, &str)] = &[
    ("admin.password", "or password = {"),
    ("upstreams.*.oauth.auth_url", "oauth.auth_url,"),
    ("upstreams.*.oauth.token_url", ".token_url"),
    ("upstreams.*.oauth.userinfo_url", ".userinfo_url"),
    ("upstreams.*.oauth.scopes", ".scopes"),
    ("upstreams.*.oauth.redirect_url", ".redirect_url"),
    ("upstreams.*.headers.*", "headers = {}"),
    ("upstreams.*.metadata.*", "metadata = {}"),
    ("upstreams.*.safety_settings.*", "category = threshold"),
    ("accounts.*.api_key", "api_key for key kinds"),
    ("accounts.*.service_account", "service_account for vertex"),
    (
        "groups.*.rpm",
        "also rpm, tokens_per_minute, max_concurrent",
    ),
    (
        "groups.*.tokens_per_minute",
        "also rpm, tokens_per_minute, max_concurrent",
    ),
    (
        "groups.*.max_concurrent",
        "also rpm, tokens_per_minute, max_concurrent",
    ),
    ("keys.*.key", "or key = {"),
];

#[test]
fn the_sample_and_the_schema_have_the_same_keys() {
    fn walk(value: &toml::Value, path: &mut KeyPath, found: &mut BTreeSet<String>) {
        let named = Shape::at(path).is_some_and(Shape::is_named);
        for (key, value) in value.as_table().into_iter().flatten() {
            let shape = path.with(key);
            assert!(
                Shape::at(&shape).is_some(),
                "`{shape}` is not in the schema"
            );
            let key = if named { "*" } else { key };
            let mut next = path.with(key);
            // What stands in a value of several forms is the value's matter.
            if !next.to_string().ends_with(".thinking") {
                found.insert(next.keys().join("."));
                let secret = value.as_table().is_some_and(|t| {
                    t.len() == 1 && ["env", "sealed"].iter().any(|form| t.contains_key(*form))
                });
                if !secret {
                    walk(value, &mut next, found);
                }
            }
        }
    }
    let mut sample = BTreeSet::new();
    let value = toml::Value::Table(SAMPLE.parse().unwrap());
    walk(&value, &mut KeyPath::default(), &mut sample);
    sample.insert("models.*.thinking".to_owned());
    let schema: BTreeSet<String> = keys().into_iter().map(|(path, _)| path.join(".")).collect();
    for (key, words) in TOLD {
        assert!(SAMPLE.contains(words), "{words}");
        assert!(
            schema.contains(*key) && sample.insert((*key).to_owned()),
            "{key}"
        );
    }
    assert_eq!(sample, schema);
    for key in pending::keys() {
        assert!(
            schema.contains(key),
            "`{key}` waits but is not in the schema"
        );
    }
}

#[test]
fn the_samples_values_are_the_defaults_where_it_says_so() {
    // In `[server]` to `[fetch]` a key takes the value shown, unless the comment says "none".
    let mut n = 0;
    let mut section = "";
    let none = Regex::new("# none( \\||;|:|,)").unwrap();
    for line in SAMPLE
        .lines()
        .take_while(|line| !line.starts_with("[upstreams"))
    {
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(']').next().unwrap();
        }
        let Some((key, shown)) = line.split_once(" = ") else {
            continue;
        };
        if section.is_empty()
            || line.starts_with([' ', '#'])
            || none.is_match(line) && !line.contains("# none |")
        {
            continue;
        }
        let path = KeyPath(
            section
                .split('.')
                .chain(key.split('.'))
                .map(Into::into)
                .collect(),
        );
        let shape = Shape::at(&path).unwrap();
        let default = shape
            .default_text()
            .unwrap_or_else(|| panic!("{path} has no default"));
        let with = |text: &str| {
            let loaded = loaded(&format!("version = 1\n[{section}]\n{key} = {text}\n"));
            format!("{:?}", loaded.config.expect("a config"))
        };
        // A comment is no part of the value.
        assert_eq!(with(&default), with(shown), "{path}");
        n += 1;
    }
    assert!(n > 45, "{n}");
}
