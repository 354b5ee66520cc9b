//! The models that the simulator knows, with the limits of original.md section 2 and upstream-protocol.md 4.1.

/// What decides which rules hold for a model (upstream-protocol.md 0.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Gemini25,
    Gemini3,
    Claude,
    GptOss,
    Image,
}

/// One upstream model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) family: Family,
    /// Tokens that a prompt may have.
    pub(super) max_tokens: u64,
    /// Tokens that an answer may have, thoughts included.
    pub(super) max_output: u64,
}

const fn model(
    id: &'static str,
    name: &'static str,
    family: Family,
    max_tokens: u64,
    max_output: u64,
) -> Model {
    Model {
        id,
        name,
        family,
        max_tokens,
        max_output,
    }
}

const LONG: u64 = 1_048_576;

/// Every model on offer, those that are not for chat (`chat_*`, `tab_*`) included, as the real list has them.
pub(super) const MODELS: &[Model] = &[
    model(
        "gemini-3-flash",
        "Gemini 3 Flash",
        Family::Gemini3,
        LONG,
        65536,
    ),
    model(
        "gemini-3-pro-high",
        "Gemini 3 Pro (High)",
        Family::Gemini3,
        LONG,
        65535,
    ),
    model(
        "gemini-3-pro-low",
        "Gemini 3 Pro (Low)",
        Family::Gemini3,
        LONG,
        65535,
    ),
    model(
        "gemini-2.5-pro",
        "Gemini 2.5 Pro",
        Family::Gemini25,
        LONG,
        65535,
    ),
    model(
        "gemini-2.5-flash",
        "Gemini 2.5 Flash",
        Family::Gemini25,
        LONG,
        65535,
    ),
    model(
        "gemini-2.5-flash-lite",
        "Gemini 2.5 Flash Lite",
        Family::Gemini25,
        LONG,
        65535,
    ),
    model(
        "gemini-3-pro-image",
        "Gemini 3 Pro Image",
        Family::Image,
        65536,
        32768,
    ),
    model(
        "claude-opus-4-5-thinking",
        "Claude Opus 4.5 (Thinking)",
        Family::Claude,
        200_000,
        64000,
    ),
    model(
        "claude-sonnet-4-5",
        "Claude Sonnet 4.5",
        Family::Claude,
        200_000,
        64000,
    ),
    model(
        "claude-sonnet-4-5-thinking",
        "Claude Sonnet 4.5 (Thinking)",
        Family::Claude,
        200_000,
        64000,
    ),
    model(
        "gpt-oss-120b-medium",
        "GPT-OSS 120B (Medium)",
        Family::GptOss,
        131_072,
        32768,
    ),
    model(
        "claude-opus-4-6-thinking",
        "Claude Opus 4.6 (Thinking)",
        Family::Claude,
        200_000,
        64000,
    ),
    model(
        "claude-sonnet-4-6",
        "Claude Sonnet 4.6",
        Family::Claude,
        200_000,
        64000,
    ),
    model(
        "gemini-3.1-pro-low",
        "Gemini 3.1 Pro (Low)",
        Family::Gemini3,
        LONG,
        65535,
    ),
    model(
        "gemini-3.1-pro-high",
        "Gemini 3.1 Pro (High)",
        Family::Gemini3,
        LONG,
        65535,
    ),
    model(
        "gemini-pro-agent",
        "Gemini Pro Agent",
        Family::Gemini3,
        LONG,
        65535,
    ),
    model(
        "gemini-3.6-flash-high",
        "Gemini 3.6 Flash (High)",
        Family::Gemini3,
        LONG,
        65536,
    ),
    model(
        "gemini-3.1-flash-image",
        "Gemini 3.1 Flash Image",
        Family::Image,
        65536,
        32768,
    ),
    model("chat_20706", "", Family::Gemini25, 16384, 8192),
    model("tab_flash_lite_preview", "", Family::Gemini25, 16384, 4096),
];

/// The model with that upstream id.
pub(super) fn find(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|m| m.id == id)
}

impl Model {
    /// Whether the unary method fails for it (upstream-protocol.md 6.8).
    pub(super) fn stream_only(&self) -> bool {
        self.family == Family::Claude
            || self.id.starts_with("gemini-3-pro")
            || self.id == "gemini-3.1-flash-image"
    }

    /// The thinking levels it takes; none for a model without levels (upstream-protocol.md 5.6).
    pub(super) fn levels(&self) -> &'static [&'static str] {
        match self.family {
            Family::Gemini3 if self.id.contains("-flash") => &["MINIMAL", "LOW", "MEDIUM", "HIGH"],
            Family::Gemini3 if self.id.starts_with("gemini-3-pro") => &["LOW", "HIGH"],
            Family::Gemini3 => &["LOW", "MEDIUM", "HIGH"],
            Family::Image if self.id.contains("-flash") => &["MINIMAL", "HIGH"],
            _ => &[],
        }
    }

    /// The smallest and largest thinking budget, and whether 0 (off) and -1 (dynamic) are taken as well.
    pub(super) fn budgets(&self) -> Option<Budgets> {
        let (min, max, off) = match self.family {
            Family::Gemini25 if self.id.ends_with("-lite") => (512, 24576, true),
            Family::Gemini25 if self.id.contains("-flash") => (0, 24576, true),
            Family::Gemini25 => (128, 32768, false),
            Family::Gemini3 => (128, 32768, true),
            Family::Claude => (1024, 64000, true),
            Family::GptOss | Family::Image => return None,
        };
        Some(Budgets {
            min,
            max,
            off,
            dynamic: self.family != Family::Claude,
        })
    }

    /// Whether it takes pictures and documents.
    pub(super) fn sees(&self) -> bool {
        self.family != Family::GptOss
    }
}

/// The thinking budgets that a model takes, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budgets {
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) off: bool,
    pub(super) dynamic: bool,
}

impl Budgets {
    /// Whether `budget` is taken.
    pub(super) fn takes(self, budget: i64) -> bool {
        match budget {
            0 => self.off,
            -1 => self.dynamic,
            n => (self.min..=self.max).contains(&n),
        }
    }
}
