use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn formatted(text: &str) -> String {
    format(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

#[test]
fn order_and_spacing() {
    let text = r#"

# The file of the team.

[log]
format="json"


level = "info"   # see the handbook
[accounts.zoe]   # first, since it was there first
refresh_token = {env="ZOE"}
upstream = "u"
tags=[ "a","b" ,]
[server]
keepalive = "15s"                 # a comment
                                  # that goes on
listen   =  "127.0.0.1:1"
# max_body = "32MiB"

[accounts.alice]
# her own
upstream = "u"
refresh_token = { env = "ALICE" }
  version = 1
[ upstreams . "u" ]
oauth = { client_secret = { env = "S" }, client_id = "x" }
kind = 'antigravity'
"#
    .replace("  version = 1\n", "");
    let text = format!("version   = 1 # of the form\n{text}");
    let wanted = r#"version = 1   # of the form

[server]
listen = "127.0.0.1:1"
keepalive = "15s"                 # a comment
                                  # that goes on
# max_body = "32MiB"

# The file of the team.

[log]

level = "info"   # see the handbook
format = "json"

[upstreams."u"]
kind = 'antigravity'
oauth = { client_id = "x", client_secret = { env = "S" } }

[accounts.zoe]   # first, since it was there first
upstream = "u"
refresh_token = { env = "ZOE" }
tags = ["a", "b"]

[accounts.alice]
# her own
upstream = "u"
refresh_token = { env = "ALICE" }
"#
    .replace("[log]\n\n", "[log]\n");
    assert_eq!(formatted(&text), wanted);
    assert_eq!(formatted(&wanted), wanted);
}

#[test]
fn what_is_shown_is_formatted_already() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "agp.toml.example",
        "examples/gitops.toml",
        "examples/minimal.toml",
        "tests/config/sample.toml",
    ] {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        assert!(formatted(&text) == text, "run `agp fmt {name}`");
    }
}

#[test]
fn lists_stay_on_the_lines_that_they_are_on() {
    let text = "[models.m]\nroute = [ # in this order\n  \"u/a\",  # fast\n\"u/b\"\n   # slow ones\n  , \"u/c\"]\naliases = [\n]\n";
    let wanted = "[models.m]\nroute = [\n    # in this order\n    \"u/a\", # fast\n    \"u/b\",\n    # slow ones\n    \"u/c\",\n]\naliases = []\n";
    assert_eq!(formatted(text), wanted);
    assert_eq!(formatted(wanted), wanted);
}

#[test]
fn line_ends_stay() {
    let text = "version=1\r\n[log]\r\nformat= \"text\" # x\r\nlevel = \"\"\"\r\ninfo\"\"\"\r\n";
    let wanted =
        "version = 1\r\n\r\n[log]\r\nlevel = \"\"\"\r\ninfo\"\"\"\r\nformat = \"text\" # x\r\n";
    assert_eq!(formatted(text), wanted);
    assert_eq!(formatted("version=1"), "version = 1\n");
    assert_eq!(formatted(""), "");
    assert_eq!(formatted("\n\n# only this\n\n\n"), "# only this\n");
}

#[test]
fn a_schema_line_stays_at_the_top() {
    let text = "#:schema x.json\n# why\n[log]\nlevel = \"info\"\n[server]\n";
    assert_eq!(
        formatted(text),
        "#:schema x.json\n\n[server]\n\n# why\n[log]\nlevel = \"info\"\n"
    );
}

#[test]
fn what_is_no_toml_has_no_form() {
    assert_eq!(format("a = "), Err(FormatError::NotToml));
    assert_eq!(format("a = 1\na = 2"), Err(FormatError::NotToml));
}

/// The comments of a text, in any order. Those in texts in quotes are none, but stay as well.
fn comments_of(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.find('#').map(|i| line[i..].trim_end()))
        .collect();
    found.sort_unstable();
    found
}

fn holds(text: &str) {
    let Ok(once) = format(text) else {
        assert!(text.parse::<toml::Table>().is_err(), "no form:\n{text}");
        return;
    };
    assert_eq!(
        format(&once).as_deref(),
        Ok(once.as_str()),
        "not stable:\n{text}"
    );
    assert_eq!(comments_of(text), comments_of(&once), "{text}\n{once}");
}

const SAMPLE: &str = include_str!("../../../tests/config/sample.toml");

/// Lines that stand in real files, each table's keys at most once.
fn table() -> impl Strategy<Value = String> {
    let keys = [
        "upstream = \"u\"",
        "email='a@b'   # mail",
        "models = [\"*\",\n # all\n \"x\" , # c\n]",
        "tags=[]",
        "weight= 1.0",
        "oauth.client_id = \"x\"",
        "oauth . \"client secret\" = {env=\"X\"}",
        "price={output=1,input=2.0}",
        "text = \"\"\"\n# no comment = 1\n[no.header]\n\"\"\"",
        "when = 2020-01-01 10:00:00",
        "raw = '''a'''''",
    ];
    let trivia = [
        "",
        "\n",
        "# one\n",
        "    # indented\n",
        "\n\n# apart\n\n",
        "# a = 1\n# b = 2\n\n",
    ];
    let line = (
        proptest::sample::select(trivia.to_vec()),
        "[ \t]{0,2}",
        "( # c|    #d)?",
    );
    let n = keys.len();
    (
        proptest::sample::subsequence(keys.to_vec(), 0..n).prop_shuffle(),
        proptest::collection::vec(line, n),
    )
        .prop_map(|(keys, lines)| {
            let pairs = keys.iter().zip(&lines);
            let lines: Vec<String> = pairs
                .map(|(key, (trivia, space, comment))| format!("{trivia}{space}{key}{comment}\n"))
                .collect();
            lines.concat()
        })
}

fn document() -> impl Strategy<Value = String> {
    let headers = [
        "[accounts.b]",
        "[ accounts.a ] # x",
        "[server]",
        "[log]",
        "[upstreams.u]",
        "[upstreams.u.headers]",
        "[unknown.x]",
        "[models.\"m.1\"]",
        "[keys.k]",
    ];
    let n = headers.len();
    let trivia = ["", "\n", "# one\n", "\n# two\n\n", "# three\n\n# four\n"];
    (
        table(),
        proptest::sample::subsequence(headers.to_vec(), 0..n).prop_shuffle(),
        proptest::collection::vec((table(), proptest::sample::select(trivia.to_vec())), n),
        proptest::sample::select(vec!["", "# end", "\n\n# end\n", "   # odd end"]),
        any::<bool>(),
    )
        .prop_map(|(root, headers, tables, end, crlf)| {
            let mut text = root;
            for (header, (table, trivia)) in headers.iter().zip(tables) {
                let _ = write!(text, "{trivia}{header}\n{table}");
            }
            text += end;
            if crlf {
                text.replace('\n', "\r\n")
            } else {
                text
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_formatted_text_stays_as_it_is_means_the_same_and_keeps_every_comment(text in document()) {
        holds(&text);
    }

    #[test]
    fn any_cut_of_the_sample_holds(from in 0..SAMPLE.len(), to in 0..SAMPLE.len()) {
        let lines: Vec<&str> = SAMPLE.split_inclusive('\n').collect();
        let (from, to) = (from % lines.len(), to % lines.len());
        holds(&lines[from.min(to)..from.max(to)].concat());
    }

    #[test]
    fn any_text_is_answered(text in "[a-c.\"'=\\[\\]{},# \n\r\té1-]{0,60}") {
        if let Ok(once) = format(&text) {
            prop_assert_eq!(format(&once), Ok(once.clone()), "{:?}", text);
        }
    }
}
