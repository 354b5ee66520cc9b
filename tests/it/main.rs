//! Tests of the crate from outside.

// The attributes tell the lints that helpers here are tests too.
#[cfg(test)]
mod arch;
#[cfg(test)]
mod deps;
#[cfg(test)]
mod vectors;
