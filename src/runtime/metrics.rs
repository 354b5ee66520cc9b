//! What is counted while requests are served. Each cell is reached without a lock or a look-up: by a request through what it
//! holds anyway, its route and its upstream.

mod recent;

use std::sync::Arc;
use std::time::Duration;

use crate::base::error::{Error, ErrorKind, Origin};
use crate::base::id::Dialect;
use crate::base::metrics::{Counter, Histogram, Level};
use crate::ir::Usage;
use crate::pool::failure::Class;

pub use recent::Recent;

/// The dialects, in the order of their counters.
pub const DIALECTS: [Dialect; 2] = [Dialect::OpenAiChat, Dialect::Anthropic];
/// Whose fault a failure is, in the order of the counters.
pub const ORIGINS: [Origin; 3] = [Origin::Client, Origin::Upstream, Origin::Gateway];

/// What the whole program counts.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [Outcomes; DIALECTS.len()],
    /// Requests that are being served or wait for it.
    pub in_flight: Level,
    /// What ended within the last minute.
    pub recent: Recent,
    /// How long requests waited for a slot.
    pub waited: Histogram,
    /// How long requests took that were answered.
    pub latency: Histogram,
    /// How long the first content took.
    pub first_token: Histogram,
    /// Changes of the files that were put in force.
    pub applied: Counter,
    /// Changes of the files that were refused.
    pub refused: Counter,
    /// Models that an upstream publishes and the file does not name.
    pub discovered: Arc<ModelCounts>,
}

/// How requests of one dialect ended.
#[derive(Debug, Default)]
pub struct Outcomes {
    answered: Counter,
    failed: [[Counter; ErrorKind::ALL.len()]; ORIGINS.len()],
}

/// What is counted for one public model.
#[derive(Debug, Default)]
pub struct ModelCounts {
    answered: Counter,
    failed: [Counter; ORIGINS.len()],
    /// Input tokens that were not read from the provider's cache.
    pub input: Counter,
    /// Input tokens that were.
    pub cached: Counter,
    /// Output tokens without those spent on thinking.
    pub output: Counter,
    /// Tokens spent on thinking.
    pub reasoning: Counter,
}

/// How calls to one upstream ended.
#[derive(Debug, Default)]
pub struct Tries {
    good: Counter,
    failed: [Counter; Class::ALL.len()],
}

/// How a request went, as its ledger tells.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// The client's dialect.
    pub dialect: Dialect,
    /// What the client was told went wrong, and whose fault it was.
    pub error: Option<(ErrorKind, Origin)>,
    /// The model that it led to.
    pub model: Option<&'a ModelCounts>,
    /// Token counts.
    pub usage: &'a Usage,
    /// From begin to end.
    pub latency: Duration,
    /// From begin to the first content.
    pub first_token: Option<Duration>,
    /// How long it waited for slots; `None` where it never asked for one.
    pub waited: Option<Duration>,
}

impl Metrics {
    /// A request has ended.
    pub fn ended(&self, course: &Course<'_>) {
        self.outcome(course.dialect, course.error);
        let usage = course.usage;
        let tokens = usage.input_total().saturating_add(usage.output_total());
        self.recent.ended(tokens);
        if let Some(model) = course.model {
            model.ended(course.error.map(|(_, origin)| origin), course.usage);
        }
        if course.error.is_none() {
            self.latency.observe(course.latency);
        }
        if let Some(first) = course.first_token {
            self.first_token.observe(first);
        }
        if let Some(waited) = course.waited {
            self.waited.observe(waited);
        }
    }

    /// A request has ended of which no more is known: it got no further than its key, or asked for a count.
    pub fn outcome(&self, dialect: Dialect, error: Option<(ErrorKind, Origin)>) {
        let outcomes = &self.requests[dialect as usize];
        match error {
            None => outcomes.answered.inc(),
            Some((kind, origin)) => outcomes.failed[origin as usize][kind as usize].inc(),
        }
    }

