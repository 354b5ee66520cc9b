//! The admin API changes the files as it is told: settings, tables, secrets.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::admin::{self, as_session, get, post, with_writer};
use crate::support::client::BOTH;
use crate::support::setup::Setup;

fn setup() -> Setup {
    with_writer(Setup::new(&["alice", "bob"]))
}

async fn started() -> TestApp {
    TestApp::start(setup(), json!({})).await
}

fn text(app: &TestApp) -> String {
    std::fs::read_to_string(app.root()).unwrap()
}

fn set(path: &[&str], value: &Value) -> Value {
    json!({ "changes": [{ "do": "set", "path": path, "value": value }] })
}

async fn edit(app: &TestApp, body: &Value) -> admin::Told {
    post(app, "/config/edit", body).await
}

async fn dry(app: &TestApp, body: &Value) -> admin::Told {
    post(app, "/config/edit?dry_run=true", body).await
}

/// Comments into the file, which the tests' own has none of.
async fn commented(app: &TestApp) -> String {
    let text = text(app).replace(
        "[routing]\n",
        "# how requests are spread\n[routing]\nstrategy = \"weighted\" # by weight\n",
    );
    std::fs::write(app.root(), &text).unwrap();
    let told = post(app, "/reload", &json!({})).await.good();
    // The watcher may have been faster.
    assert_ne!(told["outcome"], "refused", "{told}");
    text
}

#[tokio::test]
async fn one_line_changes_and_a_dry_run_tells_the_same() {
    let app = started().await;
    let before = commented(&app).await;
    let generation = app.runtime().snapshot().generation;
    let body = set(&["routing", "strategy"], &json!("random"));

    let would = dry(&app, &body).await.good();
    assert_eq!(text(&app), before);
    assert_eq!(app.runtime().snapshot().generation, generation);
    assert_eq!(would["changed"], true);
    assert_eq!(would["saved"], false);
    assert_eq!(would["generation"], generation);
    assert_eq!(would["why"], Value::Null);
    assert_eq!(would["plan"]["changes"][0]["path"], "routing");
    assert_eq!(would["plan"]["changes"][0]["fields"][0]["to"], "\"random\"");

    let done = edit(&app, &body).await.good();
    assert_eq!(
        text(&app),
        before.replace(
            "strategy = \"weighted\" # by weight",
            "strategy = \"random\" # by weight"
        )
    );
    assert_eq!(done["saved"], true);
    assert_eq!(done["generation"], generation + 1);
    assert_eq!(
        (&done["diff"], &done["plan"]),
        (&would["diff"], &would["plan"])
    );
    assert_eq!(done["revision"], admin::revision(&app));
    let strategy = app.runtime().snapshot().config.routing.strategy;
    assert_eq!(strategy.as_str(), "random");

    let again = edit(&app, &body).await.good();
    assert_eq!(again["changed"], false);
    assert_eq!((&again["plan"], &again["diff"]), (&Value::Null, &json!("")));

    // Back to the default: the line goes.
    let gone = json!({ "changes": [{ "do": "remove", "path": ["routing", "strategy"] }] });
    edit(&app, &gone).await.good();
    assert!(!text(&app).contains("by weight"));
    assert!(text(&app).contains("# how requests are spread"));
    for dialect in BOTH {
        let got = app.say(dialect, "gemini-2.5-flash", "hello").await;
        assert_eq!(got.status, 200);
    }
}

