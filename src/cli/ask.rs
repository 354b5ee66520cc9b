//! One HTTP request to a gateway on this machine, over TCP or its Unix socket.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

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
    let asked = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        let request = Request::get(path)
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
    tokio::time::timeout(std::time::Duration::from_secs(10), asked)
        .await
        .unwrap_or_else(|_| Err("no answer within 10 s".to_owned()))
}
