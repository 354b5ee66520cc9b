//! What is sent to and from the admin API, as types.

pub mod session;
