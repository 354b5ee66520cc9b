//! One try on one account: token, project, payload, call, and the reading of its answer.

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::base::error::Error;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::dispatch::replay::{Recorder, Replay};
use crate::dispatch::seat::Held;
use crate::dispatch::spent::Spent;
use crate::dispatch::ticket::Ticket;
use crate::ir::{self, Event, Fault, StopReason, Usage};
use crate::pool::failure::{Class, Failure};
use crate::runtime::snapshot::{KeyEntry, Route};
use crate::upstream::antigravity::envelope::{self, EnvelopeMeta, RequestType};
use crate::upstream::classify;
use crate::upstream::client::BodyStream;
use crate::wire::gemini::{self, StreamDecoder, Target};
use crate::wire::sse::SseParser;

/// Largest single event of an upstream's stream: a 4K picture as base64 with room to spare.
const MAX_FRAME: usize = 32 << 20;

/// Most pieces of an answer that are read at one go.
const AT_ONCE: usize = 64;

/// Takes the events of an answer.
pub trait Sink: Send {
    /// One event; never `Fail`.
    fn event(&mut self, event: &Event<'_>);
    /// A try failed before anything reached the client: forget what it said.
    fn reset(&mut self);
}

/// Why a try ended: the upstream's fault, or a request that can't be said in its dialect.
pub enum Trouble {
    /// The prompt was sent, or should have been: perhaps it is tried again.
    Failure(Failure),
    /// The account could not be made ready: no token, no project. No host of the API is to blame.
    SignIn(Failure),
    /// The client's own mistake: told at once.
    Refused(Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// How the payload is to be written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Variant {
    /// With signatures repaired (13.4).
    pub repair: bool,
    /// With a thinking budget in place of a level (5.6).
    pub level_as_budget: bool,
}

/// A payload ready to be sent, and what reading its answer needs.
pub struct Prepared {
    /// The body.
    pub body: Bytes,
    /// For the decoder.
    pub encoded: gemini::Encoded,
}

/// Writes the payload of `request` for the account in hand.
///
/// # Errors
/// The client's mistake, where the request can't be said to this model.
pub fn prepare(
    request: &ir::Request,
    route: &Route,
    held: &Held,
    project: Option<&str>,
    key: &KeyEntry,
    replay: &Replay,
    variant: Variant,
) -> Result<Prepared, Error> {
    let (target, seat) = (held.target(), held.seat());
    let session = envelope::session_id(
        &seat.account.id,
        &first_text(request, ir::Role::System),
        &first_text(request, ir::Role::User),
    );
    let upstream = &target.upstream.config;
    let request_id = envelope::new_request_id();
    let meta = EnvelopeMeta {
        project,
        model: &target.model,
        request_id: &request_id,
        user_agent: &upstream.user_agent,
        request_type: RequestType::of(target.family),
        credits: seat.credits,
    };
    let mut body = Vec::with_capacity(size_hint(request));
    envelope::begin(&mut body, &meta);
    let encode = Target {
        model: &target.model,
        family: target.family,
        api: gemini::Api::Antigravity,
        max_output: target.max_output,
        thinking: route.thinking,
        safety_settings: &upstream.safety_settings,
        session_id: Some(&session),
        level_as_budget: variant.level_as_budget,
        repair: variant.repair,
    };
    let encoded = gemini::encode_request(request, &encode, &replay.view(&key.id), &mut body)?;
    envelope::end(&mut body);
    Ok(Prepared {
        body: body.into(),
        encoded,
    })
}

/// About as many bytes as the payload will have, so that it is not moved while it grows.
fn size_hint(request: &ir::Request) -> usize {
    let blocks = request.turns.iter().flat_map(|turn| &turn.blocks);
    let content: usize = blocks
        .map(|block| match &block.body {
            ir::BlockBody::Text(t) | ir::BlockBody::Refusal(t) | ir::BlockBody::Thinking(t) => {
                t.len() + t.len() / 8
            }
            ir::BlockBody::Media(media) => media.base64.len(),
            ir::BlockBody::ToolCall { input, .. } => input.len() + 128,
            ir::BlockBody::ToolResult { content, .. } => content
                .iter()
                .map(|part| match part {
                    ir::ResultPart::Text(t) => t.len() + t.len() / 8,
                    ir::ResultPart::Media(media) => media.base64.len(),
                })
                .sum(),
            ir::BlockBody::RedactedThinking(_) => 0,
        })
        .map(|n| n + 64)
        .sum();
    let tools: usize = request
        .tools
        .iter()
        .map(|t| 256 + t.parameters.as_ref().map_or(0, |p| p.get().len()))
        .sum();
    content + tools + 1024
}

fn first_text(request: &ir::Request, role: ir::Role) -> String {
    let mut blocks = request
        .turns
        .iter()
        .filter(|turn| turn.role == role)
        .flat_map(|turn| &turn.blocks);
    let text = blocks.find_map(|block| match &block.body {
        ir::BlockBody::Text(text) => Some(text.clone()),
        _ => None,
    });
    text.unwrap_or_default()
}

/// A call under way.
pub struct Call {
    /// The place it holds.
    pub held: Held,
    /// The token it was made with.
    pub token: Secret,
    body: BodyStream,
    sse: SseParser,
    decoder: StreamDecoder,
    /// Whether content has come.
    pub content: bool,
    /// Why the answer ended, once it has.
    pub stop: Option<StopReason>,
    /// Token counts so far.
    pub usage: Usage,
}

impl Call {
    /// Sends the payload and waits for the answer's first byte.
    ///
    /// # Errors
    /// What the upstream, or the way to it, said.
    pub async fn send(
        held: Held,
        host: usize,
        token: Secret,
        prepared: Prepared,
        ticket: &mut Ticket,
    ) -> Result<Self, (Held, Failure)> {
        ticket.sends();
        let answer = held
            .target()
            .upstream
            .client
            .stream_generate(host, &token, prepared.body)
            .await;
        match answer {
            Ok(answer) => {
                ticket.first_byte();
                let body = answer.body;
                let decoder = StreamDecoder::new(prepared.encoded.decode);
                let sse = SseParser::new(MAX_FRAME);
                Ok(Self {
                    held,
                    token,
                    body,
                    sse,
                    decoder,
                    content: false,
                    stop: None,
                    usage: Usage::default(),
                })
            }
            Err(failure) => Err((held, failure)),
        }
    }

