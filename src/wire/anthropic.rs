//! Anthropic's messages: requests in, answers out.
