//! Signing in at the panel's API, and what ends a session.

use std::net::SocketAddr;
use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, SaltString};
use http::{HeaderMap, StatusCode};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::setup::Setup;
use crate::support::{TestApp, until};

pub(crate) const PASSWORD: &str = "correct: horse battery";

/// A hash that is made in no time, which protects nothing.
pub(crate) fn hash(password: &str) -> String {
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(&[7; 16]).unwrap();
    let hash = argon.hash_password(password.as_bytes(), &salt).unwrap();
    hash.to_string()
}

pub(crate) fn setup() -> Setup {
    Setup::new(&["alice"])
        .account_set("alice", "enabled", true)
        .set("admin", "password_hash", hash(PASSWORD))
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The cookie that it sets, whole.
    pub(crate) fn set_cookie(&self) -> Option<&str> {
        Some(self.headers.get("set-cookie")?.to_str().unwrap())
    }

    /// The field that it names.
    pub(crate) fn field(&self) -> Option<&str> {
        self.body["fields"][0]["field"].as_str()
    }
}

pub(crate) async fn asked(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or_default(),
    }
}

pub(crate) fn url(app: &TestApp, path: &str) -> String {
    app.url(&format!("/admin/api/v1{path}"))
}

pub(crate) fn login(app: &TestApp, password: &str) -> RequestBuilder {
    let body = json!({ "password": password }).to_string();
    app.client.post(url(app, "/login")).body(body)
}

/// Who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Session {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let cookie = answer.set_cookie().unwrap().split(';').next().unwrap();
        Self {
            cookie: cookie.to_owned(),
            csrf: answer.body["session"]["csrf"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) async fn begin(app: &TestApp) -> Self {
        Self::of(&asked(login(app, PASSWORD)).await)
    }

    pub(crate) fn get(&self, app: &TestApp, path: &str) -> RequestBuilder {
        let request = app.client.get(url(app, path));
        request.header("cookie", &self.cookie)
    }

    pub(crate) fn post(&self, app: &TestApp, path: &str) -> RequestBuilder {
        let request = app.client.post(url(app, path));
        request
            .header("cookie", &self.cookie)
            .header("x-agp-csrf", &self.csrf)
    }

    pub(crate) async fn lasts(&self, app: &TestApp) -> bool {
        // It renews nothing, other than `/session`.
        let answer = asked(self.get(app, "/status")).await;
        assert!([200, 401].contains(&answer.status.as_u16()));
        answer.status == StatusCode::OK
    }
}

async fn started(setup: Setup) -> TestApp {
    TestApp::start(setup, json!({})).await
}

/// Saves another file, and waits until it is in force.
async fn edit(app: &mut TestApp, setup: Setup) {
    let runtime = Arc::clone(app.runtime());
    let next = runtime.snapshot().generation + 1;
    app.setup = setup;
    app.save();
    until("the reload", || runtime.snapshot().generation == next).await;
}

