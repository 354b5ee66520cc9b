use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::upstream::testing::{Reply, Server, answer, json, nobody, upstream};

const LIMITS: Limits = Limits {
    first_byte: Duration::from_secs(20),
    idle: Duration::from_secs(20),
};
const IDLE: Duration = Duration::from_secs(10);
const ALMOST_IDLE: Duration = Duration::from_millis(9_999);

type Chunks = mpsc::UnboundedSender<Result<&'static str, std::io::Error>>;

/// A body that gives what is sent into the channel.
fn body() -> (Chunks, BodyStream) {
    let (send, mut receive) = mpsc::unbounded_channel::<Result<&'static str, std::io::Error>>();
    let chunks = stream::poll_fn(move |cx| receive.poll_recv(cx));
    (
        send,
        BodyStream::new(reqwest::Body::wrap_stream(chunks), IDLE),
    )
}

async fn next(body: &mut BodyStream) -> Option<Result<Bytes, Class>> {
    let next = body.next().await;
    next.map(|chunk| chunk.map_err(|failure| failure.class))
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_body() {
    let (send, mut body) = body();
    for _ in 0..5 {
        let later = async {
            tokio::time::sleep(ALMOST_IDLE).await;
            send.send(Ok("x")).unwrap();
        };
        let (chunk, ()) = tokio::join!(next(&mut body), later);
        assert_eq!(chunk, Some(Ok(Bytes::from("x"))));
    }
    let began = Instant::now();
    assert_eq!(next(&mut body).await, Some(Err(Class::Timeout)));
    assert_eq!(began.elapsed(), IDLE);
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_silence() {
    let (send, mut body) = body();
    send.send(Ok("a")).unwrap();
    assert_eq!(next(&mut body).await, Some(Ok(Bytes::from("a"))));
    tokio::time::sleep(IDLE * 10).await;
    // Nothing is there at once, but the upstream has all of the idle time to bring it.
    let later = async {
        tokio::time::sleep(ALMOST_IDLE).await;
        send.send(Ok("b")).unwrap();
    };
    let (chunk, ()) = tokio::join!(next(&mut body), later);
    assert_eq!(chunk, Some(Ok(Bytes::from("b"))));
    drop(send);
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn a_body_that_breaks_fails_once() {
    let (send, mut body) = body();
    send.send(Ok("a")).unwrap();
    send.send(Err(std::io::ErrorKind::ConnectionReset.into()))
        .unwrap();
    assert_eq!(next(&mut body).await, Some(Ok(Bytes::from("a"))));
    assert_eq!(next(&mut body).await, Some(Err(Class::Network)));
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn reads_are_bounded() {
    let (send, chunks) = body();
    send.send(Ok("abcdef")).unwrap();
    assert_eq!(chunks.read_start(4, IDLE).await, b"abcd");
    let (send, chunks) = body();
    send.send(Ok("abc")).unwrap();
    let began = Instant::now();
    assert_eq!(chunks.read_start(4, IDLE / 2).await, b"abc");
    assert_eq!(began.elapsed(), IDLE / 2);
    drop(send);
    let (send, chunks) = body();
    send.send(Ok("abc")).unwrap();
    send.send(Ok("def")).unwrap();
    let failure = chunks.read_all(5).await.unwrap_err();
    assert_eq!(failure.class, Class::UpstreamGarbage);
    let (send, chunks) = body();
    send.send(Ok("abc")).unwrap();
    drop(send);
    assert_eq!(chunks.read_all(3).await.unwrap(), b"abc");
}

fn client() -> Arc<reqwest::Client> {
    HttpClients::new().get(&upstream(&[])).unwrap()
}

async fn get(url: &str, limits: Limits) -> Result<Answer, Failure> {
    let response = send(client().get(url), Endpoint::Generate, limits, &[]).await?;
    events(response, limits, &[]).await
}

async fn class_of(reply: Reply) -> Class {
    let server = Server::start([reply]).await;
    match get(&server.base, LIMITS).await {
        Ok(_) => panic!("a success"),
        Err(failure) => failure.class,
    }
}

#[tokio::test]
async fn an_event_stream_comes_through() {
    for kind in [
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "application/octet-stream",
    ] {
        let server = Server::start([answer(200, kind, "data: {}\n\n")]).await;
        let answer = get(&server.base, LIMITS).await.ok().unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.read_all(100).await.unwrap(), b"data: {}\n\n");
    }
}

#[tokio::test]
async fn successes_that_are_none() {
    for (kind, body) in [
        ("text/html; charset=utf-8", "<html>Sorry...</html>"),
        ("Text/Plain", "this version is no longer supported"),
        ("application/json", "[{\"response\":{}}]"),
        ("text/html", ""),
    ] {
        let class = class_of(answer(200, kind, body)).await;
        assert_eq!(class, Class::UpstreamGarbage, "{kind}");
    }
    let error = r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}]"#;
    assert_eq!(class_of(json(200, error)).await, Class::Capacity);
}

#[tokio::test]
async fn refusals_are_classed_with_their_headers() {
    let raw = b"HTTP/1.1 429 X\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Server::start([Reply::Raw(raw.to_vec())]).await;
    let failure = get(&server.base, LIMITS).await.err().unwrap();
    assert_eq!(failure.class, Class::RateLimited);
    assert_eq!(failure.delay, Some(Duration::from_secs(7)));
    let long = format!("<html>{}", "x".repeat(MAX_REFUSAL * 4));
    assert_eq!(
        class_of(answer(500, "text/html", &long)).await,
        Class::UpstreamGarbage
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let raw =
        b"HTTP/1.1 302 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Server::start([Reply::Raw(raw.to_vec()), json(200, "{}")]).await;
    let failure = get(&server.base, LIMITS).await.err().unwrap();
    assert_eq!(
        (failure.class, failure.status),
        (Class::UpstreamGarbage, Some(302))
    );
    assert_eq!(server.lines(), ["GET /"]);
}

#[tokio::test]
async fn ways_not_to_get_an_answer() {
    let failure = get(&nobody().await, LIMITS).await.err().unwrap();
    assert_eq!(failure.class, Class::Network);
    assert!(
        failure.detail.starts_with("could not connect: "),
        "{}",
        failure.detail
    );
    assert_eq!(class_of(Reply::Raw(Vec::new())).await, Class::Network);
    let server = Server::start([Reply::Silence]).await;
    let limits = Limits {
        first_byte: Duration::from_millis(50),
        ..LIMITS
    };
    let failure = get(&server.base, limits).await.err().unwrap();
    assert_eq!(failure.class, Class::Timeout);
}

#[tokio::test]
async fn a_cut_body_is_a_failure() {
    let raw = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 100\r\n\r\ndata: {}\n\n";
    let server = Server::start([Reply::Raw(raw.to_vec())]).await;
    let mut answer = get(&server.base, LIMITS).await.ok().unwrap();
    assert_eq!(
        next(&mut answer.body).await,
        Some(Ok(Bytes::from("data: {}\n\n")))
    );
    assert_eq!(next(&mut answer.body).await, Some(Err(Class::Network)));
    assert_eq!(next(&mut answer.body).await, None);
}

#[tokio::test]
async fn a_small_call_has_one_limit() {
    let server = Server::start([Reply::Silence]).await;
    let request = client().get(&server.base);
    let limit = Duration::from_millis(50);
    let failure = small_call(request, Endpoint::Token, limit, &[])
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::Timeout);
}

#[tokio::test]
async fn the_configured_proxy_is_used() {
    let proxy = Server::start([answer(200, "text/event-stream", "")]).await;
    let mut settings = upstream(&[]);
    settings.proxy = Some(Secret::new(proxy.base.replace("://", "://user:pass@")));
    let client = HttpClients::new().get(&settings).unwrap();
    let request = client.get("http://upstream.invalid/x");
    send(request, Endpoint::Generate, LIMITS, &[])
        .await
        .unwrap();
    assert_eq!(proxy.lines(), ["GET http://upstream.invalid/x"]);
    assert!(proxy.seen()[0].headers.contains_key("proxy-authorization"));
}

/// A certificate authority, and a server's certificate of it, both as PEM, with that server's key.
fn authority() -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let (key, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &Issuer::new(params, key)).unwrap();
    (root.pem(), leaf.pem(), own.serialize_pem())
}

