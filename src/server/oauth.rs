//! Accounts that are being signed in at their provider: who began, with which proof key, and what the provider said.
//!
//! A code comes back in one of two ways. The provider's page leads the browser to `/oauth-callback`, where a cookie shows that
//! it is the browser that began. Or a person pastes the address: then the session that pastes must be the one that began.
//! Either way the account is made by neither, but by a request of its own that this session sends (RFC 6749 section 10.12).

use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::base::id::{AccountId, UpstreamId};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::upstream::oauth::{self, CallbackError, Pkce};

/// How long a person has, from the begin to the confirmation.
pub const LIFE: Duration = Duration::from_mins(10);
/// Most sign-ins at once.
const MOST: usize = 64;
/// Most of one owner: an older one gives way.
const MOST_OF_ONE: usize = 8;

/// What the provider granted.
#[derive(Debug, Clone)]
pub struct Found {
    /// Who signed in; `None` where the provider did not tell.
    pub email: Option<String>,
    /// What the account is to have.
    pub refresh_token: Secret,
}

/// How far a sign-in is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// The person is at the provider's.
    Waiting,
    /// The provider is asked who it was. A code is used once.
    Asked,
    /// To be confirmed.
    Found(Found),
    /// It came to nothing.
    Failed(String),
}

/// A sign-in as its owner sees it.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// What it is known by.
    pub state: String,
    /// Where.
    pub upstream: UpstreamId,
    /// The account that is signed in again.
    pub account: Option<AccountId>,
    /// When it is too late.
    pub expires: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// Digest of the cookie that the browser got.
    cookie: [u8; 32],
    /// Who began: a session, or a token's name.
    owner: String,
    pkce: Pkce,
}

/// What a sign-in begins with.
#[derive(Debug)]
pub struct Begun {
    /// What it is known by.
    pub state: String,
    /// For the browser that begins.
    pub cookie: Secret,
    /// For the consent address.
    pub challenge: String,
    /// When it is too late.
    pub expires: Timestamp,
}

/// The right to trade the code of a sign-in, given once.
#[derive(Debug)]
pub struct Claim {
    /// What it is known by.
    pub state: String,
    /// Where.
    pub upstream: UpstreamId,
    /// The code.
    pub code: Secret,
    /// The proof key's secret half.
    pub verifier: Secret,
}

/// Why a pasted text is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclaimed {
    /// It holds no code, or the provider refused.
    #[error(transparent)]
    Text(#[from] CallbackError),
    /// There is nothing to complete.
    #[error("no sign-in of this session is waiting for an address: begin one")]
    None,
    /// It can't be told which it belongs to.
    #[error(
        "several sign-ins are waiting, and a bare code does not tell whose it is: paste the whole address"
    )]
    Several,
}

/// The sign-ins under way.
#[derive(Debug, Default)]
pub struct SignIns(Mutex<Vec<SignIn>>);

