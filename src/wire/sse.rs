//! Server-sent events: bytes to frames.
//!
//! upstream-protocol.md 6.1 and the WHATWG text on event streams: a frame ends with a blank line, lines end with LF, CR
//! or CRLF, a value may be spread over several `data` lines, a line that begins with a colon is a comment. Bytes come in
//! arbitrary pieces; frames are only ever cut at line ends, so a character is never split.

use std::fmt;

/// How much of what is no event stream is kept for the log, in bytes.
const GLIMPSE: usize = 300;

/// One frame of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event` field, where one was given.
    pub event: Option<&'a str>,
    /// The `data` lines, joined with a line feed.
    pub data: &'a str,
}

/// Why a stream can't be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseError {
    /// A frame is longer than this many bytes.
    TooLong(usize),
    /// What came is no event stream: its beginning, for the log.
    Garbage(String),
    /// A frame is not UTF-8.
    NotUtf8,
    /// The stream ended inside a frame.
    CutOff,
}

impl fmt::Display for SseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(limit) => write!(f, "a frame of the stream is longer than {limit} bytes"),
            Self::Garbage(start) => write!(f, "expected an event stream, found `{start}`"),
            Self::NotUtf8 => f.write_str("a frame of the stream is not UTF-8"),
            Self::CutOff => f.write_str("the stream ended inside a frame"),
        }
    }
}

impl std::error::Error for SseError {}

/// What the first bytes told of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing but white space so far.
    Unknown,
    /// An event stream.
    Events,
    /// A bare JSON value where a stream was expected, such as an error object: gathered whole.
    Json,
    /// An error was reported.
    Dead,
}

/// Cuts a byte stream into frames.
///
/// A frame that lies wholly inside one chunk is handed over without a copy; what is carried from chunk to chunk is at
/// most the frame limit.
#[derive(Debug)]
pub struct SseParser {
    limit: usize,
    mode: Mode,
    at_start: bool,
    skip_lf: bool,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The data of the frame so far; valid from `from` on.
    data: Vec<u8>,
    from: usize,
    has_data: bool,
    event: String,
}

