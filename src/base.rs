//! L0: ids, secrets, time, units, errors, tasks, metrics, core dumps. Imports nothing of ours.

pub mod dump;
pub mod error;
pub mod id;
pub mod key;
pub mod metrics;
pub mod money;
pub mod secret;
pub mod task;
pub mod time;
pub mod units;
