//! How long something is benched: the upstream's own word first, else doubling with a cap.

use std::time::Duration;

/// The operator's numbers (`routing.capacity_cooldown`, `routing.max_cooldown`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// First cooldown where the upstream states none.
    pub first: Duration,
    /// What doubling stops at. Stated delays are never cut.
    pub max: Duration,
}

impl Limits {
    /// The `n`th cooldown in a row (from 1): doubling from the first, up to the largest.
    pub fn doubling(&self, n: u32) -> Duration {
        let factor = 1u32
            .checked_shl(n.saturating_sub(1).min(31))
            .unwrap_or(u32::MAX);
        self.first
            .saturating_mul(factor)
            .min(self.max.max(self.first))
    }
}

/// An unknown quota reset: an hour (table 9.3).
pub const QUOTA: Duration = Duration::from_hours(1);
/// So long after a refusal for lack of quota a reading of the quotas is believed more than the refusal. Lists of quotas lag
/// behind, and an account asked again on the strength of one would be refused again with each request.
pub const BELIEVED: Duration = Duration::from_mins(5);
/// A `forbidden` account (table 9.3).
pub const FORBIDDEN: Duration = Duration::from_hours(1);
/// A model that an account does not know (table 9.3).
pub const MODEL_NOT_FOUND: Duration = Duration::from_mins(10);
/// Three unintelligible answers in a row (table 9.3).
pub const GARBAGE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let limits = Limits {
            first: Duration::from_secs(3),
            max: Duration::from_mins(2),
        };
        let seconds: Vec<_> = [1, 2, 3, 6, 7, 99]
            .map(|n| limits.doubling(n).as_secs())
            .into();
        assert_eq!(seconds, [3, 6, 12, 96, 120, 120]);
    }
}
