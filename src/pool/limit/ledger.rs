//! What one owner has used, and what is reserved of it.

use jiff::tz::TimeZone;

use crate::base::money::Per;
use crate::base::time::Timestamp;
use crate::pool::limit::lease::Lease;
use crate::pool::limit::{Amount, Bounds, Claim, Limit, Over, Span, Use, Window};

/// What is reserved with one owner. To be settled once; held by whoever sees to that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hold {
    /// The step of the window in which the request was counted.
    request: Option<u64>,
    /// The same for its tokens, with how many: those that were reserved first, and those that were added last.
    tokens: [(u64, u64); 2],
    /// In all.
    reserved: Amount,
    /// Whether its tokens are counted by the minute.
    metered: bool,
    /// Whether it is counted beyond the minute.
    lasting: bool,
}

impl Hold {
    /// Gives up to `n` tokens back to the window, those that were added last first.
    fn return_tokens(&mut self, window: &mut Window, n: u64) {
        let mut left = n;
        for (step, tokens) in self.tokens.iter_mut().rev() {
            let back = left.min(*tokens);
            window.take_back(*step, back);
            *tokens -= back;
            left -= back;
        }
    }
}

/// What was settled in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Booked {
    /// The period.
    pub span: Span,
    /// How much.
    pub amount: Amount,
}

impl Booked {
    /// Where the period is over a new one begins with nothing. A clock that was set back makes the period another one, and
    /// what was booked stays.
    fn roll(&mut self, per: Per, now: Timestamp, zone: &TimeZone) {
        if self.span.holds(now) {
            return;
        }
        if now >= self.span.end {
            self.amount = Amount::default();
        }
        self.span = Span::of(per, now, zone);
    }

    fn add(&mut self, amount: Amount) {
        self.amount = self.amount.plus(amount);
    }
}

/// What is to outlive the program: what was booked in both periods, and how much more may have been used since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// In the day.
    pub day: Booked,
    /// In the month.
    pub month: Booked,
    /// Reserved beyond that, on top of both. Who finds it at a start books it in full.
    pub open: Amount,
}

/// What one owner has used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    requests: Option<Box<Window>>,
    tokens: Option<Box<Window>>,
    day: Booked,
    month: Booked,
    /// Reserved and not yet settled.
    open: Amount,
    /// Reserved when the last run ended; booked as soon as the time is known.
    carried: Amount,
    lease: Lease,
}

impl Ledger {
    /// The ledger that the last run left.
    pub fn restored(kept: Kept) -> Self {
        Self {
            day: kept.day,
            month: kept.month,
            carried: kept.open,
            ..Self::default()
        }
    }

