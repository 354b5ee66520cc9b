//! The rules of ARCHITECTURE.md that a compiler does not check: who may import whom, how long files and functions may be,
//! and which crates and types stay at home. Each rule takes sources and gives its violations, so that made-up files show
//! that it finds what it is there for.

mod source;

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use source::Source;

/// What a module of `src/` may import besides itself.
enum May {
    /// These.
    Only(&'static [&'static str]),
    /// Every module of a lower layer.
    Lower,
}

/// The modules of `src/`, their layer, and what they may import. `cli` is the highest: nothing imports it.
const MODULES: &[(&str, u8, May)] = &[
    ("base", 0, May::Only(&[])),
    ("ir", 1, May::Only(&["base"])),
    ("pool", 1, May::Only(&["base"])),
    // Neither `wire` nor `ir`, so that a wrong reading of a format is not mirrored.
    ("sim", 1, May::Only(&["base"])),
    ("wire", 2, May::Only(&["base", "ir"])),
    ("store", 2, May::Only(&["base", "ir"])),
    ("config", 3, May::Only(&["base", "ir", "wire"])),
    ("upstream", 4, May::Only(&["base", "ir", "pool", "config"])),
    ("runtime", 5, May::Lower),
    ("dispatch", 6, May::Lower),
    ("server", 7, May::Lower),
    ("app", 8, May::Lower),
    ("cli", 9, May::Lower),
];

/// Tests may do more: the upstream's are made against the simulator.
const IN_TESTS: &[(&str, &str)] = &[("upstream", "sim")];

/// Crates and types that stay at home: what, as a pattern, and the paths below `src/` where it may stand.
const AT_HOME: &[(&str, &[&str])] = &[
    // Values rewrite numbers and forget the order of what they read: vendors' JSON has types, tool input stays text.
    (
        r"\bserde_json::(?:Value|Map|json!|\{[^}]*\b(?:Value|Map|json)\b)",
        &[
            "sim/",
            "wire/",
            "server/admin",
            // A JSON Schema is JSON of no fixed form, and the examples in it too.
            "config/raw/entries.rs",
            "config/schema.rs",
            "cli/account.rs",
            "cli/ask.rs",
            "cli/diff.rs",
            "cli/explain.rs",
            "cli/history.rs",
            "cli/key/",
            "cli/logs.rs",
            "cli/pick.rs",
            "cli/rollback.rs",
            "cli/state.rs",
            "cli/status.rs",
        ],
    ),
    (r"\bredb\b", &["store"]),
    (r"\bwarp::", &["server"]),
    (
        r"\breqwest::(?:Client|Request|Response|Body|Proxy|Certificate)",
        &[
            "upstream",
            "runtime/handle.rs",
            "cli/login.rs",
            "cli/ask/remote.rs",
        ],
    ),
];

/// Pure modules, and what they must not know.
const PURE: &[(&str, &str)] = &[
    (
        "pool",
        r"\b(?:tokio|parking_lot|arc_swap|getrandom|reqwest|std::fs|std::sync|Timestamp::now)\b",
    ),
    (
        "ir",
        r"\b(?:tokio|parking_lot|arc_swap|getrandom|reqwest|std::fs|std::sync|Timestamp::now)\b",
    ),
];

/// The dialects: no file knows two.
const DIALECTS: &[&str] = &["openai_chat", "anthropic", "gemini"];

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 80;

