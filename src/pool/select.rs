//! Picks an account. No clock, no randomness, no allocation, no lock: the caller brings `now` and a draw.
//!
//! Looking at every account costs most where there are thousands, since each one's state lies elsewhere in memory. So what
//! the file fixes (tier, weight, name) is asked first, and only those who would be picked are looked at; all are where that
//! finds nobody soon.

use crate::base::time::Timestamp;
use crate::pool::candidate::{Candidate, Fixed, NEVER, Verdict};

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

    /// Random bits, others for each number.
    fn bits(self, number: usize) -> u64 {
        let step = (number as u64).wrapping_mul(GOLDEN);
        mix(self.0.wrapping_add(step))
    }

    /// In 0–1, 1 excluded; another one for each number.
    fn of(self, number: usize) -> f64 {
        unit(self.bits(number))
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
    /// Some could serve but for their limits: wait for a slot, or until then, when the first bench of another ends or its
    /// quota is full again; [`NEVER`] where there is no such other.
    Full(Timestamp),
    /// None can serve before then, when a bench ends.
    Wait(Timestamp),
    /// None can serve before then, when a quota is full again.
    NoQuota(Timestamp),
    /// Those that are left wait for a person.
    NeedsPerson,
    /// There is none for this request at all (excluded, or the list is empty).
    Exhausted,
}

/// The accounts of a route.
pub trait Pool {
    /// How many.
    fn len(&self) -> usize;
    /// What the file says of the one at this index.
    fn fixed(&self, index: usize) -> Fixed;
    /// The one at this index as it stands.
    fn at(&self, index: usize) -> Candidate;
    /// What the file says of all.
    fn best(&self) -> Best;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the file says of all accounts of a route.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// The lowest tier.
    pub tier: u32,
    /// The largest weight in it.
    pub weight: f64,
}

impl Best {
    /// Of these accounts.
    pub fn of(all: impl Iterator<Item = Fixed> + Clone) -> Self {
        let tier = all.clone().map(|f| f.tier).min().unwrap_or_default();
        let weights = all.filter(|f| f.tier == tier).map(|f| f.weight);
        Self {
            tier,
            weight: weights.fold(0.0, f64::max),
        }
    }
}

/// So many are looked at one by one before all are.
const LOOKS: usize = 64;

/// Picks among `pool`: the best tier first, then by `pick`. What is cooling, full or excluded is never used.
///
/// A conversation (`home`, a hash of whose and which) has an order of the accounts of its own, by rendezvous: the first
/// of them that can serve is used, whatever `pick` says. So it stays where it is while that account can serve, goes to
/// the same other one while it can not, and comes back; an account that comes or goes moves no conversation but its own.
/// Under [`Pick::Weighted`] an account gets conversations in proportion to its declared weight. [`Pick::FillFirst`] has
/// one order for all and knows no homes.
pub fn select<P>(pool: &P, pick: Pick, home: Option<u64>, draw: Draw, now: Timestamp) -> Choice
where
    P: Pool + ?Sized,
{
    let found = match (pick, home) {
        (Pick::FillFirst, _) => in_turn(pool, 0, now),
        (_, Some(home)) => return nearest(pool, home, pick == Pick::Weighted, now),
        (Pick::RoundRobin { turn }, None) => in_turn(pool, turn, now),
        (Pick::Weighted | Pick::Random, None) => by_lot(pool, pick, draw, now),
        (Pick::LeastBusy, None) => None,
    };
    found.map_or_else(|| among_all(pool, pick, draw, now), Choice::Use)
}

/// The first that can serve of the best tier, from this index on.
fn in_turn<P: Pool + ?Sized>(pool: &P, turn: usize, now: Timestamp) -> Option<usize> {
    let (len, tier) = (pool.len(), pool.best().tier);
    let from = if turn < len { turn } else { 0 };
    let mut indexes = (from..len).chain(0..from).take(LOOKS);
    indexes.find_map(|index| {
        let candidate = (pool.fixed(index).tier == tier).then(|| pool.at(index))?;
        (candidate.verdict(now) == Verdict::Usable).then_some(candidate.slot)
    })
}

