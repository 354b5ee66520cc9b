//! `events`: what changes, as it changes, as server-sent events. One task looks for changes while somebody listens; a stream holds
//! nothing but its place in what that task told.

pub(super) mod hub;
mod watch;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sync_wrapper::SyncStream;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use warp::reply::{Reply as _, Response};

use crate::server::Gateway;
use crate::server::admin::api::events::{Ended, Event, Hello};
use crate::server::admin::{Caller, Params, Refusal, Responding, overview, who};

use hub::{Reader, frame};

/// A silent stream gets a comment after this.
const PING: Duration = Duration::from_secs(15);
/// Between two looks whether whoever listens still may.
const CHECK: Duration = Duration::from_secs(2);

/// A place among the streams, until it is dropped.
struct Place(Arc<Gateway>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shared.events.leave();
    }
}

pub(super) fn events(gateway: Arc<Gateway>, params: Params) -> Responding {
    Box::pin(async move {
        let rows = wants_rows(&params)?;
        if gateway.dispatcher.runtime.tasks.drain().is_cancelled() {
            let message = "the gateway is stopping";
            return Err(Refusal::of(http::StatusCode::SERVICE_UNAVAILABLE, message));
        }
        let begin = gateway.shared.events.enter()?;
        let place = Place(Arc::clone(&gateway));
        if let Some(number) = begin {
            watch::begin(&gateway, number).await;
        }
        let reader = Reader::new(&gateway.shared.events, rows);
        let greeting = greeting(&gateway).await?;
        let listener = Listener {
            place,
            caller: params.caller().clone(),
            reader,
            waiting: greeting,
            ping: Instant::now() + PING,
            check: checks(),
            ended: false,
        };
        Ok(response(listener.into_stream()))
    })
}

fn wants_rows(params: &Params) -> Result<bool, Refusal> {
    let topics = params.get("topics").unwrap_or_default().split(',');
    let mut rows = false;
    for topic in topics.map(str::trim).filter(|topic| !topic.is_empty()) {
        if topic != "requests" {
            let message = format!("`topics`: expected `requests` or nothing, found `{topic}`");
            return Err(Refusal::field("topics", message));
        }
        rows = true;
    }
    Ok(rows)
}

/// The first events of a stream.
async fn greeting(gateway: &Arc<Gateway>) -> Result<VecDeque<Bytes>, Refusal> {
    let own = Arc::clone(gateway);
    let read = tokio::task::spawn_blocking(move || {
        let snapshot = own.dispatcher.runtime.snapshot();
        overview::config(&own, &snapshot)
    });
    let config = read.await.map_err(|_| Refusal::failed())?;
    let told = gateway.shared.events.told();
    let hello = Event::Hello(Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: gateway.dispatcher.runtime.started.to_string(),
        config,
    });
    let more = [
        told.live.map(Event::Live),
        told.attention.map(Event::Attention),
    ];
    let events = std::iter::once(hello).chain(more.into_iter().flatten());
    Ok(events.map(|event| frame(&event)).collect())
}

fn checks() -> Interval {
    let mut checks = tokio::time::interval(CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checks
}

/// One stream.
struct Listener {
    place: Place,
    caller: Caller,
    reader: Reader,
    /// To be sent before anything else.
    waiting: VecDeque<Bytes>,
    ping: Instant,
    check: Interval,
    ended: bool,
}

impl Listener {
    fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut listener| async {
            let frame = listener.next().await?;
            Some((frame, listener))
        })
    }

    /// What goes out next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let drain = self.place.0.dispatcher.runtime.tasks.drain().clone();
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                self.ping = Instant::now() + PING;
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            let gateway = &self.place.0;
            tokio::select! {
                biased;
                () = drain.cancelled() => self.end("stopping"),
                _ = self.check.tick() => {
                    if !who::still_allowed(gateway, &self.caller) {
                        self.end("signed_out");
                    }
                }
                frames = self.reader.next(&gateway.shared.events) => match frames {
                    Some(frames) => self.waiting.extend(frames),
                    None => self.end("stopping"),
                },
                () = tokio::time::sleep_until(self.ping) => {
                    self.waiting.push_back(Bytes::from_static(b": ping\n\n"));
                }
            }
        }
    }

    fn end(&mut self, why: &str) {
        self.ended = true;
        let ended = Event::Ended(Ended {
            why: why.to_owned(),
        });
        self.waiting.push_back(frame(&ended));
    }
}

fn response(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    // warp's body wants `Sync`; the stream is only ever polled by its connection.
    let body = SyncStream::new(Box::pin(events.map(Ok::<_, Infallible>)));
    let mut response = warp::reply::stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
