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

#[expect(clippy::too_many_lines, reason = "a list, an input a line")]
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

#[tokio::test]
async fn account_add() {
    let app = started().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "email": "new@example.com", "refresh_token": "planted-token" });
        body[field] = value;
        body
    };
    let long = "x".repeat(300);
    let inputs = vec![
        (json!({}), "refresh_token"),
        (json!([]), "body"),
        (json!({ "email": "a@b" }), "refresh_token"),
        (with("refresh_token", json!("")), "refresh_token"),
        (with("refresh_token", json!(" ")), "refresh_token"),
        (with("refresh_token", json!("a b")), "refresh_token"),
        (with("refresh_token", json!("a\nb")), "refresh_token"),
        (with("refresh_token", json!("agp1:AAAA")), "refresh_token"),
        (
            with("refresh_token", json!("x".repeat(70_000))),
            "refresh_token",
        ),
        (with("refresh_token", json!(1)), "refresh_token"),
        (with("refresh_token", json!(null)), "refresh_token"),
        (with("token", json!("x")), "token"),
        (with("email", json!("nobody")), "email"),
        (with("email", json!("a b@c")), "email"),
        (with("email", json!(format!("{long}@example.com"))), "email"),
        (with("email", json!(7)), "email"),
        (with("name", json!("alice")), "name"),
        (with("name", json!("tag:x")), "name"),
        (with("name", json!("a\u{0}b")), "name"),
        (with("name", json!(long)), "name"),
        (
            json!({ "name": "x", "email": "alice@example.com", "refresh_token": "y" }),
            "name",
        ),
        (with("upstream", json!("nowhere")), "upstream"),
        (with("upstream", json!(["sim"])), "upstream"),
        (with("weight", json!(-1)), "weight"),
        (with("weight", json!("2")), "weight"),
        (with("rank", json!(-1)), "rank"),
        (with("rank", json!(4_294_967_296_u64)), "rank"),
        (with("tags", json!("team")), "tags"),
        (with("tags", json!([1])), "tags[0]"),
        (with("tags", json!(["a", ""])), "tags[1]"),
        (with("tags", json!(vec!["a"; 65])), "tags"),
        (with("allowed", json!([""])), "allowed[0]"),
        (with("project", json!(long)), "project"),
        (with("project", json!(["p"])), "project"),
    ];
    refused(&app, "/accounts", inputs).await;
}

#[tokio::test]
async fn accounts_import() {
    let app = started().await;
    let text = |text: &str| json!({ "text": text });
    let many = format!("refresh_token\n{}", "x\n".repeat(1001));
    let inputs = vec![
        (json!({}), "text"),
        (json!([]), "body"),
        (json!({ "text": 1 }), "text"),
        (json!({ "text": null }), "text"),
        (json!({ "text": [] }), "text"),
        (json!({ "text": "[]", "more": 1 }), "more"),
        (
            json!({ "text": "refresh_token\nx", "upstream": "nowhere" }),
            "upstream",
        ),
        (
            json!({ "text": "refresh_token\nx", "upstream": 1 }),
            "upstream",
        ),
        (text(""), "text"),
        (text(" \n "), "text"),
        (text("["), "text"),
        (text("{"), "text"),
        (text("[]"), "text"),
        (text("[{]"), "text"),
        (text("{}"), "text"),
        (text("{\"accounts\": 1}"), "text"),
        (text("{\"accounts\": [], \"more\": 1}"), "text"),
        (text("hello"), "text"),
        (text("email,refresh_token"), "text"),
        (text("email\na@b"), "text"),
        (text("email,password\na@b,x"), "text"),
        (text("email,email,refresh_token\na,b,c"), "text"),
        (text("a@b,1//x"), "text"),
        (text("refresh_token\n\"x"), "text"),
        (text(&many), "text"),
        (text(&"x".repeat(5 << 20)), "text"),
    ];
    refused(&app, "/pool/import", inputs).await;
}

