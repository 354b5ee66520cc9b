//! Money in whole billionths of a US dollar, so that sums are exact.

use std::fmt;

/// Billionths of a US dollar. 2⁶⁴ of them are more than 18 thousand million dollars.
pub type Nanos = u64;

/// Billionths in a dollar.
const DOLLAR: u32 = 1_000_000_000;

/// An amount in dollars as nanos, rounded; nothing for what is no amount, the most there is for what is more.
pub fn nanos(usd: f64) -> Nanos {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    let nanos = (usd * f64::from(DOLLAR)).round() as Nanos;
    nanos
}

/// Nanos in dollars, for numbers that people read: not exact.
pub fn usd(nanos: Nanos) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "shown to people, to 15 digits at least"
    )]
    let nanos = nanos as f64;
    nanos / f64::from(DOLLAR)
}

/// Shows an amount as `$1.50`, to the millionth of a dollar, rounded up.
#[derive(Debug, Clone, Copy)]
pub struct Dollars(pub Nanos);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.div_ceil(1000);
        let digits = format!("{:06}", micros % 1_000_000);
        let digits = digits.trim_end_matches('0');
        write!(f, "${}.{digits:0<2}", micros / 1_000_000)
    }
}

/// The calendar's period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Per {
    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What a model's tokens cost, in nanos for a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Input that was not read from the provider's cache.
    pub input: Nanos,
    /// Input that was.
    pub cached_input: Nanos,
    /// Output with reasoning.
    pub output: Nanos,
}

/// Tokens that are paid for; the three are disjoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input that was not read from the provider's cache.
    pub input: u64,
    /// Input that was.
    pub cached_input: u64,
    /// Output with reasoning.
    pub output: u64,
}

impl Tokens {
    /// All together.
    pub fn total(&self) -> u64 {
        [self.cached_input, self.output]
            .into_iter()
            .fold(self.input, u64::saturating_add)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            output: self.output.saturating_add(other.output),
        }
    }
}

impl Price {
    /// What so many tokens cost, rounded up.
    pub fn of(&self, tokens: &Tokens) -> Nanos {
        let part = |tokens: u64, price: Nanos| u128::from(tokens) * u128::from(price);
        let millionths = part(tokens.input, self.input)
            .saturating_add(part(tokens.cached_input, self.cached_input))
            .saturating_add(part(tokens.output, self.output));
        Nanos::try_from(millionths.div_ceil(1_000_000)).unwrap_or(Nanos::MAX)
    }

    /// The most that this much input may cost, cached or not, with this much output.
    pub fn at_most(&self, input: u64, output: u64) -> Nanos {
        let dear = Self {
            input: self.input.max(self.cached_input),
            ..*self
        };
        dear.of(&Tokens {
            input,
            cached_input: 0,
            output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_shown() {
        assert_eq!(nanos(0.075), 75_000_000);
        assert_eq!(nanos(1.0), 1_000_000_000);
        assert_eq!(
            (nanos(-1.0), nanos(f64::NAN), nanos(1e30)),
            (0, 0, u64::MAX)
        );
        for (nanos, shown) in [
            (0, "$0.00"),
            (1, "$0.000001"),
            (1_500_000_000, "$1.50"),
            (50_000_000_000, "$50.00"),
            (1_234_567_800, "$1.234568"),
        ] {
            assert_eq!(Dollars(nanos).to_string(), shown);
        }
        assert!((usd(2_500_000_000) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn tokens_have_their_prices_and_fractions_count_as_one() {
        let price = Price {
            input: nanos(0.30),
            cached_input: nanos(0.075),
            output: nanos(2.50),
        };
        let tokens = Tokens {
            input: 1_000_000,
            cached_input: 2_000_000,
            output: 100_000,
        };
        assert_eq!(price.of(&tokens), nanos(0.30 + 0.15 + 0.25));
        let cheap = Price {
            input: 1,
            cached_input: 1,
            output: 1,
        };
        assert_eq!(cheap.of(&tokens), 4, "3.1 nanos");
        let most = Tokens {
            input: u64::MAX,
            cached_input: u64::MAX,
            output: u64::MAX,
        };
        assert_eq!(price.of(&most), u64::MAX);
        assert_eq!(most.total(), u64::MAX);
        assert!(
            price.at_most(10, 10)
                >= price.of(&Tokens {
                    cached_input: 10,
                    output: 10,
                    input: 0
                })
        );
    }
}
