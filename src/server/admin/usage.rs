//! `usage`: sums of requests over a time, as a series and by name. They come from the sums of quarter hours: no row of the log
//! is read.

pub(super) mod steps;
pub(super) mod sums;
pub(super) mod window;

use std::collections::HashMap;

use serde_json::Value;

use crate::base::time::Timestamp;
use crate::server::Gateway;
use crate::server::admin::accounts::describe::share;
use crate::server::admin::api::usage::{Usage, UsagePoint, UsageRow};
use crate::server::admin::logs::{time, unavailable};
use crate::server::admin::{Params, Refusal, told};
use crate::store::{RollUp, Store, UsageBucket, UsageSums};

use steps::{Step, midnights, quarter};
use sums::sums;

/// Most points of a series.
const POINTS: usize = 3000;
/// Most rows by name.
const ROWS: usize = 1000;
/// Where no begin is given.
const SINCE: &str = "24h";

/// What is summed up.
struct Wish<'a> {
    kind: RollUp,
    name: Option<&'a str>,
    by: RollUp,
    from: Timestamp,
    to: Timestamp,
    step: Step,
}

pub(super) fn usage(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let snapshot = runtime.snapshot();
    let zone = &snapshot.config.admin.time_zone;
    let now = Timestamp::now();
    let wish = Wish::of(params, now, zone)?;
    let begins = wish.step.begins(wish.from, wish.to, zone, POINTS);
    if begins.len() > POINTS {
        let message = format!(
            "`step`: these are more than {POINTS} points: ask for longer steps or a shorter time"
        );
        return Err(Refusal::field("step", message));
    }
    let store = &runtime.store;
    let read = |from, to| of_time(store, &wish, from, to);
    let buckets = read(wish.from, wish.to)?;
    let length = wish.to.since(wish.from);
    let before = read(wish.from.minus(length), wish.from)?;
    let windows = &gateway.shared.windows;
    let names = windows
        .totals(store, wish.by, (wish.from, wish.to), now)
        .map_err(|e| unavailable(&e))?;
    told(&Usage {
        since: wish.from.to_string(),
        until: wish.to.to_string(),
        step_s: wish.step.seconds(),
        totals: sums(&total(&buckets)),
        before: sums(&total(&before)),
        series: series(&begins, &buckets),
        rows: rows(names, ROWS),
    })
}

impl<'a> Wish<'a> {
    fn of(params: &'a Params, now: Timestamp, zone: &jiff::tz::TimeZone) -> Result<Self, Refusal> {
        let to = params.get("until").map(|text| time("until", text, now));
        let to = to.transpose()?.unwrap_or(now);
        let from = match params.get("since").unwrap_or(SINCE) {
            "today" => midnights(now, zone).0,
            text => time("since", text, now)?,
        };
        let from = quarter(from);
        if from >= to {
            let message = "`since`: expected a time before `until`";
            return Err(Refusal::field("since", message));
        }
        let step = params.get("step").and_then(Step::named);
        let (mut kind, mut name) = (RollUp::All, None);
        for (parameter, of) in KINDS {
            let Some(given) = params.get(parameter) else {
                continue;
            };
            if name.is_some() {
                let message = "sums are kept for a model, an account or a key, not for two of them";
                return Err(Refusal::field(parameter, message));
            }
            (kind, name) = (of, Some(given));
        }
        let by = params.get("by").unwrap_or("model");
        let by = KINDS.iter().find(|(name, _)| *name == by);
        Ok(Self {
            kind,
            name,
            by: by.map_or(RollUp::Model, |(_, kind)| *kind),
            from,
            to,
            step: step.unwrap_or_else(|| Step::for_length(to.0.saturating_sub(from.0))),
        })
    }
}

/// What sums are kept for, by the names of parameters.
const KINDS: [(&str, RollUp); 3] = [
    ("model", RollUp::Model),
    ("account", RollUp::Account),
    ("key", RollUp::Key),
];

fn of_time(
    store: &Store,
    wish: &Wish<'_>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<UsageBucket>, Refusal> {
    let name = wish.name.or(Some(""));
    let read = store.usage(wish.kind, name, from, to);
    read.map_err(|e| unavailable(&e))
}

/// All of them together.
pub(super) fn total(buckets: &[UsageBucket]) -> UsageSums {
    let mut total = UsageSums::default();
    for bucket in buckets {
        total.merge(&bucket.sums);
    }
    total
}

/// The steps in order, those too in which nothing was. Both are in order of time.
pub(super) fn series(begins: &[Timestamp], buckets: &[UsageBucket]) -> Vec<UsagePoint> {
    let mut rest = buckets;
    let mut points = Vec::with_capacity(begins.len());
    for (at, begin) in begins.iter().enumerate() {
        let end = begins.get(at + 1).copied().unwrap_or(Timestamp(i64::MAX));
        let n = rest.partition_point(|bucket| bucket.start < end);
        let (here, later) = rest.split_at(n);
        rest = later;
        points.push(UsagePoint {
            start: begin.to_string(),
            sums: sums(&total(here)),
        });
    }
    points
}

/// Each name with its sums, most requests first, at most so many.
pub(super) fn rows(names: HashMap<String, UsageSums>, most: usize) -> Vec<UsageRow> {
    let all: u64 = names.values().map(|sums| sums.requests).sum();
    let mut rows: Vec<(String, UsageSums)> = names.into_iter().collect();
    rows.sort_by(|(a, x), (b, y)| y.requests.cmp(&x.requests).then_with(|| a.cmp(b)));
    rows.truncate(most);
    rows.into_iter()
        .map(|(name, of)| UsageRow {
            name,
            share: share(of.requests, all),
            sums: sums(&of),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(start: i64, requests: u64) -> UsageBucket {
        UsageBucket {
            start: Timestamp(start),
            kind: RollUp::All,
            name: String::new(),
            sums: UsageSums {
                requests,
                ..UsageSums::default()
            },
        }
    }

    #[test]
    fn every_bucket_is_in_one_point_and_empty_points_stay() {
        let begins = [Timestamp(0), Timestamp(100), Timestamp(200)];
        let buckets = [bucket(0, 1), bucket(99, 2), bucket(200, 4), bucket(999, 8)];
        let requests: Vec<u64> = series(&begins, &buckets)
            .iter()
            .map(|point| point.sums.requests)
            .collect();
        assert_eq!(requests, [3, 0, 12]);
    }

    #[test]
    fn rows_have_their_share_of_all_even_of_those_left_out() {
        let names = [("a", 1), ("b", 6), ("c", 3)].map(|(name, n)| {
            let sums = bucket(0, n).sums;
            (name.to_owned(), sums)
        });
        let rows = rows(HashMap::from(names), 2);
        let told: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.share)).collect();
        assert_eq!(told, [("b", 0.6), ("c", 0.3)]);
    }
}
