//! The ranges of generationConfig, thinkingConfig and safetySettings for each family (upstream-protocol.md 5.6, 5.7, 8).

use serde_json::Value;

use super::{list, schema, text};
use crate::sim::models::{Family, Model};
use crate::sim::reply::Problem;

/// Checks everything that is a setting of the request.
///
/// # Errors
/// The 400 of the first rule broken.
pub(super) fn check(request: &Value, model: &Model) -> Result<(), Problem> {
    let config = &request["generationConfig"];
    if !list(request, "safetySettings").is_empty() && model.family == Family::GptOss {
        return invalid("Safety settings are not supported for this model.");
    }
    if model.family == Family::Image {
        image(request, config)?;
    } else if config.get("imageConfig").is_some() {
        return invalid("Image config is not enabled for this model.");
    }
    numbers(config, model)?;
    stops(config)?;
    output(config, model)?;
    thinking(config, model)?;
    if model.family == Family::Claude {
        claude(request, model)?;
    }
    Ok(())
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::invalid(message))
}

/// 8.5.
fn image(request: &Value, config: &Value) -> Result<(), Problem> {
    if request.get("systemInstruction").is_some() {
        return invalid("Developer instruction is not enabled for this model.");
    }
    if config.get("responseMimeType").is_some() {
        return invalid("JSON mode is not enabled for this model.");
    }
    Ok(())
}

fn range(config: &Value, name: &str, min: f64, max: f64) -> Result<(), Problem> {
    match config.get(name).and_then(Value::as_f64) {
        Some(value) if !(min..=max).contains(&value) => invalid(format!(
            "Unable to submit request because it has a {name} value of {value} but the supported range is from {min} to {max}."
        )),
        _ => Ok(()),
    }
}

fn numbers(config: &Value, model: &Model) -> Result<(), Problem> {
    range(config, "temperature", 0.0, 2.0)?;
    range(config, "topP", 0.0, 1.0)?;
    range(config, "topK", 1.0, f64::MAX)?;
    range(config, "logprobs", 0.0, 20.0)?;
    if let Some(max) = config.get("maxOutputTokens").and_then(Value::as_i64) {
        let limit = i64::try_from(model.max_output).unwrap_or(i64::MAX);
        if !(1..=limit).contains(&max) {
            return invalid(format!(
                "Unable to submit request because it has a maxOutputTokens value of {max} but the supported range is \
                 from 1 (inclusive) to {} (exclusive). Update the value and try again.",
                limit + 1
            ));
        }
    }
    if config.get("candidateCount").is_some_and(|n| *n != 1) {
        return invalid("Multiple candidates is not enabled for this model");
    }
    let penalty =
        config.get("presencePenalty").is_some() || config.get("frequencyPenalty").is_some();
    if penalty && matches!(model.family, Family::Claude | Family::GptOss) {
        return invalid(format!("Penalty is not enabled for models/{}", model.id));
    }
    Ok(())
}

fn stops(config: &Value) -> Result<(), Problem> {
    let stops = list(config, "stopSequences");
    if stops.len() > 5 {
        return invalid(format!(
            "Unable to submit request because it has {} stopSequences but the supported range is from 0 (inclusive) to \
             6 (exclusive).",
            stops.len()
        ));
    }
    if stops.iter().any(|s| s == "") {
        return invalid("Unable to submit request because a stop sequence is empty.");
    }
    Ok(())
}

fn output(config: &Value, model: &Model) -> Result<(), Problem> {
    let mime = text(config, "responseMimeType");
    if !matches!(mime, "" | "text/plain" | "application/json" | "text/x.enum") {
        return invalid(format!(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, \
             `application/json` and `text/x.enum`, not `{mime}`.\n"
        ));
    }
    let google = config.get("responseSchema");
    let json = config.get("responseJsonSchema");
    if google.is_some() && json.is_some() {
        return invalid("Only one of response_schema and response_json_schema can be set.");
    }
    if google.or(json).is_none() {
        return Ok(());
    }
    if model.family == Family::Claude {
        return invalid("Response schema is not supported for this model.");
    }
    if !matches!(mime, "application/json" | "text/x.enum") {
        return invalid(
            "Response schema is only supported with response_mime_type `application/json` or `text/x.enum`.",
        );
    }
    google.map_or(Ok(()), schema::response)
}

/// The table of 5.6.
fn thinking(config: &Value, model: &Model) -> Result<(), Problem> {
    let Some(thinking) = config.get("thinkingConfig") else {
        return Ok(());
    };
    if model.family == Family::GptOss {
        return invalid("Thinking is not supported for this model.");
    }
    let budget = thinking.get("thinkingBudget").and_then(Value::as_i64);
    let level = thinking.get("thinkingLevel").and_then(Value::as_str);
    if budget.is_some() && level.is_some() {
        return invalid("You can only set only one of thinking budget and thinking level.");
    }
    if let Some(level) = level
        && !model.levels().contains(&level)
    {
        return invalid(if model.levels().is_empty() {
            "Thinking level is not supported for this model.".to_owned()
        } else {
            format!(
                "Thinking level {level} is not supported for this model. Please retry with other thinking level."
            )
        });
    }
    let Some(budget) = budget else {
        return Ok(());
    };
    let Some(range) = model.budgets() else {
        return invalid("Thinking budget is not supported for this model.");
    };
    if range.takes(budget) {
        return Ok(());
    }
    if model.family == Family::Claude {
        let bound = if budget > range.max {
            "less"
        } else {
            "greater"
        };
        let limit = if budget > range.max {
            range.max
        } else {
            range.min
        };
        return Err(Problem::claude(format!(
            "thinking.enabled.budget_tokens: Input should be {bound} than or equal to {limit}"
        )));
    }
    invalid(format!(
        "The thinking budget {budget} is invalid. Please choose a value between {} and {}.",
        range.min, range.max
    ))
}

/// The budget of a Claude request that thinks: `includeThoughts` alone is ignored (upstream-protocol.md 8.1).
pub(super) fn claude_budget(request: &Value) -> Option<i64> {
    request["generationConfig"]["thinkingConfig"]["thinkingBudget"]
        .as_i64()
        .filter(|n| *n > 0)
}

/// 8.1: what Anthropic does not allow together with thinking.
fn claude(request: &Value, model: &Model) -> Result<(), Problem> {
    let Some(budget) = claude_budget(request) else {
        return Ok(());
    };
    let config = &request["generationConfig"];
    let refuse = |message: &str| Err(Problem::claude(message));
    let max = config["maxOutputTokens"]
        .as_i64()
        .unwrap_or(i64::try_from(model.max_output).unwrap_or(i64::MAX));
    if budget >= max {
        return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    if config["temperature"]
        .as_f64()
        .is_some_and(|t| (t - 1.0).abs() > f64::EPSILON)
    {
        return refuse("`temperature` may only be set to 1 when thinking is enabled.");
    }
    if config.get("topK").is_some() {
        return refuse("`top_k` must be unset when thinking is enabled.");
    }
    if config["topP"].as_f64().is_some_and(|p| p < 0.95) {
        return refuse(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        );
    }
    if request["toolConfig"]["functionCallingConfig"]["mode"] == "ANY" {
        return refuse("Thinking may not be enabled when tool_choice forces tool use.");
    }
    Ok(())
}
