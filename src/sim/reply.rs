//! Answers as they leave: whole ones, streams with their pauses and faults, and errors in Google's shape.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::flights::Flight;

/// What every handler answers with.
pub(super) type Reply = Response<SimBody>;

/// Set on a connection that is to end with a TCP reset.
pub(super) type Hangup = Arc<AtomicBool>;

/// One thing that a body does.
#[derive(Debug)]
pub(super) enum Step {
    /// Sends bytes.
    Data(Bytes),
    /// Is silent for a while, counted from the end of the last wait.
    Wait(Duration),
    /// Lets what was sent so far leave before more is sent.
    Flush,
    /// Waits for a number of releases.
    Release(watch::Receiver<u64>, u64),
    /// Is silent for good.
    Stall,
    /// Ends the connection in the middle of the body.
    Cut,
    /// Ends the connection in the middle of the body with a TCP reset.
    Reset(Hangup),
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body made of steps. It carries the generation's [`Flight`], so that a body dropped early counts as cancelled.
#[derive(Default)]
pub(super) struct SimBody {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    asleep: bool,
    release: Option<Wait>,
    length: Option<u64>,
    flight: Option<Flight>,
}

impl SimBody {
    /// A body whose bytes are all there.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = Some(bytes.len() as u64);
        let steps = if bytes.is_empty() {
            VecDeque::new()
        } else {
            VecDeque::from([Step::Data(bytes)])
        };
        Self {
            steps,
            length,
            ..Self::default()
        }
    }

    /// A body that does these steps.
    pub(super) fn steps(steps: VecDeque<Step>) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }

    /// Ends `flight` when the last step is done, or as cancelled when the body is dropped before.
    pub(super) fn carry(&mut self, mut flight: Flight) {
        if self.steps.is_empty() {
            flight.end();
        } else {
            self.flight = Some(flight);
        }
    }

    fn end(&mut self) {
        if let Some(mut flight) = self.flight.take() {
            flight.end();
        }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.asleep {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
            }
            self.asleep = false;
        }
        if let Some(release) = &mut self.release {
            std::task::ready!(release.as_mut().poll(cx));
            self.release = None;
        }
        Poll::Ready(())
    }

    fn fall_asleep(&mut self, wait: Duration) {
        // Counted from the last deadline, not from now, so that the pace does not drift.
        match &mut self.sleep {
            Some(sleep) => {
                let next = sleep.deadline() + wait;
                sleep.as_mut().reset(next);
            }
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(Instant::now() + wait))),
        }
        self.asleep = true;
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            std::task::ready!(self.poll_wait(cx));
            match self.steps.pop_front() {
                None => {
                    self.end();
                    return Poll::Ready(None);
                }
                Some(Step::Data(bytes)) => {
                    // The generation is over before its last byte can be seen, so that peaks are exact.
                    if self.steps.is_empty() {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Wait(wait)) => self.fall_asleep(wait),
                Some(Step::Flush) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Release(mut released, target)) => {
                    self.release = Some(Box::pin(async move {
                        // The sender lives as long as the simulator; without it nothing is left to wait for.
                        let _ = released.wait_for(|n| *n >= target).await;
                    }));
                }
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    self.release = Some(Box::pin(std::future::pending()));
                }
                Some(Step::Cut) => {
                    self.end();
                    return Poll::Ready(Some(Err(io::Error::other("cut by the script"))));
                }
                Some(Step::Reset(hangup)) => {
                    hangup.store(true, Ordering::Relaxed);
                    self.end();
                    return Poll::Ready(Some(Err(io::Error::other("reset by the script"))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && !self.asleep && self.release.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// A reply with a body that is all there.
pub(super) fn whole(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(SimBody::whole(body));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    reply.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    reply
}

/// A JSON reply.
pub(super) fn json(status: u16, value: &Value) -> Reply {
    whole(
        status,
        "application/json; charset=UTF-8",
        value.to_string() + "\n",
    )
}

/// An error of the API, in the shape of upstream-protocol.md 9.1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) details: Vec<Value>,
}

impl Problem {
    /// An error whose canonical code follows from its status.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        let code = match status {
            400 | 413 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            499 => "CANCELLED",
            501 => "UNIMPLEMENTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500..=599 => "INTERNAL",
            _ => "UNKNOWN",
        };
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// A 400 `INVALID_ARGUMENT`.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// A 400 for a field that the message has not, or of the wrong type, in the words of Google's JSON reader.
    pub(super) fn payload(field: &str, description: &str) -> Self {
        Self {
            details: vec![json!({"@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": field, "description": description}]})],
            ..Self::invalid(format!("Invalid JSON payload received. {description}"))
        }
    }

    /// A 400 as Claude's own API words it, which arrives as JSON text inside the message (upstream-protocol.md 9.1).
    pub(super) fn claude(message: impl Into<String>) -> Self {
        let inner = json!({"type": "error",
            "error": {"type": "invalid_request_error", "message": message.into()}});
        Self::invalid(inner.to_string())
    }

    /// The 401 of a missing, unknown or expired access token.
    pub(super) fn unauthenticated() -> Self {
        Self {
            details: vec![json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_EXPIRED", "domain": "googleapis.com"})],
            ..Self::new(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                 valid authentication credential.",
            )
        }
    }

    /// The error with an `ErrorInfo`.
    pub(super) fn with_info(mut self, reason: &str, metadata: Value) -> Self {
        let mut info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason, "domain": "cloudcode-pa.googleapis.com"});
        if metadata.as_object().is_some_and(|m| !m.is_empty()) {
            info["metadata"] = metadata;
        }
        self.details.push(info);
        self
    }

    /// The body.
    pub(super) fn body(&self) -> Value {
        let mut error = json!({"code": self.status, "message": self.message, "status": self.code});
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details.clone());
        }
        json!({ "error": error })
    }

    /// The whole reply.
    pub(super) fn reply(&self) -> Reply {
        json(self.status, &self.body())
    }
}
