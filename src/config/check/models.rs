//! `[models.*]`: routes, aliases, parameters.

use std::collections::BTreeMap;

use crate::base::id::UpstreamId;
use crate::base::money::{Price, nanos};
use crate::config::check::Cx;
use crate::config::check::sections::strategy;
use crate::config::diagnostic::Code;
use crate::config::model::{self, Target};
use crate::config::raw;
use crate::config::tree::KeyPath;

impl Cx<'_> {
    pub(super) fn models(&mut self) -> BTreeMap<String, model::Model> {
        for name in self.names("models") {
            self.check_name("models", name);
        }
        self.repeated_aliases();
        let raw = self.raw;
        raw.models
            .iter()
            .filter_map(|(name, model)| Some((name.clone(), self.model(name, model)?)))
            .collect()
    }

    fn model(&mut self, name: &str, raw: &raw::Model) -> Option<model::Model> {
        let path = KeyPath::from(["models", name]);
        if raw.context == Some(0) {
            self.bad(&path.with("context"), "expected at least 1 token, found 0");
        }
        if raw.max_output == Some(0) {
            self.bad(
                &path.with("max_output"),
                "expected at least 1 token, found 0",
            );
        }
        let price = raw.price.and_then(|price| self.price(&path, &price));
        let route = self.route(&path, raw)?;
        Some(model::Model {
            route,
            aliases: raw.aliases.iter().map(|a| a.0.clone()).collect(),
            strategy: raw.strategy.map(strategy),
            thinking: raw.thinking.map(|t| t.0),
            family: raw.family,
            display_name: raw.display_name.clone(),
            context: raw.context,
            max_output: raw.max_output,
            price,
        })
    }

    fn price(&mut self, path: &KeyPath, price: &raw::Price) -> Option<Price> {
        let path = path.with("price");
        for (key, value) in [
            ("input", price.input),
            ("output", price.output),
            ("cached_input", price.cached_input),
        ] {
            match value {
                Some(n) if !n.is_finite() || n < 0.0 => {
                    self.bad(
                        &path.with(key),
                        format!("expected a price, 0 or more, found {n}"),
                    );
                }
                None if key != "cached_input" => {
                    self.missing(&path.with(key), "a price has `input` and `output`");
                }
                _ => {}
            }
        }
        let input = price.input?;
        Some(Price {
            input: nanos(input),
            cached_input: nanos(price.cached_input.unwrap_or(input)),
            output: nanos(price.output?),
        })
    }

    /// `upstream/model`, split at the first slash: the model's own name may have more of them.
    fn route(&mut self, path: &KeyPath, raw: &raw::Model) -> Option<Vec<Target>> {
        let path = path.with("route");
        let Some(list) = &raw.route else {
            self.missing(&path, "write `route = [\"UPSTREAM/MODEL\"]`");
            return None;
        };
        let written = self.tree.get(&path).and_then(|n| n.as_array());
        if written.is_some_and(Vec::is_empty) {
            self.bad(&path, "expected at least one target, found an empty list");
        }
        let good = written
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, n)| !n.is_bad());
        let mut route: Vec<Target> = Vec::new();
        for ((i, _), text) in good.zip(list) {
            let here = path.with(i);
            match text.0.split_once('/') {
                Some((upstream, model)) if !upstream.is_empty() && !model.is_empty() => {
                    if !self.has("upstreams", upstream) {
                        self.unknown(&here, "upstreams", "upstream", upstream);
                    }
                    let target = Target {
                        upstream: UpstreamId::from(upstream),
                        model: model.to_owned(),
                    };
                    if route.contains(&target) {
                        let diagnostic = self
                            .at(
                                Code::Duplicate,
                                &here,
                                format!("`{here}`: `{}` stands in this route already", text.0),
                            )
                            .with_help("keep one of them".to_owned());
                        self.report(diagnostic);
                    }
                    route.push(target);
                }
                _ => self.bad(
                    &here,
                    format!("expected \"UPSTREAM/MODEL\", found \"{}\"", text.0),
                ),
            }
        }
        Some(route)
    }

    /// A name means one model.
    fn repeated_aliases(&mut self) {
        let raw = self.raw;
        let mut seen: BTreeMap<&str, KeyPath> = BTreeMap::new();
        for (name, model) in &raw.models {
            let path = KeyPath::from(["models", name, "aliases"]);
            let written = self.tree.get(&path).and_then(|n| n.as_array());
            let good = written
                .into_iter()
                .flatten()
                .enumerate()
                .filter(|(_, n)| !n.is_bad());
            for ((i, _), alias) in good.zip(&model.aliases) {
                let here = path.with(i);
                if self.has("models", &alias.0) {
                    self.shadowed(&here, &alias.0);
                } else if let Some(first) = seen.get(alias.0.as_str()).cloned() {
                    self.taken(&here, &alias.0, &first);
                } else {
                    seen.insert(&alias.0, here);
                }
            }
        }
    }

    /// The model keeps its name, so that the alias leads nowhere.
    fn shadowed(&mut self, path: &KeyPath, alias: &str) {
        let first = KeyPath::from(["models", alias]);
        let place = self.tree.nearest(&first).value_place();
        let diagnostic = self
            .at(
                Code::Shadowed,
                path,
                format!("`{path}`: `{alias}` is the name of a model, which comes first: this alias has no effect"),
            )
            .with_label("an alias here")
            .with_place(place, "a model here")
            .with_help(format!("remove the alias, or the table `[{first}]`"));
        self.report(diagnostic);
    }

    fn taken(&mut self, path: &KeyPath, alias: &str, first: &KeyPath) {
        let place = self.tree.nearest(first).value_place();
        let diagnostic = self
            .at(
                Code::Duplicate,
                path,
                format!("`{path}`: `{alias}` is an alias already"),
            )
            .with_label("again here")
            .with_place(place, "first here")
            .with_help("a name means one model: keep one of them".to_owned());
        self.report(diagnostic);
    }
}
