//! What the admin operations take and give, as types: the `OpenAPI` document is made of them, and the panel's client of that.
//!
//! Times are RFC 3339 in UTC. What may be missing is null in an answer, and may be left out of a request.

pub mod accounts;
pub mod configuration;
pub mod edits;
pub mod events;
pub mod history;
pub mod keys;
pub mod logs;
pub mod models;
pub mod oauth;
pub mod overview;
pub mod playground;
pub mod session;
pub mod status;
pub mod usage;
