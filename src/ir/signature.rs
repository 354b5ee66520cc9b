//! What earlier answers left behind: signatures that a client's dialect could not carry back.

use crate::ir::request::SignatureFamily;

/// What is known of a tool call that an earlier answer made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCall {
    /// Who signed it.
    pub family: SignatureFamily,
    /// The signature: of the call itself (Gemini), or of the thinking before it (Claude).
    pub signature: String,
    /// Claude: the thinking block's exact text, to be put in front of the call.
    pub thinking: Option<String>,
}

/// Looks up signatures of one client key's earlier answers. upstream-protocol.md 13.3; never "the last one seen".
pub trait SignatureLookup {
    /// By the call's id as the client was given it.
    fn by_call(&self, call_id: &str) -> Option<KnownCall>;

    /// By the exact text of a thinking block.
    fn by_text(&self, family: SignatureFamily, text: &str) -> Option<String>;

    /// Which family is known to have made this signature, and for which thinking text (`None`: for a call).
    /// `None` where the signature was never seen.
    fn owner(&self, signature: &str) -> Option<(SignatureFamily, Option<String>)>;
}

/// Knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSignatures;

impl SignatureLookup for NoSignatures {
    fn by_call(&self, _call_id: &str) -> Option<KnownCall> {
        None
    }

    fn by_text(&self, _family: SignatureFamily, _text: &str) -> Option<String> {
        None
    }

    fn owner(&self, _signature: &str) -> Option<(SignatureFamily, Option<String>)> {
        None
    }
}
