//! Signing in at the panel: the password, how often it may be tried, and the sessions.
//!
//! A session that was made is never refused for what others try: only the password's own check is throttled, by address and
//! over all. Nothing here knows HTTP's answers; `admin::session` and `admin::who` make them.

pub(in crate::server) mod address;
pub(in crate::server) mod cookie;
pub(in crate::server) mod password;
mod sessions;
mod throttle;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::base::metrics::Counter;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::runtime::signin::{KnownPassword, SignIn};
use crate::runtime::snapshot::Snapshot;
use crate::store::{Learned, SessionRecord, Store};

use sessions::Sessions;
use throttle::{Source, Throttle};
use token::{Id, Signer};

/// Hashes at the same time: each takes 19 MiB and a core.
const HASHES: usize = 2;
/// Tries that are hashed or wait for it; more are refused.
const TRIES: usize = 10;
/// When to come back where all of these are taken.
const BUSY: Duration = Duration::from_secs(1);

/// Why nobody was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The password is not the right one, or none is set.
    Wrong,
    /// Too many tries: come back after this.
    Throttled(Duration),
    /// The gateway itself failed: no randomness, or it stops.
    Failed,
}

/// A session of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of its id.
    pub id: [u8; 32],
    /// What a page must send back.
    pub csrf: Secret,
    /// When it ends, unless it is renewed.
    pub expires: Timestamp,
    /// Whether "stay signed in" was ticked.
    pub remembered: bool,
}

/// A session that was begun or renewed.
pub struct Begun {
    /// The session.
    pub session: Session,
    /// What its cookie holds.
    pub token: Secret,
    /// How long it lasts.
    pub life: Duration,
}

/// What was counted of sign-ins.
#[derive(Debug, Default)]
pub struct Counts {
    /// With the right password.
    pub ok: Counter,
    /// With a wrong one.
    pub wrong: Counter,
    /// Not looked at: too many tries.
    pub throttled: Counter,
}

/// Signing in.
pub struct Login {
    store: Store,
    sessions: Sessions,
    throttle: Mutex<Throttle>,
    tries: Arc<Semaphore>,
    hashes: Arc<Semaphore>,
    /// What sessions are signed with where the file names nothing; made with the first of them.
    signing: Mutex<Option<Secret>>,
    making: tokio::sync::Mutex<()>,
    proven: Mutex<Option<Proven>>,
    /// What was counted.
    pub counts: Counts,
}

/// A password that was found right once: it need not be hashed with each request. Both are under a key of this process.
struct Proven {
    key: Secret,
    known: String,
    given: String,
}

impl Login {
    /// With what the last run kept.
    pub fn new(store: Store, learned: &mut Learned) -> Self {
        let kept = std::mem::take(&mut learned.sessions);
        Self {
            sessions: Sessions::new(store.clone(), kept, Timestamp::now()),
            store,
            throttle: Mutex::default(),
            tries: Arc::new(Semaphore::new(TRIES)),
            hashes: Arc::new(Semaphore::new(HASHES)),
            signing: Mutex::new(learned.signing.take()),
            making: tokio::sync::Mutex::default(),
            proven: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Checks a password that came from this address.
    ///
    /// # Errors
    /// [`Denied`]; the log and the counters know then.
    pub async fn check(
        &self,
        known: Option<&KnownPassword>,
        from: Option<IpAddr>,
        given: Secret,
    ) -> Result<(), Denied> {
        let checked = self.judged(known, from, given).await;
        match checked {
            Ok(()) => self.counts.ok.inc(),
            Err(Denied::Wrong) => {
                self.counts.wrong.inc();
                tracing::warn!(from = ?from, "sign-in refused: wrong password");
            }
            Err(Denied::Throttled(wait)) => {
                self.counts.throttled.inc();
                tracing::warn!(from = ?from, ?wait, "sign-in refused: too many tries");
            }
            Err(Denied::Failed) => tracing::error!("a password could not be checked"),
        }
        checked
    }

    async fn judged(
        &self,
        known: Option<&KnownPassword>,
        from: Option<IpAddr>,
        given: Secret,
    ) -> Result<(), Denied> {
        let source = Source::of(from.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()));
        self.throttle
            .lock()
            .begin(source, Timestamp::now())
            .map_err(Denied::Throttled)?;
        let Ok(place) = Arc::clone(&self.tries).try_acquire_owned() else {
            self.throttle.lock().undone(source, Timestamp::now());
            return Err(Denied::Throttled(BUSY));
        };
        let turn = Arc::clone(&self.hashes).acquire_owned().await;
        let turn = turn.map_err(|_| Denied::Failed)?;
        let known = known.cloned();
        // The turn goes with the hash: a client that goes away does not make room for another one.
        let hashed = tokio::task::spawn_blocking(move || {
            let right = password::is_right(known.as_ref(), given.expose());
            drop((turn, place));
            right
        });
        match hashed.await {
            Ok(true) => {
                self.throttle.lock().succeeded(source);
                Ok(())
            }
            Ok(false) => Err(Denied::Wrong),
            Err(_) => Err(Denied::Failed),
        }
    }

    /// Checks a password that comes with each request: one that was found right is known again without its hash.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn check_again(
        &self,
        known: Option<&KnownPassword>,
        from: Option<IpAddr>,
        given: Secret,
    ) -> Result<(), Denied> {
        if known.is_some_and(|known| self.is_proven(known, &given)) {
            return Ok(());
        }
        self.check(known, from, given.clone()).await?;
        if let Some(known) = known {
            *self.proven.lock() = Proven::new(known, &given);
        }
        Ok(())
    }

