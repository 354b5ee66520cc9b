//! Clients of both dialects, without an SDK: what is sent, and a strict reader of what comes back.

use serde_json::{Value, json};

use super::within;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
}

use Dialect::{Anthropic, OpenAi};

/// Both.
pub(crate) const BOTH: [Dialect; 2] = [OpenAi, Anthropic];

impl Dialect {
    pub(crate) fn path(self) -> &'static str {
        match self {
            OpenAi => "/v1/chat/completions",
            Anthropic => "/v1/messages",
        }
    }

    pub(crate) fn with_key(
        self,
        request: reqwest::RequestBuilder,
        key: &str,
    ) -> reqwest::RequestBuilder {
        match self {
            OpenAi => request.bearer_auth(key),
            Anthropic => request
                .header("x-api-key", key)
                .header("anthropic-version", "2023-06-01"),
        }
    }

    /// A request with these messages.
    pub(crate) fn asking(self, model: &str, messages: &Value) -> Value {
        let mut body = json!({"model": model, "messages": messages});
        if self == Anthropic {
            body["max_tokens"] = json!(8192);
        }
        body
    }

    /// A request that says one thing.
    pub(crate) fn saying(self, model: &str, text: &str, stream: bool) -> Value {
        let mut body = self.asking(model, &json!([{"role": "user", "content": text}]));
        if stream {
            body["stream"] = json!(true);
        }
        body
    }
}

/// An answer that was read whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

/// An error as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) code: Option<String>,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
}

impl Got {
    pub(crate) async fn read(request: reqwest::RequestBuilder) -> Self {
        within("an answer", async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let text = response.text().await.unwrap();
            Self {
                status,
                headers,
                text,
            }
        })
        .await
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The request's id.
    pub(crate) fn id(&self) -> &str {
        self.headers["x-request-id"].to_str().unwrap()
    }

    /// The answer's text.
    pub(crate) fn said(&self, dialect: Dialect) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        let body = self.json();
        match dialect {
            OpenAi => body["choices"][0]["message"]["content"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            Anthropic => {
                let blocks = body["content"].as_array().unwrap().iter();
                blocks.filter_map(|b| b["text"].as_str()).collect()
            }
        }
    }

    /// Why the answer ended.
    pub(crate) fn finish(&self, dialect: Dialect) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        let body = self.json();
        let reason = match dialect {
            OpenAi => &body["choices"][0]["finish_reason"],
            Anthropic => &body["stop_reason"],
        };
        reason.as_str().unwrap().to_owned()
    }

    /// The error, whose shape is looked at closely.
    pub(crate) fn error(&self, dialect: Dialect) -> Told {
        assert!(self.status >= 400, "{}: {}", self.status, self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        if dialect == Anthropic {
            let id = body["request_id"].as_str().unwrap();
            assert!(id.starts_with("req_"), "{id}");
        }
        let retry_after = self.headers.get("retry-after");
        Told {
            status: self.status,
            retry_after: retry_after.map(|n| n.to_str().unwrap().parse().unwrap()),
            ..told(dialect, &body)
        }
    }
}

/// The error of a body or event.
pub(crate) fn told(dialect: Dialect, body: &Value) -> Told {
    let error = &body["error"];
    let text = |name: &str| error[name].as_str().map(str::to_owned);
    match dialect {
        OpenAi => assert!(
            error.get("param").is_some()
                && error.get("code").is_some()
                && body.get("type").is_none(),
            "{body}"
        ),
        Anthropic => assert_eq!(body["type"], "error", "{body}"),
    }
    Told {
        status: 0,
        kind: text("type").unwrap(),
        code: text("code"),
        param: text("param"),
        message: text("message").unwrap(),
        retry_after: None,
    }
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    /// A comment, or Anthropic's ping.
    Ping,
    /// JSON.
    Data(Value),
    /// OpenAI's `[DONE]`.
    Done,
}

/// A streamed answer on its way.
pub(crate) struct Stream {
    pub(crate) dialect: Dialect,
    pub(crate) id: String,
    response: reqwest::Response,
    buffer: Vec<u8>,
    speech: Speech,
}

/// What a stream has said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Speech {
    /// Text, delta by delta.
    pub(crate) texts: Vec<String>,
    pub(crate) thinking: String,
    /// Silences that were filled.
    pub(crate) pings: usize,
    /// The dialect's word for why the answer ended.
    pub(crate) finish: Option<String>,
    /// Whether the dialect's last event came.
    pub(crate) done: bool,
    pub(crate) error: Option<Told>,
    pub(crate) usage: Option<Value>,
    /// Whether the connection broke.
    pub(crate) broken: bool,
}

impl Speech {
    pub(crate) fn text(&self) -> String {
        self.texts.concat()
    }

    /// Whether anything makes the answer look complete.
    pub(crate) fn looks_complete(&self) -> bool {
        self.finish.is_some() || self.done
    }

