//! `agp plan`, `agp reload` and what `agp status` says of files that differ from what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::client::Dialect::OpenAi;
use crate::support::process::{Left, agp, run};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until};

const FLASH: &str = "gemini-2.5-flash";

/// Repeatable random numbers (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let draw = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(draw).unwrap() % n
    }
}

/// Tables of a file by path, each with its fields as written.
type File = BTreeMap<String, BTreeMap<&'static str, String>>;

fn two_hundred_accounts() -> File {
    let mut file = File::new();
    let mut put = |path: String, fields: &[(&'static str, String)]| {
        file.insert(path, fields.iter().cloned().collect());
    };
    put("routing".to_owned(), &[("max_queue", "500".to_owned())]);
    for n in 0..3 {
        let urls = format!("[\"https://host-{n}.example\"]");
        let fields = [("kind", "\"gemini\"".to_owned()), ("base_urls", urls)];
        put(format!("upstreams.u{n}"), &fields);
    }
    for n in 0..200 {
        let fields = [
            ("upstream", format!("\"u{}\"", n % 3)),
            ("api_key", format!("{{ env = \"KEY_{n}\" }}")),
            ("weight", "2.0".to_owned()),
            ("tags", format!("[\"team-{}\"]", n % 7)),
        ];
        put(format!("accounts.a{n}"), &fields);
    }
    for n in 0..40 {
        let key = format!("\"test-key-{n}-that-protects-nothing\"");
        put(format!("keys.k{n}"), &[("key", key)]);
    }
    for n in 0..20 {
        let fields = [
            ("route", format!("[\"u{}/m\"]", n % 3)),
            ("aliases", format!("[\"alias-{n}\"]")),
            ("max_output", "4096".to_owned()),
        ];
        put(format!("models.m{n}"), &fields);
    }
    file
}

fn text(file: &File) -> String {
    let mut text = "version = 1\n".to_owned();
    for (path, fields) in file {
        let _ = writeln!(text, "[{path}]");
        for (field, value) in fields {
            let _ = writeln!(text, "{field} = {value}");
        }
    }
    text
}

/// What a script did: kind, path, path before, fields, risk.
type Done = BTreeSet<(String, String, Option<String>, Vec<String>, String)>;

/// Changes some tables, no table twice, and says what it did.
fn script(file: &mut File, dice: &mut Dice, harmless: bool) -> Done {
    let mut done = Done::new();
    let mut free: Vec<String> = file.keys().cloned().collect();
    for step in 0..30 {
        let path = free.swap_remove(dice.below(free.len()));
        let (section, _) = path.split_once('.').unwrap_or((&path, ""));
        let fields = file.get_mut(&path).unwrap();
        let mut set = |field: &'static str, value: &str| {
            fields.insert(field, value.to_owned());
            vec![field.to_owned()]
        };
        let mut note =
            |kind: &str, path: &str, was: Option<&str>, fields: Vec<String>, risk: &str| {
                done.insert((
                    kind.into(),
                    path.into(),
                    was.map(Into::into),
                    fields,
                    risk.into(),
                ));
            };
        match (section, dice.below(if harmless { 2 } else { 5 })) {
            ("accounts", 0) => note("changed", &path, None, set("weight", "1.5"), "low"),
            ("accounts", 1) => {
                let renamed = format!("accounts.renamed{step}");
                let table = file.remove(&path).unwrap();
                file.insert(renamed.clone(), table);
                note("renamed", &renamed, Some(&path), Vec::new(), "low");
            }
            ("accounts", 2) => note("changed", &path, None, set("enabled", "false"), "high"),
            ("accounts", 3) => {
                let mut changed = set("max_concurrent", "0");
                changed.extend(set("tags", "[\"others\"]"));
                note("changed", &path, None, changed, "low");
            }
            ("keys", 0) => note(
                "changed",
                &path,
                None,
                set("name", "\"Another name\""),
                "low",
            ),
            ("keys", 1) => note("changed", &path, None, set("models", "[\"m1\"]"), "medium"),
            ("keys", 2) => {
                let value = format!("\"another-key-{step}-that-protects-nothing\"");
                note("changed", &path, None, set("key", &value), "high");
            }
            ("models", 0 | 1) => note("changed", &path, None, set("max_output", "8192"), "low"),
            ("models", 2) => note("changed", &path, None, set("max_output", "1024"), "medium"),
            ("models", 3) => note(
                "changed",
                &path,
                None,
                set("aliases", "[\"other\"]"),
                "high",
            ),
            ("upstreams", _) => note(
                "changed",
                &path,
                None,
                set("idle_timeout", "\"90s\""),
                "low",
            ),
            ("routing", _) => note("changed", &path, None, set("max_queue", "600"), "low"),
            _ => {
                file.remove(&path);
                note("removed", &path, None, Vec::new(), "high");
            }
        }
    }
    for n in 0..5 {
        let path = format!("accounts.new{n}");
        let fields = [
            ("upstream", "\"u0\"".to_owned()),
            ("api_key", format!("{{ env = \"NEW_{n}\" }}")),
        ];
        file.insert(path.clone(), fields.into_iter().collect());
        done.insert(("added".into(), path, None, Vec::new(), "low".into()));
    }
    done
}

