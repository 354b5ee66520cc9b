//! A server for tests that sends scripted bytes: what it answers is written out in the test, so that broken answers can be
//! had too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::base::task::Tasks;
use crate::config::model::{Kind, Upstream};

/// What a connection does once its request is read.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Says nothing until the other side goes away.
    Silence,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Such as `POST /v1internal:countTokens HTTP/1.1`.
    pub(crate) line: String,
    /// Headers, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

pub(crate) struct Server {
    /// Such as `http://127.0.0.1:40000`.
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: Tasks,
}

/// A whole answer with a status, a content type and a body.
pub(crate) fn answer(status: u16, kind: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Raw(
        format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .into_bytes(),
    )
}

/// A whole JSON answer.
pub(crate) fn json(status: u16, body: &str) -> Reply {
    answer(status, "application/json", body)
}

impl Server {
    /// Listens, and answers the first connections with `replies` in turn, further ones by closing them.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tasks = Tasks::new();
        let replies: Arc<Mutex<VecDeque<Reply>>> =
            Arc::new(Mutex::new(replies.into_iter().collect()));
        let (all, log) = (tasks.clone(), seen.clone());
        tasks.spawn(async move {
            loop {
                let (socket, _) = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap(),
                    () = all.force().cancelled() => return,
                };
                let (replies, log, force) = (replies.clone(), log.clone(), all.force().clone());
                all.spawn(async move {
                    tokio::select! {
                        () = serve(socket, &replies, &log) => {}
                        () = force.cancelled() => {}
                    }
                });
            }
        });
        Self { base, seen, tasks }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// The request lines so far, without the version.
    pub(crate) fn lines(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter()
            .map(|seen| seen.line.trim_end_matches(" HTTP/1.1").to_owned())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.force().cancel();
    }
}

async fn serve(mut socket: TcpStream, replies: &Mutex<VecDeque<Reply>>, log: &Mutex<Vec<Seen>>) {
    let Some(seen) = read_request(&mut socket).await else {
        return;
    };
    log.lock().push(seen);
    let reply = replies.lock().pop_front();
    match reply {
        Some(Reply::Raw(bytes)) => {
            // The other side may stop reading early; that is what some tests are about.
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
        }
        Some(Reply::Silence) => {
            let _ = socket.read(&mut [0]).await;
        }
        None => {}
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&bytes[head_end + 4..]).into_owned();
    Some(Seen {
        line,
        headers,
        body,
    })
}

/// The address of a port where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An upstream with these hosts and everything else as it is by default.
pub(crate) fn upstream(base_urls: &[&str]) -> Upstream {
    let base_urls: Vec<String> = base_urls.iter().map(|url| (*url).to_owned()).collect();
    Upstream {
        kind: Kind::Antigravity,
        setup_urls: base_urls.clone(),
        base_urls,
        oauth: None,
        headers: BTreeMap::new(),
        user_agent: "agp/1.0.0".to_owned(),
        metadata: BTreeMap::from([("ideType".to_owned(), "IDE_UNSPECIFIED".to_owned())]),
        safety_settings: BTreeMap::new(),
        proxy: None,
        connect_timeout: Duration::from_secs(5),
        first_byte_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(20),
        ca_file: None,
        discover: true,
    }
}
