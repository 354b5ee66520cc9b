//! The list of accounts: filtered, sorted, a page of it. Only what is on the page is described; what is sorted by is had
//! cheaply, so that 10,000 accounts are no matter.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::config::model::Account as Entry;
use crate::runtime::account::AccountState;
use crate::runtime::snapshot::Snapshot;
use crate::server::admin::accounts::describe::{describe, remaining};
use crate::server::admin::api::accounts::{Account, AccountPage};
use crate::server::admin::{Params, Refusal};
use crate::server::survey::{self, STATES};
use crate::store::{RollUp, Store, UsageHead};

/// What is told of an account's use is of this time.
const DAY: Duration = Duration::from_hours(24);
/// The sums of more accounts than this are read together, and kept for a while.
const FEW: usize = 256;
/// For so long.
const FRESH: Duration = Duration::from_secs(10);

type Heads = HashMap<String, UsageHead>;

/// What accounts did within a day, where it is wanted of all of them.
#[derive(Default)]
pub(in crate::server::admin) struct Day(Mutex<Option<(Instant, Arc<Heads>)>>);

impl Day {
    /// Of all accounts, as it was a few seconds ago at most. Who asks at the same time waits for the same reading.
    fn all(&self, store: &Store, now: Timestamp) -> Arc<Heads> {
        let mut known = self.0.lock();
        if let Some((_, heads)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(heads);
        }
        let heads = Arc::new(read(store, None, now));
        *known = Some((Instant::now(), Arc::clone(&heads)));
        heads
    }

    /// Of these accounts.
    fn of(&self, store: &Store, names: &[&str], now: Timestamp) -> Arc<Heads> {
        if names.len() > FEW {
            self.all(store, now)
        } else {
            Arc::new(read(store, Some(names), now))
        }
    }
}

/// A log that can't be read hides no account: its sums are then missing.
fn read(store: &Store, names: Option<&[&str]>, now: Timestamp) -> Heads {
    let (from, to) = (now.minus(DAY), Timestamp(i64::MAX));
    store
        .usage_heads(RollUp::Account, names, from, to)
        .unwrap_or_default()
}

/// These accounts, described, in this order.
pub(in crate::server::admin) fn described(
    snapshot: &Snapshot,
    ids: &[&AccountId],
    store: &Store,
    day: &Day,
    now: Timestamp,
) -> Vec<Account> {
    let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    of_day(snapshot, ids, &day.of(store, &names, now), now)
}

fn of_day(snapshot: &Snapshot, ids: &[&AccountId], heads: &Heads, now: Timestamp) -> Vec<Account> {
    ids.iter()
        .filter_map(|id| describe(snapshot, id, heads.get(id.as_str()), now))
        .collect()
}

/// An account in the making of a list.
struct Row<'a> {
    id: &'a AccountId,
    entry: &'a Entry,
    live: Option<&'a Arc<AccountState>>,
    /// Its place in [`STATES`].
    state: usize,
}

/// What rows are sorted by. What is not known comes last, whichever way is sorted.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::server::admin) enum Key {
    Number(f64),
    Text(String),
    Nothing,
}

impl Key {
    pub(in crate::server::admin) fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Nothing, Self::Nothing) => return Ordering::Equal,
            (_, Self::Nothing) => return Ordering::Less,
            (Self::Nothing, _) => return Ordering::Greater,
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if descending { order.reverse() } else { order }
    }
}

/// A page as the query wants it.
pub(super) fn page(
    snapshot: &Snapshot,
    params: &Params,
    store: &Store,
    day: &Day,
    now: Timestamp,
) -> Result<AccountPage, Refusal> {
    let wish = Wish::of(params)?;
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(snapshot.config.accounts.len());
    let mut states = [0u64; STATES.len()];
    let (mut upstreams, mut tags, mut tiers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (id, entry) in &snapshot.config.accounts {
        let live = snapshot.accounts.get(id);
        let state = survey::place(&survey::state(snapshot, id, now));
        states[state] += 1;
        upstreams.insert(entry.upstream.as_str());
        tags.extend(entry.tags.iter().map(String::as_str));
        let project = live.and_then(|live| live.project.known());
        let (project, tier) = project.map_or((None, None), |p| (p.id, p.tier));
        let row = Row {
            id,
            entry,
            live,
            state,
        };
        if wish.lets(&row, project.as_deref(), tier.as_deref()) {
            rows.push(row);
        }
        if let Some(tier) = tier.filter(|tier| !tiers.contains(tier)) {
            tiers.insert(tier);
        }
    }
    let matched = rows.len() as u64;
    let by_use = matches!(wish.sort, "requests" | "errors").then(|| day.all(store, now));
    sort(&mut rows, &wish, snapshot, by_use.as_deref(), now);
    let ids = rows.iter().map(|row| row.id).skip(wish.offset);
    let ids: Vec<&AccountId> = ids.take(wish.limit).collect();
    let accounts = match by_use {
        Some(heads) => of_day(snapshot, &ids, &heads, now),
        None => described(snapshot, &ids, store, day, now),
    };
    let named = STATES.iter().zip(states).filter(|(_, n)| *n > 0);
    let states: BTreeMap<String, u64> = named.map(|(name, n)| ((*name).to_owned(), n)).collect();
    Ok(AccountPage {
        accounts,
        total: snapshot.config.accounts.len() as u64,
        matched,
        states,
        upstreams: upstreams.into_iter().map(str::to_owned).collect(),
        tags: tags.into_iter().map(str::to_owned).collect(),
        tiers: tiers.into_iter().collect(),
    })
}

/// What a query wants.
struct Wish<'a> {
    text: Option<String>,
    /// Places in [`STATES`]; all where there are none.
    states: Vec<usize>,
    upstream: Option<&'a str>,
    tag: Option<&'a str>,
    tier: Option<&'a str>,
    sort: &'a str,
    descending: bool,
    offset: usize,
    limit: usize,
}

