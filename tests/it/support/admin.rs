//! The admin API as tests ask it, by HTTP with a token or as a session.

use std::sync::Arc;

use agp::config::model::Role;
use agp::server::admin;
use http::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::TestApp;
use super::setup::Setup;

/// The token that may change things.
pub(crate) const WRITER: &str = "token-of-a-test-that-may-change-things";

/// An answer of the admin API.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Told {
    /// The body of what went well.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:#}", self.body);
        self.body
    }

    /// The fields that are named as wrong.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let fields = self.body["fields"].as_array().into_iter().flatten();
        fields.filter_map(|f| f["field"].as_str()).collect()
    }
}

/// The same with a token that may change things.
pub(crate) fn with_writer(setup: Setup) -> Setup {
    let digest = format!("{:x}", Sha256::digest(WRITER));
    let path = ["admin", "tokens", "writer"];
    setup.at(&path, "sha256", digest).at(&path, "role", "write")
}

/// A request with the token that may change things.
pub(crate) fn signed(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    request.bearer_auth(WRITER)
}

async fn told(request: reqwest::RequestBuilder) -> Told {
    let response = request.bearer_auth(WRITER).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    Told {
        status,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

/// Asks by GET.
pub(crate) async fn get(app: &TestApp, path: &str) -> Told {
    told(app.client.get(app.url(&format!("{}{path}", admin::BASE)))).await
}

/// Asks by POST with this body.
pub(crate) async fn post(app: &TestApp, path: &str, body: &Value) -> Told {
    let url = app.url(&format!("{}{path}", admin::BASE));
    told(app.client.post(url).body(body.to_string())).await
}

/// Asks as a session of the panel does.
pub(crate) async fn as_session(
    app: &TestApp,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, admin::Refusal> {
    let gateway = Arc::clone(app.gateway().gateway());
    let caller = admin::Caller {
        name: "panel".to_owned(),
        from: None,
        role: Role::Write,
        how: admin::How::Session(agp::server::login::Session {
            id: [0; 32],
            csrf: agp::base::secret::Secret::new("none"),
            expires: agp::base::time::Timestamp(i64::MAX),
            remembered: false,
        }),
    };
    let uri = format!("{}{path}", admin::BASE).parse().unwrap();
    let body = bytes::Bytes::from(body.to_string());
    tokio::task::spawn_blocking(move || admin::run(&gateway, caller, &method, &uri, body))
        .await
        .unwrap()
}

/// The revision of the files.
pub(crate) fn revision(app: &TestApp) -> String {
    agp::config::source::Files::read(&app.root())
        .revision()
        .to_string()
}
