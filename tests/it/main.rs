//! Tests of the crate from outside.

// The attribute tells the lints that helpers here are tests too.
#[cfg(test)]
mod vectors;
