//! HTTPS at the listeners: `server.tls`, on its own certificate, through its changes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::support::process::{agp, run};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until, within};

/// A certificate of its own for these names, with its key.
struct Pair {
    cert: String,
    key: String,
}

fn pair(names: &[&str]) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Pair {
        cert: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

impl Pair {
    fn put(&self, folder: &Path) {
        fs::write(folder.join("tls.crt"), &self.cert).unwrap();
        fs::write(folder.join("tls.key"), &self.key).unwrap();
    }

    /// One who trusts this certificate alone.
    fn client(&self) -> Client {
        let root = Certificate::from_pem(self.cert.as_bytes()).unwrap();
        let client = Client::builder().no_proxy().tls_certs_only([root]);
        client.pool_max_idle_per_host(0).build().unwrap()
    }
}

fn encrypted(setup: Setup) -> Setup {
    setup
        .at(&["server", "tls"], "cert", "tls.crt")
        .at(&["server", "tls"], "key", "tls.key")
}

/// The status of the list of models over HTTPS; `None` where there is no such connection.
async fn models(app: &TestApp, client: &Client) -> Option<u16> {
    let port = app.gateway().addr().unwrap().port();
    let request = client.get(format!("https://localhost:{port}/v1/models"));
    let answer = request.bearer_auth(KEY).send().await.ok()?;
    Some(answer.status().as_u16())
}

/// A gateway that began without encryption and has it now.
async fn started(pair: &Pair) -> TestApp {
    let mut app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    pair.put(app.dir.path());
    app.setup = encrypted(app.setup.clone());
    app.save();
    let runtime = std::sync::Arc::clone(app.runtime());
    until("the reload", || runtime.snapshot().generation == 2).await;
    app
}

#[tokio::test]
async fn https_comes_with_a_reload_and_streams() {
    let pair = pair(&["localhost"]);
    let app = started(&pair).await;
    let client = pair.client();
    assert_eq!(models(&app, &client).await, Some(200));
    // Who does not speak it gets nothing.
    let plain = app.client.get(app.url("/healthz")).send().await;
    assert!(plain.is_err());
    // Who does not trust it does not ask.
    assert_eq!(models(&app, &app.client).await, None);

    let port = app.gateway().addr().unwrap().port();
    let body = json!({ "model": "gemini-2.5-flash", "stream": true, "messages": [{ "role": "user", "content": "hello" }] });
    let answer = client
        .post(format!("https://localhost:{port}/v1/chat/completions"))
        .bearer_auth(KEY)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let text = within("the stream", answer.text()).await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");

    let health = run(agp(app.dir.path(), &["healthcheck"]), "").await;
    // Port 0 of the file is not where it is: the address is given.
    assert_eq!(health.code, 4);
    let at = app.gateway().addr().unwrap().to_string();
    let args = ["healthcheck", "--listen", &at, "--tls"];
    let health = run(agp(app.dir.path(), &args), "").await;
    assert_eq!(health.code, 0, "{health:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_from_the_next_connection_on() {
    let (first, second) = (pair(&["localhost"]), pair(&["localhost"]));
    let app = started(&first).await;
    let (old, new) = (first.client(), second.client());
    assert_eq!(models(&app, &old).await, Some(200));
    assert_eq!(models(&app, &new).await, None);
    // The files of a renewal come one after the other: half of it changes nothing.
    fs::write(app.dir.path().join("tls.crt"), &second.cert).unwrap();
    until("the refusal", || {
        !app.runtime().reload.lock().errors.is_empty()
    })
    .await;
    let errors = app.runtime().reload.lock().errors.clone();
    assert!(
        errors[0].contains("tls.key") && errors[0].contains("together"),
        "{errors:?}"
    );
    assert_eq!(models(&app, &old).await, Some(200));
    fs::write(app.dir.path().join("tls.key"), &second.key).unwrap();
    until("the reload", || {
        app.runtime().reload.lock().errors.is_empty()
    })
    .await;
    assert_eq!(models(&app, &new).await, Some(200));
    assert_eq!(models(&app, &old).await, None);
}

/// Twenty renewals under load: nobody who trusts the authority notices, and the stream that was open before the first is whole.
#[tokio::test]
async fn twenty_renewals_fail_no_request() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = Pair {
        cert: params.self_signed(&key).unwrap().pem(),
        key: String::new(),
    };
    let issuer = Issuer::new(params, key);
    let renewed = || {
        let own = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        Pair {
            cert: leaf.signed_by(&own, &issuer).unwrap().pem(),
            key: own.serialize_pem(),
        }
    };
    let script = json!({
        "rules": [{"times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}],
        "text": "ok",
    });
    let setup = Setup::new(&["alice"]).unlimited();
    let setup = setup.upstream("idle_timeout", "10m");
    let mut app = TestApp::start(setup, script).await;
    renewed().put(app.dir.path());
    app.setup = encrypted(app.setup.clone());
    app.save();
    let runtime = std::sync::Arc::clone(app.runtime());
    until("the reload", || runtime.snapshot().generation == 2).await;

    let client = root.client();
    let url = format!(
        "https://localhost:{}/v1/chat/completions",
        app.gateway().addr().unwrap().port()
    );
    let asking = |stream: bool| {
        let body = json!({ "model": "gemini-2.5-flash", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
        client.post(&url).bearer_auth(KEY).body(body.to_string())
    };
    let mut long = asking(true).send().await.unwrap();
    let mut said = long.chunk().await.unwrap().unwrap().to_vec();
    for n in 0..20 {
        let pair = renewed();
        let applied = runtime.metrics().applied.get();
        // The files come one after the other, as any tool writes them.
        pair.put(app.dir.path());
        // Under load until the new one is in force.
        while runtime.metrics().applied.get() == applied {
            let answer = asking(false).send().await.unwrap();
            assert_eq!(answer.status(), 200, "renewal {n}");
        }
        until("the renewal", || runtime.reload.lock().errors.is_empty()).await;
        assert_eq!(asking(false).send().await.unwrap().status(), 200);
    }
    assert_eq!(runtime.snapshot().generation, 2, "the revision is the same");
    app.sim.release();
    while let Some(piece) = within("the rest", long.chunk()).await.unwrap() {
        said.extend_from_slice(&piece);
    }
    assert!(said.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn what_is_no_certificate_or_key_is_refused_and_named() {
    let good = pair(&["localhost"]);
    let app = started(&good).await;
    let client = good.client();
    for (name, text, word) in [
        ("tls.crt", "", "expected a PEM certificate chain"),
        (
            "tls.crt",
            "-----BEGIN CERTIFICATE-----\n!\n",
            "expected a PEM certificate chain",
        ),
        ("tls.key", &good.cert, "expected a PEM private key"),
        ("tls.key", "", "expected a PEM private key"),
    ] {
        fs::write(app.dir.path().join(name), text).unwrap();
        until("the refusal", || {
            let errors = &app.runtime().reload.lock().errors;
            errors
                .first()
                .is_some_and(|e| e.contains(name) && e.contains(word))
        })
        .await;
        assert_eq!(models(&app, &client).await, Some(200));
        good.put(app.dir.path());
        until("the repair", || {
            app.runtime().reload.lock().errors.is_empty()
        })
        .await;
    }
    fs::remove_file(app.dir.path().join("tls.key")).unwrap();
    let resolved = ["validate", "--resolve", "agp.toml"];
    let told = run(agp(app.dir.path(), &resolved), "").await;
    let all = format!("{}{}", told.out, told.err);
    assert!(told.code == 1 && all.contains("tls.key"), "{all}");
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_cut() {
    let pair = pair(&["localhost"]);
    let app = started(&pair).await;
    let mut idle = TcpStream::connect(app.gateway().addr().unwrap())
        .await
        .unwrap();
    let cut = async {
        let mut rest = Vec::new();
        let _ = idle.read_to_end(&mut rest).await;
        rest
    };
    // Longer than the handshake may take, which is as long as headers may.
    let cut = tokio::time::timeout(Duration::from_secs(20), cut).await;
    assert_eq!(cut.unwrap(), b"");
}

#[tokio::test]
async fn the_admin_api_at_its_own_address_is_encrypted_too() {
    let pair = pair(&["localhost"]);
    let mut app = started(&pair).await;
    app.setup = app.setup.clone().set("admin", "listen", "127.0.0.1:0");
    app.save();
    until("the address", || app.gateway().admin_addr().is_some()).await;
    let port = app.gateway().admin_addr().unwrap().port();
    let url = format!("https://localhost:{port}/admin/api/v1/status");
    let refused = pair.client().get(&url).send().await.unwrap();
    assert_eq!(refused.status(), 401);
}
