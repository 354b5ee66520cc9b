use super::*;
use crate::upstream::testing::{Server, answer, json as reply, nobody, upstream};

fn client(bases: &[&str]) -> AntigravityClient {
    AntigravityClient::new(&upstream(bases), &HttpClients::new()).unwrap()
}

fn token() -> Secret {
    Secret::new("tok-1")
}

const LIST: &str = r#"{"models":{"m":{}}}"#;

#[tokio::test]
async fn a_generation_as_vector_o21_has_it() {
    let events = "data: {\"response\":{}}\n\n";
    let server = Server::start([answer(200, "text/event-stream", events)]).await;
    let mut settings = upstream(&[&format!("{}/", server.base)]);
    settings
        .headers
        .insert("x-team".to_owned(), Secret::new("a"));
    settings.user_agent = "agp/test".to_owned();
    let client = AntigravityClient::new(&settings, &HttpClients::new()).unwrap();
    assert_eq!((client.hosts(), client.user_agent()), (1, "agp/test"));
    let body = Bytes::from_static(b"{\"request\":{}}");
    let answer = client
        .stream_generate(0, &token(), body)
        .await
        .ok()
        .unwrap();
    assert_eq!(answer.body.read_all(100).await.unwrap(), events.as_bytes());
    let seen = server.seen().remove(0);
    assert_eq!(
        seen.line,
        "POST /v1internal:streamGenerateContent?alt=sse HTTP/1.1"
    );
    assert_eq!(seen.body, "{\"request\":{}}");
    for (name, value) in [
        ("authorization", "Bearer tok-1"),
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("user-agent", "agp/test"),
        ("x-team", "a"),
    ] {
        assert_eq!(
            seen.headers.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert!(!seen.headers.contains_key("x-goog-user-project"));
}

#[tokio::test]
async fn generation_asks_the_host_it_is_told() {
    let second = Server::start([reply(404, "{}")]).await;
    let client = client(&[&nobody().await, &second.base]);
    let token = token();
    let call = |host| client.stream_generate(host, &token, Bytes::new());
    assert_eq!(call(0).await.err().unwrap().class, Class::Network);
    assert_eq!(call(1).await.err().unwrap().class, Class::ModelNotFound);
    assert_eq!(call(2).await.err().unwrap().class, Class::Network);
}

#[tokio::test]
async fn tokens_are_counted_as_vector_a18_has_it() {
    let server = Server::start([
        reply(200, r#"{"totalTokens":31}"#),
        reply(200, "{}"),
        reply(400, "{}"),
    ])
    .await;
    let client = client(&[&server.base]);
    let body = Bytes::from_static(b"{}");
    assert_eq!(client.count_tokens(0, &token(), body.clone()).await, Ok(31));
    let uncounted = client.count_tokens(0, &token(), body.clone()).await;
    assert_eq!(uncounted.unwrap_err().class, Class::UpstreamGarbage);
    let refused = client.count_tokens(0, &token(), body).await;
    assert_eq!(refused.unwrap_err().class, Class::BadRequest);
    assert_eq!(server.lines()[0], "POST /v1internal:countTokens");
}

#[tokio::test]
async fn models_walk_the_hosts() {
    let missing = Server::start([reply(404, "{}")]).await;
    let page = Server::start([answer(502, "text/html", "<html>")]).await;
    let good = Server::start([reply(200, LIST)]).await;
    let client = client(&[&nobody().await, &missing.base, &page.base, &good.base]);
    let list = client.fetch_models(&token(), Some("p-1")).await.unwrap();
    assert_eq!(list.models[0].id, "m");
    for server in [&missing, &page, &good] {
        assert_eq!(server.lines(), ["POST /v1internal:fetchAvailableModels"]);
        assert_eq!(server.seen()[0].body, r#"{"project":"p-1"}"#);
    }
}

#[tokio::test]
async fn what_no_host_can_mend_is_asked_of_one() {
    for status in [400, 401, 429] {
        let first = Server::start([reply(status, "{}")]).await;
        let second = Server::start([reply(200, LIST)]).await;
        let client = client(&[&first.base, &second.base]);
        let failure = client.fetch_models(&token(), None).await.unwrap_err();
        assert_eq!(failure.status, Some(status));
        assert_eq!(first.seen()[0].body, "{}");
        assert!(second.seen().is_empty());
    }
    let last = Server::start([reply(503, "{}")]).await;
    let client = client(&[&nobody().await, &last.base]);
    assert_eq!(
        client
            .fetch_models(&token(), None)
            .await
            .unwrap_err()
            .status,
        Some(503)
    );
}

#[tokio::test]
async fn a_403_is_asked_once_more_without_the_project() {
    let server = Server::start([reply(403, "{}"), reply(200, LIST)]).await;
    let list = client(&[&server.base])
        .fetch_models(&token(), Some("p-1"))
        .await;
    assert_eq!(list.unwrap().models.len(), 1);
    let bodies: Vec<String> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [r#"{"project":"p-1"}"#, "{}"]);
    let server = Server::start([reply(403, "{}"), reply(403, "{}")]).await;
    let failure = client(&[&server.base]).fetch_models(&token(), None).await;
    assert_eq!(failure.unwrap_err().class, Class::Forbidden);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn discovery_over_http() {
    let setup = Server::start([
        reply(
            200,
            r#"{"allowedTiers":[{"id":"free-tier","isDefault":true}]}"#,
        ),
        reply(
            200,
            r#"{"done":true,"response":{"cloudaicompanionProject":{"id":"p-1"}}}"#,
        ),
    ])
    .await;
    let mut settings = upstream(&[&nobody().await]);
    settings.setup_urls = vec![setup.base.clone()];
    let client = AntigravityClient::new(&settings, &HttpClients::new()).unwrap();
    let found = client.discover(&token(), None).await.unwrap();
    assert_eq!(
        (found.tier.as_str(), found.project.as_deref()),
        ("free-tier", Some("p-1"))
    );
    let seen = setup.seen();
    assert_eq!(
        setup.lines(),
        [
            "POST /v1internal:loadCodeAssist",
            "POST /v1internal:onboardUser"
        ]
    );
    assert_eq!(
        seen[0].body,
        r#"{"metadata":{"ideType":"IDE_UNSPECIFIED"}}"#
    );
    assert_eq!(
        seen[1].body,
        r#"{"tierId":"free-tier","metadata":{"ideType":"IDE_UNSPECIFIED"}}"#
    );
    assert_eq!(seen[1].headers["authorization"], "Bearer tok-1");
}

#[tokio::test]
async fn an_operation_is_asked_for_by_name() {
    let server = Server::start([reply(200, r#"{"name":"operations/abc"}"#)]).await;
    let client = client(&[&server.base]);
    let api = HttpSetup {
        client: &client,
        token: &token(),
    };
    let operation = api.operation("operations/abc").await.unwrap();
    assert!(!operation.done);
    assert_eq!(server.lines(), ["GET /v1internal/operations/abc"]);
    assert!(!server.seen()[0].headers.contains_key("content-type"));
}

#[tokio::test]
async fn service_controls_are_recognised() {
    let body = r#"{"error":{"code":403,"details":[{"reason":"SECURITY_POLICY_VIOLATED"}]}}"#;
    let server = Server::start([reply(403, body), reply(403, "{}")]).await;
    let client = client(&[&server.base]);
    let found = client.discover(&token(), Some("mine")).await.unwrap();
    assert_eq!(
        (found.tier.as_str(), found.project.as_deref()),
        ("standard-tier", Some("mine"))
    );
    let body = r#"{"metadata":{"ideType":"IDE_UNSPECIFIED","duetProject":"mine"},"cloudaicompanionProject":"mine"}"#;
    assert_eq!(server.seen()[0].body, body);
    let refused = client.discover(&token(), Some("mine")).await;
    assert_eq!(refused.unwrap_err().class, Class::Forbidden);
}

#[test]
fn headers_that_cannot_be_sent() {
    for (name, value) in [("bad name", "v"), ("x-ok", "line\nbreak")] {
        let mut settings = upstream(&["http://a.example"]);
        settings.headers.insert(name.to_owned(), Secret::new(value));
        let error = AntigravityClient::new(&settings, &HttpClients::new())
            .err()
            .unwrap();
        assert!(error.contains(name) && !error.contains("break"), "{error}");
    }
}
