//! Secrets fit for git: `agp seal`, `agp unseal`, `agp rotate`, the rules of the identity, and `secrets.recipients`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use agp::base::secret::Secret;
use agp::config::seal::{Identity, Turn, find, named, named_in};
use agp::runtime::keyring::Keyring;
use agp::store::upkeep;
use serde_json::json;

use crate::support::client::{BOTH, Got};
use crate::support::place::Place;
use crate::support::process::{AGP, Left, Running, agp, run, shell};
use crate::support::setup::Setup;

mod rotating;

const FLASH: &str = "gemini-2.5-flash";
const TOKEN: &str = "accounts.alice.refresh_token";

/// A folder with a sound file in it, of one account whose token is in clear.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = Setup::new(&["alice"]).text("http://127.0.0.1:1");
        std::fs::write(dir.path().join("agp.toml"), text).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn identity_file(&self) -> PathBuf {
        identity_file(self.path())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path().join("agp.toml")).unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path().join("agp.toml"), text).unwrap();
    }

    async fn agp(&self, args: &[&str]) -> Left {
        run(agp(self.path(), args), "").await
    }

    /// Seals a text, and gives the value.
    async fn seal(&self, text: &str) -> String {
        let left = run(agp(self.path(), &["seal"]), text).await;
        assert_eq!(left.code, 0, "{left:?}");
        only(&left.out)
    }
}

fn identity_file(folder: &Path) -> PathBuf {
    folder.join("data/agp-identity.txt")
}

fn identity(path: &Path) -> Identity {
    Identity::load_or_none(path).unwrap().unwrap()
}

/// Somebody else's identity.
fn stranger() -> Identity {
    let dir = tempfile::tempdir().unwrap();
    Identity::create(&dir.path().join("id")).unwrap()
}

/// The only sealed value of a text.
fn only(text: &str) -> String {
    let found: Vec<_> = find(text).collect();
    assert_eq!(found.len(), 1, "{text}");
    found[0].1.to_owned()
}

#[track_caller]
fn refused(left: &Left, words: &[&str]) {
    assert_eq!(left.code, 1, "{left:?}");
    for word in words {
        assert!(left.err.contains(word), "no `{word}`: {left:?}");
    }
}

