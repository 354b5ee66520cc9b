//! Table tests and laws of the account machine.

use proptest::prelude::*;

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
    // Also one that was in flight while the bench began, which itself stays.
    m.success("a", NOW);
    let over = NOW.plus(Duration::from_secs(12));
    m.failure("a", &fail(Class::RateLimited, None), over, &LIMITS);
    assert_eq!(m.model_ready_at("a"), over.plus(Duration::from_secs(3)));
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
    m.success("a", NOW);
    for _ in 0..2 {
        m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
    }
    assert_eq!(m.standing, Standing::Active);
    m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
    assert_eq!(m.ready_at(), NEVER);
    m.release(NOW);
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

#[test]
fn a_dead_login_is_told_from_a_closed_account() {
    let mut m = Machine::default();
    let dead = Failure {
        login_dead: true,
        ..fail(Class::AccountInvalid, None)
    };
    assert_eq!(m.failure("a", &dead, NOW, &LIMITS), Effect::Tell);
    assert_eq!((&m.standing, m.since), (&Standing::NeedsLogin, NOW));
    // The words of the answer do not decide: they may be the prompt's.
    let mut m = Machine::default();
    let closed = Failure::new(
        Class::AccountInvalid,
        "has been disabled: what is invalid_grant?",
    );
    m.failure("a", &closed, NOW, &LIMITS);
    assert_eq!(m.standing.as_str(), "disabled");
    // What another call in flight says again is no news.
    let later = NOW.plus(Duration::from_secs(9));
    assert_eq!(m.failure("a", &closed, later, &LIMITS), Effect::None);
    assert_eq!(m.since, NOW);
}

#[test]
fn a_success_does_not_end_the_bench_that_another_call_brought() {
    let mut m = Machine::default();
    m.failure("a", &fail(Class::QuotaExhausted, Some(600)), NOW, &LIMITS);
    let soon = NOW.plus(Duration::from_secs(1));
    assert_eq!(m.success("a", soon), Relief::default());
    assert_eq!(m.model_ready_at("a"), NOW.plus(Duration::from_mins(10)));
    let over = NOW.plus(Duration::from_mins(10));
    assert!(m.success("a", over).bench);
    assert!(m.models.is_empty());
}

#[test]
fn a_release_puts_on_trial_what_waited_for_a_person() {
    let mut m = Machine::default();
    m.failure("a", &fail(Class::NeedsValidation, None), NOW, &LIMITS);
    m.release(NOW);
    assert!(m.trial && m.ready_at() == Timestamp(0));
    m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
    assert_eq!(m.standing.as_str(), "disabled");
    m.release(NOW);
    assert!(m.success("a", NOW).trial);
    assert!(!m.trial);
    // One that only cools has nothing to prove.
    m.failure("a", &fail(Class::RateLimited, Some(60)), NOW, &LIMITS);
    m.release(NOW);
    assert!(!m.trial && m.models.is_empty());
}

#[test]
fn a_pause_holds_through_everything_and_forgets_nothing() {
    let mut m = Machine::default();
    m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
    assert!(m.pause(NOW) && !m.pause(NOW.plus(Duration::from_secs(5))));
    assert_eq!((m.ready_at(), m.paused), (NEVER, Some(NOW)));
    m.success("a", NOW);
    m.release(NOW);
    assert_eq!(m.ready_at(), NEVER);
    m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
    assert!(m.resume() && !m.resume());
    assert_eq!(m.ready_at(), NOW.plus(cooldown::FORBIDDEN));
}

#[test]
fn a_clock_set_back_makes_no_bench_longer() {
    let mut m = Machine::default();
    m.failure("a", &fail(Class::RateLimited, Some(60)), NOW, &LIMITS);
    m.failure("a", &fail(Class::Forbidden, None), NOW, &LIMITS);
    let back = Timestamp(NOW.0 - 900_000);
    m.tick(back);
    assert_eq!(m.model_ready_at("a"), back.plus(Duration::from_mins(1)));
    assert_eq!(m.ready_at(), back.plus(cooldown::FORBIDDEN));
}

