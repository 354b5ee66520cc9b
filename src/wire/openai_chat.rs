//! OpenAI's chat completions: requests in, answers out. upstream-protocol.md 9.4 and 10.

pub(in crate::wire) mod error;
mod models;
mod request;
mod response;
mod stream;
mod types;

pub use error::render_error;
pub use models::{encode_model, encode_models};
pub use request::decode_request;
pub use response::encode_response;
pub use stream::StreamEncoder;
