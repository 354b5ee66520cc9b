//! What ended within the last minute, second by second: counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seconds that are looked back on.
const WINDOW: u64 = 60;
/// One more, so that the second that is being counted is not in the way of the oldest.
const SLOTS: usize = 64;

/// Requests and tokens of the last minute.
#[derive(Debug)]
pub struct Recent {
    begun: Instant,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    /// Which second it counts.
    second: AtomicU64,
    requests: AtomicU64,
    tokens: AtomicU64,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            slots: std::array::from_fn(|_| Slot::default()),
        }
    }
}

impl Recent {
    /// A request of so many tokens ended.
    pub fn ended(&self, tokens: u64) {
        self.ended_at(self.begun.elapsed().as_secs(), tokens);
    }

    /// Requests that ended within the last minute, and their tokens.
    pub fn minute(&self) -> (u64, u64) {
        self.minute_at(self.begun.elapsed().as_secs())
    }

    /// Where two begin a second at the very same time, one of them may be lost: these numbers are looked at, and nothing
    /// hangs on them.
    fn ended_at(&self, second: u64, tokens: u64) {
        let Some(slot) = self.slot(second) else {
            return;
        };
        let known = slot.second.load(Ordering::Acquire);
        // Stamps are one ahead, so that a slot that was never used is of no second.
        if known != second + 1 {
            let begun = slot.second.compare_exchange(
                known,
                second + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if begun.is_ok() {
                slot.requests.store(0, Ordering::Release);
                slot.tokens.store(0, Ordering::Release);
            }
        }
        slot.requests.fetch_add(1, Ordering::AcqRel);
        slot.tokens.fetch_add(tokens, Ordering::AcqRel);
    }

    fn minute_at(&self, second: u64) -> (u64, u64) {
        let of = |slot: &Slot| {
            let at = slot.second.load(Ordering::Acquire);
            let recent = at > 0 && at <= second + 1 && at + WINDOW > second + 1;
            recent.then(|| {
                let requests = slot.requests.load(Ordering::Acquire);
                (requests, slot.tokens.load(Ordering::Acquire))
            })
        };
        let sums = self.slots.iter().filter_map(of);
        sums.fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }

    fn slot(&self, second: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(second).ok()? % SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_looked_back_on() {
        let recent = Recent::default();
        assert_eq!(recent.minute_at(0), (0, 0));
        recent.ended_at(0, 5);
        recent.ended_at(0, 6);
        recent.ended_at(30, 1);
        assert_eq!(recent.minute_at(0), (2, 11));
        assert_eq!(recent.minute_at(59), (3, 12));
        assert_eq!(recent.minute_at(60), (1, 1));
        assert_eq!(recent.minute_at(90), (0, 0));
        // The slot of second 0 is taken over.
        recent.ended_at(64, 7);
        assert_eq!(recent.minute_at(64), (2, 8));
    }
}
