use proptest::prelude::*;

use super::*;
use crate::pool::limit::Budget;

const NOON: Timestamp = Timestamp(1_795_262_400_000);
const UTC: TimeZone = TimeZone::UTC;

fn after(seconds: i64) -> Timestamp {
    Timestamp(NOON.0 + seconds * 1000)
}

fn amount(tokens: u64, nanos: u64) -> Amount {
    Amount { tokens, nanos }
}

fn bounds() -> Bounds {
    Bounds {
        rpm: Some(3),
        tokens_per_minute: Some(1000),
        tokens_per_day: Some(5000),
        budget: Some(Budget {
            nanos: 10_000,
            per: Per::Month,
        }),
    }
}

fn over(result: Result<Hold, Over>) -> (Limit, u64, Timestamp) {
    let over = result.unwrap_err();
    (over.limit.limit, over.limit.used, over.limit.reset)
}

#[test]
fn each_limit_refuses_what_goes_over_it_and_says_when_it_resets() {
    let mut ledger = Ledger::default();
    let first = ledger
        .reserve(&bounds(), amount(600, 10), NOON, &UTC)
        .unwrap();
    assert_eq!(
        over(ledger.reserve(&bounds(), amount(401, 0), after(5), &UTC)),
        (Limit::TokensPerMinute, 600, after(60))
    );
    ledger.settle(first, Some(amount(100, 9000)), after(6), &UTC);
    assert_eq!(
        over(ledger.reserve(&bounds(), amount(1, 1001), after(7), &UTC)),
        (
            Limit::Money(Per::Month),
            9000,
            Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap()
        )
    );
    for _ in 0..2 {
        ledger
            .reserve(&bounds(), amount(1, 1), after(8), &UTC)
            .unwrap();
    }
    assert_eq!(
        over(ledger.reserve(&bounds(), amount(1, 1), after(9), &UTC)),
        (Limit::Requests, 3, after(60))
    );
    let day = Bounds {
        tokens_per_day: Some(102),
        ..Bounds::default()
    };
    assert_eq!(
        over(ledger.reserve(&day, amount(1, 0), after(10), &UTC)),
        (
            Limit::TokensPerDay,
            102,
            Timestamp::parse_rfc3339("2026-11-22T00:00:00Z").unwrap()
        )
    );
}

#[test]
fn of_several_limits_the_one_that_resets_last_is_told() {
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger
            .reserve(&bounds(), amount(1, 3000), NOON, &UTC)
            .unwrap();
    }
    let (limit, ..) = over(ledger.reserve(&bounds(), amount(5000, 3000), NOON, &UTC));
    assert_eq!(limit, Limit::Money(Per::Month));
}

#[test]
fn what_did_nothing_counts_for_nothing() {
    let mut ledger = Ledger::default();
    let before = ledger.uses(&bounds(), NOON, &UTC);
    let mut hold = ledger
        .reserve(&bounds(), amount(600, 10), NOON, &UTC)
        .unwrap();
    ledger
        .extend(&bounds(), &mut hold, amount(100, 5), NOON, &UTC)
        .unwrap();
    ledger.shorten(&mut hold, amount(100, 5));
    assert_ne!(ledger.uses(&bounds(), NOON, &UTC), before);
    ledger.settle(hold, None, NOON, &UTC);
    assert_eq!(ledger.uses(&bounds(), NOON, &UTC), before);
    assert!(ledger.is_blank(NOON));
}

#[test]
fn a_period_that_ends_leaves_what_is_open() {
    let mut ledger = Ledger::default();
    let hold = ledger
        .reserve(&bounds(), amount(600, 100), NOON, &UTC)
        .unwrap();
    let done = ledger
        .reserve(&bounds(), amount(50, 100), NOON, &UTC)
        .unwrap();
    ledger.settle(done, Some(amount(50, 100)), NOON, &UTC);
    let day = |ledger: &mut Ledger, now| ledger.uses(&bounds(), now, &UTC)[2].used;
    assert_eq!(day(&mut ledger, NOON), 650);
    let tomorrow = after(13 * 3600);
    assert_eq!(day(&mut ledger, tomorrow), 600);
    ledger.settle(hold, Some(amount(500, 90)), tomorrow, &UTC);
    assert_eq!(day(&mut ledger, tomorrow), 500);
    // Set back over midnight: what was used is not given anew.
    assert_eq!(day(&mut ledger, NOON), 500);
}

