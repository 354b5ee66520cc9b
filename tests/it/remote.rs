//! The admin API over HTTP: who may ask, where it is, and that the command line finds its way there.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use agp::server::admin::operations;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::process::{agp, run};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until};

const READER: &str = "token-of-a-test-that-may-only-look";
const WRITER: &str = "token-of-a-test-that-may-change-things";

fn with_token(setup: Setup, name: &str, token: &str, role: &str) -> Setup {
    let digest = format!("{:x}", Sha256::digest(token));
    setup.at(&["admin", "tokens", name], "sha256", digest).at(
        &["admin", "tokens", name],
        "role",
        role,
    )
}

fn setup() -> Setup {
    let setup = Setup::new(&["alice", "bob"]).account_set("alice", "enabled", true);
    with_token(setup, "plans", READER, "read")
}

async fn started(setup: Setup) -> TestApp {
    TestApp::start(setup, json!({})).await
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

async fn asked(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or_default(),
    }
}

fn url(at: SocketAddr, path: &str) -> String {
    format!("http://{at}/admin/api/v1{path}")
}

fn here(app: &TestApp) -> SocketAddr {
    app.gateway().addr().unwrap()
}

async fn got(app: &TestApp, path: &str, token: &str) -> Answer {
    let request = app.client.get(url(here(app), path)).bearer_auth(token);
    asked(request).await
}

async fn posted(app: &TestApp, path: &str, token: &str) -> Answer {
    let request = app.client.post(url(here(app), path)).bearer_auth(token);
    asked(request).await
}

#[tokio::test]
async fn a_token_is_needed_and_its_role_is_kept_to() {
    let app = started(with_token(setup(), "ops", WRITER, "write")).await;
    for token in ["", "wrong", KEY, &"x".repeat(10_000)] {
        let refused = got(&app, "/status", token).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(
            refused.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        assert!(refused.body["error"].is_string());
    }
    let bare = asked(app.client.get(url(here(&app), "/status"))).await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    let basic = app
        .client
        .get(url(here(&app), "/status"))
        .basic_auth("admin", Some(READER));
    assert_eq!(asked(basic).await.status, StatusCode::UNAUTHORIZED);

    let status = got(&app, "/status", READER).await;
    assert_eq!(status.status, StatusCode::OK);
    assert_eq!(status.headers["cache-control"], "no-store");
    assert_eq!(status.body["config"]["generation"], 1);
    let refused = posted(&app, "/accounts/alice/disable", READER).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.body["error"]
            .as_str()
            .unwrap()
            .contains("role write")
    );
    assert!(
        fs::read_to_string(app.root())
            .unwrap()
            .contains("enabled = true")
    );
    let done = posted(&app, "/accounts/alice/disable", WRITER).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert!(
        fs::read_to_string(app.root())
            .unwrap()
            .contains("enabled = false")
    );

    assert_eq!(
        got(&app, "/nothing", READER).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        got(&app, "/reload", WRITER).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        got(&app, "/status?x=1", READER).await.status,
        StatusCode::BAD_REQUEST
    );
}

