//! Settings that take effect on reload.
