//! The command line, as a process: what is printed, and the exit codes.

use std::path::Path;

use agp::base::task::Tasks;
use agp::cli::Cli;
use agp::sim::Sim;
use clap::Parser as _;
use serde_json::{Value, json};

use crate::support::client::Dialect::Anthropic;
use crate::support::client::{BOTH, Got};
use crate::support::process::{Running, agp, run, shell};
use crate::support::setup::Setup;
use crate::support::{TestApp, simulate, until};

const FLASH: &str = "gemini-2.5-flash";

/// A folder with a file in it, and the simulator that it names.
struct Place {
    dir: tempfile::TempDir,
    _sim: Sim,
    listen: String,
}

impl Place {
    /// The upstream is called as the examples call it.
    async fn new() -> Self {
        let sim = simulate(&json!({}), &Tasks::new()).await;
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = socket.local_addr().unwrap().to_string();
        let setup = Setup::new(&["alice"])
            .set("server", "listen", listen.clone())
            .at(&["upstreams", "antigravity"], "kind", "antigravity");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agp.toml"), setup.text(&sim.url())).unwrap();
        Self {
            dir,
            _sim: sim,
            listen,
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until the gateway of this folder can be asked.
    async fn serving(&self) {
        let socket = self.path().join("data/agp.sock");
        until("the admin socket", || socket.exists()).await;
    }
}

#[tokio::test]
async fn serve_without_a_file_names_the_places_and_the_demo() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&[][..], &["serve"]] {
        let left = run(agp(dir.path(), args), "").await;
        assert_eq!(left.code, 1, "{left:?}");
        for word in ["--config", "AGP_CONFIG", "./agp.toml", "agp demo"] {
            assert!(left.err.contains(word), "no `{word}`: {left:?}");
        }
    }
    let left = run(
        agp(dir.path(), &["serve", "--config", "elsewhere.toml"]),
        "",
    )
    .await;
    assert!(
        left.code == 1 && left.err.contains("elsewhere.toml"),
        "{left:?}"
    );
    let mut command = agp(dir.path(), &[]);
    command.env("AGP_CONFIG", "from-the-variable.toml");
    let left = run(command, "").await;
    assert!(
        left.code == 1 && left.err.contains("from-the-variable.toml"),
        "{left:?}"
    );
}

#[tokio::test]
async fn serve_tells_every_error_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version = 1\n[server]\nlisten = 5\n[routing]\nstratgey = \"random\"\n";
    std::fs::write(dir.path().join("agp.toml"), text).unwrap();
    let left = run(agp(dir.path(), &["serve"]), "").await;
    assert_eq!(left.code, 1);
    for word in ["agp.toml:3:", "agp.toml:5:", "stratgey", "agp validate"] {
        assert!(left.err.contains(word), "no `{word}`: {left:?}");
    }
}

#[tokio::test]
async fn serve_runs_until_it_is_told_to_stop() {
    let place = Place::new().await;
    let serving = Running::start(agp(place.path(), &["serve"]));
    place.serving().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", place.listen);
    assert_eq!(Got::read(client.get(url("/readyz"))).await.status, 200);
    for dialect in BOTH {
        let body = dialect.saying(FLASH, "hi", false).to_string();
        let request = client.post(url(dialect.path())).body(body);
        let got = Got::read(dialect.with_key(request, crate::support::setup::KEY)).await;
        assert_eq!(got.said(dialect), "You said: hi");
    }
    let status = run(agp(place.path(), &["status"]), "").await;
    assert_eq!(status.code, 0, "{status:?}");
    for word in [&place.listen, "alice", "active", "store: ok, log ok"] {
        assert!(status.out.contains(word), "no `{word}`: {status:?}");
    }
    assert_eq!(run(agp(place.path(), &["healthcheck"]), "").await.code, 0);
    assert_eq!(
        run(
            agp(place.path(), &["healthcheck", "--listen", &place.listen]),
            ""
        )
        .await
        .code,
        0
    );
    // Another one on the same state is told so, and leaves the first alone.
    let second = run(agp(place.path(), &["serve"]), "").await;
    assert!(
        second.code == 1 && second.err.contains("agp.redb` is in use by"),
        "{second:?}"
    );
    assert_eq!(run(agp(place.path(), &["healthcheck"]), "").await.code, 0);

    assert_eq!(serving.terminate().await, 0);
    let gone = run(agp(place.path(), &["healthcheck"]), "").await;
    assert!(
        gone.code == 4 && gone.err.contains(&place.listen),
        "{gone:?}"
    );
    let gone = run(agp(place.path(), &["status"]), "").await;
    assert!(gone.code == 4 && gone.err.contains("agp.sock"), "{gone:?}");
}

