//! Models, keys, paths and methods.

use agp::base::time::Timestamp;
use serde_json::json;

use crate::input::{FLASH, assert_refused, assert_serves, plain};
use crate::support::TestApp;
use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got};
use crate::support::setup::{KEY, Setup};

#[tokio::test]
async fn a_missing_model_is_the_default_one_where_there_is_one() {
    let app = plain().await;
    for dialect in BOTH {
        let mut body = dialect.saying(FLASH, "hi", false);
        body.as_object_mut().unwrap().remove("model");
        assert_refused(
            &app.send(dialect, &body).await.error(dialect),
            dialect,
            "model",
        );
    }
    let app = TestApp::start(
        Setup::new(&["alice"]).routing("default_model", FLASH),
        json!({}),
    )
    .await;
    for dialect in BOTH {
        let mut body = dialect.saying(FLASH, "hi", false);
        body.as_object_mut().unwrap().remove("model");
        let got = app.send(dialect, &body).await;
        assert_eq!(got.said(dialect), "You said: hi");
        assert_eq!(got.json()["model"], FLASH);
    }
}

#[tokio::test]
async fn an_unknown_model_is_a_404() {
    let app = plain().await;
    for dialect in BOTH {
        for stream in [false, true] {
            let body = dialect.saying("gpt-17", "hi", stream);
            let told = app.send(dialect, &body).await.error(dialect);
            assert_eq!(told.status, 404);
            assert!(told.message.contains("gpt-17"), "{told:?}");
            match dialect {
                OpenAi => assert_eq!(
                    (
                        told.kind.as_str(),
                        told.code.as_deref(),
                        told.param.as_deref()
                    ),
                    (
                        "invalid_request_error",
                        Some("model_not_found"),
                        Some("model")
                    )
                ),
                Anthropic => assert_eq!(told.kind, "not_found_error"),
            }
        }
    }
}

const OFF: &str = "test-key-that-is-switched-off-0123456789";
const OLD: &str = "test-key-that-has-expired-0123456789";
const CLAUDES: &str = "test-key-for-claude-only-0123456789";
const BOBS: &str = "test-key-for-accounts-of-bob-0123456789";

/// Keys of every kind.
fn with_keys() -> Setup {
    let today = Timestamp::now().to_string()[..10].parse::<toml::value::Datetime>();
    let key = |setup: Setup, name: &str, value: &str| setup.at(&["keys", name], "key", value);
    let keys = [
        ("off", OFF),
        ("old", OLD),
        ("claude", CLAUDES),
        ("bobs", BOBS),
    ];
    keys.into_iter()
        .fold(Setup::new(&["alice", "bob"]), |setup, (name, value)| {
            key(setup, name, value)
        })
        .at(&["keys", "off"], "enabled", false)
        .at(&["keys", "old"], "expires", today.unwrap())
        .at(&["keys", "claude"], "models", vec!["claude-*".to_owned()])
        .at(&["keys", "bobs"], "accounts", vec!["tag:bobs".to_owned()])
        .account_set("bob", "tags", vec!["bobs".to_owned()])
}

#[tokio::test]
async fn a_key_is_asked_for() {
    let app = TestApp::start(with_keys(), json!({})).await;
    for dialect in BOTH {
        let body = dialect.saying(FLASH, "hi", false);
        for key in ["", "nobody", OFF, OLD, &"x".repeat(10_000)] {
            let told = Got::read(app.request_as(dialect, key, &body))
                .await
                .error(dialect);
            assert_eq!(told.status, 401, "{key}");
            match dialect {
                OpenAi => assert_eq!(
                    (told.kind.as_str(), told.code.as_deref()),
                    ("invalid_request_error", Some("invalid_api_key"))
                ),
                Anthropic => assert_eq!(told.kind, "authentication_error"),
            }
        }
        let without = app
            .client
            .post(app.url(dialect.path()))
            .body(body.to_string());
        let told = Got::read(without).await.error(dialect);
        assert_eq!(told.status, 401);
        if dialect == OpenAi {
            assert_eq!(told.code.as_deref(), Some("missing_api_key"));
        }
        let basic = app
            .client
            .post(app.url(dialect.path()))
            .basic_auth("user", Some(KEY));
        assert_eq!(
            Got::read(basic.body(body.to_string()))
                .await
                .error(dialect)
                .status,
            401
        );
    }
}

#[tokio::test]
async fn a_keys_rights_hold() {
    let app = TestApp::start(with_keys(), json!({})).await;
    for dialect in BOTH {
        // A key without the right learns no more than that of a model that does not exist.
        let body = dialect.saying(FLASH, "hi", false);
        let told = Got::read(app.request_as(dialect, CLAUDES, &body))
            .await
            .error(dialect);
        assert_eq!(told.status, 404);
        let allowed = dialect.saying("claude-sonnet-4-5", "hi", false);
        let got = Got::read(app.request_as(dialect, CLAUDES, &allowed)).await;
        assert_eq!(got.said(dialect), "You said: hi");
    }
    let listed = app.client.get(app.url("/v1/models")).bearer_auth(CLAUDES);
    let listed = Got::read(listed).await.json();
    let names: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m["id"].as_str())
        .collect();
    assert_eq!(names, ["claude-sonnet-4-5", "claude-sonnet-4-5-thinking"]);

    // A key that is bound to accounts uses no other.
    app.sim.clear();
    for _ in 0..5 {
        let request = app.request_as(OpenAi, BOBS, &OpenAi.saying(FLASH, "hi", false));
        assert_eq!(Got::read(request).await.status, 200);
    }
    assert_eq!(app.served(), ["bob"; 5]);
}

#[tokio::test]
async fn wrong_methods_and_paths_are_told_in_the_paths_dialect() {
    let app = plain().await;
    for (dialect, path) in [
        (OpenAi, "/v1/chat/completions"),
        (Anthropic, "/v1/messages"),
        (Anthropic, "/messages"),
        (Anthropic, "/v1/messages/count_tokens"),
    ] {
        for method in [
            reqwest::Method::GET,
            reqwest::Method::PUT,
            reqwest::Method::DELETE,
        ] {
            let got = Got::read(app.client.request(method, app.url(path))).await;
            assert_eq!(got.error(dialect).status, 405, "{path}");
        }
    }
    let got = Got::read(app.client.post(app.url("/v1/models"))).await;
    assert_eq!(got.error(OpenAi).status, 405);
    for (dialect, path) in [
        (OpenAi, "/v1/embeddings"),
        (OpenAi, "/"),
        (OpenAi, "/v1"),
        (OpenAi, "/v1/chat"),
        (OpenAi, "/v1/chat/completions/more"),
        (OpenAi, "/%00%ff/../../etc/passwd"),
        (Anthropic, "/v1/messages/batches"),
    ] {
        let got = Got::read(app.client.post(app.url(path))).await;
        assert_eq!(got.error(dialect).status, 404, "{path}");
    }
    let model = |path: &str| app.client.get(app.url(path)).bearer_auth(KEY);
    assert_eq!(
        Got::read(model("/v1/models/gpt-17"))
            .await
            .error(OpenAi)
            .status,
        404
    );
    assert_eq!(
        Got::read(model(&format!("/v1/models/{FLASH}")))
            .await
            .json()["id"],
        FLASH
    );
    assert_serves(&app).await;
}
