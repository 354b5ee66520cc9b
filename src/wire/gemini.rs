//! Gemini's generateContent payload: requests out, answers in.
//!
//! Upstream 1 (the Cloud Code API) wraps it in an envelope that is `upstream`'s business; the Gemini API and Vertex take
//! it as it is.

mod contents;
mod fence;
mod image;
mod names;
pub mod request;
pub mod schema;
mod signatures;
pub mod stream;
mod thinking;
mod tools;
mod writer;

use std::collections::{HashMap, HashSet};

use crate::base::id::Dialect;
use crate::ir::Family;

pub use request::{Encoded, Target, encode_count, encode_request};
pub use stream::{StreamDecoder, decode_response};

/// Which service takes the payload; they differ in a few fields (upstream-protocol.md 5.6, 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// Google's Cloud Code API, upstream 1.
    Antigravity,
    /// The Gemini API, upstream 2.
    GeminiApi,
    /// Vertex AI, upstream 3.
    Vertex,
}

/// What a request leaves behind for the reading of its answer.
#[derive(Debug, Clone)]
pub struct Decode {
    /// The client's dialect: decides what a tool call's id may look like.
    pub dialect: Dialect,
    /// The model's family; `None` where it is not known.
    pub family: Option<Family>,
    /// Tool names that went out in another spelling: the name on the wire to the client's.
    pub names: HashMap<String, String>,
    /// The tools, by the client's name, that take one free text.
    pub free_text: HashSet<String>,
    /// Whether a Markdown code fence around the whole answer is to be removed (upstream-protocol.md 10.1).
    pub strip_fence: bool,
}

impl Decode {
    /// Nothing special about the answer.
    pub fn plain(dialect: Dialect, family: Option<Family>) -> Self {
        Self {
            dialect,
            family,
            names: HashMap::new(),
            free_text: HashSet::new(),
            strip_fence: false,
        }
    }
}