/// What a plan says, in the same form.
fn told(plan: &Value) -> Done {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let changes = plan["changes"].as_array().unwrap().iter();
    changes
        .map(|change| {
            let kind = text(&change["kind"]).unwrap();
            let fields = change["fields"].as_array().unwrap().iter();
            let mut fields: Vec<String> = fields.map(|f| text(&f["field"]).unwrap()).collect();
            // Of new and removed tables all fields are told; the script counts the tables.
            if kind == "added" || kind == "removed" {
                fields.clear();
            }
            let risk = change["reasons"][0]["risk"].as_str().unwrap_or("low");
            let path = text(&change["path"]).unwrap();
            (kind, path, text(&change["was"]), fields, risk.to_owned())
        })
        .collect()
}

async fn planned(dir: &Path, args: &[&str]) -> Left {
    run(agp(dir, &[&["plan"], args].concat()), "").await
}

#[tokio::test]
async fn a_script_of_changes_is_told_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let file = two_hundred_accounts();
    std::fs::write(dir.path().join("old.toml"), text(&file)).unwrap();
    for seed in 1..=6_u64 {
        let harmless = seed % 3 == 0;
        let mut changed = file.clone();
        let mut dice = Dice(seed * 0x9e37_79b9);
        let done = script(&mut changed, &mut dice, harmless);
        std::fs::write(dir.path().join("new.toml"), text(&changed)).unwrap();
        let args = ["new.toml", "--against", "old.toml", "--format", "json"];
        let left = planned(dir.path(), &args).await;
        assert_eq!(left.code, 0, "{left:?}");
        let plan: Value = serde_json::from_str(&left.out).unwrap();
        assert_eq!(told(&plan), done, "seed {seed}");
        let gate = planned(dir.path(), &[&args[..], &["--fail-on", "high"]].concat()).await;
        assert_eq!(
            gate.code,
            if harmless { 0 } else { 3 },
            "seed {seed}: {gate:?}"
        );
        assert!(!left.out.contains("protects-nothing"));
    }
    let none = planned(
        dir.path(),
        &["old.toml", "--against", "old.toml", "--fail-on", "low"],
    )
    .await;
    assert_eq!(none.code, 0, "{none:?}");
    assert!(none.out.ends_with("nothing changes\n"), "{}", none.out);
}

#[tokio::test]
async fn the_running_gateway_is_compared_and_no_secret_shows() {
    let app = TestApp::start(Setup::new(&["alice", "bob"]).unlimited(), json!({})).await;
    let dir = app.dir.path();
    let same = planned(dir, &["--fail-on", "low"]).await;
    assert_eq!(same.code, 0, "{same:?}");
    assert!(
        same.out.contains("running (generation 1)") && same.out.contains("nothing changes"),
        "{same:?}"
    );

    let changed = app.setup.clone();
    let changed = changed
        .at(
            &["keys", "main"],
            "key",
            "another-key-that-protects-nothing",
        )
        .without(&["accounts"], "bob")
        .upstream(
            "headers",
            toml::Table::from_iter([("x-team".to_owned(), "header-word".into())]),
        );
    std::fs::write(dir.join("new.toml"), changed.text(&app.sim.url())).unwrap();
    for format in ["human", "markdown", "json"] {
        let left = planned(dir, &["new.toml", "--format", format, "--fail-on", "high"]).await;
        assert_eq!(left.code, 3, "{left:?}");
        for word in [
            "keys.main",
            "accounts.bob",
            "upstreams.sim",
            "headers.x-team",
            "high",
        ] {
            assert!(left.out.contains(word), "no `{word}` in {}", left.out);
        }
        for secret in [
            KEY,
            "another-key",
            "sim-refresh",
            "sim-secret",
            "header-word",
        ] {
            assert!(
                !left.out.contains(secret) && !left.err.contains(secret),
                "{left:?}"
            );
        }
        assert!(!left.out.contains("accounts.alice"), "{}", left.out);
    }
    // Nothing was applied by asking.
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.runtime().snapshot().generation, 1);
}

#[tokio::test]
async fn what_can_not_be_planned_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("agp.toml"), "version = 1\n").unwrap();
    std::fs::write(
        dir.path().join("broken.toml"),
        "version = 1\n[routing]\nmax_queue = \"x\"\n",
    )
    .unwrap();
    let nobody = planned(dir.path(), &[]).await;
    assert!(
        nobody.code == 4 && nobody.err.contains("agp.sock"),
        "{nobody:?}"
    );
    let broken = planned(dir.path(), &["broken.toml", "--against", "agp.toml"]).await;
    assert!(
        broken.code == 1 && broken.err.contains("broken.toml:3:"),
        "{broken:?}"
    );
    let url = planned(dir.path(), &["--against", "https://gateway.example"]).await;
    assert!(url.code == 1 && url.err.contains("--token-file"), "{url:?}");
}

