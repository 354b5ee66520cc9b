//! What one request has used so far, by the upstream's word where there is one, else by an honest estimate.

use crate::base::money::{Price, Tokens};
use crate::ir::{Event, Usage};
use crate::pool::limit::Amount;

/// So many bytes of text are reckoned as a token: fewer than in most texts, so that estimates are rather too high.
const BYTES_PER_TOKEN: u64 = 3;
/// A picture is reckoned as so many tokens: those of a large one. The protocol document gives no figure.
pub(super) const TOKENS_PER_PICTURE: u64 = 1600;

/// An answer reserves more when it is so many tokens away from its reservation's end.
const AHEAD: u64 = 256;
/// So many at least.
const STEP: u64 = 1024;

/// The tokens that a text of so many bytes is reckoned as.
pub(super) fn tokens_of(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// What a request has used.
#[derive(Debug, Clone, Default)]
pub struct Spent {
    /// The prompt's tokens, reckoned.
    prompt: u64,
    /// Most output tokens that the client lets the upstream make.
    most: Option<u64>,
    price: Option<Price>,
    /// Of tries that failed, as far as the upstream counts them.
    past: Tokens,
    /// So much is reserved, where there are limits: what the answer must not outgrow unseen.
    reserved: Option<Amount>,
    /// A prompt was sent, or is about to be.
    sent: bool,
    call: Option<Seen>,
}

/// What the call under way has shown.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    usage: Usage,
    /// Bytes of output since the upstream last said how many tokens it made.
    bytes: u64,
    pictures: u64,
    content: bool,
}

impl Spent {
    /// Nothing yet: a prompt of so many tokens, an answer of at most `most`, to be paid at this price.
    pub fn new(prompt: u64, most: Option<u64>, price: Option<Price>) -> Self {
        Self {
            prompt,
            most,
            price,
            ..Self::default()
        }
    }

    /// The prompt's tokens, reckoned.
    pub fn prompt(&self) -> u64 {
        self.prompt
    }

    /// A prompt is about to be sent.
    pub fn sends(&mut self) {
        self.sent = true;
    }

    /// So much is reserved now.
    pub fn reserved(&mut self, reserved: Amount) {
        self.reserved = Some(reserved);
    }

    /// Whether the reservation comes to its end: more must be reserved before more is read.
    pub fn is_short(&self) -> bool {
        let soon = || self.amount().plus(self.output(AHEAD));
        self.reserved
            .is_some_and(|reserved| !reserved.covers(soon()))
    }

    /// How much more is to be reserved: best the first of these, at least the last.
    pub fn wants(&self) -> [Amount; 3] {
        let reserved = self.reserved.unwrap_or_default();
        let used = self.amount();
        let soon = used.plus(self.output(AHEAD)).minus(reserved);
        [soon.max(self.output(STEP)), soon, used.minus(reserved)]
    }

    /// The upstream began to answer.
    pub fn begins(&mut self) {
        self.call = Some(Seen::default());
    }

    /// Something of the answer came.
    pub fn event(&mut self, event: &Event<'_>) {
        let Some(seen) = &mut self.call else { return };
        seen.content |= event.is_content();
        match event {
            Event::Text(text) | Event::Thinking(text) | Event::ToolInput(text) => {
                seen.bytes = seen.bytes.saturating_add(text.len() as u64);
            }
            Event::ToolCallStart { name, .. } => {
                seen.bytes = seen.bytes.saturating_add(name.len() as u64);
            }
            Event::Media(_) => seen.pictures += 1,
            Event::Usage(usage) => {
                seen.usage.update(usage);
                if usage.output.is_some() {
                    (seen.bytes, seen.pictures) = (0, 0);
                }
            }
            _ => {}
        }
    }

    /// The call failed and may be tried again: it costs what the upstream counted, or what it made; else nothing.
    pub fn failed(&mut self) {
        if let Some(seen) = self.call.take()
            && (seen.content || seen.usage != Usage::default())
        {
            self.past = self.past.plus(self.of(&seen));
        }
    }

