//! The answer on its way to the client: whole, or a pull-driven stream inside the connection's task. No spawn, no
//! channel: back-pressure and cancel-on-disconnect come from that.
//!
//! The commit point: response headers go out with the first content, or after `stream_commit_after`, when comments follow
//! until there is content. Before the first content every failure may be retried; after it a failure becomes the
//! dialect's error event.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use tokio::time::{Instant, Sleep};

use crate::base::error::{Error, ErrorKind, Origin};
use crate::base::task::Tasks;
use crate::dispatch::attempt::Sink;
use crate::dispatch::exchange::{Exchange, Until};
use crate::ir::{Collector, Event};
use crate::wire::Reply;
use crate::wire::front::{Front, StreamEncoder};

/// A whole answer larger than this is refused: a client that wants more can stream.
const MAX_WHOLE: usize = 64 << 20;

/// Collects a whole answer.
#[derive(Default)]
struct Whole(Collector);

impl Sink for Whole {
    fn event(&mut self, event: &Event<'_>) {
        if self.0.bytes() <= MAX_WHOLE {
            self.0.event(event);
        }
    }

    fn reset(&mut self) {
        self.0 = Collector::new();
    }
}

/// Encodes a streamed answer.
struct Encoding {
    front: Front,
    reply: Reply,
    encoder: StreamEncoder,
    out: Vec<u8>,
}

impl Encoding {
    fn new(front: Front, reply: Reply) -> Self {
        Self {
            front,
            encoder: front.stream_encoder(&reply),
            reply,
            out: Vec::new(),
        }
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }
}

impl Sink for Encoding {
    fn event(&mut self, event: &Event<'_>) {
        self.encoder.event(event, &mut self.out);
    }

    fn reset(&mut self) {
        self.out.clear();
        self.encoder = self.front.stream_encoder(&self.reply);
    }
}

/// A streamed answer on its way.
pub struct Relay {
    state: State,
    front: Front,
    reply: Reply,
    keepalive: Duration,
    timer: Pin<Box<Sleep>>,
    last: Instant,
    cut: Cut,
}

/// Ends when the answer must.
type Cut = Pin<Box<dyn Future<Output = Error> + Send>>;

type Opening =
    Pin<Box<dyn Future<Output = (Box<Exchange>, Box<Encoding>, Result<(), Error>)> + Send>>;

enum State {
    /// No content yet: tries go on.
    Opening(Opening),
    /// Content flows.
    Flowing(Box<Exchange>, Box<Encoding>),
    /// What is left to be sent.
    Last(Bytes),
    /// All is said.
    Done,
}

/// Times that bound an answer.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Silence after which a stream gets a comment or ping.
    pub keepalive: Duration,
    /// With no content so far the 200 goes out after this.
    pub commit_after: Duration,
    /// The end of the whole request, where there is one.
    pub deadline: Option<Instant>,
}

/// Gets a whole answer and writes it in the client's dialect; the exchange comes back for its ledger.
///
/// # Errors
/// What the client is to be told.
pub async fn whole(
    mut exchange: Box<Exchange>,
    front: Front,
    reply: &Reply,
    times: Times,
    tasks: &Tasks,
) -> (Box<Exchange>, Result<Vec<u8>, Error>) {
    let mut sink = Whole::default();
    let opened = tokio::select! {
        biased;
        opened = exchange.open(Until::End, &mut sink) => opened,
        error = cut(tasks.clone(), times.deadline) => Err(error),
    };
    let answer = match opened {
        Ok(()) if sink.0.bytes() > MAX_WHOLE => Err(Error::new(
            ErrorKind::UpstreamFailed,
            "the answer is larger than 64 MiB: ask for it with `stream: true`",
        )),
        Ok(()) => Ok(front.encode_response(&sink.0.into_response(), reply)),
        Err(error) => Err(error),
    };
    (exchange, answer)
}

/// Opens a streamed answer: comes back with the first content, or after `commit_after` without any.
///
/// # Errors
/// What the client is to be told, with the exchange whose ledger has to hear of it.
pub async fn streamed(
    mut exchange: Box<Exchange>,
    front: Front,
    reply: Reply,
    times: Times,
    tasks: Tasks,
) -> Result<Relay, (Box<Exchange>, Error)> {
    let mut encoding = Box::new(Encoding::new(front, reply.clone()));
    let ended = cut(tasks.clone(), times.deadline);
    let mut opening: Opening = Box::pin(async move {
        let opened = tokio::select! {
            biased;
            opened = exchange.open(Until::Content, encoding.as_mut()) => opened,
            error = ended => Err(error),
        };
        exchange.release_prompt();
        (exchange, encoding, opened)
    });
    let state = tokio::select! {
        biased;
        (exchange, encoding, opened) = &mut opening => match opened {
            Ok(()) => State::Flowing(exchange, encoding),
            Err(error) => return Err((exchange, error)),
        },
        () = tokio::time::sleep(times.commit_after) => State::Opening(opening),
    };
    let last = Instant::now();
    let timer = Box::pin(tokio::time::sleep_until(last + times.keepalive));
    Ok(Relay {
        state,
        front,
        reply,
        keepalive: times.keepalive,
        timer,
        last,
        cut: Box::pin(cut(tasks, times.deadline)),
    })
}

