//! L6: one request from the canonical model to the stream of an answer.

pub mod plan;
pub mod queue;
