//! How often an address may try a password: the first tries are free, from then on each failure doubles the pause. Knows no
//! clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::base::time::Timestamp;

/// Failures without a pause: who mistypes is not kept waiting.
const FREE: u32 = 3;
/// The first pause; each failure doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest one.
const LONGEST: Duration = Duration::from_mins(15);
/// Failures are forgotten so long after the last one's pause.
const FORGET: Duration = Duration::from_hours(1);
/// Most addresses that are remembered.
const MOST: usize = 4096;

/// Who is counted together: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Ipv6Addr::from_bits(network).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    n: u32,
    /// When the next try may be.
    open: Timestamp,
}

impl Failures {
    fn count(&mut self, n: u32, now: Timestamp) {
        self.n = n;
        self.open = now.plus(pause(n));
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        now >= self.open.plus(FORGET)
    }
}

/// The pause after so many failures.
fn pause(n: u32) -> Duration {
    match n.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
            FIRST.saturating_mul(factor).min(LONGEST)
        }
    }
}

/// The failures of each address.
#[derive(Debug, Default)]
pub(super) struct Throttle(HashMap<Source, Failures>);

impl Throttle {
    /// Begins a try, which counts as failed until [`Self::succeeded`] says otherwise: tries at the same time are counted
    /// before any of them is judged.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn begin(&mut self, source: Source, now: Timestamp) -> Result<(), Duration> {
        if let Some(failures) = self.0.get(&source)
            && now < failures.open
        {
            return Err(failures.open.since(now));
        }
        if self.0.len() >= MOST && !self.0.contains_key(&source) {
            self.make_room(now);
        }
        let failures = self.0.entry(source).or_insert(Failures { n: 0, open: now });
        let before = if failures.is_forgotten(now) {
            0
        } else {
            failures.n
        };
        failures.count(before.saturating_add(1), now);
        Ok(())
    }

    /// The password was right.
    pub(super) fn succeeded(&mut self, source: Source) {
        self.0.remove(&source);
    }

    /// The try was not made after all.
    pub(super) fn undone(&mut self, source: Source, now: Timestamp) {
        if let Some(failures) = self.0.get_mut(&source) {
            failures.n = failures.n.saturating_sub(1);
            failures.open = now;
        }
    }

    /// Forgets who is forgotten anyway, else who failed least.
    fn make_room(&mut self, now: Timestamp) {
        self.0.retain(|_, failures| !failures.is_forgotten(now));
        if self.0.len() < MOST {
            return;
        }
        let least = self.0.iter().min_by_key(|(_, failures)| failures.open);
        if let Some(source) = least.map(|(source, _)| *source) {
            self.0.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let secs: Vec<u64> = (0..8).map(|n| pause(n).as_secs()).collect();
        assert_eq!(secs, [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(pause(20), LONGEST);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn a_flood_waits_and_others_do_not() {
        let mut throttle = Throttle::default();
        let (bad, good) = (source("192.0.2.1"), source("192.0.2.2"));
        let mut now = NOW;
        let mut tried = 0;
        for _ in 0..10_000 {
            tried += u32::from(throttle.begin(bad, now).is_ok());
            now = now.plus(Duration::from_millis(100));
        }
        // A thousand seconds: 3 free tries, and one after each of 0, 1, 2, 4, ... seconds.
        assert!((12..=14).contains(&tried), "{tried}");
        let wait = throttle.begin(bad, now).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= LONGEST, "{wait:?}");
        assert_eq!(throttle.begin(good, now), Ok(()));
    }

    #[test]
    fn tries_at_the_same_moment_count_before_they_are_judged() {
        let mut throttle = Throttle::default();
        let one = source("192.0.2.1");
        let begun = (0..100).filter(|_| throttle.begin(one, NOW).is_ok());
        assert_eq!(begun.count(), 4);
    }

    #[test]
    fn the_right_password_and_time_make_it_free_again() {
        let mut throttle = Throttle::default();
        let one = source("192.0.2.1");
        let shut = |throttle: &mut Throttle, now| {
            while throttle.begin(one, now).is_ok() {}
        };
        shut(&mut throttle, NOW);
        throttle.succeeded(one);
        assert_eq!(throttle.begin(one, NOW), Ok(()));
        shut(&mut throttle, NOW);
        let later = NOW.plus(FORGET).plus(LONGEST);
        for _ in 0..=FREE {
            assert_eq!(throttle.begin(one, later), Ok(()));
        }
        assert!(throttle.begin(one, later).is_err());
    }

    #[test]
    fn a_try_that_was_not_made_does_not_count() {
        let mut throttle = Throttle::default();
        let one = source("192.0.2.1");
        for _ in 0..100 {
            assert_eq!(throttle.begin(one, NOW), Ok(()));
            throttle.undone(one, NOW);
        }
    }

    #[test]
    fn who_is_counted_together() {
        assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_remembered() {
        let mut throttle = Throttle::default();
        let bad = source("192.0.2.1");
        while throttle.begin(bad, NOW).is_ok() {}
        for n in 0..3 * u32::try_from(MOST).unwrap() {
            let other = Source::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into());
            assert_eq!(throttle.begin(other, NOW), Ok(()));
        }
        assert!(throttle.0.len() <= MOST, "{}", throttle.0.len());
        assert!(throttle.begin(bad, NOW).is_err());
    }
}
