//! The list of models and their quotas (upstream-protocol.md 4.1). Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::pool::failure::{Class, Failure};
use crate::upstream::lenient;

/// A model as the upstream lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamModel {
    /// The upstream's id.
    pub id: String,
    /// For people.
    pub display_name: Option<String>,
    /// Share of the quota that is left, 0 to 1; `None` where the upstream says nothing of a quota.
    pub remaining: Option<f64>,
    /// When the quota is full again.
    pub reset: Option<Timestamp>,
    /// Context window in tokens.
    pub max_tokens: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
    /// Whether it takes pictures; `None` where the upstream does not say.
    pub supports_images: Option<bool>,
    /// Whether it can think; `None` where the upstream does not say.
    pub supports_thinking: Option<bool>,
}

/// The answer of fetchAvailableModels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelList {
    /// The models that can chat, by id.
    pub models: Vec<UpstreamModel>,
    /// Old ids that clients may still ask for, to the new ones.
    pub renamed: BTreeMap<String, String>,
    /// The upstream's own choice of a model.
    pub default_model: Option<String>,
}

impl ModelList {
    /// Whether `other` offers the same models with the same limits; how much of a quota is left does not count.
    pub fn same_offer(&self, other: &Self) -> bool {
        let offer = |m: &UpstreamModel| {
            (
                m.id.clone(),
                m.display_name.clone(),
                m.max_tokens,
                m.max_output,
            )
        };
        self.renamed == other.renamed
            && self
                .models
                .iter()
                .map(offer)
                .eq(other.models.iter().map(offer))
    }
}

