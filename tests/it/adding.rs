//! Accounts are added over the admin API: one, several, and such as are there already.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::admin::{get, post, with_writer};
use crate::support::client::Dialect;
use crate::support::setup::Setup;
use crate::support::{script, until};

fn setup() -> Setup {
    with_writer(Setup::new(&["alice"])).account_set("alice", "email", "Alice@example.com")
}

fn text(app: &TestApp) -> String {
    std::fs::read_to_string(app.root()).unwrap()
}

/// The tokens that were sent stand neither in the file nor in an answer.
#[track_caller]
fn hidden(app: &TestApp, answer: &Value) {
    for place in [text(app), answer.to_string()] {
        assert!(!place.contains("sim-refresh-carol"), "{place}");
        assert!(!place.contains("sim-refresh-dora"), "{place}");
    }
}

#[tokio::test]
async fn an_account_is_added_sealed_and_serves() {
    let app = TestApp::start(setup().account_set("alice", "enabled", false), json!({})).await;
    let before = text(&app);
    let carol = json!({
        "email": "Carol.C@example.com", "refresh_token": " sim-refresh-carol ",
        "weight": 2, "rank": 3, "tags": ["team"], "allowed": ["gemini-*"],
    });
    let would = post(&app, "/accounts?dry_run=true", &carol).await.good();
    assert_eq!(text(&app), before);
    assert_eq!(would["name"], "carol-c");
    assert_eq!(would["edited"]["saved"], false);
    let path = &would["edited"]["plan"]["changes"][0]["path"];
    assert_eq!(path, "accounts.carol-c");

    let done = post(&app, "/accounts", &carol).await.good();
    assert_eq!(
        (&done["name"], &done["renewed"]),
        (&json!("carol-c"), &json!(false))
    );
    assert_eq!(done["edited"]["saved"], true);
    hidden(&app, &done);
    let now = text(&app);
    assert!(now.contains(
        "[accounts.carol-c]\nupstream = \"sim\"\nemail = \"Carol.C@example.com\"\nrefresh_token = { sealed = \"agp1:"
    ));
    assert!(
        now.contains("\" }\nweight = 2.0\ntier = 3\nmodels = [\"gemini-*\"]\ntags = [\"team\"]\n")
    );
    let got = app.say(Dialect::OpenAi, "gemini-2.5-flash", "hello").await;
    assert_eq!(got.status, 200);
    assert_eq!(app.served(), ["carol"]);

    // Another of that name gets another; one of that name by a person's wish does not.
    let other = json!({ "email": "carol-c@example.org", "refresh_token": "sim-refresh-dora" });
    let done = post(&app, "/accounts", &other).await.good();
    assert_eq!(done["name"], "carol-c-2");
    let taken = json!({ "name": "alice", "refresh_token": "x" });
    let refused = post(&app, "/accounts", &taken).await;
    assert_eq!(refused.fields(), ["name"]);
    let nameless = json!({ "refresh_token": "sim-refresh-nobody" });
    let done = post(&app, "/accounts", &nameless).await.good();
    assert_eq!(done["name"], "account");
}

#[tokio::test]
async fn who_is_there_already_gets_a_new_token() {
    let app = TestApp::start(setup(), json!({})).await;
    app.warm().await;
    let before = app.account("alice");
    let again =
        json!({ "email": "alice@EXAMPLE.com", "refresh_token": "sim-refresh-carol", "weight": 5 });
    let done = post(&app, "/accounts", &again).await.good();
    assert_eq!(
        (&done["name"], &done["renewed"]),
        (&json!("alice"), &json!(true))
    );
    hidden(&app, &done);
    let now = text(&app);
    assert!(now.contains("email = \"Alice@example.com\"\n") && now.contains("weight = 5.0\n"));
    assert!(
        now.contains("refresh_token = { sealed = \"agp1:") && !now.contains("sim-refresh-alice")
    );
    assert!(!std::sync::Arc::ptr_eq(&before, &app.account("alice")));
    app.say(Dialect::OpenAi, "gemini-2.5-flash", "hello").await;
    assert_eq!(app.served(), ["carol"]);
    let named = json!({ "name": "other", "email": "alice@example.com", "refresh_token": "y" });
    let refused = post(&app, "/accounts", &named).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.fields(), ["name"]);
}

