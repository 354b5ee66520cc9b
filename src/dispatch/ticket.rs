//! The request's ledger: key, route, tries, usage, losses, timings. Dropped, it gives exactly one log record, also when
//! the client goes away or something panics.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::base::error::{Error, ErrorKind, Origin};
use crate::base::id::{KeyId, RequestId};
use crate::base::time::Timestamp;
use crate::dispatch::reservation;
use crate::dispatch::spent::Spent;
use crate::ir::{Losses, StopReason, Usage};
use crate::pool::failure::Failure;
use crate::runtime::Runtime;
use crate::runtime::limits::Permit;
use crate::runtime::metrics::{self, Course, Metrics, Tries};
use crate::runtime::snapshot::Route;
use crate::store::{BodyDraft, LogRecord, Store, TryRecord, Verdict};
use crate::wire::front::Front;
use crate::wire::redact::redact;

/// The ledger of one request.
pub struct Ticket {
    record: LogRecord,
    store: Store,
    metrics: Arc<Metrics>,
    /// The route that the request led to.
    route: Option<Arc<Route>>,
    /// How calls to the upstream that is being tried end.
    trying: Option<Arc<Tries>>,
    first_token: Option<Duration>,
    waited: Option<Duration>,
    fault: Option<(ErrorKind, Origin)>,
    started: Instant,
    try_started: Instant,
    settled: bool,
    /// What was used so far.
    pub spent: Spent,
    permit: Option<Permit>,
    /// The client's dialect, for the errors that it is told.
    front: Front,
    bodies: Option<Bodies>,
}

/// The bodies of a request, where they are kept.
struct Bodies {
    draft: BodyDraft,
    errors_only: bool,
}

/// How a verdict of a later pick begins, in the record; the number of the try that it led to follows.
const LATER: &str = "at try ";

