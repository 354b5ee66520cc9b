//! Picks an account. No clock, no randomness, no allocation, no lock: the caller brings `now` and a draw.

use crate::base::time::Timestamp;
use crate::pool::candidate::{Candidate, NEVER, Verdict};

/// How one is picked among those that can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// By declared weight × remaining quota; `draw` is uniform in 0–1.
    Weighted {
        /// Uniform in 0–1, 1 excluded.
        draw: Draw,
    },
    /// The first usable one at or after this turn, counted over the list.
    RoundRobin {
        /// Rises by one with each pick.
        turn: usize,
    },
    /// Uniformly.
    Random {
        /// Uniform in 0–1, 1 excluded.
        draw: Draw,
    },
}

/// A uniform random number: 53 random bits over 2⁵³.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// From random bits.
    pub fn new(bits: u64) -> Self {
        Self(bits >> 11)
    }

    /// In 0–1, 1 excluded.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    fn unit(self) -> f64 {
        self.0 as f64 / (1u64 << 53) as f64
    }
}

/// What selection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This candidate's `slot`.
    Use(usize),
    /// Some could serve but for their limits: wait for a slot.
    Full,
    /// All are cooling: the earliest is ready then.
    Wait(Timestamp),
    /// Those that are left wait for a person.
    NeedsPerson,
    /// There is none for this request at all (excluded, or the list is empty).
    Exhausted,
}

/// Picks among `candidates`: the best tier first, then by `pick`. What is cooling, full or excluded is never used.
pub fn select<I>(candidates: I, pick: Pick, now: Timestamp) -> Choice
where
    I: Iterator<Item = Candidate> + Clone,
{
    let mut best_tier = u32::MAX;
    let (mut any_full, mut any_person) = (false, false);
    let mut earliest = NEVER;
    for candidate in candidates.clone() {
        match candidate.verdict(now) {
            Verdict::Usable => best_tier = best_tier.min(candidate.tier),
            Verdict::Full => any_full = true,
            Verdict::Cooling(until) => earliest = earliest.min(until),
            Verdict::NeedsPerson => any_person = true,
            Verdict::Excluded | Verdict::NoQuota => {}
        }
    }
    if best_tier == u32::MAX {
        return if any_full {
            Choice::Full
        } else if earliest != NEVER {
            Choice::Wait(earliest)
        } else if any_person {
            Choice::NeedsPerson
        } else {
            Choice::Exhausted
        };
    }
    let usable = candidates.filter(|c| c.tier == best_tier && c.verdict(now) == Verdict::Usable);
    let chosen = match pick {
        Pick::RoundRobin { turn } => round_robin(&usable, turn),
        Pick::Random { draw } => weighted(usable, draw, |_| 1.0),
        Pick::Weighted { draw } => weighted(usable.clone(), draw, |c| c.weight * share(c))
            // Nothing but weight 0 or empty quotas is left: by quota alone, then uniformly.
            .or_else(|| weighted(usable.clone(), draw, share))
            .or_else(|| weighted(usable, draw, |_| 1.0)),
    };
    chosen.map_or(Choice::Exhausted, Choice::Use)
}

fn share(candidate: &Candidate) -> f64 {
    candidate.remaining.unwrap_or(1.0).clamp(0.0, 1.0)
}

fn weighted<I>(usable: I, draw: Draw, weight: impl Fn(&Candidate) -> f64) -> Option<usize>
where
    I: Iterator<Item = Candidate> + Clone,
{
    let total: f64 = usable.clone().map(|c| weight(&c)).sum();
    if total <= 0.0 || !total.is_finite() {
        return None;
    }
    let mut left = draw.unit() * total;
    let mut last = None;
    for candidate in usable {
        let w = weight(&candidate);
        if w <= 0.0 {
            continue;
        }
        last = Some(candidate.slot);
        if left < w {
            break;
        }
        left -= w;
    }
    last
}

