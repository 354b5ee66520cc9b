//! Sums by quarter hour: for all requests, and by model, account and key. No page ever scans the log for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::LogRecord;
use crate::base::error::Origin;
use crate::base::id::{AccountId, KeyId, ModelName};
use crate::base::metrics::BOUNDS_MS;
use crate::base::money::Nanos;
use crate::base::time::Timestamp;

/// Seconds in a quarter hour.
const QUARTER: i64 = 900;

/// What sums are kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RollUp {
    /// Every request; the name is empty.
    All,
    /// By public model.
    Model,
    /// By the account that served or was tried last.
    Account,
    /// By client key.
    Key,
}

impl RollUp {
    /// The number in the table's key.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::All => 0,
            Self::Model => 1,
            Self::Account => 2,
            Self::Key => 3,
        }
    }
}

/// How many took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many fell into each bucket of [`BOUNDS_MS`], the longer ones last. Empty before the first.
    pub counts: Vec<u64>,
    /// The sum of all times in milliseconds.
    pub sum_ms: u64,
}

impl Histogram {
    fn add(&mut self, ms: u64) {
        self.counts.resize(BOUNDS_MS.len() + 1, 0);
        let at = BOUNDS_MS.partition_point(|&bound| bound < ms);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    fn remove(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_sub(*theirs);
        }
        self.sum_ms = self.sum_ms.saturating_sub(other.sum_ms);
    }
}

/// The sums of one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSums {
    /// Requests, failed ones too.
    pub requests: u64,
    /// Failed requests by [`crate::base::error::ErrorKind::as_str`], where the fault was the upstream's or the gateway's.
    pub errors: BTreeMap<String, u64>,
    /// The same where the fault was the client's own.
    pub client_errors: BTreeMap<String, u64>,
    /// Input tokens that were not read from the cache.
    pub input: u64,
    /// Input tokens read from the cache.
    pub cached: u64,
    /// Input tokens written to the cache.
    pub cache_write: u64,
    /// Output tokens with reasoning.
    pub output: u64,
    /// Of the output tokens, those spent on thinking.
    pub reasoning: u64,
    /// Whole requests that went well.
    pub latency: Histogram,
    /// Their first content.
    pub first_token: Histogram,
    /// What they cost, in billionths of a dollar, as far as models have a price.
    pub cost: Nanos,
}

impl UsageSums {
    /// Adds one request.
    pub(super) fn add(&mut self, record: &LogRecord) {
        self.requests += 1;
        if let Some(error) = &record.error {
            let by_kind = if error.origin == Origin::Client {
                &mut self.client_errors
            } else {
                &mut self.errors
            };
            *by_kind.entry(error.kind.to_string()).or_default() += 1;
        } else {
            self.latency.add(record.latency_ms);
            if let Some(ms) = record.first_token_ms {
                self.first_token.add(ms);
            }
        }
        let usage = &record.usage;
        for (sum, count) in [
            (&mut self.input, usage.input),
            (&mut self.cached, usage.cache_read),
            (&mut self.cache_write, usage.cache_write),
            (&mut self.output, usage.output),
            (&mut self.reasoning, usage.reasoning),
        ] {
            *sum = sum.saturating_add(count.unwrap_or(0));
        }
        self.cost = self.cost.saturating_add(record.cost.unwrap_or(0));
    }

    /// Adds another bucket: for totals over several quarter hours.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        for (mine, theirs) in [
            (&mut self.errors, &other.errors),
            (&mut self.client_errors, &other.client_errors),
        ] {
            for (kind, n) in theirs {
                *mine.entry(kind.clone()).or_default() += n;
            }
        }
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
        self.cost = self.cost.saturating_add(other.cost);
    }

    /// Takes a bucket out that was merged before.
    pub fn remove(&mut self, other: &Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        for (mine, theirs) in [
            (&mut self.errors, &other.errors),
            (&mut self.client_errors, &other.client_errors),
        ] {
            mine.retain(|kind, n| {
                *n = n.saturating_sub(theirs.get(kind).copied().unwrap_or_default());
                *n > 0
            });
        }
        self.input = self.input.saturating_sub(other.input);
        self.cached = self.cached.saturating_sub(other.cached);
        self.cache_write = self.cache_write.saturating_sub(other.cache_write);
        self.output = self.output.saturating_sub(other.output);
        self.reasoning = self.reasoning.saturating_sub(other.reasoning);
        self.latency.remove(&other.latency);
        self.first_token.remove(&other.first_token);
        self.cost = self.cost.saturating_sub(other.cost);
    }
}

/// The begin of [`UsageSums`]: what can be read of a bucket without its histograms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct UsageHead {
    /// As in [`UsageSums`].
    pub requests: u64,
    /// As in [`UsageSums`].
    pub errors: BTreeMap<String, u64>,
    /// As in [`UsageSums`].
    pub client_errors: BTreeMap<String, u64>,
    /// As in [`UsageSums`].
    pub input: u64,
    /// As in [`UsageSums`].
    pub cached: u64,
    /// As in [`UsageSums`].
    pub cache_write: u64,
}

