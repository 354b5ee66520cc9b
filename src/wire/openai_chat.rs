//! OpenAI's chat completions: requests in, answers out.
