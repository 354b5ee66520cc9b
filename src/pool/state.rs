//! The account machine: what a success or failure does to an account, and to a model of an upstream.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::pool::candidate::NEVER;
use crate::pool::cooldown::{self, Limits};
use crate::pool::failure::{Class, Failure};

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

/// A bench: until when, for what, the how-manieth in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// Its end.
    pub until: Timestamp,
    /// What brought it.
    pub class: Class,
    /// In a row; a success ends the row.
    pub count: u32,
}

/// What is known of one account's health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whether a person must act.
    pub standing: Standing,
    /// The whole account is benched.
    pub whole: Option<Cooldown>,
    /// It is benched for these upstream models.
    pub models: BTreeMap<String, Cooldown>,
    forbidden_in_row: u32,
    garbage_in_row: u32,
}

/// What the caller has to do besides obeying the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed.
    None,
    /// The account (or, with a model, the pair) is benched: keep it in the store.
    Benched,
    /// Benched for lack of quota: also ask for quotas.
    AskQuota,
    /// A person must act: tell.
    Tell,
}

impl Machine {
    /// A call on `model` went well: rows end, benches of the pair too.
    pub fn success(&mut self, model: &str) {
        self.forbidden_in_row = 0;
        self.garbage_in_row = 0;
        self.models.remove(model);
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
                self.bench(model, Class::RateLimited, now.plus(length), count)
            }
            Class::QuotaExhausted => {
                let until = now.plus(failure.delay.unwrap_or(cooldown::QUOTA));
                self.bench(model, Class::QuotaExhausted, until, 1);
                Effect::AskQuota
            }
            Class::ModelNotFound => self.bench(
                model,
                Class::ModelNotFound,
                now.plus(cooldown::MODEL_NOT_FOUND),
                1,
            ),
            Class::Forbidden => {
                self.forbidden_in_row += 1;
                if self.forbidden_in_row >= 3 {
                    self.standing = Standing::Disabled("refused three times in a row".to_owned());
                    return Effect::Tell;
                }
                self.bench_whole(Class::Forbidden, now.plus(cooldown::FORBIDDEN))
            }
            Class::UpstreamGarbage => {
                self.garbage_in_row += 1;
                if self.garbage_in_row < 3 {
                    return Effect::None;
                }
                self.garbage_in_row = 0;
                self.bench_whole(Class::UpstreamGarbage, now.plus(cooldown::GARBAGE))
            }
            Class::AccountInvalid => {
                // invalid_grant (the token endpoint answers without our status) asks for a new login; the rest is closed.
                self.standing = if failure.detail.contains("invalid_grant") {
                    Standing::NeedsLogin
                } else {
                    Standing::Disabled("closed by the provider".to_owned())
                };
                Effect::Tell
            }
            Class::AuthExpired => {
                self.standing = Standing::NeedsLogin;
                Effect::Tell
            }
            Class::NeedsValidation => {
                self.standing = Standing::NeedsVerification(failure.link.clone());
                Effect::Tell
            }
            _ => Effect::None,
        }
    }

    fn next_count(&self, model: &str, class: Class) -> u32 {
        self.models
            .get(model)
            .filter(|c| c.class == class)
            .map_or(1, |c| c.count.saturating_add(1))
    }

    fn bench(&mut self, model: &str, class: Class, until: Timestamp, count: u32) -> Effect {
        let bench = Cooldown {
            until,
            class,
            count,
        };
        match self.models.get_mut(model) {
            // A shorter delay told later never opens a door that another answer said is closed for longer.
            Some(known) if known.until > until => known.count = count,
            Some(known) => *known = bench,
            None => {
                self.models.insert(model.to_owned(), bench);
            }
        }
        Effect::Benched
    }

    fn bench_whole(&mut self, class: Class, until: Timestamp) -> Effect {
        if self.whole.is_none_or(|known| known.until < until) {
            self.whole = Some(Cooldown {
                until,
                class,
                count: 1,
            });
        }
        Effect::Benched
    }

    /// When the account as a whole can be used; [`NEVER`] while a person must act.
    pub fn ready_at(&self) -> Timestamp {
        if self.standing == Standing::Active {
            self.whole.map_or(Timestamp(0), |c| c.until)
        } else {
            NEVER
        }
    }

    /// When the pair's own bench ends.
    pub fn model_ready_at(&self, model: &str) -> Timestamp {
        self.models.get(model).map_or(Timestamp(0), |c| c.until)
    }

    /// A new credential or a person's word: back to active.
    pub fn release(&mut self) {
        *self = Self::default();
    }
}

/// What is known of one model of an upstream, over all accounts: only `capacity` speaks to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelMachine {
    in_row: u32,
    benches: u32,
    /// It cools until then.
    pub until: Timestamp,
}

impl ModelMachine {
    /// A call went well.
    pub fn success(&mut self) {
        *self = Self::default();
    }

