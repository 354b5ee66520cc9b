//! A list of attacks on the admin surface. Each is refused.

use http::{Method, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::signin::{PASSWORD, Session, asked, login, setup, url};
use crate::support::{TestApp, within};

const SECRET: &str = "a secret of a test that protects nothing";

async fn started() -> TestApp {
    let setup = setup().set("admin", "jwt_secret", SECRET);
    TestApp::start(setup, json!({})).await
}

/// The claims of a session's cookie.
fn claims(session: &Session) -> Value {
    use base64::Engine as _;
    let token = session.cookie.split_once('=').unwrap().1;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

async fn status_with(app: &TestApp, token: &str) -> StatusCode {
    let request = app.client.get(url(app, "/status"));
    let request = request.header("cookie", format!("agp_session={token}"));
    asked(request).await.status
}

/// Of a live session's own claims: signed otherwise, for something else, too old, or altered.
#[tokio::test]
async fn a_token_that_was_not_made_here_for_this_is_refused() {
    let app = started().await;
    let session = Session::begin(&app).await;
    let good = claims(&session);
    let signed = |algorithm, claims: &Value, secret: &str| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), claims, &key).unwrap()
    };
    let same = signed(Algorithm::HS256, &good, SECRET);
    assert_eq!(
        status_with(&app, &same).await,
        StatusCode::OK,
        "the forger knows the secret"
    );
    let mut bad = vec![
        signed(Algorithm::HS512, &good, SECRET),
        signed(Algorithm::HS384, &good, SECRET),
        signed(Algorithm::HS256, &good, "another secret"),
        same.rsplit_once('.').unwrap().0.to_owned() + ".",
        "x".repeat(2000),
        String::new(),
    ];
    for (claim, value) in [
        ("aud", json!("other")),
        ("iss", json!("other")),
        ("kind", json!("refresh")),
        ("exp", json!(1)),
        ("jti", json!("a session that was never begun")),
    ] {
        let mut changed = good.clone();
        changed[claim] = value;
        bad.push(signed(Algorithm::HS256, &changed, SECRET));
    }
    let (_, rest) = same.split_once('.').unwrap();
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJSUzI1NiJ9"] {
        bad.push(format!("{header}.{rest}"));
        bad.push(format!("{header}.{}.", rest.split('.').next().unwrap()));
    }
    for token in bad {
        assert_eq!(
            status_with(&app, &token).await,
            StatusCode::UNAUTHORIZED,
            "{token}"
        );
    }
    let out = asked(session.post(&app, "/logout")).await;
    assert_eq!(out.status, StatusCode::OK);
    assert_eq!(
        status_with(&app, &same).await,
        StatusCode::UNAUTHORIZED,
        "replayed"
    );
}

#[tokio::test]
async fn another_site_can_not_make_a_browser_write() {
    let app = started().await;
    let (own, other) = (Session::begin(&app).await, Session::begin(&app).await);
    let pause = || {
        let request = app.client.post(url(&app, "/accounts/alice/pause"));
        request.header("cookie", &own.cookie)
    };
    for csrf in [None, Some(""), Some("x"), Some(other.csrf.as_str())] {
        let request = csrf.map_or_else(pause, |csrf| pause().header("x-agp-csrf", csrf));
        assert_eq!(
            asked(request).await.status,
            StatusCode::FORBIDDEN,
            "{csrf:?}"
        );
    }
    for origin in ["http://evil.example", "null", "https://127.0.0.1"] {
        let request = own.post(&app, "/accounts/alice/pause");
        let refused = asked(request.header("origin", origin)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{origin}");
        let sign_in = asked(login(&app, PASSWORD).header("origin", origin)).await;
        assert_eq!(sign_in.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(sign_in.set_cookie(), None);
    }
    let here = app.url("");
    let good = own
        .post(&app, "/accounts/alice/pause")
        .header("origin", here);
    assert_eq!(asked(good).await.status, StatusCode::OK);
    for path in ["/login", "/session", "/status"] {
        let request = own.get(&app, path).header("host", "evil.example");
        assert_eq!(
            asked(request).await.status,
            StatusCode::MISDIRECTED_REQUEST,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_flood_of_sign_ins_leaves_a_session_alone() {
    let app = started().await;
    let session = Session::begin(&app).await;
    let mut flood = Vec::new();
    for n in 0..60 {
        let request = login(&app, &format!("a wrong password {n}"));
        flood.push(app.aside(async move { request.send().await.unwrap().status() }));
    }
    for _ in 0..20 {
        assert!(session.lasts(&app).await);
    }
    let mut refused = 0;
    for one in flood {
        let status = one.await.unwrap();
        assert!([401, 429].contains(&status.as_u16()), "{status}");
        refused += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused >= 50, "{refused}");
    assert_eq!(
        asked(login(&app, PASSWORD)).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    let paused = asked(session.post(&app, "/accounts/alice/pause")).await;
    assert_eq!(paused.status, StatusCode::OK);
}

/// As bytes: a client would tidy the path.
async fn raw(app: &TestApp, path: &str) -> String {
    let at = app.gateway().addr().unwrap();
    within("an answer", async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {at}\r\naccept: text/html\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}

#[tokio::test]
async fn no_path_leads_out_of_the_panels_files_and_nobody_frames_it() {
    let app = started().await;
    for path in [
        "/assets/../../../Cargo.toml",
        "/assets/..%2f..%2f..%2fCargo.toml",
        "/assets/%2e%2e/%2e%2e/%2e%2e/Cargo.toml",
        "/assets/%252e%252e%252fCargo.toml",
        "/assets//etc/passwd",
        "/assets/..\\..\\..\\Cargo.toml",
        "/assets/.%00/Cargo.toml",
        "/assets/",
    ] {
        let answer = raw(&app, path).await;
        let refused = answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400");
        assert!(refused, "{path}: {answer}");
        assert!(
            !answer.contains("[package]") && !answer.contains("root:"),
            "{path}"
        );
    }
    for path in ["/", "/accounts", "/logs/01ABC?x=1", "/assets/none.js"] {
        let answer = raw(&app, path).await.to_lowercase();
        for header in [
            "frame-ancestors 'none'",
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
        ] {
            assert!(answer.contains(header), "{path}: {answer}");
        }
        assert!(!answer.contains("unsafe-inline"), "{path}");
    }
    let foreign = app.client.request(Method::GET, app.url("/"));
    let foreign = foreign
        .header("accept", "text/html")
        .header("host", "evil.example");
    assert_eq!(asked(foreign).await.status, StatusCode::MISDIRECTED_REQUEST);
}
