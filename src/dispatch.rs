//! L6: one request from the canonical model to the stream of an answer.

pub mod admission;
pub mod affinity;
pub mod attempt;
pub mod blocked;
pub mod count;
pub mod exchange;
pub mod lots;
pub mod plan;
pub mod queue;
pub mod refusal;
pub mod relay;
pub mod replay;
pub mod reservation;
pub mod seat;
pub mod spent;
pub mod ticket;
pub mod wanted;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::base::error::{Error, ErrorKind};
use crate::base::id::RequestId;
use crate::base::time::Timestamp;
use crate::config::model::LogBodies;
use crate::dispatch::exchange::Exchange;
use crate::dispatch::queue::{Freed, Queue};
use crate::dispatch::relay::{Relay, Times};
use crate::dispatch::replay::Replay;
use crate::dispatch::seat::Held;
use crate::dispatch::ticket::Ticket;
use crate::ir;
use crate::runtime::Runtime;
use crate::runtime::snapshot::{KeyEntry, Route, Snapshot};
use crate::wire::Reply;
use crate::wire::front::Front;

/// How long a request for an unknown model waits for an upstream's first list of models.
const DISCOVERY: Duration = Duration::from_secs(10);

/// Serves requests.
pub struct Dispatcher {
    /// Snapshot, accounts, store.
    pub runtime: Arc<Runtime>,
    /// Signatures of earlier answers.
    pub replay: Replay,
    /// Who waits for a slot.
    pub queue: Arc<Queue<Held>>,
}

/// Who asks, and by what.
pub struct Asker {
    /// The request's id.
    pub id: RequestId,
    /// The snapshot that it began with.
    pub snapshot: Arc<Snapshot>,
    /// The client's key.
    pub key: Arc<KeyEntry>,
    /// The client's dialect.
    pub front: Front,
    /// What it sent, where bodies are kept.
    pub body: Option<Bytes>,
}

impl Asker {
    /// The ledger of its request.
    fn ticket(&mut self, runtime: &Runtime) -> Ticket {
        let key = Some(&self.key.id).filter(|_| !self.key.is_anybody());
        let mut ticket = Ticket::open(runtime, self.id, self.front, key);
        if let Some(body) = self.body.take() {
            let errors_only = self.snapshot.config.state.log_bodies == LogBodies::Errors;
            ticket.keep_bodies(body, errors_only);
        }
        ticket
    }
}

/// An answer in the client's dialect.
pub enum Answer {
    /// Whole.
    Whole(Bytes),
    /// As it comes. Boxed: it is large and moves a few times.
    Stream(Box<Relay>),
}

/// An answer with what goes out in headers.
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// What was dropped, for `x-agp-dropped`.
    pub dropped: Option<String>,
}

impl Dispatcher {
    /// A dispatcher with an empty queue.
    pub fn new(runtime: Arc<Runtime>, replay: Replay) -> Self {
        let queue = Arc::<Queue<Held>>::default();
        let waiting = Arc::clone(&queue);
        runtime.when_freed(move || waiting.freed(Freed::Anything, || false));
        Self {
            runtime,
            replay,
            queue,
        }
    }

