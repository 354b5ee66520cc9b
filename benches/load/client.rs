//! One client's connection: a request out, its answer in.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
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
    request: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Client {
    /// Connects, to send this request.
    pub(crate) fn connect(addr: SocketAddr, path: &str, body: &[u8]) -> Outcome<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\nUser-Agent: bench\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len(),
            key = crate::servers::KEY,
        )
        .into_bytes();
        request.extend_from_slice(body);
        Ok(Self {
            stream,
            request,
            buffer: vec![0; 64 << 10],
            filled: 0,
        })
    }

    /// Sends the request and reads the whole answer, which `seen` gets to see piece by piece.
    pub(crate) fn exchange(&mut self, mut seen: impl FnMut(&[u8])) -> Outcome<Times> {
        let began = Instant::now();
        self.stream.write_all(&self.request)?;
        self.filled = 0;
        let mut first = None;
        let end = loop {
            let n = self.stream.read(&mut self.buffer[self.filled..])?;
            if n == 0 {
                return Err("the connection ended before the answer's head".into());
            }
            first.get_or_insert_with(|| began.elapsed());
            self.filled += n;
            if let Some(end) = head_end(&self.buffer[..self.filled]) {
                break end;
            }
        };
        let head = &self.buffer[..end];
        if !head.starts_with(b"HTTP/1.1 200") {
            let told = String::from_utf8_lossy(&self.buffer[..self.filled]);
            return Err(format!("expected a 200, found: {told}").into());
        }
        let mut body = content_length(head).map_or(Body::Chunked(Chunks::default()), Body::Length);
        let mut piece = end..self.filled;
        loop {
            let bytes = &self.buffer[piece];
            seen(bytes);
            if body.take(bytes)? {
                break;
            }
            let n = self.stream.read(&mut self.buffer)?;
            if n == 0 {
                return Err("the connection ended inside the answer".into());
            }
            piece = 0..n;
        }
        Ok(Times {
            first: first.unwrap_or_default(),
            whole: began.elapsed(),
        })
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
    /// The line holds a digit other than nought.
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