#[tokio::test]
async fn values_are_written_as_the_schema_wants_them() {
    let app = started().await;
    let body = json!({ "changes": [
        { "do": "set", "path": ["accounts", "alice", "weight"], "value": 2 },
        { "do": "set", "path": ["accounts", "alice", "max_concurrent"], "value": 3.0 },
        { "do": "set", "path": ["keys", "main", "expires"], "value": "2999-01-01" },
        { "do": "set", "path": ["keys", "main", "name"], "value": "2999-01-01" },
        { "do": "set", "path": ["models", "gemini-2.5-flash", "price"], "value": { "input": 1, "output": 2.5 } },
        { "do": "set", "path": ["models", "gemini-2.5-flash", "thinking"], "value": { "budget": 512 } },
        { "do": "set", "path": ["upstreams", "sim", "headers"], "value": { "secret": "x" } },
        { "do": "add", "section": "groups", "name": "all of us", "values": {
            "rpm": 60, "budget": { "per": "day", "usd": 5 } } },
        { "do": "add", "section": "keys", "name": "new", "values": {
            "group": "all of us", "key": { "secret": "a-client-key-of-this-test" }, "accounts": ["alice"] } },
        { "do": "rename", "section": "accounts", "from": "alice", "to": "alice b" },
    ] });
    let would = dry(&app, &body).await.good();
    let done = edit(&app, &body).await.good();
    assert_eq!(done["saved"], true, "{done}");
    assert_eq!(
        would["plan"]["changes"].as_array().unwrap().len(),
        6,
        "{}",
        would["plan"]
    );
    let text = text(&app);
    for line in [
        "weight = 2.0\n",
        "max_concurrent = 3\n",
        "expires = 2999-01-01\n",
        "name = \"2999-01-01\"\n",
        "{ input = 1.0, output = 2.5 }\n",
        "thinking = { budget = 512 }\n",
        "headers = { secret = \"x\" }\n",
        "[groups.\"all of us\"]\nrpm = 60\nbudget = { per = \"day\", usd = 5.0 }\n",
        "[keys.new]\ngroup = \"all of us\"\nkey = { sealed = \"agp1:",
        "accounts = [\"alice b\"]\n",
        "[accounts.\"alice b\"]\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("a-client-key-of-this-test"));
    let models = app
        .client
        .get(app.url("/v1/models"))
        .bearer_auth("a-client-key-of-this-test");
    assert_eq!(models.send().await.unwrap().status(), 200);

    let gone = json!({ "changes": [
        { "do": "delete", "section": "groups", "name": "all of us" },
    ] });
    let refused = edit(&app, &gone).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.fields(), ["keys.new.group"]);
    let gone = json!({ "changes": [
        { "do": "delete", "section": "groups", "name": "all of us", "mentions": true },
    ] });
    edit(&app, &gone).await.good();
    assert!(!self::text(&app).contains("all of us"));
}

#[tokio::test]
async fn a_secret_gets_into_the_file_sealed_or_not_at_all() {
    let app = started().await;
    app.warm().await;
    let path = ["accounts", "alice", "refresh_token"];
    let before = text(&app);
    let plain = edit(&app, &set(&path, &json!("sim-refresh-alice"))).await;
    assert_eq!(plain.status, StatusCode::BAD_REQUEST);
    assert_eq!(plain.fields(), ["changes[0].value"]);
    assert!(
        !plain.body.to_string().contains("sim-refresh"),
        "{}",
        plain.body
    );
    assert!(
        plain.body["error"]
            .as_str()
            .unwrap()
            .contains("{\"secret\": \"...\"}")
    );
    assert_eq!(text(&app), before);

    let state = app.account("alice");
    let given = json!({ "secret": " sim-refresh-alice\n" });
    let would = dry(&app, &set(&path, &given)).await.good();
    assert!(would["diff"].as_str().unwrap().contains("••••"), "{would}");
    assert_eq!(text(&app), before);
    let done = edit(&app, &set(&path, &given)).await.good();
    assert!(!done.to_string().contains("sim-refresh-alice"), "{done}");
    assert!(!done.to_string().contains("agp1:"), "{done}");
    assert!(!text(&app).contains("sim-refresh-alice"));
    assert!(text(&app).contains("refresh_token = { sealed = \"agp1:"));
    // The same credential, and so the same account.
    assert!(std::sync::Arc::ptr_eq(&state, &app.account("alice")));
}

/// A trial with another credential leaves the account that runs as it is.
#[tokio::test]
async fn a_dry_run_changes_nothing_that_runs_and_tells_what_would_be_refused() {
    let app = started().await;
    app.warm().await;
    let state = app.account("alice");
    let path = ["accounts", "alice", "refresh_token"];
    dry(&app, &set(&path, &json!({ "secret": "sim-refresh-other" })))
        .await
        .good();
    let nowhere = json!({ "env": "AGP_TEST_NOT_SET" });
    let told = dry(&app, &set(&path, &nowhere)).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told.fields(), ["accounts.alice"]);
    let really = edit(&app, &set(&path, &nowhere)).await;
    assert_eq!((told.status, told.body), (really.status, really.body));
    app.runtime().ask_quota(&"alice".into());
    post(&app, "/reload", &json!({})).await.good();
    assert!(std::sync::Arc::ptr_eq(&state, &app.account("alice")));

    // Nor is another address kept.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let told = dry(&app, &set(&["server", "listen"], &json!(at))).await;
    assert_eq!(
        told.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        told.body
    );
    drop(taken);
    dry(&app, &set(&["server", "listen"], &json!(at)))
        .await
        .good();
    let free = std::net::TcpListener::bind(&at);
    assert!(free.is_ok(), "{free:?}");
    get(&app, "/status").await.good();
}

