//! Signing in at the panel and at a provider, rightly and wrongly.

use serde_json::{Value, json};

use super::{Garden, Texts, send};
use crate::support::within;

/// What a browser sends and is given. What the answers to the right sign-in hold is for the browser alone: they are not heard.
pub(super) async fn sign_in(garden: &mut Garden, texts: &Texts, url: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let api = format!("{url}/admin/api/v1");
    let request = client.post(format!("{api}/login"));
    let right = request.body(json!({ "password": texts.password }).to_string());
    let right = within("an answer", right.send()).await.unwrap();
    assert_eq!(right.status(), 200);
    let cookie = right.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&right.bytes().await.unwrap()).unwrap();
    let csrf = body["session"]["csrf"].as_str().unwrap().to_owned();
    // The first part of the token is the same for all.
    let token = cookie
        .rsplit_once('=')
        .unwrap()
        .1
        .split_once('.')
        .unwrap()
        .1;
    garden.note("session's token", token);
    garden.note("session's token against CSRF", &csrf);

    let code = garden.plant("provider's code");
    let wanted = json!({ "upstream": "sim", "origin": url }).to_string();
    let start = client
        .post(format!("{api}/oauth"))
        .header("cookie", &cookie);
    let start = start.header("x-agp-csrf", &csrf).body(wanted);
    let start = within("an answer", start.send()).await.unwrap();
    assert_eq!(start.status(), 200);
    let pending = start.headers()["set-cookie"].to_str().unwrap();
    let pending = pending.split(';').next().unwrap().to_owned();
    garden.note(
        "a pending sign-in's cookie",
        pending.split_once('=').unwrap().1,
    );
    let start: Value = serde_json::from_slice(&start.bytes().await.unwrap()).unwrap();
    let state = start["state"].as_str().unwrap();
    for query in [
        format!("code={code}&state={state}"),
        format!("code={code}"),
        format!("code={code}&state={code}"),
        format!("error=access_denied&error_description={code}&state={state}"),
    ] {
        let request = client.get(format!("{url}/oauth-callback?{query}"));
        let both = format!("{cookie}; {pending}");
        send(garden, "the callback", request.header("cookie", both)).await;
    }
    let post = |path: &str, body: Value| {
        let request = client.post(format!("{api}{path}")).body(body.to_string());
        request.header("cookie", &cookie)
    };
    for address in [
        code.clone(),
        format!("http://localhost/?code={code}&state={code}"),
    ] {
        let request = post("/oauth/paste", json!({ "address": address }));
        send(garden, "oauth paste", request.header("x-agp-csrf", &csrf)).await;
    }

    let wrong = garden.plant_odd("a wrong password");
    for body in [
        json!({ "password": wrong }),
        json!({ "password": [wrong] }),
        json!({ "passwrod": wrong }),
        json!(wrong),
    ] {
        send(garden, "login", post("/login", body)).await;
    }
    let guess = garden.plant("guessed token against CSRF");
    for request in [
        post("/logout", json!({})).header("x-agp-csrf", &guess),
        post("/pool/refresh", json!({})),
        client
            .get(format!("{api}/overview"))
            .header("cookie", &cookie),
        client
            .get(format!("{api}/overview"))
            .bearer_auth(wrong.replace('é', "")),
        client.get(format!("{api}/overview")).bearer_auth(token),
        post("/logout", json!({})).header("x-agp-csrf", &csrf),
        client
            .get(format!("{api}/overview"))
            .header("cookie", &cookie),
    ] {
        send(garden, "with a session", request).await;
    }
}
