//! What an operation is given wrongly is refused with the field that is wrong: at least twenty ways for each that writes.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::admin::{self, post, with_writer};
use crate::support::setup::Setup;

/// One wrong input: what is sent, and the field that is named.
type Bad = (Value, &'static str);

/// Sends each, and holds the answer against what it should be; nothing in the file changes.
async fn refused(app: &TestApp, path: &str, inputs: Vec<Bad>) {
    assert!(inputs.len() >= 20, "{path}: {}", inputs.len());
    let before = admin::revision(app);
    let mut wrong = Vec::new();
    for (body, field) in inputs {
        for path in [path.to_owned(), format!("{path}?dry_run=true")] {
            let told = post(app, &path, &body).await;
            let named = told.fields();
            if !told.status.is_client_error() || !named.contains(&field) {
                let told = format!("{} {named:?}: {}", told.status, told.body["error"]);
                wrong.push(format!("{path} {body}: expected `{field}`, found {told}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(admin::revision(app), before);
}

async fn started() -> TestApp {
    let setup = with_writer(Setup::new(&["alice", "bob"]));
    let setup =
        setup
            .account_set("alice", "email", "alice@example.com")
            .at(&["groups", "team"], "rpm", 60);
    TestApp::start(setup, json!({})).await
}

fn set(path: &[&str], value: &Value) -> Value {
    json!({ "changes": [{ "do": "set", "path": path, "value": value }] })
}

#[tokio::test]
async fn config_edit() {
    let app = started().await;
    let one = |change: Value| json!({ "changes": [change] });
    let mut inputs = vec![
        (json!({}), "changes"),
        (json!([]), "body"),
        (json!("x"), "body"),
        (json!({ "changes": [] }), "changes"),
        (json!({ "changes": {} }), "changes"),
        (json!({ "changes": [], "more": 1 }), "more"),
        (one(json!({})), "changes[0].do"),
        (one(json!({ "do": "paint" })), "changes[0].do"),
        (
            one(json!({ "do": "set", "path": [], "value": 1 })),
            "changes[0].path",
        ),
        (
            one(json!({ "do": "set", "path": "a", "value": 1 })),
            "changes[0].path",
        ),
        (
            one(json!({ "do": "set", "path": vec!["a"; 9], "value": 1 })),
            "changes[0].path",
        ),
        (
            one(json!({ "do": "set", "path": ["log"] })),
            "changes[0].value",
        ),
        (
            one(json!({ "do": "set", "path": ["log", "level"], "value": null })),
            "changes[0].value",
        ),
        (
            one(json!({ "do": "remove", "path": [] })),
            "changes[0].path",
        ),
        (
            one(json!({ "do": "remove", "path": ["routing", "strategy"] })),
            "routing.strategy",
        ),
        (
            one(json!({ "do": "remove", "path": ["accounts", "carol"] })),
            "accounts.carol",
        ),
        (
            one(json!({ "do": "add", "section": "users", "name": "a", "values": {} })),
            "changes[0].section",
        ),
        (
            one(json!({ "do": "add", "section": "accounts", "name": "alice", "values": {} })),
            "accounts.alice",
        ),
        (
            one(
                json!({ "do": "add", "section": "accounts", "name": "x", "values": { "upstream": "sim" } }),
            ),
            "accounts.x.refresh_token",
        ),
        (
            one(
                json!({ "do": "add", "section": "accounts", "name": "x", "values": { "refresh_token": "y" } }),
            ),
            "changes[0].values.refresh_token",
        ),
        (
            one(json!({ "do": "add", "section": "keys", "name": "x", "values": {} })),
            "keys.x.sha256",
        ),
        (
            one(
                json!({ "do": "add", "section": "keys", "name": " x", "values": { "key": { "secret": "k" } } }),
            ),
            "keys.\" x\"",
        ),
        (
            one(json!({ "do": "rename", "section": "accounts", "from": "carol", "to": "dora" })),
            "accounts.carol",
        ),
        (
            one(json!({ "do": "rename", "section": "accounts", "from": "alice", "to": "bob" })),
            "accounts.bob",
        ),
        (
            one(json!({ "do": "rename", "section": "accounts", "from": "alice", "to": "" })),
            "accounts.\"\"",
        ),
        (
            one(json!({ "do": "delete", "section": "accounts", "name": "carol" })),
            "accounts.carol",
        ),
        (
            one(json!({ "do": "delete", "section": "upstreams", "name": "sim" })),
            "accounts.alice.upstream",
        ),
        (
            one(json!({ "do": "delete", "section": "x", "name": "sim" })),
            "changes[0].section",
        ),
    ];
    let long = "x".repeat(70_000);
    let values = [
        (
            &["routing", "strategy"][..],
            json!("wieghted"),
            "routing.strategy",
        ),
        (&["routing", "strategy"], json!(1), "routing.strategy"),
        (&["routing", "stratgy"], json!("random"), "routing.stratgy"),
        (&["rooting", "strategy"], json!("random"), "rooting"),
        (&["routing"], json!("random"), "routing"),
        (
            &["routing", "max_attempts"],
            json!(-1),
            "routing.max_attempts",
        ),
        (
            &["routing", "max_attempts"],
            json!(1.5),
            "routing.max_attempts",
        ),
        (
            &["routing", "max_attempts"],
            json!(18_446_744_073_709_551_615_u64),
            "changes[0].value",
        ),
        (
            &["routing", "max_attempts"],
            json!("4"),
            "routing.max_attempts",
        ),
        (
            &["routing", "queue_timeout"],
            json!(10),
            "routing.queue_timeout",
        ),
        (
            &["routing", "queue_timeout"],
            json!("10 parsecs"),
            "routing.queue_timeout",
        ),
        (&["server", "listen"], json!("nowhere"), "server.listen"),
        (
            &["server", "public_url"],
            json!("ftp://x"),
            "server.public_url",
        ),
        (&["server", "max_body"], json!("32 MB!"), "server.max_body"),
        (&["server", "keepalive"], json!("0s"), "server.keepalive"),
        (&["admin", "password"], json!("clear"), "changes[0].value"),
        (
            &["admin", "password"],
            json!({ "secret": "" }),
            "changes[0].value.secret",
        ),
        (
            &["admin", "password"],
            json!({ "secret": 1 }),
            "changes[0].value.secret",
        ),
        (
            &["admin", "password"],
            json!({ "secret": long }),
            "changes[0].value.secret",
        ),
        (
            &["admin", "password"],
            json!({ "secret": "agp1:AAAA" }),
            "changes[0].value.secret",
        ),
        (
            &["admin", "password"],
            json!({ "secret": "x", "env": "X" }),
            "changes[0].value",
        ),
        (
            &["admin", "password"],
            json!({ "clear": "x" }),
            "changes[0].value",
        ),
        (
            &["admin", "password"],
            json!({ "sealed": "nonsense" }),
            "admin.password",
        ),
        (
            &["admin", "password"],
            json!({ "env": "not a name" }),
            "admin.password",
        ),
        (
            &["admin", "time_zone"],
            json!("Mars/Base"),
            "admin.time_zone",
        ),
        (
            &["admin", "time_zone"],
            json!({ "secret": "x" }),
            "changes[0].value",
        ),
        (
            &["admin", "pasword"],
            json!({ "secret": "x" }),
            "changes[0].value",
        ),
        (&["accounts", "carol", "weight"], json!(1), "accounts.carol"),
        (
            &["accounts", "alice", "weight"],
            json!(-1),
            "accounts.alice.weight",
        ),
        (
            &["accounts", "alice", "weight"],
            json!("heavy"),
            "accounts.alice.weight",
        ),
        (
            &["accounts", "alice", "upstream"],
            json!("simm"),
            "accounts.alice.upstream",
        ),
        (
            &["accounts", "bob", "email"],
            json!("ALICE@example.com"),
            "accounts.bob.email",
        ),
        (
            &["accounts", "bob", "email"],
            json!("nobody"),
            "accounts.bob.email",
        ),
        (
            &["accounts", "alice", "api_key"],
            json!({ "secret": "x" }),
            "accounts.alice.api_key",
        ),
        (
            &["accounts", "alice", "tags"],
            json!("team"),
            "accounts.alice.tags",
        ),
        (
            &["accounts", "alice", "tags"],
            json!(["team", 1]),
            "accounts.alice.tags[1]",
        ),
        (
            &["accounts", "alice", "tags"],
            json!(["team", null]),
            "changes[0].value[1]",
        ),
        (
            &["keys", "main", "expires"],
            json!("tomorrow"),
            "changes[0].value",
        ),
        (
            &["keys", "main", "expires"],
            json!("2027-02-30"),
            "changes[0].value",
        ),
        (&["keys", "main", "group"], json!("teem"), "keys.main.group"),
        (&["keys", "main", "rpm"], json!(0), "keys.main.rpm"),
        (
            &["keys", "main", "budget"],
            json!({ "usd": -1, "per": "day" }),
            "keys.main.budget.usd",
        ),
        (
            &["keys", "main", "budget"],
            json!({ "usd": 1 }),
            "keys.main.budget.per",
        ),
        (
            &["keys", "main", "budget"],
            json!({ "usd": 1, "per": "year" }),
            "keys.main.budget.per",
        ),
        (
            &["keys", "main", "accounts"],
            json!(["carol"]),
            "keys.main.accounts[0]",
        ),
        (
            &["keys", "main", "sha256"],
            json!("abc"),
            "keys.main.sha256",
        ),
        (
            &["models", "gemini-2.5-flash", "route"],
            json!([]),
            "models.\"gemini-2.5-flash\".route",
        ),
        (
            &["models", "gemini-2.5-flash", "route"],
            json!(["nowhere/x"]),
            "models.\"gemini-2.5-flash\".route[0]",
        ),
        (
            &["models", "gemini-2.5-flash", "thinking"],
            json!("some"),
            "models.\"gemini-2.5-flash\".thinking",
        ),
        (
            &["models", "gemini-2.5-flash", "price"],
            json!({ "input": 1 }),
            "models.\"gemini-2.5-flash\".price.output",
        ),
        (&["groups", "team", "rpm"], json!("many"), "groups.team.rpm"),
        (&["include"], json!(["x.toml"]), "include"),
        (&["version"], json!(2), "version"),
    ];
    inputs.extend(values.map(|(path, value, field)| (set(path, &value), field)));
    refused(&app, "/config/edit", inputs).await;
}

#[tokio::test]
async fn the_revision_of_an_edit() {
    let app = started().await;
    let body = set(&["routing", "strategy"], &json!("random"));
    for revision in ["x", "12", &"0".repeat(63), &"g".repeat(64), ""] {
        let told = post(&app, &format!("/config/edit?revision={revision}"), &body).await;
        assert_eq!(told.status, 400, "{revision}");
        assert_eq!(told.fields(), ["revision"], "{revision}");
    }
    for flag in ["1", "yes", ""] {
        let told = post(&app, &format!("/config/edit?dry_run={flag}"), &body).await;
        assert_eq!(
            (told.status.as_u16(), told.fields()),
            (400, vec!["dry_run"])
        );
    }
}
