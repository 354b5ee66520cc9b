//! Picks an account in one pass. No clock, no randomness, no allocation, no lock: the caller brings `now` and a draw.
//!
//! One integer rank and one score per candidate, since comparing candidates with each other costs several times as much.

use crate::base::time::Timestamp;
use crate::pool::candidate::{Candidate, NEVER, Verdict};

/// How one is picked among those that can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// In proportion to declared weight × remaining quota × health; weight 0 only when no other can.
    Weighted,
    /// The first at or after this slot, then from the list's begin: who was picked last plus one.
    RoundRobin {
        /// The slot.
        turn: usize,
    },
    /// Uniformly.
    Random,
    /// One with the fewest calls in flight.
    LeastBusy,
    /// The first of the list.
    FillFirst,
}

/// A uniform random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// From random bits.
    pub fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// In 0–1, 1 excluded; another one for each slot.
    fn of(self, slot: usize) -> f64 {
        unit(mix(self.0.wrapping_add((slot as u64).wrapping_mul(GOLDEN))))
    }
}

/// The odd number next to 2⁶⁴ / φ: its multiples spread evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Every bit of the result depends on every bit given: the finalizer of `splitmix64` (Steele, Lea, Flood 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The upper 53 bits, in 0–1, 1 excluded.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// What selection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This candidate's `slot`.
    Use(usize),
    /// Some could serve but for their limits: wait for a slot.
    Full,
    /// None can serve before then, when a bench ends.
    Wait(Timestamp),
    /// None can serve before then, when a quota is full again.
    NoQuota(Timestamp),
    /// Those that are left wait for a person.
    NeedsPerson,
    /// There is none for this request at all (excluded, or the list is empty).
    Exhausted,
}

/// Picks among `candidates`: the best tier first, then by `pick`. What is cooling, full or excluded is never used.
///
/// A conversation (`home`, a hash of whose and which) has an order of the accounts of its own, by rendezvous: the first
/// of them that can serve is used, whatever `pick` says. So it stays where it is while that account can serve, goes to
/// the same other one while it can not, and comes back; an account that comes or goes moves no conversation but its own.
/// Under [`Pick::Weighted`] an account gets conversations in proportion to its declared weight. [`Pick::FillFirst`] has
/// one order for all and knows no homes.
pub fn select<I>(candidates: I, pick: Pick, home: Option<u64>, draw: Draw, now: Timestamp) -> Choice
where
    I: Iterator<Item = Candidate>,
{
    let mut leader = Leader::default();
    let mut hurdles = Hurdles::default();
    let home = home.filter(|_| pick != Pick::FillFirst);
    for candidate in candidates {
        match candidate.verdict(now) {
            Verdict::Usable => leader.meet(&candidate, pick, home, draw),
            hurdle => hurdles.note(hurdle),
        }
    }
    leader.slot.map_or_else(|| hurdles.choice(), Choice::Use)
}

/// The best candidate so far.
struct Leader {
    slot: Option<usize>,
    /// Tier, then whether it is a last resort (weight 0): the lower the better.
    rank: u64,
    /// Among equal ranks: the lower the better.
    score: u64,
    /// Among equal scores one is drawn: the sum of the weights met so far.
    total: f64,
    /// How far the conversation's home is.
    distance: f64,
}

impl Default for Leader {
    fn default() -> Self {
        Self {
            slot: None,
            rank: u64::MAX,
            score: u64::MAX,
            total: 0.0,
            distance: f64::INFINITY,
        }
    }
}

impl Leader {
    fn meet(&mut self, candidate: &Candidate, pick: Pick, home: Option<u64>, draw: Draw) {
        let weighted = pick == Pick::Weighted;
        let last_resort = weighted && candidate.weight <= 0.0;
        let rank = (u64::from(candidate.tier) << 1) | u64::from(last_resort);
        if rank > self.rank {
            return;
        }
        if rank < self.rank {
            *self = Self {
                rank,
                ..Self::default()
            };
        }
        let declared = if weighted && !last_resort {
            candidate.weight
        } else {
            1.0
        };
        if let Some(home) = home {
            return self.nearer(candidate, home, declared);
        }
        let score = match pick {
            Pick::Weighted | Pick::Random => 0,
            // Slots before the turn wrap around to the far end.
            Pick::RoundRobin { turn } => candidate.slot.wrapping_sub(turn) as u64,
            Pick::LeastBusy => u64::from(candidate.in_flight),
            Pick::FillFirst => candidate.slot as u64,
        };
        if score > self.score {
            return;
        }
        if score < self.score {
            (self.score, self.total) = (score, 0.0);
        }
        // A quota that is all but empty is still better than none.
        let weight = if weighted {
            declared * candidate.share().max(1e-9)
        } else {
            1.0
        };
        // Each one takes the lead with its share of all met so far: in the end each leads with its share of all.
        self.total += weight;
        if draw.of(candidate.slot) * self.total < weight {
            self.slot = Some(candidate.slot);
        }
    }

    /// Weighted rendezvous: the least `-ln(u) / weight` of all, `u` uniform and fixed for conversation and account.
    fn nearer(&mut self, candidate: &Candidate, home: u64, weight: f64) {
        let u = unit(mix(mix(candidate.hash) ^ home)).max(f64::MIN_POSITIVE);
        // Never less than 1 − u, which spares the logarithm for nearly all.
        if (1.0 - u) / weight >= self.distance {
            return;
        }
        let distance = -u.ln() / weight;
        if distance < self.distance || self.slot.is_none() {
            (self.distance, self.slot) = (distance, Some(candidate.slot));
        }
    }
}

/// What stands in the way where none can serve.
struct Hurdles {
    full: bool,
    person: bool,
    cooling: Timestamp,
    quota: Timestamp,
}

impl Default for Hurdles {
    fn default() -> Self {
        Self {
            full: false,
            person: false,
            cooling: NEVER,
            quota: NEVER,
        }
    }
}

impl Hurdles {
    fn note(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Full => self.full = true,
            Verdict::Cooling(until) => self.cooling = self.cooling.min(until),
            Verdict::NoQuota(until) => self.quota = self.quota.min(until),
            Verdict::NeedsPerson => self.person = true,
            Verdict::Excluded | Verdict::Usable => {}
        }
    }

    fn choice(&self) -> Choice {
        if self.full {
            Choice::Full
        } else if self.quota < self.cooling {
            Choice::NoQuota(self.quota)
        } else if self.cooling != NEVER {
            Choice::Wait(self.cooling)
        } else if self.person {
            Choice::NeedsPerson
        } else {
            Choice::Exhausted
        }
    }
}

#[cfg(test)]
mod tests;
