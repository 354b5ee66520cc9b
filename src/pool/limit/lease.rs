//! A block of tokens and money that is on the disk as reserved, so that most requests need no write of their own.
//!
//! Everything is counted from the ledger's begin: as long as what was settled and what is open together stay below what was
//! committed, the disk's word is at least what was used, whatever happens to the program.

use crate::pool::limit::Amount;

/// Of what is left of a bound, a lease is one part of so many: what a crash costs at most.
const PART: u64 = 64;

/// What must happen before more may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the disk knows enough.
    Covered,
    /// A write that is under way must end.
    Waits,
    /// This must be written: the ledger gives its [`super::Kept`]; then [`super::Ledger::committed`] is told this amount.
    Write(Amount),
}

/// The lease of one ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// Settled since the ledger's begin.
    pub(super) settled: Amount,
    /// Settled and open may come to this once the last write that was asked for is done.
    asked: Amount,
    /// They may come to this now.
    committed: Amount,
}

impl Lease {
    /// How much more than what is booked the last record says.
    pub(super) fn open(&self) -> Amount {
        self.asked.minus(self.settled)
    }

    /// Asks for more where what is settled and open is not covered. `left` is what each bound has left, tokens first;
    /// `None` where there is no bound.
    pub(super) fn claim(&mut self, open: Amount, left: [Option<u64>; 2]) -> Claim {
        let all = self.settled.plus(open);
        let [tokens, nanos] = left;
        let need = Amount {
            tokens: tokens.map_or(0, |_| all.tokens),
            nanos: nanos.map_or(0, |_| all.nanos),
        };
        if self.committed.covers(need) {
            return Claim::Covered;
        }
        if self.asked.covers(need) {
            return Claim::Waits;
        }
        let block = Amount {
            tokens: tokens.map_or(0, |left| left / PART),
            nanos: nanos.map_or(0, |left| left / PART),
        };
        self.asked = self.asked.max(all.plus(block));
        Claim::Write(self.asked)
    }

    /// That a write of so much is done.
    pub(super) fn commit(&mut self, asked: Amount) {
        let known = Amount {
            tokens: asked.tokens.min(self.asked.tokens),
            nanos: asked.nanos.min(self.asked.nanos),
        };
        self.committed = self.committed.max(known);
    }

    /// Leases no more than was settled, unless a write is under way. Says whether that is news.
    pub(super) fn give_back(&mut self) -> bool {
        let news = self.asked != self.settled;
        if !self.committed.covers(self.asked) {
            return false;
        }
        self.asked = self.settled;
        self.committed = self.settled;
        news
    }
}
