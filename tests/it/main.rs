//! Tests of the crate from outside.

// The attributes tell the lints that helpers here are tests too.
#[cfg(test)]
mod a_long_stream;
#[cfg(test)]
mod adding;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod arch;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod bad_inputs;
#[cfg(test)]
mod bad_requests;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod client_keys;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod config_edit;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod cooldown;
#[cfg(test)]
mod deps;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod effects;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod history;
#[cfg(test)]
#[cfg(feature = "import")]
mod import;
#[cfg(test)]
mod input;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod quotas;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod rolling;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod signin;
#[cfg(test)]
mod slots;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod support;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod trials;
#[cfg(test)]
mod vectors;
