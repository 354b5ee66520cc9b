//! The account machine: what each event does to an account, and to a model of an upstream. Every method is an event: the
//! state before, the event and the time give the state after and what is left to do; nothing else changes an account.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::pool::candidate::NEVER;
use crate::pool::cooldown::{self, Limits};
use crate::pool::failure::{Class, Failure};

mod model;

pub use model::ModelMachine;

/// Whether an account can be used at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// Yes.
    #[default]
    Active,
    /// Its refresh token is dead, or a fresh token was refused: a person must sign in again.
    NeedsLogin,
    /// The provider wants a person to verify it, here.
    NeedsVerification(Option<String>),
    /// Closed by the provider, or refused too often.
    Disabled(String),
}

impl Standing {
    /// The state's name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsLogin => "needs_login",
            Self::NeedsVerification(_) => "needs_verification",
            Self::Disabled(_) => "disabled",
        }
    }
}

/// A bench: from when until when, for what, the how-manieth in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// Its begin.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// So much of it the upstream stated, or a rule fixes; what is beyond is a guess, which yields to a reading of the
    /// quota.
    pub sure: Timestamp,
    /// What brought it.
    pub class: Class,
    /// In a row; a success ends the row.
    pub count: u32,
}

impl Cooldown {
    /// Whether it is in force at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until > now
    }

    /// A clock that was set back must not make a bench longer than it was meant to be.
    fn anchor(&mut self, now: Timestamp) {
        if now < self.since {
            let length = self.until.since(self.since);
            let sure = self.sure.since(self.since);
            self.since = now;
            self.until = now.plus(length);
            self.sure = now.plus(sure);
        }
    }
}

/// What is known of one account's health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whether a person must act.
    pub standing: Standing,
    /// Since when the standing is what it is; the epoch for an account that never had another.
    pub since: Timestamp,
    /// A person has taken it out of use, at this time.
    pub paused: Option<Timestamp>,
    /// It is back after a release or with a new credential, and has not served since: it gets one call at a time, and is
    /// set aside again by its first refusal.
    pub trial: bool,
    /// The whole account is benched.
    pub whole: Option<Cooldown>,
    /// It is benched for these upstream models.
    pub models: BTreeMap<String, Cooldown>,
    forbidden_in_row: u32,
    garbage_in_row: u32,
}

/// A bench that begins.
#[derive(Debug, Clone, Copy)]
struct Bench {
    class: Class,
    length: Duration,
    /// So much of it is no guess.
    sure: Duration,
    count: u32,
}

impl Bench {
    fn sure(class: Class, length: Duration, count: u32) -> Self {
        Self {
            class,
            length,
            sure: length,
            count,
        }
    }
}

/// What the caller has to do besides obeying the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed that outlives the program.
    None,
    /// The account (or, with a model, the pair) is benched: keep it in the store.
    Benched,
    /// Benched for lack of quota: also ask for quotas.
    AskQuota,
    /// A person must act: tell, and keep the standing in the store.
    Tell,
}

/// What a success ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relief {
    /// The pair's bench: forget it in the store.
    pub bench: bool,
    /// The trial: keep the standing in the store.
    pub trial: bool,
}

