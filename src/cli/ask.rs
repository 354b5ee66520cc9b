//! One HTTP request to a gateway on this machine, over TCP or its Unix socket.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::cli::{Failed, MISTAKE, UNREACHABLE, running, serve};
use crate::runtime::controller::Places;
use crate::server::{admin, socket};

/// How long an answer may take.
pub const WAIT: Duration = Duration::from_secs(10);
/// Most of an answer that is read.
const MAX: usize = 16 << 20;

/// Asks the running gateway for an admin operation over its socket. `path` is what follows the operations' base.
///
/// # Errors
/// Code 4 where no gateway runs on this state folder, code 1 with the gateway's own words where it refuses.
pub async fn operation(serve: &serve::Args, method: Method, path: &str) -> Result<Value, Failed> {
    operation_within(serve, method, path, WAIT).await
}

/// The same for an operation that may take as long as `wait`.
///
/// # Errors
/// As [`operation`].
pub async fn operation_within(
    serve: &serve::Args,
    method: Method,
    path: &str,
    wait: Duration,
) -> Result<Value, Failed> {
    told(&serve.places()?, method, path, Bytes::new(), wait).await
}

/// [`operation`] for the gateway of these places, told something.
///
/// # Errors
/// As [`operation`].
pub async fn told(
    places: &Places,
    method: Method,
    path: &str,
    body: Bytes,
    wait: Duration,
) -> Result<Value, Failed> {
    let socket = socket::path(&running::find(places).state);
    let unreachable = |why: String| Failed {
        message: format!("no gateway answers on `{}`: {why}", socket.display()),
        code: UNREACHABLE,
    };
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    let path = format!("{}{path}", admin::BASE);
    let (status, body) = request(stream, method, &path, body, wait)
        .await
        .map_err(unreachable)?;
    let value: Value = serde_json::from_slice(&body).map_err(|e| unreachable(e.to_string()))?;
    if status == 200 {
        return Ok(value);
    }
    let error = value["error"].as_str();
    let mut message = error.map_or_else(|| format!("status {status}"), str::to_owned);
    if let Some(diff) = value["diff"].as_str() {
        message.push_str("\n\n");
        message.push_str(diff);
    }
    Err(Failed {
        message,
        code: MISTAKE,
    })
}

/// A name as a segment of a path or a value of a query.
pub fn encoded(name: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

/// Gets `path` and gives status and body.
///
/// # Errors
/// What went wrong on the way.
pub async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<(u16, Bytes), String> {
    request(stream, Method::GET, path, Bytes::new(), WAIT).await
}

/// Sends a request to `path` and gives status and body, which may take as long as `wait`.
///
/// # Errors
/// What went wrong on the way.
pub async fn request(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    path: &str,
    body: Bytes,
    wait: Duration,
) -> Result<(u16, Bytes), String> {
    let asked = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "localhost")
            .body(Full::new(body))
            .map_err(|e| e.to_string())?;
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|e| e.to_string())?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX)
                .collect()
                .await
                .map_err(|e| e.to_string())?;
            Ok((status, body.to_bytes()))
        };
        tokio::select! {
            answer = answer => answer,
            ended = connection => Err(ended.err().map_or("the connection closed".to_owned(), |e| e.to_string())),
        }
    };
    tokio::time::timeout(wait, asked)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", wait.as_secs())))
}
