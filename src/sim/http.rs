//! The sockets: accepting, reading calls, finding who answers, remembering what was answered.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::reply::{Hangup, Problem, Reply, whole};
use super::state::{Live, Seen, State};
use super::{api, control, oauth};
use crate::base::task::Tasks;
use crate::base::time::Timestamp;

/// The largest body that is read.
const BODY_MAX: usize = 128 << 20;

/// One call, read whole.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) verb: Method,
    /// `main`, or the `hostN` of the path's prefix.
    pub(super) host: String,
    /// The path without that prefix.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) hangup: Hangup,
}

/// Reads `a=b&c=d`; of repeated names the last counts.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let decode = |s: &str| {
        let s = s.replace('+', " ");
        percent_decode_str(&s).decode_utf8_lossy().into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

impl Call {
    /// The path's query.
    pub(super) fn query(&self) -> BTreeMap<String, String> {
        pairs(&self.query)
    }

    /// The body, read as a form.
    pub(super) fn form(&self) -> BTreeMap<String, String> {
        pairs(&String::from_utf8_lossy(&self.body))
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as the record of calls shows it.
    fn shown(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        if let Ok(value) = serde_json::from_slice(&self.body) {
            return value;
        }
        let form = self
            .header("content-type")
            .is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
        if form {
            let form = self.form().into_iter().map(|(k, v)| (k, Value::String(v)));
            return Value::Object(form.collect::<Map<_, _>>());
        }
        Value::String(String::from_utf8_lossy(&self.body).into_owned())
    }
}

/// What became of a call.
pub(super) struct Done {
    pub(super) method: String,
    pub(super) account: String,
    pub(super) model: String,
    pub(super) rule: Option<usize>,
    /// None: the connection ends without an answer.
    pub(super) reply: Option<Reply>,
}

impl Done {
    /// A call that no account, model or rule is known of.
    pub(super) fn plain(method: &str, reply: Reply) -> Self {
        Self {
            method: method.to_owned(),
            account: String::new(),
            model: String::new(),
            rule: None,
            reply: Some(reply),
        }
    }
}

/// Accepts until `stop`.
pub(super) async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    tasks: Tasks,
    stop: CancellationToken,
    open: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
            () = tasks.force().cancelled() => return,
        };
        // A failed accept (too many open files, a client gone already) says nothing about a later one.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let token = open.token();
        let (state, stop, force) = (state.clone(), stop.clone(), tasks.force().clone());
        tasks.spawn(async move {
            tokio::select! {
                () = connection(stream, state) => {}
                () = stop.cancelled() => {}
                () = force.cancelled() => {}
            }
            drop(token);
        });
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let hangup: Hangup = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Conn {
        stream,
        hangup: hangup.clone(),
    });
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (state, hangup) = (state.clone(), hangup.clone());
        async move {
            let reply = Box::pin(answer(&state, request, hangup)).await;
            reply.ok_or_else(|| io::Error::other("dropped by the script"))
        }
    });
    // An error here is a client that went away or a fault that the script asked for.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(io, service)
        .await;
}

/// Answers one call; none: the connection ends.
async fn answer(state: &Arc<State>, request: Request<Incoming>, hangup: Hangup) -> Option<Reply> {
    let at = Timestamp::now();
    let (parts, body) = request.into_parts();
    let full = parts.uri.path().to_owned();
    let (host, path) = match full.strip_prefix('/').and_then(|p| p.split_once('/')) {
        Some((first, rest)) if first.starts_with("host") => (first.to_owned(), format!("/{rest}")),
        _ => ("main".to_owned(), full.clone()),
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let live = state.live();
    let Ok(body) = Limited::new(body, BODY_MAX).collect().await else {
        return Some(
            Problem::new(
                413,
                "Request payload size exceeds the limit: 134217728 bytes.",
            )
            .reply(),
        );
    };
    let call = Call {
        verb: parts.method,
        host,
        path,
        query,
        headers: parts.headers,
        body: body.to_bytes(),
        hangup,
    };
    if call.path.starts_with("/control/") {
        return Some(control::answer(state, &call));
    }
    let done = route(state, &live, &call).await;
    record(state, &live, call, at, &full, &done);
    done.reply
}

async fn route(state: &Arc<State>, live: &Live, call: &Call) -> Done {
    match (&call.verb, call.path.as_str()) {
        (&Method::GET, "/") => {
            Done::plain("", whole(200, "text/plain", "agp's simulated upstream\n"))
        }
        (&Method::GET, "/o/oauth2/v2/auth") => Done::plain("auth", oauth::auth(state, call)),
        (&Method::POST, "/token") => api::token(state, live, call).await,
        (&Method::GET, "/oauth2/v1/userinfo" | "/oauth2/v2/userinfo" | "/oauth2/v3/userinfo") => {
            api::userinfo(state, live, call).await
        }
        (verb, path) => match path.strip_prefix("/v1internal") {
            Some(rest) => api::answer(state, live, call, verb, rest).await,
            None => Done::plain("", not_found(path)),
        },
    }
}

/// The page that Google's front end gives for a path it does not know.
pub(super) fn not_found(path: &str) -> Reply {
    let path = path.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n<p><b>404.</b> That's an error.\n\
         <p>The requested URL <code>{path}</code> was not found on this server.\n"
    );
    whole(404, "text/html; charset=UTF-8", page)
}

fn record(state: &State, live: &Live, call: Call, at: Timestamp, path: &str, done: &Done) {
    let lenient = live.script.settings.lenient;
    let (body, bytes) = if lenient {
        (Value::Null, 0)
    } else {
        (call.shown(), call.body.len())
    };
    let headers = if lenient {
        Vec::new()
    } else {
        let seen = call.headers.iter().filter(|(n, _)| *n != "authorization");
        seen.map(|(n, v)| {
            (
                n.to_string(),
                String::from_utf8_lossy(v.as_bytes()).into_owned(),
            )
        })
        .collect()
    };
    let path = if call.query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", call.query)
    };
    let seen = Seen {
        at,
        method: done.method.clone(),
        host: call.host,
        path,
        account: done.account.clone(),
        model: done.model.clone(),
        status: done.reply.as_ref().map_or(0, |r| r.status().as_u16()),
        rule: done.rule,
        body,
        headers,
    };
    state.record(seen, bytes);
}

/// A connection that can end with a reset.
struct Conn {
    stream: TcpStream,
    hangup: Hangup,
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.hangup.load(Ordering::Relaxed) {
            // With a linger time of zero closing sends RST in place of FIN.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hangup.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
