//! Documented operations answer as written.
