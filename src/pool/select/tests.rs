//! What selection promises, by cases and by laws.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{Best, Choice, Draw, Pick, Pool, mix};
use crate::base::time::Timestamp;
use crate::pool::candidate::{Fixed, NEVER, Verdict, share};

const NOW: Timestamp = Timestamp(1_000_000);

/// One account as it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    /// Its name here.
    slot: usize,
    tier: u32,
    weight: f64,
    remaining: Option<f64>,
    health: f64,
    ready_at: Timestamp,
    exhausted: bool,
    in_flight: u32,
    limit: Option<u32>,
    excluded: bool,
    hash: u64,
}

impl Candidate {
    fn fixed(&self) -> Fixed {
        Fixed {
            hash: self.hash,
            weight: self.weight,
            tier: self.tier,
        }
    }

    fn verdict(&self, now: Timestamp) -> Verdict {
        if self.excluded {
            Verdict::Excluded
        } else if self.ready_at > now {
            Verdict::closed(self.ready_at, self.exhausted)
        } else if self.limit.is_some_and(|limit| self.in_flight >= limit) {
            Verdict::Full
        } else {
            Verdict::Usable
        }
    }
}

impl Pool for [Candidate] {
    fn len(&self) -> usize {
        <[Candidate]>::len(self)
    }

    fn fixed(&self, index: usize) -> Fixed {
        self[index].fixed()
    }

    fn best(&self) -> Best {
        Best::of(self.iter().map(Candidate::fixed))
    }

    fn verdict(&self, index: usize, now: Timestamp) -> Verdict {
        self[index].verdict(now)
    }

    fn share(&self, index: usize, _: Timestamp) -> f64 {
        share(self[index].remaining, self[index].health)
    }

    fn in_flight(&self, index: usize) -> u32 {
        self[index].in_flight
    }