impl SseParser {
    /// A parser that refuses frames over `max_frame_bytes`.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            limit: max_frame_bytes,
            mode: Mode::Unknown,
            at_start: true,
            skip_lf: false,
            line: Vec::new(),
            data: Vec::new(),
            from: 0,
            has_data: false,
            event: String::new(),
        }
    }

    /// Takes the next bytes and hands over each frame that they complete.
    ///
    /// # Errors
    /// The bytes are no event stream, or a frame is too long or not UTF-8. Nothing more is handed over after that.
    pub fn push(
        &mut self,
        chunk: &[u8],
        on_frame: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), SseError> {
        let done = self.take(chunk, on_frame);
        if done.is_err() {
            self.mode = Mode::Dead;
        }
        done
    }

    /// The end of the stream. A last frame without its blank line is handed over when its data is whole JSON; so is a
    /// bare JSON body that stood in place of a stream.
    ///
    /// # Errors
    /// [`SseError::CutOff`] where bytes are left that are no whole frame, [`SseError::Garbage`] where a bare body is no
    /// JSON.
    pub fn finish(&mut self, on_frame: &mut dyn FnMut(Frame<'_>)) -> Result<(), SseError> {
        let mode = std::mem::replace(&mut self.mode, Mode::Dead);
        match mode {
            Mode::Dead => Ok(()),
            Mode::Json => {
                let text = std::str::from_utf8(&self.line).map_err(|_| SseError::NotUtf8)?;
                if !is_json(text) {
                    return Err(SseError::Garbage(glimpse(&self.line)));
                }
                on_frame(Frame {
                    event: None,
                    data: text.trim(),
                });
                Ok(())
            }
            Mode::Unknown if self.line.iter().any(|b| !b.is_ascii_whitespace()) => {
                Err(SseError::Garbage(glimpse(&self.line)))
            }
            Mode::Unknown | Mode::Events => {
                let last = std::mem::take(&mut self.line);
                if !last.is_empty() {
                    if field(&last).0 == b"data" {
                        self.keep(field(&last).1)?;
                    } else if !self.has_data {
                        return Err(SseError::CutOff);
                    }
                }
                if !self.has_data {
                    return Ok(());
                }
                let text = std::str::from_utf8(self.data.get(self.from..).unwrap_or_default())
                    .map_err(|_| SseError::CutOff)?;
                if !is_json(text) {
                    return Err(SseError::CutOff);
                }
                on_frame(Frame {
                    event: (!self.event.is_empty()).then_some(self.event.as_str()),
                    data: text,
                });
                Ok(())
            }
        }
    }

    fn take(
        &mut self,
        mut chunk: &[u8],
        on_frame: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), SseError> {
        if self.mode == Mode::Unknown {
            if !self.line.is_empty() {
                // Too little came to tell what this is: look at it together with what comes now.
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(chunk);
                return self.take(&whole, on_frame);
            }
            chunk = self.sniff(chunk)?;
        }
        match self.mode {
            Mode::Unknown | Mode::Dead => Ok(()),
            Mode::Json => {
                self.line.extend_from_slice(chunk);
                self.check(self.line.len())
            }
            Mode::Events => self.lines(chunk, on_frame),
        }
    }

    /// Looks at the first bytes; gives what is left of them to read.
    fn sniff<'c>(&mut self, mut chunk: &'c [u8]) -> Result<&'c [u8], SseError> {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        if self.at_start {
            if let Some(rest) = chunk.strip_prefix(BOM) {
                chunk = rest;
                self.at_start = false;
            } else if !chunk.is_empty() && BOM.starts_with(chunk) {
                self.line.extend_from_slice(chunk);
                return Ok(&[]);
            } else if !chunk.is_empty() {
                self.at_start = false;
            }
        }
        let text = chunk.trim_ascii_start();
        let Some(first) = text.first() else {
            return Ok(&[]);
        };
        if matches!(first, b'{' | b'[') {
            self.mode = Mode::Json;
            return Ok(text);
        }
        let name_end = text
            .iter()
            .position(|b| matches!(b, b':' | b'\n' | b'\r'))
            .unwrap_or(text.len());
        let name = &text[..name_end];
        let known: [&[u8]; 5] = [b"", b"data", b"event", b"id", b"retry"];
        if name_end < text.len() && known.contains(&name) {
            self.mode = Mode::Events;
            return Ok(text);
        }
        if name_end == text.len() && known.iter().any(|k| k.starts_with(name)) {
            self.line.extend_from_slice(text);
            return Ok(&[]);
        }
        Err(SseError::Garbage(glimpse(text)))
    }

    fn lines(&mut self, chunk: &[u8], on_frame: &mut dyn FnMut(Frame<'_>)) -> Result<(), SseError> {
        let mut rest = chunk;
        // The frame's only data line so far, where it lies in this chunk.
        let mut here: Option<&[u8]> = None;
        loop {
            if self.skip_lf && !rest.is_empty() {
                self.skip_lf = false;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                break;
            };
            let (piece, after) = rest.split_at(end);
            self.skip_lf = after.first() == Some(&b'\r');
            rest = &after[1..];
            if !self.line.is_empty() {
                self.check(self.line.len() + piece.len())?;
                self.line.extend_from_slice(piece);
                self.carried_line()?;
            } else if piece.is_empty() {
                self.dispatch(here.take(), on_frame)?;
            } else {
                match field(piece) {
                    (b"data", value) => {
                        if here.is_none() && !self.has_data {
                            self.check(value.len())?;
                            here = Some(value);
                        } else {
                            if let Some(first) = here.take() {
                                self.keep(first)?;
                            }
                            self.keep(value)?;
                        }
                    }
                    (b"event", value) => self.name(value)?,
                    _ => {}
                }
            }
        }
        if let Some(first) = here {
            self.keep(first)?;
        }
        self.check(self.data.len() + self.line.len() + rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// A line that began in an earlier chunk is whole now.
    fn carried_line(&mut self) -> Result<(), SseError> {
        let (name, value) = field(&self.line);
        match name {
            b"data" if !self.has_data => {
                self.check(value.len())?;
                self.from = self.line.len() - value.len();
                self.has_data = true;
                std::mem::swap(&mut self.data, &mut self.line);
            }
            b"data" => {
                let line = std::mem::take(&mut self.line);
                self.keep(field(&line).1)?;
                self.line = line;
            }
            b"event" => {
                let line = std::mem::take(&mut self.line);
                self.name(field(&line).1)?;
                self.line = line;
            }
            _ => {}
        }
        self.line.clear();
        Ok(())
    }

    fn keep(&mut self, value: &[u8]) -> Result<(), SseError> {
        self.check(self.data.len() - self.from + value.len() + 1)?;
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }

    fn name(&mut self, value: &[u8]) -> Result<(), SseError> {
        self.check(value.len())?;
        let value = std::str::from_utf8(value).map_err(|_| SseError::NotUtf8)?;
        value.clone_into(&mut self.event);
        Ok(())
    }

    fn dispatch(
        &mut self,
        here: Option<&[u8]>,
        on_frame: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), SseError> {
        let bytes = match here {
            Some(bytes) => Some(bytes),
            None if self.has_data => Some(self.data.get(self.from..).unwrap_or_default()),
            None => None,
        };
        if let Some(bytes) = bytes {
            on_frame(Frame {
                event: (!self.event.is_empty()).then_some(self.event.as_str()),
                data: std::str::from_utf8(bytes).map_err(|_| SseError::NotUtf8)?,
            });
        }
        self.data.clear();
        self.from = 0;
        self.has_data = false;
        self.event.clear();
        Ok(())
    }

    fn check(&self, len: usize) -> Result<(), SseError> {
        if len > self.limit {
            Err(SseError::TooLong(self.limit))
        } else {
            Ok(())
        }
    }
}

/// Splits a line into name and value; one space after the colon is no part of the value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &[]),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn glimpse(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(GLIMPSE)]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Frames = Vec<(Option<String>, String)>;

    fn run(chunks: &[&[u8]], limit: usize) -> (Frames, Result<(), SseError>) {
        let mut frames = Vec::new();
        let mut parser = SseParser::new(limit);
        let mut on = |f: Frame<'_>| frames.push((f.event.map(str::to_owned), f.data.to_owned()));
        for chunk in chunks {
            if let Err(e) = parser.push(chunk, &mut on) {
                return (frames, Err(e));
            }
        }
        let end = parser.finish(&mut on);
        (frames, end)
    }

    fn data(text: &str) -> Vec<String> {
        let (frames, end) = run(&[text.as_bytes()], 1000);
        assert_eq!(end, Ok(()));
        frames.into_iter().map(|f| f.1).collect()
    }

    #[test]
    fn frames_end_at_blank_lines_whatever_the_line_ends() {
        assert_eq!(data("data: {\"a\":1}\n\ndata: 2\n\n"), ["{\"a\":1}", "2"]);
        assert_eq!(data("data: 1\r\n\r\ndata: 2\r\n\r\n"), ["1", "2"]);
        assert_eq!(data("data: 1\r\rdata: 2\r\r"), ["1", "2"]);
        assert_eq!(data("data: [1,\ndata: 2]\n\n"), ["[1,\n2]"]);
        assert_eq!(data(": ping\n\ndata:1\n\n: more\n\n"), ["1"]);
        assert_eq!(data("\u{feff}data: 1\n\n"), ["1"]);
        assert_eq!(data("id: 3\nretry: 5\n\n"), Vec::<String>::new());
        assert_eq!(data("data\n\n"), [""]);
    }

    #[test]
    fn the_event_name_goes_with_its_frame() {
        let (frames, end) = run(&[b"event: a\ndata: 1\n\ndata: 2\n\n"], 100);
        assert_eq!(end, Ok(()));
        assert_eq!(
            frames,
            [
                (Some("a".to_owned()), "1".to_owned()),
                (None, "2".to_owned())
            ]
        );
    }

    #[test]
    fn a_frame_inside_one_chunk_is_not_copied() {
        let chunk = b"data: {\"a\":1}\n\n".to_vec();
        let range = chunk.as_ptr_range();
        let mut parser = SseParser::new(100);
        let mut seen = 0;
        parser
            .push(&chunk, &mut |f| {
                seen += 1;
                assert!(range.contains(&f.data.as_ptr()));
            })
            .unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_last_frame_without_its_blank_line_counts_when_it_is_whole() {
        assert_eq!(data("data: {\"a\":1}\n"), ["{\"a\":1}"]);
        assert_eq!(data("data: {\"a\":1}"), ["{\"a\":1}"]);
        assert_eq!(run(&[b"data: {\"a\":"], 100).1, Err(SseError::CutOff));
        assert_eq!(run(&[b"data: 1\n\nda"], 100).1, Err(SseError::CutOff));
    }

    #[test]
    fn what_is_no_stream_is_told_at_once() {
        for text in [
            "<html><body>Sorry",
            "Your client is too old.",
            "datum: 1\n",
            "d a",
            "<",
        ] {
            let (frames, end) = run(&[text.as_bytes()], 1000);
            assert!(frames.is_empty());
            assert!(matches!(end, Err(SseError::Garbage(_))), "{text}: {end:?}");
        }
        assert_eq!(run(&[b"  \n"], 10).1, Ok(()));
    }

    #[test]
    fn a_bare_json_body_becomes_one_frame() {
        let body = "[{\n  \"error\": {\n    \"code\": 503\n  }\n}\n]\n";
        let (head, tail) = body.as_bytes().split_at(9);
        let (frames, end) = run(&[b"\n", head, tail], 1000);
        assert_eq!(end, Ok(()));
        assert_eq!(frames, [(None, body.trim().to_owned())]);
        assert!(matches!(
            run(&[b"{\"a\":"], 99).1,
            Err(SseError::Garbage(_))
        ));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused() {
        let long = format!("data: {}\n\n", "x".repeat(50));
        assert_eq!(run(&[long.as_bytes()], 49).1, Err(SseError::TooLong(49)));
        assert_eq!(run(&[long.as_bytes()], 51).1, Ok(()));
        let pieces: Vec<&[u8]> = long.as_bytes().chunks(7).collect();
        assert_eq!(run(&pieces, 20).1, Err(SseError::TooLong(20)));
        let many = "data: xxxxxxxxxx\n".repeat(10);
        assert_eq!(run(&[many.as_bytes()], 40).1, Err(SseError::TooLong(40)));
    }

    #[test]
    fn a_frame_that_is_not_utf8_is_refused() {
        assert_eq!(run(&[b"data: \xff\n\n"], 99).1, Err(SseError::NotUtf8));
    }

    proptest! {
        #[test]
        fn chunk_borders_change_nothing(
            lines in proptest::collection::vec("(data: ?[{}0-9é\u{1F600}\"]{0,6}|event: [ab]|: c|id: 1|)", 0..12),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 12),
            bom in any::<bool>(),
            cuts in proptest::collection::vec(0usize..300, 0..10),
        ) {
            let mut text = String::new();
            if bom {
                text.push('\u{feff}');
            }
            for (line, end) in lines.iter().zip(&ends) {
                text.push_str(line);
                text.push_str(end);
            }
            let bytes = text.as_bytes();
            let whole = run(&[bytes], 10_000);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut at = 0;
            for cut in cuts {
                chunks.push(&bytes[at..cut]);
                at = cut;
            }
            chunks.push(&bytes[at..]);
            prop_assert_eq!(&run(&chunks, 10_000), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&run(&single, 10_000), &whole);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let _ = run(&chunks, 64);
        }
    }
}
