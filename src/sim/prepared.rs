//! Answers made once and sent often: in a lenient script an answer with its own text is the same for every request.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::render::Framing;

/// The frames of an answer; each chunk is one or more pieces.
pub(super) type Frames = Arc<Vec<Vec<Bytes>>>;

/// Which answer: the rule (none: the script's top level), the model, and how it is framed.
pub(super) type Key = (Option<usize>, String, Framing);

/// Answers kept at most.
const MAX: usize = 256;

/// The answers made so far. Its lock is held for a look-up only.
#[derive(Debug, Default)]
pub(super) struct Prepared(Mutex<HashMap<Key, Frames>>);

impl Prepared {
    /// The answer kept, or the one that `make` makes.
    pub(super) fn get(&self, key: Key, make: impl FnOnce() -> Frames) -> Frames {
        if let Some(frames) = self.0.lock().get(&key) {
            return frames.clone();
        }
        let frames = make();
        let mut kept = self.0.lock();
        if kept.len() < MAX {
            kept.insert(key, frames.clone());
        }
        frames
    }
}
