//! Thinking controls by family. upstream-protocol.md 5.6, 8.1, 10.1, 11.1.

use crate::base::error::Error;
use crate::base::id::Dialect;
use crate::ir::{Effort, Family, Losses, Reasoning, Request, ThinkingDefault};
use crate::wire::gemini::Target;
use crate::wire::gemini::writer::Object;

/// Claude's smallest budget, and what is left for the answer where the budget must be lowered.
const CLAUDE_LEAST: u32 = 1024;
/// Claude's largest budget.
const CLAUDE_MOST: u32 = 64_000;

/// What `thinkingConfig` will say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thinking {
    /// Whether the answer shall show the thoughts.
    pub(super) include: bool,
    /// How much thinking; `None` leaves it to the model.
    pub(super) amount: Option<Amount>,
}

/// How much thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// Tokens; −1 is as the model likes.
    Budget(i64),
    /// A level.
    Level(Level),
}

/// Gemini 3's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Minimal,
    Low,
    Medium,
    High,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "MINIMAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }

    /// The budget that goes in its place where the upstream refuses levels.
    fn budget(self) -> i64 {
        match self {
            Self::Minimal | Self::Low => 1024,
            Self::Medium => 8192,
            Self::High => 24_576,
        }
    }
}

impl Thinking {
    /// Writes the value of `thinkingConfig`.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut config = Object::new(out);
        if self.include {
            config.json("includeThoughts", &true);
        }
        match self.amount {
            Some(Amount::Budget(tokens)) => config.json("thinkingBudget", &tokens),
            Some(Amount::Level(level)) => config.string("thinkingLevel", level.as_str()),
            None => {}
        }
        config.end();
    }
}

/// Decides the thinking of one request. `max` is the answer's limit as it will go out, `forced` says that a tool must
/// be called.
///
/// # Errors
/// Anthropic's own 400 where its client asks for thinking together with what thinking excludes (8.1).
pub(super) fn plan(
    req: &Request,
    target: &Target<'_>,
    max: Option<u32>,
    forced: bool,
    losses: &mut Losses,
) -> Result<Option<Thinking>, Error> {
    let default = target.thinking.map(|d| match d {
        ThinkingDefault::Budget(tokens) => Reasoning::Budget(tokens),
        ThinkingDefault::Level(effort) => Reasoning::Effort(effort),
        ThinkingDefault::Off => Reasoning::Off,
    });
    let said = req
        .reasoning
        .filter(|r| !matches!(r, Reasoning::EffortOnly(_)));
    let wanted = said.or(default);
    match target.family {
        Some(Family::Gemini25) => Ok(wanted.map(|w| gemini25(w, target.model))),
        Some(Family::Gemini3) => {
            let plan = if let Some(Reasoning::EffortOnly(effort)) = req.reasoning {
                Some(Thinking {
                    include: default.is_some_and(is_on),
                    amount: Some(Amount::Level(level_of(effort, target.model))),
                })
            } else {
                wanted.map(|w| gemini3(w, target.model))
            };
            Ok(plan.map(|p| {
                if target.level_as_budget {
                    with_budget(p)
                } else {
                    p
                }
            }))
        }
        Some(Family::Claude) => claude(req, wanted, said.is_some(), max, forced, losses),
        Some(Family::GptOss | Family::Image) | None => {
            if said.is_some() {
                losses.note(field(req.dialect));
            }
            Ok(None)
        }
    }
}

/// Where the client said it.
fn field(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "reasoning_effort",
        Dialect::Anthropic => "thinking",
    }
}

fn is_on(reasoning: Reasoning) -> bool {
    !matches!(
        reasoning,
        Reasoning::Off
            | Reasoning::Budget(0)
            | Reasoning::Effort(Effort::None)
            | Reasoning::EffortOnly(_)
    )
}

/// `model`'s smallest (other than off) and largest budget, and what comes nearest to off.
fn range25(model: &str) -> (u32, u32, u32) {
    if model.contains("-pro") {
        (128, 32_768, 128)
    } else if model.contains("-lite") {
        (512, 24_576, 0)
    } else {
        (1, 24_576, 0)
    }
}

fn gemini25(wanted: Reasoning, model: &str) -> Thinking {
    let (least, most, off) = range25(model);
    if !is_on(wanted) {
        return Thinking {
            include: false,
            amount: Some(Amount::Budget(i64::from(off))),
        };
    }
    let tokens = match wanted {
        Reasoning::Adaptive(_) => -1,
        Reasoning::Budget(tokens) => i64::from(tokens.clamp(least, most)),
        Reasoning::Effort(effort) | Reasoning::EffortOnly(effort) => {
            i64::from(budget_of(effort).clamp(least, most))
        }
        Reasoning::Off => i64::from(off),
    };
    Thinking {
        include: true,
        amount: Some(Amount::Budget(tokens)),
    }
}

