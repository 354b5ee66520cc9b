//! Which line of a text a place is on, without a walk over all that precedes it: of a file with tens of thousands of entries
//! the line is asked for as often.

use std::sync::Arc;

use memchr::memchr_iter;

/// Bytes between two places whose line is known. What is between them is counted when it is asked for.
const STRIDE: usize = 4096;

/// A place for people: both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// How many lines end before every so many bytes of a text.
#[derive(Debug, Clone)]
pub(crate) struct Lines(Arc<[usize]>);

impl Lines {
    /// Of this text.
    pub(crate) fn of(text: &str) -> Self {
        let mut ended = 0;
        let blocks = text.as_bytes().chunks(STRIDE).map(|block| {
            let before = ended;
            ended += memchr_iter(b'\n', block).count();
            before
        });
        Self(blocks.collect())
    }

    /// The line of a place in `text`, which must be the text that this was made of. Lines count from 1; what is behind the
    /// end is on the last line.
    pub(crate) fn line(&self, text: &str, at: usize) -> usize {
        let at = at.min(text.len());
        // A place at the very end may begin a block that is not there.
        let block = (at / STRIDE).min(self.0.len().saturating_sub(1));
        let before = self.0.get(block).copied().unwrap_or_default();
        before + memchr_iter(b'\n', &text.as_bytes()[block * STRIDE..at]).count() + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_counting_says(lengths in prop::collection::vec(0usize..700, 0..40), at: prop::sample::Index) {
            let text: String = lengths.iter().map(|n| "é".repeat(*n) + "\n").collect();
            let lines = Lines::of(&text);
            let at = at.index(text.len() + 1);
            for at in [0, at, text.len(), STRIDE.min(text.len()), (2 * STRIDE).min(text.len())] {
                let counted = text.as_bytes()[..at].split(|b| *b == b'\n').count();
                prop_assert_eq!(lines.line(&text, at), counted);
            }
            prop_assert_eq!(lines.line(&text, text.len() + 9), lengths.len() + 1);
        }
    }
}