#[tokio::test]
async fn several_are_added_by_one_edit_and_the_rest_is_told() {
    let app = TestApp::start(setup(), json!({})).await;
    let generation = app.runtime().snapshot().generation;
    let list = json!([
        { "email": "carol@example.com", "refresh_token": "sim-refresh-carol" },
        { "email": "alice@example.com", "refresh_token": "sim-refresh-dora" },
        { "email": "CAROL@example.com", "refresh_token": "sim-refresh-other" },
        { "email": "eve@example.com", "refresh_token": "sim-refresh-carol" },
        { "email": "nobody", "refresh_token": "x" },
        { "email": "no@token.com" },
        { "email": "up@example.com", "refresh_token": "y", "upstream": "other" },
    ]);
    let body = json!({ "text": list.to_string() });
    let would = post(&app, "/pool/import?dry_run=true", &body).await.good();
    assert_eq!(app.runtime().snapshot().generation, generation);
    let done = post(&app, "/pool/import", &body).await.good();
    assert_eq!(would["results"], done["results"]);
    assert_eq!(would["edited"]["plan"], done["edited"]["plan"]);
    hidden(&app, &done);
    assert_eq!(app.runtime().snapshot().generation, generation + 1);
    let counts = ["added", "renewed", "refused"].map(|name| done[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 5], "{done:#}");
    let results = done["results"].as_array().unwrap();
    let told: Vec<String> = results
        .iter()
        .map(|r| {
            let field = r["error"].as_str().and_then(|e| e.split('`').nth(1));
            let name = r["name"].as_str().or(field).unwrap_or_default();
            format!("{} {name} {}", r["entry"], r["outcome"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 carol added",
            "2 alice renewed",
            "3 email refused",
            "4 refresh_token refused",
            "5 email refused",
            "6 refresh_token refused",
            "7 upstream refused",
        ]
    );

    let csv =
        "email,refresh_token,name,tags\n\"f@example.com\",sim-refresh-f,\"frank, jr\",\"a b\"\n";
    let done = post(&app, "/pool/import", &json!({ "text": csv }))
        .await
        .good();
    assert_eq!(done["added"], 1, "{done:#}");
    assert!(text(&app).contains("[accounts.\"frank, jr\"]\n"));
    assert!(text(&app).contains("tags = [\"a\", \"b\"]\n"));
    let none = json!({ "text": "refresh_token\nagp1:x\n" });
    let done = post(&app, "/pool/import", &none).await.good();
    assert_eq!(
        (&done["refused"], &done["edited"]),
        (&json!(1), &Value::Null)
    );
}

/// Signed in again with the token that was refused before, as where the provider took a person's access back and gave it again.
#[tokio::test]
async fn the_same_token_once_more_is_tried_again() {
    let refusing = json!({ "accounts": { "alice@example.com": { "revoked": true } } });
    let app = TestApp::start(setup(), refusing).await;
    until("the refusal", || app.standing("alice") == "needs_login").await;
    app.sim.set_script(script(&json!({})));
    let again = json!({ "email": "alice@example.com", "refresh_token": "sim-refresh-alice" });
    let done = post(&app, "/accounts", &again).await.good();
    assert_eq!(done["renewed"], true, "{done:#}");
    until("the next try", || app.standing("alice") == "active").await;
}

/// Where the file is the repository's: the patch holds the sealed token, and it is in use at once, after a restart too.
#[tokio::test]
async fn a_renewed_token_works_at_once_where_the_file_may_not_be_written() {
    let secrets = tempfile::tempdir().unwrap();
    let path = secrets.path().join("alice");
    std::fs::write(&path, "sim-refresh-revoked").unwrap();
    let named = toml::Table::from_iter([("file".to_owned(), path.to_str().unwrap().into())]);
    let setup =
        setup()
            .account_set("alice", "refresh_token", named)
            .set("admin", "write_back", false);
    let script = json!({ "accounts": { "revoked@example.com": { "revoked": true } } });
    let mut app = TestApp::start(setup, script).await;
    until("the refusal", || app.standing("alice") == "needs_login").await;
    let before = text(&app);
    let again = json!({ "email": "alice@example.com", "refresh_token": "sim-refresh-carol" });
    post(&app, "/accounts?dry_run=true", &again).await.good();
    let done = post(&app, "/accounts", &again).await.good();
    assert_eq!(
        (&done["renewed"], &done["edited"]["saved"]),
        (&json!(true), &json!(false))
    );
    let patch = done["edited"]["patch"]["text"].as_str().unwrap();
    assert!(patch.contains("sealed = \"agp1:"), "{patch}");
    hidden(&app, &done);
    assert_eq!(text(&app), before);
    let got = app.say(Dialect::OpenAi, "gemini-2.5-flash", "hello").await;
    assert_eq!((got.status, app.served()), (200, vec!["carol".to_owned()]));
    app.runtime().store.flush().await.unwrap();
    app.restart().await;
    let got = app.say(Dialect::OpenAi, "gemini-2.5-flash", "hello").await;
    assert_eq!(
        (got.status, app.served()),
        (200, vec!["carol".to_owned(); 2])
    );
    get(&app, "/status").await.good();
}