/// Fair over those that can serve: the turn is taken among the usable ones, in the list's order.
fn round_robin<I>(usable: &I, turn: usize) -> Option<usize>
where
    I: Iterator<Item = Candidate> + Clone,
{
    let n = usable.clone().count();
    (n > 0)
        .then(|| usable.clone().nth(turn % n))
        .flatten()
        .map(|c| c.slot)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn candidate(slot: usize) -> Candidate {
        Candidate {
            slot,
            tier: 1,
            weight: 1.0,
            remaining: None,
            ready_at: Timestamp(0),
            in_flight: 0,
            limit: Some(1),
            excluded: false,
        }
    }

    fn shares(list: &[Candidate], pick: impl Fn(u64) -> Pick) -> Vec<u32> {
        let mut counts = vec![0u32; list.len()];
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for n in 0..100_000u64 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            match select(list.iter().copied(), pick(bits ^ n.rotate_left(40)), NOW) {
                Choice::Use(slot) => counts[slot] += 1,
                other => panic!("{other:?}"),
            }
        }
        counts
    }

    #[test]
    fn weighted_is_a_distribution() {
        let list = [
            Candidate {
                weight: 3.0,
                ..candidate(0)
            },
            Candidate {
                weight: 1.0,
                ..candidate(1)
            },
            Candidate {
                weight: 4.0,
                remaining: Some(0.5),
                ..candidate(2)
            },
            Candidate {
                weight: 0.0,
                ..candidate(3)
            },
        ];
        let counts = shares(&list, |bits| Pick::Weighted {
            draw: Draw::new(bits),
        });
        let near = |count: u32, share: f64| (f64::from(count) / 100_000.0 - share).abs() < 0.02;
        assert!(
            near(counts[0], 0.5) && near(counts[1], 1.0 / 6.0) && near(counts[2], 1.0 / 3.0),
            "{counts:?}"
        );
        assert_eq!(counts[3], 0);
    }

    #[test]
    fn random_ignores_weights() {
        let list = [
            Candidate {
                weight: 9.0,
                ..candidate(0)
            },
            candidate(1),
        ];
        let counts = shares(&list, |bits| Pick::Random {
            draw: Draw::new(bits),
        });
        assert!((48_000..52_000).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn round_robin_is_fair_over_those_that_can_serve() {
        let list = [
            candidate(0),
            Candidate {
                in_flight: 1,
                ..candidate(1)
            },
            candidate(2),
            candidate(3),
        ];
        let picks: Vec<_> = (0..6)
            .map(|turn| select(list.iter().copied(), Pick::RoundRobin { turn }, NOW))
            .collect();
        let expected = [0, 2, 3, 0, 2, 3].map(Choice::Use);
        assert_eq!(picks, expected);
    }

    #[test]
    fn weight_zero_only_when_no_other_can() {
        let spare = Candidate {
            weight: 0.0,
            ..candidate(1)
        };
        let pick = Pick::Weighted {
            draw: Draw::new(u64::MAX),
        };
        assert_eq!(
            select([candidate(0), spare].into_iter(), pick, NOW),
            Choice::Use(0)
        );
        let busy = Candidate {
            in_flight: 1,
            ..candidate(0)
        };
        assert_eq!(select([busy, spare].into_iter(), pick, NOW), Choice::Use(1));
    }

    #[test]
    fn says_what_to_wait_for() {
        let pick = Pick::RoundRobin { turn: 0 };
        let cooling = |slot, until| Candidate {
            ready_at: Timestamp(until),
            ..candidate(slot)
        };
        let one = |c: Candidate| select(std::iter::once(c), pick, NOW);
        assert_eq!(
            one(Candidate {
                in_flight: 1,
                ..candidate(0)
            }),
            Choice::Full
        );
        assert_eq!(
            one(Candidate {
                ready_at: NEVER,
                ..candidate(0)
            }),
            Choice::NeedsPerson
        );
        assert_eq!(
            one(Candidate {
                excluded: true,
                ..candidate(0)
            }),
            Choice::Exhausted
        );
        assert_eq!(select(std::iter::empty(), pick, NOW), Choice::Exhausted);
        let both = [cooling(0, 3_000_000), cooling(1, 2_000_000)];
        assert_eq!(
            select(both.into_iter(), pick, NOW),
            Choice::Wait(Timestamp(2_000_000))
        );
        let tiers = [
            Candidate {
                tier: 2,
                ..candidate(0)
            },
            candidate(1),
        ];
        assert_eq!(select(tiers.into_iter(), pick, NOW), Choice::Use(1));
    }

    fn any_candidate() -> impl Strategy<Value = Candidate> {
        (
            0u32..3,
            0.0f64..4.0,
            proptest::option::of(0.0f64..1.0),
            0i64..2_000_000,
            0u32..3,
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(
                |(tier, weight, remaining, ready, in_flight, limited, excluded)| Candidate {
                    slot: 0,
                    tier,
                    weight,
                    remaining,
                    ready_at: if ready > 1_900_000 {
                        NEVER
                    } else {
                        Timestamp(ready)
                    },
                    in_flight,
                    limit: limited.then_some(2),
                    excluded,
                },
            )
    }

    proptest! {
        #[test]
        fn never_picks_an_unusable_one_and_always_finds_a_usable_one(
            list in proptest::collection::vec(any_candidate(), 0..12), bits: u64, turn: usize, kind in 0..3
        ) {
            let list: Vec<_> = list.into_iter().enumerate().map(|(slot, c)| Candidate { slot, ..c }).collect();
            let pick = match kind {
                0 => Pick::Weighted { draw: Draw::new(bits) },
                1 => Pick::Random { draw: Draw::new(bits) },
                _ => Pick::RoundRobin { turn },
            };
            let choice = select(list.iter().copied(), pick, NOW);
            let usable = |c: &Candidate| c.verdict(NOW) == Verdict::Usable;
            match choice {
                Choice::Use(slot) => {
                    prop_assert!(usable(&list[slot]));
                    let best = list.iter().filter(|c| usable(c)).map(|c| c.tier).min();
                    prop_assert_eq!(Some(list[slot].tier), best);
                }
                _ => prop_assert!(!list.iter().any(usable)),
            }
        }
    }
}
