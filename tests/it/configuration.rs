//! The files and every value in force, as the admin API tells them.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::admin::{self, get, post, with_writer};
use crate::support::setup::Setup;

fn setting<'v>(settings: &'v Value, path: &[&str]) -> &'v Value {
    let mut all = settings["settings"].as_array().unwrap().iter();
    all.find(|one| one["path"] == json!(path))
        .unwrap_or_else(|| panic!("no {path:?} in {settings:#}"))
}

#[tokio::test]
async fn the_files_are_shown_with_their_errors_and_what_runs_stays() {
    let app = TestApp::start(with_writer(Setup::new(&["alice"])), json!({})).await;
    let told = get(&app, "/config").await.good();
    assert_eq!(told["revision"], admin::revision(&app));
    assert_eq!(told["running"], told["revision"]);
    assert_eq!(
        (&told["differs"], &told["drift"]),
        (&Value::Null, &json!(""))
    );
    assert_eq!(told["write_back"], true);
    let file = &told["files"][0];
    assert_eq!(file["path"], "agp.toml");
    assert!(
        file["text"]
            .as_str()
            .unwrap()
            .contains("refresh_token = ••••")
    );
    let plain = told["findings"].as_array().unwrap().iter();
    let plain: Vec<&Value> = plain.filter(|f| f["code"] == "AGP030").collect();
    assert!(!plain.is_empty(), "{:#}", told["findings"]);
    assert!(
        plain
            .iter()
            .all(|f| f["severity"] == "warning" && f["line"].is_u64())
    );

    let before = std::fs::read_to_string(app.root()).unwrap();
    let broken = before.replace("[routing]\n", "[routing]\nstratgy = \"planted\"\n");
    std::fs::write(app.root(), broken).unwrap();
    let outcome = post(&app, "/reload", &json!({})).await.good();
    assert_eq!(outcome["outcome"], "refused");
    let told = get(&app, "/config").await.good();
    assert_eq!(told["differs"], "refused");
    assert_eq!(told["generation"], 1);
    assert_ne!(told["running"], told["revision"]);
    assert!(
        told["drift"].as_str().unwrap().contains("+stratgy = ••••"),
        "{told:#}"
    );
    assert!(!told["errors"].as_array().unwrap().is_empty());
    let found = told["findings"].as_array().unwrap().iter();
    let found = found.clone().find(|f| f["code"] == "AGP010").unwrap();
    let line = before.lines().position(|l| l == "[routing]").unwrap() + 2;
    assert_eq!(
        (&found["key"], &found["line"]),
        (&json!("routing.stratgy"), &json!(line))
    );
    assert_eq!(
        (&found["file"], &found["column"]),
        (&json!("agp.toml"), &json!(1))
    );
    assert!(found["end_column"].as_u64().unwrap() > 1);
    assert!(!told.to_string().contains("planted") && !told.to_string().contains("sim-refresh"));

    // The values are those in force, not those of the broken file.
    let settings = get(&app, "/config/settings").await.good();
    assert_eq!(settings["revision"], told["revision"]);
    assert_eq!(
        setting(&settings, &["routing", "queue_timeout"])["value"],
        "10s"
    );
}

#[tokio::test]
async fn every_value_says_what_it_is_and_where_it_came_from() {
    let setup = with_writer(Setup::new(&["alice"])).at(&["keys", "main"], "name", "x.y");
    let app = TestApp::start(setup, json!({})).await;
    let dated = json!({ "changes": [{ "do": "set", "path": ["keys", "main", "expires"], "value": "2999-01-01" }] });
    post(&app, "/config/edit", &dated).await.good();
    let settings = get(&app, "/config/settings").await.good();
    let value = |path: &[&str], key: &str| setting(&settings, path)[key].clone();
    let timeout = ["routing", "queue_timeout"];
    assert_eq!(value(&timeout, "source")["kind"], "file");
    assert_eq!(value(&timeout, "source")["path"], "agp.toml");
    assert!(value(&timeout, "source")["line"].as_u64().unwrap() > 1);
    assert_eq!(value(&["routing", "max_attempts"], "value"), 4);
    assert_eq!(
        value(&["routing", "max_attempts"], "source"),
        json!({ "kind": "default" })
    );
    assert_eq!(value(&["accounts", "alice", "weight"], "value"), 1.0);
    assert_eq!(
        value(&["accounts", "alice", "refresh_token"], "value"),
        "••••"
    );
    assert_eq!(
        value(&["accounts", "alice", "refresh_token"], "secret"),
        true
    );
    assert_eq!(value(&["keys", "main", "expires"], "value"), "2999-01-01");
    assert_eq!(value(&["keys", "main", "name"], "secret"), false);
    assert_eq!(
        value(&["models", "gemini-2.5-flash", "route"], "value"),
        json!(["sim/gemini-2.5-flash"])
    );
    assert_eq!(value(&["state", "path"], "restart"), true);
    assert_eq!(value(&["state", "history"], "restart"), false);
    assert_eq!(value(&["routing", "strategy"], "in_effect"), true);
    assert!(!settings.to_string().contains("sim-refresh"));
}
