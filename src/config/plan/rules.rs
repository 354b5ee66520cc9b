//! The table of risks. docs/plan.md shows it; a test holds the two together.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::base::time::Timestamp;
use crate::config::plan::compare::not_in_effect;
use crate::config::plan::{Fact, Facts, Kind, Reason, Risk, Section, Table};

mod table;

use table::NAMED;
use table::settings::SETTINGS;

pub(super) const NO_SEAT: &str = "no account is left that can serve it";
pub(super) const NO_ACCOUNT: &str = "none of the accounts that it may use is left";

/// When a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// The table goes.
    Removed,
    /// The field is another one, or is given or not given now.
    Changed,
    /// What the table is known by changes: another credential, another digest.
    Identity,
    /// A limit is less than before; no limit is more than any.
    Lowered,
    /// A number is more than before.
    Raised,
    /// The number becomes 0.
    Zero,
    /// `true` becomes `false`.
    Off,
    /// `false` becomes `true`.
    On,
    /// The list has lost an item.
    Lost,
    /// The list has an item more.
    Gained,
    /// A name that clients could ask for is served no more.
    NameLost,
    /// An address of this machine only becomes one that others can reach.
    Exposed,
    /// The time is past.
    Past,
}

impl When {
    fn words(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Identity => "replaced",
            Self::Lowered => "lowered",
            Self::Raised => "raised",
            Self::Zero => "is 0 now",
            Self::Off => "turned off",
            Self::On => "turned on",
            Self::Lost => "loses an item",
            Self::Gained => "gains an item",
            Self::NameLost => "loses a name",
            Self::Exposed => "no longer loopback",
            Self::Past => "in the past",
        }
    }
}

/// One rule.
struct Rule {
    /// Paths of fields, or of tables; `*` stands for any one name.
    paths: &'static [&'static str],
    when: When,
    risk: Risk,
    why: &'static str,
}

/// A row of the documented table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How risky.
    pub risk: Risk,
    /// What changes.
    pub what: String,
    /// What it leads to.
    pub why: &'static str,
}

fn all_rules() -> impl Iterator<Item = &'static Rule> {
    NAMED.iter().chain(SETTINGS)
}

/// The whole table, as it is documented: the riskiest first.
pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = all_rules()
        .map(|rule| {
            let paths: Vec<String> = rule.paths.iter().map(|path| format!("`{path}`")).collect();
            Row {
                risk: rule.risk,
                what: format!("{}: {}", paths.join(", "), rule.when.words()),
                why: rule.why,
            }
        })
        .collect();
    for (what, why) in [
        ("a model's route: loses all accounts", NO_SEAT),
        ("`keys.*.accounts`: all of them go", NO_ACCOUNT),
    ] {
        rows.push(Row {
            risk: Risk::High,
            what: what.to_owned(),
            why,
        });
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.risk));
    rows
}

/// What the rules need to know besides the table at hand.
pub(super) struct World<'f> {
    pub(super) before: &'f Facts,
    pub(super) after: &'f Facts,
    pub(super) lost_names: BTreeSet<String>,
    pub(super) now: Timestamp,
}

/// Why a change of one table is risky, the riskiest first.
pub(super) fn reasons(
    world: &World<'_>,
    section: Section,
    name: &str,
    kind: Kind,
    old: &Table,
    new: &Table,
) -> Vec<Reason> {
    let mut found = Vec::new();
    if kind == Kind::Added {
        return Vec::new();
    }
    // A table of which nothing uses any field so far is missed by nobody.
    let unused = (old.fields.keys()).all(|field| not_in_effect(section, name, field));
    if kind == Kind::Removed && unused {
        return Vec::new();
    }
    for rule in all_rules() {
        for path in rule.paths {
            let Some(field) = field_of(path, section, name) else {
                continue;
            };
            let holds = match field {
                "" => of_table(world, rule.when, section, name, kind),
                _ if kind == Kind::Removed => false,
                _ => matching(field, old, new)
                    .any(|field| holds(world, rule.when, section, name, field, old, new)),
            };
            if holds {
                let why = match field {
                    "" => rule.why.to_owned(),
                    _ => format!("{field} {}: {}", rule.when.words(), rule.why),
                };
                let risk = rule.risk;
                found.push((field, Reason { risk, why }));
            }
        }
    }
    found.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.risk));
    // Of two reasons for one field the riskier says enough.
    let mut told = BTreeSet::new();
    found.retain(|(field, _)| told.insert(*field));
    found.into_iter().map(|(_, reason)| reason).collect()
}

/// What of a rule's path is the field, where the table is of that kind; empty for the table itself.
fn field_of<'p>(path: &'p str, section: Section, name: &str) -> Option<&'p str> {
    let rest = if section == Section::Settings {
        path.strip_prefix(name)?
    } else {
        path.strip_prefix(section.as_str())?.strip_prefix(".*")?
    };
    match rest.strip_prefix('.') {
        Some(field) => Some(field),
        None => rest.is_empty().then_some(rest),
    }
}

