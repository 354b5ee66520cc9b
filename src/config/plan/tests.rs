mod laws;

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::base::time::Timestamp;
use crate::config::load_at;
use crate::config::source::Files;

const NOW: Timestamp = Timestamp(1_900_000_000_000);

const BASE: &str = r#"
version = 1
[routing]
max_concurrent_per_account = 4
[upstreams.g]
kind = "gemini"
base_urls = ["https://one.example"]
[accounts.a]
upstream = "g"
api_key = { env = "A" }
models = ["m-*"]
[accounts.b]
upstream = "g"
api_key = { env = "B" }
tags = ["team"]
[groups.eng]
rpm = 100
budget = { usd = 5.0, per = "day" }
[keys.k]
key = "first-key-of-the-tests-protects-nothing"
accounts = ["tag:team"]
rpm = 50
[models.m]
route = ["g/m-1"]
aliases = ["m-alias"]
[models.n]
route = ["g/n-1"]
"#;

fn facts(text: &str) -> Facts {
    let files = Files::from_texts([("agp.toml".into(), text.to_owned())]);
    let loaded = load_at(&files, std::iter::empty(), NOW);
    let config = loaded
        .config
        .unwrap_or_else(|| panic!("{:?}\n{text}", loaded.diagnostics));
    Facts::of(&config, Path::new("."), &MarkKey::new([1; 32]))
}

/// The plan for the base text with these replacements.
fn edited(edits: &[(&str, &str)]) -> Plan {
    let mut text = BASE.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    plan(&facts(BASE), &facts(&text), NOW)
}

/// Each change and effect on a line: kind, path, risk, why.
fn lines(plan: &Plan) -> Vec<String> {
    let changes = plan.changes.iter().map(|c| {
        let whys: Vec<&str> = c.reasons.iter().map(|r| r.why.as_str()).collect();
        let line = format!(
            "{} {} {} {}",
            c.kind.as_str(),
            c.path,
            c.risk().as_str(),
            whys.join("; ")
        );
        line.trim_end().to_owned()
    });
    let effects = plan.effects.iter().map(|e| {
        format!(
            "effect {} {} {}",
            e.path,
            e.reason.risk.as_str(),
            e.reason.why
        )
    });
    changes.chain(effects).collect()
}

/// A replacement in the base text, and what the plan then says.
type Case = (&'static str, &'static str, &'static [&'static str]);

const OF_KEYS: &[Case] = &[
    (
        "[keys.k]",
        "[keys.k]\nenabled = false",
        &["changed keys.k high enabled turned off: clients that hold it are refused"],
    ),
    (
        "first-key",
        "other-key",
        &["changed keys.k high key replaced: clients that hold the present key are refused"],
    ),
    (
        "rpm = 50\n",
        "expires = 2020-01-01\n",
        &["changed keys.k high expires in the past: clients that hold it are refused"],
    ),
    (
        "rpm = 50\n",
        "rpm = 50\nexpires = 2099-01-01\n",
        &["changed keys.k medium expires lowered: it ends sooner"],
    ),
    (
        "[keys.k]",
        "[keys.k]\nmodels = [\"m\"]",
        &["changed keys.k medium models loses an item: some models are refused to it"],
    ),
];

const OF_LIMITS: &[Case] = &[
    (
        "rpm = 50",
        "rpm = 5",
        &["changed keys.k medium rpm lowered: requests above it are refused"],
    ),
    ("rpm = 50\n", "", &["changed keys.k low"]),
    (
        "rpm = 50",
        "rpm = 50\nbudget = { usd = 5.0, per = \"day\" }",
        &["changed keys.k medium budget.usd lowered: requests above it are refused"],
    ),
    (
        "rpm = 100\nbudget = { usd = 5.0, per = \"day\" }\n",
        "rpm = 100\n",
        &["changed groups.eng medium budget.usd lifted: what is spent has no limit"],
    ),
    (
        "[groups.eng]\nrpm = 100\nbudget = { usd = 5.0, per = \"day\" }\n",
        "",
        &["removed groups.eng medium its keys share limits no more"],
    ),
];

