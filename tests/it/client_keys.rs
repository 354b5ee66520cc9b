//! Client keys and models over the admin API.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::TestApp;
use crate::support::admin::{get, post, with_writer};
use crate::support::client::{Dialect, Got};
use crate::support::setup::{KEY, Setup};

const FLASH: &str = "gemini-2.5-flash";

fn text(app: &TestApp) -> String {
    std::fs::read_to_string(app.root()).unwrap()
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let mut all = list.as_array().unwrap().iter();
    all.find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("no `{name}` in {list:#}"))
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_opens() {
    let setup = with_writer(Setup::new(&["alice"])).at(&["groups", "team"], "rpm", 60);
    let app = TestApp::start(setup, json!({})).await;
    let before = text(&app);
    let wanted = json!({
        "label": "CI Runners", "group": "team", "models": [FLASH], "accounts": ["alice"],
        "expires": "2999-12-31",
        "limits": { "rpm": 10, "tokens_per_day": 1_000_000, "max_concurrent": 2 },
    });
    let would = post(&app, "/keys?dry_run=true", &wanted).await.good();
    assert_eq!(
        (&would["name"], &would["key"]),
        (&json!("ci-runners"), &Value::Null)
    );
    assert_eq!(text(&app), before);
    let made = post(&app, "/keys", &wanted).await.good();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("sk-") && key.len() == 46, "{}", key.len());
    let digest = format!("{:x}", Sha256::digest(key));
    let now = text(&app);
    assert!(!now.contains(key));
    assert!(now.contains(&format!(
        "[keys.ci-runners]\nname = \"CI Runners\"\ngroup = \"team\"\nsha256 = \"{digest}\"\nmodels = [\"{FLASH}\"]\n\
         accounts = [\"alice\"]\nrpm = 10\ntokens_per_day = 1000000\nmax_concurrent = 2\nexpires = 2999-12-31\n"
    )), "{now}");
    assert!(!made["edited"].to_string().contains(key));

    let saying = |model| Dialect::OpenAi.saying(model, "hello", false);
    let got = Got::read(app.request_as(Dialect::OpenAi, key, &saying(FLASH))).await;
    assert_eq!(got.status, 200);
    app.logs(1).await;
    let list = get(&app, "/keys").await.good();
    let told = named(&list["keys"], "ci-runners");
    assert_eq!(told["state"], "active");
    assert_eq!(told["digest"], digest[..8]);
    assert_eq!(
        (&told["requests"], &told["requests_24h"]),
        (&json!(1), &json!(1))
    );
    assert!(told["tokens"].as_u64().unwrap() > 0 && told["last_used"].is_string());
    assert_eq!(
        told["limits"],
        json!({ "rpm": 10, "tokens_per_day": 1_000_000, "max_concurrent": 2 })
    );
    let rpm = &told["uses"][0];
    assert_eq!(
        (&rpm["limit"], &rpm["used"], &rpm["bound"]),
        (&json!("rpm"), &json!(1.0), &json!(10.0))
    );
    assert_eq!(told["expires"], "2999-12-31T00:00:00Z");
    let team = named(&list["groups"], "team");
    let member = json!({ "name": "ci-runners", "label": "CI Runners" });
    assert_eq!(
        (&team["members"], &team["keys"]),
        (&json!(1), &json!([member]))
    );
    assert_eq!(team["uses"][0]["used"], 1.0);
    let main = named(&list["keys"], "main");
    assert_eq!(
        (&main["requests"], &main["accounts"]),
        (&json!(0), &Value::Null)
    );
    assert!(!list.to_string().contains(KEY));

    // The same label again is another key.
    let again = post(&app, "/keys", &json!({ "label": "CI Runners" }))
        .await
        .good();
    assert_eq!(again["name"], "ci-runners-2");
    let off = json!({ "changes": [
        { "do": "set", "path": ["keys", "ci-runners", "enabled"], "value": false },
        { "do": "set", "path": ["keys", "main", "expires"], "value": "2020-01-01" },
    ] });
    post(&app, "/config/edit", &off).await.good();
    let list = get(&app, "/keys").await.good();
    assert_eq!(named(&list["keys"], "ci-runners")["state"], "disabled");
    assert_eq!(named(&list["keys"], "main")["state"], "expired");
    let got = Got::read(app.request_as(Dialect::OpenAi, key, &saying(FLASH))).await;
    assert_eq!(got.status, 401);
}

#[tokio::test]
async fn models_say_where_they_lead_and_who_may_use_them() {
    let setup = with_writer(Setup::new(&["alice", "bob"]))
        .routing("default_model", "flash")
        .account_set("bob", "models", vec!["claude-*".to_owned()])
        .at(&["models", FLASH], "aliases", vec!["flash".to_owned()])
        .at(&["models", FLASH], "display_name", "Flash")
        .at(&["models", FLASH], "strategy", "random")
        .at(
            &["keys", "few"],
            "key",
            "another-test-key-that-protects-nothing",
        )
        .at(&["keys", "few"], "models", vec!["claude-*".to_owned()]);
    let app = TestApp::start(setup, json!({})).await;
    app.warm().await;
    app.say(Dialect::Anthropic, FLASH, "hello").await;
    app.logs(1).await;
    let list = get(&app, "/models").await.good();
    let flash = named(&list["models"], FLASH);
    assert_eq!(
        flash["route"],
        json!([{ "upstream": "sim", "model": FLASH, "accounts": 1, "ready": 1 }])
    );
    assert_eq!(flash["aliases"], json!(["flash"]));
    assert_eq!(
        (&flash["default"], &flash["in_file"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&flash["strategy"], &flash["display_name"]),
        (&json!("random"), &json!("Flash"))
    );
    assert_eq!(
        (&flash["keys"], &flash["requests"]),
        (&json!(["main"]), &json!(1))
    );
    let claude = named(&list["models"], "claude-sonnet-4-5");
    assert_eq!(claude["keys"], json!(["few", "main"]));
    assert_eq!(claude["route"][0]["accounts"], 2);
    assert_eq!(list["default_model"], "flash");
    assert_eq!(list["strategies"].as_array().unwrap().len(), 5);
    app.runtime().pause(&app.account("alice"));
    let list = get(&app, "/models?key=few").await.good();
    assert_eq!(list["models"].as_array().unwrap().len(), 2);
    assert_eq!(
        named(&list["models"], "claude-sonnet-4-5")["route"][0]["ready"],
        1
    );
    assert_eq!(get(&app, "/models?key=nobody").await.fields(), ["key"]);

    let offers = get(&app, "/offers").await.good();
    let sim = &offers["upstreams"][0];
    assert_eq!(
        (&sim["upstream"], &sim["discover"]),
        (&json!("sim"), &json!(false))
    );
    assert!(sim["listed"].is_string());
    let models = sim["models"].as_array().unwrap();
    let flash = models.iter().find(|m| m["id"] == FLASH).unwrap();
    assert_eq!(flash["served_as"], json!([FLASH]));
}
