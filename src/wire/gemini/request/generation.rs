//! `generationConfig` and `safetySettings`. upstream-protocol.md 5.6, 5.7, 10.1.

use serde_json::value::RawValue;

use crate::base::error::Error;
use crate::ir::{Family, Losses, OutputFormat, Request};
use crate::wire::gemini::schema::{self, SchemaTarget};
use crate::wire::gemini::thinking::{self, Thinking};
use crate::wire::gemini::writer::{self, Object};
use crate::wire::gemini::{Target, image};

/// Most `stopSequences` (5.6).
const MOST_STOPS: usize = 5;

/// How the form of the answer is asked for.
pub(super) enum Output<'r> {
    Free,
    /// By MIME type, with a schema where one was given.
    Json(Option<&'r RawValue>),
    /// By words, where the model has no field for it; a code fence is then taken off the answer.
    Words(Option<&'r RawValue>),
}

impl<'r> Output<'r> {
    pub(super) fn of(req: &'r Request, family: Option<Family>, losses: &mut Losses) -> Self {
        let schema = match &req.output {
            OutputFormat::Text => return Self::Free,
            OutputFormat::JsonObject => None,
            OutputFormat::JsonSchema(schema) => Some(&**schema),
        };
        match family {
            Some(Family::Claude) => {
                losses.note("response_format (asked for in words)");
                Self::Words(schema)
            }
            Some(Family::Image) => {
                losses.note("response_format (an image model has none)");
                Self::Free
            }
            _ => Self::Json(schema),
        }
    }

    /// The words. OpenAI's `json_object` needs none: its clients must ask for JSON themselves.
    pub(super) fn instruction(&self) -> Option<String> {
        match self {
            Self::Words(Some(schema)) => Some(format!(
                "Answer with nothing but one JSON value that is valid under this JSON Schema:\n{}",
                schema.get()
            )),
            _ => None,
        }
    }

    pub(super) fn strips_fence(&self) -> bool {
        matches!(self, Self::Words(_))
    }
}

pub(super) fn write_generation(
    request: &mut Object<'_>,
    req: &Request,
    target: &Target<'_>,
    output: &Output<'_>,
    max: Option<u32>,
    thinking: Option<Thinking>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let mut config = Object::new(&mut bytes);
    write_sampling(&mut config, req, target, thinking.is_some(), losses);
    config.some("maxOutputTokens", max);
    if let Output::Json(schema) = output {
        config.string("responseMimeType", "application/json");
        let cleaned = schema
            .map(|s| schema::clean(s, SchemaTarget::Gemini))
            .transpose()
            .map_err(|e| Error {
                param: Some("response_format".to_owned()),
                ..e
            })?;
        config.some("responseSchema", cleaned);
    }
    if let Some(thinking) = thinking {
        thinking.write(config.key("thinkingConfig"));
    }
    if target.family == Some(Family::Image) {
        image::write(&mut config, &req.image, target.api, losses);
    } else if req.wants_images {
        losses.note("modalities (the model makes no images)");
    }
    let empty = config.is_empty();
    config.end();
    if !empty {
        request.key("generationConfig").extend_from_slice(&bytes);
    }
    Ok(())
}

fn write_sampling(
    config: &mut Object<'_>,
    req: &Request,
    target: &Target<'_>,
    thinks: bool,
    losses: &mut Losses,
) {
    let sampling = &req.sampling;
    // Claude takes neither beside thinking (8.1); Anthropic's clients were told so before.
    let bound = thinks && target.family == Some(Family::Claude);
    let mut free = |present: bool, name: &'static str| {
        if present && bound {
            losses.note(format!("{name} (the model thinks)"));
        }
        !bound
    };
    let temperature = sampling.temperature;
    if free(
        temperature.is_some_and(|t| (t - 1.0).abs() > 1e-9),
        "temperature",
    ) {
        config.some("temperature", temperature);
    }
    if sampling.top_p.is_none_or(thinking::fits_thinking) || free(true, "top_p") {
        config.some("topP", sampling.top_p);
    }
    if free(sampling.top_k.is_some(), "top_k") {
        config.some("topK", sampling.top_k);
    }
    if !sampling.stop.is_empty() {
        if sampling.stop.len() > MOST_STOPS {
            losses.note(format!("stop[{MOST_STOPS}..]"));
        }
        let stops = sampling.stop.iter().take(MOST_STOPS);
        writer::list(config.key("stopSequences"), stops, |out, stop| {
            writer::string(out, stop);
        });
    }
    if let Some(seed) = sampling.seed {
        match i32::try_from(seed) {
            Ok(seed) => config.json("seed", &seed),
            Err(_) => losses.note("seed (outside 32 bits)"),
        }
    }
    let penalties = [
        (
            "presence_penalty",
            "presencePenalty",
            sampling.presence_penalty,
        ),
        (
            "frequency_penalty",
            "frequencyPenalty",
            sampling.frequency_penalty,
        ),
    ];
    for (theirs, ours, value) in penalties {
        if matches!(target.family, Some(Family::Gemini25 | Family::Gemini3)) {
            config.some(ours, value);
        } else if value.is_some() {
            losses.note(theirs);
        }
    }
}

pub(super) fn write_safety(request: &mut Object<'_>, target: &Target<'_>) {
    if target.safety_settings.is_empty()
        || matches!(target.family, Some(Family::Claude | Family::GptOss))
    {
        return;
    }
    writer::list(
        request.key("safetySettings"),
        target.safety_settings,
        |out, (category, threshold)| {
            let mut setting = Object::new(out);
            setting.string("category", category);
            setting.string("threshold", threshold);
            setting.end();
        },
    );
}
