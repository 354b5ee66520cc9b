//! L1: the account pool's decisions as pure functions: no tokio, no locks, no clock, no I/O.

pub mod candidate;
pub mod cooldown;
pub mod failure;
pub mod limit;
pub mod report;
pub mod select;
pub mod state;
