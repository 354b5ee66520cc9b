//! One client's connection, polled: a request out, its answer in.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::Outcome;

/// Longer than any answer takes, so that a hang ends the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// When an answer came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The first byte.
    pub(crate) first: Duration,
    /// The last byte.
    pub(crate) whole: Duration,
}

/// A connection that is used again and again.
pub(crate) struct Client {
    stream: TcpStream,
    /// Head and body of the one request that it sends.
    request: Rc<[u8]>,
    sent: usize,
    buffer: Vec<u8>,
    filled: usize,
    /// What is left of the answer, once its head is there.
    body: Option<Body>,
    began: Option<Instant>,
    first: Duration,
    /// The answer's body, where somebody wants to see it.
    kept: Option<Vec<u8>>,
}

/// A chat request's bytes.
pub(crate) fn post(path: &str, body: &[u8]) -> Rc<[u8]> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\nUser-Agent: bench\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len(),
        key = crate::servers::KEY,
    );
    [head.as_bytes(), body].concat().into()
}

/// A probe's bytes.
pub(crate) fn get(path: &str) -> Rc<[u8]> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .into_bytes()
        .into()
}

impl Client {
    /// Connects, to send this request.
    pub(crate) fn connect(addr: SocketAddr, request: &Rc<[u8]>) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            request: Rc::clone(request),
            sent: 0,
            buffer: vec![0; 64 << 10],
            filled: 0,
            body: None,
            began: None,
            first: Duration::ZERO,
            kept: None,
        })
    }

    /// Keeps the next answer's body.
    pub(crate) fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// The body that was kept.
    pub(crate) fn kept(&mut self) -> Vec<u8> {
        self.kept.take().unwrap_or_default()
    }

    /// Whether an answer is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.began.is_some()
    }

    /// Begins to send the request.
    pub(crate) fn begin(&mut self) -> Outcome<()> {
        (self.sent, self.filled, self.body) = (0, 0, None);
        self.began = Some(Instant::now());
        self.write()
    }

    fn write(&mut self) -> Outcome<()> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Goes on with what is under way; gives the times of an answer that is complete.
    pub(crate) fn poll(&mut self) -> Outcome<Option<Times>> {
        let Some(began) = self.began else {
            return Ok(None);
        };
        if self.sent < self.request.len() {
            self.write()?;
        }
        let n = match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err("the connection ended before the answer".into()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if began.elapsed() > PATIENCE {
                    return Err("the answer does not come".into());
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let end = self.filled + n;
        let piece = if self.body.is_some() {
            0..end
        } else {
            if self.filled == 0 {
                self.first = began.elapsed();
            }
            let Some(begin) = head_end(&self.buffer[..end]) else {
                self.filled = end;
                return Ok(None);
            };
            let head = &self.buffer[..begin];
            if !head.starts_with(b"HTTP/1.1 200") {
                let told = String::from_utf8_lossy(&self.buffer[..end]);
                return Err(format!("expected a 200, found: {told}").into());
            }
            let body = content_length(head);
            self.body = Some(body.map_or(Body::Chunked(Chunks::default()), Body::Length));
            self.filled = 0;
            begin..end
        };
        let bytes = &self.buffer[piece];
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        if !body.take(bytes)? {
            return Ok(None);
        }
        self.began = None;
        Ok(Some(Times {
            first: self.first,
            whole: began.elapsed(),
        }))
    }
}

/// Where the answer's body ends.
enum Body {
    Length(usize),
    Chunked(Chunks),
}

impl Body {
    /// Whether the body is complete with these bytes.
    fn take(&mut self, bytes: &[u8]) -> Outcome<bool> {
        match self {
            Self::Length(left) => {
                *left = left
                    .checked_sub(bytes.len())
                    .ok_or("more than the answer's length came")?;
                Ok(*left == 0)
            }
            Self::Chunked(chunks) => chunks.take(bytes),
        }
    }
}

/// Finds the end of a chunked body without looking at what is in it.
#[derive(Default)]
struct Chunks {
    /// Bytes left of the chunk's data and its line end.
    skip: usize,
    /// The size line as far as it has come.
    size: usize,
    /// The size line has a digit.
    line: bool,
    /// The last chunk's line was seen.
    last: bool,
}

impl Chunks {
    fn take(&mut self, mut bytes: &[u8]) -> Outcome<bool> {
        loop {
            let n = self.skip.min(bytes.len());
            self.skip -= n;
            bytes = &bytes[n..];
            if self.skip > 0 {
                return Ok(false);
            }
            if self.last {
                return if bytes.is_empty() {
                    Ok(true)
                } else {
                    Err("more came behind the answer".into())
                };
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(false);
            };
            bytes = rest;
            match byte {
                b'\r' => {}
                b'\n' if self.line => {
                    // With the data goes its line end; behind the last chunk stands an empty line.
                    self.skip = self.size + 2;
                    self.last = self.size == 0;
                    (self.size, self.line) = (0, false);
                }
                _ => {
                    let digit = char::from(byte).to_digit(16).ok_or("a chunk has no size")?;
                    self.size = self.size << 4 | digit as usize;
                    self.line = true;
                }
            }
        }
    }
}

/// Where the body begins, once the head is whole.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// `Content-Length` of a head.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|b| *b == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}