/// The fields that differ and that a rule's field stands for.
fn matching<'t>(pattern: &str, old: &'t Table, new: &'t Table) -> impl Iterator<Item = &'t str> {
    let fields: BTreeSet<&str> = old
        .fields
        .keys()
        .chain(new.fields.keys())
        .map(String::as_str)
        .filter(|field| match pattern.strip_suffix('*') {
            Some(before) => field.starts_with(before),
            None => *field == pattern,
        })
        .filter(|field| old.get(field) != new.get(field))
        .collect();
    fields.into_iter()
}

fn of_table(world: &World<'_>, when: When, section: Section, name: &str, kind: Kind) -> bool {
    let lost = || section == Section::Models && world.lost_names.contains(name);
    match when {
        When::Removed => kind == Kind::Removed && !lost(),
        When::NameLost => kind == Kind::Removed && lost(),
        _ => false,
    }
}

fn holds(
    world: &World<'_>,
    when: When,
    section: Section,
    name: &str,
    field: &str,
    old: &Table,
    new: &Table,
) -> bool {
    if not_in_effect(section, name, field) {
        return false;
    }
    let limits = || {
        let of = |facts: &Facts, table: &Table| limit(facts, section, field, table);
        of(world.before, old).zip(of(world.after, new))
    };
    let lost = |from: &Table, to: &Table| {
        let kept = to.items(field);
        !kept.iter().any(|item| item == "*")
            && (from.items(field).iter()).any(|item| !kept.contains(item))
    };
    let value = |table: &Table| table.value(field);
    match when {
        When::Removed => false,
        When::Changed => true,
        When::Identity => old.identity != new.identity,
        When::Lowered => limits().is_some_and(|(from, to)| to < from),
        When::Raised => value(old)
            .zip(value(new))
            .is_some_and(|(from, to)| to > from),
        When::Zero => value(new) == Some(0.0),
        When::Off => !new.is(field),
        When::On => new.is(field),
        When::Lost => lost(old, new),
        When::Gained => lost(new, old),
        When::NameLost => (old.items(field).iter()).any(|name| world.lost_names.contains(name)),
        When::Exposed => exposed(new.get(field)) && !exposed(old.get(field)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "times are milliseconds, far below 2^53"
        )]
        When::Past => value(new).is_some_and(|at| at <= world.now.as_millis() as f64),
    }
}

/// A limit as a number: where none is given, or 0 says so, it is above all others.
fn limit(facts: &Facts, section: Section, field: &str, table: &Table) -> Option<f64> {
    /// Where 0 is no limit.
    const UNLIMITED: &[&str] = &[
        "max_concurrent_per_account",
        "max_concurrent_per_model",
        "total_timeout",
    ];
    let Some(value) = table.value(field) else {
        // An account without a limit of its own has that of the routing.
        return if section == Section::Accounts && field == "max_concurrent" {
            let routing = facts.tables(Section::Settings).get("routing")?;
            limit(
                facts,
                Section::Settings,
                "max_concurrent_per_account",
                routing,
            )
        } else {
            Some(f64::INFINITY)
        };
    };
    let of_account = section == Section::Accounts && field == "max_concurrent";
    let none = value == 0.0 && (of_account || UNLIMITED.contains(&field));
    Some(if none { f64::INFINITY } else { value })
}

fn exposed(fact: Option<&Fact>) -> bool {
    let address = match fact {
        Some(Fact::Word { text }) => text.trim_matches('"').parse::<SocketAddr>().ok(),
        _ => None,
    };
    address.is_some_and(|address| !address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_its_own_tables() {
        let of = |path, section, name| field_of(path, section, name);
        assert_eq!(of("keys.*", Section::Keys, "ci"), Some(""));
        assert_eq!(of("keys.*.enabled", Section::Keys, "ci"), Some("enabled"));
        assert_eq!(of("keys.*.enabled", Section::Accounts, "ci"), None);
        assert_eq!(
            of("server.listen", Section::Settings, "server"),
            Some("listen")
        );
        assert_eq!(of("server.listen", Section::Settings, "log"), None);
        assert_eq!(
            of("upstreams.*.oauth.token_url", Section::Upstreams, "a"),
            Some("oauth.token_url")
        );
    }

    #[test]
    fn every_rule_names_keys_of_the_file() {
        let sections = crate::config::plan::facts::Section::ALL.map(Section::as_str);
        for rule in all_rules() {
            for path in rule.paths {
                let first = path.split('.').next().unwrap();
                let known = crate::config::raw::SECTIONS.contains(&first);
                assert!(known || sections.contains(&first), "{path}");
            }
        }
    }
}