#[tokio::test]
async fn the_configured_authority_is_trusted() {
    use tokio::io::AsyncWriteExt as _;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};

    let (root, cert, key) = authority();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), root).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let serving = async {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            // Who does not trust it ends the handshake.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
    };

    let url = format!("https://localhost:{port}/");
    let mut settings = upstream(&[]);
    let stranger = HttpClients::new().get(&settings).unwrap();
    settings.ca_file = Some(folder.path().join("ca.pem"));
    let client = HttpClients::new().get(&settings).unwrap();
    let asking = async {
        (
            stranger.get(&url).send().await,
            client.get(&url).send().await,
        )
    };
    let (strange, trusted) = tokio::select! {
        answers = asking => answers,
        () = serving => unreachable!("it serves for ever"),
    };
    assert!(strange.is_err(), "anybody is trusted");
    assert_eq!(trusted.unwrap().status(), 200);
}

#[test]
fn clients_are_shared_by_settings() {
    let clients = HttpClients::new();
    let one = upstream(&["http://a.example"]);
    let first = clients.get(&one).unwrap();
    let second = clients.get(&upstream(&["http://b.example"])).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let slower = model::Upstream {
        connect_timeout: Duration::from_secs(9),
        ..one.clone()
    };
    let proxied = model::Upstream {
        proxy: Some(Secret::new("socks5://127.0.0.1:1")),
        ..one.clone()
    };
    let (slower, proxied) = (
        clients.get(&slower).unwrap(),
        clients.get(&proxied).unwrap(),
    );
    assert!(!Arc::ptr_eq(&first, &slower) && !Arc::ptr_eq(&first, &proxied));
    drop((first, second, slower));
    clients.get(&one).unwrap();
    assert_eq!(
        clients.cache.lock().len(),
        2,
        "the proxied one and the newest"
    );
}

#[test]
fn settings_that_make_no_client() {
    let clients = HttpClients::new();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = upstream(&[]);
    let path = folder.path().join("ca.pem");
    settings.ca_file = Some(path.clone());
    assert!(clients.get(&settings).unwrap_err().contains("ca.pem"));
    std::fs::write(&path, "not a certificate").unwrap();
    assert!(clients.get(&settings).unwrap_err().contains("PEM"));
    settings.ca_file = None;
    settings.proxy = Some(Secret::new("http://user:hunter2@[bad"));
    let error = clients.get(&settings).unwrap_err();
    assert!(
        error.contains("`proxy`") && !error.contains("hunter2"),
        "{error}"
    );
}
