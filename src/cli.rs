//! The command line: parse, call, print, nothing else.

pub mod hash_password;
pub mod key;
pub mod validate;