#[derive(Debug, Clone)]
enum Step {
    Success(u8),
    Failure(u8, Class, Option<u64>, bool),
    Release,
    Pause,
    Resume,
    Clock(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..3).prop_map(Step::Success),
        6 => (0u8..3, 0usize..Class::ALL.len(), proptest::option::of(0u64..10_000), any::<bool>())
            .prop_map(|(model, class, delay, dead)| Step::Failure(model, Class::ALL[class], delay, dead)),
        1 => Just(Step::Release),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        4 => (-5_000_000i64..5_000_000).prop_map(Step::Clock),
    ]
}

proptest! {
    /// Whatever happened and however the clock was set: benches end by themselves within their longest length, and
    /// nothing but a person's turn keeps an account out for longer.
    #[test]
    fn every_cooldown_ends(steps in proptest::collection::vec(any_step(), 0..60)) {
        let mut m = Machine::default();
        let mut now = Timestamp(100_000_000);
        for step in steps {
            let name = |model: u8| ["a", "b", "c"][usize::from(model)];
            match step {
                Step::Success(model) => { m.success(name(model), now); }
                Step::Failure(model, class, delay, login_dead) => {
                    let failure = Failure { login_dead, ..fail(class, delay) };
                    let before = m.clone();
                    m.failure(name(model), &failure, now, &LIMITS);
                    // Only the guilty thing cools.
                    for other in ["a", "b", "c"].into_iter().filter(|other| *other != name(model)) {
                        prop_assert_eq!(m.models.get(other), before.models.get(other));
                    }
                }
                Step::Release => m.release(now),
                Step::Pause => { m.pause(now); }
                Step::Resume => { m.resume(); }
                Step::Clock(by) => { now = Timestamp(now.0 + by); m.tick(now); }
            }
        }
        let later = now.plus(Duration::from_secs(10_000));
        for model in ["a", "b", "c"] {
            prop_assert!(m.model_ready_at(model) <= later);
        }
        let waits = m.paused.is_some() || m.standing != Standing::Active;
        prop_assert_eq!(m.ready_at() == NEVER, waits);
        prop_assert!(waits || m.ready_at() <= later);
        m.resume();
        m.release(now);
        prop_assert_eq!(m.ready_at(), Timestamp(0));
    }
}

#[test]
fn a_guess_yields_to_a_reading_and_what_was_stated_does_not() {
    let guess = Failure::new(Class::QuotaExhausted, "");
    let stated = Failure {
        delay: Some(Duration::from_hours(3)),
        ..Failure::new(Class::QuotaExhausted, "")
    };
    let hour = NOW.plus(cooldown::QUOTA);
    let later = NOW.plus(Duration::from_secs(5));
    let mut machine = Machine::default();
    machine.failure("m", &guess, NOW, &LIMITS);
    assert_eq!(machine.model_ready_at("m"), hour);
    // A reading that was asked for before says nothing about it; of another model neither.
    assert!(!machine.something_left("m", Timestamp(NOW.0 - 1), later));
    assert!(!machine.something_left("n", later, later));
    assert_eq!(machine.model_ready_at("m"), hour);
    assert!(machine.something_left("m", later, later));
    assert!(machine.models.is_empty());
    // Stated: it stays, and a guess on top yields to no less than what was stated.
    machine.failure("m", &stated, NOW, &LIMITS);
    assert!(!machine.something_left("m", later, later));
    let end = NOW.plus(Duration::from_hours(3));
    assert_eq!(machine.model_ready_at("m"), end);
    let late = NOW.plus(Duration::from_mins(150));
    machine.failure("m", &guess, late, &LIMITS);
    assert_eq!(machine.model_ready_at("m"), late.plus(cooldown::QUOTA));
    assert!(machine.something_left("m", late, late));
    assert_eq!(machine.model_ready_at("m"), end);
    // Another class is no guess about the quota.
    let limited = Failure::new(Class::RateLimited, "");
    machine.failure("n", &limited, NOW, &LIMITS);
    assert!(!machine.something_left("n", later, later));
}