impl SignIns {
    /// Begins one for `owner`.
    ///
    /// # Errors
    /// There are too many, or no randomness.
    pub fn begin(
        &self,
        owner: &str,
        upstream: &UpstreamId,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Begun, String> {
        let (state, pkce) = (oauth::new_state()?, Pkce::new()?);
        let cookie = Secret::new(oauth::new_state()?);
        let expires = now.plus(LIFE);
        let begun = Begun {
            state: state.clone(),
            challenge: pkce.challenge.clone(),
            expires,
            cookie: cookie.clone(),
        };
        let mut all = self.0.lock();
        all.retain(|one| one.expires > now);
        let own = all.iter().filter(|one| one.owner == owner).count();
        if own >= MOST_OF_ONE
            && let Some(oldest) = all.iter().position(|one| one.owner == owner)
        {
            all.remove(oldest);
        } else if all.len() >= MOST {
            return Err("too many sign-ins are under way: try again in a few minutes".to_owned());
        }
        all.push(SignIn {
            state,
            upstream: upstream.clone(),
            account,
            expires,
            stage: Stage::Waiting,
            cookie: digest(cookie.expose()),
            owner: owner.to_owned(),
            pkce,
        });
        Ok(begun)
    }

    /// The sign-in of this owner.
    pub fn of(&self, state: &str, owner: &str, now: Timestamp) -> Option<SignIn> {
        let all = self.0.lock();
        let mut own = all
            .iter()
            .filter(|one| one.owner == owner && one.expires > now);
        own.find(|one| same(&one.state, state)).cloned()
    }

    /// What the provider's page led the browser back with. `None` where this is not the browser that began, the state is
    /// unknown, or a code has come already.
    pub fn returned(
        &self,
        query: &str,
        state: &str,
        cookie: &str,
        now: Timestamp,
    ) -> Option<Result<Claim, CallbackError>> {
        let mut all = self.0.lock();
        let digest = digest(cookie);
        let one = all.iter_mut().find(|one| {
            one.expires > now
                && matches!(one.stage, Stage::Waiting)
                && same(&one.state, state)
                && bool::from(one.cookie.ct_eq(&digest))
        })?;
        Some(one.claim(&format!("?{query}")).inspect_err(|error| {
            one.stage = Stage::Failed(error.to_string());
        }))
    }

    /// What a person pasted.
    ///
    /// # Errors
    /// See [`Unclaimed`].
    pub fn pasted(&self, text: &str, owner: &str, now: Timestamp) -> Result<Claim, Unclaimed> {
        let mut all = self.0.lock();
        let mut own: Vec<&mut SignIn> = all
            .iter_mut()
            .filter(|one| {
                one.owner == owner && one.expires > now && matches!(one.stage, Stage::Waiting)
            })
            .collect();
        if own.is_empty() {
            return Err(Unclaimed::None);
        }
        // No state is empty: what is read with it has none of its own.
        let bare = oauth::parse_callback(text, "").is_ok();
        if bare && own.len() > 1 {
            return Err(Unclaimed::Several);
        }
        let mut last = CallbackError::Unreadable;
        for one in &mut own {
            match one.claim(text) {
                Ok(claim) => return Ok(claim),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    /// What the provider said.
    pub fn heard(&self, state: &str, said: Result<Found, String>) {
        let mut all = self.0.lock();
        if let Some(one) = all.iter_mut().find(|one| one.state == state) {
            one.stage = said.map_or_else(Stage::Failed, Stage::Found);
        }
    }

    /// It is over.
    pub fn forget(&self, state: &str, owner: &str) {
        let mut all = self.0.lock();
        all.retain(|one| one.owner != owner || !same(&one.state, state));
    }
}

impl SignIn {
    fn claim(&mut self, text: &str) -> Result<Claim, CallbackError> {
        let code = oauth::parse_callback(text, &self.state)?;
        self.stage = Stage::Asked;
        Ok(Claim {
            state: self.state.clone(),
            upstream: self.upstream.clone(),
            code,
            verifier: self.pkce.verifier.clone(),
        })
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn begun(all: &SignIns, owner: &str) -> Begun {
        all.begin(owner, &"up".into(), None, NOW).unwrap()
    }

    #[test]
    fn a_browser_that_did_not_begin_completes_nothing() {
        let all = SignIns::default();
        let (mine, theirs) = (begun(&all, "me"), begun(&all, "them"));
        let query = |state: &str| format!("state={state}&code=4/abc");
        let back =
            |one: &Begun, cookie: &str| all.returned(&query(&one.state), &one.state, cookie, NOW);
        // The attacker's own sign-in, opened in the victim's browser: another cookie, or none.
        assert!(back(&theirs, mine.cookie.expose()).is_none());
        assert!(back(&theirs, "").is_none());
        let claim = back(&mine, mine.cookie.expose()).unwrap().unwrap();
        assert_eq!(claim.code.expose(), "4/abc");
        // A code is used once.
        assert!(back(&mine, mine.cookie.expose()).is_none());
        all.heard(&mine.state, Err("no".to_owned()));
        assert!(matches!(
            all.of(&mine.state, "me", NOW).unwrap().stage,
            Stage::Failed(_)
        ));
        assert!(all.of(&mine.state, "them", NOW).is_none());
    }

    #[test]
    fn what_is_pasted_belongs_to_whoever_pastes() {
        let all = SignIns::default();
        let theirs = begun(&all, "them");
        let address = format!(
            "http://localhost:8088/oauth-callback?state={}&code=c1",
            theirs.state
        );
        assert_eq!(
            all.pasted(&address, "me", NOW).unwrap_err(),
            Unclaimed::None
        );
        let mine = begun(&all, "me");
        assert_eq!(
            all.pasted(&address, "me", NOW).unwrap_err(),
            CallbackError::WrongState.into()
        );
        // A bare code goes to the one that waits, and to none where several do.
        let other = begun(&all, "me");
        assert_eq!(all.pasted("c2", "me", NOW).unwrap_err(), Unclaimed::Several);
        all.forget(&other.state, "me");
        assert_eq!(all.pasted("c2", "me", NOW).unwrap().state, mine.state);
        assert_eq!(all.pasted("c2", "me", NOW).unwrap_err(), Unclaimed::None);
        assert_eq!(
            all.pasted(&address, "them", NOW).unwrap().state,
            theirs.state
        );
    }

    #[test]
    fn it_ends_by_itself_and_they_are_not_without_number() {
        let all = SignIns::default();
        let first = begun(&all, "me");
        let late = NOW.plus(LIFE);
        assert!(all.of(&first.state, "me", late).is_none());
        assert!(all.pasted("c", "me", late).is_err());
        let later: Vec<Begun> = (0..MOST_OF_ONE).map(|_| begun(&all, "me")).collect();
        assert!(all.of(&first.state, "me", NOW).is_none());
        assert!(
            later
                .iter()
                .all(|one| all.of(&one.state, "me", NOW).is_some())
        );
        for n in MOST_OF_ONE..MOST {
            begun(&all, &n.to_string());
        }
        assert!(all.begin("one more", &"up".into(), None, NOW).is_err());
        assert!(all.begin("one more", &"up".into(), None, late).is_ok());
    }

    #[test]
    fn what_the_provider_refused_is_told() {
        let all = SignIns::default();
        let one = begun(&all, "me");
        let query = format!("error=access_denied&state={}", one.state);
        let back = all.returned(&query, &one.state, one.cookie.expose(), NOW);
        assert!(matches!(back, Some(Err(CallbackError::Refused(_)))));
        let Stage::Failed(why) = all.of(&one.state, "me", NOW).unwrap().stage else {
            panic!("it waits on");
        };
        assert!(why.contains("access_denied"));
    }
}
