//! L1: the canonical model between dialects. No serde of any vendor's shape; no file here knows a vendor.

pub mod collect;
pub mod event;
pub mod loss;
pub mod media;
pub mod request;
pub mod response;
pub mod signature;
pub mod tool;
pub mod usage;

pub use collect::Collector;
pub use event::{Event, Fault};
pub use loss::Losses;
pub use media::Media;
pub use request::{
    Block, BlockBody, Effort, Family, OutputFormat, Reasoning, Request, ResultPart, Role, Sampling,
    Signature, SignatureFamily, ThinkingDefault, Turn,
};
pub use response::{OutBlock, Response, StopReason};
pub use signature::{KnownCall, NoSignatures, SignatureLookup};
pub use tool::{Tool, ToolChoice};
pub use usage::Usage;
