//! agp: a config-as-code LLM gateway. See ARCHITECTURE.md for the map; layers are enforced by a test.

pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod dispatch;
pub mod ir;
pub mod pool;
pub mod runtime;
pub mod server;
pub mod sim;
pub mod store;
pub mod upstream;
pub mod wire;
