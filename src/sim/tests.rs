//! The simulator over real sockets.

mod behaviours;
mod families;
mod login;
mod refusals;
mod setup;
mod signatures;
mod strictness;
mod vectors;

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Script, Sim};
use crate::base::task::Tasks;

/// A simulator with a client that is logged in as alice.
struct Rig {
    sim: Sim,
    client: reqwest::Client,
    token: String,
}

/// An answer, read whole.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The error's message.
    fn message(&self) -> String {
        self.json()["error"]["message"]
            .as_str()
            .unwrap_or_else(|| panic!("no error: {}", self.text))
            .to_owned()
    }

    /// The JSON of each event.
    fn events(&self) -> Vec<Value> {
        events(&self.text)
    }

    /// The inner parts of all events.
    fn parts(&self) -> Vec<Value> {
        parts(&self.events())
    }

    /// What is said, thoughts left out.
    fn said(&self) -> String {
        said(&self.parts())
    }

    fn finish(&self) -> String {
        let events = self.events();
        let last = events.last().unwrap();
        last["response"]["candidates"][0]["finishReason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// Reads a stream by the letter of the format.
fn events(text: &str) -> Vec<Value> {
    let text = text.replace("\r\n", "\n");
    text.split("\n\n")
        .filter_map(|event| {
            let data: Vec<&str> = event
                .lines()
                .filter_map(|l| l.strip_prefix("data:"))
                .collect();
            (!data.is_empty()).then(|| serde_json::from_str(&data.join("\n")).unwrap())
        })
        .collect()
}

fn parts(events: &[Value]) -> Vec<Value> {
    events
        .iter()
        .filter_map(|e| e["response"]["candidates"][0]["content"]["parts"].as_array())
        .flatten()
        .cloned()
        .collect()
}

fn said(parts: &[Value]) -> String {
    let texts = parts.iter().filter(|p| p["thought"] != true);
    texts.filter_map(|p| p["text"].as_str()).collect()
}

fn calls(parts: &[Value]) -> Vec<Value> {
    let calls = parts.iter().filter(|p| p.get("functionCall").is_some());
    calls.cloned().collect()
}

impl Rig {
    async fn new(script: &str) -> Self {
        let script = Script::parse(script).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let sim = Sim::start(address, script, &Tasks::new()).await.unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut rig = Self {
            sim,
            client,
            token: String::new(),
        };
        rig.token = rig.login("alice").await;
        rig
    }

    /// A new access token of NAME@example.com.
    async fn login(&self, name: &str) -> String {
        let refresh = format!("sim-refresh-{name}");
        let got = self
            .form(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", &refresh),
                ("client_id", "sim-client"),
                ("client_secret", "sim-secret"),
            ])
            .await;
        got.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn form(&self, fields: &[(&str, &str)]) -> Got {
        let url = format!("{}/token", self.sim.url());
        read(self.client.post(url).form(fields)).await
    }

    async fn get(&self, path: &str) -> Got {
        let url = format!("{}{path}", self.sim.url());
        read(self.client.get(url).bearer_auth(&self.token)).await
    }

    fn request(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sim.url());
        self.client
            .post(url)
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn post(&self, path: &str, body: &Value) -> Got {
        read(self.request(path, body)).await
    }

    /// Streams an answer.
    async fn stream(&self, body: &Value) -> Got {
        self.post(STREAM, body).await
    }

    /// Streams an answer to a request that is nothing but this text.
    async fn ask(&self, model: &str, text: &str) -> Got {
        self.stream(&envelope(model, &asking(text))).await
    }
}

const STREAM: &str = "/v1internal:streamGenerateContent?alt=sse";

async fn read(request: reqwest::RequestBuilder) -> Got {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    Got {
        status,
        headers,
        text,
    }
}

fn asking(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

fn envelope(model: &str, request: &Value) -> Value {
    let kind = if model.contains("-image") {
        "image_gen"
    } else {
        "agent"
    };
    json!({"project": "sim-project-alice", "requestId": "agent-1", "model": model, "userAgent": "agp/1.0.0",
        "requestType": kind, "request": request})
}

/// A request with one tool, `get_weather`, which takes a city.
fn with_tool(text: &str) -> Value {
    let mut request = asking(text);
    request["tools"] = json!([{"functionDeclarations": [{"name": "get_weather", "parameters":
        {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}]}]);
    request
}

/// What Claude says inside the message.
fn claude_message(got: &Got) -> String {
    let inner: Value = serde_json::from_str(&got.message()).unwrap();
    inner["error"]["message"].as_str().unwrap().to_owned()
}

fn decode64(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}