    /// How requests ended so far: dialect, whose fault, outcome, number. Answers always, failures where there were any.
    pub fn outcomes(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> + '_ {
        DIALECTS
            .into_iter()
            .zip(&self.requests)
            .flat_map(|(d, of)| {
                let good = (d.as_str(), "none", "ok", of.answered.get());
                let failed = ORIGINS.into_iter().zip(&of.failed).flat_map(move |(o, f)| {
                    let kinds = ErrorKind::ALL.into_iter().zip(f);
                    kinds.map(move |(kind, n)| (d.as_str(), o.as_str(), kind.as_str(), n.get()))
                });
                std::iter::once(good).chain(failed.filter(|(.., n)| *n > 0))
            })
    }
}

/// What the counters need to know of an error.
pub fn fault(error: &Error) -> (ErrorKind, Origin) {
    (error.kind, error.origin)
}

impl ModelCounts {
    fn ended(&self, fault: Option<Origin>, usage: &Usage) {
        match fault {
            None => self.answered.inc(),
            Some(origin) => self.failed[origin as usize].inc(),
        }
        let count = |n: Option<u64>| n.unwrap_or(0);
        let reasoning = count(usage.reasoning);
        self.input
            .add(count(usage.input).saturating_add(count(usage.cache_write)));
        self.cached.add(count(usage.cache_read));
        self.output
            .add(usage.output_total().saturating_sub(reasoning));
        self.reasoning.add(reasoning);
    }

    /// Requests by whose fault it was that they failed, `none` for those that were answered.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let failed = ORIGINS.into_iter().zip(&self.failed);
        std::iter::once(("none", self.answered.get()))
            .chain(failed.map(|(origin, n)| (origin.as_str(), n.get())))
    }

    /// Tokens by kind.
    pub fn tokens(&self) -> [(&'static str, u64); 4] {
        [
            ("input", self.input.get()),
            ("cached_input", self.cached.get()),
            ("output", self.output.get()),
            ("reasoning", self.reasoning.get()),
        ]
    }
}

impl Tries {
    /// A call has ended: by this failure, or well.
    pub fn ended(&self, class: Option<Class>) {
        match class {
            None => self.good.inc(),
            Some(class) => self.failed[class as usize].inc(),
        }
    }

    /// Calls by class, `ok` always, the failures where there were any.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let failed = Class::ALL.into_iter().zip(&self.failed);
        let failed = failed.map(|(class, n)| (class.as_str(), n.get()));
        std::iter::once(("ok", self.good.get())).chain(failed.filter(|(_, n)| *n > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_of_the_lists_are_those_of_the_counters() {
        for (at, dialect) in DIALECTS.into_iter().enumerate() {
            assert_eq!(dialect as usize, at);
        }
        for (at, origin) in ORIGINS.into_iter().enumerate() {
            assert_eq!(origin as usize, at);
        }
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
        }
    }

    #[test]
    fn a_request_is_counted_once_in_each_place() {
        let metrics = Metrics::default();
        let model = ModelCounts::default();
        let usage = Usage {
            input: Some(10),
            cache_read: Some(4),
            cache_write: None,
            output: Some(7),
            reasoning: Some(5),
        };
        for error in [None, Some((ErrorKind::RateLimited, Origin::Upstream))] {
            metrics.ended(&Course {
                dialect: Dialect::Anthropic,
                error,
                model: Some(&model),
                usage: &usage,
                latency: Duration::from_secs(1),
                first_token: None,
                waited: Some(Duration::ZERO),
            });
        }
        let counted: Vec<_> = metrics.outcomes().collect();
        assert_eq!(
            counted,
            [
                ("openai_chat", "none", "ok", 0),
                ("anthropic", "none", "ok", 1),
                ("anthropic", "upstream", "rate_limited", 1),
            ]
        );
        let requests: Vec<_> = model.requests().collect();
        assert_eq!(
            requests,
            [("none", 1), ("client", 0), ("upstream", 1), ("gateway", 0)]
        );
        let tokens = model.tokens().map(|(_, n)| n);
        assert_eq!(tokens, [20, 8, 4, 10]);
    }
}