    /// Serves a chat request.
    ///
    /// # Errors
    /// What the client is to be told.
    pub async fn chat(
        self: &Arc<Self>,
        mut asker: Asker,
        mut request: ir::Request,
    ) -> Result<Answered, Error> {
        let mut ticket = asker.ticket(&self.runtime);
        let resolved = self.resolve(&asker, &mut request).await;
        let route = resolved.as_ref().ok().map(|(route, _)| route);
        ticket.asked(&request.model, route, request.stream);
        let (route, snapshot) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                ticket.failed(&error, status(asker.front, &error));
                return Err(error);
            }
        };
        let reserved =
            reservation::reserve(&self.runtime.registry.limits, &asker.key, &route, &request);
        match reserved {
            Ok((spent, permit)) => ticket.reserved(spent, permit),
            Err(error) => {
                ticket.failed(&error, status(asker.front, &error));
                return Err(error);
            }
        }
        ticket.covered().await;
        let config = &snapshot.config;
        let times = Times {
            keepalive: config.server.keepalive,
            commit_after: config.server.stream_commit_after,
            deadline: config
                .routing
                .total_timeout
                .map(|total| Instant::now() + total),
        };
        let reply = Reply {
            request_id: asker.id,
            model: request.model.clone(),
            created: Timestamp::now(),
            include_usage: request.include_usage,
            thinking_output: config.openai.thinking_output,
        };
        let stream = request.stream;
        let exchange = Box::new(Exchange::new(
            self, snapshot, route, asker.key, request, ticket,
        ));
        if stream {
            self.stream(exchange, asker.front, reply, times).await
        } else {
            let (mut exchange, answer) =
                relay::whole(exchange, asker.front, &reply, times, &self.runtime.tasks).await;
            match answer {
                Ok(body) => {
                    let body = Bytes::from(body);
                    exchange.ticket.sent(&body);
                    Ok(Answered {
                        answer: Answer::Whole(body),
                        dropped: exchange.losses().header(1000),
                    })
                }
                Err(error) => {
                    exchange.ticket.failed(&error, status(asker.front, &error));
                    Err(error)
                }
            }
        }
    }

    async fn stream(
        self: &Arc<Self>,
        exchange: Box<Exchange>,
        front: Front,
        reply: Reply,
        times: Times,
    ) -> Result<Answered, Error> {
        match relay::streamed(exchange, front, reply, times, self.runtime.tasks.clone()).await {
            Ok(relay) => {
                let dropped = relay.dropped();
                Ok(Answered {
                    answer: Answer::Stream(Box::new(relay)),
                    dropped,
                })
            }
            Err((mut exchange, error)) => {
                exchange.ticket.failed(&error, status(front, &error));
                Err(error)
            }
        }
    }

    /// Where an upstream publishes its models and has not been heard yet, waits for it a while. `false`: in vain.
    pub async fn discovered(&self, snapshot: &mut Arc<Snapshot>) -> bool {
        !snapshot.waits_for_discovery()
            || tokio::time::timeout(DISCOVERY, self.runtime.discovered(snapshot))
                .await
                .is_ok()
    }

    /// A request that got past its key but could not be read: it has its row too.
    pub fn refused(&self, mut asker: Asker, error: &Error) {
        let mut ticket = asker.ticket(&self.runtime);
        ticket.failed(error, status(asker.front, error));
    }

    /// The route of the model that is asked for, under the key's rights. Where an upstream's list of models has not come
    /// yet, waits for it.
    async fn resolve(
        &self,
        asker: &Asker,
        request: &mut ir::Request,
    ) -> Result<(Arc<Route>, Arc<Snapshot>), Error> {
        let mut snapshot = Arc::clone(&asker.snapshot);
        if request.model.is_empty() {
            request.model = snapshot
                .config
                .routing
                .default_model
                .clone()
                .ok_or_else(|| {
                    Error::bad_request(
                        "model",
                        "`model` is missing: name one of those that GET /v1/models lists",
                    )
                })?;
        }
        if snapshot.route(&request.model).is_none() && !self.discovered(&mut snapshot).await {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the upstream's list of models has not come yet",
            ));
        }
        let unknown = || Error {
            param: Some("model".to_owned()),
            ..Error::new(
                ErrorKind::UnknownModel,
                format!(
                    "the model `{}` does not exist, or this key may not use it",
                    shown(&request.model)
                ),
            )
        };
        let route = snapshot.route(&request.model).ok_or_else(unknown)?;
        // A key's globs are of public names: an alias is good where its model is.
        if !asker.key.may_see(&route.name) && !asker.key.may_see(&request.model) {
            return Err(unknown());
        }
        Ok((Arc::clone(route), snapshot))
    }
}

/// A name that a client sent, short enough for a message.
fn shown(name: &str) -> String {
    name.chars().take(200).collect()
}

/// The HTTP status of an error in this dialect.
fn status(front: Front, error: &Error) -> u16 {
    front.status(error.kind)
}