    fn of(&self, seen: &Seen) -> Tokens {
        let usage = &seen.usage;
        let told = usage.input.is_some() || usage.cache_read.is_some();
        let made =
            tokens_of(seen.bytes).saturating_add(seen.pictures.saturating_mul(TOKENS_PER_PICTURE));
        let output = usage.output_total().saturating_add(made);
        let most = self.most.unwrap_or(u64::MAX).max(usage.output_total());
        let cached_input = usage.cache_read.unwrap_or(0);
        Tokens {
            input: if told {
                usage.input_total().saturating_sub(cached_input)
            } else {
                self.prompt
            },
            cached_input,
            output: output.min(most),
        }
    }

    /// All tokens so far.
    pub fn tokens(&self) -> Tokens {
        match &self.call {
            Some(seen) => self.past.plus(self.of(seen)),
            None => self.past,
        }
    }

    /// The same with their price.
    pub fn amount(&self) -> Amount {
        let tokens = self.tokens();
        Amount {
            tokens: tokens.total(),
            nanos: self.price.map_or(0, |price| price.of(&tokens)),
        }
    }

    /// What is to be booked; `None` where nothing was sent.
    pub fn booked(&self) -> Option<Amount> {
        self.sent.then(|| self.amount())
    }

    /// What it cost; `None` where the model has no price or nothing was sent.
    pub fn cost(&self) -> Option<u64> {
        self.price.and(self.booked()).map(|amount| amount.nanos)
    }

    /// So many output tokens with their price.
    pub fn output(&self, tokens: u64) -> Amount {
        Amount {
            tokens,
            nanos: self.price.map_or(0, |price| price.at_most(0, tokens)),
        }
    }

    /// What the upstream said of the call under way.
    pub fn told(&self) -> Usage {
        self.call.map(|seen| seen.usage).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: Option<u64>) -> Event<'static> {
        Event::Usage(Usage {
            input: Some(input),
            cache_read: Some(10),
            output,
            ..Usage::default()
        })
    }

    fn spent() -> Spent {
        let price = Price {
            input: 1_000_000,
            cached_input: 0,
            output: 10_000_000,
        };
        let mut spent = Spent::new(100, Some(1000), Some(price));
        spent.sends();
        spent
    }

    #[test]
    fn nothing_is_booked_before_the_prompt_was_sent_and_no_answer_costs_nothing() {
        assert_eq!(Spent::new(100, None, None).booked(), None);
        let mut sent = spent();
        assert_eq!(sent.booked(), Some(Amount::default()));
        sent.failed();
        assert_eq!(sent.cost(), Some(0));
    }

    #[test]
    fn the_upstreams_word_counts_and_text_until_it_comes() {
        let mut spent = spent();
        spent.begins();
        assert_eq!(spent.tokens().total(), 100, "it took the prompt");
        spent.event(&Event::Text("seven b"));
        assert_eq!(spent.tokens().output, 3);
        spent.event(&usage(80, Some(50)));
        spent.event(&Event::Text("three"));
        let tokens = Tokens {
            input: 80,
            cached_input: 10,
            output: 52,
        };
        assert_eq!(spent.tokens(), tokens);
        assert_eq!(spent.cost(), Some(80 + 520));
        spent.event(&usage(80, Some(60)));
        assert_eq!(spent.tokens().output, 60);
    }

    #[test]
    fn an_estimate_does_not_go_beyond_what_the_upstream_may_make() {
        let mut spent = spent();
        spent.begins();
        spent.event(&Event::Text(&"x".repeat(9000)));
        assert_eq!(spent.tokens().output, 1000);
        spent.event(&usage(80, Some(1200)));
        assert_eq!(spent.tokens().output, 1200);
    }

    #[test]
    fn a_failed_try_costs_what_was_counted_or_made() {
        let mut spent = spent();
        spent.begins();
        spent.failed();
        assert_eq!(spent.tokens().total(), 0);
        spent.begins();
        spent.event(&usage(80, None));
        spent.failed();
        assert_eq!(spent.tokens().total(), 90);
        spent.begins();
        spent.event(&Event::Text("abc"));
        spent.failed();
        assert_eq!(spent.tokens().total(), 90 + 101);
    }
}
