//! Conversations' homes, by weighted rendezvous.

use std::ops::ControlFlow;

use super::{Choice, Hurdles, Pool, mix, rank_of, unit};
use crate::base::time::Timestamp;
use crate::pool::candidate::Verdict;

/// After so many that could not serve it is cheaper to look at all for the next that can.
const IN_VAIN: usize = 32;

/// Weighted rendezvous: the least `-ln(u) / weight` of all that can serve, `u` uniform and fixed for conversation and
/// account. Where many can serve only who is nearer than all before is looked at; where few can, only who can is asked how
/// near it is.
pub(super) fn nearest<P: Pool + ?Sized>(
    pool: &P,
    home: u64,
    weighted: bool,
    now: Timestamp,
) -> Choice {
    let mut hurdles = Hurdles::default();
    let mut near = Nearest {
        pool,
        home,
        weighted,
        found: None,
        rank: u64::MAX,
        distance: f64::INFINITY,
    };
    let mut index = 0;
    while index < pool.len() {
        let next = pool.each(index, now, |index, verdict, _| match verdict {
            Verdict::Usable => ControlFlow::Break(index),
            hurdle => {
                hurdles.note(hurdle);
                ControlFlow::Continue(())
            }
        });
        let ControlFlow::Break(usable) = next else {
            break;
        };
        near.meet(usable, |_| true);
        index = usable + 1;
        let mut in_vain = 0;
        while index < pool.len() && in_vain < IN_VAIN {
            near.meet(index, |index| {
                let usable = pool.verdict(index, now) == Verdict::Usable;
                in_vain += usize::from(!usable);
                usable
            });
            index += 1;
        }
    }
    near.found.map_or_else(|| hurdles.choice(), Choice::Use)
}

/// The nearest so far.
struct Nearest<'a, P: ?Sized> {
    pool: &'a P,
    home: u64,
    weighted: bool,
    found: Option<usize>,
    rank: u64,
    distance: f64,
}

impl<P: Pool + ?Sized> Nearest<'_, P> {
    /// Takes the one at this index where it is nearer and `usable`.
    #[inline]
    fn meet(&mut self, index: usize, mut usable: impl FnMut(usize) -> bool) {
        let fixed = self.pool.fixed(index);
        let last_resort = self.weighted && fixed.weight <= 0.0;
        let rank = rank_of(fixed.tier, last_resort);
        if rank > self.rank {
            return;
        }
        let better = rank < self.rank;
        let weight = if self.weighted && !last_resort {
            fixed.weight
        } else {
            1.0
        };
        let u = unit(mix(fixed.hash ^ self.home)).max(f64::MIN_POSITIVE);
        // The logarithm is never less than 1 − u, which spares it for nearly all.
        if !better && 1.0 - u >= self.distance * weight {
            return;
        }
        if !usable(index) {
            return;
        }
        let distance = -u.ln() / weight;
        if better || distance < self.distance {
            (self.rank, self.distance, self.found) = (rank, distance, Some(index));
        }
    }
}
