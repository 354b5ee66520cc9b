//! An account's state as people see it: its name, why, since when, and the next step that a person can take.

use std::fmt;

use crate::base::time::Timestamp;
use crate::pool::failure::Class;
use crate::pool::state::{Cooldown, Machine, Standing};

/// The states. Cooling and exhausted are said of an account only when no model of it can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It can serve, at least some of its models.
    Active,
    /// Benched until then.
    Cooling {
        /// When the first of its models is ready.
        until: Timestamp,
        /// What brought it.
        class: Class,
    },
    /// Its quotas are used up.
    Exhausted {
        /// When the first is full again.
        until: Timestamp,
        /// Of these upstream models.
        models: Vec<String>,
    },
    /// The provider wants a person to verify it, here.
    NeedsVerification(Option<String>),
    /// A person must sign in again.
    NeedsLogin,
    /// Closed by the provider, or refused too often.
    Disabled,
    /// Taken out of use by a person.
    Paused,
}

impl State {
    /// The state's name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::NeedsVerification(_) => "needs_verification",
            Self::NeedsLogin => "needs_login",
            Self::Disabled => "disabled",
            Self::Paused => "paused",
        }
    }

    /// Its end, where it ends by itself.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Cooling { until, .. } | Self::Exhausted { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One model of an account.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The upstream's id of it.
    pub model: &'a str,
    /// Its quota is used up until then, as the provider's own list says.
    pub empty_until: Option<Timestamp>,
}

/// What people are told of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The state.
    pub state: State,
    /// Why it is so; empty where there is nothing to say.
    pub reason: String,
    /// Since when; `None` where it never was otherwise.
    pub since: Option<Timestamp>,
    /// What a person can do; empty where nothing need be done.
    pub step: &'static str,
}

/// Reads a machine for people. `offers` are the models that the account may serve.
pub fn report<'a>(
    machine: &Machine,
    offers: impl Iterator<Item = Offer<'a>>,
    now: Timestamp,
) -> Report {
    if let Some(since) = machine.paused {
        return Report {
            state: State::Paused,
            reason: "paused by a person".to_owned(),
            since: Some(since),
            step: "take it back into use with `agp account resume`",
        };
    }
    let standing = |state, reason: &str, step| Report {
        state,
        reason: reason.to_owned(),
        since: Some(machine.since),
        step,
    };
    match &machine.standing {
        Standing::Active => {}
        Standing::NeedsLogin => {
            return standing(
                State::NeedsLogin,
                "the provider no longer accepts its sign-in",
                "sign in again with `agp login` and put the new credential into the file",
            );
        }
        Standing::NeedsVerification(link) => {
            return standing(
                State::NeedsVerification(link.clone()),
                "the provider asks for a verification",
                "open the provider's link as this account, then run `agp account release`",
            );
        }
        Standing::Disabled(why) => {
            return standing(
                State::Disabled,
                why,
                "settle it with the provider, then run `agp account release`, or take the account out of the file",
            );
        }
    }
    if let Some(whole) = machine.whole.filter(|bench| bench.holds(now)) {
        return cooling(&whole, whole.until);
    }
    serving(machine, offers, now)
}

fn cooling(bench: &Cooldown, until: Timestamp) -> Report {
    Report {
        state: State::Cooling {
            until,
            class: bench.class,
        },
        reason: format!("the upstream answered {}", bench.class.as_str()),
        since: Some(bench.since),
        step: "none is needed; `agp account release` ends it at once",
    }
}

/// An account that is well as a whole: what its models say.
fn serving<'a>(
    machine: &Machine,
    offers: impl Iterator<Item = Offer<'a>>,
    now: Timestamp,
) -> Report {
    let (mut open, mut spent) = (0usize, Vec::new());
    let mut benches: Vec<(Timestamp, Cooldown)> = Vec::new();
    let mut reset: Option<Timestamp> = None;
    let mut since: Option<Timestamp> = None;
    for offer in offers {
        let bench = machine.models.get(offer.model).filter(|b| b.holds(now));
        let empty = offer.empty_until.filter(|until| *until > now);
        let for_quota = bench.is_some_and(|b| b.class == Class::QuotaExhausted);
        let until = bench.map(|b| b.until).max(empty);
        match (until, bench) {
            (None, _) => open += 1,
            (Some(until), Some(bench)) if !for_quota && empty.is_none() => {
                benches.push((until, *bench));
            }
            (Some(until), bench) => {
                spent.push(offer.model.to_owned());
                reset = Some(reset.map_or(until, |r| r.min(until)));
                let begun = bench.map(|b| b.since);
                since = since.max(begun);
            }
        }
    }
    let closed = benches.len() + spent.len();
    if open > 0 || closed == 0 {
        return active(machine, closed, open + closed);
    }
    let first = benches.iter().min_by_key(|(until, _)| *until);
    match (first, reset) {
        (Some((until, bench)), reset) if reset.is_none_or(|reset| *until <= reset) => {
            cooling(bench, *until)
        }
        (_, Some(until)) => Report {
            state: State::Exhausted {
                until,
                models: spent,
            },
            reason: "its quotas are used up".to_owned(),
            since,
            step: "none is needed: it serves again after the reset; another account serves until then",
        },
        _ => active(machine, closed, closed),
    }
}

fn active(machine: &Machine, closed: usize, all: usize) -> Report {
    let reason = match (machine.trial, closed) {
        (true, _) => "on trial: one call at a time until the first goes well".to_owned(),
        (false, 0) => String::new(),
        (false, closed) => format!("{closed} of {all} models cannot serve at present"),
    };
    Report {
        state: State::Active,
        reason,
        since: Some(machine.since).filter(|since| since.0 > 0),
        step: "",
    }
}

#[cfg(test)]
mod tests;
