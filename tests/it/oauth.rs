//! Adding an account by its provider's consent page: both ways back, and what another person's sign-in can't do.

use http::StatusCode;
use serde_json::{Value, json};

use crate::signin::{Answer, Session, asked, setup};
use crate::support::TestApp;
use crate::support::admin::revision;

async fn started() -> TestApp {
    TestApp::start(setup(), json!({})).await
}

/// A browser at the provider's: what it was given, and where consent leads it.
struct Begun {
    state: String,
    cookie: String,
    /// Path and query that the provider's page leads back to.
    back: String,
}

/// Begins, and consents at the simulated provider as this person.
async fn consented(app: &TestApp, session: &Session, body: Value, email: &str) -> Begun {
    let begun = asked(session.post(app, "/oauth").body(body.to_string())).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    let cookie = begun.set_cookie().unwrap();
    for part in [
        "HttpOnly",
        "SameSite=Lax",
        "Path=/oauth-callback",
        "Max-Age=600",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let url = begun.body["url"].as_str().unwrap();
    let consent = format!("{url}&sim_account={email}");
    let answer = app.client.get(consent).send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap();
    let (_, path) = to.split_once("/oauth-callback").unwrap();
    Begun {
        state: begun.body["state"].as_str().unwrap().to_owned(),
        cookie: cookie.split(';').next().unwrap().to_owned(),
        back: format!("/oauth-callback{path}"),
    }
}

/// The browser is led back.
async fn returned(app: &TestApp, back: &str, cookie: &str) -> Answer {
    let request = app.client.get(app.url(back));
    let request = request
        .header("accept", "text/html")
        .header("cookie", cookie);
    asked(request).await
}

async fn step(app: &TestApp, session: &Session, state: &str) -> Value {
    asked(session.get(app, &format!("/oauth/{state}")))
        .await
        .body
}

async fn confirmed(app: &TestApp, session: &Session, state: &str) -> Answer {
    let path = format!("/oauth/{state}/confirm?revision={}", revision(app));
    asked(session.post(app, &path).body("{}")).await
}

fn origin() -> Value {
    json!({ "origin": "http://localhost:8088" })
}

#[tokio::test]
async fn a_consent_leads_back_and_whoever_began_confirms_it() {
    let app = started().await;
    let session = Session::begin(&app).await;
    let one = consented(&app, &session, origin(), "carol@example.com").await;
    assert_eq!(step(&app, &session, &one.state).await["step"], "waiting");
    let back = returned(&app, &one.back, &one.cookie).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    assert_eq!(back.headers["location"], format!("/oauth/{}", one.state));
    assert!(back.set_cookie().unwrap().contains("Max-Age=0"));
    let found = step(&app, &session, &one.state).await;
    assert_eq!(
        (&found["step"], &found["email"], &found["account"]),
        (&json!("found"), &json!("carol@example.com"), &Value::Null)
    );
    let text = || std::fs::read_to_string(app.root()).unwrap();
    assert!(!text().contains("carol"));

    let made = confirmed(&app, &session, &one.state).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert_eq!(made.body["renewed"], false);
    let name = made.body["name"].as_str().unwrap();
    assert!(
        text().contains("email = \"carol@example.com\"") && text().contains("agp1:"),
        "{}",
        text()
    );
    assert!(app.runtime().snapshot().accounts.contains_key(name));
    // It is over: nothing is left to be confirmed a second time.
    let again = confirmed(&app, &session, &one.state).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    // The same person once more gets a new token.
    let two = consented(&app, &session, origin(), "carol@example.com").await;
    returned(&app, &two.back, &two.cookie).await;
    assert_eq!(step(&app, &session, &two.state).await["account"], *name);
    let before = text();
    let made = confirmed(&app, &session, &two.state).await;
    assert_eq!(made.body["renewed"], true, "{}", made.body);
    assert_eq!(text().lines().count(), before.lines().count());
    assert_ne!(text(), before);
}

#[tokio::test]
async fn the_address_can_be_pasted_and_what_is_wrong_with_it_is_said_at_the_field() {
    let app = started().await;
    let session = Session::begin(&app).await;
    let paste = async |text: &str| {
        let body = json!({ "address": text }).to_string();
        asked(session.post(&app, "/oauth/paste").body(body)).await
    };
    let none = paste("4/code").await;
    assert_eq!(
        (none.status, none.field()),
        (StatusCode::BAD_REQUEST, Some("address"))
    );
    let one = consented(&app, &session, origin(), "dave@example.com").await;
    for wrong in [
        "http://localhost:8088/oauth-callback?state=other&code=4/x",
        "http://localhost:8088/oauth-callback?state=other",
        "not an address",
    ] {
        let refused = paste(wrong).await;
        assert_eq!(
            (refused.status, refused.field()),
            (StatusCode::BAD_REQUEST, Some("address")),
            "{wrong}"
        );
    }
    let found = paste(&format!("http://localhost:8088{}", one.back)).await;
    assert_eq!(found.body["step"], "found", "{}", found.body);
    let made = confirmed(&app, &session, &one.state).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    // A second paste of the same finds nothing that waits.
    assert_eq!(paste(&one.back).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn another_persons_sign_in_can_not_be_slipped_in() {
    let app = started().await;
    let (victim, attacker) = (Session::begin(&app).await, Session::begin(&app).await);
    let theirs = consented(&app, &attacker, origin(), "mallory@example.com").await;
    let own = consented(&app, &victim, origin(), "alice@example.com").await;
    // The link that the victim is made to open: with no cookie, and with that of a sign-in of its own.
    for cookie in ["", &own.cookie, "agp_oauth="] {
        let page = returned(&app, &theirs.back, cookie).await;
        assert_eq!(
            page.status,
            StatusCode::OK,
            "the page that shows its address"
        );
        assert_eq!(
            step(&app, &attacker, &theirs.state).await["step"],
            "waiting"
        );
    }
    // Pasting it does nothing either, and what somebody else began is not there.
    let body = json!({ "address": theirs.back }).to_string();
    let refused = asked(victim.post(&app, "/oauth/paste").body(body)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        returned(&app, &theirs.back, &theirs.cookie).await.status,
        StatusCode::SEE_OTHER
    );
    let own_path = format!("/oauth/{}", theirs.state);
    let confirm = format!("{own_path}/confirm?revision={}", revision(&app));
    for request in [
        victim.get(&app, &own_path),
        victim.post(&app, &confirm).body("{}"),
        victim.post(&app, &format!("{own_path}/cancel")),
    ] {
        assert_eq!(asked(request).await.status, StatusCode::NOT_FOUND);
    }
    // Without the header that a page of another site can't send nothing is made.
    let request = attacker.get(&app, "/session").build().unwrap();
    let cookie = request.headers()["cookie"].clone();
    let forged = app
        .client
        .post(crate::signin::url(&app, &confirm))
        .header("cookie", cookie);
    assert_eq!(asked(forged.body("{}")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.runtime().snapshot().accounts.len(), 1);
}

#[tokio::test]
async fn who_refuses_and_where_the_panel_is_open_is_told() {
    let app = started().await;
    let session = Session::begin(&app).await;
    let begun = asked(session.post(&app, "/oauth").body(origin().to_string())).await;
    let (state, url) = (
        begun.body["state"].as_str().unwrap(),
        begun.body["url"].as_str().unwrap(),
    );
    let answer = app
        .client
        .get(format!("{url}&sim_deny=1"))
        .send()
        .await
        .unwrap();
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    let (_, query) = to.split_once("/oauth-callback").unwrap();
    let cookie = begun.set_cookie().unwrap().split(';').next().unwrap();
    let back = returned(&app, &format!("/oauth-callback{query}"), cookie).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    let failed = step(&app, &session, state).await;
    assert_eq!(failed["step"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("access_denied"));
    // The redirect address of these tests' upstream names port 0: no panel is open there.
    for (at, lands, moves) in [
        ("http://localhost:0", true, Value::Null),
        ("http://127.0.0.1:0", false, json!("http://localhost:0")),
        ("https://gw.example", false, Value::Null),
        ("nonsense", false, Value::Null),
    ] {
        let body = json!({ "origin": at }).to_string();
        let begun = asked(session.post(&app, "/oauth").body(body)).await.body;
        assert_eq!(
            (&begun["lands_here"], &begun["move_to"]),
            (&json!(lands), &moves),
            "{at}: {begun}"
        );
    }
    for (body, status, field) in [
        (json!({}), 400, "origin"),
        (json!({ "origin": 1 }), 400, "origin"),
        (
            json!({ "origin": "x", "upstream": "none" }),
            404,
            "upstream",
        ),
        (
            json!({ "origin": "x", "account": "nobody" }),
            404,
            "account",
        ),
        (json!({ "origin": "x", "more": 1 }), 400, "more"),
    ] {
        let refused = asked(session.post(&app, "/oauth").body(body.to_string())).await;
        assert_eq!(
            (refused.status.as_u16(), refused.field()),
            (status, Some(field)),
            "{body}"
        );
    }
}