/// A verdict's text, and the number of the try whose pick it was told at: `None` at the first pick, or the last where
/// nobody was left.
pub fn told_later(text: &str) -> (Option<u16>, &str) {
    let later = text.strip_prefix(LATER).and_then(|rest| {
        let (n, text) = rest.split_once(": ")?;
        Some((n.parse().ok()?, text))
    });
    later.map_or((None, text), |(n, text)| (Some(n), text))
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

impl Ticket {
    /// Opens the ledger of a request that began now; without a key it is the operator's own.
    pub fn open(runtime: &Runtime, id: RequestId, front: Front, key: Option<&KeyId>) -> Self {
        let metrics = Arc::clone(runtime.metrics());
        metrics.in_flight.inc();
        let mut record = LogRecord::new(id, Timestamp::now(), front.dialect());
        record.key = key.cloned();
        let now = Instant::now();
        Self {
            record,
            store: runtime.store.clone(),
            metrics,
            route: None,
            trying: None,
            first_token: None,
            waited: None,
            fault: None,
            started: now,
            try_started: now,
            settled: false,
            spent: Spent::default(),
            permit: None,
            front,
            bodies: None,
        }
    }

    /// From now on holds on to what the client sent and is sent; `errors_only` forgets it where all goes well. Without room
    /// nothing is held.
    pub fn keep_bodies(&mut self, request: Bytes, errors_only: bool) {
        let draft = self.store.begin_body(request, redact);
        self.bodies = draft.map(|draft| Bodies { draft, errors_only });
    }

    /// A piece of the answer goes out to the client.
    pub fn sent(&mut self, piece: &Bytes) {
        if let Some(bodies) = &mut self.bodies {
            bodies.draft.sent(piece);
        }
    }

    /// What was asked for, and the route that it led to.
    pub fn asked(&mut self, requested: &str, route: Option<&Arc<Route>>, stream: bool) {
        requested.clone_into(&mut self.record.requested);
        self.record.model = route.map(|route| route.name.as_str().into());
        self.record.stream = stream;
        self.route = route.cloned();
    }

    /// What the request is reckoned to use, and its reservation with the limits of its key.
    pub fn reserved(&mut self, spent: Spent, permit: Permit) {
        self.spent = spent;
        if !permit.is_free() {
            self.spent.reserved(permit.reserved());
            self.permit = Some(permit);
        }
    }

    /// Waits until the store knows of what is reserved, where it does not yet: no prompt goes out, and no more of an answer
    /// is read, before. Never for long.
    pub async fn covered(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.covered().await;
        }
    }

    /// Reserves more where what was used comes near to what was reserved.
    ///
    /// # Errors
    /// The limit that has no room, once more was used than was reserved: the answer must end.
    pub fn room(&mut self) -> Result<(), Error> {
        let Some(permit) = self.permit.as_mut().filter(|_| self.spent.is_short()) else {
            return Ok(());
        };
        // Less and less where there is little left, down to what was used already.
        let mut refused = None;
        for more in self.spent.wants() {
            match permit.extend(more) {
                Ok(()) => {
                    self.spent.reserved(permit.reserved());
                    return Ok(());
                }
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            Some(refused) if !permit.reserved().covers(self.spent.amount()) => {
                Err(reservation::told(&refused))
            }
            _ => Ok(()),
        }
    }

    /// How long the request waited for slots, added up.
    pub fn waited(&mut self, waited: Duration) {
        self.record.queue_ms += millis(waited);
        *self.waited.get_or_insert_default() += waited;
    }

    /// What was decided of each account at the first pick, or when none was left; and of how many more.
    pub fn verdicts(&mut self, verdicts: Vec<Verdict>, more: usize) {
        self.record.verdicts = verdicts;
        self.record.more_verdicts = u32::try_from(more).unwrap_or(u32::MAX);
    }

    /// What was decided at a later pick, before the try of this number: what is news since the picks before it. Those that
    /// were tried already are told by their tries.
    pub fn later_verdicts(&mut self, verdicts: Vec<Verdict>) {
        let mark = format!("{LATER}{}: ", self.next_try());
        for verdict in verdicts {
            let tried = self.record.tries.iter();
            if tried.map(|t| &t.account).any(|id| *id == verdict.account) {
                continue;
            }
            let known = self.record.verdicts.iter().rev();
            let known = known
                .filter(|v| v.account == verdict.account)
                .map(|v| told_later(&v.text).1)
                .next();
            if known != Some(&*verdict.text) {
                self.record.verdicts.push(Verdict {
                    account: verdict.account,
                    text: format!("{mark}{}", verdict.text).into(),
                });
            }
        }
    }

    /// A call to the upstream with these counters begins.
    pub fn try_begins(&mut self, mut call: TryRecord, tries: &Arc<Tries>) {
        self.trying = Some(Arc::clone(tries));
        self.try_started = Instant::now();
        call.start_ms = Some(millis(self.try_started.duration_since(self.started)));
        self.record.upstream = Some(call.upstream.clone());
        self.record.account = Some(call.account.clone());
        self.record.upstream_model = Some(call.model.clone());
        self.record.tries.push(call);
    }

    /// The number of the next call, from 1.
    pub fn next_try(&self) -> u16 {
        u16::try_from(self.record.tries.len() + 1).unwrap_or(u16::MAX)
    }

    /// The prompt is about to be sent.
    pub fn sends(&mut self) {
        self.spent.sends();
    }

    /// The call's response headers are there.
    pub fn first_byte(&mut self) {
        self.spent.begins();
        let waited = millis(self.try_started.elapsed());
        if let Some(call) = self.record.tries.last_mut() {
            call.first_byte_ms = Some(waited);
            call.status = Some(200);
        }
    }

    /// The first content of the answer is there.
    pub fn first_content(&mut self) {
        if self.first_token.is_none() {
            let first = self.started.elapsed();
            self.first_token = Some(first);
            self.record.first_token_ms = Some(millis(first));
        }
    }

    /// The call failed.
    pub fn try_failed(&mut self, failure: &Failure) {
        if let Some(tries) = self.trying.take() {
            tries.ended(Some(failure.class));
        }
        let latency = millis(self.try_started.elapsed());
        if let Some(call) = self.record.tries.last_mut() {
            call.latency_ms = latency;
            call.class = Some(failure.class.as_str().into());
            call.status = failure.status.or(call.status);
            call.detail = match failure.delay {
                Some(delay) => format!("told to wait {delay:?}; {}", failure.detail),
                None => failure.detail.clone(),
            };
        }
        tracing::debug!(
            request = %self.record.id,
            class = failure.class.as_str(),
            account = self.record.account.as_ref().map(crate::base::id::AccountId::as_str),
            detail = failure.detail,
            "try failed"
        );
    }

    /// The call was ended by a limit of the client's.
    pub fn try_cut(&mut self) {
        let latency = millis(self.try_started.elapsed());
        if let Some(call) = self.record.tries.last_mut() {
            call.latency_ms = latency;
        }
    }

    /// Token counts so far.
    pub fn usage(&mut self, usage: &Usage) {
        self.record.usage.update(usage);
    }

    /// What was dropped on the way.
    pub fn losses(&mut self, losses: &Losses) {
        self.record.losses = losses.entries().to_vec();
    }

    /// The answer is complete.
    pub fn answered(&mut self, stop: StopReason) {
        let latency = millis(self.try_started.elapsed());
        if let Some(call) = self.record.tries.last_mut() {
            call.latency_ms = latency;
        }
        if let Some(tries) = self.trying.take() {
            tries.ended(None);
        }
        self.record.status = 200;
        self.record.stop = Some(stop.as_str().into());
        self.settled = true;
    }

    /// The client was told this error, with that HTTP status (200 where the stream had begun).
    pub fn failed(&mut self, error: &Error, status: u16) {
        self.record.status = status;
        self.record.error = Some(error.into());
        self.fault = Some(metrics::fault(error));
        self.settled = true;
        // Behind a 200 it is an event of the stream, which is told of as all of it is.
        if let Some(bodies) = self.bodies.as_mut().filter(|_| status != 200) {
            let (_, body) = self.front.render_error(error, self.record.id);
            bodies.draft.sent(&body.into());
        }
    }

    /// The ledger's request.
    pub fn id(&self) -> RequestId {
        self.record.id
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            let gone = Error::new(ErrorKind::Cancelled, "the client went away");
            self.record.status = 499;
            self.record.error = Some((&gone).into());
            self.fault = Some(metrics::fault(&gone));
        }
        self.record.usage.update(&self.spent.told());
        self.record.cost = self.spent.cost();
        if let Some(permit) = self.permit.take() {
            permit.settle(self.spent.booked());
        }
        let latency = self.started.elapsed();
        self.record.at = Timestamp::now();
        self.record.latency_ms = millis(latency);
        self.metrics.in_flight.dec();
        self.metrics.ended(&Course {
            dialect: self.record.dialect,
            error: self.fault,
            model: self.route.as_ref().map(|route| &*route.counts),
            usage: &self.record.usage,
            latency,
            first_token: self.first_token,
            waited: self.waited,
        });
        let r = &self.record;
        // What a client's mistake is about may quote its prompt: the row has it, the log not.
        let told = r.error.as_ref().filter(|e| e.origin != Origin::Client);
        tracing::info!(
            request = %r.id,
            status = r.status,
            key = r.key.as_ref().map(KeyId::as_str),
            model = r.requested,
            account = r.account.as_ref().map(crate::base::id::AccountId::as_str),
            tries = r.tries.len(),
            ms = r.latency_ms,
            queue_ms = r.queue_ms,
            input = r.usage.input_total(),
            output = r.usage.output_total(),
            cost = r.cost,
            stream = r.stream,
            error = r.error.as_ref().map(|e| e.kind.as_ref()),
            message = told.map(|e| e.message.as_str()),
            "request"
        );
        if let Some(bodies) = self.bodies.take()
            && (r.error.is_some() || !bodies.errors_only)
        {
            self.store.put_body(r.id, bodies.draft);
        }
        let empty = LogRecord::new(self.record.id, self.record.at, self.record.dialect);
        self.store.log(std::mem::replace(&mut self.record, empty));
    }
}
