//! What needs a person.

use crate::base::money::Dollars;
use crate::base::time::Timestamp;
use crate::pool::limit::{Limit, Use};
use crate::pool::report::{Report, State};
use crate::runtime::limits::Whose;
use crate::runtime::snapshot::Snapshot;
use crate::server::Gateway;
use crate::server::admin::api::overview::{Attention, AttentionKind, ConfigState, Urgency};
use crate::server::survey;
use crate::store::Condition;

/// Most things that are listed.
pub(super) const MOST: usize = 200;

/// From this part of a budget on its owner is told of, in hundredths.
const NEAR: u128 = 80;

fn thing(kind: AttentionKind, urgency: Urgency, message: String) -> Attention {
    Attention {
        kind,
        urgency,
        message,
        step: None,
        account: None,
        key: None,
        group: None,
        file: None,
        line: None,
        link: None,
    }
}

/// Everything that needs a person, the most urgent first. Looks at every account: not for a thread that serves.
pub(super) fn attention(
    gateway: &Gateway,
    snapshot: &Snapshot,
    config: &ConfigState,
    now: Timestamp,
) -> Vec<Attention> {
    let runtime = &gateway.dispatcher.runtime;
    let mut all = files(config);
    let health = runtime.store.health();
    let store = [("state", &health.state), ("log", &health.log)];
    all.extend(store.into_iter().filter_map(|(file, of)| failing(file, of)));
    for id in snapshot.config.accounts.keys() {
        let report = survey::report(snapshot, id, now);
        let found = report.and_then(|report| account(id.as_str(), &report));
        all.extend(found);
    }
    let now = runtime.registry.limits.clock.now();
    for limited in snapshot.limited().into_iter().filter(|l| l.has_budget()) {
        let uses = limited.uses(now);
        all.extend(uses.iter().filter_map(|of| budget(limited.whose(), of)));
    }
    if snapshot.config.accounts.is_empty() {
        let message = "there is no account yet: nothing can be served".to_owned();
        let step = "add one".to_owned();
        all.push(Attention {
            step: Some(step),
            ..thing(AttentionKind::NoAccount, Urgency::Info, message)
        });
    }
    if snapshot.config.keys.is_empty() {
        let message = "there is no client key yet: nobody can send a request".to_owned();
        let step = "make one".to_owned();
        all.push(Attention {
            step: Some(step),
            ..thing(AttentionKind::NoKey, Urgency::Info, message)
        });
    }
    all.sort_by_key(|thing| (thing.urgency, thing.kind));
    all
}

/// What is the matter with the files.
fn files(config: &ConfigState) -> Vec<Attention> {
    let mut all: Vec<Attention> = config.errors.iter().map(|error| refused(error)).collect();
    if let Some(differs) = config.differs.as_ref().filter(|_| all.is_empty()) {
        let message = format!("the files differ from what runs: {differs}");
        all.push(thing(AttentionKind::Drift, Urgency::Warning, message));
    }
    all.extend(config.after_restart.iter().map(|setting| Attention {
        step: Some("restart the gateway".to_owned()),
        ..thing(
            AttentionKind::Restart,
            Urgency::Warning,
            format!("`{setting}` takes effect after a restart"),
        )
    }));
    all
}

/// An error of the files, with the place that its line begins with, such as `agp.toml:3:1: error[AGP010]: …`.
fn refused(error: &str) -> Attention {
    let step = "mend the file: what ran before still runs".to_owned();
    let mut refused = Attention {
        step: Some(step),
        ..thing(AttentionKind::Reload, Urgency::Error, error.to_owned())
    };
    if let Some((place, said)) = error.split_once(": error[") {
        let mut parts = place.rsplitn(3, ':');
        let (_column, line, file) = (parts.next(), parts.next(), parts.next());
        if let (Some(line), Some(file)) = (line.and_then(|n| n.parse().ok()), file) {
            refused.message = format!("error[{said}");
            refused.line = Some(line);
            refused.file = Some(file.to_owned());
        }
    }
    refused
}

