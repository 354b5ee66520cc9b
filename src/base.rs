//! L0: ids, secrets, time, units, errors, tasks, metrics. Imports nothing of ours.

pub mod error;
pub mod id;
pub mod metrics;
pub mod money;
pub mod secret;
pub mod task;
pub mod time;
pub mod units;
