//! Folds the events of a stream into a whole answer.

use crate::ir::event::Event;
use crate::ir::response::{OutBlock, Response};

/// Collects events. Neighbouring text blocks become one, likewise thinking blocks that carry no signature.
#[derive(Debug, Default)]
pub struct Collector {
    response: Response,
    finished: bool,
    bytes: usize,
}

impl Collector {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event. `Fail` changes nothing: what to do about it is the caller's decision.
    pub fn event(&mut self, event: &Event<'_>) {
        let blocks = &mut self.response.blocks;
        match event {
            Event::TextStart => {
                if !matches!(blocks.last(), Some(OutBlock::Text(_))) {
                    blocks.push(OutBlock::Text(String::new()));
                }
            }
            Event::ThinkingStart => {
                if !matches!(
                    blocks.last(),
                    Some(OutBlock::Thinking {
                        signature: None,
                        ..
                    })
                ) {
                    blocks.push(OutBlock::Thinking {
                        text: String::new(),
                        signature: None,
                    });
                }
            }
            Event::ToolCallStart {
                id,
                name,
                free_text,
                signature,
            } => blocks.push(OutBlock::ToolCall {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                input: String::new(),
                free_text: *free_text,
                signature: signature.cloned(),
            }),
            Event::Text(piece) => {
                if let Some(OutBlock::Text(text)) = blocks.last_mut() {
                    text.push_str(piece);
                }
                self.bytes += piece.len();
            }
            Event::Thinking(piece) => {
                if let Some(OutBlock::Thinking { text, .. }) = blocks.last_mut() {
                    text.push_str(piece);
                }
                self.bytes += piece.len();
            }
            Event::ToolInput(piece) => {
                if let Some(OutBlock::ToolCall { input, .. }) = blocks.last_mut() {
                    input.push_str(piece);
                }
                self.bytes += piece.len();
            }
            Event::Media(media) => {
                self.bytes += media.base64.len();
                blocks.push(OutBlock::Media((*media).clone()));
            }
            Event::BlockStop { signature } => {
                if let (
                    Some(OutBlock::Thinking {
                        signature: slot, ..
                    }),
                    Some(signature),
                ) = (blocks.last_mut(), signature)
                {
                    *slot = Some((*signature).clone());
                }
            }
            Event::Usage(usage) => self.response.usage.update(usage),
            Event::Stop(reason) => {
                self.response.stop = *reason;
                self.finished = true;
            }
            Event::Fail(_) => {}
        }
    }

    /// Bytes of content gathered so far, to be held against a limit.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `Stop` was seen.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The answer as far as it came.
    pub fn into_response(self) -> Response {
        self.response
    }
}