fn failing(file: &str, condition: &Condition) -> Option<Attention> {
    let Condition::Failing { since, error } = condition else {
        return None;
    };
    let what = match file {
        "log" => "the log can't be written",
        _ => "the state can't be written",
    };
    Some(Attention {
        step: Some("see to the disk: it is tried again by itself".to_owned()),
        ..thing(
            AttentionKind::Store,
            Urgency::Error,
            format!("{what} since {since}: {error}"),
        )
    })
}

fn account(name: &str, report: &Report) -> Option<Attention> {
    let (kind, link) = match &report.state {
        State::NeedsLogin => (AttentionKind::SignIn, None),
        State::NeedsVerification(link) => (AttentionKind::Verify, link.clone()),
        State::Disabled => (AttentionKind::Account, None),
        _ => return None,
    };
    let since: Option<Timestamp> = report.since;
    let since = since.map_or_else(String::new, |at| format!(" (since {at})"));
    Some(Attention {
        step: Some(report.step.to_owned()).filter(|step| !step.is_empty()),
        account: Some(name.to_owned()),
        link,
        ..thing(
            kind,
            Urgency::Error,
            format!("account `{name}`: {}{since}", report.reason),
        )
    })
}

fn budget(whose: &Whose, of: &Use) -> Option<Attention> {
    let Limit::Money(per) = of.limit else {
        return None;
    };
    let (used, bound) = (u128::from(of.used), u128::from(of.bound));
    if used * 100 < bound * NEAR {
        return None;
    }
    let urgency = if used >= bound {
        Urgency::Error
    } else {
        Urgency::Warning
    };
    let (what, name) = match whose {
        Whose::Key(id) => ("key", id.as_str()),
        Whose::Group(name) => ("group", name.as_str()),
    };
    let (used, bound) = (Dollars(of.used), Dollars(of.bound));
    let message = format!(
        "{what} `{name}` has used {used} of {bound} a {}",
        per.as_str()
    );
    let reset = Timestamp(of.reset.as_secs() * 1000);
    let named = |kind: &str| (what == kind).then(|| name.to_owned());
    Some(Attention {
        step: Some(format!("raise its budget, or wait until {reset}")),
        key: named("key"),
        group: named("group"),
        ..thing(AttentionKind::Budget, urgency, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::Per;

    #[test]
    fn an_error_tells_its_file_and_line() {
        let found = refused("conf.d/a:b.toml:12:5: error[AGP010]: unknown key \"x\" (key: a.x)");
        assert_eq!(found.file.as_deref(), Some("conf.d/a:b.toml"));
        assert_eq!(found.line, Some(12));
        assert_eq!(found.message, "error[AGP010]: unknown key \"x\" (key: a.x)");
        let bare = refused("accounts.a: the environment has no X");
        assert_eq!((bare.file, bare.line), (None, None));
        assert_eq!(bare.message, "accounts.a: the environment has no X");
    }

    #[test]
    fn a_budget_is_told_of_from_four_fifths_on() {
        let of = |used, limit| Use {
            limit,
            used,
            bound: 1_000_000_000,
            reset: Timestamp(0),
        };
        let whose = Whose::Key("k".into());
        let money = Limit::Money(Per::Day);
        assert!(budget(&whose, &of(799_999_999, money)).is_none());
        let near = budget(&whose, &of(800_000_000, money)).unwrap();
        assert_eq!(near.urgency, Urgency::Warning);
        assert_eq!(near.key.as_deref(), Some("k"));
        assert!(near.message.contains("$0.80 of $1.00"), "{}", near.message);
        let over = budget(&Whose::Group("g".into()), &of(1_000_000_000, money)).unwrap();
        assert_eq!(over.urgency, Urgency::Error);
        assert_eq!(over.group.as_deref(), Some("g"));
        assert!(budget(&whose, &of(u64::MAX, Limit::Requests)).is_none());
    }
}