    fn each<B>(
        &self,
        from: usize,
        now: Timestamp,
        mut told: impl FnMut(usize, Verdict, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.iter()
            .enumerate()
            .skip(from)
            .try_for_each(|(index, c)| told(index, c.verdict(now), c.in_flight))
    }
}

/// What the real function says, with the slot of the one that it picked.
fn select(list: &[Candidate], pick: Pick, home: Option<u64>, draw: Draw, now: Timestamp) -> Choice {
    match super::select(list, pick, home, draw, now) {
        Choice::Use(index) => Choice::Use(list[index].slot),
        other => other,
    }
}

fn candidate(slot: usize) -> Candidate {
    Candidate {
        slot,
        tier: 1,
        weight: 1.0,
        remaining: None,
        health: 1.0,
        ready_at: Timestamp(0),
        exhausted: false,
        in_flight: 0,
        limit: Some(1),
        excluded: false,
        hash: mix(slot as u64 + 77),
    }
}

fn pool(n: usize) -> Vec<Candidate> {
    (0..n).map(candidate).collect()
}

fn busy(c: Candidate) -> Candidate {
    Candidate { in_flight: 1, ..c }
}

fn cooling(c: Candidate, until: i64) -> Candidate {
    Candidate {
        ready_at: Timestamp(until),
        ..c
    }
}

fn empty(c: Candidate, until: i64) -> Candidate {
    Candidate {
        exhausted: true,
        ..cooling(c, until)
    }
}

fn pick_of(list: &[Candidate], pick: Pick) -> Choice {
    select(list, pick, None, Draw::new(7), NOW)
}

fn used(choice: Choice) -> usize {
    match choice {
        Choice::Use(slot) => slot,
        other => panic!("{other:?}"),
    }
}

fn shares(list: &[Candidate], pick: Pick) -> Vec<f64> {
    let mut counts = vec![0u32; list.len()];
    for n in 0..100_000u64 {
        let draw = Draw::new(mix(n));
        counts[used(select(list, pick, None, draw, NOW))] += 1;
    }
    counts.iter().map(|c| f64::from(*c) / 100_000.0).collect()
}

fn home_of(list: &[Candidate], pick: Pick, home: u64) -> usize {
    used(select(
        list,
        pick,
        Some(mix(home)),
        Draw::new(mix(home ^ 0x63)),
        NOW,
    ))
}

#[test]
fn weighted_is_a_distribution_over_weight_quota_and_health() {
    let mut list = pool(5);
    list[0].weight = 3.0;
    list[2].weight = 4.0;
    list[2].remaining = Some(0.5);
    list[3].weight = 0.0;
    list[4].weight = 4.0;
    list[4].health = 0.25;
    let shares = shares(&list, Pick::Weighted);
    for (share, weight) in shares.iter().zip([3.0, 1.0, 2.0, 0.0, 1.0]) {
        assert!((share - weight / 7.0).abs() < 0.02, "{shares:?}");
    }
    assert!(shares[3] == 0.0);
}

#[test]
fn those_that_can_not_serve_change_no_shares() {
    // With few of many the draws mostly fail, and all are looked at; with half of them draws mostly find one.
    for out_of in [100, 2] {
        let mut list = pool(300);
        for c in &mut list {
            if c.slot % out_of != 0 {
                *c = cooling(*c, 2_000_000);
            } else if c.slot % 200 == 0 {
                c.weight = 3.0;
            }
        }
        let shares = shares(&list, Pick::Weighted);
        let usable = 300 / out_of;
        let heavy = [0, 200].map(|slot| shares[slot]).iter().sum::<f64>();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let expected = 6.0 / (usable as f64 + 4.0);
        assert!((heavy - expected).abs() < 0.01, "{heavy} {expected}");
    }
}

#[test]
fn random_ignores_weights() {
    let mut list = pool(2);
    list[0].weight = 9.0;
    let shares = shares(&list, Pick::Random);
    assert!((shares[0] - 0.5).abs() < 0.02, "{shares:?}");
}

#[test]
fn round_robin_is_fair_over_those_that_can_serve() {
    let mut list = pool(4);
    list[1] = busy(list[1]);
    let mut turn = 0;
    let mut picks = Vec::new();
    for _ in 0..6 {
        picks.push(used(pick_of(&list, Pick::RoundRobin { turn })));
        turn = picks[picks.len() - 1] + 1;
    }
    assert_eq!(picks, [0, 2, 3, 0, 2, 3]);
}

#[test]
fn least_busy_and_fill_first_say_what_they_do() {
    let mut list = pool(3);
    for (c, n) in list.iter_mut().zip([4, 2, 3]) {
        c.limit = None;
        c.in_flight = n;
    }
    assert_eq!(pick_of(&list, Pick::LeastBusy), Choice::Use(1));
    list[2].in_flight = 2;
    let both = shares(&list, Pick::LeastBusy);
    assert!(both[0] == 0.0 && (both[1] - 0.5).abs() < 0.02, "{both:?}");
    assert_eq!(pick_of(&list, Pick::FillFirst), Choice::Use(0));
    list[0] = busy(candidate(0));
    assert_eq!(pick_of(&list, Pick::FillFirst), Choice::Use(1));
}

#[test]
fn weight_zero_only_when_no_other_can() {
    let mut list = pool(2);
    list[1].weight = 0.0;
    for bits in 0..1000 {
        let draw = Draw::new(mix(bits));
        let choice = select(&list, Pick::Weighted, None, draw, NOW);
        assert_eq!(choice, Choice::Use(0));
        assert_eq!(home_of(&list, Pick::Weighted, bits), 0);
    }
    list[0] = busy(list[0]);
    assert_eq!(pick_of(&list, Pick::Weighted), Choice::Use(1));
    assert_eq!(home_of(&list, Pick::Weighted, 3), 1);
}

#[test]
fn tiers_come_before_strategies_and_homes() {
    let mut list = pool(3);
    list[0].tier = 2;
    list[2].tier = 2;
    for pick in [
        Pick::Weighted,
        Pick::Random,
        Pick::LeastBusy,
        Pick::FillFirst,
        Pick::RoundRobin { turn: 2 },
    ] {
        assert_eq!(pick_of(&list, pick), Choice::Use(1), "{pick:?}");
        assert_eq!(home_of(&list, pick, 5), 1, "{pick:?}");
    }
    list[1] = cooling(list[1], 2_000_000);
    assert_ne!(pick_of(&list, Pick::Weighted), Choice::Use(1));
}

#[test]
fn says_what_to_wait_for() {
    let say = |list: &[Candidate]| pick_of(list, Pick::Weighted);
    let c = candidate;
    assert_eq!(say(&[]), Choice::Exhausted);
    assert_eq!(say(&[busy(c(0))]), Choice::Full(NEVER));
    assert_eq!(say(&[cooling(c(0), NEVER.0)]), Choice::NeedsPerson);
    let not_for_it = Candidate {
        excluded: true,
        ..c(0)
    };
    assert_eq!(say(&[not_for_it]), Choice::Exhausted);
    let until = |t| Timestamp(t);
    assert_eq!(
        say(&[cooling(c(0), 3_000_000), cooling(c(1), 2_000_000)]),
        Choice::Wait(until(2_000_000))
    );
    assert_eq!(
        say(&[empty(c(0), 3_000_000), empty(c(1), 2_000_000)]),
        Choice::NoQuota(until(2_000_000))
    );
    assert_eq!(
        say(&[empty(c(0), 3_000_000), cooling(c(1), 2_000_000)]),
        Choice::Wait(until(2_000_000))
    );
    assert_eq!(
        say(&[empty(c(0), 2_000_000), cooling(c(1), 3_000_000)]),
        Choice::NoQuota(until(2_000_000))
    );
    assert_eq!(
        say(&[empty(c(0), 2_000_000), busy(c(1)), cooling(c(2), NEVER.0)]),
        Choice::Full(Timestamp(2_000_000))
    );
    // A reset that has passed is no hurdle.
    assert_eq!(say(&[empty(c(0), NOW.0)]), Choice::Use(0));
}

#[test]
fn conversations_spread_by_declared_weight_and_not_by_what_changes() {
    let mut list = pool(3);
    list[0].weight = 2.0;
    list[1].remaining = Some(0.1);
    list[2].health = 0.1;
    let mut counts = [0u32; 3];
    for conversation in 0..20_000 {
        counts[home_of(&list, Pick::Weighted, conversation)] += 1;
    }
    for (count, share) in counts.iter().zip([0.5, 0.25, 0.25]) {
        assert!(
            (f64::from(*count) / 20_000.0 - share).abs() < 0.02,
            "{counts:?}"
        );
    }
}

#[test]
fn a_conversation_yields_while_its_home_can_not_serve_and_returns() {
    let mut list = pool(8);
    for conversation in 0..200 {
        let home = home_of(&list, Pick::Weighted, conversation);
        let at_home = list[home];
        list[home] = cooling(at_home, 2_000_000);
        let away = home_of(&list, Pick::Weighted, conversation);
        assert_ne!(home, away);
        assert_eq!(away, home_of(&list, Pick::Weighted, conversation));
        list[home] = busy(at_home);
        assert_eq!(away, home_of(&list, Pick::Weighted, conversation));
        list[home] = at_home;
        assert_eq!(home, home_of(&list, Pick::Weighted, conversation));
    }
}

#[test]
fn fill_first_knows_no_homes() {
    let list = pool(8);
    for conversation in 0..50 {
        assert_eq!(home_of(&list, Pick::FillFirst, conversation), 0);
    }
}

fn any_pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        Just(Pick::Weighted),
        Just(Pick::Random),
        Just(Pick::LeastBusy),
        Just(Pick::FillFirst),
        (0usize..20).prop_map(|turn| Pick::RoundRobin { turn }),
    ]
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    (
        0u32..3,
        0.0f64..4.0,
        proptest::option::of(0.0f64..1.0),
        0.1f64..1.0,
        0i64..2_000_000,
        0u32..3,
        any::<(bool, bool, bool, u64)>(),
    )
        .prop_map(
            |(
                tier,
                weight,
                remaining,
                health,
                ready,
                in_flight,
                (limited, excluded, quota, hash),
            )| Candidate {
                slot: 0,
                tier,
                weight: if weight < 0.5 { 0.0 } else { weight },
                remaining,
                health,
                ready_at: match ready {
                    1_900_000.. => NEVER,
                    ready => Timestamp(ready),
                },
                exhausted: quota,
                in_flight,
                limit: limited.then_some(2),
                excluded,
                hash,
            },
        )
}

