//! L4: requests out. Pure but for client, credential and oauth, and for the calls at the end of antigravity.

pub mod antigravity;
pub mod classify;
pub mod client;
pub mod credential;
mod lenient;
pub mod oauth;
#[cfg(test)]
pub(crate) mod testing;
