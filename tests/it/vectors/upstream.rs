//! Refusals, sign-in, quotas, and what goes over the wire to upstream 1: taken off a real socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use agp::base::error::Error;
use agp::base::id::RequestId;
use agp::base::secret::Secret;
use agp::base::time::Timestamp;
use agp::config::model::{OAuth, SecretRef, Upstream};
use agp::config::source::Files;
use agp::ir::{Family, NoSignatures};
use agp::upstream::antigravity::AntigravityClient;
use agp::upstream::antigravity::envelope::{self, EnvelopeMeta, RequestType};
use agp::upstream::antigravity::models::read_models;
use agp::upstream::antigravity::setup::read_load;
use agp::upstream::classify::{self, Endpoint, Refusal, classify};
use agp::upstream::client::HttpClients;
use agp::upstream::oauth::{self, OAuthClient, Pkce};
use agp::wire::front::Front;
use agp::wire::gemini::{Api, Target, encode_count, encode_request};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(super) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value[field].as_str().ok_or_else(|| format!("no `{field}`"))
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap()
}

pub(super) fn moment(input: &Value) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text(input, "now")?).ok_or_else(|| "bad `now`".to_owned())
}

pub(super) fn durations(input: &Value) -> Result<Vec<Value>, String> {
    let texts = input["texts"].as_array().ok_or("no texts")?;
    let read = texts
        .iter()
        .map(|t| t.as_str().and_then(classify::parse_delay).map(millis));
    Ok(vec![json!({ "ms": read.collect::<Vec<_>>() })])
}

