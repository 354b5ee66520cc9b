//! One account's way in: its refresh token, the access token it has at present, and the one refresh that may run.
//!
//! - At most one refresh runs for an account; it runs in a task of its own, so that a caller who goes away takes nothing
//!   from the others.
//! - A token is renewed about five minutes ahead of its end, beside the requests that still use it.
//! - A refresh that fails in a way that passes leaves the old token in use while it is valid; the next one waits, twice as
//!   long each time. A dead refresh token is remembered: only a new credential, or a person's word, mends it.
//! - A rotated refresh token is durable before anything uses what came with it.

mod keeping;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use self::parts::Access;
pub use self::parts::{Exchange, HttpExchange, SavedToken, TokenSink, fingerprint};
use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};
use crate::upstream::oauth::Grant;

/// So much more at random, so that accounts started together do not refresh together.
const JITTER: Duration = Duration::from_mins(1);
/// After the first failed refresh no other for this long; doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A disk that hangs must not stop the requests: after this a rotated token is used though it is not known to be kept.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// One account's credential; clones are the same one.
#[derive(Clone)]
pub struct Credential(Arc<Shared>);

struct Shared {
    fingerprint: [u8; 32],
    configured: Secret,
    tasks: Tasks,
    state: Mutex<State>,
}

type Outcome = Result<Secret, Failure>;

struct State {
    exchange: Arc<dyn Exchange>,
    sink: Option<Arc<dyn TokenSink>>,
    refresh_token: Secret,
    access: Option<Access>,
    flight: Option<watch::Receiver<Option<Outcome>>>,
    /// `account_invalid`, for good.
    dead: Option<Failure>,
    /// The last refresh's failure, while it is not made good.
    failed: Option<Failed>,
    /// How many saves were begun: a newer one replaces those before it.
    saves: u64,
    /// Whether the refresh token in force is not known to be durable.
    unsaved: bool,
}

struct Failed {
    failure: Failure,
    times: u32,
    /// No other refresh before.
    retry_at: Timestamp,
}

impl Credential {
    /// The credential of a configured refresh token. `saved` is what was kept of it, used where the fingerprint is the
    /// same. Refreshes run in `tasks`.
    pub fn new(
        refresh_token: Secret,
        client_id: &str,
        exchange: Arc<dyn Exchange>,
        saved: Option<SavedToken>,
        sink: Option<Arc<dyn TokenSink>>,
        tasks: Tasks,
    ) -> Self {
        let fingerprint = fingerprint(&refresh_token, client_id);
        let mut state = State {
            exchange,
            sink,
            refresh_token: refresh_token.clone(),
            access: None,
            flight: None,
            dead: None,
            failed: None,
            saves: 0,
            unsaved: false,
        };
        if let Some(saved) = saved.filter(|saved| saved.fingerprint == fingerprint) {
            state.refresh_token = saved.refresh_token.unwrap_or(state.refresh_token);
            state.access = Some(Access::new(saved.access_token, saved.expires_at, jitter()));
        }
        Self(Arc::new(Shared {
            fingerprint,
            configured: refresh_token,
            tasks,
            state: Mutex::new(state),
        }))
    }

    /// What identifies it, see [`fingerprint`].
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    /// Takes another way to the token endpoint into use (a reload changed the proxy or the client's secret) and forgets
    /// the pause after failures of the old one.
    pub fn set_exchange(&self, exchange: Arc<dyn Exchange>) {
        let mut state = self.0.state.lock();
        state.exchange = exchange;
        state.failed = None;
    }

    /// A person says that the account is well again: a dead refresh token is tried once more.
    pub fn revive(&self) {
        let mut state = self.0.state.lock();
        state.dead = None;
        state.failed = None;
    }

    /// Another refresh token of the same account, as if the provider had put it in the configured one's place: it is kept as
    /// such, and in use until the file has another credential.
    pub fn renew(&self, refresh_token: Secret) {
        let mut state = self.0.state.lock();
        state.refresh_token = refresh_token;
        state.access = None;
        state.flight = None;
        state.dead = None;
        state.failed = None;
        state.unsaved = true;
    }

    /// When the access token at hand ends; `None` where there is none.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.state.lock().access.as_ref().map(|a| a.expires_at)
    }

    /// A valid access token: the one at hand, else that of the one refresh under way.
    ///
    /// # Errors
    /// `account_invalid` once the refresh token is known to be dead; else the refresh's failure, for its pause without
    /// asking again.
    pub async fn token(&self, now: Timestamp) -> Result<Secret, Failure> {
        let flight = {
            let mut state = self.0.state.lock();
            if let Some(failure) = &state.dead {
                return Err(failure.clone());
            }
            if let Some(access) = state.access.as_ref().filter(|a| now < a.expires_at) {
                let token = access.token.clone();
                if access.renew_at <= now && state.may_refresh(now) {
                    self.0.join(&mut state, now);
                }
                return Ok(token);
            }
            self.0.join_or_pause(&mut state, now)?
        };
        landed(flight).await
    }

    /// Another token after the upstream refused `stale` with a 401. Where the token at hand is another one already, that
    /// one; else that of one refresh, whoever else asks for it.
    ///
    /// # Errors
    /// As [`Self::token`].
    pub async fn force_refresh(&self, stale: &Secret, now: Timestamp) -> Result<Secret, Failure> {
        let flight = {
            let mut state = self.0.state.lock();
            if let Some(failure) = &state.dead {
                return Err(failure.clone());
            }
            match state.access.as_ref().filter(|a| now < a.expires_at) {
                Some(access) if access.token != *stale => return Ok(access.token.clone()),
                // It is refused: nobody else should be given it meanwhile.
                _ => state.access = None,
            }
            self.0.join_or_pause(&mut state, now)?
        };
        landed(flight).await
    }

    /// The upstream refused `stale` with a 401 in a call that is not repeated: nobody is given it again, and another is
    /// fetched beside the requests. What is at hand is another one already where a refresh came in between.
    pub fn refuse(&self, stale: &Secret, now: Timestamp) {
        let mut state = self.0.state.lock();
        if state.access.as_ref().is_some_and(|a| a.token == *stale) {
            state.access = None;
            if state.dead.is_none() && state.may_refresh(now) {
                self.0.join(&mut state, now);
            }
        }
    }

    /// Renews the token ahead of its end where that is due, without waiting: for a job that keeps idle accounts ready.
    pub fn renew_if_due(&self, now: Timestamp) {
        let mut state = self.0.state.lock();
        let due = state.access.as_ref().is_none_or(|a| a.renew_at <= now);
        if due && state.dead.is_none() && state.may_refresh(now) {
            self.0.join(&mut state, now);
        }
    }
}