#[tokio::test]
async fn a_sealed_value_can_be_pasted_and_opens_again() {
    let folder = Folder::new();
    let left = run(agp(folder.path(), &["seal"]), "sim-refresh-alice\n").await;
    assert_eq!(left.code, 0, "{left:?}");
    let made = identity(&folder.identity_file());
    let mode = std::fs::metadata(folder.identity_file()).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(
        left.err.contains("agp-identity.txt") && left.err.contains(&made.recipient()),
        "{left:?}"
    );
    // What is printed stands in for the plain value as it is.
    let text = folder.text();
    let text = text.replace("\"sim-refresh-alice\"", left.out.trim());
    folder.write(&text);
    let checked = folder.agp(&["validate", "--resolve", "agp.toml"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");

    let again = run(agp(folder.path(), &["seal"]), "other").await;
    assert_eq!((again.code, again.err.as_str()), (0, ""), "{again:?}");
    assert_eq!(
        identity(&folder.identity_file()).recipient(),
        made.recipient()
    );
    for opened in [
        folder.agp(&["unseal", TOKEN]).await,
        folder
            .agp(&["unseal", "accounts . 'alice'.\"refresh_token\""])
            .await,
        run(agp(folder.path(), &["unseal"]), &only(&text)).await,
        run(
            agp(folder.path(), &["unseal"]),
            &format!("x = {}", left.out),
        )
        .await,
    ] {
        assert_eq!(
            (opened.code, opened.out.as_str()),
            (0, "sim-refresh-alice"),
            "{opened:?}"
        );
    }
    refused(
        &folder.agp(&["unseal", "accounts.alice.weight"]).await,
        &["no secret", TOKEN],
    );
    refused(
        &folder.agp(&["unseal", "keys.main.key"]).await,
        &["not sealed", "in clear"],
    );
    refused(
        &run(agp(folder.path(), &["unseal"]), "agp1:AAAA").await,
        &["sealed value"],
    );
    refused(
        &run(agp(folder.path(), &["seal"]), "").await,
        &["found nothing"],
    );
}

#[tokio::test]
async fn a_table_that_lacks_the_secret_does_not_keep_it_from_being_sealed() {
    let folder = Folder::new();
    let text = folder.text();
    let lacking = text.replace("refresh_token = \"sim-refresh-alice\"\n", "");
    assert_ne!(text, lacking);
    folder.write(&lacking);
    assert_eq!(folder.agp(&["validate", "agp.toml"]).await.code, 1);
    folder.seal("x").await;
    // What says how to seal must be sound.
    folder.write(&format!(
        "{lacking}[secrets]\nrecipients = [\"age1nobody\"]\n"
    ));
    refused(
        &run(agp(folder.path(), &["seal"]), "x").await,
        &["age1nobody", "agp.toml:"],
    );
    folder.write(&format!("{lacking}[secrets\n"));
    refused(&run(agp(folder.path(), &["seal"]), "x").await, &["AGP004"]);
}

#[tokio::test]
async fn in_place_only_the_values_bytes_change() {
    let folder = Folder::new();
    let text = "version = 1 # one\r\n\r\ninclude = ['more/*.toml']\r\n[upstreams.g]\r\nkind=\"gemini\"\r\n\
                [accounts.'a b']\r\nupstream = \"g\"\r\napi_key   =   'made-up-one'   # mine\r\n";
    let included =
        "# above\n[accounts]\nc = { upstream = \"g\", api_key = \"made-up-two\", weight = 1_0 }";
    folder.write(text);
    let more = folder.path().join("more");
    std::fs::create_dir(&more).unwrap();
    let included_file = more.join("a.toml");
    std::fs::write(&included_file, included).unwrap();
    let keys = ["accounts.'a b'.api_key", "accounts.c.api_key"];
    let left = folder.agp(&["seal", "--in-place", keys[0], keys[1]]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(
        left.err.contains("history") && !left.err.contains("made-up"),
        "{left:?}"
    );
    let own = identity(&folder.identity_file());
    let included_now = std::fs::read_to_string(&included_file).unwrap();
    for (now, before, plain) in [
        (&folder.text(), text, "'made-up-one'"),
        (&included_now, included, "\"made-up-two\""),
    ] {
        let sealed = only(now);
        let written = format!("{{ sealed = \"{sealed}\" }}");
        assert_eq!(&before.replace(plain, &written), now);
        let opened = own.open(&sealed).unwrap();
        assert_eq!(opened.expose(), plain.trim_matches(['\'', '"']));
    }
    let again = folder.agp(&["seal", "--in-place", keys[0]]).await;
    assert!(
        again.code == 0 && again.out.contains("already"),
        "{again:?}"
    );

    folder.write(&text.replace("'made-up-one'", "{ env = \"THE_KEY\" }"));
    refused(
        &folder.agp(&["seal", "--in-place", keys[0]]).await,
        &["THE_KEY"],
    );
    refused(
        &folder
            .agp(&["seal", "--in-place", "accounts.b.api_key"])
            .await,
        &["no secret"],
    );
    refused(
        &folder.agp(&["seal", "--in-place", "a b"]).await,
        &["expected a key"],
    );
    assert_eq!(
        std::fs::read_to_string(&included_file).unwrap(),
        included_now
    );
}

#[tokio::test]
async fn where_a_file_holds_a_sealed_value_a_missing_identity_is_named_and_none_made() {
    let folder = Folder::new();
    let left = folder.agp(&["seal", "--in-place", TOKEN]).await;
    assert_eq!(left.code, 0, "{left:?}");
    let own = identity(&folder.identity_file());
    let kept = folder.path().join("kept");
    std::fs::rename(folder.identity_file(), &kept).unwrap();
    let sealed = only(&folder.text());
    let commands: [&[&str]; 5] = [
        &["seal"],
        &["unseal", TOKEN],
        &["rotate"],
        &["rotate", "--new-identity"],
        &["serve"],
    ];
    for args in commands {
        let left = run(agp(folder.path(), args), "x").await;
        refused(
            &left,
            &[&own.recipient(), "no identity file", "agp-identity.txt"],
        );
        assert!(!folder.identity_file().exists(), "{args:?}");
    }
    let checked = folder.agp(&["validate", "--resolve", "agp.toml"]).await;
    assert!(
        checked.code == 1 && checked.out.contains(&own.recipient()),
        "{checked:?}"
    );

    // A wrong one is told too, and not used.
    Identity::create(&folder.identity_file()).unwrap();
    let wrong = identity(&folder.identity_file());
    for args in commands {
        let left = run(agp(folder.path(), args), "x").await;
        refused(&left, &[&own.recipient(), &wrong.recipient()]);
    }
    assert_eq!(only(&folder.text()), sealed);
    assert_eq!(
        identity(&folder.identity_file()).recipient(),
        wrong.recipient()
    );

    // One that others can read is not used either.
    std::fs::rename(&kept, folder.identity_file()).unwrap();
    std::fs::set_permissions(
        folder.identity_file(),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    refused(&folder.agp(&["unseal", TOKEN]).await, &["chmod 600"]);

    // Values in comments count: an account may wait there for its return.
    std::fs::remove_file(folder.identity_file()).unwrap();
    let plain = Setup::new(&["alice"]).text("http://127.0.0.1:1");
    folder.write(&format!("{plain}# old = {{ sealed = \"{sealed}\" }}\n"));
    refused(
        &run(agp(folder.path(), &["seal"]), "x").await,
        &[&own.recipient()],
    );
    // A mere mention does not.
    folder.write(&format!("{plain}# old = {{ sealed = \"agp1:...\" }}\n"));
    folder.seal("x").await;
}

#[tokio::test]
async fn where_the_store_holds_tokens_a_missing_identity_is_named_and_none_made() {
    let place = Place::new(Setup::new(&["alice"]), &json!({})).await;
    let file = identity_file(place.path());
    let serving = place.serve();
    place.ready().await;
    let got = Got::read(place.ask(BOTH[0], FLASH, "hi", false)).await;
    assert_eq!(got.status, 200);
    // The first token that was to be kept made it.
    crate::support::until("the identity", || file.exists()).await;
    let own = identity(&file);
    crate::support::until("the data key", || named_by_gateway(place.path()).is_some()).await;

    // While it runs, the gateway says what its store holds.
    let kept = place.path().join("kept");
    std::fs::rename(&file, &kept).unwrap();
    let left = run(agp(place.path(), &["seal"]), "x").await;
    refused(&left, &[&own.recipient(), "no identity file"]);
    assert!(!file.exists());
    assert_eq!(serving.terminate().await, 0);

    for args in [&["seal"][..], &["serve"]] {
        let left = run(agp(place.path(), args), "x").await;
        refused(&left, &[&own.recipient(), "no identity file"]);
        assert!(!file.exists());
    }
    let wrong = Identity::create(&file).unwrap();
    for args in [&["seal"][..], &["rotate"], &["serve"]] {
        let left = run(agp(place.path(), args), "x").await;
        refused(&left, &[&own.recipient(), &wrong.recipient()]);
    }
    std::fs::rename(&kept, &file).unwrap();
    let serving = place.serve();
    place.ready().await;
    assert_eq!(serving.terminate().await, 0);
}

/// For whom the running gateway's data key is wrapped; `None` while it has none.
fn named_by_gateway(folder: &Path) -> Option<Vec<String>> {
    let output = agp(folder, &["status", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let names = status["store"]["data_key"].as_array()?.iter();
    Some(names.map(|n| n.as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn with_nothing_encrypted_the_identity_is_made_beside_a_running_gateway() {
    // The history is kept encrypted too.
    let setup = Setup::new(&[]).set("state", "history", 0);
    let place = Place::new(setup, &json!({})).await;
    let serving = place.serve();
    place.ready().await;
    assert!(!identity_file(place.path()).exists());
    let left = run(agp(place.path(), &["seal"]), "x").await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(identity_file(place.path()).exists());
    assert_eq!(serving.terminate().await, 0);
}

#[tokio::test]
async fn sealed_for_more_recipients_each_of_them_opens_it() {
    let folder = Folder::new();
    let (friend, other) = (stranger(), stranger());
    folder.write(&format!(
        "{}[secrets]\nrecipients = [\"{}\"]\n",
        folder.text(),
        friend.recipient()
    ));
    let sealed = folder.seal("value").await;
    assert_eq!(friend.open(&sealed).unwrap().expose(), "value");
    let own = identity(&folder.identity_file());
    assert_eq!(own.open(&sealed).unwrap().expose(), "value");
    assert!(other.open(&sealed).is_err());
    assert_eq!(named_in(&sealed), [own.recipient(), friend.recipient()]);
}

/// Whether the age tool is here; says that the test is skipped where it is not.
fn has_age(test: &str) -> bool {
    let found = Command::new("age").arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED {test}: the `age` tool is not installed");
    }
    found
}

#[tokio::test]
async fn the_age_tool_opens_what_agp_seals_and_agp_what_it_makes() {
    if !has_age("the_age_tool_opens_what_agp_seals_and_agp_what_it_makes") {
        return;
    }
    let folder = Folder::new();
    let friend = folder.path().join("friend.txt");
    let line = "age-keygen -o friend.txt 2>&1 | sed 's/.*: //'";
    let made = run(shell(folder.path(), line), "").await;
    let recipient = made.out.trim();
    folder.write(&format!(
        "{}[secrets]\nrecipients = [\"{recipient}\"]\n",
        folder.text()
    ));
    let sealed = folder.seal("grüße \"und\" \\ mehr").await;
    let body = sealed.strip_prefix("agp1:").unwrap();
    for file in ["data/agp-identity.txt", "friend.txt"] {
        let line = format!("printf %s '{body}' | base64 -d | age -d -i {file}");
        let opened = run(shell(folder.path(), &line), "").await;
        assert_eq!(opened.out, "grüße \"und\" \\ mehr", "{opened:?}");
    }
    // The other way round; age's own identity file serves as agp's.
    let own = identity(&folder.identity_file()).recipient();
    let line = format!("printf 'from age' | age -r {own} -r {recipient} | base64 -w0");
    let theirs = run(shell(folder.path(), &line), "").await.out;
    let value = format!("agp1:{theirs}");
    let opened = run(agp(folder.path(), &["unseal"]), &value).await;
    assert_eq!(opened.out, "from age", "{opened:?}");
    let text = folder.text();
    folder.write(&text.replace(
        "\"sim-refresh-alice\"",
        &format!("{{ sealed = \"{value}\" }}"),
    ));
    std::fs::copy(&friend, folder.identity_file()).unwrap();
    let checked = folder.agp(&["validate", "--resolve", "agp.toml"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[tokio::test]
async fn the_program_leaves_no_core_dump() {
    let dir = tempfile::tempdir().unwrap();
    // Whatever it is started with.
    let line = format!("ulimit -c unlimited; exec '{AGP}' simulate --listen 127.0.0.1:0");
    let mut command = shell(dir.path(), &line);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    crate::support::until("the limit", || {
        let limits = std::fs::read_to_string(proc.join("limits")).unwrap_or_default();
        let line = limits.lines().find(|l| l.starts_with("Max core file size"));
        line.is_some_and(|l| l.split_whitespace().collect::<Vec<_>>()[4..6] == ["0", "0"])
    })
    .await;
    // What is not dumpable belongs to root there, whoever runs it (proc(5)).
    crate::support::until("the closed memory", || {
        let uid =
            |path: PathBuf| std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).unwrap());
        uid(proc.join("status")) == 0
    })
    .await;
    let killed = Command::new("kill")
        .args(["-ABRT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let status = child.wait().unwrap();
    assert!(
        !std::os::unix::process::ExitStatusExt::core_dumped(&status),
        "{status:?}"
    );
}
