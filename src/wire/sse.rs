//! Server-sent events: bytes to frames.