impl Machine {
    /// A fresh credential for an account that waited for a person: on trial, and paused where it was.
    pub fn on_trial(paused: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            since: now,
            paused,
            trial: true,
            ..Self::default()
        }
    }

    /// A machine of this standing since then, with nothing else known: as a store keeps it.
    pub fn standing(
        standing: Standing,
        since: Timestamp,
        paused: Option<Timestamp>,
        trial: bool,
    ) -> Self {
        Self {
            standing,
            since,
            paused,
            trial,
            ..Self::default()
        }
    }

    /// A call on `model` went well: rows and the trial end. A bench of the pair that another call brought meanwhile stays
    /// for as long as the upstream said.
    pub fn success(&mut self, model: &str, now: Timestamp) -> Relief {
        self.forbidden_in_row = 0;
        self.garbage_in_row = 0;
        let trial = std::mem::take(&mut self.trial);
        let bench = match self.models.get_mut(model) {
            Some(bench) if bench.holds(now) => {
                bench.count = 0;
                false
            }
            Some(_) => self.models.remove(model).is_some(),
            None => false,
        };
        Relief { bench, trial }
    }

    /// A call on `model` failed.
    pub fn failure(
        &mut self,
        model: &str,
        failure: &Failure,
        now: Timestamp,
        limits: &Limits,
    ) -> Effect {
        match failure.class {
            Class::RateLimited => {
                let count = self.next_count(model, Class::RateLimited);
                let length = failure.delay.unwrap_or_else(|| limits.doubling(count));
                self.bench(model, Bench::sure(Class::RateLimited, length, count), now)
            }
            Class::QuotaExhausted => {
                let bench = Bench {
                    sure: failure.delay.unwrap_or_default(),
                    ..Bench::sure(Class::QuotaExhausted, cooldown::QUOTA, 1)
                };
                let length = failure.delay.unwrap_or(bench.length);
                self.bench(model, Bench { length, ..bench }, now);
                Effect::AskQuota
            }
            Class::ModelNotFound => {
                let length = cooldown::MODEL_NOT_FOUND;
                self.bench(model, Bench::sure(Class::ModelNotFound, length, 1), now)
            }
            Class::Forbidden => {
                self.forbidden_in_row += 1;
                if self.trial {
                    return self.set_aside(disabled("refused again on its trial"), now);
                }
                if self.forbidden_in_row >= 3 {
                    return self.set_aside(disabled("refused three times in a row"), now);
                }
                self.bench_whole(Class::Forbidden, now, cooldown::FORBIDDEN)
            }
            Class::UpstreamGarbage => {
                self.garbage_in_row += 1;
                if self.garbage_in_row < 3 {
                    return Effect::None;
                }
                self.garbage_in_row = 0;
                self.bench_whole(Class::UpstreamGarbage, now, cooldown::GARBAGE)
            }
            Class::AccountInvalid if failure.login_dead => {
                self.set_aside(Standing::NeedsLogin, now)
            }
            Class::AccountInvalid => self.set_aside(disabled("closed by the provider"), now),
            Class::AuthExpired => self.set_aside(Standing::NeedsLogin, now),
            Class::NeedsValidation => {
                self.set_aside(Standing::NeedsVerification(failure.link.clone()), now)
            }
            _ => Effect::None,
        }
    }

    fn set_aside(&mut self, standing: Standing, now: Timestamp) -> Effect {
        if self.standing == standing {
            return Effect::None;
        }
        self.standing = standing;
        self.since = now;
        self.trial = false;
        Effect::Tell
    }

    fn next_count(&self, model: &str, class: Class) -> u32 {
        self.models
            .get(model)
            .filter(|c| c.class == class)
            .map_or(1, |c| c.count.saturating_add(1))
    }

    fn bench(&mut self, model: &str, new: Bench, now: Timestamp) -> Effect {
        let bench = Cooldown {
            since: now,
            until: now.plus(new.length),
            sure: now.plus(new.sure),
            class: new.class,
            count: new.count,
        };
        match self.models.get_mut(model) {
            Some(known) => {
                known.anchor(now);
                let sure = known.sure.max(bench.sure);
                // A shorter delay told later never opens a door that another answer said is closed for longer.
                if known.until > bench.until {
                    if known.class == new.class {
                        known.count = new.count;
                    }
                } else {
                    *known = bench;
                }
                known.sure = sure;
            }
            None => {
                self.models.insert(model.to_owned(), bench);
            }
        }
        Effect::Benched
    }

    /// A reading of the quota, asked for at `at`, shows that something is left: what a bench for lack of quota only guessed
    /// is over, where the reading is not older than it. What was stated stays. Says whether that changed the bench.
    pub fn something_left(&mut self, model: &str, at: Timestamp, now: Timestamp) -> bool {
        let Some(bench) = self.models.get_mut(model) else {
            return false;
        };
        let a_guess = bench.class == Class::QuotaExhausted && bench.sure < bench.until;
        if !a_guess || at < bench.since {
            return false;
        }
        bench.until = bench.sure;
        if !bench.holds(now) {
            self.models.remove(model);
        }
        true
    }

    fn bench_whole(&mut self, class: Class, now: Timestamp, length: Duration) -> Effect {
        let until = now.plus(length);
        if let Some(known) = &mut self.whole {
            known.anchor(now);
        }
        if self.whole.is_none_or(|known| known.until < until) {
            self.whole = Some(Cooldown {
                since: now,
                until,
                sure: until,
                class,
                count: 1,
            });
        }
        Effect::Benched
    }

    /// Time has passed: where the clock was set back, benches keep the length that they were given.
    pub fn tick(&mut self, now: Timestamp) {
        for bench in self.models.values_mut().chain(&mut self.whole) {
            bench.anchor(now);
        }
    }

    /// A person ends all benches; an account that waits for a person is back on trial. A pause stays.
    pub fn release(&mut self, now: Timestamp) {
        let trial = self.trial || self.standing != Standing::Active;
        let since = if trial { now } else { self.since };
        *self = Self {
            since,
            paused: self.paused,
            trial,
            ..Self::default()
        };
    }

    /// A person takes the account out of use; calls in flight go on. Says whether that is news.
    pub fn pause(&mut self, now: Timestamp) -> bool {
        let news = self.paused.is_none();
        self.paused.get_or_insert(now);
        news
    }

    /// A person takes it back into use, in the state it was in. Says whether that is news.
    pub fn resume(&mut self) -> bool {
        self.paused.take().is_some()
    }

    /// When the account as a whole can be used; [`NEVER`] while a person must act.
    pub fn ready_at(&self) -> Timestamp {
        if self.standing == Standing::Active && self.paused.is_none() {
            self.whole.map_or(Timestamp(0), |c| c.until)
        } else {
            NEVER
        }
    }

    /// When the pair's own bench ends.
    pub fn model_ready_at(&self, model: &str) -> Timestamp {
        self.models.get(model).map_or(Timestamp(0), |c| c.until)
    }
}

fn disabled(why: &str) -> Standing {
    Standing::Disabled(why.to_owned())
}

#[cfg(test)]
mod tests;
