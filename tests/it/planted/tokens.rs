//! A token endpoint in front of the simulator's: it knows accounts by tokens that are random, where the simulator's are
//! made of the accounts' names, and hands out random ones.

use std::collections::HashMap;
use std::sync::Arc;

use agp::base::task::Tasks;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::random;

#[derive(Default)]
struct Known {
    /// The simulator's token of each of ours.
    tokens: HashMap<String, String>,
    refused: Vec<String>,
    secret: String,
    handed: Vec<String>,
}

/// The endpoint.
pub(super) struct Desk {
    url: String,
    known: Arc<Mutex<Known>>,
}

impl Desk {
    pub(super) async fn start(sim: &str, tasks: &Tasks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let known = Arc::<Mutex<Known>>::default();
        let (shared, sim, inner) = (Arc::clone(&known), sim.to_owned(), tasks.clone());
        tasks.spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (client, shared, sim) = (client.clone(), Arc::clone(&shared), sim.clone());
                inner.spawn(async move { answer(stream, &client, &sim, &shared).await });
            }
        });
        Self { url, known }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// A refresh token is good, for this account of the simulator.
    pub(super) fn knows(&mut self, token: &str, account: &str) {
        let theirs = format!("sim-refresh-{account}");
        self.known.lock().tokens.insert(token.to_owned(), theirs);
    }

    /// A refresh token is refused, in an error that repeats it.
    pub(super) fn refuses(&mut self, token: &str) {
        self.known.lock().refused.push(token.to_owned());
    }

    /// What the client's secret must be.
    pub(super) fn is_secret(&mut self, secret: &str) {
        secret.clone_into(&mut self.known.lock().secret);
    }

    /// Every token handed out.
    pub(super) fn handed(&self) -> Vec<String> {
        self.known.lock().handed.clone()
    }
}

/// Answers the calls of one connection.
async fn answer(mut stream: TcpStream, client: &reqwest::Client, sim: &str, known: &Mutex<Known>) {
    while let Some(body) = read(&mut stream).await {
        let (status, body) = exchange(&body, client, sim, known).await;
        let text = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        if stream
            .write_all(format!("{head}{text}").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// The body of a request.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(body.to_owned());
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => all.extend_from_slice(&piece[..n]),
        }
    }
}

async fn exchange(
    body: &str,
    client: &reqwest::Client,
    sim: &str,
    known: &Mutex<Known>,
) -> (u16, Value) {
    let token = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("refresh_token="));
    let token = token.unwrap_or_default().to_owned();
    let theirs = {
        let known = known.lock();
        if known.refused.contains(&token) {
            let told = format!("Token {token} has been revoked: {body}");
            return (
                400,
                json!({"error": "invalid_grant", "error_description": told}),
            );
        }
        assert!(body.contains(&known.secret), "another client secret");
        let theirs = known.tokens.get(&token).cloned();
        let form = body.replace(&known.secret, "sim-secret");
        theirs.map(|theirs| form.replace(&token, &theirs))
    };
    let Some(form) = theirs else {
        return (400, json!({"error": "invalid_grant"}));
    };
    let sent = client
        .post(sim)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    let status = sent.status().as_u16();
    let mut answer: Value = serde_json::from_slice(&sent.bytes().await.unwrap()).unwrap();
    let mut known = known.lock();
    if let Some(access) = answer["access_token"].as_str() {
        known
            .handed
            .push(access.trim_start_matches("sim-access-").to_owned());
    }
    // A token of the simulator's own goes out under another name.
    if let Some(rotated) = answer["refresh_token"].as_str().map(str::to_owned) {
        let ours = random(36);
        known.handed.push(ours.clone());
        known.tokens.insert(ours.clone(), rotated);
        answer["refresh_token"] = json!(ours);
    }
    (status, answer)
}
