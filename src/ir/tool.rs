//! Tools that the client offers, and which it wants called.

use serde_json::value::RawValue;

/// A function the model may call.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The name as the client wrote it. An upstream may want another spelling: its encoder keeps the map.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments as the client wrote it; `None` for a tool without any.
    pub parameters: Option<Box<RawValue>>,
    /// OpenAI's `custom` tool: one free text instead of JSON arguments.
    pub free_text: bool,
}

/// Which tool is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// At least one, whichever.
    Any,
    /// This one.
    Named(String),
    /// One of these, `required`: at least one of them must be called.
    Allowed {
        /// The names that may be called.
        names: Vec<String>,
        /// Whether one must be.
        required: bool,
    },
}
