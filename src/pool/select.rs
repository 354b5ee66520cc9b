//! Picks an account. No clock, no randomness, no allocation, no lock: the caller brings `now` and a draw.
//!
//! Looking at every account costs most where there are thousands, since each one's state lies elsewhere in memory. So what
//! the file fixes (tier, weight, name) is asked first, and only those who would be picked are looked at; all are where that
//! finds nobody soon.

use std::ops::ControlFlow;

use crate::base::time::Timestamp;
use crate::pool::candidate::{Fixed, NEVER, Verdict};

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

/// The accounts of a route as one request sees them, by index.
pub trait Pool {
    /// How many.
    fn len(&self) -> usize;
    /// What the file says of the one at this index.
    fn fixed(&self, index: usize) -> Fixed;
    /// What the file says of all.
    fn best(&self) -> Best;
    /// How the one at this index stands.
    fn verdict(&self, index: usize, now: Timestamp) -> Verdict;
    /// What is left of the one at this index: quota × health, 0–1. An empty quota has no candidate; here 0 means that it
    /// may go on all the same, at somebody's cost.
    fn share(&self, index: usize, now: Timestamp) -> f64;
    /// The calls in flight of the one at this index.
    fn in_flight(&self, index: usize) -> u32;
    /// Tells of each from this index on, in order, until it is told to stop: the index, how it stands, its calls in flight.
    fn each<B>(
        &self,
        from: usize,
        now: Timestamp,
        told: impl FnMut(usize, Verdict, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B>;

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
    /// Whether all are in it.
    pub alone: bool,
}

impl Best {
    /// Of these accounts.
    pub fn of(all: impl Iterator<Item = Fixed> + Clone) -> Self {
        let tier = all.clone().map(|f| f.tier).min().unwrap_or_default();
        let weights = all.clone().filter(|f| f.tier == tier).map(|f| f.weight);
        Self {
            tier,
            weight: weights.fold(0.0, f64::max),
            alone: all.map(|f| f.tier).all(|its| its == tier),
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
        (Pick::Weighted | Pick::Random | Pick::LeastBusy, None) => by_lot(pool, pick, draw, now),
    };
    found.map_or_else(|| among_all(pool, pick, draw, now), Choice::Use)
}

/// The first that can serve of the best tier, from this index on.
fn in_turn<P: Pool + ?Sized>(pool: &P, turn: usize, now: Timestamp) -> Option<usize> {
    let (len, tier) = (pool.len(), pool.best().tier);
    let from = if turn < len { turn } else { 0 };
    let mut indexes = (from..len).chain(0..from).take(LOOKS);
    indexes.find(|index| {
        pool.fixed(*index).tier == tier && pool.verdict(*index, now) == Verdict::Usable
    })
}

/// Draws one of all and takes it with a chance in proportion to its weight, until one is taken: what comes out has the
/// same shares as a draw among all by weight. Who has no call in flight is one of the least busy, and none of them is
/// taken with a larger chance than another.
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
        let taken = pool.verdict(index, now) == Verdict::Usable
            && match pick {
                Pick::Weighted => chance < fixed.weight * pool.share(index, now),
                Pick::LeastBusy => pool.in_flight(index) == 0,
                _ => true,
            };
        taken.then_some(index)
    })
}

/// After so many that could not serve it is cheaper to look at all for the next that can.
const IN_VAIN: usize = 32;

/// Weighted rendezvous: the least `-ln(u) / weight` of all that can serve, `u` uniform and fixed for conversation and
/// account. Where many can serve only who is nearer than all before is looked at; where few can, only who can is asked how
/// near it is.
fn nearest<P: Pool + ?Sized>(pool: &P, home: u64, weighted: bool, now: Timestamp) -> Choice {
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

/// Tier, then whether it is a last resort (weight 0): the lower the better.
fn rank_of(tier: u32, last_resort: bool) -> u64 {
    (u64::from(tier) << 1) | u64::from(last_resort)
}

/// Looks at every one. Each kind of pick has a loop of its own, so that it asks no more than it needs.
fn among_all<P: Pool + ?Sized>(pool: &P, pick: Pick, draw: Draw, now: Timestamp) -> Choice {
    let one_tier = pool.best().alone;
    let rank = |index| {
        if one_tier {
            0
        } else {
            rank_of(pool.fixed(index).tier, false)
        }
    };
    match pick {
        Pick::Weighted => led(pool, draw, now, |index, _| {
            let fixed = pool.fixed(index);
            let last_resort = fixed.weight <= 0.0;
            let declared = if last_resort { 1.0 } else { fixed.weight };
            // A quota that is all but empty is still better than none.
            let weight = declared * pool.share(index, now).max(1e-9);
            let rank = rank_of(fixed.tier, last_resort);
            (rank, 0, weight.max(f64::MIN_POSITIVE))
        }),
        Pick::Random => led(pool, draw, now, |index, _| (rank(index), 0, 1.0)),
        // Indexes before the turn wrap around to the far end.
        Pick::RoundRobin { turn } => led(pool, draw, now, |index, _| {
            (rank(index), index.wrapping_sub(turn) as u64, 1.0)
        }),
        Pick::LeastBusy => led(pool, draw, now, |index, in_flight| {
            (rank(index), u64::from(in_flight), 1.0)
        }),
        Pick::FillFirst => led(pool, draw, now, |index, _| (rank(index), index as u64, 1.0)),
    }
}

/// Of all that can serve the one that leads, by rank, score and weight.
#[inline]
fn led<P: Pool + ?Sized>(
    pool: &P,
    draw: Draw,
    now: Timestamp,
    of: impl Fn(usize, u32) -> (u64, u64, f64),
) -> Choice {
    let mut leader = Leader::default();
    let mut hurdles = Hurdles::default();
    let _ = pool.each(0, now, |index, verdict, in_flight| {
        match verdict {
            Verdict::Usable => leader.meet(index, of(index, in_flight), draw),
            hurdle => hurdles.note(hurdle),
        }
        ControlFlow::<()>::Continue(())
    });
    leader.index.map_or_else(|| hurdles.choice(), Choice::Use)
}

/// The best so far.
struct Leader {
    index: Option<usize>,
    /// Rank (see [`rank_of`]) and score: the lower the better.
    place: (u64, u64),
    /// Among equals one is drawn: the sum of the weights met so far.
    total: f64,
    /// Who lifts the sum above this takes the lead.
    bar: f64,
    draws: usize,
}

impl Default for Leader {
    fn default() -> Self {
        Self {
            index: None,
            place: (u64::MAX, u64::MAX),
            total: 0.0,
            bar: 0.0,
            draws: 0,
        }
    }
}

impl Leader {
    #[inline]
    fn meet(&mut self, index: usize, (rank, score, weight): (u64, u64, f64), draw: Draw) {
        let place = (rank, score);
        if place != self.place {
            if place > self.place {
                return;
            }
            (self.place, self.total, self.bar) = (place, 0.0, 0.0);
        }
        // Whoever leads at a sum still does at a larger one with the chance of the one by the other: so how far the lead
        // reaches is drawn at once. In the end each leads with its share of all.
        self.total += weight;
        if self.total > self.bar {
            self.index = Some(index);
            self.draws += 1;
            self.bar = self.total / draw.of(self.draws);
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
