//! SARIF 2.1.0: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::config::diagnostic::{Code, Diagnostic, Severity};
use crate::config::explain;
use crate::config::report::{Checked, Place, pretty};

/// What of a path can't stand in a URI as it is.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Result>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    name: String,
    short_description: Text,
    full_description: Text,
    help: Page,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Page {
    text: &'static str,
    markdown: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    #[serde(rename = "physicalLocation")]
    physical: Physical,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

/// One run about all of them, with a newline at its end.
pub fn sarif(checked: &[Checked<'_>]) -> String {
    let results = checked
        .iter()
        .flat_map(|c| c.diagnostics.iter().map(|d| result(c, d)));
    pretty(&Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "agp",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: Code::ALL.iter().copied().map(rule).collect(),
                },
            },
            column_kind: "unicodeCodePoints",
            results: results.collect(),
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

fn rule(code: Code) -> Rule {
    let page = explain::page(code);
    Rule {
        id: code.as_str(),
        name: format!("{code:?}"),
        short_description: Text {
            text: explain::title(code).to_owned(),
        },
        full_description: Text {
            text: explain::cause(code),
        },
        help: Page {
            text: page,
            markdown: page,
        },
        default_configuration: Configuration {
            level: level(code.severity()),
        },
    }
}

fn result(checked: &Checked<'_>, diagnostic: &Diagnostic) -> Result {
    let help = diagnostic.help.iter().map(|help| format!("; {help}"));
    let related = diagnostic.labels.iter().filter_map(|label| {
        let place = checked.place(&label.span)?;
        Some((label.text.clone(), place))
    });
    Result {
        rule_id: diagnostic.code.as_str(),
        rule_index: Code::ALL
            .iter()
            .position(|code| *code == diagnostic.code)
            .unwrap_or_default(),
        level: level(diagnostic.severity),
        message: Text {
            text: format!("{}{}", diagnostic.message, help.collect::<String>()),
        },
        locations: [Location {
            id: None,
            physical: match checked.place_of(diagnostic) {
                Some(place) => physical(&place),
                None => Physical {
                    artifact_location: artifact(&checked.root.display().to_string()),
                    region: None,
                },
            },
            message: None,
        }],
        related_locations: related
            .enumerate()
            .map(|(id, (text, place))| Location {
                id: Some(id),
                physical: physical(&place),
                message: Some(Text { text }),
            })
            .collect(),
    }
}

fn physical(place: &Place) -> Physical {
    Physical {
        artifact_location: artifact(&place.file),
        region: Some(Region {
            start_line: place.line,
            start_column: place.column,
            end_line: place.end_line,
            end_column: place.end_column,
        }),
    }
}

/// A path that begins at the root of the file system is a whole URI, any other one a part relative to where the run began.
fn artifact(path: &str) -> Artifact {
    let relative = path.trim_start_matches("./");
    let encoded = utf8_percent_encode(relative, PATH).to_string();
    Artifact {
        uri: if path.starts_with('/') {
            format!("file://{encoded}")
        } else {
            encoded
        },
    }
}