/// What a token may not do is refused before the operation looks at anything.
#[tokio::test]
async fn no_operation_that_changes_something_takes_a_readers_token() {
    let app = started(setup()).await;
    let mut n = 0;
    for operation in operations().filter(|o| o.role == agp::config::model::Role::Write) {
        n += 1;
        let path = operation
            .path
            .replace("{name}", "nobody")
            .replace("{id}", "x")
            .replace("{state}", "x")
            .replace("{generation}", "1");
        let request = app
            .client
            .request(operation.verb.method(), url(here(&app), &path));
        let refused = asked(request.bearer_auth(READER)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", operation.name);
    }
    assert!(n >= 8, "{n}");
}

#[tokio::test]
async fn a_page_of_another_site_can_not_ask() {
    let app = started(setup().set("server", "public_url", "https://gateway.example")).await;
    for (host, status) in [
        ("gateway.example", StatusCode::OK),
        ("localhost:8088", StatusCode::OK),
        ("evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let request = app
            .client
            .get(url(here(&app), "/status"))
            .bearer_auth(READER);
        let answer = asked(request.header("host", host)).await;
        assert_eq!(answer.status, status, "{host}");
    }
    // Clients of models may come by any name.
    let models = app.client.get(format!("http://{}/v1/models", here(&app)));
    let models = models.bearer_auth(KEY).header("host", "evil.example");
    assert_eq!(asked(models).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_leaves_the_file_is_refused_from_then_on() {
    let mut app = started(setup()).await;
    assert_eq!(got(&app, "/status", READER).await.status, StatusCode::OK);
    app.setup = with_token(Setup::new(&["alice"]), "other", WRITER, "write");
    app.save();
    let runtime = Arc::clone(app.runtime());
    until("the reload", || runtime.snapshot().generation == 2).await;
    assert_eq!(
        got(&app, "/status", READER).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(got(&app, "/status", WRITER).await.status, StatusCode::OK);
}

#[tokio::test]
async fn it_moves_to_an_address_of_its_own_and_goes() {
    let mut app = started(setup().set("admin", "listen", "127.0.0.1:0")).await;
    let own = app.gateway().admin_addr().unwrap();
    let at = |at, path| app.client.get(url(at, path)).bearer_auth(READER);
    let status = asked(at(own, "/status")).await;
    assert_eq!(status.status, StatusCode::OK);
    assert_eq!(status.body["admin"], own.to_string());
    let public = asked(at(here(&app), "/status")).await;
    assert_eq!(public.status, StatusCode::NOT_FOUND);
    // Models are not served there, metrics are, for whoever has a token.
    let chat = app
        .client
        .get(format!("http://{own}/v1/models"))
        .bearer_auth(KEY);
    assert_eq!(asked(chat).await.status, StatusCode::NOT_FOUND);
    let metrics = || app.client.get(format!("http://{own}/metrics"));
    assert_eq!(asked(metrics()).await.status, StatusCode::UNAUTHORIZED);
    let page = metrics().bearer_auth(READER).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("agp_"));

    app.setup = setup();
    app.save();
    let runtime = Arc::clone(app.runtime());
    until("the reload", || runtime.snapshot().generation == 2).await;
    assert_eq!(app.gateway().admin_addr(), None);
    assert_eq!(got(&app, "/status", READER).await.status, StatusCode::OK);

    app.setup = setup().set("admin", "enabled", false);
    app.save();
    until("the reload", || runtime.snapshot().generation == 3).await;
    assert_eq!(
        got(&app, "/status", READER).await.status,
        StatusCode::NOT_FOUND
    );
}

/// The command line as in a pipeline that has nothing of the gateway but its address and a token.
#[tokio::test]
async fn the_commands_ask_a_gateway_elsewhere() {
    let app = started(setup()).await;
    let away = tempfile::tempdir().unwrap();
    let changed = app.setup.clone().set("routing", "strategy", "random");
    fs::write(away.path().join("agp.toml"), changed.text(&app.sim.url())).unwrap();
    fs::write(away.path().join("token"), format!("{READER}\n")).unwrap();
    let url = format!("http://{}", here(&app));
    let asking = |args: &[&str]| {
        let args = [args, &["--url", &url, "--token-file", "token"]].concat();
        run(agp(away.path(), &args), "")
    };
    let status = asking(&["status"]).await;
    assert!(
        status.code == 0 && status.out.contains("generation 1"),
        "{status:?}"
    );
    let plan = asking(&["plan", "agp.toml", "--fail-on", "low"]).await;
    assert!(plan.code == 3 && plan.out.contains("random"), "{plan:?}");
    let against = [
        "plan",
        "agp.toml",
        "--against",
        &url,
        "--token-file",
        "token",
    ];
    let against = run(agp(away.path(), &against), "").await;
    assert!(
        against.code == 0 && against.out.contains("random"),
        "{against:?}"
    );
    assert!(against.out.contains(&url), "{against:?}");
    let reload = asking(&["reload"]).await;
    assert!(
        reload.code == 1 && reload.err.contains("role write"),
        "{reload:?}"
    );
    let pick = asking(&["pick", "gemini-2.5-flash"]).await;
    assert!(pick.code == 0 && pick.out.contains("alice"), "{pick:?}");

    fs::write(away.path().join("token"), "another").unwrap();
    let refused = asking(&["status"]).await;
    assert!(
        refused.code == 1 && refused.err.contains("not valid"),
        "{refused:?}"
    );
    let bare = run(agp(away.path(), &["status", "--url", &url]), "").await;
    assert!(
        bare.code == 1 && bare.err.contains("--token-file"),
        "{bare:?}"
    );
    let alone = run(agp(away.path(), &["status", "--token-file", "token"]), "").await;
    assert!(alone.code == 1 && alone.err.contains("--url"), "{alone:?}");
    let nobody = [
        "status",
        "--url",
        "http://127.0.0.1:9",
        "--token-file",
        "token",
    ];
    let nobody = run(agp(away.path(), &nobody), "").await;
    assert!(
        nobody.code == 4 && nobody.err.contains("127.0.0.1:9"),
        "{nobody:?}"
    );
    for left in [&status, &plan, &reload, &refused, &nobody] {
        assert!(!left.err.contains(READER) && !left.out.contains(READER));
    }
}

#[tokio::test]
async fn a_body_is_bounded_and_read_for_nobody_unknown() {
    let app = started(setup()).await;
    let large = |token: &str| {
        let body = vec![b' '; 65 << 20];
        let request = app.client.post(url(here(&app), "/plan")).bearer_auth(token);
        asked(request.body(body))
    };
    assert_eq!(large(READER).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let junk = app
        .client
        .post(url(here(&app), "/plan"))
        .bearer_auth(READER)
        .body("{");
    assert_eq!(asked(junk).await.status, StatusCode::BAD_REQUEST);
}
