//! Laws: nothing changes from a text to itself; a plan and the one back are each other's mirror image; a script of random
//! edits is told edit by edit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
struct World {
    accounts: BTreeMap<u8, (u8, bool, u8)>,
    keys: BTreeMap<u8, (u8, u8)>,
    models: BTreeMap<u8, (u8, bool)>,
    queue: u8,
}

fn world() -> impl Strategy<Value = World> {
    let accounts = prop::collection::btree_map(0..12u8, (0..12u8, any::<bool>(), 0..3u8), 0..8);
    let keys = prop::collection::btree_map(0..6u8, (0..8u8, 0..3u8), 0..5);
    let models = prop::collection::btree_map(0..6u8, (0..4u8, any::<bool>()), 0..5);
    (accounts, keys, models, 0..3u8).prop_map(|(accounts, keys, models, queue)| {
        // Two keys of one digest are refused.
        let mut seen = std::collections::BTreeSet::new();
        let keys = keys
            .into_iter()
            .filter(|(_, (value, _))| seen.insert(*value))
            .collect();
        World {
            accounts,
            keys,
            models,
            queue,
        }
    })
}

impl World {
    fn text(&self) -> String {
        let mut text = format!(
            "version = 1\n[routing]\nmax_queue = {}\n[upstreams.g]\nkind = \"gemini\"\ndiscover = true\n",
            self.queue
        );
        for (name, (secret, enabled, tier)) in &self.accounts {
            let _ = writeln!(
                text,
                "[accounts.a{name}]\nupstream = \"g\"\napi_key = {{ env = \"E{secret}\" }}\nenabled = {enabled}\ntier = {tier}"
            );
        }
        for (name, (secret, rpm)) in &self.keys {
            let _ = writeln!(
                text,
                "[keys.k{name}]\nkey = \"test-key-{secret}-that-protects-nothing\"\nrpm = {}",
                rpm + 1
            );
        }
        for (name, (model, aliased)) in &self.models {
            let _ = writeln!(text, "[models.m{name}]\nroute = [\"g/x{model}\"]");
            if *aliased {
                let _ = writeln!(text, "aliases = [\"alias{name}\"]");
            }
        }
        text
    }
}

/// What the plan back must say, but for risks.
fn mirrored(plan: &Plan) -> Vec<Change> {
    let mut changes: Vec<Change> = plan
        .changes
        .iter()
        .cloned()
        .map(|mut change| {
            change.kind = match change.kind {
                Kind::Added => Kind::Removed,
                Kind::Removed => Kind::Added,
                same => same,
            };
            if let Some(was) = change.was.take() {
                change.was = Some(std::mem::replace(&mut change.path, was));
            }
            for field in &mut change.fields {
                std::mem::swap(&mut field.from, &mut field.to);
            }
            change.reasons.clear();
            change
        })
        .collect();
    changes.sort_by(|a, b| (a.section, &a.path).cmp(&(b.section, &b.path)));
    changes
}

fn without_risks(plan: &Plan) -> Vec<Change> {
    let mut changes = plan.changes.clone();
    for change in &mut changes {
        change.reasons.clear();
    }
    changes
}

proptest! {
    #[test]
    fn a_text_changes_nothing_of_itself(world in world()) {
        prop_assert_eq!(plan(&facts(&world.text()), &facts(&world.text()), NOW), Plan::default());
    }

    #[test]
    fn the_way_back_is_the_mirror_image(one in world(), other in world()) {
        let (one, other) = (facts(&one.text()), facts(&other.text()));
        let (there, back) = (plan(&one, &other, NOW), plan(&other, &one, NOW));
        prop_assert_eq!(mirrored(&there), without_risks(&back));
    }

    #[test]
    fn a_plan_survives_being_sent(one in world(), other in world()) {
        let found = plan(&facts(&one.text()), &facts(&other.text()), NOW);
        let sent = serde_json::to_string(&found).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&sent).unwrap(), found);
    }

    /// Applied in turn, the tables that a plan names are exactly those that differ.
    #[test]
    fn what_differs_is_named_and_nothing_else(one in world(), other in world()) {
        let found = plan(&facts(&one.text()), &facts(&other.text()), NOW);
        let named = |section: Section, prefix: &str| -> std::collections::BTreeSet<u8> {
            found.changes.iter().filter(|c| c.section == section)
                .flat_map(|c| std::iter::once(&c.path).chain(&c.was))
                .map(|path| path.strip_prefix(prefix).unwrap().parse().unwrap())
                .collect()
        };
        prop_assert_eq!(named(Section::Accounts, "accounts.a"), differing(&one.accounts, &other.accounts));
        prop_assert_eq!(named(Section::Keys, "keys.k"), differing(&one.keys, &other.keys));
        prop_assert_eq!(named(Section::Models, "models.m"), differing(&one.models, &other.models));
        let settings = found.changes.iter().filter(|c| c.section == Section::Settings).count();
        prop_assert_eq!(settings, usize::from(one.queue != other.queue));
    }
}

fn differing<V: PartialEq>(
    one: &BTreeMap<u8, V>,
    other: &BTreeMap<u8, V>,
) -> std::collections::BTreeSet<u8> {
    one.keys()
        .chain(other.keys())
        .filter(|name| one.get(name) != other.get(name))
        .copied()
        .collect()
}