impl<'a> Wish<'a> {
    fn of(params: &'a Params) -> Result<Self, Refusal> {
        let given = params.get("state").unwrap_or_default();
        let names = given.split(',').map(str::trim).filter(|s| !s.is_empty());
        let states = names.map(|name| {
            STATES.iter().position(|s| *s == name).ok_or_else(|| {
                let all = STATES.join(", ");
                Refusal::field(
                    "state",
                    format!("`state`: expected some of {all}, found `{name}`"),
                )
            })
        });
        let number = |name, default| {
            let number = params.number(name).map(usize::try_from);
            number.and_then(Result::ok).unwrap_or(default)
        };
        Ok(Self {
            text: params.get("q").map(str::to_lowercase),
            states: states.collect::<Result<_, _>>()?,
            upstream: params.get("upstream"),
            tag: params.get("tag"),
            tier: params.get("tier"),
            sort: params.get("sort").unwrap_or("name"),
            descending: params.flag("desc"),
            offset: number("offset", 0),
            limit: number("limit", usize::MAX),
        })
    }

    fn lets(&self, row: &Row<'_>, project: Option<&str>, tier: Option<&str>) -> bool {
        let Row { id, entry, .. } = row;
        let is = |wanted: Option<&str>, found: Option<&str>| {
            wanted.is_none_or(|wanted| found == Some(wanted))
        };
        (self.states.is_empty() || self.states.contains(&row.state))
            && is(self.upstream, Some(entry.upstream.as_str()))
            && is(self.tier, tier)
            && self
                .tag
                .is_none_or(|tag| entry.tags.iter().any(|t| t == tag))
            && self.text.as_deref().is_none_or(|text| {
                let has = |field: &str| field.to_lowercase().contains(text);
                let project = entry.project.as_deref().or(project);
                has(id.as_str())
                    || entry.email.as_deref().is_some_and(has)
                    || entry.tags.iter().any(|tag| has(tag))
                    || project.is_some_and(has)
            })
    }
}

/// Sorts; rows of the same key stay in order of names.
fn sort(
    rows: &mut Vec<Row<'_>>,
    wish: &Wish<'_>,
    snapshot: &Snapshot,
    heads: Option<&Heads>,
    now: Timestamp,
) {
    let none = UsageHead::default();
    let key = |row: &Row<'_>| {
        let head = heads.and_then(|heads| heads.get(row.id.as_str()));
        let head = head.unwrap_or(&none);
        let live = row.live;
        match wish.sort {
            "state" => number(row.state as u64),
            "last_used" => {
                let at = live.map_or(0, |live| live.last_used().0);
                u64::try_from(at)
                    .ok()
                    .filter(|at| *at > 0)
                    .map_or(Key::Nothing, number)
            }
            "remaining" => {
                let left = live.and_then(|live| remaining(snapshot.seats(live.number), now));
                left.map_or(Key::Nothing, Key::Number)
            }
            "requests" => number(head.requests),
            "errors" => number(head.errors.values().sum()),
            "in_flight" => number(u64::from(live.map_or(0, |live| live.in_flight.count()))),
            "tier" => {
                let tier = live.and_then(|live| live.project.known()?.tier);
                tier.map_or(Key::Nothing, Key::Text)
            }
            _ => Key::Text(row.id.to_string()),
        }
    };
    if wish.sort == "name" && !wish.descending {
        return;
    }
    let mut keyed: Vec<(Key, Row<'_>)> = rows.drain(..).map(|row| (key(&row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.compare(b, wish.descending));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is sorted by need not be exact to the 16th digit"
)]
pub(in crate::server::admin) fn number(n: u64) -> Key {
    Key::Number(n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_comes_last_both_ways() {
        let sorted = |descending| {
            let mut keys = [
                Key::Nothing,
                Key::Number(2.0),
                Key::Number(0.5),
                Key::Nothing,
            ];
            keys.sort_by(|a, b| a.compare(b, descending));
            keys
        };
        let (low, high) = (Key::Number(0.5), Key::Number(2.0));
        let last = [Key::Nothing, Key::Nothing];
        assert_eq!(sorted(false)[..2], [low.clone(), high.clone()]);
        assert_eq!(sorted(true)[..2], [high, low]);
        assert_eq!(sorted(false)[2..], last);
        assert_eq!(sorted(true)[2..], last);
    }
}
