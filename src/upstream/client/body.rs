//! A response body as a stream that fails when it falls silent.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hyper::body::Body as _;
use tokio::time::{Instant, Sleep};

use crate::pool::failure::{Class, Failure};
use crate::upstream::classify::classify_broken_body;

/// The chunks of an answer as they arrive. Ends after the first failure; dropping it ends the call.
///
/// Silence counts only while someone waits: a slow client makes no upstream look dead. The one timer is set again at most
/// once in an idle period, not for each chunk.
pub struct BodyStream {
    body: reqwest::Body,
    idle: Duration,
    waiting_since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    ended: bool,
}

impl BodyStream {
    /// Reads `body`, with a silence of `idle` as the end.
    pub fn new(body: reqwest::Body, idle: Duration) -> Self {
        Self {
            body,
            idle,
            waiting_since: None,
            alarm: Box::pin(tokio::time::sleep(idle)),
            ended: false,
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// What ended it early; `upstream_garbage` for more than `most` bytes.
    pub async fn read_all(mut self, most: usize) -> Result<Vec<u8>, Failure> {
        let mut read = Vec::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if read.len() + chunk.len() > most {
                return Err(Failure::new(
                    Class::UpstreamGarbage,
                    format!("an answer of more than {most} bytes"),
                ));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read)
    }

    /// The first `most` bytes, or what came of them within `limit` and before a failure.
    pub async fn read_start(mut self, most: usize, limit: Duration) -> Vec<u8> {
        let mut read = Vec::new();
        let reading = async {
            while read.len() < most {
                match self.next().await {
                    Some(Ok(chunk)) => {
                        let room = most - read.len();
                        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    }
                    Some(Err(_)) | None => break,
                }
            }
        };
        // Too late is as good as the end: what came is what there is.
        let _ = tokio::time::timeout(limit, reading).await;
        read
    }

    /// The next piece where it is there already; `None` where it has to be waited for. The task that reads the connection
    /// gets one turn, to hand over what it holds.
    pub async fn at_hand(&mut self) -> Option<Option<Result<Bytes, Failure>>> {
        let mut turn = false;
        poll_fn(|cx| match self.poll_next_unpin(cx) {
            Poll::Ready(piece) => Poll::Ready(Some(piece)),
            Poll::Pending if turn => {
                // Nobody waits from here on: a slow client must not make the upstream look silent.
                self.waiting_since = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                turn = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }

    /// Whether the silence has lasted too long; arranges to be woken when it has.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let end = since + self.idle;
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(end);
        }
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.waiting_since = None;
                    // Trailers say nothing that is used here.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(classify_broken_body(&error))));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(self.poll_silence(cx));
                    self.ended = true;
                    return Poll::Ready(Some(Err(Failure::new(
                        Class::Timeout,
                        format!("no byte of the answer for {:?}", self.idle),
                    ))));
                }
            }
        }
    }
}
