//! The loads: what clients send, what the upstream answers.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

/// One kind of load.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// For the table.
    pub(crate) name: &'static str,
    /// The client's body: an OpenAI chat request.
    pub(crate) body: Vec<u8>,
    /// Whether the client asks for a stream.
    pub(crate) stream: bool,
    /// The upstream's answer: pieces that are written one by one, HTTP chunk borders and all.
    pub(crate) pieces: Vec<Vec<u8>>,
    /// Between two pieces; zero: one write follows the other.
    pub(crate) pace: Duration,
    /// Connections of the closed loop that fills the gateway's core (or, paced, that are open at a time).
    pub(crate) connections: usize,
    /// Requests per second at which latencies are taken; 0: in the closed loop.
    pub(crate) rate: u32,
    /// The aim: CPU time per request as a multiple of nginx's.
    pub(crate) aim: f64,
}

/// Chunks of a streamed answer.
pub(crate) const CHUNKS: usize = 50;
/// Closes each answer's text, so that a client can tell that all of it came.
pub(crate) const END_MARK: &str = "that is all";

/// The five loads of the table.
pub(crate) fn all() -> &'static [Scenario] {
    static ALL: OnceLock<Vec<Scenario>> = OnceLock::new();
    ALL.get_or_init(make)
}

fn make() -> Vec<Scenario> {
    let short = request(&user(&filler(31)), false);
    let long = long_request();
    let image = request(&picture(1 << 20), false);
    let streamed = request(&user(&filler(31)), true);
    let whole = vec![chunked(&answer(2), true)];
    let events = answer(CHUNKS);
    let pieces: Vec<_> = events
        .iter()
        .enumerate()
        .map(|(i, event)| chunked(std::slice::from_ref(event), i + 1 == events.len()))
        .collect();
    let unary = |name, body, rate, aim| Scenario {
        name,
        body,
        stream: false,
        pieces: whole.clone(),
        pace: Duration::ZERO,
        connections: 16,
        rate,
        aim,
    };
    vec![
        unary("unary 111 B", short, 500, 2.8),
        unary("unary 20 KB", long, 500, 3.5),
        unary("unary 1 MB image", image, 50, 2.4),
        Scenario {
            name: "stream paced",
            body: streamed.clone(),
            stream: true,
            pieces: pieces.clone(),
            pace: Duration::from_millis(10),
            connections: 64,
            rate: 0,
            aim: 1.5,
        },
        Scenario {
            name: "stream burst",
            body: streamed,
            stream: true,
            pieces,
            pace: Duration::ZERO,
            connections: 16,
            rate: 300,
            aim: 1.8,
        },
    ]
}

fn request(messages: &str, stream: bool) -> Vec<u8> {
    let stream = if stream { r#","stream":true"# } else { "" };
    format!(r#"{{"model":"gemini-2.5-flash","messages":[{messages}]{stream}}}"#).into_bytes()
}

fn user(text: &str) -> String {
    format!(r#"{{"role":"user","content":"{text}"}}"#)
}

/// Prose of so many bytes, as it stands in JSON.
fn filler(bytes: usize) -> String {
    const PROSE: &str =
        "Tell me what the harbour looks like when the boats come in at dawn, and name the birds. ";
    PROSE.chars().cycle().take(bytes).collect()
}

/// A conversation of 20 KB: a system prompt and nineteen turns with the escapes that prose and code have.
fn long_request() -> Vec<u8> {
    let paragraph = format!(r#"{}\n\n```\nlet \"x\" = 1;\n```\n"#, filler(940));
    let mut messages = format!(r#"{{"role":"system","content":"{paragraph}"}}"#);
    for turn in 0..19 {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        let _ = write!(messages, r#",{{"role":"{role}","content":"{paragraph}"}}"#);
    }
    request(&messages, false)
}

/// A question about a picture whose base64 has so many bytes.
fn picture(bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // A PNG's signature, then what looks like compressed data: xorshift64.
    let mut base64 = String::from("iVBORw0KGgoAAAANSUhEUgAA");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while base64.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        base64.push(char::from(
            LETTERS[usize::from(state.to_le_bytes()[4] & 63)],
        ));
    }
    format!(
        r#"{{"role":"user","content":[{{"type":"text","text":"What is this?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{base64}"}}}}]}}"#
    )
}

/// The events of an answer in the upstream's form (upstream-protocol.md 6): texts of about 20 bytes where it is cut into many
/// chunks, of 200 where into few; token counts on each, the finish on the last.
fn answer(chunks: usize) -> Vec<String> {
    let event = |i: usize| {
        let last = i + 1 == chunks;
        let text = match (last, chunks) {
            (true, _) => END_MARK.to_owned(),
            (false, 2) => filler(200),
            (false, _) => format!("{} {i:02} ", filler(16)),
        };
        let finish = if last {
            r#","finishReason":"STOP""#
        } else {
            ""
        };
        format!(
            "data: {{\"response\":{{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{{\"text\":\"{text}\"}}]}}{finish}}}],\
             \"usageMetadata\":{{\"promptTokenCount\":28,\"candidatesTokenCount\":{tokens},\"totalTokenCount\":{total}}},\
             \"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"kq3xaLqLH9e1vdIPx5Gt0QE\"}},\"traceId\":\"5a0c1d94b8e37f26\"}}\r\n\r\n",
            tokens = (i + 1) * 5,
            total = 28 + (i + 1) * 5,
        )
    };
    (0..chunks).map(event).collect()
}

/// HTTP/1.1 chunks, one for each event.
fn chunked(events: &[String], last: bool) -> Vec<u8> {
    let mut out = String::new();
    for event in events {
        let _ = write!(out, "{:x}\r\n{event}\r\n", event.len());
    }
    if last {
        out.push_str("0\r\n\r\n");
    }
    out.into_bytes()
}