    fn is_proven(&self, known: &KnownPassword, given: &Secret) -> bool {
        let proven = self.proven.lock();
        proven
            .as_ref()
            .is_some_and(|proven| proven.is(known, given))
    }

    /// Begins a session for whoever gave the right password.
    ///
    /// # Errors
    /// [`Denied::Failed`], or [`Denied::Wrong`] where no password is set any more.
    pub async fn begin(&self, snapshot: &Snapshot, remember: bool) -> Result<Begun, Denied> {
        let secret = self.signing_made(&snapshot.sign_in).await?;
        let id = Id::random().map_err(|_| Denied::Failed)?;
        let remembered = remember && snapshot.config.admin.remember_ttl.is_some();
        let (begun, record) = made(snapshot, &secret, &id, remembered)?;
        self.sessions.begin(record, Timestamp::now());
        Ok(begun)
    }

    /// A session for this cookie's text, while it lasts.
    pub fn session(&self, snapshot: &Snapshot, token: &str) -> Option<Session> {
        self.found(snapshot, token).map(|(session, _)| session)
    }

    /// The session of this cookie's text with new life, where more than half of it is used up.
    pub fn renewed(&self, snapshot: &Snapshot, token: &str) -> Option<Begun> {
        let (session, id) = self.found(snapshot, token)?;
        let life = sessions::life(&snapshot.config.admin, session.remembered);
        if session.expires.since(Timestamp::now()) > life / 2 {
            return None;
        }
        let secret = self.signing(&snapshot.sign_in)?;
        let (begun, record) = made(snapshot, &secret, &id, session.remembered).ok()?;
        self.sessions.renew(record).then_some(begun)
    }

    /// Whether a session still lasts: for who holds on to one longer than a request.
    pub fn lasts(&self, snapshot: &Snapshot, id: &[u8; 32]) -> bool {
        self.record(snapshot, id, Timestamp::now()).is_some()
    }

    /// Ends a session at once and for good.
    pub async fn end(&self, id: [u8; 32]) {
        self.sessions.end(id).await;
    }

    fn found(&self, snapshot: &Snapshot, token: &str) -> Option<(Session, Id)> {
        let now = Timestamp::now();
        let secret = self.signing(&snapshot.sign_in)?;
        let signer = Signer::new(&secret);
        let id = signer.read(token, now)?;
        let record = self.record(snapshot, &id.digest(), now)?;
        let session = Session {
            id: record.id,
            csrf: signer.csrf(&id)?,
            expires: sessions::end(&record, &snapshot.config.admin),
            remembered: record.remembered,
        };
        Some((session, id))
    }

