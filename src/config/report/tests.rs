use std::path::Path;

use serde_json::Value as Json;

use super::*;
use crate::config::diagnostic::Code;
use crate::config::load_at;
use crate::config::tests::NOW;

const BROKEN: &str = "version = 1\n[server]\nlisen = \"x\"\n[models.a]\nroute = [\"u/m\"]\naliases = [\"c\"]\n[models.b]\nroute = [\"u/m\"]\naliases = [\"c\"]\n[upstreams.u]\nkind = \"gemini\"\n[accounts.a]\nupstream = \"u\"\napi_key = \"hunter2 and more\"\nemail = \"ü\", x = \"hunter2\n";

fn with<T>(path: &str, text: &str, make: impl Fn(&[Checked<'_>]) -> T) -> T {
    let files = Files::from_texts([(path.into(), text.to_owned())]);
    let loaded = load_at(&files, std::iter::empty(), NOW);
    let mut diagnostics = loaded.diagnostics;
    diagnostics.push(Diagnostic::new(
        Code::Overlay,
        "log.x",
        "100%: no, \"such\"\nkey",
    ));
    make(&[Checked {
        root: Path::new(path),
        files: &files,
        diagnostics: &diagnostics,
    }])
}

#[test]
fn json_has_every_place() {
    let report: Json = serde_json::from_str(&with("agp.toml", BROKEN, json)).unwrap();
    let found = report["diagnostics"].as_array().unwrap();
    let unknown = found.iter().find(|f| f["code"] == "AGP010").unwrap();
    assert_eq!(
        *unknown,
        serde_json::json!({
            "code": "AGP010", "severity": "error", "message": "unknown key `lisen`", "key": "server.lisen",
            "help": "did you mean `listen`?",
            "file": "agp.toml", "line": 3, "column": 1, "end_line": 3, "end_column": 6,
        })
    );
    let twice = found.iter().find(|f| f["code"] == "AGP021").unwrap();
    assert_eq!(
        (&twice["line"], &twice["related"][0]["line"]),
        (&9.into(), &6.into())
    );
    let variable = found.iter().find(|f| f["code"] == "AGP015").unwrap();
    assert_eq!(
        (&variable["file"], &variable["line"]),
        (&"agp.toml".into(), &Json::Null)
    );
    assert_eq!(report["errors"], 4);
    assert_eq!(report["files"][0]["fine"], false);
}

#[test]
fn no_report_holds_a_secret() {
    for report in [json, sarif, github] {
        let text = with("agp.toml", BROKEN, report);
        assert!(
            text.contains("AGP004") && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[test]
fn workflow_commands_are_escaped() {
    let text = with("a,b:100%.toml", BROKEN, github);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.contains(&"::error file=a%2Cb%3A100%25.toml,line=3,endLine=3,col=1,endColumn=6,title=AGP010::unknown key `lisen`%0Ahelp: did you mean `listen`?"),
        "{text}"
    );
    // A newline of a message would end the command: it is no character to show.
    assert!(text.contains("::100%25: no, \"such\"\u{fffd}key"), "{text}");
    let commands = ["::error ", "::warning ", "::notice "];
    assert!(
        lines
            .iter()
            .all(|l| commands.iter().any(|c| l.starts_with(c))),
        "{text}"
    );
}

/// What the standard requires of the objects that are there (SARIF 2.1.0, 3.13 to 3.30).
#[test]
fn sarif_has_what_the_standard_requires() {
    let log: Json = serde_json::from_str(&with("./my files/agp.toml", BROKEN, sarif)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "agp");
    let rules = driver["rules"].as_array().unwrap();
    assert_eq!(rules.len(), Code::ALL.len());
    for rule in rules {
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty(), "{rule}");
        }
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 5);
    let check = |location: &Json| {
        let physical = &location["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "my%20files/agp.toml");
        if let Some(region) = physical.get("region") {
            let n = |key: &str| region[key].as_u64().unwrap();
            assert!(n("startLine") >= 1 && n("startColumn") >= 1);
            assert!((n("startLine"), n("startColumn")) <= (n("endLine"), n("endColumn")));
        }
    };
    for result in results {
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let level = result["level"].as_str().unwrap();
        assert!(["error", "warning", "note"].contains(&level));
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        check(&result["locations"][0]);
        let related = result.get("relatedLocations").and_then(Json::as_array);
        for (i, location) in related.into_iter().flatten().enumerate() {
            check(location);
            assert_eq!(location["id"], i);
            assert!(!location["message"]["text"].as_str().unwrap().is_empty());
        }
    }
    assert_eq!(run["columnKind"], "unicodeCodePoints");
}

#[test]
fn an_absolute_path_is_a_whole_uri() {
    let log: Json = serde_json::from_str(&with("/etc/agp/agp.toml", BROKEN, sarif)).unwrap();
    let location = &log["runs"][0]["results"][0]["locations"][0];
    assert_eq!(
        location["physicalLocation"]["artifactLocation"]["uri"],
        "file:///etc/agp/agp.toml"
    );
}