    /// Waits for a piece of the answer and hands its events on, and those of further pieces that are there already, so that
    /// what came together goes on together; the first content goes on alone. Once [`Self::stop`] is set there is no more to
    /// come.
    ///
    /// # Errors
    /// The stream broke off.
    pub async fn pump(
        &mut self,
        recorder: &mut Recorder,
        spent: &mut Spent,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let mut piece = self.body.next().await;
        let content = self.content;
        let mut left = AT_ONCE;
        loop {
            self.take(piece, recorder, spent, sink)?;
            left -= 1;
            // Asked before the next piece is taken off the body: what is taken must be handed on.
            let enough = self.content != content || spent.is_short();
            if left == 0 || self.stop.is_some() || enough {
                return Ok(());
            }
            match self.body.at_hand().await {
                Some(next) => piece = next,
                None => return Ok(()),
            }
        }
    }

    /// Hands on the events of one piece; `None` is the end of the body.
    fn take(
        &mut self,
        piece: Option<Result<Bytes, Failure>>,
        recorder: &mut Recorder,
        spent: &mut Spent,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let mut fault = None;
        let Self {
            sse,
            decoder,
            content,
            stop,
            usage,
            ..
        } = self;
        let mut take = |event: Event<'_>| {
            if stop.is_some() || fault.is_some() {
                return;
            }
            spent.event(&event);
            match event {
                Event::Fail(broken) => {
                    fault = Some(to_failure(&broken));
                    return;
                }
                Event::Usage(counts) => usage.update(&counts),
                Event::Stop(reason) => {
                    *stop = Some(reason);
                    // An answer with nothing in it is not handed on: it may go better on the next try.
                    if reason == StopReason::End && !*content {
                        return;
                    }
                }
                _ => *content |= event.is_content(),
            }
            recorder.event(&event);
            sink.event(&event);
        };
        match piece {
            Some(Ok(bytes)) => {
                if let Err(broken) =
                    sse.push(&bytes, &mut |frame| decoder.frame(frame.data, &mut take))
                {
                    decoder.broken(&broken, &mut take);
                }
            }
            // All was said but the last counts: a silence or a cut after that breaks nothing off.
            Some(Err(_)) if decoder.is_finished() => decoder.end(&mut take),
            Some(Err(failure)) => return Err(failure),
            None => match sse.finish(&mut |frame| decoder.frame(frame.data, &mut take)) {
                Ok(()) => decoder.end(&mut take),
                Err(broken) => decoder.broken(&broken, &mut take),
            },
        }
        fault.map_or(Ok(()), Err)
    }

    /// Reads on to the end of an answer that is complete, so that its connection can serve again; gives up soon.
    pub async fn drain(&mut self) {
        let rest = async { while let Some(Ok(_)) = self.body.next().await {} };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), rest).await;
    }
}

fn to_failure(fault: &Fault<'_>) -> Failure {
    match fault {
        Fault::Error(json) => classify::classify_in_stream(json, Timestamp::now()),
        Fault::Truncated => Failure::new(
            Class::UpstreamGarbage,
            "the stream ended without a finish reason",
        ),
        Fault::Garbage(text) => Failure::new(
            Class::UpstreamGarbage,
            format!("not of the protocol: {text}"),
        ),
        Fault::Model(reason) => Failure::new(Class::EmptyAnswer, format!("finish reason {reason}")),
    }
}