#[test]
fn most_requests_need_no_write() {
    let bounds = Bounds {
        budget: Some(Budget {
            nanos: 32_000,
            per: Per::Day,
        }),
        ..Bounds::default()
    };
    let mut ledger = Ledger::default();
    let mut writes = 0;
    for _ in 0..100 {
        let hold = ledger.reserve(&bounds, amount(9, 100), NOON, &UTC).unwrap();
        if let Claim::Write(asked) = ledger.claim(&bounds) {
            assert_eq!(ledger.claim(&bounds), Claim::Waits);
            assert!(ledger.give_back().is_none());
            ledger.committed(asked);
            writes += 1;
        }
        assert_eq!(ledger.claim(&bounds), Claim::Covered);
        ledger.settle(hold, Some(amount(9, 80)), NOON, &UTC);
    }
    assert!((5..30).contains(&writes), "{writes}");
    let kept = ledger.give_back().unwrap();
    assert_eq!(
        (kept.day.amount.nanos, kept.open),
        (8000, Amount::default())
    );
    assert_eq!(ledger.give_back(), None, "no news");
    assert_eq!(
        Ledger::restored(kept).uses(&bounds, NOON, &UTC)[0].used,
        8000
    );
}

/// What happens to a ledger.
#[derive(Debug, Clone)]
enum Act {
    Reserve(u64, u64),
    Extend(usize, u64, u64),
    /// Settles with so many percent of the reservation.
    Settle(usize, u64),
    Release(usize),
    /// Milliseconds.
    Jump(i64),
    GiveBack,
    /// The bounds are multiplied.
    Reload(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u64..800, 0u64..2000).prop_map(|(t, n)| Act::Reserve(t, n)),
        2 => (any::<usize>(), 0u64..300, 0u64..500).prop_map(|(i, t, n)| Act::Extend(i, t, n)),
        3 => (any::<usize>(), 0u64..150).prop_map(|(i, p)| Act::Settle(i, p)),
        1 => any::<usize>().prop_map(Act::Release),
        2 => (-100_000i64..100_000).prop_map(Act::Jump),
        1 => (-200_000_000i64..200_000_000).prop_map(Act::Jump),
        1 => Just(Act::GiveBack),
        1 => (1u64..4).prop_map(Act::Reload),
    ]
}

fn times(n: u64) -> Bounds {
    let one = bounds();
    Bounds {
        rpm: one.rpm.map(|b| b * u32::try_from(n).unwrap()),
        tokens_per_minute: one.tokens_per_minute.map(|b| b * n),
        tokens_per_day: one.tokens_per_day.map(|b| b * n),
        budget: one.budget.map(|b| Budget {
            nanos: b.nanos * n,
            ..b
        }),
    }
}

/// A ledger with what the disk knows of it, and the same sums kept by hand.
#[derive(Default)]
struct Run {
    ledger: Ledger,
    disk: Kept,
    open: Vec<Hold>,
    booked: [(Span, u64); 2],
}

impl Run {
    fn cover(&mut self, bounds: &Bounds) {
        if let Claim::Write(asked) = self.ledger.claim(bounds) {
            self.disk = self.ledger.kept();
            self.ledger.committed(asked);
        }
        assert_eq!(self.ledger.claim(bounds), Claim::Covered);
    }

    fn settle(&mut self, at: usize, now: Timestamp, used: impl Fn(Amount) -> Option<Amount>) {
        if self.open.is_empty() {
            return;
        }
        let hold = self.open.swap_remove(at % self.open.len());
        let used = used(hold.reserved);
        self.ledger.settle(hold, used, now, &UTC);
        let used = used.unwrap_or_default();
        for (booked, (per, n)) in self
            .booked
            .iter_mut()
            .zip([(Per::Day, used.tokens), (Per::Month, used.nanos)])
        {
            roll(booked, per, now);
            booked.1 += n;
        }
    }
}

