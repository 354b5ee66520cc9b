//! Sums as people see them: shares, means, quantiles.

use crate::base::metrics::BOUNDS_MS;
use crate::base::money::usd;
use crate::server::admin::accounts::describe::share;
use crate::server::admin::api::usage::Sums;
use crate::store::{Histogram, UsageSums};

/// Sums for people.
pub(in crate::server::admin) fn sums(of: &UsageSums) -> Sums {
    let errors = of.errors.values().sum();
    let client_errors: u64 = of.client_errors.values().sum();
    let succeeded = of.requests.saturating_sub(errors + client_errors);
    let counted = of.requests.saturating_sub(client_errors);
    let total = [of.input, of.cached, of.cache_write, of.output];
    Sums {
        requests: of.requests,
        succeeded,
        errors,
        client_errors,
        success_rate: (counted > 0).then(|| share(succeeded, counted)),
        input_tokens: of.input,
        cached_tokens: of.cached,
        cache_write_tokens: of.cache_write,
        output_tokens: of.output,
        reasoning_tokens: of.reasoning,
        total_tokens: total.into_iter().fold(0, u64::saturating_add),
        cost_usd: usd(of.cost),
        mean_ms: mean(&of.latency),
        p50_ms: quantile(&of.latency, 50),
        p95_ms: quantile(&of.latency, 95),
        first_token_p50_ms: quantile(&of.first_token, 50),
    }
}

fn mean(histogram: &Histogram) -> Option<u64> {
    let n: u64 = histogram.counts.iter().sum();
    // To the nearest.
    (n > 0).then(|| histogram.sum_ms.saturating_add(n / 2) / n)
}

/// The time that so many hundredths did not exceed. Between the bounds of a bucket its times are taken to lie evenly; what is
/// beyond the last bound is told as that bound.
fn quantile(histogram: &Histogram, percent: u64) -> Option<u64> {
    let n: u64 = histogram.counts.iter().sum();
    if n == 0 {
        return None;
    }
    // In hundredths of a request, so that nothing is rounded before the end.
    let rank = u128::from(n) * u128::from(percent);
    let (mut before, mut lower) = (0u128, 0u64);
    for (at, &count) in histogram.counts.iter().enumerate() {
        let Some(&upper) = BOUNDS_MS.get(at) else {
            break;
        };
        let here = u128::from(count) * 100;
        if count > 0 && before + here >= rank {
            let width = u128::from(upper - lower);
            let into = (rank - before) * width / here;
            return Some(lower + u64::try_from(into).unwrap_or(upper - lower));
        }
        before += here;
        lower = upper;
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[(usize, u64)]) -> Histogram {
        let mut all = vec![0; BOUNDS_MS.len() + 1];
        for (at, n) in counts {
            all[*at] = *n;
        }
        Histogram {
            counts: all,
            sum_ms: 0,
        }
    }

    #[test]
    fn quantiles_lie_evenly_within_their_bucket() {
        assert_eq!(quantile(&Histogram::default(), 50), None);
        // 0 to 25 ms.
        let first = histogram(&[(0, 10)]);
        assert_eq!(quantile(&first, 50), Some(12));
        assert_eq!(quantile(&first, 100), Some(25));
        // Half in 100..200, half in 1000..1500.
        let two = histogram(&[(3, 50), (7, 50)]);
        assert_eq!(quantile(&two, 25), Some(150));
        assert_eq!(quantile(&two, 50), Some(200));
        assert_eq!(quantile(&two, 75), Some(1250));
        assert_eq!(quantile(&two, 95), Some(1450));
        // Beyond the last bound.
        let late = histogram(&[(0, 1), (16, 99)]);
        assert_eq!(quantile(&late, 95), Some(300_000));
    }

    #[test]
    fn clients_own_errors_do_not_spoil_the_rate() {
        let mut of = UsageSums {
            requests: 10,
            input: 5,
            cached: 3,
            cache_write: 1,
            output: 11,
            reasoning: 4,
            cost: 1_500_000_000,
            ..UsageSums::default()
        };
        of.errors.insert("overloaded".to_owned(), 2);
        of.client_errors.insert("bad_request".to_owned(), 2);
        let sums = sums(&of);
        assert_eq!((sums.succeeded, sums.errors, sums.client_errors), (6, 2, 2));
        assert_eq!(sums.success_rate, Some(0.75));
        assert_eq!(sums.total_tokens, 20);
        assert!((sums.cost_usd - 1.5).abs() < 1e-9);
        let none = super::sums(&UsageSums::default());
        assert_eq!((none.success_rate, none.mean_ms), (None, None));
        of.requests = 2;
        of.errors.clear();
        assert_eq!(super::sums(&of).success_rate, None);
    }

    #[test]
    fn means_are_rounded() {
        let mut three = histogram(&[(0, 3)]);
        three.sum_ms = 50;
        assert_eq!(mean(&three), Some(17));
    }
}