    /// Reserves `amount` for one request.
    ///
    /// # Errors
    /// The limit that has no room for it; of several the one that resets last. Nothing is reserved then.
    pub fn reserve(
        &mut self,
        bounds: &Bounds,
        amount: Amount,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<Hold, Over> {
        self.advance(bounds, now, zone);
        self.check(bounds, 1, amount)?;
        let requests = self.requests.as_mut().filter(|_| bounds.rpm.is_some());
        let mut hold = Hold {
            request: requests.map(|window| window.add(1)),
            lasting: bounds.lasting(),
            ..Hold::default()
        };
        self.take(bounds, &mut hold, amount);
        Ok(hold)
    }

    /// Reserves `more` for a request that has a reservation.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn extend(
        &mut self,
        bounds: &Bounds,
        hold: &mut Hold,
        more: Amount,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<(), Over> {
        self.advance(bounds, now, zone);
        self.check(bounds, 0, more)?;
        self.take(bounds, hold, more);
        Ok(())
    }

    /// Takes an extension back.
    pub fn shorten(&mut self, hold: &mut Hold, less: Amount) {
        if let Some(window) = &mut self.tokens {
            hold.return_tokens(window, less.tokens);
        }
        hold.reserved = hold.reserved.minus(less);
        if hold.lasting {
            self.open = self.open.minus(less);
        }
    }

    /// Books what a request used in place of what it reserved; `None`: it did nothing, and counts for nothing.
    pub fn settle(
        &mut self,
        mut hold: Hold,
        used: Option<Amount>,
        now: Timestamp,
        zone: &TimeZone,
    ) {
        if let Some(window) = &mut self.requests {
            window.advance(now);
            if let Some(step) = hold.request.filter(|_| used.is_none()) {
                window.take_back(step, 1);
            }
        }
        let used = used.unwrap_or_default();
        if let Some(window) = &mut self.tokens {
            window.advance(now);
            hold.return_tokens(window, hold.reserved.tokens.saturating_sub(used.tokens));
            if hold.metered {
                window.add(used.tokens.saturating_sub(hold.reserved.tokens));
            }
        }
        if hold.lasting {
            self.roll(now, zone);
            self.open = self.open.minus(hold.reserved);
            self.day.add(used);
            self.month.add(used);
            self.lease.settled = self.lease.settled.plus(used);
        }
    }

    /// Where every limit stands.
    pub fn uses(&mut self, bounds: &Bounds, now: Timestamp, zone: &TimeZone) -> Vec<Use> {
        self.advance(bounds, now, zone);
        self.each(
            bounds,
            [
                u64::from(bounds.rpm.unwrap_or(0)),
                bounds.tokens_per_minute.unwrap_or(0),
            ],
        )
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether there is room for what is reserved and settled so far without a write, or what is to be written first.
    pub fn claim(&mut self, bounds: &Bounds) -> Claim {
        if !bounds.lasting() {
            return Claim::Covered;
        }
        let room = |bound: Option<u64>, used: u64| bound.map(|bound| bound.saturating_sub(used));
        let left = [
            room(bounds.tokens_per_day, self.used_today().tokens),
            room(
                bounds.budget.map(|budget| budget.nanos),
                bounds
                    .budget
                    .map_or(0, |budget| self.used(budget.per).nanos),
            ),
        ];
        self.lease.claim(self.open, left)
    }

    /// That what was asked for is written, or as good as that.
    pub fn committed(&mut self, asked: Amount) {
        self.lease.commit(asked);
    }

    /// Gives back what is leased and not needed, while nothing is open. Gives what is to be written where that is news.
    pub fn give_back(&mut self) -> Option<Kept> {
        if !self.open.is_zero() || !self.lease.give_back() {
            return None;
        }
        Some(self.kept())
    }

    /// What is to outlive the program.
    pub fn kept(&self) -> Kept {
        Kept {
            day: self.day,
            month: self.month,
            open: self.carried.plus(self.lease.open()),
        }
    }

    /// Whether anything is counted that a new ledger would not know.
    pub fn is_blank(&self, now: Timestamp) -> bool {
        let quiet = |window: &Option<Box<Window>>| {
            window.as_ref().is_none_or(|window| {
                let mut window = window.clone();
                window.advance(now);
                window.sum() == 0
            })
        };
        let over = |booked: &Booked| booked.amount.is_zero() || now >= booked.span.end;
        self.open.is_zero()
            && self.carried.is_zero()
            && over(&self.day)
            && over(&self.month)
            && quiet(&self.requests)
            && quiet(&self.tokens)
    }

    /// What of the day is used, with what is reserved.
    fn used_today(&self) -> Amount {
        self.day.amount.plus(self.open)
    }

    fn used(&self, per: Per) -> Amount {
        match per {
            Per::Day => self.used_today(),
            Per::Month => self.month.amount.plus(self.open),
        }
    }

    fn advance(&mut self, bounds: &Bounds, now: Timestamp, zone: &TimeZone) {
        let minute = |window: &mut Option<Box<Window>>, bounded: bool| {
            if bounded {
                window
                    .get_or_insert_with(|| Box::new(Window::new(now)))
                    .advance(now);
            }
        };
        minute(&mut self.requests, bounds.rpm.is_some());
        minute(&mut self.tokens, bounds.tokens_per_minute.is_some());
        if bounds.lasting() {
            self.roll(now, zone);
        }
    }

    fn roll(&mut self, now: Timestamp, zone: &TimeZone) {
        self.day.roll(Per::Day, now, zone);
        self.month.roll(Per::Month, now, zone);
        let carried = std::mem::take(&mut self.carried);
        self.day.add(carried);
        self.month.add(carried);
    }

    /// The limits as they stand; those of a minute reset when there is room for so many requests and tokens more.
    fn each(&self, bounds: &Bounds, room: [u64; 2]) -> [Option<Use>; 4] {
        let minute = |limit, bound: Option<u64>, window: &Option<Box<Window>>, more| {
            let (bound, window) = (bound?, window.as_ref()?);
            Some(Use {
                limit,
                used: window.sum(),
                bound,
                reset: window.free_at(more, bound),
            })
        };
        let [requests, tokens] = room;
        [
            minute(
                Limit::Requests,
                bounds.rpm.map(u64::from),
                &self.requests,
                requests,
            ),
            minute(
                Limit::TokensPerMinute,
                bounds.tokens_per_minute,
                &self.tokens,
                tokens,
            ),
            bounds.tokens_per_day.map(|bound| Use {
                limit: Limit::TokensPerDay,
                used: self.used_today().tokens,
                bound,
                reset: self.day.span.end,
            }),
            bounds.budget.map(|budget| Use {
                limit: Limit::Money(budget.per),
                used: self.used(budget.per).nanos,
                bound: budget.nanos,
                reset: match budget.per {
                    Per::Day => self.day.span.end,
                    Per::Month => self.month.span.end,
                },
            }),
        ]
    }

    fn check(&self, bounds: &Bounds, requests: u64, amount: Amount) -> Result<(), Over> {
        let asked = [requests, amount.tokens, amount.tokens, amount.nanos];
        let over = self
            .each(bounds, [requests, amount.tokens])
            .into_iter()
            .zip(asked)
            .filter_map(|(limit, asked)| {
                Some(Over {
                    limit: limit?,
                    asked,
                })
            })
            .filter(|over| {
                over.limit.used.saturating_add(over.asked) > over.limit.bound && over.asked > 0
            });
        over.max_by_key(|over| over.limit.reset).map_or(Ok(()), Err)
    }

    fn take(&mut self, bounds: &Bounds, hold: &mut Hold, amount: Amount) {
        let tokens = self.tokens.as_mut();
        if let Some(window) = tokens.filter(|_| bounds.tokens_per_minute.is_some()) {
            let counted = (window.add(amount.tokens), amount.tokens);
            hold.tokens[usize::from(hold.metered)] = counted;
            hold.metered = true;
        }
        hold.reserved = hold.reserved.plus(amount);
        if hold.lasting {
            self.open = self.open.plus(amount);
        }
    }
}

#[cfg(test)]
mod tests;
