//! `agp import`, as a process: three fixtures whose every value is made up, what comes out of them, and rubbish.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use agp::base::task::Tasks;
use agp::sim::Sim;
use regex::Regex;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::{BOTH, Got};
use crate::support::process::{Left, Running, agp, run};
use crate::support::{simulate, within};

/// Variables that the LiteLLM fixture names, and what they hold.
const VARIABLES: [(&str, &str); 7] = [
    ("FAKE_GEMINI_KEY", "fake-key-of-the-environment"),
    ("FAKE_ANTHROPIC_KEY", "fake-key-of-the-environment"),
    ("FAKE_OPENROUTER_KEY", "fake-key-of-the-environment"),
    ("FAKE_GROQ_KEY", "fake-key-of-the-environment"),
    ("OPENAI_API_KEY", "fake-key-of-the-environment"),
    ("FAKE_MASTER_KEY", "fake-master-key-of-the-environment"),
    ("SIM_TOKEN", "sim-refresh-alice"),
];

/// Whatever is a secret in the fixtures, and must be in no output and not in the new file.
const SECRETS: [&str; 24] = [
    "sim-refresh-",
    "fake-access-token",
    "fake-panel-password",
    "fake-signing-secret",
    "fake-value-of-my-own",
    "fake-line-without",
    "fake-last-error",
    "sk-fake",
    "sk-short",
    "fake-gemini-api-key",
    "fake-header-token",
    "fake-azure-key",
    "fake-redis-password",
    "fake-cache-password",
    "fake-database-password",
    "fake-langfuse-secret",
    "fake-client-key",
    "fake-gemini-key-",
    "fake-proxy-password",
    "fake-cookie",
    "fake-codex-key",
    "fake-openrouter-key",
    "fake-claude-refresh",
    "fake-private-key",
];

fn fixture(source: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/import")
        .join(source)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A folder with the source in it, as it stands where that gateway runs.
fn place(source: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(source), dir.path());
    for expected in ["report.txt", "expected.toml"] {
        fs::remove_file(dir.path().join(expected)).unwrap();
    }
    if source == "original" {
        let sql = fs::read_to_string(dir.path().join("database.sql")).unwrap();
        fs::rename(dir.path().join("variables.env"), dir.path().join(".env")).unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let db = Connection::open(dir.path().join("data/database.sqlite")).unwrap();
        db.execute_batch(&sql).unwrap();
    }
    dir
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = agp(folder, args);
    for (name, _) in VARIABLES {
        command.env_remove(name);
    }
    command
}

async fn import(folder: &Path, source: &str, more: &[&str]) -> Left {
    let args = [&["import", "--from", source], more].concat();
    run(command(folder, &args), "").await
}

/// What differs from run to run: sealed values and salts.
fn steady(text: &str) -> String {
    let sealed = Regex::new("agp1:[A-Za-z0-9+/=]+").unwrap();
    let hash = Regex::new(r"(argon2id\$v=19\$m=19456,t=2,p=1)\$[A-Za-z0-9+/$]+").unwrap();
    let text = sealed.replace_all(text, "agp1:SEALED");
    hash.replace_all(&text, "$1$$HASHED").into_owned()
}

