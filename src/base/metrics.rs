//! Counters and histograms that are counted without a lock, and the text form in which Prometheus reads them.
//!
//! Deliberately absent: a registry and labels. Whoever counts holds the very cell, so that counting is an atomic addition;
//! names and labels come in when the page is written.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks by one.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    /// One more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of a histogram's buckets in milliseconds: from a try that fails at once to an answer of ten minutes.
pub const BOUNDS_MS: [u64; 16] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000,
    600_000,
];

/// Times, counted in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bound, and one for all that is longer. Not cumulative: one observation adds to one of them.
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        let ms = time.as_millis();
        let at = BOUNDS_MS.partition_point(|&bound| u128::from(bound) < ms);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

/// What a metric is, in Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; begins anew with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Times in buckets.
    Histogram,
}

impl Kind {
    /// Its name in the text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page in the making, in Prometheus' text form 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
#[derive(Debug, Default)]
pub struct Page {
    out: String,
    name: &'static str,
}

impl Page {
    /// The `Content-Type` that goes with it.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a metric: what follows are its samples. `help` is one line.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        self.name = name;
        let _ = writeln!(self.out, "# HELP {name} {help}");
        let _ = writeln!(self.out, "# TYPE {name} {}", kind.as_str());
        self
    }

    /// A sample of the metric.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// A histogram's samples, in seconds.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) -> &mut Self {
        let mut count = 0;
        for (at, bucket) in histogram.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS_MS.get(at).map(|ms| seconds(*ms * 1000));
            let bound = bound.as_deref().unwrap_or("+Inf");
            self.line("_bucket", labels, Some(bound), count);
        }
        let sum = seconds(histogram.sum_us.load(Ordering::Relaxed));
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
        self
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        let mut opened = false;
        for (label, text) in labels.iter().copied().chain(bound) {
            self.out.push(if opened { ',' } else { '{' });
            opened = true;
            self.out.push_str(label);
            self.out.push_str("=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if opened {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.out
    }
}

/// Microseconds as seconds, without a float's rounding.
pub fn seconds(us: u64) -> String {
    let (whole, rest) = (us / 1_000_000, us % 1_000_000);
    if rest == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let histogram = Histogram::default();
        for ms in [0, 5, 6, 700_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut page = Page::default();
        page.metric("a_total", Kind::Counter, "What it is.")
            .sample(&[("x", "a\"b\\c\nd"), ("y", "")], 7)
            .metric("b", Kind::Gauge, "Another.")
            .sample(&[], 1.5)
            .metric("t_seconds", Kind::Histogram, "Times.")
            .histogram(&[("z", "1")], &histogram);
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "# HELP a_total What it is.",
                "# TYPE a_total counter",
                r#"a_total{x="a\"b\\c\nd",y=""} 7"#,
                "# HELP b Another.",
                "# TYPE b gauge",
                "b 1.5",
                "# HELP t_seconds Times.",
            ]
        );
        for line in [
            r#"t_seconds_bucket{z="1",le="0.005"} 2"#,
            r#"t_seconds_bucket{z="1",le="0.01"} 3"#,
            r#"t_seconds_bucket{z="1",le="600"} 3"#,
            r#"t_seconds_bucket{z="1",le="+Inf"} 4"#,
            r#"t_seconds_sum{z="1"} 700.011"#,
            r#"t_seconds_count{z="1"} 4"#,
        ] {
            assert!(lines.contains(&line), "{line}: {text}");
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn seconds_are_exact() {
        let all = [0, 1, 1_000, 2_500_000, 10_000_000].map(seconds);
        assert_eq!(all, ["0", "0.000001", "0.001", "2.5", "10"]);
    }
}