#[tokio::test]
async fn key_add() {
    let app = started().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "label": "New" });
        body[field] = value;
        body
    };
    let limit = |field: &str, value: Value| json!({ "label": "New", "limits": { field: value } });
    let long = "x".repeat(300);
    let inputs = vec![
        (json!({}), "label"),
        (json!("x"), "body"),
        (with("label", json!("")), "label"),
        (with("label", json!("  ")), "label"),
        (with("label", json!(1)), "label"),
        (with("label", json!("a\nb")), "label"),
        (with("label", json!(long)), "label"),
        (with("name", json!("main")), "name"),
        (with("name", json!(long)), "name"),
        (with("name", json!(["x"])), "name"),
        (with("key", json!("sk-mine")), "key"),
        (with("group", json!("teem")), "group"),
        (with("group", json!(1)), "group"),
        (with("models", json!([])), "models"),
        (with("models", json!("*")), "models"),
        (with("models", json!([""])), "models[0]"),
        (with("accounts", json!(["carol"])), "accounts[0]"),
        (with("accounts", json!([])), "accounts"),
        (with("expires", json!("tomorrow")), "expires"),
        (with("expires", json!("2027-02-30")), "expires"),
        (with("expires", json!(2027)), "expires"),
        (with("limits", json!("x")), "limits"),
        (limit("rpm", json!(0)), "limits.rpm"),
        (limit("rpm", json!(-1)), "limits.rpm"),
        (limit("rpm", json!("60")), "limits.rpm"),
        (limit("rpm", json!(4_294_967_296_u64)), "limits.rpm"),
        (limit("rpd", json!(1)), "limits.rpd"),
        (
            limit("tokens_per_minute", json!(0)),
            "limits.tokens_per_minute",
        ),
        (
            limit("tokens_per_day", json!(18_446_744_073_709_551_615_u64)),
            "limits.tokens_per_day",
        ),
        (limit("max_concurrent", json!(0)), "limits.max_concurrent"),
        (limit("budget", json!(5)), "limits.budget"),
        (limit("budget", json!({ "usd": 5 })), "limits.budget.per"),
        (
            limit("budget", json!({ "usd": 0, "per": "day" })),
            "limits.budget.usd",
        ),
        (
            limit("budget", json!({ "usd": 5, "per": "year" })),
            "limits.budget.per",
        ),
        (
            limit("budget", json!({ "usd": 5, "per": "day", "for": 1 })),
            "limits.budget.for",
        ),
    ];
    refused(&app, "/keys", inputs).await;
}

#[tokio::test]
async fn rollback() {
    let app = started().await;
    let strategy = set(&["routing", "strategy"], &json!("random"));
    post(&app, "/config/edit", &strategy).await.good();
    let stale = "0".repeat(64);
    let mut wrong = Vec::new();
    let good = "/history/1/rollback";
    let inputs = [
        ("/history/x/rollback", json!({}), "generation"),
        ("/history/-1/rollback", json!({}), "generation"),
        ("/history/1.0/rollback", json!({}), "generation"),
        (
            "/history/99999999999999999999999/rollback",
            json!({}),
            "generation",
        ),
        ("/history/0/rollback", json!({}), "generation"),
        ("/history/77/rollback", json!({}), "generation"),
        (good, json!([1]), "body"),
        (good, json!("x"), "body"),
        (good, json!({ "revison": "x" }), "revison"),
        (good, json!({ "revision": 1 }), "revision"),
        (good, json!({ "revision": "" }), "revision"),
        (good, json!({ "revision": "x" }), "revision"),
        (good, json!({ "revision": "g".repeat(64) }), "revision"),
        (good, json!({ "revision": stale }), "revision"),
        (good, json!({ "high": "yes" }), "high"),
        (good, json!({ "high": 1 }), "high"),
        (good, json!({ "restore_keys": "main" }), "restore_keys"),
        (good, json!({ "restore_keys": [1] }), "restore_keys[0]"),
        (good, json!({ "restore_keys": {} }), "restore_keys"),
        (good, json!({ "restore_keys": ["nobody"] }), "restore_keys"),
    ];
    assert!(inputs.len() >= 20);
    let before = admin::revision(&app);
    for (path, body, field) in inputs {
        let told = post(&app, path, &body).await;
        if !told.status.is_client_error() || !told.fields().contains(&field) {
            let told = format!("{} {:?} {}", told.status, told.fields(), told.body["error"]);
            wrong.push(format!("{path} {body}: expected `{field}`, found {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(admin::revision(&app), before);
}

/// These take no body: what can be wrong is the name and the query.
#[tokio::test]
async fn account_enable_and_disable() {
    let app = started().await;
    let before = admin::revision(&app);
    for way in ["enable", "disable"] {
        for (name, query, field) in [
            ("carol", "", "accounts.carol.enabled"),
            ("al%20ice", "", "accounts.\"al ice\".enabled"),
            ("%00", "", "accounts.\"\\u0000\".enabled"),
            ("Alice", "", "accounts.Alice.enabled"),
            ("alice", "revision=", "revision"),
            ("alice", "revision=1", "revision"),
            ("alice", "revision=zz", "revision"),
            ("alice", "dry_run=1", "dry_run"),
            ("alice", "dry_run=", "dry_run"),
            ("alice", "force=true", "force"),
        ] {
            let told = post(&app, &format!("/accounts/{name}/{way}?{query}"), &json!({})).await;
            let fields = told.fields().join(" ");
            assert!(
                told.status.is_client_error(),
                "{name} {query}: {}",
                told.body
            );
            let named = field.split('.').collect::<Vec<_>>();
            assert!(fields.starts_with(named[0]), "{name} {query}: {fields}");
        }
    }
    assert_eq!(admin::revision(&app), before);
}