#[tokio::test]
async fn status_shows_what_the_gateway_does() {
    let script = json!({"rules": [
        {"account": "bob@*", "do": {"form": "validation", "link": "https://accounts.example.com/verify?x=1"}},
        {"account": "carol@*", "do": {"form": "retry_info", "delay": "600s"}},
        {"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let setup = Setup::new(&["alice", "bob", "carol"])
        .account_set("alice", "tier", 2)
        .routing("max_attempts", 12);
    let app = TestApp::start(setup, script).await;
    let mut stream = app.stream(Anthropic, FLASH, "hi").await;
    stream.text().await.unwrap();
    let left = run(agp(app.dir.path(), &["status", "--json"]), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    let status: Value = serde_json::from_str(&left.out).unwrap();
    let account = |name: &str| {
        let all = status["accounts"].as_array().unwrap();
        all.iter().find(|a| a["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (&account("alice")["state"], &account("alice")["in_flight"]),
        (&json!("active"), &json!(1))
    );
    // The port that was bound, not the 0 of the file.
    let bound = app.gateway().addr().unwrap().to_string();
    assert_eq!(status["listen"], json!(bound));
    assert_eq!(account("bob")["state"], "needs_verification");
    assert_eq!(
        account("bob")["link"],
        "https://accounts.example.com/verify?x=1"
    );
    assert_eq!(account("carol")["models"][0]["class"], "rate_limited");
    assert_eq!(
        (&status["ready"], &status["config"]["errors"]),
        (&json!(true), &json!([]))
    );
    std::fs::write(app.root(), "version = 2").unwrap();
    until("the refusal", || {
        !app.runtime().reload.lock().errors.is_empty()
    })
    .await;
    // The file that says where the socket is can't be read now; that of another file can.
    let beside = app.dir.path().join("beside.toml");
    std::fs::write(&beside, app.setup.text(&app.sim.url())).unwrap();
    let left = run(
        agp(app.dir.path(), &["status", "--config", "beside.toml"]),
        "",
    )
    .await;
    assert!(
        left.code == 0 && left.out.contains("refused: ") && left.out.contains("agp.toml:1:"),
        "{left:?}"
    );
    for secret in ["sim-access", "sim-refresh", "test-client-key"] {
        assert!(!left.out.contains(secret), "{}", left.out);
    }
    app.sim.release();
    stream.rest().await.assert_whole();
}

/// The commands whose help is looked at: none, and each that exists.
const COMMANDS: [&[&str]; 42] = [
    &[],
    &["serve"],
    &["demo"],
    &["simulate"],
    &["validate"],
    &["import"],
    &["init"],
    &["fmt"],
    &["config"],
    &["schema"],
    &["key"],
    &["key", "new"],
    &["key", "usage"],
    &["hash-password"],
    &["login"],
    &["status"],
    &["account"],
    &["account", "list"],
    &["account", "show"],
    &["account", "release"],
    &["account", "pause"],
    &["account", "resume"],
    &["account", "refresh"],
    &["account", "enable"],
    &["account", "disable"],
    &["pick"],
    &["explain"],
    &["logs"],
    &["state"],
    &["state", "backup"],
    &["state", "restore"],
    &["state", "check"],
    &["state", "compact"],
    &["plan"],
    &["reload"],
    &["seal"],
    &["unseal"],
    &["rotate"],
    &["history"],
    &["diff"],
    &["rollback"],
    &["healthcheck"],
];

/// The example of a command's help.
async fn example(command: &[&str]) -> String {
    let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    let left = run(agp(Path::new("."), &args), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    let mut lines = left.out.lines().skip_while(|line| *line != "Example:");
    lines
        .next()
        .unwrap_or_else(|| panic!("no example: {left:?}"));
    let line = lines.next().unwrap().trim().to_owned();
    assert!(line.starts_with("agp"), "{line}");
    line
}

#[tokio::test]
async fn every_command_is_listed_and_every_example_can_be_parsed() {
    let left = run(agp(Path::new("."), &["--help"]), "").await;
    let listed = left
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    for line in listed.take_while(|line| line.starts_with("  ")) {
        let name = line.split_whitespace().next().unwrap();
        let known = name == "help" || COMMANDS.iter().any(|c| c.first() == Some(&name));
        assert!(known, "`{name}` is not looked at here");
    }
    for command in COMMANDS {
        let line = example(command).await;
        let words = line.split(['<', '>']).next().unwrap().split_whitespace();
        let parsed = Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[tokio::test]
async fn every_example_runs() {
    let place = Place::new().await;
    std::fs::write(
        place.path().join("password.txt"),
        "a long enough password\n",
    )
    .unwrap();
    std::fs::write(place.path().join("faults.json"), "{}").unwrap();
    let line = async |command: &[&str]| shell(place.path(), &example(command).await);
    let serving = Running::start(line(&["serve"]).await);
    place.serving().await;
    for command in [
        &["key"][..],
        &["key", "new"],
        &["hash-password"],
        &["status"],
    ] {
        let left = run(line(command).await, "").await;
        assert_eq!(left.code, 0, "{left:?}");
        assert!(!left.out.is_empty());
    }
    // The file holds its secrets in clear, which `--strict` refuses.
    let left = run(line(&["validate"]).await, "").await;
    assert!(
        left.code == 1 && left.out.contains("secret in clear") && left.err.is_empty(),
        "{left:?}"
    );
    // Nobody pastes anything.
    let left = run(line(&["login"]).await, "").await;
    assert!(
        left.code == 1 && left.out.contains("/o/oauth2/v2/auth?"),
        "{left:?}"
    );
    // Something else may listen on that port of this machine.
    let left = run(line(&["healthcheck"]).await, "").await;
    assert!(left.code == 0 || left.code == 4, "{left:?}");
    for (command, mark, taken) in [
        (&["demo"][..], "Ctrl-C", "can't be listened on"),
        (&["simulate"], "refresh_token", "can't listen"),
    ] {
        let mut command = line(command).await;
        command.stderr(std::process::Stdio::null());
        let mut running = Running::start(command);
        let text = running.read_to(mark).await;
        assert!(
            text.contains(mark) || running.wait().await == 1,
            "{text} ({taken})"
        );
    }
    drop(serving);
    let other = Place::new().await;
    let serving = Running::start(shell(other.path(), &example(&[]).await));
    other.serving().await;
    drop(serving);
}

#[tokio::test]
async fn a_new_file_is_sound_in_order_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let left = run(agp(dir.path(), &["init"]), "").await;
    assert!(left.code == 0 && left.out.contains("agp login"), "{left:?}");
    for args in [
        &["validate", "--strict"][..],
        &["validate", "--strict", "--format", "sarif"],
        &["fmt", "--check"],
        &["config"],
        &["config", "--format", "json"],
        &["schema"],
        &["validate", "--explain", "AGP012"],
    ] {
        let left = run(agp(dir.path(), args), "").await;
        assert!(left.code == 0 && left.err.is_empty(), "{args:?} {left:?}");
    }
    let left = run(agp(dir.path(), &["init"]), "").await;
    assert!(
        left.code == 1 && left.err.contains("never overwritten"),
        "{left:?}"
    );
    let left = run(agp(dir.path(), &["validate", "--explain", "AGP999"]), "").await;
    assert_eq!(left.code, 2, "{left:?}");
}

#[tokio::test]
async fn mistakes_in_the_usage_exit_with_2() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["nonsense"][..],
        &["serve", "--nonsense"],
        &["serve", "extra"],
        &["key"],
        &["key", "new"],
        &["login"],
        &["healthcheck", "--listen", "nowhere"],
        &["demo", "--listen", "nowhere"],
    ] {
        let left = run(agp(dir.path(), args), "").await;
        assert_eq!(left.code, 2, "{args:?} {left:?}");
        assert!(!left.err.is_empty() && left.out.is_empty());
    }
    assert_eq!(run(agp(dir.path(), &["--version"]), "").await.code, 0);
}

#[tokio::test]
async fn validate_says_what_is_wrong_and_where() {
    let place = Place::new().await;
    let left = run(agp(place.path(), &["validate"]), "").await;
    assert!(left.code == 0 && left.out.contains("fine"), "{left:?}");
    let good = std::fs::read_to_string(place.path().join("agp.toml")).unwrap();
    let bad = good.replace("queue_timeout", "queue_timeot");
    std::fs::write(place.path().join("bad.toml"), bad).unwrap();
    let left = run(agp(place.path(), &["validate", "agp.toml", "bad.toml"]), "").await;
    assert_eq!(left.code, 1, "{left:?}");
    for word in ["bad.toml:", "queue_timeot", "queue_timeout"] {
        assert!(left.out.contains(word), "no `{word}`: {left:?}");
    }
    for secret in ["sim-refresh-alice", "test-client-key"] {
        assert!(!left.out.contains(secret) && !left.err.contains(secret));
    }
    let left = run(agp(place.path(), &["validate", "missing.toml"]), "").await;
    assert!(left.code == 1, "{left:?}");
}

#[tokio::test]
async fn a_key_that_was_made_works_once_its_table_is_pasted() {
    let app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    let left = run(agp(app.dir.path(), &["key", "new", "team a"]), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    let key = left
        .out
        .lines()
        .find(|line| line.starts_with("sk-"))
        .unwrap();
    let table = &left.out[left.out.find("[keys.").unwrap()..];
    assert!(!table.contains(key));
    let text = app.setup.text(&app.sim.url());
    std::fs::write(app.root(), format!("{text}\n{table}")).unwrap();
    until("the key", || {
        app.runtime().snapshot().config.keys.len() == 2
    })
    .await;
    for dialect in BOTH {
        let body = dialect.saying(FLASH, "hi", false);
        assert_eq!(
            Got::read(app.request_as(dialect, key, &body)).await.status,
            200
        );
    }
}

#[tokio::test]
async fn a_hashed_password_can_be_put_into_the_file() {
    let place = Place::new().await;
    let left = run(
        agp(place.path(), &["hash-password"]),
        "a long enough password\n",
    )
    .await;
    assert_eq!(left.code, 0, "{left:?}");
    let hash = left
        .out
        .lines()
        .find(|line| line.contains("$argon2id$"))
        .unwrap();
    let hash = &hash[hash.find("$argon2id$").unwrap()..];
    let hash = hash.trim_matches(|c: char| c == '"' || c.is_whitespace());
    let parsed = argon2::PasswordHash::new(hash).unwrap();
    let good = |text: &str| {
        use argon2::PasswordVerifier as _;
        argon2::Argon2::default()
            .verify_password(text.as_bytes(), &parsed)
            .is_ok()
    };
    assert!(good("a long enough password") && !good("a long enough password\n"));
    let text = std::fs::read_to_string(place.path().join("agp.toml")).unwrap();
    let text = format!("{text}\n[admin]\npassword_hash = \"{hash}\"\n");
    std::fs::write(place.path().join("agp.toml"), text).unwrap();
    let left = run(agp(place.path(), &["validate"]), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    for weak in ["short\n", "\n", ""] {
        let left = run(agp(place.path(), &["hash-password"]), weak).await;
        assert!(left.code == 1 && !left.out.contains("argon2"), "{left:?}");
    }
}