    fn record(&self, snapshot: &Snapshot, id: &[u8; 32], now: Timestamp) -> Option<SessionRecord> {
        let secret = self.signing(&snapshot.sign_in)?;
        let password = snapshot.sign_in.password.as_ref()?;
        let mark = Signer::new(&secret).password(password.material())?;
        let admin = &snapshot.config.admin;
        self.sessions.get(id, &mark, admin, now)
    }

    /// What sessions are signed with; `None` where none was ever made.
    fn signing(&self, sign_in: &SignIn) -> Option<Secret> {
        sign_in
            .signing
            .clone()
            .or_else(|| self.signing.lock().clone())
    }

    /// The same, made and kept where there is none.
    async fn signing_made(&self, sign_in: &SignIn) -> Result<Secret, Denied> {
        // One at a time: two secrets would end each other's sessions.
        let _making = self.making.lock().await;
        if let Some(secret) = self.signing(sign_in) {
            return Ok(secret);
        }
        let secret = token::random_secret().map_err(|_| Denied::Failed)?;
        *self.signing.lock() = Some(secret.clone());
        if let Err(error) = self.store.put_signing(secret.clone()).await {
            tracing::warn!(%error, "what sessions are signed with is not on the disk yet: a restart would end them");
        }
        Ok(secret)
    }
}

/// A session that begins now, or lives on, and what is to be kept of it.
fn made(
    snapshot: &Snapshot,
    secret: &Secret,
    id: &Id,
    remembered: bool,
) -> Result<(Begun, SessionRecord), Denied> {
    let now = Timestamp::now();
    let life = sessions::life(&snapshot.config.admin, remembered);
    let expires = now.plus(life);
    let signer = Signer::new(secret);
    let known = snapshot.sign_in.password.as_ref().ok_or(Denied::Wrong)?;
    let password = signer.password(known.material()).ok_or(Denied::Failed)?;
    let csrf = signer.csrf(id).ok_or(Denied::Failed)?;
    let token = signer.token(id, now, expires).ok_or(Denied::Failed)?;
    let record = SessionRecord {
        id: id.digest(),
        password,
        renewed: now,
        expires,
        remembered,
    };
    let session = Session {
        id: record.id,
        csrf,
        expires,
        remembered,
    };
    let begun = Begun {
        session,
        token: Secret::new(token),
        life,
    };
    Ok((begun, record))
}

impl Proven {
    fn new(known: &KnownPassword, given: &Secret) -> Option<Self> {
        let key = token::random_secret().ok()?;
        let signer = Signer::new(&key);
        Some(Self {
            known: signer.password(known.material())?,
            given: signer.password(given)?,
            key,
        })
    }

    fn is(&self, known: &KnownPassword, given: &Secret) -> bool {
        let signer = Signer::new(&self.key);
        let is = |mark: &str, of: &Secret| {
            signer
                .password(of)
                .is_some_and(|own| token::same(mark, &own))
        };
        is(&self.known, known.material()) & is(&self.given, given)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::future::join_all;

    use super::*;
    use crate::store::testing::NoKeys;

    #[tokio::test]
    async fn no_more_is_hashed_than_one_machine_bears_however_many_addresses_try() {
        let store = Store::in_memory(Arc::new(NoKeys));
        let login = Login::new(store, &mut Learned::default());
        let from = |n| Some(Ipv4Addr::new(10, 0, n, 1).into());
        let try_one = |n| login.check(None, from(n), Secret::new("a guess".to_owned()));
        // Nobody's hash begins before all of them have asked.
        let all = u32::try_from(HASHES).unwrap();
        let held = login.hashes.acquire_many(all).await.unwrap();
        let tries = join_all((0..40).map(try_one));
        let release = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        let (outcomes, ()) = tokio::join!(tries, release);
        let wrong = outcomes.iter().filter(|o| **o == Err(Denied::Wrong));
        assert_eq!(wrong.count(), TRIES);
        let busy = outcomes
            .iter()
            .filter(|o| **o == Err(Denied::Throttled(BUSY)));
        assert_eq!(busy.count(), 40 - TRIES);
        assert_eq!(login.tries.available_permits(), TRIES);
        // Who was not looked at has not tried: there is no pause for that.
        assert_eq!(try_one(39).await, Err(Denied::Wrong));
    }
}