static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate\s*::\s*(\{|\w+)").unwrap());

/// The modules that the code names by `crate::`, each with the place of its name.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for captures in USE.captures_iter(code) {
        let name = captures.get(1).unwrap();
        if name.as_str() != "{" {
            found.push((name.start(), name.as_str().to_owned()));
            continue;
        }
        // `crate::{a::b, c::{d, e}}`: the first name after the brace and after each comma of its own depth.
        let end = source::item_end(code.as_bytes(), name.start());
        let mut depth = 0;
        let mut fresh = false;
        for (at, c) in code[name.start()..end].char_indices() {
            match c {
                '{' => (depth, fresh) = (depth + 1, true),
                '}' => depth -= 1,
                ',' => fresh = true,
                c if (c.is_alphanumeric() || c == '_') && fresh => {
                    fresh = false;
                    if depth == 1 {
                        let tail = &code[name.start() + at..end];
                        let word = tail.find(|c: char| !c.is_alphanumeric() && c != '_');
                        found.push((
                            name.start() + at,
                            tail[..word.unwrap_or(tail.len())].to_owned(),
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Imports that go up, or to a module that the table does not name.
fn layers(sources: &[Source]) -> Vec<String> {
    let row = |module: &str| MODULES.iter().find(|(name, ..)| *name == module);
    let mut violations = Vec::new();
    for source in sources {
        let own = source.modules()[0];
        if own == "lib" || own == "main" {
            continue;
        }
        let Some((_, layer, may)) = row(own) else {
            violations.push(format!("src/{}: `{own}` has no layer", source.path));
            continue;
        };
        for (at, module) in imports(&source.code) {
            let allowed = module == own
                || row(&module).is_some_and(|(name, other, _)| match may {
                    May::Only(list) => list.contains(name),
                    May::Lower => other < layer,
                })
                || IN_TESTS.contains(&(own, &module)) && !imports_in(&source.production, at);
            if !allowed {
                violations.push(format!(
                    "src/{}:{}: `{own}` imports `{module}`",
                    source.path,
                    Source::line(&source.code, at)
                ));
            }
        }
        violations.extend(climbs(source));
    }
    violations
}

/// Whether the code at `at` was left in place.
fn imports_in(production: &str, at: usize) -> bool {
    production
        .as_bytes()
        .get(at)
        .is_some_and(|b| !b.is_ascii_whitespace())
}

/// Paths by `super` that could leave the module unseen.
fn climbs(source: &Source) -> Vec<String> {
    static TWICE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bsuper\s*::\s*super\b").unwrap());
    static ONCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bsuper\s*::").unwrap());
    let (pattern, code) = if source.modules().len() == 1 {
        (&*ONCE, &source.production)
    } else {
        (&*TWICE, &source.code)
    };
    pattern
        .find_iter(code)
        .map(|found| {
            format!(
                "src/{}:{}: `{}` may leave the module; write `crate::`",
                source.path,
                Source::line(code, found.start()),
                found.as_str()
            )
        })
        .collect()
}

/// Names of crates, types and modules outside of their homes, in what is not a test.
fn strays(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut look = |source: &Source, pattern: &str| {
        for found in Regex::new(pattern).unwrap().find_iter(&source.production) {
            let line = Source::line(&source.production, found.start());
            violations.push(format!(
                "src/{}:{line}: `{}` does not belong here",
                source.path,
                found.as_str()
            ));
        }
    };
    for source in sources {
        for (pattern, homes) in AT_HOME {
            if !homes.iter().any(|home| source.path.starts_with(home)) {
                look(source, pattern);
            }
        }
        let modules = source.modules();
        for (module, pattern) in PURE {
            if modules[0] == *module {
                look(source, pattern);
            }
        }
        if modules[0] == "wire" && modules.len() > 1 && DIALECTS.contains(&modules[1]) {
            for other in DIALECTS.iter().filter(|d| **d != modules[1]) {
                look(source, &format!(r"\bwire::{other}\b"));
            }
        }
    }
    violations
}

/// Files and functions that are too long.
fn lengths(sources: &[Source]) -> Vec<String> {
    static FUNCTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bfn\s+(\w+)").unwrap());
    let mut violations = Vec::new();
    for source in sources {
        if source.n_lines > MAX_FILE_LINES {
            violations.push(format!(
                "src/{}: {} lines without tests, more than {MAX_FILE_LINES}",
                source.path, source.n_lines
            ));
        }
        for found in FUNCTION.captures_iter(&source.production) {
            let start = found.get(0).unwrap().start();
            let end = source::item_end(source.production.as_bytes(), start);
            let n_lines = source.production[start..end].matches('\n').count() + 1;
            if n_lines > MAX_FUNCTION_LINES {
                violations.push(format!(
                    "src/{}:{}: `{}` has {n_lines} lines, more than {MAX_FUNCTION_LINES}",
                    source.path,
                    Source::line(&source.production, start),
                    &found[1]
                ));
            }
        }
    }
    violations
}

#[track_caller]
fn assert_none(violations: &[String]) {
    let mut list = String::new();
    for violation in violations {
        let _ = writeln!(list, "  {violation}");
    }
    assert!(violations.is_empty(), "{}:\n{list}", violations.len());
}

#[test]
fn imports_go_down() {
    let sources = source::all();
    assert!(sources.len() > 100, "only {} files found", sources.len());
    assert_none(&layers(&sources));
}

#[test]
fn the_table_itself_goes_down_and_names_every_module() {
    for (name, layer, may) in MODULES {
        if let May::Only(list) = may {
            for other in *list {
                let below = MODULES.iter().any(|(n, l, _)| n == other && l < layer);
                assert!(
                    below,
                    "`{name}` may import `{other}`, which is not below it"
                );
            }
        }
    }
    let lib = Source::new("lib.rs", include_str!("../../src/lib.rs"));
    let declared: Vec<_> = Regex::new(r"\bmod\s+(\w+)\s*;")
        .unwrap()
        .captures_iter(&lib.code)
        .map(|found| found[1].to_owned())
        .collect();
    let mut table: Vec<_> = MODULES.iter().map(|(name, ..)| *name).collect();
    table.sort_unstable();
    assert_eq!(declared, table);
}

#[test]
fn crates_and_types_stay_at_home() {
    assert_none(&strays(&source::all()));
}

#[test]
fn files_and_functions_stay_short() {
    assert_none(&lengths(&source::all()));
}

#[test]
fn a_wrong_import_is_found_in_every_form() {
    let wrong = |path: &str, text: &str| layers(&[Source::new(path, text)]);
    assert_eq!(
        wrong("pool/x.rs", "//! A file.\nuse crate::server::Gateway;\n"),
        ["src/pool/x.rs:2: `pool` imports `server`"]
    );
    assert_eq!(
        wrong(
            "ir.rs",
            "use crate::{base::{id, time}, pool::state, wire};\n"
        ),
        [
            "src/ir.rs:1: `ir` imports `pool`",
            "src/ir.rs:1: `ir` imports `wire`"
        ]
    );
    assert_eq!(
        wrong(
            "base/x.rs",
            "fn f() -> u8 {\n    crate::app::log::level()\n}\n"
        ),
        ["src/base/x.rs:2: `base` imports `app`"]
    );
    assert_eq!(wrong("sim/x.rs", "use crate::wire::sse;").len(), 1);
    assert_eq!(wrong("server/x.rs", "use crate::cli::key;").len(), 1);
    assert_eq!(wrong("server/x.rs", "use super::super::cli::key;").len(), 1);
    assert_eq!(wrong("store.rs", "use super::wire::sse;").len(), 1);
    assert_eq!(wrong("extra/x.rs", "use crate::base::id;").len(), 1);
    // A test inside a file is held to the layers too, but for what the table of tests says.
    let sim = "use crate::sim::Sim;\n";
    assert_eq!(wrong("upstream/x.rs", sim).len(), 1);
    let test = format!("#[cfg(test)]\nmod tests {{\n    {sim}}}\n");
    assert_none(&wrong("upstream/x.rs", &test));
    assert_eq!(wrong("wire/x.rs", &test).len(), 1);
}

#[test]
fn right_imports_comments_and_texts_are_no_violations() {
    let text = r##"
//! See crate::server.
/* crate::app /* crate::cli */ crate::app */
use crate::base::{error::Error, id};
use crate::pool::state;
use super::cooldown;
const TEXT: &str = "use crate::server; \" crate::app";
const RAW: &str = r#"use crate::server; " crate::app"#;
const QUOTE: char = '"';
fn f<'a>(x: &'a str) -> &'a str { x } // crate::cli
const ESCAPED: [char; 2] = ['\'', '\u{22}'];
"##;
    assert_none(&layers(&[Source::new("pool/x.rs", text)]));
    let after = format!("{text}use crate::server::Gateway;\n");
    assert_eq!(layers(&[Source::new("pool/x.rs", &after)]).len(), 1);
}

#[test]
fn strays_and_long_code_are_found() {
    let stray = |path: &str, text: &str| strays(&[Source::new(path, text)]).len();
    for text in [
        "fn f(v: &serde_json::Value) {}",
        "use serde_json::{Number, Value};",
        "fn f() -> String { serde_json::json!({}).to_string() }",
    ] {
        assert_eq!(stray("dispatch/x.rs", text), 1, "{text}");
        assert_eq!(stray("wire/x.rs", text), 0, "{text}");
        let test = format!("#[cfg(test)]\nmod tests {{ {text} }}\n");
        assert_eq!(stray("dispatch/x.rs", &test), 0, "{text}");
    }
    assert_eq!(stray("runtime/x.rs", "use redb::Database;"), 1);
    assert_eq!(stray("pool/x.rs", "use std::sync::Arc;"), 1);
    assert_eq!(
        stray("wire/gemini/x.rs", "use crate::wire::anthropic::types;"),
        1
    );

    let long = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines));
    let found = |text: &str| lengths(&[Source::new("base/x.rs", text)]);
    assert_none(&found(&long(MAX_FUNCTION_LINES - 2)));
    assert_eq!(
        found(&long(MAX_FUNCTION_LINES - 1)),
        ["src/base/x.rs:1: `f` has 81 lines, more than 80"]
    );
    let consts = "const A: u8 = 0;\n".repeat(MAX_FILE_LINES);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", long(100));
    assert_none(&found(&format!("{consts}{tests}")));
    assert_eq!(
        found(&format!("{consts}const B: u8 = 0;\n{tests}")),
        ["src/base/x.rs: 401 lines without tests, more than 400"]
    );
}
