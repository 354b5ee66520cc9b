//! Rows of a log, for benchmarks.

use agp::base::error::{Error, ErrorKind};
use agp::base::id::{Dialect, RequestId};
use agp::base::time::Timestamp;
use agp::store::{LogRecord, TryRecord, Verdict};

/// How many of each the rows name. A few have most of the rows, and most have few.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) models: u64,
    pub(crate) accounts: u64,
    pub(crate) keys: u64,
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Luck(pub(crate) u64);

impl Luck {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    /// Small numbers often, large ones rarely.
    fn skewed(&mut self, n: u64) -> u64 {
        let (a, b) = (self.below(n), self.below(n));
        a * b * self.below(n) / (n * n)
    }
}

/// A row of this time.
pub(crate) fn row(at: Timestamp, luck: &mut Luck, crowd: Crowd) -> LogRecord {
    let began = u128::from(at.as_millis().unsigned_abs());
    let id = began << 80 | u128::from(luck.0) << 16 | u128::from(luck.below(1 << 16));
    let model = luck.skewed(crowd.models);
    // The rarest model is served by the first half of the accounts only.
    let accounts = if model + 1 == crowd.models {
        crowd.accounts / 2
    } else {
        crowd.accounts
    };
    let account = luck.skewed(accounts);
    let mut record = LogRecord::new(RequestId::from_u128(id), at, Dialect::OpenAiChat);
    record.key = Some(format!("team-{:03}", luck.skewed(crowd.keys)).into());
    record.requested = format!("model-{model:02}");
    record.model = Some(record.requested.clone().into());
    record.upstream = Some("google".into());
    record.account = Some(format!("account-{account:02}").into());
    record.upstream_model = Some(format!("upstream-model-{model:02}"));
    record.stream = luck.below(3) > 0;
    record.stop = Some("end".into());
    record.latency_ms = 300 + luck.below(9000);
    record.first_token_ms = Some(200 + luck.below(800));
    record.usage.input = Some(luck.below(20_000));
    record.usage.cache_read = Some(luck.below(5000));
    record.usage.output = Some(luck.below(3000));
    record.usage.reasoning = Some(luck.below(1000));
    record.verdicts = (0..3)
        .map(|n| Verdict {
            account: format!("account-{:02}", (account + n) % crowd.accounts).into(),
            text: if n == 0 { "chosen" } else { "not drawn" }.into(),
        })
        .collect();
    let (status, kind) = match luck.below(1000) {
        0..940 => (200, None),
        940..975 => (429, Some(ErrorKind::RateLimited)),
        975..990 => (400, Some(ErrorKind::BadRequest)),
        990..998 => (503, Some(ErrorKind::Overloaded)),
        _ => (502, Some(ErrorKind::UpstreamFailed)),
    };
    record.status = status;
    record.error = kind.map(|kind| (&Error::new(kind, "a sentence about what went wrong")).into());
    let tries = 1 + u16::from(status != 200 || luck.below(20) == 0);
    for n in 1..=tries {
        let failed = n < tries || status != 200;
        record.tries.push(TryRecord {
            n,
            upstream: "google".into(),
            account: format!(
                "account-{:02}",
                (account + u64::from(tries - n)) % crowd.accounts
            )
            .into(),
            model: format!("upstream-model-{model:02}"),
            host: "https://upstream.example.com".to_owned(),
            status: Some(if failed { 429 } else { 200 }),
            class: failed.then(|| "rate_limited".into()),
            latency_ms: 300,
            first_byte_ms: Some(150),
            detail: String::new(),
            start_ms: None,
        });
    }
    record
}