/// Imports the fixture: the report and the file are as expected, hold no secret, and the file is sound by every check.
async fn imported(source: &str) -> tempfile::TempDir {
    let dir = place(source);
    let left = import(dir.path(), source, &[]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert_eq!(left.err, "");
    let file = fs::read_to_string(dir.path().join("agp.toml")).unwrap();
    for (what, found) in [("report.txt", &left.out), ("expected.toml", &steady(&file))] {
        let path = fixture(source).join(what);
        // `AGP_BLESS=1` writes what came out, to be looked at.
        if std::env::var_os("AGP_BLESS").is_some() {
            fs::write(&path, found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap();
        assert!(*found == expected, "not as {}:\n{found}", path.display());
    }
    for secret in SECRETS {
        assert!(!left.out.contains(secret), "{secret}: {}", left.out);
        assert!(!file.contains(secret), "{secret}: {file}");
    }
    for check in [
        &["validate", "--strict", "agp.toml"][..],
        &["fmt", "--check", "agp.toml"],
    ] {
        let left = run(command(dir.path(), check), "").await;
        assert_eq!(left.code, 0, "{left:?}");
    }
    let left = run(
        command(
            dir.path(),
            &[
                "plan",
                "agp.toml",
                "--against",
                "agp.toml",
                "--fail-on",
                "low",
            ],
        ),
        "",
    )
    .await;
    assert!(
        left.code == 0 && left.out.contains("nothing changes"),
        "{left:?}"
    );
    dir
}

/// The simulator, and the OAuth client that it knows.
fn oauth(sim: &Sim) -> String {
    let url = sim.url();
    format!(
        "base_urls = [\"{url}\"]\noauth = {{ client_id = \"sim-client\", client_secret = \"sim-secret\", \
         auth_url = \"{url}/o/oauth2/v2/auth\", token_url = \"{url}/token\", userinfo_url = \"{url}/oauth2/v2/userinfo\" }}"
    )
}

/// Points the imported upstream of kind `antigravity` at the simulator, as an operator would point it at a test system.
fn at_the_simulator(folder: &Path, sim: &Sim) {
    let path = folder.join("agp.toml");
    let text = fs::read_to_string(&path).unwrap();
    let client = Regex::new("(?m)^oauth = .*$").unwrap();
    assert_eq!(client.find_iter(&text).count(), 1);
    let text = client.replace(&text, oauth(sim).as_str());
    fs::write(path, text.as_ref()).unwrap();
}

/// Serves the imported file on a free port and asks for this model with these keys, in both dialects: the status codes,
/// and whose account served last.
async fn answers(folder: &Path, sim: &Sim, model: &str, keys: &[&str]) -> Vec<u16> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = socket.local_addr().unwrap().to_string();
    drop(socket);
    let mut serve = command(folder, &["serve"]);
    serve.env("AGP__SERVER__LISTEN", &listen).envs(VARIABLES);
    let serving = Running::start(serve);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    within("the gateway to be ready", async {
        let url = format!("http://{listen}/readyz");
        while !matches!(client.get(&url).send().await, Ok(r) if r.status() == 200) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut codes = Vec::new();
    for key in keys {
        for dialect in BOTH {
            let url = format!("http://{listen}{}", dialect.path());
            let body = dialect.saying(model, "hi", false).to_string();
            let got = Got::read(dialect.with_key(client.post(url).body(body), key)).await;
            if got.status == 200 {
                assert_eq!(got.said(dialect), "You said: hi");
            }
            codes.push(got.status);
        }
    }
    let served = sim.requests().into_iter();
    for call in served.filter(|call| call.method == "streamGenerateContent") {
        assert_ne!(call.account, "bob@example.com", "his account is disabled");
    }
    assert_eq!(serving.terminate().await, 0);
    codes
}

#[tokio::test]
async fn the_original_goes_on_with_its_keys_and_accounts() {
    let dir = imported("original").await;
    let sim = simulate(&json!({}), &Tasks::new()).await;
    at_the_simulator(dir.path(), &sim);
    let keys = [
        "sk-fake0123456789abcdef0123456789ab",
        "sk-fake-static-key-000000000000",
        "sk-fakebbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "sk-short",
    ];
    // The third was disabled there, the fourth is too short.
    let codes = answers(dir.path(), &sim, "gemini-flash", &keys).await;
    assert_eq!(codes, [200, 200, 200, 200, 401, 401, 401, 401]);
}

#[tokio::test]
async fn cliproxyapi_goes_on_with_its_keys_and_antigravity_accounts() {
    let dir = imported("cliproxyapi").await;
    let sim = simulate(&json!({}), &Tasks::new()).await;
    at_the_simulator(dir.path(), &sim);
    let keys = ["fake-client-key-of-team-two", "your-api-key-1"];
    let codes = answers(dir.path(), &sim, "quick", &keys).await;
    assert_eq!(codes, [200, 200, 401, 401]);
}

/// None of LiteLLM's providers is served yet: its keys and models are, once their route has a step that is.
#[tokio::test]
async fn litellm_goes_on_with_its_key_and_models_where_a_route_can_be_served() {
    let dir = imported("litellm").await;
    fs::create_dir(dir.path().join("secrets")).unwrap();
    fs::write(dir.path().join("secrets/vertex.json"), "{}").unwrap();
    let sim = simulate(&json!({}), &Tasks::new()).await;
    let keys = ["fake-master-key-of-the-environment"];
    let path = dir.path().join("agp.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "route = [\"gemini/gemini-2.5-flash\"]",
        "route = [\"sim/gemini-2.5-flash\", \"gemini/gemini-2.5-flash\"]",
    );
    let more = format!(
        "\n[upstreams.sim]\nkind = \"antigravity\"\n{}\n\n[accounts.alice]\nupstream = \"sim\"\nrefresh_token = {{ env = \"SIM_TOKEN\" }}\n",
        oauth(&sim)
    );
    fs::write(&path, text + &more).unwrap();
    let codes = answers(dir.path(), &sim, "fast", &keys).await;
    assert_eq!(codes, [200, 200]);
    let codes = answers(dir.path(), &sim, "gpt-4o", &keys).await;
    assert!(codes.iter().all(|code| *code >= 400), "{codes:?}");
}

#[tokio::test]
async fn an_existing_file_is_never_overwritten_and_the_source_never_changed() {
    let dir = place("original");
    let db = dir.path().join("data/database.sqlite");
    let before = fs::read(&db).unwrap();
    fs::write(dir.path().join("agp.toml"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("link.toml")).unwrap();
    for out in ["agp.toml", "link.toml"] {
        let left = import(dir.path(), "original", &["--out", out]).await;
        assert_eq!(left.code, 1);
        assert!(left.err.contains("never overwritten"), "{left:?}");
    }
    assert_eq!(fs::read(dir.path().join("agp.toml")).unwrap(), b"mine");
    assert!(!dir.path().join("nowhere").exists());
    // Nothing was made on the way either.
    assert!(!dir.path().join("data/agp-identity.txt").exists());

    let left = import(
        dir.path(),
        "original",
        &["--out", "other.toml", "--format", "json"],
    )
    .await;
    assert_eq!(left.code, 0, "{left:?}");
    let report: Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(report["from"], "original");
    assert_eq!(report["file"], "other.toml");
    assert_eq!(report["identity_made"], true);
    assert_eq!(report["carried"]["keys"], 3);
    let dropped = report["dropped"].as_array().unwrap();
    let build = dropped
        .iter()
        .find(|note| note["what"][0] == "NPM_REGISTRY");
    assert!(build.unwrap()["why"].as_str().unwrap().contains("building"));
    assert_eq!(fs::read(&db).unwrap(), before);
}

#[tokio::test]
async fn a_file_can_be_printed_and_secrets_written_in_clear_when_asked_for() {
    let dir = place("cliproxyapi");
    let left = import(
        dir.path(),
        "cliproxyapi",
        &["--out", "-", "--plain-secrets"],
    )
    .await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(left.out.starts_with("# Made by") && left.err.contains("not carried over"));
    assert!(left.err.contains("in clear: keep it out of git"));
    for secret in [
        "sim-refresh-alice",
        "fake-user:fake-proxy-password@",
        "fake-cookie",
    ] {
        assert!(left.out.contains(secret), "{secret}");
        assert!(!left.err.contains(secret), "{secret}");
    }
    assert!(!dir.path().join("data").exists() && !dir.path().join("agp.toml").exists());
    // A folder of auth files elsewhere; without any there is nothing to sign in with.
    let left = import(
        dir.path(),
        "cliproxyapi",
        &["--out", "-", "--auth-dir", "none"],
    )
    .await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(left.err.contains("no such folder") && !left.out.contains("antigravity"));
}

#[tokio::test]
async fn options_of_another_gateway_and_missing_sources_are_told() {
    let dir = tempfile::tempdir().unwrap();
    for (args, code, said) in [
        (
            &["--from", "original", "config.yaml"][..],
            2,
            "`--from litellm`",
        ),
        (&["--from", "litellm", "--db", "x"], 2, "`--from original`"),
        (&["--from", "litellm", "--auth-dir", "x"], 2, "cliproxyapi"),
        (&["--from", "nothing"], 2, "litellm"),
        (&[], 2, "--from"),
        (&["--from", "original"], 1, "`--env` and `--db`"),
        (
            &["--from", "original", "--env", "no.env"],
            1,
            "`no.env`: can't be read",
        ),
        (&["--from", "litellm"], 1, "`config.yaml`: can't be read"),
    ] {
        let args = [&["import"], args].concat();
        let left = run(command(dir.path(), &args), "").await;
        assert_eq!(left.code, code, "{left:?}");
        assert!(left.err.contains(said) && left.out.is_empty(), "{left:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn rubbish_in_place_of_a_yaml_file_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut laughs = "a0: &a0 lol\n".to_owned();
    for i in 1..12 {
        let ten = vec![format!("*a{}", i - 1); 10].join(", ");
        writeln!(laughs, "a{i}: &a{i} [{ten}]").unwrap();
    }
    let large = vec![b'#'; 5 << 20];
    for (bytes, said) in [
        (
            &b"model_list: []\nmodel_list: []\n"[..],
            "line 2: key `model_list`",
        ),
        (laughs.as_bytes(), "64 MiB"),
        (b"key: \xff\xfe", "not UTF-8 from byte 5"),
        (&large, "larger than 4 MiB"),
        (b"- a list\n", "expected a map"),
        (b"a: [1\n", "not YAML"),
        (b"\x7fELF\x02\x01\x01", "expected a map"),
    ] {
        fs::write(dir.path().join("config.yaml"), bytes).unwrap();
        for source in ["litellm", "cliproxyapi"] {
            let left = import(dir.path(), source, &[]).await;
            assert!(left.code == 1 && left.out.is_empty(), "{left:?}");
            assert!(left.err.contains(said), "{said}: {left:?}");
            assert!(left.err.starts_with("error: `config.yaml`: "), "{left:?}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn wrong_shapes_within_a_yaml_file_drop_only_what_they_spoil() {
    let dir = tempfile::tempdir().unwrap();
    let text = "model_list: { a: b }\ngeneral_settings: [master_key]\nrouter_settings: yes\nlitellm_settings:\n  num_retries: many\n";
    fs::write(dir.path().join("config.yaml"), text).unwrap();
    let left = import(dir.path(), "litellm", &["--out", "-"]).await;
    assert_eq!(left.code, 0, "{left:?}");
    for said in [
        "model_list",
        "general_settings",
        "router_settings",
        "num_retries",
    ] {
        assert!(left.err.contains(said), "{said}: {}", left.err);
    }
    let text = "api-keys: text\nport: many\ngemini-api-key: 3\nrouting: []\nhost: [1]\n";
    fs::write(dir.path().join("config.yaml"), text).unwrap();
    let left = import(
        dir.path(),
        "cliproxyapi",
        &["--out", "-", "--auth-dir", "none"],
    )
    .await;
    assert_eq!(left.code, 0, "{left:?}");
    for said in [
        "api-keys, gemini-api-key: expected a list",
        "routing: expected a map",
        "host: expected a single value",
        "port: expected a port's number",
    ] {
        assert!(left.err.contains(said), "{said}: {}", left.err);
    }
}

#[tokio::test]
async fn databases_that_are_none_or_others_or_locked_are_told() {
    let dir = place("original");
    let with = async |db: &str| import(dir.path(), "original", &["--out", "-", "--db", db]).await;
    fs::write(
        dir.path().join("text.sqlite"),
        "no database at all, but long enough to be read",
    )
    .unwrap();
    fs::write(dir.path().join("empty.sqlite"), "").unwrap();
    let other = Connection::open(dir.path().join("other.sqlite")).unwrap();
    other
        .execute_batch("CREATE TABLE accounts (id, email); CREATE TABLE api_keys (id)")
        .unwrap();
    let whole = fs::read(dir.path().join("data/database.sqlite")).unwrap();
    let mut torn = whole.clone();
    torn[4096..8192].fill(0xff);
    fs::write(dir.path().join("torn.sqlite"), torn).unwrap();
    fs::write(dir.path().join("cut.sqlite"), &whole[..5000]).unwrap();
    for (db, said) in [
        ("missing.sqlite", "can't be read"),
        ("data", "not a regular file"),
        ("text.sqlite", "not an SQLite database"),
        ("empty.sqlite", "not a database of the original"),
        (
            "other.sqlite",
            "table `accounts` has no column `refresh_token`",
        ),
        ("torn.sqlite", "a damaged SQLite database"),
        ("cut.sqlite", "a damaged SQLite database"),
    ] {
        let left = with(db).await;
        assert!(left.code == 1 && left.out.is_empty(), "{db}: {left:?}");
        assert!(left.err.contains(said), "{db}: {left:?}");
        assert!(left.err.contains(db), "{db}: {left:?}");
    }
    let busy = Connection::open(dir.path().join("data/database.sqlite")).unwrap();
    busy.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let left = with("data/database.sqlite").await;
    assert!(
        left.code == 1 && left.err.contains("stop the original"),
        "{left:?}"
    );
    busy.execute_batch(
        "ROLLBACK; PRAGMA journal_mode = WAL; BEGIN; INSERT INTO notes VALUES ('x')",
    )
    .unwrap();
    // One that is only written to, in the mode that lets others read, is read.
    let left = with("data/database.sqlite").await;
    assert_eq!(left.code, 0, "{left:?}");
    let big = "x".repeat(2 << 20);
    busy.execute_batch("ROLLBACK").unwrap();
    busy.execute("INSERT INTO api_keys (key, name) VALUES (?1, 'big')", [big])
        .unwrap();
    let left = with("data/database.sqlite").await;
    assert!(
        left.code == 1 && left.err.contains("larger than 1 MiB"),
        "{left:?}"
    );
}

#[tokio::test]
async fn names_of_strangers_steer_no_terminal_and_break_no_file() {
    let dir = place("original");
    let db = Connection::open(dir.path().join("data/database.sqlite")).unwrap();
    let strange = "a\u{1b}[2J\"]\n[evil]\nx = \"";
    db.execute(
        "INSERT INTO accounts (email, refresh_token, project_id) VALUES (?1, 'sim-refresh-x', ?1)",
        [strange],
    )
    .unwrap();
    db.execute(
        "INSERT INTO api_keys (key, name) VALUES ('sk-fake-strange-key-0000', ?1)",
        [strange],
    )
    .unwrap();
    db.execute("INSERT INTO settings VALUES (?1, ?1, 0)", [strange])
        .unwrap();
    let left = import(dir.path(), "original", &[]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(!left.out.contains('\u{1b}'), "{}", left.out);
    let text = fs::read_to_string(dir.path().join("agp.toml")).unwrap();
    assert!(
        !text.contains("\n[evil]") && !text.contains('\u{1b}'),
        "{text}"
    );
    let left = run(command(dir.path(), &["validate", "--strict"]), "").await;
    assert_eq!(left.code, 0, "{}", left.out);
}
