//! One request's course: seats, tries, what follows a failure. Nothing here knows the client's dialect.

use std::sync::Arc;

use crate::base::error::Error;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::dispatch::admission::Admission;
use crate::dispatch::attempt::{self, Call, Sink, Trouble, Variant};
use crate::dispatch::plan::{Bounds, Plan};
use crate::dispatch::replay::Recorder;
use crate::dispatch::seat::{Excluded, Held, Seating};
use crate::dispatch::ticket::Ticket;
use crate::dispatch::{Dispatcher, affinity};
use crate::ir::{self, Event, StopReason};
use crate::pool::failure::{Class, Failure};
use crate::runtime::snapshot::{KeyEntry, Route, Snapshot};
use crate::store::TryRecord;

mod retry;

/// How far a try must come before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The first content is there: what follows goes to the client as it comes.
    Content,
    /// The answer is complete.
    End,
}

/// A request under way.
pub struct Exchange {
    dispatcher: Arc<Dispatcher>,
    snapshot: Arc<Snapshot>,
    seating: Seating,
    request: ir::Request,
    /// The ledger.
    pub ticket: Ticket,
    plan: Plan,
    /// Not picked at once again: every account that was tried.
    tried: Excluded,
    /// Not waited for either: those whose trouble does not end by itself.
    barred: Excluded,
    recorder: Recorder,
    /// What let the request in. Before the call, so that it goes first: who waits for this key's slot is then among those
    /// to whom the account's goes.
    admission: Option<Admission>,
    call: Option<Call>,
    used_signatures: Vec<String>,
    /// The token of the last call, and whether the upstream refused it.
    token: Option<Secret>,
    stale: bool,
}

impl Exchange {
    /// A request that has been decoded and resolved.
    pub fn new(
        dispatcher: &Arc<Dispatcher>,
        snapshot: Arc<Snapshot>,
        route: Arc<Route>,
        key: Arc<KeyEntry>,
        request: ir::Request,
        ticket: Ticket,
    ) -> Self {
        let routing = &snapshot.config.routing;
        let bounds = Bounds {
            max_attempts: routing.max_attempts,
            retry_within: routing.retry_within,
        };
        let recorder = Recorder::new(key.id.clone());
        let queue = Arc::clone(&dispatcher.queue);
        let home = route.affinity.then(|| affinity::home(&key.id, &request));
        Self {
            dispatcher: Arc::clone(dispatcher),
            seating: Seating {
                route,
                key,
                queue,
                home,
            },
            snapshot,
            request,
            ticket,
            plan: Plan::new(bounds),
            tried: Excluded::default(),
            barred: Excluded::default(),
            recorder,
            admission: None,
            call: None,
            used_signatures: Vec::new(),
            token: None,
            stale: false,
        }
    }

    /// What was dropped so far.
    pub fn losses(&self) -> &ir::Losses {
        &self.request.losses
    }