/// Draws one of all and takes it with a chance in proportion to its weight, until one is taken: what comes out has the
/// same shares as a draw among all by weight.
fn by_lot<P: Pool + ?Sized>(pool: &P, pick: Pick, draw: Draw, now: Timestamp) -> Option<usize> {
    let (len, best) = (pool.len(), pool.best());
    if len == 0 || (pick == Pick::Weighted && best.weight <= 0.0) {
        return None;
    }
    (0..LOOKS).find_map(|look| {
        let index = (u128::from(draw.bits(2 * look)) * len as u128) >> 64;
        let index = usize::try_from(index).ok()?;
        let fixed = pool.fixed(index);
        let chance = match pick {
            Pick::Weighted => draw.of(2 * look + 1) * best.weight,
            _ => 0.0,
        };
        if fixed.tier != best.tier || (pick == Pick::Weighted && chance >= fixed.weight) {
            return None;
        }
        let candidate = pool.at(index);
        let taken = candidate.verdict(now) == Verdict::Usable
            && (pick == Pick::Random || chance < fixed.weight * candidate.share());
        taken.then_some(candidate.slot)
    })
}

/// Weighted rendezvous: the least `-ln(u) / weight` of all that can serve, `u` uniform and fixed for conversation and
/// account. Only who is nearer than all before is looked at; where nobody can serve, all have been.
fn nearest<P: Pool + ?Sized>(pool: &P, home: u64, weighted: bool, now: Timestamp) -> Choice {
    let mut hurdles = Hurdles::default();
    let mut found = None;
    let (mut rank, mut distance) = (u64::MAX, f64::INFINITY);
    for index in 0..pool.len() {
        let fixed = pool.fixed(index);
        let last_resort = weighted && fixed.weight <= 0.0;
        let its_rank = rank_of(fixed.tier, last_resort);
        if its_rank > rank {
            continue;
        }
        let weight = if weighted && !last_resort {
            fixed.weight
        } else {
            1.0
        };
        let u = unit(mix(fixed.hash ^ home)).max(f64::MIN_POSITIVE);
        // The logarithm is never less than 1 − u, which spares it for nearly all.
        if its_rank == rank && 1.0 - u >= distance * weight {
            continue;
        }
        let candidate = pool.at(index);
        match candidate.verdict(now) {
            Verdict::Usable => {
                let its_distance = -u.ln() / weight;
                if its_rank < rank || its_distance < distance {
                    (rank, distance, found) = (its_rank, its_distance, Some(candidate.slot));
                }
            }
            hurdle => hurdles.note(hurdle),
        }
    }
    found.map_or_else(|| hurdles.choice(), Choice::Use)
}

/// Tier, then whether it is a last resort (weight 0): the lower the better.
fn rank_of(tier: u32, last_resort: bool) -> u64 {
    (u64::from(tier) << 1) | u64::from(last_resort)
}

/// Looks at every one.
fn among_all<P: Pool + ?Sized>(pool: &P, pick: Pick, draw: Draw, now: Timestamp) -> Choice {
    let mut leader = Leader::default();
    let mut hurdles = Hurdles::default();
    for index in 0..pool.len() {
        let candidate = pool.at(index);
        match candidate.verdict(now) {
            Verdict::Usable => leader.meet(&candidate, pick, draw),
            hurdle => hurdles.note(hurdle),
        }
    }
    leader.slot.map_or_else(|| hurdles.choice(), Choice::Use)
}

/// The best candidate so far.
struct Leader {
    slot: Option<usize>,
    /// See [`rank_of`].
    rank: u64,
    /// Among equal ranks: the lower the better.
    score: u64,
    /// Among equal scores one is drawn: the sum of the weights met so far.
    total: f64,
}

impl Default for Leader {
    fn default() -> Self {
        Self {
            slot: None,
            rank: u64::MAX,
            score: u64::MAX,
            total: 0.0,
        }
    }
}

impl Leader {
    fn meet(&mut self, candidate: &Candidate, pick: Pick, draw: Draw) {
        let weighted = pick == Pick::Weighted;
        let last_resort = weighted && candidate.weight <= 0.0;
        let rank = rank_of(candidate.tier, last_resort);
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
            Choice::Full(self.cooling.min(self.quota))
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