fn any_list() -> impl Strategy<Value = Vec<Candidate>> {
    proptest::collection::vec(any_candidate(), 0..12).prop_map(|list| {
        let slotted = list.into_iter().enumerate();
        slotted.map(|(slot, c)| Candidate { slot, ..c }).collect()
    })
}

fn usable(c: &Candidate) -> bool {
    c.verdict(NOW) == Verdict::Usable
}

proptest! {
    #[test]
    fn never_picks_an_unusable_one_and_always_finds_a_usable_one(
        list in any_list(), pick in any_pick(), home: Option<u64>, bits: u64
    ) {
        match select(&list, pick, home, Draw::new(bits), NOW) {
            Choice::Use(slot) => {
                prop_assert!(usable(&list[slot]));
                let best = list.iter().filter(|c| usable(c)).map(|c| c.tier).min();
                prop_assert_eq!(Some(list[slot].tier), best);
                let others = list.iter().any(|c| usable(c) && Some(c.tier) == best && c.weight > 0.0);
                prop_assert!(pick != Pick::Weighted || list[slot].weight > 0.0 || !others);
            }
            Choice::Wait(until) | Choice::NoQuota(until) => {
                prop_assert!(until > NOW && until != NEVER);
                prop_assert!(list.iter().all(|c| c.excluded || c.ready_at >= until));
            }
            _ => prop_assert!(!list.iter().any(usable)),
        }
    }

    #[test]
    fn an_unusable_candidate_moves_no_conversation_and_the_order_does_not_matter(
        list in any_list(), pick in any_pick(), home: u64
    ) {
        let choice = |list: &[Candidate]| select(list, pick, Some(home), Draw::new(0), NOW);
        if let (Choice::Use(slot), true) = (choice(&list), pick != Pick::FillFirst) {
            let mut fewer: Vec<_> = list.iter().copied().filter(usable).collect();
            prop_assert_eq!(choice(&fewer), Choice::Use(slot));
            fewer.reverse();
            prop_assert_eq!(choice(&fewer), Choice::Use(slot));
        }
    }

    #[test]
    fn an_account_that_comes_or_goes_moves_no_conversation_but_its_own(
        n in 2usize..40, gone in any::<prop::sample::Index>(), conversations in proptest::collection::vec(any::<u64>(), 100)
    ) {
        let all = pool(n);
        let gone = gone.index(n);
        let fewer: Vec<_> = all.iter().copied().filter(|c| c.slot != gone).collect();
        for conversation in conversations {
            let before = home_of(&all, Pick::Weighted, conversation);
            let after = home_of(&fewer, Pick::Weighted, conversation);
            prop_assert!(before == after || before == gone);
        }
    }
}

