//! Two configurations, table by table.

use std::collections::{BTreeMap, BTreeSet};

use wildmatch::WildMatch;

use crate::base::time::Timestamp;
use crate::config::pending;
use crate::config::plan::facts::Tables;
use crate::config::plan::rules::{self, World};
use crate::config::plan::{
    Change, Effect, Facts, FieldChange, Kind, Note, Plan, Reason, Risk, Section, Table,
};

/// What takes effect after a restart only.
const RESTART: &[(&str, &str)] = &[("state", "path")];

/// What would change if `after` took the place of `before`. Keys that have expired are told by `now`.
pub fn plan(before: &Facts, after: &Facts, now: Timestamp) -> Plan {
    let world = World {
        before,
        after,
        lost_names: lost_names(before, after),
        now,
    };
    let changes = Section::ALL
        .into_iter()
        .flat_map(|section| section_changes(&world, section))
        .collect();
    Plan {
        changes,
        effects: effects(&world),
        held: Vec::new(),
    }
}

fn section_changes(world: &World<'_>, section: Section) -> Vec<Change> {
    static NOTHING: Table = Table {
        identity: None,
        fields: BTreeMap::new(),
    };
    let (before, after) = (world.before.tables(section), world.after.tables(section));
    let renamed = renamed(before, after);
    let old_names: BTreeSet<&str> = renamed.values().copied().collect();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        if old_names.contains(name.as_str()) {
            continue;
        }
        let was = renamed.get(name.as_str()).copied().unwrap_or(name);
        let (old, new) = (before.get(was), after.get(name));
        let kind = match (old, new) {
            // A section that is not written has its defaults.
            _ if section == Section::Settings => Kind::Changed,
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ if was != name => Kind::Renamed,
            _ => Kind::Changed,
        };
        let (old, new) = (old.unwrap_or(&NOTHING), new.unwrap_or(&NOTHING));
        let fields = fields(section, name, old, new);
        if fields.is_empty() && kind == Kind::Changed {
            continue;
        }
        found.push(Change {
            section,
            path: section.path(name),
            was: (kind == Kind::Renamed).then(|| section.path(was)),
            kind,
            reasons: rules::reasons(world, section, name, kind, old, new),
            fields,
        });
    }
    found
}

/// New name to old name, where exactly one table went and exactly one came with an identity.
fn renamed<'t>(before: &'t Tables, after: &'t Tables) -> BTreeMap<&'t str, &'t str> {
    let gone = only_in(before, after);
    let come = only_in(after, before);
    come.into_iter()
        .filter_map(|(identity, name)| Some((name?, (*gone.get(identity)?)?)))
        .collect()
}

/// By identity, the table that only this side has; `None` where there are more of one identity.
fn only_in<'t>(these: &'t Tables, others: &Tables) -> BTreeMap<&'t str, Option<&'t str>> {
    let mut found = BTreeMap::new();
    for (name, table) in these.iter().filter(|(name, _)| !others.contains_key(*name)) {
        if let Some(identity) = &table.identity {
            found
                .entry(identity.as_str())
                .and_modify(|name| *name = None)
                .or_insert(Some(name.as_str()));
        }
    }
    found
}

fn fields(section: Section, name: &str, old: &Table, new: &Table) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = old.fields.keys().chain(new.fields.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|field| old.get(field) != new.get(field));
    differ
        .map(|field| FieldChange {
            field: field.clone(),
            from: old.get(field).map(super::Fact::shown),
            to: new.get(field).map(super::Fact::shown),
            note: note(section, name, field),
        })
        .collect()
}

fn note(section: Section, name: &str, field: &str) -> Option<Note> {
    if section == Section::Settings && RESTART.contains(&(name, field)) {
        return Some(Note::Restart);
    }
    not_in_effect(section, name, field).then_some(Note::NotInEffect)
}

pub(super) fn not_in_effect(section: Section, name: &str, field: &str) -> bool {
    let table = (section != Section::Settings).then_some(section.as_str());
    let path: Vec<&str> = table
        .into_iter()
        .chain([name])
        .chain(field.split('.'))
        .collect();
    pending::covers(&path)
}

/// The names that clients can ask for.
fn served(facts: &Facts) -> BTreeSet<&str> {
    let models = facts.tables(Section::Models).iter();
    models
        .flat_map(|(name, model)| {
            std::iter::once(name.as_str()).chain(model.items("aliases").iter().map(String::as_str))
        })
        .collect()
}

fn lost_names(before: &Facts, after: &Facts) -> BTreeSet<String> {
    let after = served(after);
    let lost = served(before).into_iter().filter(|n| !after.contains(n));
    lost.map(str::to_owned).collect()
}

/// How many accounts can serve a route.
fn seats(facts: &Facts, model: &Table) -> usize {
    let accounts = facts.tables(Section::Accounts);
    let targets: Vec<(&str, &str)> = model
        .items("route")
        .iter()
        .filter_map(|target| target.split_once('/'))
        .collect();
    let serves = |account: &&Table| {
        account.is("enabled")
            && targets.iter().any(|(upstream, model)| {
                account.word("upstream") == Some(upstream)
                    && (account.items("models").iter())
                        .any(|glob| WildMatch::new(glob).matches(model))
            })
    };
    accounts.values().filter(serves).count()
}

/// How many accounts a key may use; `None` for every account.
fn allowed(facts: &Facts, key: &Table) -> Option<usize> {
    key.get("accounts")?;
    let wanted = key.items("accounts");
    let accounts = facts.tables(Section::Accounts).iter();
    let may = accounts.filter(|(name, account)| {
        account.is("enabled")
            && wanted.iter().any(|one| match one.strip_prefix("tag:") {
                Some(tag) => account.items("tags").iter().any(|t| t == tag),
                None => one == *name,
            })
    });
    Some(may.count())
}

fn effects(world: &World<'_>) -> Vec<Effect> {
    let mut found = Vec::new();
    let both = |section: Section| {
        let after = world.after.tables(section);
        let before = world.before.tables(section).iter();
        before.filter_map(move |(name, old)| Some((section.path(name), old, after.get(name)?)))
    };
    let mut tell = |path, why: &str| {
        found.push(Effect {
            path,
            reason: Reason {
                risk: Risk::High,
                why: why.to_owned(),
            },
        });
    };
    for (path, old, new) in both(Section::Models) {
        if seats(world.before, old) > 0 && seats(world.after, new) == 0 {
            tell(path, rules::NO_SEAT);
        }
    }
    for (path, old, new) in both(Section::Keys) {
        let before = allowed(world.before, old);
        if before != Some(0) && allowed(world.after, new) == Some(0) && new.is("enabled") {
            tell(path, rules::NO_ACCOUNT);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
