//! An upstream's list of models, to and from what is kept of it.

use crate::base::id::UpstreamId;
use crate::base::time::Timestamp;
use crate::store::{CatalogModel, CatalogRecord};
use crate::upstream::antigravity::models::{ModelList, UpstreamModel};

/// What is kept of a list. How much of a quota is left is an account's matter, and kept with it.
pub fn record(upstream: &UpstreamId, list: &ModelList, at: Timestamp) -> CatalogRecord {
    let model = |m: &UpstreamModel| CatalogModel {
        id: m.id.clone(),
        display_name: m.display_name.clone(),
        max_tokens: m.max_tokens,
        max_output: m.max_output,
        supports_images: m.supports_images,
        supports_thinking: m.supports_thinking,
    };
    CatalogRecord {
        upstream: upstream.clone(),
        models: list.models.iter().map(model).collect(),
        renamed: list.renamed.clone(),
        default_model: list.default_model.clone(),
        at,
    }
}

/// The list that was kept.
pub fn list(record: CatalogRecord) -> ModelList {
    let model = |m: CatalogModel| UpstreamModel {
        id: m.id,
        display_name: m.display_name,
        remaining: None,
        reset: None,
        max_tokens: m.max_tokens,
        max_output: m.max_output,
        supports_images: m.supports_images,
        supports_thinking: m.supports_thinking,
    };
    ModelList {
        models: record.models.into_iter().map(model).collect(),
        renamed: record.renamed,
        default_model: record.default_model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_the_same_offer() {
        let told = ModelList {
            models: vec![UpstreamModel {
                id: "m".to_owned(),
                display_name: Some("M".to_owned()),
                remaining: Some(0.5),
                reset: Some(Timestamp(9)),
                max_tokens: Some(1000),
                max_output: Some(100),
                supports_images: Some(true),
                supports_thinking: None,
            }],
            renamed: [("old".to_owned(), "m".to_owned())].into(),
            default_model: Some("m".to_owned()),
        };
        let back = list(record(&"u".into(), &told, Timestamp(7)));
        assert!(back.same_offer(&told));
        assert_eq!(back.models[0].remaining, None);
        assert_eq!(back.models[0].supports_images, Some(true));
        assert_eq!(back.default_model, told.default_model);
    }
}