/// Waits for what ends a request from outside: its time is over, or the gateway stops.
async fn cut(tasks: Tasks, deadline: Option<Instant>) -> Error {
    let late = async {
        match deadline {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let (kind, text) = tokio::select! {
        () = late => (ErrorKind::TimedOut, "the request took longer than `routing.total_timeout` allows"),
        () = tasks.force().cancelled() => (ErrorKind::Unavailable, "the gateway is stopping: send the request again"),
    };
    Error::new(kind, text).with_origin(Origin::Gateway)
}

impl Relay {
    /// The answer's bytes, to be pulled by the connection.
    pub fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut relay| async move {
            relay.next().await.map(|bytes| (bytes, relay))
        })
    }

    /// What was dropped so far, for a header.
    pub fn dropped(&self) -> Option<String> {
        match &self.state {
            State::Flowing(exchange, _) => exchange.losses().header(1000),
            _ => None,
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let step = match &mut self.state {
                State::Flowing(exchange, encoding) if !encoding.out.is_empty() => {
                    self.last = Instant::now();
                    let piece = encoding.take();
                    exchange.ticket.sent(&piece);
                    return Some(piece);
                }
                State::Last(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.state = State::Done;
                    return (!bytes.is_empty()).then_some(bytes);
                }
                State::Done => return None,
                State::Flowing(..) | State::Opening(_) => self.step().await,
            };
            match step {
                Step::Opened(exchange, encoding, Ok(())) => {
                    self.state = State::Flowing(exchange, encoding);
                }
                Step::Opened(exchange, encoding, Err(error)) => {
                    self.fail(exchange, encoding, &error);
                }
                Step::Read(Ok(true)) => {}
                Step::Read(Ok(false)) => self.end(None),
                Step::Read(Err(error)) | Step::Cut(error) => self.end(Some(&error)),
                Step::Silent => {
                    self.last = Instant::now();
                    self.timer.as_mut().reset(self.last + self.keepalive);
                    return Some(self.ping());
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        // The timer is not moved with every chunk: when it fires early it is set anew.
        let (timer, last, keepalive) = (&mut self.timer, self.last, self.keepalive);
        let silent = async {
            loop {
                timer.as_mut().await;
                let due = last + keepalive;
                if Instant::now() >= due {
                    return;
                }
                timer.as_mut().reset(due);
            }
        };
        match &mut self.state {
            State::Opening(opening) => tokio::select! {
                biased;
                (exchange, encoding, opened) = opening => Step::Opened(exchange, encoding, opened),
                () = silent => Step::Silent,
            },
            State::Flowing(exchange, encoding) => tokio::select! {
                biased;
                read = exchange.read_on(encoding.as_mut()) => Step::Read(read),
                error = &mut self.cut => Step::Cut(error),
                () = silent => Step::Silent,
            },
            State::Last(_) | State::Done => Step::Read(Ok(false)),
        }
    }

    /// A comment or ping of the dialect.
    fn ping(&mut self) -> Bytes {
        let mut out = Vec::new();
        match &self.state {
            State::Flowing(_, encoding) => encoding.encoder.keepalive(&mut out),
            _ => self.front.stream_encoder(&self.reply).keepalive(&mut out),
        }
        out.into()
    }

    /// The answer is over; what is left in the encoding goes out, the error event behind it where there is one.
    fn end(&mut self, error: Option<&Error>) {
        if let State::Flowing(mut exchange, mut encoding) =
            std::mem::replace(&mut self.state, State::Done)
        {
            if let Some(error) = error {
                return self.fail(exchange, encoding, error);
            }
            let last = encoding.take();
            exchange.ticket.sent(&last);
            self.state = State::Last(last);
        }
    }

    fn fail(&mut self, mut exchange: Box<Exchange>, mut encoding: Box<Encoding>, error: &Error) {
        // The 200 is out: the status of the row says what the client saw, the error what became of it.
        exchange.ticket.failed(error, 200);
        encoding.encoder.fail(error, &mut encoding.out);
        let last = encoding.take();
        exchange.ticket.sent(&last);
        self.state = State::Last(last);
    }
}

enum Step {
    Opened(Box<Exchange>, Box<Encoding>, Result<(), Error>),
    Read(Result<bool, Error>),
    Silent,
    Cut(Error),
}