impl UsageHead {
    /// Adds another bucket.
    pub fn merge(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        for (mine, theirs) in [
            (&mut self.errors, other.errors),
            (&mut self.client_errors, other.client_errors),
        ] {
            for (kind, n) in theirs {
                *mine.entry(kind).or_default() += n;
            }
        }
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
    }
}

/// One bucket as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageBucket {
    /// Begin of the quarter hour.
    pub start: Timestamp,
    /// What it is kept for.
    pub kind: RollUp,
    /// The model, account or key; empty for [`RollUp::All`].
    pub name: String,
    /// The sums.
    pub sums: UsageSums,
}

/// The quarter hour that a time lies in, counted from 1970.
pub(super) fn quarter(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs().div_euclid(QUARTER).max(0)).unwrap_or(u32::MAX)
}

/// When a quarter hour begins.
pub(super) fn quarter_start(quarter: u32) -> Timestamp {
    Timestamp(i64::from(quarter) * QUARTER * 1000)
}

/// The sums of a batch by table key, so that each bucket is read and written once for all of its requests.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(u32, u8, String), UsageSums>);

impl Tally {
    /// Adds one request to each of its buckets.
    pub(super) fn add(&mut self, record: &LogRecord) {
        let quarter = quarter(record.at);
        let names = [
            (RollUp::All, Some("")),
            (RollUp::Model, record.model.as_ref().map(ModelName::as_str)),
            (
                RollUp::Account,
                record.account.as_ref().map(AccountId::as_str),
            ),
            (RollUp::Key, record.key.as_ref().map(KeyId::as_str)),
        ];
        for (kind, name) in names {
            if let Some(name) = name {
                let key = (quarter, kind.number(), name.to_owned());
                self.0.entry(key).or_default().add(record);
            }
        }
    }

    /// The buckets with what is to be added to each.
    pub(super) fn into_buckets(self) -> impl Iterator<Item = ((u32, u8, String), UsageSums)> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Error, ErrorKind};
    use crate::base::id::{Dialect, RequestId};

    fn record(at: i64, latency: u64) -> LogRecord {
        let mut record =
            LogRecord::new(RequestId::from_u128(1), Timestamp(at), Dialect::OpenAiChat);
        record.latency_ms = latency;
        record.usage.input = Some(10);
        record.cost = Some(latency);
        record
    }

    #[test]
    fn a_bucket_bound_is_inclusive_and_the_last_one_open() {
        let mut histogram = Histogram::default();
        for ms in [0, 25, 26, 300_000, 300_001, u64::MAX] {
            histogram.add(ms);
        }
        assert_eq!(histogram.counts[0], 2);
        assert_eq!(histogram.counts[1], 1);
        assert_eq!(histogram.counts[15], 1);
        assert_eq!(histogram.counts[16], 2);
        assert_eq!(histogram.sum_ms, u64::MAX);
    }

    #[test]
    fn clients_own_errors_stand_apart_and_do_not_blur_latency() {
        let mut sums = UsageSums::default();
        for kind in [ErrorKind::BadRequest, ErrorKind::Overloaded] {
            let mut failed = record(0, 1);
            failed.error = Some((&Error::new(kind, "no")).into());
            sums.add(&failed);
        }
        sums.add(&record(0, 30));
        assert_eq!(sums.requests, 3);
        assert_eq!(sums.client_errors["bad_request"], 1);
        assert_eq!(sums.errors["overloaded"], 1);
        assert_eq!(sums.latency.counts.iter().sum::<u64>(), 1);
        assert_eq!((sums.input, sums.cost), (30, 32));
    }

    #[test]
    fn merging_two_halves_gives_the_whole() {
        let all: Vec<LogRecord> = (0..10).map(|n| record(0, n * 7000)).collect();
        let (mut whole, mut left, mut right) = <(UsageSums, UsageSums, UsageSums)>::default();
        for (n, record) in all.iter().enumerate() {
            whole.add(record);
            if n % 3 == 0 {
                left.add(record);
            } else {
                right.add(record);
            }
        }
        left.merge(&right);
        assert_eq!(left, whole);
    }

    #[test]
    fn quarters_begin_where_they_should() {
        assert_eq!(quarter(Timestamp(899_999)), 0);
        assert_eq!(quarter(Timestamp(900_000)), 1);
        assert_eq!(quarter(Timestamp(-5)), 0);
        assert_eq!(quarter_start(1), Timestamp(900_000));
    }

    #[test]
    fn a_request_counts_only_where_it_has_a_name() {
        let mut tally = Tally::default();
        tally.add(&record(0, 1));
        let mut named = record(0, 1);
        named.model = Some("m".into());
        named.key = Some("k".into());
        tally.add(&named);
        let counts: Vec<_> = tally
            .into_buckets()
            .map(|((_, kind, name), sums)| (kind, name, sums.requests))
            .collect();
        assert_eq!(
            counts,
            [
                (0, String::new(), 2),
                (1, "m".into(), 1),
                (3, "k".into(), 1)
            ]
        );
    }
}