/// Waits for a refresh to end.
async fn landed(mut flight: watch::Receiver<Option<Outcome>>) -> Outcome {
    match flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(abandoned())),
        Err(_) => Err(abandoned()),
    }
}

fn abandoned() -> Failure {
    Failure::new(
        Class::Network,
        "the token refresh was abandoned by a shutdown",
    )
}

impl State {
    fn may_refresh(&self, now: Timestamp) -> bool {
        self.failed.as_ref().is_none_or(|f| f.retry_at <= now)
    }

    /// The refresh under way. One whose task is gone without an outcome is none.
    fn flying(&self) -> Option<&watch::Receiver<Option<Outcome>>> {
        self.flight
            .as_ref()
            .filter(|flight| flight.has_changed().is_ok())
    }
}

impl Shared {
    fn join_or_pause(
        self: &Arc<Self>,
        state: &mut State,
        now: Timestamp,
    ) -> Result<watch::Receiver<Option<Outcome>>, Failure> {
        match &state.failed {
            Some(failed) if state.flying().is_none() && now < failed.retry_at => {
                Err(failed.failure.clone())
            }
            _ => Ok(self.join(state, now)),
        }
    }

    /// The refresh under way, else a new one.
    fn join(
        self: &Arc<Self>,
        state: &mut State,
        now: Timestamp,
    ) -> watch::Receiver<Option<Outcome>> {
        if let Some(flight) = state.flying() {
            return flight.clone();
        }
        let (landing, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let shared = self.clone();
        let (exchange, refresh_token) = (state.exchange.clone(), state.refresh_token.clone());
        self.tasks.spawn(async move {
            let force = shared.tasks.force().clone();
            tokio::select! {
                outcome = shared.fly(exchange, refresh_token, now) => {
                    landing.send_replace(Some(outcome));
                }
                () = force.cancelled() => {}
            }
        });
        flight
    }

    async fn fly(
        self: &Arc<Self>,
        exchange: Arc<dyn Exchange>,
        refresh_token: Secret,
        began: Timestamp,
    ) -> Outcome {
        let clock = Instant::now();
        match exchange.refresh(refresh_token.clone()).await {
            Ok(grant) => Ok(self.granted(grant, refresh_token, began).await),
            Err(failure) => {
                let now = began.plus(clock.elapsed());
                Err(self.refused(failure, &refresh_token, now))
            }
        }
    }

    async fn granted(
        self: &Arc<Self>,
        grant: Grant,
        refresh_token: Secret,
        began: Timestamp,
    ) -> Secret {
        let expires_at = grant.expires_at(began);
        let next = grant.refresh_token.unwrap_or_else(|| refresh_token.clone());
        let rotated = next != refresh_token;
        let token = grant.access_token;
        let saved = SavedToken {
            fingerprint: self.fingerprint,
            refresh_token: Some(next.clone()).filter(|next| *next != self.configured),
            access_token: token.clone(),
            expires_at,
        };
        loop {
            let sink = self.state.lock().sink.clone();
            if let Some(sink) = &sink {
                self.keep(Arc::clone(sink), saved.clone(), rotated).await;
            }
            let mut state = self.state.lock();
            // Somebody gave the account another refresh token meanwhile, which stays.
            if state.refresh_token != refresh_token {
                return token;
            }
            // The account may have been given another name meanwhile.
            if !keeping::same(sink.as_ref(), state.sink.as_ref()) {
                continue;
            }
            state.refresh_token = next;
            state.access = Some(Access::new(token.clone(), expires_at, jitter()));
            state.failed = None;
            state.flight = None;
            return token;
        }
    }

    /// Folds a failed refresh in and gives it back.
    fn refused(&self, failure: Failure, refresh_token: &Secret, now: Timestamp) -> Failure {
        let mut state = self.state.lock();
        if state.refresh_token != *refresh_token {
            return failure;
        }
        state.flight = None;
        if failure.class == Class::AccountInvalid {
            state.dead = Some(failure.clone());
            state.access = None;
            return failure;
        }
        let times = state.failed.as_ref().map_or(0, |failed| failed.times);
        let pause = pause_after(times);
        state.failed = Some(Failed {
            failure: failure.clone(),
            times: times.saturating_add(1),
            retry_at: now.plus(failure.delay.unwrap_or(pause).max(pause)),
        });
        failure
    }
}

/// The pause after so many failures before this one.
fn pause_after(times: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << times.min(16))
        .min(LONGEST_PAUSE)
}

/// A random share of [`JITTER`].
fn jitter() -> Duration {
    // Without randomness all renew at the same distance, which does no harm.
    let draw = getrandom::u32().unwrap_or(0);
    JITTER.mul_f64(f64::from(draw) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
