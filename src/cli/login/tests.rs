use reqwest::Url;

use super::*;
use crate::upstream::client::HttpClients;
use crate::upstream::testing::{Reply, Server, json, upstream};

const GRANT: &str = r#"{"access_token":"a1","expires_in":3599,"refresh_token":"r\"1"}"#;

fn oauth_client(base: &str) -> OAuthClient {
    OAuthClient {
        client_id: "demo-client".to_owned(),
        client_secret: Secret::new("demo-secret"),
        auth_url: format!("{base}/auth"),
        token_url: format!("{base}/token"),
        userinfo_url: format!("{base}/userinfo?alt=json"),
        scopes: vec!["scope-1".to_owned()],
        redirect_uri: "http://localhost:8088/oauth-callback".to_owned(),
    }
}

/// Runs a sign-in with these answers of the provider and these pasted lines.
async fn run(
    replies: Vec<Reply>,
    pasted: &str,
    seal: Option<Seal<'_>>,
) -> (Result<(), String>, String, Server) {
    let server = Server::start(replies).await;
    let http = HttpClients::new().get(&upstream(&[])).unwrap();
    let mut output = Vec::new();
    let result = login(
        "google",
        &upstream(&[]),
        oauth_client(&server.base),
        &http,
        &mut pasted.as_bytes(),
        &mut output,
        seal,
    )
    .await;
    (result, String::from_utf8(output).unwrap(), server)
}

/// The table that was printed, read as TOML.
fn table(output: &str) -> toml::Table {
    let (_, text) = output.split_once("agp.toml:\n\n").unwrap();
    text.parse().unwrap()
}

#[tokio::test]
async fn a_code_becomes_a_table() {
    let who = r#"{"email":"Alice.B@example.com"}"#;
    let (result, output, server) =
        run(vec![json(200, GRANT), json(200, who)], "\n4%2Fcode\n", None).await;
    assert_eq!(result, Ok(()));
    let account = table(&output)["accounts"]["alice-b"].clone();
    assert_eq!(account["upstream"].as_str(), Some("google"));
    assert_eq!(account["email"].as_str(), Some("Alice.B@example.com"));
    assert_eq!(account["refresh_token"].as_str(), Some("r\"1"));
    assert!(output.contains("# In clear"));
    assert!(!output.contains("demo-secret") && !output.contains("a1\n"));
    let line = output.lines().find(|line| line.contains("/auth?")).unwrap();
    let address = Url::parse(line.trim()).unwrap();
    let query = |name: &str| {
        let found = address.query_pairs().find(|(key, _)| key == name);
        found.unwrap().1.into_owned()
    };
    assert!(query("state").len() >= 16);
    let seen = server.seen();
    assert_eq!(server.lines(), ["POST /token", "GET /userinfo?alt=json"]);
    assert!(seen[0].body.contains("code=4%2Fcode") && seen[0].body.contains("code_verifier="));
    assert_eq!(
        seen[0].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(seen[1].headers["authorization"], "Bearer a1");
}

#[tokio::test]
async fn the_token_is_sealed_where_it_can_be() {
    let seal = |secret: &Secret| Ok(format!("agp1:{}", secret.expose().len()));
    let (result, output, _server) = run(
        vec![json(200, GRANT), json(500, "{}")],
        "4/code",
        Some(&seal),
    )
    .await;
    assert_eq!(result, Ok(()));
    let account = table(&output)["accounts"]["account"].clone();
    assert_eq!(account["refresh_token"]["sealed"].as_str(), Some("agp1:3"));
    assert_eq!(account.get("email"), None);
    assert!(!output.contains("r\\\"1") && !output.contains("In clear"));
}

#[tokio::test]
async fn a_bad_paste_is_asked_for_again() {
    let pasted = "http://localhost/cb?state=x\nhttp://localhost/cb?code=4/x&state=other\n4/code\n";
    let (result, output, _server) =
        run(vec![json(200, GRANT), json(200, "{}")], pasted, None).await;
    assert_eq!(result, Ok(()));
    assert_eq!(output.matches("try again").count(), 2);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let refused = |replies, pasted: &'static str| async move {
        run(replies, pasted, None).await.0.unwrap_err()
    };
    assert!(refused(vec![], "").await.contains("end of the input"));
    let denied = refused(vec![], "http://localhost/cb?error=access_denied&state=x").await;
    assert!(denied.contains("access_denied"));
    let old = refused(vec![json(400, r#"{"error":"invalid_grant"}"#)], "4/code").await;
    assert!(old.contains("agp login"));
    let client = refused(vec![json(401, r#"{"error":"invalid_client"}"#)], "4/code").await;
    assert!(client.contains("invalid_client") && client.contains("`oauth`"));
    let again = refused(vec![json(200, r#"{"access_token":"a"}"#)], "4/code").await;
    assert!(again.contains("no refresh token"));
    assert!(
        refused(vec![json(503, "{}")], "4/code")
            .await
            .contains("try again")
    );
}

#[tokio::test]
async fn other_kinds_have_no_sign_in() {
    let mut other = upstream(&[]);
    other.kind = Kind::OpenAi;
    let http = HttpClients::new().get(&other).unwrap();
    let client = oauth_client("http://localhost");
    let mut output = Vec::new();
    let result = login(
        "o",
        &other,
        client,
        &http,
        &mut "".as_bytes(),
        &mut output,
        None,
    )
    .await;
    assert!(result.unwrap_err().contains("antigravity"));
    assert!(output.is_empty());
}

#[test]
fn names_of_tables() {
    for (email, name) in [
        (Some("alice@example.com"), "alice"),
        (Some("Bob.C+x@example.com"), "bob-c-x"),
        (Some("ü@example.com"), "account"),
        (None, "account"),
    ] {
        assert_eq!(account_name(email), name);
    }
}