fn roll(booked: &mut (Span, u64), per: Per, now: Timestamp) {
    if now >= booked.0.end {
        booked.1 = 0;
    }
    if !booked.0.holds(now) {
        booked.0 = Span::of(per, now, &UTC);
    }
}

proptest! {
    #[test]
    fn sums_hold_bounds_hold_and_the_disk_knows_no_less(acts in prop::collection::vec(act(), 1..80)) {
        let mut run = Run::default();
        let (mut now, mut limits) = (NOON, bounds());
        for act in acts {
            match act {
                Act::Reserve(tokens, nanos) => {
                    let asked = amount(tokens, nanos);
                    match run.ledger.reserve(&limits, asked, now, &UTC) {
                        Ok(hold) => {
                            run.open.push(hold);
                            for used in run.ledger.uses(&limits, now, &UTC) {
                                prop_assert!(used.used <= used.bound || asked.is_zero(), "{:?}", used);
                            }
                        }
                        Err(over) => {
                            prop_assert!(over.limit.reset > now);
                            prop_assert!(over.limit.used + over.asked > over.limit.bound);
                            // By then it is the day's or month's turn, or nobody's.
                            if over.asked <= over.limit.bound {
                                let mut later = run.ledger.clone();
                                let told = later.reserve(&limits, asked, over.limit.reset, &UTC);
                                let open: u64 = run.open.iter().map(|h| h.reserved.tokens.max(h.reserved.nanos)).sum();
                                let again = told.err().map(|told| told.limit.limit);
                                prop_assert!(again != Some(over.limit.limit) || open > 0);
                            }
                        }
                    }
                    run.cover(&limits);
                }
                Act::Extend(at, tokens, nanos) if !run.open.is_empty() => {
                    let at = at % run.open.len();
                    let more = amount(tokens, nanos);
                    let before = run.open[at].reserved;
                    let done = run.ledger.extend(&limits, &mut run.open[at], more, now, &UTC);
                    let expected = if done.is_ok() { before.plus(more) } else { before };
                    prop_assert_eq!(run.open[at].reserved, expected);
                    run.cover(&limits);
                }
                Act::Extend(..) => {}
                Act::Settle(at, percent) => {
                    run.settle(at, now, |reserved| {
                        Some(amount(reserved.tokens * percent / 100, reserved.nanos * percent / 100))
                    });
                    run.cover(&limits);
                }
                Act::Release(at) => run.settle(at, now, |_| None),
                Act::Jump(ms) => now = Timestamp(now.0 + ms),
                Act::GiveBack => {
                    if let Some(kept) = run.ledger.give_back() {
                        run.disk = kept;
                    }
                }
                Act::Reload(n) => limits = times(n),
            }
            let open = run.open.iter().fold(Amount::default(), |sum, hold| sum.plus(hold.reserved));
            prop_assert_eq!(run.ledger.open, open);
            let uses = run.ledger.uses(&limits, now, &UTC);
            roll(&mut run.booked[0], Per::Day, now);
            roll(&mut run.booked[1], Per::Month, now);
            prop_assert_eq!(uses[2].used, run.booked[0].1 + open.tokens);
            prop_assert_eq!(uses[3].used, run.booked[1].1 + open.nanos);
            // The program is killed here: a start books at least as much.
            let found = Ledger::restored(run.disk).uses(&limits, now, &UTC);
            prop_assert!(found[2].used >= uses[2].used, "{:?} {:?}", found[2], uses[2]);
            prop_assert!(found[3].used >= uses[3].used, "{:?} {:?}", found[3], uses[3]);
        }
        // Whatever the clock did, a minute later the minute's limits are free.
        let uses = run.ledger.uses(&limits, Timestamp(now.0 + 60_000), &UTC);
        prop_assert_eq!((uses[0].used, uses[1].used), (0, 0));
    }
}
