//! A chat request, whatever dialect it came in.

use serde_json::value::RawValue;

use crate::base::id::Dialect;
use crate::ir::loss::Losses;
use crate::ir::media::Media;
use crate::ir::tool::{Tool, ToolChoice};

/// What a client asked for. Decoders keep the order and number of messages; encoders merge or hoist where their dialect
/// demands it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dialect it came in.
    pub dialect: Dialect,
    /// The model's public name; empty where the client gave none (`routing.default_model` then decides).
    pub model: String,
    /// The conversation, one turn per message of the wire, system messages among them where they stood.
    pub turns: Vec<Turn>,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them; `None` where the client did not say.
    pub tool_choice: Option<ToolChoice>,
    /// Temperature and the like.
    pub sampling: Sampling,
    /// What the client said of thinking; `None` where it said nothing.
    pub reasoning: Option<Reasoning>,
    /// The form of the answer.
    pub output: OutputFormat,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// OpenAI's `stream_options.include_usage`.
    pub include_usage: bool,
    /// What names the conversation or its user, for affinity only (`metadata.user_id`, `prompt_cache_key`, `user`, else a
    /// session header).
    pub conversation: Option<String>,
    /// Asked for pictures (`modalities` with `image`).
    pub wants_images: bool,
    /// OpenAI's `size` and `quality` where images are asked for.
    pub image: ImageOptions,
    /// What the decoder could not carry.
    pub losses: Losses,
}

/// The shape of a picture that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// `WxH`.
    pub size: Option<String>,
    /// `hd`, `high`, `medium`, `standard`, `low`, `auto`.
    pub quality: Option<String>,
}

impl Request {
    /// An empty request of this dialect.
    pub fn new(dialect: Dialect, model: impl Into<String>) -> Self {
        Self {
            dialect,
            model: model.into(),
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            sampling: Sampling::default(),
            reasoning: None,
            output: OutputFormat::Text,
            stream: false,
            include_usage: false,
            conversation: None,
            wants_images: false,
            image: ImageOptions::default(),
            losses: Losses::default(),
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operator of the client: system and developer messages.
    System,
    /// The user; tool results too.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a message with the signature that its provider put on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The content.
    pub body: BlockBody,
    /// The provider's signature, as the client returned it.
    pub signature: Option<Signature>,
}

impl From<BlockBody> for Block {
    fn from(body: BlockBody) -> Self {
        Self {
            body,
            signature: None,
        }
    }
}

/// The content of a block.
#[derive(Debug, Clone, PartialEq)]
pub enum BlockBody {
    /// Text.
    Text(String),
    /// A refusal that an assistant message holds (OpenAI).
    Refusal(String),
    /// A picture, document or sound.
    Media(Media),
    /// The model called a tool.
    ToolCall {
        /// The call's id as the client wrote it.
        id: String,
        /// The tool's name as the client knows it.
        name: String,
        /// The arguments: the text of a JSON object, always valid. What was no object is `{"raw_arguments":"<text>"}`.
        /// Text, because a parsed number would come out changed.
        input: String,
    },
    /// What a tool answered.
    ToolResult {
        /// The id of the call.
        call_id: String,
        /// The tool's name where the client gave it; encoders look it up by the id first.
        name: Option<String>,
        /// The answer's parts, in order.
        content: Vec<ResultPart>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// The model's thinking, to be replayed.
    Thinking(String),
    /// Thinking that the provider encrypted (Anthropic).
    RedactedThinking(String),
}

/// A piece of a tool's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultPart {
    /// Text.
    Text(String),
    /// A picture or document.
    Media(Media),
}

/// A provider's signature on a block: opaque, only ever sent back to the family that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who made it, where that is known (a family mark, or the field it stood in).
    pub family: Option<SignatureFamily>,
    /// The text as the client returned it, family mark removed.
    pub value: String,
}

/// Whose signatures are understood by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureFamily {
    /// Anthropic's models.
    Claude,
    /// Google's models.
    Gemini,
}

/// What kind of model this is: decides thinking controls, signatures, quirks. upstream-protocol.md 0.2.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Family {
    /// `gemini-2…`: thinking budgets.
    #[serde(rename = "gemini25")]
    Gemini25,
    /// `gemini-3…` and numberless Gemini ids: thinking levels, mandatory signatures.
    #[serde(rename = "gemini3")]
    Gemini3,
    /// Anthropic's models.
    #[serde(rename = "claude")]
    Claude,
    /// `gpt-oss…`.
    #[serde(rename = "gpt-oss")]
    GptOss,
    /// Models that answer with pictures.
    #[serde(rename = "image")]
    Image,
}

impl Family {
    /// The family that a model id names, `None` where the id says nothing.
    pub fn of(model: &str) -> Option<Self> {
        let model = model.strip_prefix("models/").unwrap_or(model);
        if model.contains("-image") {
            Some(Self::Image)
        } else if model.starts_with("claude") {
            Some(Self::Claude)
        } else if model.starts_with("gpt-oss") {
            Some(Self::GptOss)
        } else if model.starts_with("gemini-2") || model.starts_with("gemini-1") {
            Some(Self::Gemini25)
        } else if model.starts_with("gemini") {
            Some(Self::Gemini3)
        } else {
            None
        }
    }

    /// Whose signatures a model of this family takes; `None` where it takes none.
    pub fn signatures(self) -> Option<SignatureFamily> {
        match self {
            Self::Claude => Some(SignatureFamily::Claude),
            Self::Gemini25 | Self::Gemini3 => Some(SignatureFamily::Gemini),
            Self::GptOss | Self::Image => None,
        }
    }
}

/// Sampling and limits; each `None` where the client said nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// 0–2.
    pub temperature: Option<f64>,
    /// 0–1.
    pub top_p: Option<f64>,
    /// At least 1.
    pub top_k: Option<u32>,
    /// Most tokens of the answer, thinking included.
    pub max_output: Option<u32>,
    /// Texts that end the answer; none empty.
    pub stop: Vec<String>,
    /// Seed.
    pub seed: Option<i64>,
    /// −2 to 2.
    pub presence_penalty: Option<f64>,
    /// −2 to 2.
    pub frequency_penalty: Option<f64>,
}

/// What the client said of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    /// Off.
    Off,
    /// On with so many tokens (Anthropic's `enabled`, the extension `thinking_budget`).
    Budget(u32),
    /// On, as much as the model likes, or as the effort says (Anthropic's `adaptive`).
    Adaptive(Option<Effort>),
    /// An effort (OpenAI's `reasoning_effort`).
    Effort(Effort),
    /// An effort that does not by itself ask for thinking (Anthropic's `output_config.effort` without `thinking`).
    EffortOnly(Effort),
}

/// How hard to think.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More than much.
    Xhigh,
    /// As much as possible.
    Max,
}

/// The form of the answer.
#[derive(Debug, Clone, Default)]
pub enum OutputFormat {
    /// Plain text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of this schema, as the client wrote it.
    JsonSchema(Box<RawValue>),
}

/// What a model's entry in agp.toml says of thinking, where the client says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingDefault {
    /// On with a budget in tokens.
    Budget(u32),
    /// On at a level.
    Level(Effort),
    /// Off.
    Off,
}
