//! What people are told of an account.

use std::time::Duration;

use super::*;
use crate::pool::cooldown::Limits;
use crate::pool::failure::Failure;

const NOW: Timestamp = Timestamp(1_000_000);
const LIMITS: Limits = Limits {
    first: Duration::from_secs(3),
    max: Duration::from_mins(2),
};

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn told(machine: &Machine, offers: &[(&str, Option<Timestamp>)]) -> Report {
    let offers = offers.iter().map(|(model, empty_until)| Offer {
        model,
        empty_until: *empty_until,
    });
    report(machine, offers, NOW)
}

fn failed(failures: &[(&str, Class, u64)]) -> Machine {
    let mut machine = Machine::default();
    for (model, class, delay) in failures {
        let failure = Failure {
            delay: Some(Duration::from_secs(*delay)),
            login_dead: true,
            link: Some("https://accounts.example.com/verify".to_owned()),
            ..Failure::new(*class, "")
        };
        machine.failure(model, &failure, NOW, &LIMITS);
    }
    machine
}

#[test]
fn an_account_is_cooling_or_exhausted_only_when_no_model_can_serve() {
    let one = failed(&[("a", Class::QuotaExhausted, 600)]);
    let both = [("a", None), ("b", None)];
    let report = told(&one, &both);
    assert_eq!(report.state, State::Active);
    assert_eq!(report.reason, "1 of 2 models cannot serve at present");
    let report = told(&one, &[("a", None)]);
    let exhausted = State::Exhausted {
        until: later(600),
        models: vec!["a".to_owned()],
    };
    assert_eq!((report.state, report.since), (exhausted, Some(NOW)));
    let report = told(&one, &[("a", None), ("b", Some(later(60)))]);
    let models = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(
        report.state,
        State::Exhausted {
            until: later(60),
            models
        }
    );
    let mixed = failed(&[
        ("a", Class::QuotaExhausted, 600),
        ("b", Class::RateLimited, 30),
    ]);
    let cooling = State::Cooling {
        until: later(30),
        class: Class::RateLimited,
    };
    assert_eq!(told(&mixed, &both).state, cooling);
    let whole = failed(&[("a", Class::Forbidden, 0)]);
    let cooling = State::Cooling {
        until: later(3600),
        class: Class::Forbidden,
    };
    assert_eq!(told(&whole, &both).state, cooling);
    assert_eq!(told(&Machine::default(), &[]).state, State::Active);
}

#[test]
fn every_state_that_waits_for_a_person_says_what_to_do() {
    for (class, state) in [
        (Class::AccountInvalid, "needs_login"),
        (Class::AuthExpired, "needs_login"),
        (Class::NeedsValidation, "needs_verification"),
    ] {
        let report = told(&failed(&[("a", class, 0)]), &[]);
        assert_eq!(report.state.as_str(), state);
        assert!(!report.reason.is_empty() && !report.step.is_empty());
        assert_eq!(report.since, Some(NOW));
    }
    let forbidden = ("a", Class::Forbidden, 0);
    let mut disabled = failed(&[forbidden, forbidden, forbidden]);
    assert_eq!(told(&disabled, &[]).state, State::Disabled);
    disabled.pause(later(5));
    let report = told(&disabled, &[]);
    assert_eq!(
        (report.state, report.since),
        (State::Paused, Some(later(5)))
    );
    disabled.resume();
    disabled.release(NOW);
    assert!(told(&disabled, &[]).reason.starts_with("on trial"));
}
