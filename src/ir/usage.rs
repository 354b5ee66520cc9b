//! Token counts.

/// Token counts of one answer. The five counts are disjoint but for `reasoning`, which is part of `output`. `None` means
/// that the upstream did not say, which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens that were not read from the provider's prompt cache.
    pub input: Option<u64>,
    /// Input tokens read from the cache.
    pub cache_read: Option<u64>,
    /// Input tokens written to the cache.
    pub cache_write: Option<u64>,
    /// Output tokens with reasoning.
    pub output: Option<u64>,
    /// Of `output`, those spent on thinking.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// All input tokens, cached or not; an unknown part counts as 0.
    pub fn input_total(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }

    /// Output tokens, 0 where unknown.
    pub fn output_total(&self) -> u64 {
        self.output.unwrap_or(0)
    }

    /// Replaces each count that `newer` knows: upstreams send running totals.
    pub fn update(&mut self, newer: &Self) {
        self.input = newer.input.or(self.input);
        self.cache_read = newer.cache_read.or(self.cache_read);
        self.cache_write = newer.cache_write.or(self.cache_write);
        self.output = newer.output.or(self.output);
        self.reasoning = newer.reasoning.or(self.reasoning);
    }
}