#[tokio::test]
async fn who_knows_the_password_signs_in_works_and_signs_out() {
    let app = started(setup()).await;
    let page = asked(app.client.get(url(&app, "/login"))).await;
    assert_eq!(page.status, StatusCode::OK);
    let version = env!("CARGO_PKG_VERSION");
    let wanted = json!({"password": true, "remember_seconds": 604_800, "version": version});
    assert_eq!(page.body, wanted);

    let wrong = asked(login(&app, "correct: horse")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.field(), Some("password"));
    assert_eq!(wrong.set_cookie(), None);
    let empty = asked(login(&app, "")).await;
    assert_eq!(
        (empty.status, empty.field()),
        (StatusCode::BAD_REQUEST, Some("password"))
    );
    let long = asked(login(&app, &"x".repeat(1025))).await;
    assert_eq!(
        (long.status, long.field()),
        (StatusCode::BAD_REQUEST, Some("password"))
    );
    for junk in [
        "",
        "{",
        "[]",
        "{\"password\": 5}",
        "{\"password\":\"x\",\"role\":\"write\"}",
    ] {
        let answer = asked(app.client.post(url(&app, "/login")).body(junk)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{junk}");
    }
    let huge = app
        .client
        .post(url(&app, "/login"))
        .body(vec![b' '; 20_000]);
    assert_eq!(asked(huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);

    let signed_in = asked(login(&app, PASSWORD)).await;
    let session = Session::of(&signed_in);
    let cookie = signed_in.set_cookie().unwrap();
    assert!(
        cookie.ends_with("; Path=/admin; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert_eq!(signed_in.headers["cache-control"], "no-store");
    let shown = asked(session.get(&app, "/session")).await;
    assert_eq!(shown.body, signed_in.body["session"]);
    assert_eq!(shown.set_cookie(), None, "no half of its life is used");
    for (key, value) in [
        ("name", json!("admin")),
        ("role", json!("write")),
        ("how", json!("session")),
        ("remembered", json!(false)),
    ] {
        assert_eq!(shown.body[key], value, "{key}");
    }
    let status = asked(session.get(&app, "/status")).await;
    assert_eq!(status.body["config"]["generation"], 1);
    let paused = asked(session.post(&app, "/accounts/alice/pause")).await;
    assert_eq!(paused.status, StatusCode::OK, "{}", paused.body);

    let other = Session::begin(&app).await;
    let out = asked(session.post(&app, "/logout")).await;
    assert_eq!((out.status, &out.body), (StatusCode::OK, &json!({})));
    assert!(out.set_cookie().unwrap().contains("Max-Age=0"));
    assert!(!session.lasts(&app).await && other.lasts(&app).await);
    assert_eq!(
        asked(session.post(&app, "/logout")).await.status,
        StatusCode::UNAUTHORIZED
    );
    let method = asked(app.client.get(url(&app, "/logout"))).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_restart_keeps_sessions_and_their_ends() {
    let mut app = started(setup()).await;
    let (kept, ended) = (Session::begin(&app).await, Session::begin(&app).await);
    assert_eq!(
        asked(ended.post(&app, "/logout")).await.status,
        StatusCode::OK
    );
    app.restart().await;
    assert!(kept.lasts(&app).await && !ended.lasts(&app).await);
    let pause = asked(kept.post(&app, "/accounts/alice/pause")).await;
    assert_eq!(pause.status, StatusCode::OK, "the csrf token is the same");
}

/// `admin.password_hash`, `admin.password` and `admin.jwt_secret`: another one ends every session at once.
#[tokio::test]
async fn another_password_or_secret_ends_every_session() {
    let mut app = started(setup()).await;
    let session = Session::begin(&app).await;
    edit(&mut app, setup().routing("max_queue", 7)).await;
    assert!(session.lasts(&app).await, "another change ends nothing");

    edit(
        &mut app,
        setup().set("admin", "password_hash", hash("another password")),
    )
    .await;
    assert!(!session.lasts(&app).await);
    assert_eq!(
        asked(login(&app, PASSWORD)).await.status,
        StatusCode::UNAUTHORIZED
    );
    let session = Session::of(&asked(login(&app, "another password")).await);

    let plain = |password: &str| {
        setup()
            .without(&["admin"], "password_hash")
            .set("admin", "password", password)
    };
    edit(&mut app, plain("a password in clear")).await;
    assert!(!session.lasts(&app).await);
    let session = Session::of(&asked(login(&app, "a password in clear")).await);
    app.restart().await;
    assert!(session.lasts(&app).await);

    let signed = |secret: &str| plain("a password in clear").set("admin", "jwt_secret", secret);
    edit(&mut app, signed("a secret of a test")).await;
    assert!(!session.lasts(&app).await);
    let session = Session::of(&asked(login(&app, "a password in clear")).await);
    app.restart().await;
    assert!(session.lasts(&app).await);
    edit(&mut app, signed("another secret of a test")).await;
    assert!(!session.lasts(&app).await);
    // The one that is back finds the session again: it was not signed out.
    edit(&mut app, signed("a secret of a test")).await;
    assert!(session.lasts(&app).await);

    // Without a password nobody is signed in, and nobody can be.
    let none = setup().without(&["admin"], "password_hash");
    edit(
        &mut app,
        none.set("admin", "jwt_secret", "a secret of a test"),
    )
    .await;
    assert!(!session.lasts(&app).await);
    let page = asked(app.client.get(url(&app, "/login"))).await;
    assert_eq!(page.body["password"], false);
    for password in ["", PASSWORD, "a password in clear"] {
        assert_ne!(asked(login(&app, password)).await.status, StatusCode::OK);
    }
}

/// `admin.session_ttl` and `admin.remember_ttl`.
#[tokio::test]
async fn a_session_lasts_as_long_as_the_file_says_and_is_renewed_in_use() {
    let short = |ttl: &str| setup().set("admin", "session_ttl", ttl);
    let mut app = started(short("1s")).await;
    let session = Session::begin(&app).await;
    let renewed = loop {
        let answer = asked(session.get(&app, "/session")).await;
        assert_eq!(answer.status, StatusCode::OK);
        if let Some(cookie) = answer.set_cookie() {
            let cookie = cookie.split(';').next().unwrap().to_owned();
            let csrf = answer.body["csrf"].as_str().unwrap().to_owned();
            break Session { cookie, csrf };
        }
    };
    assert_eq!(renewed.csrf, session.csrf, "other pages go on");
    // A cookie counts whole seconds, and each has its own end.
    while session.lasts(&app).await || renewed.lasts(&app).await {}

    let remember = |app: &TestApp| {
        let body = json!({"password": PASSWORD, "remember": true}).to_string();
        asked(app.client.post(url(app, "/login")).body(body))
    };
    let remembered = remember(&app).await;
    assert!(
        remembered
            .set_cookie()
            .unwrap()
            .contains("; Max-Age=604800")
    );
    assert_eq!(remembered.body["session"]["remembered"], true);
    let kept = Session::of(&remembered);
    edit(&mut app, short("12h").set("admin", "remember_ttl", "0s")).await;
    let page = asked(app.client.get(url(&app, "/login"))).await;
    assert_eq!(page.body["remember_seconds"], Value::Null);
    let not_offered = remember(&app).await;
    assert_eq!(not_offered.body["session"]["remembered"], false);
    assert!(!not_offered.set_cookie().unwrap().contains("Max-Age"));
    assert!(kept.lasts(&app).await);
    edit(&mut app, short("12h").set("admin", "remember_ttl", "1s")).await;
    while kept.lasts(&app).await {}
}

/// `admin.password_as_bearer`.
#[tokio::test]
async fn the_password_is_a_bearer_token_where_the_file_says_so() {
    let mut app = started(setup()).await;
    let status = || app_get(&app, "/status");
    assert_eq!(
        asked(status().bearer_auth(PASSWORD)).await.status,
        StatusCode::UNAUTHORIZED
    );
    let basic = status().basic_auth("admin", Some(PASSWORD));
    assert_eq!(asked(basic).await.status, StatusCode::UNAUTHORIZED);

    edit(&mut app, setup().set("admin", "password_as_bearer", true)).await;
    for _ in 0..20 {
        // A colon is part of it; no throttle is in the way of the right one.
        let bearer = app_get(&app, "/status").bearer_auth(PASSWORD);
        assert_eq!(asked(bearer).await.status, StatusCode::OK);
        let basic = app_get(&app, "/session").basic_auth("admin", Some(PASSWORD));
        let told = asked(basic).await;
        assert_eq!(told.body["how"], "password", "{}", told.body);
        assert_eq!(told.body["csrf"], Value::Null);
    }
    let root = app_get(&app, "/status").basic_auth("root", Some(PASSWORD));
    assert_eq!(asked(root).await.status, StatusCode::UNAUTHORIZED);
    let pause = app.client.post(url(&app, "/accounts/alice/pause"));
    assert_eq!(
        asked(pause.bearer_auth(PASSWORD)).await.status,
        StatusCode::OK
    );
    let cut = PASSWORD.split_once(':').unwrap().0;
    let mut refused = 0;
    for _ in 0..20 {
        let answer = asked(app_get(&app, "/status").basic_auth("admin", Some(cut))).await;
        match answer.status.as_u16() {
            401 => {}
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(refused > 10, "{refused}");
    // The right one that is known already still passes, and is not after a change.
    let bearer = app_get(&app, "/status").bearer_auth(PASSWORD);
    assert_eq!(asked(bearer).await.status, StatusCode::OK);
    let other = setup().set("admin", "password_hash", hash("another password"));
    edit(&mut app, other.set("admin", "password_as_bearer", true)).await;
    let bearer = app_get(&app, "/status").bearer_auth(PASSWORD);
    assert_ne!(asked(bearer).await.status, StatusCode::OK);
}

fn app_get(app: &TestApp, path: &str) -> RequestBuilder {
    app.client.get(url(app, path))
}

/// `server.trusted_proxies`: who is throttled.
#[tokio::test]
async fn tries_are_counted_by_the_address_that_a_trusted_proxy_tells() {
    let behind = |app: &TestApp, from: &str, password: &str| {
        asked(login(app, password).header("x-forwarded-for", from))
    };
    // Nobody is trusted: one flood, whatever it says of itself.
    let mut app = started(setup()).await;
    let mut statuses = Vec::new();
    for n in 0..10 {
        let answer = behind(&app, &format!("203.0.113.{n}"), "wrong password").await;
        statuses.push(answer.status.as_u16());
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let wait: u64 = answer.headers["retry-after"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((1..=2).contains(&wait), "{wait}");
            assert_eq!(answer.field(), None);
        }
    }
    assert_eq!(statuses[..4], [401; 4]);
    assert!(statuses[4..].contains(&429), "{statuses:?}");

    let trusted = vec!["127.0.0.0/8".to_owned()];
    edit(&mut app, setup().set("server", "trusted_proxies", trusted)).await;
    let flood = async |from: &str| loop {
        let answer = behind(&app, from, "wrong password").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    };
    flood("203.0.113.9").await;
    assert_eq!(
        behind(&app, "203.0.113.10", PASSWORD).await.status,
        StatusCode::OK
    );
    // What the client itself wrote stands on the left.
    let mut written = Vec::new();
    for n in 0..8 {
        let line = format!("198.51.100.{n}, 203.0.113.77");
        written.push(behind(&app, &line, "wrong password").await.status.as_u16());
    }
    assert!(written.contains(&429), "{written:?}");
    // A /64 is one client, the next one is another.
    flood("2001:db8:0:1::1").await;
    for n in 2..6 {
        flood(&format!("2001:db8:0:1::{n}")).await;
    }
    let same = behind(&app, "2001:db8:0:1:ffff::1", PASSWORD).await;
    assert_eq!(same.status, StatusCode::TOO_MANY_REQUESTS);
    let next = behind(&app, "2001:db8:0:2::1", PASSWORD).await;
    assert_eq!(next.status, StatusCode::OK);
}

/// Where the panel is that other machines reach, there is a password, or no panel.
#[tokio::test]
async fn off_loopback_there_is_no_panel_without_a_password() {
    let open = || Setup::new(&["alice"]).set("admin", "listen", "0.0.0.0:0");
    let mut app = started(setup()).await;
    let runtime = Arc::clone(app.runtime());
    app.setup = open();
    app.save();
    until("the refusal", || !runtime.reload.lock().errors.is_empty()).await;
    let errors = runtime.reload.lock().errors.join("\n");
    assert!(
        errors.contains("admin.listen") && errors.contains("no password"),
        "{errors}"
    );
    assert_eq!(runtime.snapshot().generation, 1);
    assert_eq!(app.gateway().admin_addr(), None);
    app.setup = open().set("admin", "enabled", false);
    app.save();
    until("the reload", || runtime.snapshot().generation == 2).await;
    assert_eq!(app.gateway().admin_addr(), None);
    app.setup = open().set("admin", "password_hash", hash(PASSWORD));
    app.save();
    until("the reload", || runtime.snapshot().generation == 3).await;
    let own = app.gateway().admin_addr().unwrap();
    let own = SocketAddr::from(([127, 0, 0, 1], own.port()));
    let page = app.client.get(format!("http://{own}/admin/api/v1/login"));
    assert_eq!(asked(page).await.body["password"], true);
}

/// The history tells who saved what, and from where.
#[tokio::test]
async fn an_edit_by_a_session_is_the_panels() {
    let app = started(setup()).await;
    let session = Session::begin(&app).await;
    let blind = asked(session.post(&app, "/accounts/alice/disable")).await;
    assert_eq!(blind.status, StatusCode::PRECONDITION_REQUIRED);
    let status = asked(session.get(&app, "/status")).await.body;
    let revision = status["config"]["revision"].as_str().unwrap().to_owned();
    let path = format!("/accounts/alice/disable?revision={revision}");
    let done = asked(session.post(&app, &path)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    let applied = asked(session.get(&app, "/status")).await.body["config"]["applied"].clone();
    assert_eq!(applied["who"], "panel", "{applied}");
    assert_eq!(applied["from"], "127.0.0.1", "{applied}");
}

/// Whoever asks by a token is told so.
#[tokio::test]
async fn a_token_is_told_what_it_is() {
    let token = "token-of-a-test-that-may-only-look";
    let path = ["admin", "tokens", "plans"];
    let setup = setup()
        .at(&path, "sha256", format!("{:x}", Sha256::digest(token)))
        .at(&path, "role", "read");
    let app = started(setup).await;
    let told = asked(app_get(&app, "/session").bearer_auth(token))
        .await
        .body;
    let wanted = json!({
        "name": "plans", "role": "read", "how": "token", "csrf": null, "expires": null,
        "remembered": false,
    });
    assert_eq!(told, wanted);
    let out = app.client.post(url(&app, "/logout")).bearer_auth(token);
    assert_eq!(asked(out).await.status, StatusCode::OK);
    assert_eq!(
        asked(app_get(&app, "/status").bearer_auth(token))
            .await
            .status,
        StatusCode::OK
    );
}
