//! One request's course: seats, tries, what follows a failure. Nothing here knows the client's dialect.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::error::{Error, ErrorKind, Origin};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::dispatch::Dispatcher;
use crate::dispatch::attempt::{self, Call, Sink, Trouble, Variant};
use crate::dispatch::plan::{Bounds, Facts, Next, Plan};
use crate::dispatch::queue::{Blocked, Refused};
use crate::dispatch::replay::Recorder;
use crate::dispatch::seat::{Excluded, Held, Seating};
use crate::dispatch::ticket::Ticket;
use crate::ir::{self, Event, StopReason};
use crate::pool::failure::{Class, Failure};
use crate::runtime::snapshot::{KeyEntry, Route, Snapshot};
use crate::store::TryRecord;

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
        Self {
            dispatcher: Arc::clone(dispatcher),
            seating: Seating { route, key, queue },
            snapshot,
            request,
            ticket,
            plan: Plan::new(bounds),
            tried: Excluded::default(),
            barred: Excluded::default(),
            recorder,
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
        self.ticket.try_begins(self.try_record(&held, host));
        let token = match self.token(&held).await {
            Ok(token) => token,
            Err(failure) => return Err((held, Trouble::SignIn(failure))),
        };
        self.token = Some(token.clone());
        let runtime = &self.dispatcher.runtime;
        let project = match runtime
            .project(&held.target().upstream, held.seat(), &token)
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
        let mut call = match Call::send(held, host, token, prepared, &mut self.ticket).await {
            Ok(call) => call,
            Err((held, failure)) => return Err((held, failure.into())),
        };
        loop {
            if let Err(failure) = call.pump(&mut self.recorder, sink).await {
                return Err((call.held, failure.into()));
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
            if call.content {
                self.ticket.first_content();
                if until == Until::Content {
                    self.call = Some(call);
                    return Ok(());
                }
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
        call.drain().await;
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
        let read = call.pump(&mut self.recorder, sink).await;
        let stop = call.stop;
        if read.is_ok() && stop.is_none() {
            return Ok(true);
        }
        let Some(call) = self.call.take() else {
            return Ok(false);
        };
        match (read, stop) {
            (Err(failure), _) => {
                self.ticket.usage(&call.usage);
                self.recorder.finish(&self.dispatcher.replay);
                self.ticket.try_failed(&failure);
                self.dispatcher
                    .runtime
                    .failed(call.held.seat(), call.held.target(), &failure);
                Err(failure.to_error())
            }
            (Ok(()), stop) => {
                self.complete(call, stop.unwrap_or_default()).await;
                Ok(false)
            }
        }
    }

    async fn first_seat(&mut self) -> Result<Held, Error> {
        let timeout = self.snapshot.config.routing.queue_timeout;
        match self.seat(Excluded::default(), timeout).await {
            Ok(held) => Ok(held),
            Err(refused) => Err(self.no_seat(refused)),
        }
    }

    async fn seat(&mut self, excluded: Excluded, timeout: Duration) -> Result<Held, Refused> {
        let began = Instant::now();
        let tag = excluded.is_empty().then(|| self.seating.tag());
        let seating = self.seating.clone();
        let max = self.snapshot.config.routing.max_queue as usize;
        let queue = Arc::clone(&self.dispatcher.queue);
        let seat = queue
            .acquire(tag, move || seating.take(&excluded), timeout, max)
            .await;
        self.ticket.waited(began.elapsed());
        seat
    }

    /// What the client is told when no account can serve and no try has been made.
    fn no_seat(&mut self, refused: Refused) -> Error {
        self.ticket
            .verdicts(self.seating.verdicts(&Excluded::default()));
        let now = Timestamp::now();
        let error = |kind, text: &'static str| Error::new(kind, text).with_origin(Origin::Upstream);
        match refused {
            Refused::QueueFull => error(
                ErrorKind::RateLimited,
                "too many requests are waiting for a free account",
            )
            .with_retry_after(Duration::from_secs(1)),
            Refused::Blocked(Blocked::Full) => {
                error(ErrorKind::RateLimited, "all accounts are busy")
                    .with_retry_after(Duration::from_secs(1))
            }
            Refused::Blocked(Blocked::Cooling(until)) => error(
                ErrorKind::RateLimited,
                "all accounts are cooling down for this model",
            )
            .with_retry_after(until.since(now)),
            Refused::Blocked(Blocked::ModelCooling(until)) => error(
                ErrorKind::Overloaded,
                "the upstream has no capacity for this model at present",
            )
            .with_retry_after(until.since(now)),
            Refused::Blocked(Blocked::NeedsPerson) => error(
                ErrorKind::Unavailable,
                "every account for this model waits for the operator: see `agp status` on the gateway",
            ),
            Refused::Blocked(Blocked::Exhausted) => error(
                ErrorKind::Unavailable,
                "no account is configured that may serve this model for this key",
            ),
        }
    }

    /// A try failed before anything reached the client: the next place and host, or the error to tell.
    async fn after(
        &mut self,
        held: Held,
        host: usize,
        failure: &Failure,
        sent: bool,
    ) -> Result<(Held, usize), Error> {
        let upstream = Arc::clone(&held.target().upstream);
        let now = Timestamp::now();
        if sent && failure.class == Class::Network {
            upstream.host_failed(host, now);
        }
        let next_host = upstream.next_host(host, now).filter(|_| sent);
        let facts = Facts {
            now,
            another_host: next_host.is_some(),
        };
        let next = self.plan.after(failure, facts);
        // A stale token is no news about the account until a fresh one is refused too.
        if next != Next::Refresh {
            self.dispatcher
                .runtime
                .failed(held.seat(), held.target(), failure);
        }
        match next {
            Next::NextHost => Ok((held, next_host.unwrap_or(host))),
            Next::Budget => Ok((held, host)),
            Next::Repair => {
                let signatures = std::mem::take(&mut self.used_signatures);
                self.dispatcher
                    .replay
                    .forget(&self.seating.key.id, &signatures);
                Ok((held, host))
            }
            Next::Refresh => {
                self.stale = true;
                Ok((held, host))
            }
            Next::Same(delay) => {
                tokio::time::sleep(delay).await;
                Ok((held, host))
            }
            Next::Other { or_same, until } => self.other(held, failure, or_same, until).await,
            Next::GiveUp => Err(failure.to_error()),
        }
    }

    async fn other(
        &mut self,
        held: Held,
        failure: &Failure,
        or_same: Option<Duration>,
        until: Timestamp,
    ) -> Result<(Held, usize), Error> {
        let account = held.seat().account.id.clone();
        if !self.tried.accounts.contains(&account) {
            self.tried.accounts.push(account.clone());
        }
        if failure.class == Class::OauthConfig {
            self.tried
                .upstreams
                .push(held.seat().account.upstream.clone());
            self.barred
                .upstreams
                .push(held.seat().account.upstream.clone());
        }
        let blocked = match self.seating.take(&self.tried) {
            Ok(free) => {
                drop(held);
                return Ok(self.seated(free));
            }
            Err(blocked) => blocked,
        };
        // While the model itself cools the same account is no way out.
        let model_cools = matches!(blocked, Blocked::ModelCooling(_));
        if let Some(delay) = or_same.filter(|_| !model_cools) {
            self.plan.repeat_same();
            tokio::time::sleep(delay).await;
            let host = held.target().upstream.first_host(Timestamp::now());
            return Ok((held, host));
        }
        // What cools is left out until it is ready by itself; what has another trouble is not worth waiting for.
        if !matches!(
            failure.class,
            Class::RateLimited | Class::QuotaExhausted | Class::Capacity
        ) {
            self.barred.accounts.push(account);
        }
        drop(held);
        let left = until
            .since(Timestamp::now())
            .min(self.snapshot.config.routing.queue_timeout);
        let excluded = if model_cools && self.seating.any_left(&self.tried) {
            &self.tried
        } else {
            &self.barred
        };
        match self.seat(excluded.clone(), left).await {
            Ok(free) => Ok(self.seated(free)),
            Err(refused) => Err(self.nothing_left(failure, refused)),
        }
    }

    fn seated(&mut self, held: Held) -> (Held, usize) {
        self.plan.new_account();
        let host = held.target().upstream.first_host(Timestamp::now());
        (held, host)
    }

    /// The last failure's error, with the moment at which the first account is ready again.
    fn nothing_left(&mut self, failure: &Failure, refused: Refused) -> Error {
        self.ticket
            .verdicts(self.seating.verdicts(&Excluded::default()));
        let mut error = failure.to_error();
        if let Refused::Blocked(Blocked::Cooling(until)) = refused
            && matches!(
                error.kind,
                ErrorKind::RateLimited | ErrorKind::QuotaExhausted
            )
        {
            error.retry_after = Some(until.since(Timestamp::now()));
        }
        error
    }
}