#[derive(Serialize)]
pub(super) struct ModelsRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelsAnswer {
    #[serde(default, deserialize_with = "lenient::field")]
    models: Option<BTreeMap<String, ModelEntry>>,
    #[serde(default, deserialize_with = "lenient::field")]
    deprecated_model_ids: Option<BTreeMap<String, Renamed>>,
    #[serde(default, deserialize_with = "lenient::field")]
    default_agent_model_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelEntry {
    #[serde(default, deserialize_with = "lenient::field")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    quota_info: Option<QuotaInfo>,
    #[serde(default, deserialize_with = "lenient::field")]
    max_tokens: Option<lenient::Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    max_output_tokens: Option<lenient::Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    supports_images: Option<bool>,
    #[serde(default, deserialize_with = "lenient::field")]
    supports_thinking: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuotaInfo {
    #[serde(default, deserialize_with = "lenient::field")]
    remaining_fraction: Option<f64>,
    #[serde(default, deserialize_with = "lenient::field")]
    reset_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renamed {
    #[serde(default, deserialize_with = "lenient::field")]
    new_model_id: Option<String>,
}

/// Reads the answer. Ids that are not for chat (`chat_*`, `tab_*`) are left out.
///
/// # Errors
/// It is no JSON object: `upstream_garbage`.
pub fn read_models(answer: &[u8]) -> Result<ModelList, Failure> {
    let answer: ModelsAnswer = serde_json::from_slice(answer).map_err(|error| {
        Failure::new(
            Class::UpstreamGarbage,
            format!("the list of models can't be read: {error}"),
        )
    })?;
    Ok(ModelList {
        models: answer
            .models
            .unwrap_or_default()
            .into_iter()
            .filter(|(id, _)| !id.is_empty() && !id.starts_with("chat_") && !id.starts_with("tab_"))
            .map(|(id, entry)| read_model(id, entry))
            .collect(),
        renamed: answer
            .deprecated_model_ids
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(old, new)| Some((old, new.new_model_id.filter(|id| !id.is_empty())?)))
            .collect(),
        default_model: answer.default_agent_model_id.filter(|id| !id.is_empty()),
    })
}

fn read_model(id: String, entry: ModelEntry) -> UpstreamModel {
    let quota = entry.quota_info;
    let reset = quota
        .as_ref()
        .and_then(|quota| quota.reset_time.as_deref())
        .and_then(Timestamp::parse_rfc3339);
    let remaining = quota.and_then(|quota| match quota.remaining_fraction {
        Some(fraction) => Some(fraction.clamp(0.0, 1.0)),
        // proto3 leaves zero out: a reset without a fraction means that nothing is left.
        None => quota.reset_time.map(|_| 0.0),
    });
    UpstreamModel {
        id,
        display_name: entry.display_name.filter(|name| !name.is_empty()),
        remaining,
        reset,
        max_tokens: positive(entry.max_tokens),
        max_output: positive(entry.max_output_tokens),
        supports_images: entry.supports_images,
        supports_thinking: entry.supports_thinking,
    }
}

fn positive(number: Option<lenient::Number>) -> Option<u64> {
    number.map(|number| number.0).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn read(answer: &Value) -> ModelList {
        read_models(answer.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn shared_vector_q01() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors/shared/accounts/q01_quota_map.json");
        let case: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let list = read(&case["input"]["answer"]);
        let expect = case["expect"]["models"].as_object().unwrap();
        assert_eq!(list.models.len(), expect.len());
        for model in list.models {
            let expect = &expect[&model.id];
            assert_eq!(
                model.remaining,
                expect["remaining"].as_f64(),
                "{}",
                model.id
            );
            let reset = model.reset.map(|at| at.to_string());
            assert_eq!(reset.as_deref(), expect["reset"].as_str());
        }
    }

    #[test]
    fn everything_of_an_entry() {
        let list = read(&json!({
            "models": {
                "gemini-3-flash": {"displayName": "Gemini 3 Flash", "maxTokens": 1_048_576, "maxOutputTokens": "65536",
                    "supportsImages": true, "supportsThinking": false,
                    "quotaInfo": {"remainingFraction": 1.000_001, "resetTime": "2026-11-22T21:00:00Z"}},
                "chat_20706": {}, "tab_flash_lite_preview": {}},
            "deprecatedModelIds": {"old": {"newModelId": "new"}, "lost": {}},
            "defaultAgentModelId": "gemini-3-flash"}));
        let [model] = list.models.as_slice() else {
            panic!("{:?}", list.models)
        };
        assert_eq!(model.remaining, Some(1.0));
        assert_eq!(
            (model.max_tokens, model.max_output),
            (Some(1_048_576), Some(65536))
        );
        assert_eq!(
            (model.supports_images, model.supports_thinking),
            (Some(true), Some(false))
        );
        assert_eq!(
            list.renamed,
            BTreeMap::from([("old".to_owned(), "new".to_owned())])
        );
        assert_eq!(list.default_model.as_deref(), Some("gemini-3-flash"));
    }

    #[test]
    fn quotas_in_odd_forms() {
        let remaining = |quota: Value| {
            let list = read(&json!({"models": {"m": {"quotaInfo": quota}}}));
            (list.models[0].remaining, list.models[0].reset.is_some())
        };
        let reset = "2026-11-22T21:00:00Z";
        assert_eq!(remaining(json!({})), (None, false));
        assert_eq!(remaining(json!(null)), (None, false));
        assert_eq!(
            remaining(json!({"remainingFraction": -0.1})),
            (Some(0.0), false)
        );
        assert_eq!(
            remaining(json!({"remainingFraction": 0})),
            (Some(0.0), false)
        );
        assert_eq!(remaining(json!({"resetTime": reset})), (Some(0.0), true));
        assert_eq!(
            remaining(json!({"resetTime": reset, "remainingFraction": null})),
            (Some(0.0), true)
        );
        assert_eq!(
            remaining(json!({"resetTime": "soon", "remainingFraction": 0.5})),
            (Some(0.5), false)
        );
    }

    #[test]
    fn answers_that_are_none() {
        for empty in ["{}", r#"{"models":[]}"#, r#"{"models":null}"#] {
            assert_eq!(read_models(empty.as_bytes()), Ok(ModelList::default()));
        }
        for bad in ["", "<html>", "\"x\"", "{"] {
            assert_eq!(
                read_models(bad.as_bytes()).unwrap_err().class,
                Class::UpstreamGarbage
            );
        }
    }
}