async fn told_by(app: &TestApp, args: &[&str]) -> Left {
    run(agp(app.dir.path(), args), "").await
}

/// Saves one edit after the other, asking for a reload each time, until the reload came before the watcher. Gives the
/// generation and what was said.
async fn reloaded(app: &mut TestApp, edit: impl Fn(Setup, i64) -> Setup) -> (u64, String) {
    for n in 1..100_i64 {
        app.setup = edit(app.setup.clone(), n);
        app.save();
        let left = told_by(app, &["reload"]).await;
        assert_eq!(left.code, 0, "{left:?}");
        let generation = app.runtime().snapshot().generation;
        if left.out.starts_with("applied") {
            return (generation, left.out);
        }
        let same = format!("nothing changed: generation {generation} stays in force\n");
        assert!(left.out.starts_with(&same), "{left:?}");
    }
    panic!("the watcher was always there before");
}

#[tokio::test]
async fn a_reload_tells_what_came_of_it() {
    let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), json!({})).await;
    let same = told_by(&app, &["reload"]).await;
    assert_eq!(
        same.out, "nothing changed: generation 1 stays in force\n",
        "{same:?}"
    );
    let edit = |setup: Setup, n| {
        setup
            .account(&format!("bob{n}"))
            .routing("max_queue", 100 + n)
    };
    let (generation, said) = reloaded(&mut app, edit).await;
    let wanted =
        format!("applied as generation {generation}: routing.max_queue changed, accounts.bob");
    assert!(said.starts_with(&wanted), "{said}");

    std::fs::write(app.root(), "version = 1\n[routing]\nmax_queue = \"x\"\n").unwrap();
    let refused = told_by(&app, &["reload"]).await;
    assert!(
        refused.code == 1 && refused.err.contains("agp.toml:3:"),
        "{refused:?}"
    );
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let status = told_by(&app, &["status"]).await;
    for word in [
        &format!("generation {generation},"),
        "differ from what runs: refused",
        "agp.toml:3:",
    ] {
        assert!(status.out.contains(word), "no `{word}` in {}", status.out);
    }
    app.save();
    let same = told_by(&app, &["reload"]).await;
    assert_eq!(
        same.out,
        format!("nothing changed: generation {generation} stays in force\n")
    );
    let status = told_by(&app, &["status"]).await;
    assert!(!status.out.contains("differ"), "{}", status.out);
}

#[tokio::test]
async fn a_restart_that_is_needed_is_told_until_it_happens() {
    const NOTE: &str = "takes effect after a restart: state.path";
    let mut app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    // The commands look for the gateway where the file says.
    let elsewhere = app.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink("../data/agp.sock", elsewhere.join("agp.sock")).unwrap();
    app.setup = app.setup.clone().set("state", "path", "elsewhere");
    app.save();
    let first = told_by(&app, &["reload"]).await;
    assert!(first.out.contains(NOTE), "{first:?}");
    // An edit of something else does not make it forgotten.
    let (_, said) = reloaded(&mut app, |setup, n| setup.routing("max_queue", n)).await;
    assert!(
        said.contains("routing.max_queue changed") && said.contains(NOTE),
        "{said}"
    );
    let status = told_by(&app, &["status"]).await;
    assert!(
        status.out.contains(NOTE) && !status.out.contains("differ"),
        "{status:?}"
    );
}

#[tokio::test]
async fn an_include_that_goes_is_waited_for_by_a_reload_too() {
    let mut app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    let more = app.dir.path().join("more.toml");
    std::fs::write(
        &more,
        "[keys.more]\nkey = \"test-key-of-an-include-that-protects-nothing\"\n",
    )
    .unwrap();
    app.setup = app.setup.clone().include("more*.toml");
    app.save();
    let has = |app: &TestApp| app.runtime().snapshot().config.keys.contains_key("more");
    until("the key to be there", || has(&app)).await;
    let generation = app.runtime().snapshot().generation;
    let before = std::time::Instant::now();
    std::fs::remove_file(&more).unwrap();
    let asked = told_by(&app, &["reload"]).await;
    let wanted = format!("generation {}: keys.more removed", generation + 1);
    // On a busy machine the watcher may be there first.
    let late = format!("nothing changed: generation {} ", generation + 1);
    let said = asked.out.contains(&wanted) || asked.out.starts_with(&late);
    assert!(said, "{asked:?}");
    assert!(before.elapsed() > std::time::Duration::from_millis(1900));
    assert!(!has(&app));
}
