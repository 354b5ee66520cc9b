//! The command line: parse, call, print, nothing else.

pub mod login;
pub mod simulate;
