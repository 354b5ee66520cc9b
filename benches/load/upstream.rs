//! The simulated upstream: reads a request, answers with bytes made in advance.
//!
//! Not `agp simulate`, which reads and checks what it gets and would take the load's core from the clients. Whatever is
//! posted, at whatever path, gets the present scenario's answer, so that nginx passes the client's own request on and
//! brings back the very bytes that the gateway gets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Outcome;
use crate::client::{content_length, head_end};
use crate::scenario;

static PRESENT: AtomicUsize = AtomicUsize::new(0);

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: bench\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Answers with this scenario from now on.
pub(crate) fn play(scenario: &scenario::Scenario) {
    if let Some(at) = scenario::all().iter().position(|s| s.name == scenario.name) {
        PRESENT.store(at, Ordering::Release);
    }
}

/// Listens until the process ends.
pub(crate) fn start() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the other side's to tell.
            std::thread::spawn(move || serve(stream));
        }
    });
    Ok(addr)
}

fn serve(mut stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 256 << 10];
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(end) = head_end(&buffer[..filled]) {
                break end;
            }
            let n = stream.read(&mut buffer[filled..])?;
            if n == 0 {
                return Ok(());
            }
            filled += n;
        };
        let head = &buffer[..end];
        let length = content_length(head).unwrap_or(0);
        let setup = setup_answer(head);
        // The body is read and forgotten.
        let mut seen = filled - end;
        while seen < length {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            seen += n;
        }
        filled = 0;
        match setup {
            Some(json) => write_json(&mut stream, json)?,
            None => answer(&mut stream)?,
        }
    }
}

/// What the gateway asks before it can send prompts: tokens, the project, the models (upstream-protocol.md 1 and 3).
fn setup_answer(head: &[u8]) -> Option<&'static str> {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let holds = |what: &[u8]| line.windows(what.len()).any(|w| w == what);
    if holds(b"/token") {
        Some(r#"{"access_token":"bench","expires_in":3599,"token_type":"Bearer"}"#)
    } else if holds(b":loadCodeAssist") {
        Some(r#"{"currentTier":{"id":"free-tier"},"cloudaicompanionProject":"bench-project"}"#)
    } else if holds(b":fetchAvailableModels") {
        Some(r#"{"models":{"gemini-2.5-flash":{"displayName":"Gemini 2.5 Flash"}}}"#)
    } else {
        None
    }
}

fn write_json(stream: &mut TcpStream, json: &str) -> Outcome<()> {
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    Ok(stream.write_all(text.as_bytes())?)
}

fn answer(stream: &mut TcpStream) -> Outcome<()> {
    let scenario = &scenario::all()[PRESENT.load(Ordering::Acquire)];
    for (i, piece) in scenario.pieces.iter().enumerate() {
        if i == 0 {
            stream.write_all(&[HEAD, piece].concat())?;
        } else {
            std::thread::sleep(scenario.pace);
            stream.write_all(piece)?;
        }
    }
    Ok(())
}
