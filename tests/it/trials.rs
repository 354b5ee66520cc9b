//! The commands by which people try agp and sign in: `demo`, `simulate`, `login`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Dialect::OpenAi;
use crate::support::client::Got;
use crate::support::process::{Running, agp, run, shell};
use crate::support::setup::Setup;
use crate::support::{TestApp, until, within};

const FLASH: &str = "gemini-2.5-flash";

#[tokio::test]
async fn the_demo_prints_three_commands_that_work() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut demo = Running::start(agp(dir.path(), &["demo"]));
    let text = demo.read_to("Ctrl-C").await;
    let commands: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl ") || line.starts_with("node "))
        .collect();
    assert_eq!(commands.len(), 3, "{text}");
    let said: Vec<String> = {
        let mut said = Vec::new();
        for (command, end) in [
            (commands[0], "data: [DONE]"),
            (commands[1], "event: message_stop"),
        ] {
            let left = run(shell(dir.path(), command), "").await;
            assert_eq!(left.code, 0, "{left:?}");
            assert!(left.out.contains(end), "{left:?}");
            said.push(left.out);
        }
        said
    };
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "a newcomer has waited too long"
    );
    for text in said {
        assert!(
            text.matches("\"delta\"").count() >= 3,
            "it is streamed: {text}"
        );
    }
    // The third needs a package from the network: it is only read here, as the shell and as node read it.
    let program = commands[2]
        .split_once("-e '")
        .unwrap()
        .1
        .strip_suffix('\'')
        .unwrap();
    assert!(!program.contains('\''), "the shell reads it as one word");
    std::fs::write(dir.path().join("snippet.mjs"), program).unwrap();
    let node = run(
        shell(
            dir.path(),
            "command -v node >/dev/null || exit 77; node --check snippet.mjs",
        ),
        "",
    )
    .await;
    match node.code {
        77 => println!("SKIPPED: the SDK snippet is not read by node, which is not here"),
        code => assert_eq!(code, 0, "{node:?}"),
    }
    let key = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("key "))
        .unwrap()
        .trim();
    assert!(
        program.contains(key) && program.contains("/v1"),
        "{program}"
    );
    let page = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("panel "))
        .unwrap()
        .trim();
    let (page, password) = page.split_once("password: ").unwrap();
    let page = page.trim();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let at = page;
    let page = Got::read(client.get(page).header("accept", "text/html")).await;
    assert!(
        page.status == 200 && page.text.contains("<html"),
        "{page:?}"
    );
    let login = client.post(format!("{at}admin/api/v1/login"));
    let body = serde_json::json!({ "password": password.trim() }).to_string();
    assert_eq!(Got::read(login.body(body)).await.status, 200);
    let folder = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("file "))
        .unwrap();
    let folder = Path::new(folder.split_whitespace().next().unwrap())
        .parent()
        .unwrap()
        .to_owned();
    assert!(folder.exists());
    assert_eq!(demo.terminate().await, 0);
    assert!(!folder.exists(), "nothing is left behind");
}

/// Presses the consent page's button for an account: where the browser is sent back to.
async fn consent(url: &str, account: &str) -> String {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let page = Got::read(client.get(url)).await;
    assert!(
        page.status == 200 && page.text.contains("sign-in"),
        "{page:?}"
    );
    let pressed = Got::read(client.get(format!("{url}&sim_account={account}"))).await;
    assert_eq!(pressed.status, 302);
    pressed.headers["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_gives_a_table_that_serves() {
    let app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    let mut login = Running::start(agp(app.dir.path(), &["login", "sim"]));
    let text = login.read_to("/o/oauth2/v2/auth?").await;
    let url = text
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .unwrap();
    assert!(
        url.contains("code_challenge=") && url.contains("state="),
        "{url}"
    );
    // What is no callback is asked for again.
    login.say("http://localhost/oauth-callback?state=forged&code=x");
    login.say(&consent(url, "carol@example.com").await);
    let text = login.read_to("refresh_token").await;
    assert_eq!(login.wait().await, 0, "{text}");
    let table = &text[text
        .find("[accounts.carol]")
        .unwrap_or_else(|| panic!("{text}"))..];
    let file = app
        .setup
        .clone()
        .account_set("alice", "enabled", false)
        .text(&app.sim.url());
    std::fs::write(app.root(), format!("{file}\n{table}")).unwrap();
    until("the account", || {
        app.runtime().snapshot().accounts.contains_key("carol")
    })
    .await;
    assert_eq!(
        app.say(OpenAi, FLASH, "hi").await.said(OpenAi),
        "You said: hi"
    );
    assert_eq!(app.served(), ["carol"]);

    let left = run(agp(app.dir.path(), &["login", "nowhere"]), "").await;
    assert!(left.code == 1 && left.err.contains("`sim`"), "{left:?}");
}

#[tokio::test]
async fn a_simulator_alone_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("faults.json"), r#"{"status": 503}"#).unwrap();
    let args = [
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--script",
        "faults.json",
    ];
    let mut running = Running::start(agp(dir.path(), &args));
    let text = running.read_to("refresh_token").await;
    let table = text
        .lines()
        .find(|line| line.starts_with("base_urls"))
        .unwrap();
    let url = table.split('"').nth(1).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let shown = within("the script", async {
        Got::read(client.get(format!("{url}/control/script"))).await
    })
    .await;
    assert_eq!(shown.json()["status"], 503);
    assert_eq!(running.terminate().await, 0);
}

#[tokio::test]
async fn a_login_asks_as_the_file_says() {
    let oauth = &["upstreams", "sim", "oauth"];
    let scopes = ["email", "https://www.googleapis.com/auth/cloud-platform"];
    let back = "http://localhost:9/elsewhere";
    let setup = Setup::new(&[])
        .at(oauth, "client_id", "another-client")
        .at(oauth, "scopes", scopes.map(str::to_owned).to_vec())
        .at(oauth, "redirect_url", back);
    let app = TestApp::start(setup, json!({"client_id": "another-client"})).await;
    let mut login = Running::start(agp(app.dir.path(), &["login", "sim"]));
    // Only the simulator has this page, knows who signs in, and gives tokens for a code of its own.
    let text = login.read_to("/o/oauth2/v2/auth?").await;
    let url = text
        .split_whitespace()
        .find(|word| word.starts_with("http"));
    let asked = reqwest::Url::parse(url.unwrap()).unwrap();
    let value = |name: &str| {
        let found = asked.query_pairs().find(|(key, _)| key == name);
        found.unwrap().1.into_owned()
    };
    assert_eq!(value("client_id"), "another-client");
    assert_eq!(value("scope"), scopes.join(" "));
    assert_eq!(value("redirect_uri"), back);
    let callback = consent(url.unwrap(), "carol@example.com").await;
    assert!(callback.starts_with(back), "{callback}");
    login.say(&callback);
    let text = login.read_to("refresh_token").await;
    assert_eq!(login.wait().await, 0, "{text}");
    assert!(text.contains("[accounts.carol]"), "{text}");
}
