//! The clients' dialects behind one name: the one match from dialect to codec.

use bytes::Bytes;

use crate::base::error::Error;
use crate::base::id::{Dialect, RequestId};
use crate::ir::{Event, Request, Response};
use crate::wire::{ModelInfo, Reply, anthropic, openai_chat};

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Front {
    /// OpenAI's chat completions.
    OpenAiChat,
    /// Anthropic's messages.
    Anthropic,
}

impl From<Dialect> for Front {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAiChat => Self::OpenAiChat,
            Dialect::Anthropic => Self::Anthropic,
        }
    }
}

impl Front {
    /// The dialect's name in requests and records.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenAiChat => Dialect::OpenAiChat,
            Self::Anthropic => Dialect::Anthropic,
        }
    }

    /// Decodes a request's body; media stays a slice of it.
    ///
    /// # Errors
    /// A 400 that names the field at fault.
    pub fn decode_request(self, body: &Bytes) -> Result<Request, Error> {
        match self {
            Self::OpenAiChat => openai_chat::decode_request(body),
            Self::Anthropic => anthropic::decode_request(body),
        }
    }

    /// The body of a whole answer.
    pub fn encode_response(self, response: &Response, reply: &Reply) -> Vec<u8> {
        match self {
            Self::OpenAiChat => openai_chat::encode_response(response, reply),
            Self::Anthropic => anthropic::encode_response(response, reply),
        }
    }

    /// An encoder for one streamed answer.
    pub fn stream_encoder(self, reply: &Reply) -> StreamEncoder {
        match self {
            Self::OpenAiChat => StreamEncoder::OpenAiChat(openai_chat::StreamEncoder::new(reply)),
            Self::Anthropic => StreamEncoder::Anthropic(anthropic::StreamEncoder::new(reply)),
        }
    }

    /// Status and body for an error that goes out before anything else.
    pub fn render_error(self, error: &Error, request: RequestId) -> (u16, Vec<u8>) {
        match self {
            Self::OpenAiChat => openai_chat::render_error(error, request),
            Self::Anthropic => anthropic::render_error(error, request),
        }
    }

    /// The body of the list of models.
    pub fn encode_models(self, models: &[ModelInfo]) -> Vec<u8> {
        match self {
            Self::OpenAiChat => openai_chat::encode_models(models),
            Self::Anthropic => anthropic::encode_models(models),
        }
    }

    /// The body that tells of one model.
    pub fn encode_model(self, model: &ModelInfo) -> Vec<u8> {
        match self {
            Self::OpenAiChat => openai_chat::encode_model(model),
            Self::Anthropic => anthropic::encode_model(model),
        }
    }
}

/// Writes one streamed answer as server-sent events. Events go in as the grammar of [`Event`] has them; after `Stop` or
/// [`Self::fail`] nothing more.
#[derive(Debug)]
pub enum StreamEncoder {
    /// OpenAI's chunks.
    OpenAiChat(openai_chat::StreamEncoder),
    /// Anthropic's events.
    Anthropic(anthropic::StreamEncoder),
}

impl StreamEncoder {
    /// Appends what this event means to the client. `Fail` appends nothing: whoever classes it calls [`Self::fail`].
    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.event(event, out),
            Self::Anthropic(encoder) => encoder.event(event, out),
        }
    }

    /// Appends what keeps a silent stream open.
    pub fn keepalive(&self, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.keepalive(out),
            Self::Anthropic(encoder) => encoder.keepalive(out),
        }
    }

    /// Appends the dialect's error event, after which the stream must end.
    pub fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.fail(error, out),
            Self::Anthropic(encoder) => encoder.fail(error, out),
        }
    }
}

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