/// The table of 10.1; what a model can't have is clamped by the caller.
fn budget_of(effort: Effort) -> u32 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High => 24_576,
        Effort::Xhigh | Effort::Max => 32_768,
    }
}

fn gemini3(wanted: Reasoning, model: &str) -> Thinking {
    let level = match wanted {
        Reasoning::Off | Reasoning::Budget(0) => Some(level_of(Effort::None, model)),
        Reasoning::Effort(effort) | Reasoning::EffortOnly(effort) => Some(level_of(effort, model)),
        Reasoning::Adaptive(effort) => effort.map(|e| level_of(e, model)),
        Reasoning::Budget(..=1024) => Some(level_of(Effort::Low, model)),
        Reasoning::Budget(..=8192) => Some(level_of(Effort::Medium, model)),
        Reasoning::Budget(_) => Some(Level::High),
    };
    Thinking {
        include: is_on(wanted),
        amount: level.map(Amount::Level),
    }
}

/// The nearest level that the model has: 3 pro knows two, later pros three, flash all four.
fn level_of(effort: Effort, model: &str) -> Level {
    let flash = model.contains("flash");
    let first_pro = model
        .strip_prefix("gemini-3-pro")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    match effort {
        Effort::None | Effort::Minimal if flash => Level::Minimal,
        Effort::None | Effort::Minimal | Effort::Low => Level::Low,
        Effort::Medium if !first_pro => Level::Medium,
        Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => Level::High,
    }
}

fn with_budget(plan: Thinking) -> Thinking {
    let amount = plan.amount.map(|amount| match amount {
        Amount::Level(level) => Amount::Budget(level.budget()),
        budget @ Amount::Budget(_) => budget,
    });
    Thinking { amount, ..plan }
}

fn claude(
    req: &Request,
    wanted: Option<Reasoning>,
    said: bool,
    max: Option<u32>,
    forced: bool,
    losses: &mut Losses,
) -> Result<Option<Thinking>, Error> {
    let wish = match wanted {
        Some(Reasoning::Budget(tokens)) => tokens,
        Some(Reasoning::Effort(effort)) => budget_of(effort),
        Some(Reasoning::Adaptive(effort)) => budget_of(effort.unwrap_or(Effort::High)),
        Some(Reasoning::Off | Reasoning::EffortOnly(_)) | None => 0,
    };
    if wish == 0 {
        return Ok(None);
    }
    let wish = wish.clamp(CLAUDE_LEAST, CLAUDE_MOST);
    let budget = match max {
        Some(max) if wish >= max => max.saturating_sub(CLAUDE_LEAST),
        _ => wish,
    };
    if budget < CLAUDE_LEAST {
        losses.note(format!(
            "{} (the answer's limit leaves no room for it)",
            field(req.dialect)
        ));
        return Ok(None);
    }
    if said && req.dialect == Dialect::Anthropic {
        refuse_like_anthropic(req, forced)?;
    } else if forced {
        losses.note(format!(
            "{} (a forced tool excludes it)",
            field(req.dialect)
        ));
        return Ok(None);
    }
    Ok(Some(Thinking {
        include: true,
        amount: Some(Amount::Budget(i64::from(budget))),
    }))
}

/// What Anthropic answers itself to these combinations (8.1).
fn refuse_like_anthropic(req: &Request, forced: bool) -> Result<(), Error> {
    let sampling = &req.sampling;
    if forced {
        return Err(Error::bad_request(
            "tool_choice",
            "thinking may not be enabled when `tool_choice` forces tool use",
        ));
    }
    if sampling.temperature.is_some_and(|t| (t - 1.0).abs() > 1e-9) {
        return Err(Error::bad_request(
            "temperature",
            "`temperature` may only be set to 1 when thinking is enabled",
        ));
    }
    if sampling.top_k.is_some() {
        return Err(Error::bad_request(
            "top_k",
            "`top_k` must be unset when thinking is enabled",
        ));
    }
    if sampling.top_p.is_some_and(|p| !fits_thinking(p)) {
        return Err(Error::bad_request(
            "top_p",
            "`top_p` must be between 0.95 and 1 when thinking is enabled",
        ));
    }
    Ok(())
}

/// Whether Claude takes this `topP` beside thinking.
pub(super) fn fits_thinking(top_p: f64) -> bool {
    (0.95..=1.0).contains(&top_p)
}

#[cfg(test)]
mod tests;