    /// The upstream had no capacity: from the third time in a row the model cools, doubling.
    pub fn capacity(&mut self, stated: Option<Duration>, now: Timestamp, limits: &Limits) {
        self.in_row = self.in_row.saturating_add(1);
        if self.in_row >= 3 {
            self.benches = self.benches.saturating_add(1);
            self.in_row = 0;
            let length = stated.unwrap_or_else(|| limits.doubling(self.benches));
            self.until = self.until.max(now.plus(length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const LIMITS: Limits = Limits {
        first: Duration::from_secs(3),
        max: Duration::from_mins(2),
    };

    fn fail(class: Class, delay: Option<u64>) -> Failure {
        Failure {
            delay: delay.map(Duration::from_secs),
            ..Failure::new(class, "")
        }
    }

    #[test]
    fn only_the_guilty_thing_cools() {
        let mut m = Machine::default();
        assert_eq!(
            m.failure("a", &fail(Class::RateLimited, Some(34)), NOW, &LIMITS),
            Effect::Benched
        );
        assert_eq!(m.model_ready_at("a"), NOW.plus(Duration::from_secs(34)));
        assert_eq!(m.model_ready_at("b"), Timestamp(0));
        assert_eq!(m.ready_at(), Timestamp(0));
    }

    #[test]
    fn a_clients_fault_never_touches_the_account() {
        let mut m = Machine::default();
        for class in [
            Class::BadRequest,
            Class::ContextTooLong,
            Class::SignatureInvalid,
            Class::TooLarge,
            Class::ServerError,
            Class::Timeout,
            Class::Network,
            Class::Capacity,
            Class::EmptyAnswer,
            Class::OauthConfig,
        ] {
            for _ in 0..100 {
                assert_eq!(
                    m.failure("a", &fail(class, Some(60)), NOW, &LIMITS),
                    Effect::None
                );
            }
        }
        assert_eq!(m, Machine::default());
    }

    #[test]
    fn an_unstated_rate_limit_doubles_and_a_success_ends_the_row() {
        let mut m = Machine::default();
        for seconds in [3, 6, 12] {
            m.failure("a", &fail(Class::RateLimited, None), NOW, &LIMITS);
            assert_eq!(
                m.model_ready_at("a"),
                NOW.plus(Duration::from_secs(seconds))
            );
        }
        m.success("a");
        m.failure("a", &fail(Class::RateLimited, None), NOW, &LIMITS);
        assert_eq!(m.model_ready_at("a"), NOW.plus(Duration::from_secs(3)));
    }

    #[test]
    fn a_stated_delay_is_never_cut() {
        let mut m = Machine::default();
        assert_eq!(
            m.failure(
                "a",
                &fail(Class::QuotaExhausted, Some(500_000)),
                NOW,
                &LIMITS
            ),
            Effect::AskQuota
        );
        assert_eq!(
            m.model_ready_at("a"),
            NOW.plus(Duration::from_secs(500_000))
        );
        m.failure("a", &fail(Class::RateLimited, Some(1)), NOW, &LIMITS);
        assert_eq!(
            m.model_ready_at("a"),
            NOW.plus(Duration::from_secs(500_000))
        );
    }

    #[test]
    fn three_forbidden_in_a_row_disable() {
        let mut m = Machine::default();
        m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
        assert_eq!(m.ready_at(), NOW.plus(cooldown::FORBIDDEN));
        m.success("a");
        for _ in 0..2 {
            m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
        }
        assert_eq!(m.standing, Standing::Active);
        m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
        assert_eq!(m.ready_at(), NEVER);
        m.release();
        assert_eq!(m.ready_at(), Timestamp(0));
    }

    #[test]
    fn three_unintelligible_answers_bench_for_a_minute() {
        let mut m = Machine::default();
        for _ in 0..2 {
            m.failure("a", &fail(Class::UpstreamGarbage, None), NOW, &LIMITS);
        }
        assert_eq!(m.ready_at(), Timestamp(0));
        m.failure("a", &fail(Class::UpstreamGarbage, None), NOW, &LIMITS);
        assert_eq!(m.ready_at(), NOW.plus(cooldown::GARBAGE));
    }

    #[test]
    fn the_model_cools_after_the_third_lack_of_capacity_in_a_row() {
        let mut m = ModelMachine::default();
        m.capacity(None, NOW, &LIMITS);
        m.capacity(None, NOW, &LIMITS);
        m.success();
        m.capacity(None, NOW, &LIMITS);
        m.capacity(None, NOW, &LIMITS);
        assert_eq!(m.until, Timestamp(0));
        m.capacity(None, NOW, &LIMITS);
        assert_eq!(m.until, NOW.plus(Duration::from_secs(3)));
        for _ in 0..3 {
            m.capacity(None, NOW, &LIMITS);
        }
        assert_eq!(m.until, NOW.plus(Duration::from_secs(6)));
    }
}