#[tokio::test]
async fn an_edit_from_another_state_is_refused_with_what_is_there_now() {
    let app = started().await;
    let seen = admin::revision(&app);
    let theirs = text(&app).replace("[routing]\n", "# theirs\n[routing]\n");
    std::fs::write(app.root(), &theirs).unwrap();
    let body = set(&["routing", "strategy"], &json!("random"));
    for way in ["", "&dry_run=true"] {
        let refused = post(&app, &format!("/config/edit?revision={seen}{way}"), &body).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert_eq!(refused.fields(), ["revision"]);
        assert!(refused.body["diff"].as_str().unwrap().contains("+# theirs"));
        assert_eq!(refused.body["present"]["revision"], admin::revision(&app));
    }
    assert_eq!(text(&app), theirs);
    let now = admin::revision(&app);
    let done = post(&app, &format!("/config/edit?revision={now}"), &body).await;
    assert_eq!(done.good()["saved"], true);
}

#[tokio::test]
async fn a_session_says_from_which_state_it_edits() {
    let app = started().await;
    let body = set(&["routing", "strategy"], &json!("random"));
    let ask = async |path: &str, body: &Value| as_session(&app, Method::POST, path, body).await;
    let generation = app.runtime().snapshot().generation;
    for (path, body) in [
        ("/config/edit".to_owned(), body.clone()),
        ("/config/edit?dry_run=true".to_owned(), body.clone()),
        ("/accounts/alice/disable".to_owned(), json!({})),
        (format!("/history/{generation}/rollback"), json!({})),
    ] {
        let refused = ask(&path, &body).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::PRECONDITION_REQUIRED, "{path}");
        assert_eq!(refused.fields[0].field, "revision");
    }
    let seen = admin::revision(&app);
    let done = ask(&format!("/config/edit?revision={seen}"), &body).await;
    let done = done.unwrap();
    assert_eq!(done["saved"], true);
    let stale = json!({ "revision": seen });
    let back = format!("/history/{generation}/rollback");
    let refused = ask(&back, &stale).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let fresh = json!({ "revision": done["revision"] });
    let back = ask(&back, &fresh).await.unwrap();
    assert_eq!(back["saved"], true);
    assert_eq!(back["plan"]["changes"][0]["path"], "routing");
}

#[tokio::test]
async fn where_nothing_may_be_saved_the_answer_is_a_patch() {
    // A patch shows no secret in clear, and there is none where one would stand in it.
    let secrets = tempfile::tempdir().unwrap();
    let path = secrets.path().join("alice");
    std::fs::write(&path, "sim-refresh-alice").unwrap();
    let named = toml::Table::from_iter([("file".to_owned(), path.to_str().unwrap().into())]);
    let setup = setup().account_set("alice", "refresh_token", named);
    let setup = setup.without(&["accounts"], "bob");
    let app = TestApp::start(setup.set("admin", "write_back", false), json!({})).await;
    let before = text(&app);
    for way in ["", "?dry_run=true"] {
        let body = json!({ "changes": [
            { "do": "set", "path": ["routing", "strategy"], "value": "random" },
            { "do": "set", "path": ["accounts", "alice", "refresh_token"], "value": { "secret": "planted-token" } },
        ] });
        let told = post(&app, &format!("/config/edit{way}"), &body)
            .await
            .good();
        assert_eq!(
            (&told["changed"], &told["saved"]),
            (&json!(true), &json!(false))
        );
        let patch = told["patch"]["text"].as_str().unwrap();
        assert!(patch.contains("+strategy = \"random\""), "{patch}");
        assert!(patch.contains("sealed = \"agp1:"), "{patch}");
        assert!(told["plan"]["changes"].is_array());
        assert!(!told.to_string().contains("planted-token"));
    }
    assert_eq!(text(&app), before);
}
