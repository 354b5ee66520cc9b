//! The simulated upstream, polled: reads a request, answers with bytes made in advance.
//!
//! Not `agp simulate`, which reads and checks what it gets and would take the load's core from the clients. Whatever is
//! posted, at whatever path, gets the present scenario's answer, so that nginx passes the client's own request on and
//! brings back the very bytes that the gateway gets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use crate::Outcome;
use crate::client::{content_length, head_end};
use crate::scenario::Scenario;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: bench\r\nTransfer-Encoding: chunked\r\n\r\n";
/// New connections are looked for once in so many turns.
const ACCEPT_EVERY: u32 = 16;

/// The upstream with its connections.
pub(crate) struct Upstream {
    listener: TcpListener,
    addr: SocketAddr,
    connections: Vec<Connection>,
    scenario: &'static Scenario,
    /// Bodies are read into this and forgotten.
    scratch: Vec<u8>,
    turn: u32,
}

struct Connection {
    stream: TcpStream,
    /// A head that has come in part.
    head: Vec<u8>,
    state: State,
}

enum State {
    Head,
    /// So many bytes of the body are still to come; then this answer.
    Body(usize, Reply),
    Answering {
        bytes: Vec<u8>,
        sent: usize,
        /// The scenario's piece that comes next, and when.
        next: Option<(usize, Instant)>,
    },
}

#[derive(Clone, Copy)]
enum Reply {
    Chat,
    Json(&'static str),
}

impl Upstream {
    /// Listens, to answer with this scenario.
    pub(crate) fn start(scenario: &'static Scenario) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            addr: listener.local_addr()?,
            listener,
            connections: Vec::new(),
            scenario,
            scratch: vec![0; 256 << 10],
            turn: 0,
        })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers with this scenario from now on.
    pub(crate) fn play(&mut self, scenario: &'static Scenario) {
        self.scenario = scenario;
    }

    /// One turn over all connections.
    pub(crate) fn poll(&mut self) -> Outcome<()> {
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(ACCEPT_EVERY) {
            self.accept()?;
        }
        let now = Instant::now();
        let (scenario, scratch) = (self.scenario, &mut self.scratch);
        // A connection that breaks is the other side's to tell.
        self.connections
            .retain_mut(|connection| connection.poll(scenario, scratch, now).unwrap_or(false));
        Ok(())
    }

    fn accept(&mut self) -> Outcome<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            self.connections.push(Connection {
                stream,
                head: Vec::new(),
                state: State::Head,
            });
        }
    }
}

impl Connection {
    /// Goes on with what is under way; `false`: the other side has closed.
    fn poll(
        &mut self,
        scenario: &Scenario,
        scratch: &mut [u8],
        now: Instant,
    ) -> std::io::Result<bool> {
        if matches!(self.state, State::Answering { .. }) {
            self.answer(scenario, now)?;
            return Ok(true);
        }
        // A large body comes in many pieces: some of them in one turn.
        for _ in 0..8 {
            let n = match self.stream.read(scratch) {
                Ok(0) => return Ok(false),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            };
            self.take(&scratch[..n]);
            if let State::Body(0, reply) = self.state {
                let (bytes, next) = match reply {
                    Reply::Json(json) => (whole(json), None),
                    Reply::Chat => (
                        [HEAD, &scenario.pieces[0]].concat(),
                        (scenario.pieces.len() > 1).then(|| (1, now + scenario.pace)),
                    ),
                };
                self.state = State::Answering {
                    bytes,
                    sent: 0,
                    next,
                };
                self.answer(scenario, now)?;
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn take(&mut self, bytes: &[u8]) {
        if let State::Body(left, _) = &mut self.state {
            *left = left.saturating_sub(bytes.len());
            return;
        }
        let joined;
        let all = if self.head.is_empty() {
            bytes
        } else {
            self.head.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.head);
            &joined
        };
        match head_end(all) {
            Some(end) => {
                let length = content_length(&all[..end]).unwrap_or(0);
                let left = length.saturating_sub(all.len() - end);
                self.state = State::Body(left, reply(&all[..end]));
            }
            None => self.head = all.to_vec(),
        }
    }

    fn answer(&mut self, scenario: &Scenario, now: Instant) -> std::io::Result<()> {
        let State::Answering { bytes, sent, next } = &mut self.state else {
            return Ok(());
        };
        loop {
            while *sent < bytes.len() {
                match self.stream.write(&bytes[*sent..]) {
                    Ok(n) => *sent += n,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            match *next {
                Some((piece, due)) if due <= now => {
                    bytes.clone_from(&scenario.pieces[piece]);
                    *sent = 0;
                    let following = piece + 1;
                    *next = (following < scenario.pieces.len())
                        .then(|| (following, due + scenario.pace));
                }
                Some(_) => return Ok(()),
                None => {
                    self.state = State::Head;
                    return Ok(());
                }
            }
        }
    }
}

/// What the gateway asks before it can send prompts gets its own answer: tokens, the project, the models
/// (upstream-protocol.md 1 and 3).
fn reply(head: &[u8]) -> Reply {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let holds = |what: &[u8]| line.windows(what.len()).any(|w| w == what);
    if holds(b"/token") {
        Reply::Json(r#"{"access_token":"bench","expires_in":3599,"token_type":"Bearer"}"#)
    } else if holds(b":loadCodeAssist") {
        Reply::Json(
            r#"{"currentTier":{"id":"free-tier"},"cloudaicompanionProject":"bench-project"}"#,
        )
    } else if holds(b":fetchAvailableModels") {
        Reply::Json(r#"{"models":{"gemini-2.5-flash":{"displayName":"Gemini 2.5 Flash"}}}"#)
    } else {
        Reply::Chat
    }
}

fn whole(json: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )
    .into_bytes()
}
