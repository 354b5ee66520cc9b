//! What a client is told when no account can serve and no try was made. Pure.

use std::time::Duration;

use crate::base::error::{Error, ErrorKind, Origin};
use crate::base::time::Timestamp;
use crate::dispatch::blocked::{Blocked, Refused};
use crate::runtime::snapshot::KeyEntry;

/// With busy slots nobody knows when one is free: soon.
const SOON: Duration = Duration::from_secs(1);

/// The error for a request that waited in vain, or that no waiting could help (upstream-protocol.md 9.3, last part).
pub fn told(refused: Refused, key: &KeyEntry, now: Timestamp) -> Error {
    let error = |kind, text: &'static str| Error::new(kind, text).with_origin(Origin::Upstream);
    let until = |kind, text, until: Timestamp| error(kind, text).with_retry_after(until.since(now));
    match refused {
        Refused::QueueFull => error(
            ErrorKind::RateLimited,
            "too many requests are waiting for a free account",
        )
        .with_retry_after(SOON),
        Refused::Blocked(Blocked::Full(_)) => {
            error(ErrorKind::RateLimited, "all accounts are busy").with_retry_after(SOON)
        }
        // The client's own doing: it sends more at once than it may.
        Refused::Blocked(Blocked::KeyFull) => {
            let limit = format!("keys.{}.max_concurrent", key.id);
            at_once("this key has", &limit, key.slots.own.limit)
        }
        Refused::Blocked(Blocked::GroupFull) => {
            let group = key.slots.group.as_ref();
            let name = group.map_or("", |group| group.name.as_str());
            let limit = format!("groups.{name}.max_concurrent");
            let most = group.and_then(|group| group.slots.limit);
            at_once("the keys of this group have", &limit, most)
        }
        Refused::Blocked(Blocked::Cooling(ready)) => until(
            ErrorKind::RateLimited,
            "all accounts are cooling down for this model",
            ready,
        ),
        Refused::Blocked(Blocked::NoQuota(ready)) => until(
            ErrorKind::QuotaExhausted,
            "the quotas of all accounts are used up for this model",
            ready,
        ),
        Refused::Blocked(Blocked::ModelCooling(ready)) => until(
            ErrorKind::Overloaded,
            "the upstream has no capacity for this model at present",
            ready,
        ),
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

fn at_once(who: &str, limit: &str, most: Option<u32>) -> Error {
    let most = most.unwrap_or_default();
    let text = format!("{who} as many requests under way as `{limit}` allows ({most})");
    Error::new(ErrorKind::RateLimited, text).with_retry_after(SOON)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn each_reason_has_its_error_and_moment() {
        let until = NOW.plus(Duration::from_secs(41));
        let wait = Some(Duration::from_secs(41));
        let blocked = Refused::Blocked;
        for (refused, kind, after) in [
            (Refused::QueueFull, ErrorKind::RateLimited, Some(SOON)),
            (
                blocked(Blocked::Full(until)),
                ErrorKind::RateLimited,
                Some(SOON),
            ),
            (
                blocked(Blocked::Cooling(until)),
                ErrorKind::RateLimited,
                wait,
            ),
            (
                blocked(Blocked::NoQuota(until)),
                ErrorKind::QuotaExhausted,
                wait,
            ),
            (
                blocked(Blocked::ModelCooling(until)),
                ErrorKind::Overloaded,
                wait,
            ),
            (blocked(Blocked::NeedsPerson), ErrorKind::Unavailable, None),
            (blocked(Blocked::Exhausted), ErrorKind::Unavailable, None),
        ] {
            let error = told(refused, &KeyEntry::anybody(), NOW);
            assert_eq!(
                (error.kind, error.retry_after),
                (kind, after),
                "{refused:?}"
            );
            assert_eq!(error.origin, Origin::Upstream);
        }
    }
}