const OF_ACCOUNTS: &[Case] = &[
    (
        "[accounts.b]",
        "[accounts.b]\nenabled = false",
        &[
            "changed accounts.b high enabled turned off: the account is lost",
            "effect keys.k high none of the accounts that it may use is left",
            "effect models.n high no account is left that can serve it",
        ],
    ),
    (
        "env = \"A\"",
        "env = \"A2\"",
        &[
            "changed accounts.a high credential replaced: the account is lost unless the new one works",
        ],
    ),
    (
        "[accounts.a]",
        "[accounts.a]\nmax_concurrent = 3",
        &["changed accounts.a medium max_concurrent lowered: fewer requests run at once"],
    ),
    (
        "[accounts.a]",
        "[accounts.a]\nmax_concurrent = 0",
        &["changed accounts.a low"],
    ),
];

const OF_MODELS: &[Case] = &[
    (
        "[models.n]\nroute = [\"g/n-1\"]\n",
        "",
        &["removed models.n high clients that ask for it get 404"],
    ),
    (
        "aliases = [\"m-alias\"]\n[models.n]\nroute = [\"g/n-1\"]\n",
        "aliases = [\"m-alias\", \"n\"]\n",
        &[
            "changed models.m low",
            "removed models.n medium another entry answers for its name",
        ],
    ),
    (
        "aliases = [\"m-alias\"]\n",
        "",
        &["changed models.m high aliases loses a name: clients that ask by that name get 404"],
    ),
    (
        "g/n-1",
        "g/x-1",
        &["changed models.n medium route changed: requests go elsewhere"],
    ),
];

const OF_SETTINGS: &[Case] = &[
    (
        "max_concurrent_per_account = 4",
        "max_concurrent_per_account = 2",
        &[
            "changed routing medium max_concurrent_per_account lowered: more requests wait or are refused",
        ],
    ),
    (
        "max_concurrent_per_account = 4",
        "max_concurrent_per_account = 0",
        &["changed routing low"],
    ),
    (
        "https://one.example",
        "https://two.example",
        &[
            "changed upstreams.g high base_urls gains an item: prompts and tokens go to another host",
        ],
    ),
    (
        "[routing]",
        "[server]\nlisten = \"0.0.0.0:8088\"\n[admin]\nenabled = false\n[routing]",
        &[
            "changed admin medium enabled turned off: the panel and the admin API are gone, but for the socket",
            "changed server high listen no longer loopback: other machines can reach it",
        ],
    ),
    (
        "[routing]",
        "[admin]\nlisten = \"0.0.0.0:8089\"\npassword = { env = \"P\" }\n[routing]",
        &[
            "changed admin high listen no longer loopback: other machines can reach the panel; password changed: whoever is signed in must do so again",
        ],
    ),
    (
        "[routing]",
        "[admin]\nenabled = false\n[routing]",
        &[
            "changed admin medium enabled turned off: the panel and the admin API are gone, but for the socket",
        ],
    ),
    (
        "[routing]",
        "[admin.tokens.\"a b\"]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nrole = \"read\"\n[routing]",
        &["changed admin medium tokens.* changed: other scripts may use the admin API"],
    ),
    (
        "[routing]",
        "[server]\nlisten = \"127.0.0.1:9\"\n[routing]",
        &["changed server medium listen changed: clients must use the new address"],
    ),
    (
        "[routing]",
        "[state]\npath = \"other\"\n[routing]",
        &["changed state medium path changed: another store is used, after a restart"],
    ),
];

#[test]
fn each_risk_is_told() {
    for (from, to, expected) in [OF_KEYS, OF_LIMITS, OF_ACCOUNTS, OF_MODELS, OF_SETTINGS].concat() {
        assert_eq!(lines(&edited(&[(from, to)])), expected, "{from} -> {to}");
    }
}

#[test]
fn what_is_not_in_effect_is_told_and_is_no_risk() {
    let found = edited(&[(
        "[routing]",
        "[fetch]\nenabled = false\nmax_size = \"1MiB\"\n[routing]",
    )]);
    assert_eq!(lines(&found), ["changed fetch low"]);
    let fields: Vec<_> = found.changes[0]
        .fields
        .iter()
        .map(|f| (f.field.as_str(), f.note))
        .collect();
    let note = Some(Note::NotInEffect);
    assert_eq!(fields, [("enabled", note), ("max_size", note)]);
}

