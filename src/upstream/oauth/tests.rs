use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn client() -> OAuthClient {
    OAuthClient {
        client_id: "demo-client".to_owned(),
        client_secret: Secret::new("demo-secret"),
        auth_url: "https://accounts.google.com/o/oauth2/v2/auth".to_owned(),
        token_url: "https://oauth2.googleapis.com/token".to_owned(),
        userinfo_url: "https://www.googleapis.com/oauth2/v2/userinfo?alt=json".to_owned(),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        redirect_uri: "http://localhost:51121/oauth-callback".to_owned(),
    }
}

fn vector(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/shared/accounts");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn shared_vector_q04() {
    let case = vector("q04_authorize_url.json");
    let (input, expect) = (&case["input"], &case["expect"]);
    let client = OAuthClient {
        client_id: input["client_id"].as_str().unwrap().to_owned(),
        redirect_uri: input["redirect_uri"].as_str().unwrap().to_owned(),
        scopes: serde_json::from_value(input["scopes"].clone()).unwrap(),
        ..client()
    };
    let (state, pkce) = (new_state().unwrap(), Pkce::new().unwrap());
    let url = authorize_url(&client, &state, &pkce.challenge).unwrap();
    assert_eq!(url.scheme(), expect["scheme"]);
    assert_eq!(url.host_str().unwrap(), expect["host"]);
    assert_eq!(url.path(), expect["path"]);
    let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    for (key, expect) in expect["query"].as_object().unwrap() {
        match expect {
            Value::String(absent) if absent == "<absent>" => assert!(!query.contains_key(key)),
            Value::String(text) if key != "$partial" => assert_eq!(&query[key], text),
            _ => {}
        }
    }
    assert_eq!(query["state"], state);
    assert!(state.len() >= 16);
    assert_eq!(query["code_challenge"].len(), 43);
    assert_eq!(query["code_challenge_method"], "S256");
    assert!(!url.as_str().contains("demo-secret"));
}

#[test]
fn shared_vector_q05() {
    let case = vector("q05_refresh_request.json");
    let (input, expect) = (&case["input"], &case["expect"]);
    let token = Secret::new(input["refresh_token"].as_str().unwrap());
    let form_client = client();
    let form = refresh_form(&form_client, &token);
    let form: serde_json::Map<String, Value> = form
        .fields()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect();
    assert_eq!(Value::Object(form), expect["http"]["form"]);
    let now = Timestamp::parse_rfc3339(input["now"].as_str().unwrap()).unwrap();
    let grant = parse_grant(input["answer"].to_string().as_bytes()).unwrap();
    let stored = &expect["stored"];
    assert_eq!(grant.access_token.expose(), stored["access_token"]);
    assert_eq!(
        grant.refresh_token.unwrap_or(token).expose(),
        stored["refresh_token"]
    );
    let expires = now.plus(grant.expires_in);
    assert_eq!(expires.to_string(), stored["expires_at"].as_str().unwrap());
}

#[test]
fn a_proof_key_is_the_hash_of_its_verifier() {
    let (a, b) = (Pkce::new().unwrap(), Pkce::new().unwrap());
    assert_ne!(a.verifier, b.verifier);
    assert_eq!(a.verifier.expose().len(), 43);
    let hash = Sha256::digest(a.verifier.expose().as_bytes());
    assert_eq!(
        URL_SAFE_NO_PAD.decode(&a.challenge).unwrap(),
        hash.as_slice()
    );
    assert_ne!(new_state().unwrap(), new_state().unwrap());
}

#[test]
fn the_exchange_names_code_redirect_and_verifier() {
    let (c, code, verifier) = (client(), Secret::new("4/x"), Secret::new("v"));
    let form = exchange_form(&c, &code, &verifier);
    let keys: Vec<_> = form.fields().iter().map(|(key, _)| *key).collect();
    assert_eq!(
        keys,
        [
            "grant_type",
            "code",
            "client_id",
            "client_secret",
            "redirect_uri",
            "code_verifier"
        ]
    );
    assert_eq!(form.fields()[1].1, "4/x");
    assert_eq!(form.fields()[4].1, c.redirect_uri);
}

