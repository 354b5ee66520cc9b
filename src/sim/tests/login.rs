//! OAuth.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::*;

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-01";
const REDIRECT: &str = "http://localhost:51121/oauth-callback";

fn auth_url(change: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut query = BTreeMap::from([
        ("client_id", "sim-client"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("state", "0123456789abcdef"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    for (name, value) in change {
        query.insert(name, value);
    }
    let encode = |t: &str| {
        percent_encoding::utf8_percent_encode(t, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> = query
        .iter()
        .map(|(n, v)| format!("{n}={}", encode(v)))
        .collect();
    format!("/o/oauth2/v2/auth?{}", pairs.join("&"))
}

fn location(got: &Got) -> BTreeMap<String, String> {
    assert_eq!(got.status, 302, "{}", got.text);
    let target = got.headers["location"].to_str().unwrap();
    let url = reqwest::Url::parse(target).unwrap();
    assert!(target.starts_with(REDIRECT));
    url.query_pairs().into_owned().collect()
}

/// A code for carol.
async fn code(rig: &Rig) -> String {
    let got = rig
        .get(&auth_url(&[("sim_account", "carol@example.com")]))
        .await;
    let back = location(&got);
    assert_eq!(back["state"], "0123456789abcdef");
    back["code"].clone()
}

async fn exchange(rig: &Rig, code: &str, change: &[(&str, &str)]) -> Got {
    let mut form = BTreeMap::from([
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", "sim-client"),
        ("client_secret", "sim-secret"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]);
    for (name, value) in change {
        form.insert(name, value);
    }
    let form: Vec<_> = form.into_iter().collect();
    rig.form(&form).await
}

#[tokio::test]
async fn a_login_from_page_to_userinfo() {
    let mut rig = Rig::new("{}").await;
    let page = rig.get(&auth_url(&[])).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(r#"value="alice@example.com""#));
    assert!(page.text.contains(r#"type="email""#));
    let code = code(&rig).await;
    assert!(code.starts_with("4/"));
    let tokens = exchange(&rig, &code, &[]).await.json();
    assert_eq!(tokens["refresh_token"], "sim-refresh-carol");
    assert_eq!(tokens["expires_in"], 3599);
    assert_eq!(tokens["token_type"], "Bearer");
    rig.token = tokens["access_token"].as_str().unwrap().to_owned();
    let user = rig.get("/oauth2/v2/userinfo?alt=json").await.json();
    assert_eq!(user["email"], "carol@example.com");
    let again = exchange(&rig, &code, &[]).await;
    assert_eq!(
        (again.status, &again.json()["error"]),
        (400, &json!("invalid_grant"))
    );
}

#[tokio::test]
async fn consent_can_be_refused() {
    let rig = Rig::new("{}").await;
    let back = location(&rig.get(&auth_url(&[("sim_deny", "1")])).await);
    assert_eq!(back["error"], "access_denied");
    assert!(!back.contains_key("code"));
}

#[tokio::test]
async fn the_page_checks_its_parameters() {
    let rig = Rig::new("{}").await;
    for (name, value, error) in [
        ("client_id", "other", "invalid_client"),
        (
            "redirect_uri",
            "https://example.com/cb",
            "redirect_uri_mismatch",
        ),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "", "invalid_scope"),
        ("scope", "mail", "invalid_scope"),
        ("state", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
    ] {
        let got = rig
            .get(&auth_url(&[
                (name, value),
                ("sim_account", "a@example.com"),
            ]))
            .await;
        assert!(
            matches!(got.status, 400 | 401),
            "{name}={value}: {}",
            got.status
        );
        assert!(got.text.contains(error), "{name}={value}: {}", got.text);
    }
}

#[tokio::test]
async fn the_exchange_checks_what_it_is_given() {
    let rig = Rig::new("{}").await;
    for (name, value, status, error) in [
        ("client_id", "x", 401, "invalid_client"),
        ("client_secret", "x", 401, "invalid_client"),
        ("grant_type", "password", 400, "unsupported_grant_type"),
        (
            "redirect_uri",
            "http://localhost:1/cb",
            400,
            "redirect_uri_mismatch",
        ),
        ("code_verifier", "", 400, "invalid_grant"),
        ("code_verifier", "another", 400, "invalid_grant"),
        ("code", "4/made-up", 400, "invalid_grant"),
    ] {
        let got = exchange(&rig, &code(&rig).await, &[(name, value)]).await;
        assert_eq!(
            (got.status, &got.json()["error"]),
            (status, &json!(error)),
            "{name}"
        );
    }
    let url = format!("{}/token", rig.sim.url());
    let json = rig
        .client
        .post(url)
        .header("content-type", "application/json");
    let got = read(json.body("{}")).await;
    assert_eq!(got.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_second_login_without_consent_has_no_refresh_token() {
    let rig = Rig::new("{}").await;
    code(&rig).await;
    let url = auth_url(&[("sim_account", "carol@example.com"), ("prompt", "none")]);
    let back = location(&rig.get(&url).await);
    let tokens = exchange(&rig, &back["code"], &[]).await.json();
    assert!(tokens["access_token"].is_string());
    assert!(tokens.get("refresh_token").is_none());
}

#[tokio::test]
async fn refresh_tokens_rotate_and_are_revoked() {
    let rig = Rig::new(
        r#"{"rotate_refresh":true,"expires_in":7,"accounts":{"bob@example.com":{"revoked":true}}}"#,
    )
    .await;
    let refresh = async |token: &str| {
        rig.form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "sim-client"),
            ("client_secret", "sim-secret"),
        ])
        .await
    };
    let first = refresh("sim-refresh-dave").await.json();
    assert_eq!(first["expires_in"], 7);
    let next = first["refresh_token"].as_str().unwrap();
    assert_ne!(next, "sim-refresh-dave");
    assert_eq!(refresh("sim-refresh-dave").await.status, 400);
    assert_eq!(refresh(next).await.status, 200);
    for bad in ["sim-refresh-bob", "sim-refresh-", "other", ""] {
        assert_eq!(refresh(bad).await.json()["error"], "invalid_grant", "{bad}");
    }
}

#[tokio::test]
async fn the_token_endpoint_fails_by_script() {
    let rig = Rig::new("{}").await;
    let script = r#"{"rules":[{"method":"token","account":"alice*","times":1,"do":{"oauth_error":"invalid_grant"}},
        {"method":"token","times":1,"do":{"status":503}}]}"#;
    rig.sim.set_script(Script::parse(script).unwrap());
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "sim-refresh-alice"),
        ("client_id", "sim-client"),
        ("client_secret", "sim-secret"),
    ];
    let got = rig.form(&form).await;
    assert_eq!(
        (got.status, &got.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    assert_eq!(rig.form(&form).await.status, 503);
    assert_eq!(rig.form(&form).await.status, 200);
}

#[tokio::test]
async fn access_tokens_expire_and_are_revoked() {
    let mut rig = Rig::new(r#"{"accounts":{"bob@example.com":{"expires_in":0}}}"#).await;
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 200);
    rig.sim.revoke("alice@example.com");
    let got = rig.ask("gemini-2.5-flash", "hi").await;
    assert_eq!(
        (got.status, &got.json()["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    rig.token = rig.login("bob").await;
    assert_eq!(rig.get("/oauth2/v2/userinfo").await.status, 401);
    "none".clone_into(&mut rig.token);
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 401);
    rig.token = rig.login("alice").await;
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 200);
    rig.sim
        .set_script(Script::parse(r#"{"rules":[{"times":1,"do":{"revoke":true}}]}"#).unwrap());
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 401);
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 401);
    rig.token = rig.login("alice").await;
    assert_eq!(rig.ask("gemini-2.5-flash", "hi").await.status, 200);
}
