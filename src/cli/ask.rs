//! One HTTP request to a gateway: over its Unix socket, TCP on this machine, or its admin API elsewhere.

mod remote;

pub use remote::status_over_tls;

use std::path::PathBuf;
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

use crate::cli::ask::remote::Remote;
use crate::cli::{Failed, MISTAKE, UNREACHABLE, running, serve};
use crate::runtime::controller::Places;
use crate::server::{admin, socket};

/// How long an answer may take.
pub const WAIT: Duration = Duration::from_secs(10);
/// Most of an answer that is read.
const MAX: usize = 16 << 20;

/// Which gateway is asked: the one of a state folder on this machine, or one elsewhere.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct At {
    /// A gateway elsewhere, such as `https://gateway.example`, in place of the one on this machine
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// File with a token of the gateway's `[admin.tokens]`
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Where the configuration and the state are
    #[command(flatten)]
    pub serve: serve::Args,
}

impl From<serve::Args> for At {
    fn from(serve: serve::Args) -> Self {
        Self {
            serve,
            ..Self::default()
        }
    }
}

impl At {
    fn remote(&self) -> Result<Option<Remote>, Failed> {
        let Some(url) = &self.url else {
            return match self.token_file {
                Some(_) => Err("`--token-file` goes with `--url`".to_owned().into()),
                None => Ok(None),
            };
        };
        Ok(Some(Remote::new(url, self.token_file.as_deref())?))
    }
}

/// Asks the running gateway for an admin operation. `path` is what follows the operations' base.
///
/// # Errors
/// Code 4 where no gateway answers, code 1 with the gateway's own words where it refuses.
pub async fn operation(at: &At, method: Method, path: &str) -> Result<Value, Failed> {
    operation_within(at, method, path, WAIT).await
}

/// The same for an operation that may take as long as `wait`.
///
/// # Errors
/// As [`operation`].
pub async fn operation_within(
    at: &At,
    method: Method,
    path: &str,
    wait: Duration,
) -> Result<Value, Failed> {
    told(at, method, path, Bytes::new(), wait).await
}

/// [`operation`] with something told.
///
/// # Errors
/// As [`operation`].
pub async fn told(
    at: &At,
    method: Method,
    path: &str,
    body: Bytes,
    wait: Duration,
) -> Result<Value, Failed> {
    let (whom, (status, body)) = match at.remote()? {
        Some(remote) => {
            let answer = remote.request(method, path, body, wait, MAX).await?;
            (format!("at {}", remote.url()), answer)
        }
        None => over_socket(&at.serve.places()?, method, path, body, wait).await?,
    };
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        return Err(Failed {
            message: format!("what answers {whom} is no gateway of this kind (status {status})"),
            code: UNREACHABLE,
        });
    };
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

/// Whom, and what it answered.
async fn over_socket(
    places: &Places,
    method: Method,
    path: &str,
    body: Bytes,
    wait: Duration,
) -> Result<(String, (u16, Bytes)), Failed> {
    let socket = socket::path(&running::find(places).state);
    let whom = format!("on `{}`", socket.display());
    let unreachable = |why: String| Failed {
        message: format!("no gateway answers {whom}: {why}"),
        code: UNREACHABLE,
    };
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    let path = format!("{}{path}", admin::BASE);
    let answer = request(stream, method, &path, body, wait)
        .await
        .map_err(unreachable)?;
    Ok((whom, answer))
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
