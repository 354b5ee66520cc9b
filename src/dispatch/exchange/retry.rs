//! Where a request sits, and what follows a failed try.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::error::{Error, ErrorKind};
use crate::base::time::Timestamp;
use crate::dispatch::blocked::{Blocked, Refused};
use crate::dispatch::exchange::Exchange;
use crate::dispatch::plan::{Facts, Next};
use crate::dispatch::refusal;
use crate::dispatch::seat::{Excluded, Held};
use crate::dispatch::wanted::Wanted;
use crate::pool::failure::{Class, Failure};

impl Exchange {
    pub(super) async fn first_seat(&mut self) -> Result<Held, Error> {
        let timeout = self.snapshot.config.routing.queue_timeout;
        match self.seat(Excluded::default(), timeout).await {
            Ok(mut held) => {
                self.admission = held.admission.take();
                let (verdicts, more) = self.seating.verdicts(Some(&held));
                self.ticket.verdicts(verdicts, more);
                Ok(held)
            }
            Err(refused) => Err(self.no_seat(refused)),
        }
    }

    async fn seat(&mut self, excluded: Excluded, timeout: Duration) -> Result<Held, Refused> {
        let began = Instant::now();
        let wanted = Wanted {
            seating: self.seating.clone(),
            excluded,
            admit: self.admission.is_none(),
        };
        let max = self.snapshot.config.routing.max_queue as usize;
        let queue = Arc::clone(&self.dispatcher.queue);
        let seat = queue.acquire(wanted, timeout, max).await;
        self.ticket.waited(began.elapsed());
        seat
    }

    /// What the client is told when no account can serve and no try has been made.
    fn no_seat(&mut self, refused: Refused) -> Error {
        let (verdicts, more) = self.seating.verdicts(None);
        self.ticket.verdicts(verdicts, more);
        refusal::told(refused, &self.seating.key, Timestamp::now())
    }

    /// A try failed before anything reached the client: the next place and host, or the error to tell.
    pub(super) async fn after(
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
        let fresh = self.plan.refreshed();
        let next = self.plan.after(failure, facts);
        if next != Next::Refresh {
            self.blame(&held, failure, fresh);
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

    /// Holds a failure against whom it concerns. A stale token is no news about the account until a fresh one is refused
    /// too, also where nothing is tried again.
    pub(super) fn blame(&self, held: &Held, failure: &Failure, fresh: bool) {
        match &self.token {
            Some(stale) if failure.class == Class::AuthExpired && !fresh => {
                let credential = &held.seat().account.credential;
                credential.refuse(stale, Timestamp::now());
            }
            _ => {
                let runtime = &self.dispatcher.runtime;
                runtime.failed(held.seat(), held.target(), failure);
            }
        }
    }

    async fn other(
        &mut self,
        held: Held,
        failure: &Failure,
        or_same: Option<Duration>,
        until: Timestamp,
    ) -> Result<(Held, usize), Error> {
        let account = held.seat().account.number;
        if !self.tried.accounts.contains(&account) {
            self.tried.accounts.push(account);
        }
        if failure.class == Class::OauthConfig {
            self.tried
                .upstreams
                .push(held.seat().account.upstream.clone());
            self.barred
                .upstreams
                .push(held.seat().account.upstream.clone());
        }
        // What cools is waited for until it is ready by itself; what has another trouble is not come back to, unless the
        // same account may be repeated.
        let passes = matches!(
            failure.class,
            Class::RateLimited | Class::QuotaExhausted | Class::Capacity
        );
        if or_same.is_none() && !passes {
            self.barred.accounts.push(account);
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
        if or_same.is_some() && !passes {
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
        let (verdicts, _) = self.seating.verdicts(Some(&held));
        self.ticket.later_verdicts(verdicts);
        let host = held.target().upstream.first_host(Timestamp::now());
        (held, host)
    }

    /// The last failure's error, with the moment at which the first account is ready again.
    fn nothing_left(&mut self, failure: &Failure, refused: Refused) -> Error {
        let (verdicts, more) = self.seating.verdicts(None);
        self.ticket.verdicts(verdicts, more);
        let mut error = failure.to_error();
        let told = match (refused, error.kind) {
            (
                Refused::Blocked(Blocked::Cooling(until) | Blocked::NoQuota(until)),
                ErrorKind::RateLimited | ErrorKind::QuotaExhausted,
            )
            | (Refused::Blocked(Blocked::ModelCooling(until)), ErrorKind::Overloaded) => {
                Some(until)
            }
            _ => None,
        };
        if let Some(until) = told {
            error.retry_after = Some(until.since(Timestamp::now()));
        }
        error
    }
}
