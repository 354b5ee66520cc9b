//! One HTTP request to a gateway on this machine, over TCP or its Unix socket.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(10);
/// Most of an answer that is read.
const MAX: usize = 16 << 20;

/// Gets `path` and gives status and body.
///
/// # Errors
/// What went wrong on the way.
pub async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<(u16, Bytes), String> {
    request(stream, Method::GET, path, WAIT).await
}

/// Sends a request without a body to `path` and gives status and body, which may take as long as `wait`.
///
/// # Errors
/// What went wrong on the way.
pub async fn request(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    path: &str,
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
            .body(Empty::<Bytes>::new())
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