#[test]
fn grants() {
    let read = |text: &str| parse_grant(text.as_bytes());
    let grant = read(r#"{"access_token":"a","expires_in":"10","refresh_token":"r"}"#).unwrap();
    assert_eq!(grant.expires_in, Duration::from_secs(10));
    assert_eq!(grant.refresh_token, Some(Secret::new("r")));
    let grant = read(r#"{"access_token":"a","refresh_token":""}"#).unwrap();
    assert_eq!(
        (grant.expires_in, grant.refresh_token),
        (USUAL_LIFETIME, None)
    );
    let grant = read(r#"{"access_token":"a","expires_in":18446744073709551615}"#).unwrap();
    assert_eq!(grant.expires_in, LONGEST_LIFETIME);
    for bad in [
        "",
        "<html>",
        "{}",
        r#"{"access_token":""}"#,
        r#"{"access_token":"a\nb"}"#,
        "[]",
    ] {
        assert_eq!(read(bad).unwrap_err().class, Class::ServerError, "{bad}");
    }
    assert!(!format!("{:?}", read(r#"{"access_token":"hidden"}"#)).contains("hidden"));
}

#[test]
fn userinfo_answers() {
    let read = |text: &str| parse_userinfo(text.as_bytes());
    let email = read(r#"{"id":"1","email":"alice@example.com"}"#)
        .unwrap()
        .email;
    assert_eq!(email.as_deref(), Some("alice@example.com"));
    assert_eq!(read(r#"{"email":7}"#).unwrap().email, None);
    assert_eq!(read("<html>").unwrap_err().class, Class::UpstreamGarbage);
}

#[test]
fn callbacks_that_hold_a_code() {
    let scope = "scope=email%20https://www.googleapis.com/auth/userinfo.email";
    let address = "http://localhost:51121/oauth-callback?state=S&code=4/0Ab_c-d";
    for pasted in [
        address.to_owned(),
        format!("  \"{address}\" \n"),
        format!("{address}&{scope}"),
        format!("{address}{address}"),
        format!("{address}&{scope}{address}&{scope}"),
        format!("{address} {address}"),
        format!("{address}#fragment"),
        "http://localhost:51121/oauth-callback?code=4%2F0Ab_c-d&state=S".to_owned(),
        "localhost:51121/oauth-callback?code=4%2F0Ab_c-d&state=S".to_owned(),
        "?code=4%2F0Ab_c-d&state=S".to_owned(),
        "code=4%2F0Ab_c-d&state=S".to_owned(),
        "4/0Ab_c-d".to_owned(),
        " 4%2F0Ab_c-d\r\n".to_owned(),
    ] {
        let code = parse_callback(&pasted, "S");
        assert_eq!(code, Ok(Secret::new("4/0Ab_c-d")), "{pasted}");
    }
}

#[test]
fn callbacks_that_do_not() {
    let read = |pasted: &str| parse_callback(pasted, "S").unwrap_err();
    assert_eq!(
        read("http://localhost:1/cb?error=access_denied&state=S"),
        CallbackError::Refused("access_denied".to_owned())
    );
    for stranger in [
        "http://localhost:1/cb?code=4/x&state=T",
        "http://localhost:1/cb?code=4/x",
    ] {
        assert_eq!(read(stranger), CallbackError::WrongState);
    }
    for none in [
        "http://localhost:1/cb",
        "http://localhost:1/cb?state=S",
        "https://a.example/?code=&state=S",
    ] {
        assert_eq!(read(none), CallbackError::NoCode, "{none}");
    }
    for bad in ["", "   ", "a b", "4/x;rm", "%ff", "ünï"] {
        assert_eq!(read(bad), CallbackError::Unreadable, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_code_survives_the_address(code in "[!-~]{1,60}", state in "[A-Za-z0-9_-]{1,43}") {
        let mut url = Url::parse("http://localhost:51121/oauth-callback").unwrap();
        url.query_pairs_mut().append_pair("state", &state).append_pair("code", &code);
        let expected = Ok(Secret::new(code));
        prop_assert_eq!(&parse_callback(url.as_str(), &state), &expected);
        let twice = format!("{url}{url}");
        prop_assert_eq!(&parse_callback(&twice, &state), &expected);
    }

    #[test]
    fn no_paste_makes_it_panic(pasted in "\\PC{0,80}") {
        let _ = parse_callback(&pasted, "S");
    }
}
