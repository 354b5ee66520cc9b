//! An upstream's list of models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::id::UpstreamId;
use crate::base::time::Timestamp;

/// Most models, and most old names, kept for one upstream.
pub const MAX_MODELS: usize = 4096;
/// Longest name, in bytes. A longer one is of no use in part: its model is left out.
const MAX_NAME: usize = 200;

/// What an upstream listed, so that a start while it is away serves and lists what was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogRecord {
    /// Whose list it is.
    pub upstream: UpstreamId,
    /// The models, in the upstream's order.
    pub models: Vec<CatalogModel>,
    /// Old ids that clients may still ask for, to the new ones.
    pub renamed: BTreeMap<String, String>,
    /// The upstream's own choice of a model.
    pub default_model: Option<String>,
    /// When it was listed.
    pub at: Timestamp,
}

/// One model of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogModel {
    /// The upstream's id.
    pub id: String,
    /// For people.
    pub display_name: Option<String>,
    /// Context window in tokens.
    pub max_tokens: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
    /// Whether it takes pictures, where that is known.
    pub supports_images: Option<bool>,
    /// Whether it can think, where that is known.
    pub supports_thinking: Option<bool>,
}

impl CatalogRecord {
    /// Leaves out what is beyond the bounds.
    pub(in crate::store) fn bound(&mut self) {
        let fits = |text: &String| text.len() <= MAX_NAME;
        self.models.retain(|model| fits(&model.id));
        self.models.truncate(MAX_MODELS);
        for model in &mut self.models {
            model.display_name = model.display_name.take().filter(fits);
        }
        let mut left = MAX_MODELS;
        self.renamed.retain(|old, new| {
            let keep = left > 0 && fits(old) && fits(new);
            left -= usize::from(keep);
            keep
        });
        self.default_model = self.default_model.take().filter(fits);
    }

    /// About how much memory it takes, in bytes.
    pub(in crate::store) fn weight(&self) -> usize {
        let name = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let models = self.models.iter();
        let models: usize = models
            .map(|m| 120 + m.id.len() + name(&m.display_name))
            .sum();
        let renamed = self.renamed.iter();
        let renamed: usize = renamed.map(|(old, new)| 64 + old.len() + new.len()).sum();
        200 + models + renamed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_bounded_whatever_the_upstream_sent() {
        let model = |id: String| CatalogModel {
            id,
            display_name: Some("n".repeat(1000)),
            max_tokens: None,
            max_output: None,
            supports_images: None,
            supports_thinking: None,
        };
        let mut record = CatalogRecord {
            upstream: "u".into(),
            models: (0..10_000).map(|n| model(format!("m{n}"))).collect(),
            renamed: (0..10_000)
                .map(|n| (format!("o{n}"), format!("m{n}")))
                .collect(),
            default_model: Some("d".repeat(1000)),
            at: Timestamp(0),
        };
        record.models.insert(0, model("x".repeat(1000)));
        record.bound();
        assert_eq!(record.models.len(), MAX_MODELS);
        assert_eq!(
            record.models[0],
            CatalogModel {
                display_name: None,
                ..model("m0".to_owned())
            }
        );
        assert_eq!(
            (record.renamed.len(), &record.default_model),
            (MAX_MODELS, &None)
        );
    }
}