    /// It must have come to its proper end.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        assert!(
            self.finish.is_some() && self.done && self.error.is_none() && !self.broken,
            "{self:?}"
        );
    }

    /// It must have ended with an error event, and with nothing that looks like an end.
    #[track_caller]
    pub(crate) fn assert_failed(&self) -> &Told {
        assert!(!self.looks_complete() && !self.broken, "{self:?}");
        self.error
            .as_ref()
            .unwrap_or_else(|| panic!("no error event: {self:?}"))
    }
}

impl Stream {
    /// Sends a request whose answer must be a stream.
    pub(crate) async fn open(dialect: Dialect, request: reqwest::RequestBuilder) -> Self {
        let response = within("a stream", request.send()).await.unwrap();
        let status = response.status();
        if status != 200 {
            let text = response.text().await.unwrap();
            panic!("{status}: {text}");
        }
        Self::of(dialect, response)
    }

    /// The stream that this answer must be.
    pub(crate) fn of(dialect: Dialect, response: reqwest::Response) -> Self {
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-cache");
        Self {
            dialect,
            id: headers["x-request-id"].to_str().unwrap().to_owned(),
            response,
            buffer: Vec::new(),
            speech: Speech::default(),
        }
    }

    /// The next event; none at the end. Each is valid UTF-8 by itself and of the dialect's form.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let frame = self.parse(std::str::from_utf8(&event).unwrap());
                self.take(&frame);
                return Some(frame);
            }
            match within("the next event", self.response.chunk()).await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) => {
                    assert!(self.buffer.is_empty(), "half an event at the end");
                    return None;
                }
                Err(_) => {
                    self.speech.broken = true;
                    return None;
                }
            }
        }
    }

    fn parse(&self, event: &str) -> Frame {
        let mut name = None;
        let mut data = None;
        for line in event.lines().filter(|line| !line.is_empty()) {
            if line.starts_with(':') {
                return Frame::Ping;
            } else if let Some(text) = line.strip_prefix("event: ") {
                name = Some(text);
            } else if let Some(text) = line.strip_prefix("data: ") {
                assert!(data.replace(text).is_none(), "two data lines: {event}");
            } else {
                panic!("what is this: {event}");
            }
        }
        let data = data.unwrap_or_else(|| panic!("no data: {event}"));
        if data == "[DONE]" {
            assert_eq!((self.dialect, name), (OpenAi, None));
            return Frame::Done;
        }
        let value: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {event}"));
        match self.dialect {
            OpenAi => assert_eq!(name, None),
            Anthropic => assert_eq!(name, value["type"].as_str(), "{event}"),
        }
        if name == Some("ping") {
            return Frame::Ping;
        }
        Frame::Data(value)
    }

    fn take(&mut self, frame: &Frame) {
        let speech = &mut self.speech;
        assert!(
            !speech.done && speech.error.is_none(),
            "something after the end: {frame:?}"
        );
        let value = match frame {
            Frame::Ping => {
                speech.pings += 1;
                return;
            }
            Frame::Done => {
                speech.done = true;
                return;
            }
            Frame::Data(value) => value,
        };
        if value.get("error").is_some() {
            speech.error = Some(told(self.dialect, value));
            return;
        }
        let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        match self.dialect {
            OpenAi => {
                let choice = &value["choices"][0];
                speech.texts.extend(text(&choice["delta"]["content"]));
                speech.thinking += &text(&choice["delta"]["reasoning_content"]).unwrap_or_default();
                speech.finish = speech.finish.take().or(text(&choice["finish_reason"]));
                speech.usage = speech.usage.take().or(value.get("usage").cloned());
            }
            Anthropic => {
                let delta = &value["delta"];
                speech.texts.extend(text(&delta["text"]));
                speech.thinking += &text(&delta["thinking"]).unwrap_or_default();
                speech.finish = speech.finish.take().or(text(&delta["stop_reason"]));
                speech.done = value["type"] == "message_stop";
                if value["type"] == "message_delta" {
                    speech.usage = Some(value["usage"].clone());
                }
            }
        }
    }

    /// Reads on to the next piece of text; none where the stream ends before.
    pub(crate) async fn text(&mut self) -> Option<String> {
        let before = self.speech.texts.len();
        while self.speech.texts.len() == before {
            self.next().await?;
        }
        self.speech.texts.last().cloned()
    }

    /// Reads on until so many silences were filled.
    pub(crate) async fn pings(&mut self, pings: usize) {
        while self.speech.pings < pings {
            assert!(self.next().await.is_some(), "{:?}", self.speech);
        }
    }

    /// What was said so far.
    pub(crate) fn so_far(&self) -> &Speech {
        &self.speech
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> Speech {
        while self.next().await.is_some() {}
        self.speech
    }
}