#[test]
fn a_rename_is_no_loss() {
    let found = edited(&[
        ("[accounts.a]", "[accounts.z]"),
        ("[keys.k]", "[keys.\"K 2\"]"),
    ]);
    assert_eq!(
        lines(&found),
        ["renamed accounts.z low", "renamed keys.\"K 2\" low"]
    );
    assert_eq!(found.changes[0].was.as_deref(), Some("accounts.a"));
    // With a change besides, that is told of the new name.
    let found = edited(&[("[accounts.a]\n", "[accounts.z]\nenabled = false\n")]);
    assert_eq!(
        lines(&found)[0],
        "renamed accounts.z high enabled turned off: the account is lost"
    );
    assert_eq!(found.changes[0].fields.len(), 1);
    // Where it can't be told who became whom, both are lost.
    let twice = edited(&[
        ("[accounts.a]", "[accounts.y]"),
        (
            "[models.m]",
            "[accounts.z]\nupstream = \"g\"\napi_key = { env = \"A\" }\n[models.m]",
        ),
    ]);
    assert!(
        lines(&twice).contains(&"removed accounts.a high the account is lost".to_owned()),
        "{:?}",
        lines(&twice)
    );
}

#[test]
fn a_key_in_another_form_is_the_same_key() {
    let digest = crate::base::id::hex(&<sha2::Sha256 as sha2::Digest>::digest(
        "first-key-of-the-tests-protects-nothing",
    ));
    let found = edited(&[(
        "key = \"first-key-of-the-tests-protects-nothing\"",
        &format!("sha256 = \"{digest}\""),
    )]);
    assert_eq!(lines(&found), ["changed keys.k low"]);
}

#[test]
fn restarts_are_named() {
    let found = edited(&[("[routing]", "[state]\npath = \"other\"\n[routing]")]);
    assert_eq!(found.changes[0].fields[0].note, Some(Note::Restart));
    assert!(
        human(&found, "a", "b").contains("\"data\" -> \"other\" (takes effect after a restart)")
    );
}

#[test]
fn it_is_short_on_a_terminal() {
    let found = edited(&[
        ("[accounts.b]", "[accounts.new]"),
        ("env = \"B\"", "env = \"N\""),
        ("first-key", "other-key"),
        ("https://one.example", "https://two.example"),
        ("[models.n]", "[models.o]"),
    ]);
    let expected = "\
running -> agp.toml

upstreams
  ~ upstreams.g
      high: base_urls gains an item: prompts and tokens go to another host
      base_urls  [\"https://one.example\"] -> [\"https://two.example\"]

accounts
  - accounts.b
      high: the account is lost
  + accounts.new
      credential  { env = \"N\" }
      tags        [\"team\"]
      upstream    \"g\"

keys
  ~ keys.k
      high: key replaced: clients that hold the present key are refused
      key  \"••••\" (changed)

models
  - models.n
      high: clients that ask for it get 404
  + models.o
      route  [\"g/n-1\"]

2 added, 2 changed, 2 removed; highest risk: high
";
    assert_eq!(human(&found, "running", "agp.toml"), expected);
    assert_eq!(
        found.summary(),
        "upstreams.g.base_urls changed, accounts.b removed, accounts.new added and 3 more"
    );
}

#[test]
fn it_is_a_table_in_a_pull_request() {
    let found = edited(&[("\"m-alias\"", "\"a|b\""), ("[accounts.a]", "[accounts.z]")]);
    let expected = "\
### agp plan: main → branch

0 added, 1 changed, 1 renamed, 0 removed; highest risk: high

| | Table | Risk | What |
|---|---|---|---|
| renamed | `accounts.z` (was `accounts.a`) | low |  |
| changed | `models.m` | **high** | aliases loses a name: clients that ask by that name get 404<br>`aliases` `[\"m-alias\"]` → `[\"a\\|b\"]` |
";
    assert_eq!(markdown(&found, "main", "branch"), expected);
}

#[test]
fn nothing_is_said_of_nothing() {
    let found = edited(&[]);
    assert_eq!((found.risk(), found.is_empty()), (None, true));
    assert_eq!(human(&found, "a", "b"), "a -> b\n\nnothing changes\n");
    assert_eq!(found.summary(), "nothing changes");
    // Writing a default down, or the same time in other words, changes nothing.
    let found = edited(&[(
        "[routing]",
        "[routing]\nqueue_timeout = \"1m\"\nstrategy = \"weighted\"",
    )]);
    assert_eq!(lines(&found), [""; 0]);
}

#[test]
fn the_table_of_risks_is_documented() {
    let documented = include_str!("../../../docs/plan.md");
    let mut table = String::from("| Risk | What changes | Why |\n|---|---|---|\n");
    for row in rows() {
        let _ = writeln!(
            table,
            "| {} | {} | {} |",
            row.risk.as_str(),
            row.what,
            row.why
        );
    }
    assert!(
        documented.contains(&table),
        "docs/plan.md should hold:\n{table}"
    );
}