pub(super) fn decision(input: &Value) -> Result<Vec<Value>, String> {
    let http = &input["http"];
    let body = match &http["body"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let endpoint = match text(input, "endpoint")? {
        "token" => Endpoint::Token,
        "countTokens" => Endpoint::Count,
        _ => Endpoint::Generate,
    };
    let failure = classify(&Refusal {
        status: u16::try_from(http["status"].as_u64().ok_or("no status")?)
            .map_err(|e| e.to_string())?,
        retry_after: http["headers"]["retry-after"].as_str(),
        body: body.as_bytes(),
        endpoint,
        now: moment(input)?,
    });
    let decided = classify::decision(&failure);
    Ok(vec![json!({
        "class": failure.class.as_str(),
        "account": decided.account,
        "scope": decided.scope,
        "delay_ms": decided.delay.map(millis),
        "retry_same_account": decided.retry_same,
        "retry_other_account": decided.retry_other,
        "when_nothing_left": {
            "openai": answer(Front::OpenAiChat, &failure.to_error())?,
            "anthropic": answer(Front::Anthropic, &failure.to_error())?,
        },
    })])
}

/// What the client gets, as the server would send it.
pub(super) fn answer(front: Front, error: &Error) -> Result<Value, String> {
    let response = agp::server::reply::error(front, error, RequestId::generate());
    let (parts, body) = response.into_parts();
    let body = block_on(async {
        body.collect()
            .await
            .map(http_body_util::Collected::to_bytes)
    })
    .map_err(|e| e.to_string())?;
    let body: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let headers: Map<String, Value> = parts
        .headers
        .iter()
        .map(|(n, v)| (n.to_string(), json!(v.to_str().unwrap_or_default())))
        .collect();
    Ok(json!({ "status": parts.status.as_u16(), "headers": headers, "body": body }))
}

pub(super) fn quota(input: &Value) -> Result<Vec<Value>, String> {
    let list = read_models(input["answer"].to_string().as_bytes()).map_err(|f| f.detail)?;
    let models: Map<String, Value> = list
        .models
        .iter()
        .map(|m| {
            (
                m.id.clone(),
                json!({ "remaining": m.remaining, "reset": m.reset.map(|t| t.to_string()) }),
            )
        })
        .collect();
    Ok(vec![json!({ "models": models })])
}

pub(super) fn tier(input: &Value) -> Result<Vec<Value>, String> {
    let setup = read_load(input["answer"].to_string().as_bytes()).map_err(|f| f.detail)?;
    let onboard = setup
        .onboard
        .map(|o| json!({ "tierId": o.tier_id, "sends_project": o.sends_project }));
    Ok(vec![
        json!({ "tier": setup.tier, "project": setup.project, "onboard": onboard }),
    ])
}

/// The upstream that the smallest file describes, with all defaults.
fn defaults() -> Upstream {
    let file = "version = 1\n[upstreams.u]\nkind = \"antigravity\"\n\
                oauth = { client_id = \"id\", client_secret = { env = \"S\" } }\n";
    let files = Files::from_texts([(PathBuf::from("agp.toml"), file.to_owned())]);
    let config = agp::config::load(&files, std::iter::empty())
        .config
        .unwrap();
    config.upstreams["u"].clone()
}

fn client(input: &Value, scopes: Vec<String>) -> Result<OAuthClient, String> {
    let defaults = defaults().oauth.ok_or("no oauth defaults")?;
    let secret = |name: &str| Secret::new(input[name].as_str().unwrap_or_default());
    let oauth = OAuth {
        client_id: SecretRef::Plain(secret("client_id")),
        scopes,
        redirect_uri: input["redirect_uri"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        ..defaults
    };
    Ok(OAuthClient::new(
        &oauth,
        &secret("client_id"),
        secret("client_secret"),
    ))
}

pub(super) fn authorize(input: &Value) -> Result<Vec<Value>, String> {
    let scopes = input["scopes"].as_array().ok_or("no scopes")?;
    let scopes = scopes
        .iter()
        .filter_map(|s| s.as_str().map(str::to_owned))
        .collect();
    let url = oauth::authorize_url(
        &client(input, scopes)?,
        &oauth::new_state()?,
        &Pkce::new()?.challenge,
    )?;
    let query: Map<String, Value> = url
        .query_pairs()
        .map(|(k, v)| (k.into_owned(), json!(v)))
        .collect();
    Ok(vec![
        json!({ "scheme": url.scheme(), "host": url.host_str(), "path": url.path(), "query": query }),
    ])
}

pub(super) fn refresh(input: &Value) -> Result<Vec<Value>, String> {
    let mut client = client(input, Vec::new())?;
    let public = reqwest::Url::parse(&client.token_url).map_err(|e| e.to_string())?;
    let token = Secret::new(text(input, "refresh_token")?);
    let (seen, grant) = block_on(captured(
        input["answer"].to_string(),
        "application/json",
        async |base| {
            client.token_url = format!("{base}{}", public.path());
            oauth::refresh(&reqwest_client(), &client, &token)
                .await
                .map_err(|f| f.detail)
        },
    ))?;
    let form: Map<String, Value> = reqwest::Url::parse(&format!(
        "http://form/?{}",
        seen["body"].as_str().unwrap_or_default()
    ))
    .map_err(|e| e.to_string())?
    .query_pairs()
    .map(|(k, v)| (k.into_owned(), json!(v)))
    .collect();
    let kept = grant.refresh_token.as_ref().unwrap_or(&token);
    Ok(vec![json!({
        "http": {
            "method": seen["method"], "host": public.host_str(), "path": seen["path"],
            "headers": seen["headers"], "form": form,
        },
        "stored": {
            "access_token": grant.access_token.expose(),
            "refresh_token": kept.expose(),
            "expires_at": grant.expires_at(moment(input)?).to_string(),
        },
    })])
}

fn target<'a>(model: &'a str, safety: &'a BTreeMap<String, String>) -> Target<'a> {
    Target {
        model,
        family: Family::of(model),
        api: Api::Antigravity,
        max_output: None,
        thinking: None,
        safety_settings: safety,
        session_id: Some("-1"),
        level_as_budget: false,
        repair: false,
    }
}

fn decoded(input: &Value) -> Result<agp::ir::Request, String> {
    let front = match text(input, "client")? {
        "openai_chat" => Front::OpenAiChat,
        "anthropic" => Front::Anthropic,
        other => return Err(format!("unknown client `{other}`")),
    };
    front
        .decode_request(&Bytes::from(input["body"].to_string()))
        .map_err(|e| e.to_string())
}

pub(super) fn enveloped(input: &Value) -> Result<Vec<Value>, String> {
    let (request, model) = (decoded(input)?, text(input, "model")?);
    let mut body = Vec::new();
    envelope::begin(
        &mut body,
        &EnvelopeMeta {
            project: input["account"]["project"].as_str(),
            model,
            request_id: &envelope::new_request_id(),
            user_agent: "agp/test",
            request_type: RequestType::of(Family::of(model)),
            credits: false,
        },
    );
    let safety = BTreeMap::new();
    encode_request(&request, &target(model, &safety), &NoSignatures, &mut body)
        .map_err(|e| e.to_string())?;
    envelope::end(&mut body);
    let token = Secret::new(text(&input["account"], "access_token")?);
    let (seen, ()) = block_on(captured(
        "data: {}\n\n".to_owned(),
        "text/event-stream",
        async |base| {
            let upstream = Upstream {
                base_urls: vec![base],
                ..defaults()
            };
            let client = AntigravityClient::new(&upstream, &HttpClients::new())?;
            client
                .stream_generate(0, &token, body.into())
                .await
                .map(|_| ())
                .map_err(|f| f.detail)
        },
    ))?;
    Ok(vec![json!({ "http": with_json_body(seen)? })])
}

pub(super) fn counted(input: &Value) -> Result<Vec<Value>, String> {
    let (request, model) = (decoded(input)?, text(input, "model")?);
    let safety = BTreeMap::new();
    let mut body = Vec::new();
    encode_count(&request, &target(model, &safety), &mut body).map_err(|e| e.to_string())?;
    let answer = input["upstream_answer"].to_string();
    let (seen, tokens) = block_on(captured(answer, "application/json", async |base| {
        let upstream = Upstream {
            base_urls: vec![base],
            ..defaults()
        };
        let client = AntigravityClient::new(&upstream, &HttpClients::new())?;
        client
            .count_tokens(0, &Secret::new("t"), body.into())
            .await
            .map_err(|f| f.detail)
    }))?;
    let mut http = with_json_body(seen)?;
    http.as_object_mut().ok_or("no request")?.remove("headers");
    let answered: Value = serde_json::from_slice(&agp::wire::anthropic::encode_token_count(tokens))
        .map_err(|e| e.to_string())?;
    Ok(vec![
        json!({ "http": http, "client_response": { "status": 200, "body": answered } }),
    ])
}

fn with_json_body(mut seen: Value) -> Result<Value, String> {
    let body = seen["body"].as_str().unwrap_or_default();
    seen["body"] = serde_json::from_str(body).map_err(|e| e.to_string())?;
    Ok(seen)
}

fn reqwest_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Runs `call` against a socket that answers once with `answer`, and tells what the call sent.
async fn captured<T>(
    answer: String,
    kind: &str,
    call: impl AsyncFnOnce(String) -> Result<T, String>,
) -> Result<(Value, T), String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(|e| e.to_string())?;
    let base = format!(
        "http://{}",
        listener.local_addr().map_err(|e| e.to_string())?
    );
    let serve = async {
        let (mut stream, _) = listener.accept().await.map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        let request = loop {
            if stream
                .read_buf(&mut bytes)
                .await
                .map_err(|e| e.to_string())?
                == 0
            {
                return Err("the request ended early".to_owned());
            }
            if let Some(request) = parse(&bytes) {
                break request;
            }
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream
            .write_all(format!("{head}{answer}").as_bytes())
            .await
            .map_err(|e| e.to_string())?;
        Ok::<_, String>(request)
    };
    let (seen, called) = tokio::join!(serve, call(base));
    Ok((seen?, called?))
}

/// Method, path, query, headers and body of a whole HTTP/1.1 request; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, address) = (first.next()?, first.next()?);
    let headers: Map<String, Value> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), json!(value)))
        .collect();
    let length: usize = headers.get("content-length")?.as_str()?.parse().ok()?;
    if body.len() < length {
        return None;
    }
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let query: Map<String, Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    Some(
        json!({ "method": method, "path": path, "query": query, "headers": headers, "body": body }),
    )
}