fn any_heavy() -> impl Strategy<Value = Candidate> {
    (0.5f64..8.0, proptest::option::of(0.05f64..1.0), 0.1f64..1.0).prop_map(
        |(weight, remaining, health)| Candidate {
            weight,
            remaining,
            health,
            ..candidate(0)
        },
    )
}

fn any_unusable(c: Candidate, kind: u8) -> Candidate {
    match kind % 4 {
        0 => cooling(c, 2_000_000),
        1 => empty(c, 2_000_000),
        2 => busy(c),
        _ => Candidate {
            excluded: true,
            ..c
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn shares_are_weight_times_quota_times_health(
        heavy in proptest::collection::vec(any_heavy(), 2..6), crowd in prop_oneof![Just(0usize), Just(8), Just(250)],
        kind: u8
    ) {
        // Alone they are drawn by lot; in a crowd that cannot serve all are looked at.
        let mut list: Vec<_> = heavy.clone();
        list.extend(pool(crowd).into_iter().map(|c| any_unusable(c, kind)));
        for (slot, c) in list.iter_mut().enumerate() {
            c.slot = slot;
        }
        let parts: Vec<f64> = heavy
            .iter()
            .map(|c| c.weight * share(c.remaining, c.health))
            .collect();
        let all: f64 = parts.iter().sum();
        for (share, part) in shares(&list, Pick::Weighted).iter().zip(parts) {
            prop_assert!((share - part / all).abs() < 0.02, "{} {}", share, part / all);
        }
    }
}

proptest! {
    #[test]
    fn a_conversation_moves_only_when_it_must(
        list in any_list(), pick in any_pick(), home: u64, changes in proptest::collection::vec((0usize..12, any::<u8>()), 0..6)
    ) {
        let at = |list: &[Candidate]| select(list, pick, Some(home), Draw::new(home ^ 5), NOW);
        let Choice::Use(first) = at(&list) else {
            return Ok(());
        };
        prop_assume!(pick != Pick::FillFirst);
        // Whatever happens to others, it stays.
        let mut others = list.clone();
        for (index, kind) in changes {
            if let Some(c) = others.get_mut(index).filter(|c| c.slot != first) {
                *c = any_unusable(Candidate { limit: Some(1), ..*c }, kind);
            }
        }
        prop_assert_eq!(at(&others), Choice::Use(first));
        // Its own account can not serve: it goes elsewhere, always the same way, and returns.
        let mut away = list.clone();
        away[first] = cooling(away[first], 2_000_000);
        prop_assert_ne!(at(&away), Choice::Use(first));
        prop_assert_eq!(at(&away), at(&away));
        away[first] = list[first];
        prop_assert_eq!(at(&away), Choice::Use(first));
    }
}