    /// Tries until one try comes as far as `until`; its events go to `sink`.
    ///
    /// # Errors
    /// What the client is to be told when nothing is left to try.
    pub async fn open(&mut self, until: Until, sink: &mut impl Sink) -> Result<(), Error> {
        let mut held = self.first_seat().await?;
        let mut host = held.target().upstream.first_host(Timestamp::now());
        loop {
            let (back, failure, sent) = match self.attempt(held, host, until, sink).await {
                Ok(()) => return Ok(()),
                Err((_, Trouble::Refused(error))) => return Err(error),
                Err((back, Trouble::SignIn(failure))) => (back, failure, false),
                Err((back, Trouble::Failure(failure))) => (back, failure, true),
            };
            sink.reset();
            self.recorder = Recorder::new(self.seating.key.id.clone());
            self.ticket.try_failed(&failure);
            self.ticket.spent.failed();
            (held, host) = match self.after(back, host, &failure, sent).await {
                Ok(next) => next,
                // Nothing is left to try for an empty answer: it is passed on as what it is (section 6.3).
                Err(_) if failure.class == Class::EmptyAnswer => {
                    sink.event(&Event::Stop(StopReason::End));
                    self.ticket.answered(StopReason::End);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
        }
    }

    /// Gives back the prompt's memory once nothing can be tried again; what was dropped of it is kept.
    pub fn release_prompt(&mut self) {
        self.request.turns = Vec::new();
        self.request.tools = Vec::new();
    }

    async fn attempt(
        &mut self,
        held: Held,
        host: usize,
        until: Until,
        sink: &mut impl Sink,
    ) -> Result<(), (Held, Trouble)> {
        self.ticket
            .try_begins(self.try_record(&held, host), &held.target().upstream.tries);
        let token = match self.token(&held).await {
            Ok(token) => token,
            Err(failure) => return Err((held, Trouble::SignIn(failure))),
        };
        self.token = Some(token.clone());
        let runtime = &self.dispatcher.runtime;
        let seat = held.seat();
        let upstream = &held.target().upstream;
        let project = match runtime
            .project(upstream, &seat.account, seat.project.as_deref(), &token)
            .await
        {
            Ok(project) => project,
            Err(failure) => return Err((held, Trouble::SignIn(failure))),
        };
        let variant = Variant {
            repair: self.plan.repaired(),
            level_as_budget: self.plan.leveled(),
        };
        let (route, key) = (&self.seating.route, &self.seating.key);
        let prepared = attempt::prepare(
            &self.request,
            route,
            &held,
            project.as_deref(),
            key,
            &self.dispatcher.replay,
            variant,
        );
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err((held, Trouble::Refused(error))),
        };
        self.request
            .losses
            .extend(std::mem::take(&mut prepared.encoded.losses));
        self.ticket.losses(&self.request.losses);
        self.used_signatures = std::mem::take(&mut prepared.encoded.used_signatures);
        self.plan.begin();
        match Call::send(held, host, token, prepared, &mut self.ticket).await {
            Ok(call) => self.follow(call, until, sink).await,
            Err((held, failure)) => Err((held, failure.into())),
        }
    }

    /// Takes the answer in as far as is wanted.
    async fn follow(
        &mut self,
        mut call: Call,
        until: Until,
        sink: &mut impl Sink,
    ) -> Result<(), (Held, Trouble)> {
        loop {
            let spent = &mut self.ticket.spent;
            if let Err(failure) = call.pump(&mut self.recorder, spent, sink).await {
                return Err((call.held, failure.into()));
            }
            // An answer that came in one piece has its first content too.
            if call.content {
                self.ticket.first_content();
            }
            if let Some(stop) = call.stop {
                if stop == StopReason::End && !call.content {
                    return Err((
                        call.held,
                        Failure::new(Class::EmptyAnswer, "finished without content").into(),
                    ));
                }
                self.complete(call, stop).await;
                return Ok(());
            }
            if let Err(error) = self.ticket.room() {
                self.ticket.try_cut();
                return Err((call.held, Trouble::Refused(error)));
            }
            self.ticket.covered().await;
            if call.content && until == Until::Content {
                self.call = Some(call);
                return Ok(());
            }
        }
    }

    /// A token for the account in hand: a fresh one where the last was refused.
    async fn token(&mut self, held: &Held) -> Result<Secret, Failure> {
        let credential = &held.seat().account.credential;
        let now = Timestamp::now();
        match self
            .token
            .take()
            .filter(|_| std::mem::take(&mut self.stale))
        {
            Some(stale) => credential.force_refresh(&stale, now).await,
            None => credential.token(now).await,
        }
    }

    fn try_record(&self, held: &Held, host: usize) -> TryRecord {
        let target = held.target();
        TryRecord {
            n: self.ticket.next_try(),
            upstream: target.upstream.id.clone(),
            account: held.seat().account.id.clone(),
            model: target.model.clone(),
            host: target
                .upstream
                .config
                .base_urls
                .get(host)
                .cloned()
                .unwrap_or_default(),
            status: None,
            class: None,
            latency_ms: 0,
            first_byte_ms: None,
            detail: String::new(),
            start_ms: None,
        }
    }

    /// The answer is complete: settles health, signatures and counts.
    async fn complete(&mut self, mut call: Call, stop: StopReason) {
        self.ticket.usage(&call.usage);
        self.ticket.answered(stop);
        self.recorder.finish(&self.dispatcher.replay);
        self.dispatcher
            .runtime
            .succeeded(call.held.seat(), call.held.target());
        self.admission = None;
        call.drain().await;
    }

    /// Whether there is room for more of the answer.
    fn go_on(&mut self) -> Result<bool, Error> {
        let Err(error) = self.ticket.room() else {
            return Ok(true);
        };
        // The upstream is to stop at once; the account has done nothing wrong.
        self.call = None;
        self.recorder.finish(&self.dispatcher.replay);
        self.ticket.try_cut();
        Err(error)
    }

    /// Reads on after [`Self::open`] came as far as the first content. `false`: the answer is complete.
    ///
    /// # Errors
    /// The stream broke off: nothing may be tried again.
    pub async fn read_on(&mut self, sink: &mut impl Sink) -> Result<bool, Error> {
        // The call stays in place while it is read: a reader that is dropped in between loses nothing.
        let Some(call) = self.call.as_mut() else {
            return Ok(false);
        };
        self.ticket.covered().await;
        let spent = &mut self.ticket.spent;
        let read = call.pump(&mut self.recorder, spent, sink).await;
        let stop = call.stop;
        if read.is_ok() && stop.is_none() {
            return self.go_on();
        }
        let Some(call) = self.call.take() else {
            return Ok(false);
        };
        match (read, stop) {
            (Err(failure), _) => {
                self.ticket.usage(&call.usage);
                self.recorder.finish(&self.dispatcher.replay);
                self.ticket.try_failed(&failure);
                self.blame(&call.held, &failure, self.plan.refreshed());
                Err(failure.to_error())
            }
            (Ok(()), stop) => {
                self.complete(call, stop.unwrap_or_default()).await;
                Ok(false)
            }
        }
    }
}
