//! The request's ledger: key, route, tries, usage, losses, timings. Dropped, it gives exactly one log record, also when
//! the client goes away or something panics.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::base::error::{Error, ErrorKind, Origin};
use crate::base::id::{KeyId, RequestId};
use crate::base::time::Timestamp;
use crate::ir::{Losses, StopReason, Usage};
use crate::pool::failure::Failure;
use crate::store::{BodyDraft, LogRecord, Store, TryRecord, Verdict};
use crate::wire::front::Front;
use crate::wire::redact::redact;

/// The ledger of one request.
pub struct Ticket {
    record: LogRecord,
    store: Store,
    started: Instant,
    try_started: Instant,
    settled: bool,
    /// The client's dialect, for the errors that it is told.
    front: Front,
    bodies: Option<Bodies>,
}

/// The bodies of a request, where they are kept.
struct Bodies {
    draft: BodyDraft,
    errors_only: bool,
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

impl Ticket {
    /// Opens the ledger of a request that began now.
    pub fn open(store: Store, id: RequestId, front: Front, key: &KeyId) -> Self {
        let mut record = LogRecord::new(id, Timestamp::now(), front.dialect());
        record.key = Some(key.clone());
        let now = Instant::now();
        Self {
            record,
            store,
            started: now,
            try_started: now,
            settled: false,
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

    /// What was asked for, and the public model that it resolved to.
    pub fn asked(&mut self, requested: &str, model: Option<&str>, stream: bool) {
        requested.clone_into(&mut self.record.requested);
        self.record.model = model.map(Into::into);
        self.record.stream = stream;
    }

    /// How long the request waited for slots, added up.
    pub fn waited(&mut self, waited: Duration) {
        self.record.queue_ms += millis(waited);
    }

    /// What was decided of each account at the first pick, or when none was left; and of how many more.
    pub fn verdicts(&mut self, verdicts: Vec<Verdict>, more: usize) {
        self.record.verdicts = verdicts;
        self.record.more_verdicts = u32::try_from(more).unwrap_or(u32::MAX);
    }

    /// A call begins.
    pub fn try_begins(&mut self, call: TryRecord) {
        self.try_started = Instant::now();
        self.record.upstream = Some(call.upstream.clone());
        self.record.account = Some(call.account.clone());
        self.record.upstream_model = Some(call.model.clone());
        self.record.tries.push(call);
    }

    /// The number of the next call, from 1.
    pub fn next_try(&self) -> u16 {
        u16::try_from(self.record.tries.len() + 1).unwrap_or(u16::MAX)
    }

    /// The call's response headers are there.
    pub fn first_byte(&mut self) {
        let waited = millis(self.try_started.elapsed());
        if let Some(call) = self.record.tries.last_mut() {
            call.first_byte_ms = Some(waited);
            call.status = Some(200);
        }
    }

    /// The first content of the answer is there.
    pub fn first_content(&mut self) {
        self.record
            .first_token_ms
            .get_or_insert(millis(self.started.elapsed()));
    }

    /// The call failed.
    pub fn try_failed(&mut self, failure: &Failure) {
        let latency = millis(self.try_started.elapsed());
        if let Some(call) = self.record.tries.last_mut() {
            call.latency_ms = latency;
            call.class = Some(failure.class.as_str().into());
            call.status = failure.status.or(call.status);
            failure.detail.clone_into(&mut call.detail);
        }
        tracing::debug!(
            request = %self.record.id,
            class = failure.class.as_str(),
            account = self.record.account.as_ref().map(crate::base::id::AccountId::as_str),
            detail = failure.detail,
            "try failed"
        );
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
        self.record.status = 200;
        self.record.stop = Some(stop.as_str().into());
        self.settled = true;
    }

    /// The client was told this error, with that HTTP status (200 where the stream had begun).
    pub fn failed(&mut self, error: &Error, status: u16) {
        self.record.status = status;
        self.record.error = Some(error.into());
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
        }
        self.record.latency_ms = millis(self.started.elapsed());
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
