//! How much in the last minute: sixty buckets of a second each.
//!
//! Ages are counted in steps of the window, not in clock times. A clock that is set back leaves every age as it is; one that
//! is set forward lets all of them pass. So no jump holds anything for longer than a minute.

use crate::base::time::Timestamp;

/// Buckets, each of a second.
const LENGTH: usize = 60;

/// Counts of the last sixty seconds, the one under way included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    buckets: [u64; LENGTH],
    /// The bucket of the second under way.
    at: usize,
    /// That second.
    second: i64,
    /// How many steps the window has made: what a count is found again by.
    step: u64,
    sum: u64,
}

impl Window {
    /// An empty window.
    pub fn new(now: Timestamp) -> Self {
        Self {
            buckets: [0; LENGTH],
            at: 0,
            second: now.as_secs(),
            step: 0,
            sum: 0,
        }
    }

    /// Goes on to `now`: what is older than a minute is forgotten.
    pub fn advance(&mut self, now: Timestamp) {
        let steps = u64::try_from(now.as_secs().saturating_sub(self.second)).unwrap_or(0);
        self.second = now.as_secs();
        self.step = self.step.saturating_add(steps);
        for _ in 0..steps.min(LENGTH as u64) {
            self.at = (self.at + 1) % LENGTH;
            self.sum = self.sum.saturating_sub(self.buckets[self.at]);
            self.buckets[self.at] = 0;
        }
    }

    /// How much was counted in the last minute.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Counts `n` now. Gives the step by which they are taken back.
    pub fn add(&mut self, n: u64) -> u64 {
        let room = u64::MAX - self.sum;
        let n = n.min(room);
        self.buckets[self.at] += n;
        self.sum += n;
        self.step
    }

    /// Takes back up to `n` of what was counted at `step`; what is forgotten already is gone.
    pub fn take_back(&mut self, step: u64, n: u64) {
        let age = self.step.saturating_sub(step);
        let Some(age) = usize::try_from(age).ok().filter(|age| *age < LENGTH) else {
            return;
        };
        let bucket = &mut self.buckets[(self.at + LENGTH - age) % LENGTH];
        let n = n.min(*bucket);
        *bucket -= n;
        self.sum -= n;
    }

    /// When `n` more come to no more than `bound`; a minute from now where they never do, since they alone are too many.
    pub fn free_at(&self, n: u64, bound: u64) -> Timestamp {
        let mut excess = self.sum.saturating_add(n).saturating_sub(bound);
        let mut age = LENGTH;
        while excess > 0 && age > 0 {
            age -= 1;
            excess = excess.saturating_sub(self.buckets[(self.at + LENGTH - age) % LENGTH]);
        }
        let after = if n > bound { LENGTH } else { LENGTH - age };
        let seconds = self
            .second
            .saturating_add(i64::try_from(after).unwrap_or(0));
        Timestamp(seconds.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn what_was_counted_is_forgotten_to_the_second() {
        let mut window = Window::new(at(1000));
        window.add(3);
        window.advance(Timestamp(1_030_999));
        window.add(4);
        window.advance(Timestamp(1_059_999));
        assert_eq!(window.sum(), 7);
        assert_eq!(window.free_at(1, 7), at(1060));
        assert_eq!(window.free_at(3, 7), at(1060));
        assert_eq!(window.free_at(4, 7), at(1090));
        assert_eq!(window.free_at(7, 7), at(1090));
        window.advance(at(1060));
        assert_eq!(window.sum(), 4);
        window.advance(at(1090));
        assert_eq!(window.sum(), 0);
        assert_eq!(window.free_at(8, 7), at(1150), "never: a minute");
    }

    #[test]
    fn what_is_taken_back_is_of_its_own_second() {
        let mut window = Window::new(at(5));
        let first = window.add(10);
        window.advance(at(6));
        let second = window.add(5);
        window.take_back(first, 4);
        assert_eq!(window.sum(), 11);
        window.take_back(second, 9);
        assert_eq!(window.sum(), 6, "no more than was counted there");
        window.advance(at(65));
        window.take_back(first, 6);
        assert_eq!(window.sum(), 0);
    }

    proptest! {
        /// The sum is what was added in the last sixty steps less what was taken back, whatever the clock does; and nothing
        /// outlives a minute in which the clock runs.
        #[test]
        fn the_sum_is_that_of_the_buckets(
            moves in prop::collection::vec((-200_000_i64..200_000, 0u64..1000, 0u64..1500), 1..60)
        ) {
            let mut now = at(1_000_000);
            let mut window = Window::new(now);
            let mut counted: Vec<(u64, u64)> = Vec::new();
            for (jump, n, back) in moves {
                now = Timestamp(now.0 + jump);
                window.advance(now);
                let step = window.add(n);
                counted.push((step, n));
                let (from, of) = counted[usize::try_from(back).unwrap() % counted.len()];
                let before = window.sum();
                window.take_back(from, back.min(of));
                prop_assert!(window.sum() <= before);
                prop_assert_eq!(window.buckets.iter().sum::<u64>(), window.sum());
                let all: u64 = counted.iter().filter(|(s, _)| window.step - s < 60).map(|(_, n)| n).sum();
                prop_assert!(window.sum() <= all);
                let bound = window.sum();
                let free = window.free_at(1, bound.max(1));
                prop_assert!(free.0 <= now.0 + 60_000);
                let mut later = window.clone();
                later.advance(free);
                prop_assert!(later.sum() < bound.max(1));
            }
            window.advance(Timestamp(now.0 + 60_000));
            prop_assert_eq!(window.sum(), 0);
        }
    }
}
