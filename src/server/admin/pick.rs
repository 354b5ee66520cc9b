//! `pick`: draws accounts for a model with the function that serves requests, and counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;

use crate::base::time::Timestamp;
use crate::dispatch::affinity;
use crate::dispatch::seat::{Excluded, Seating};
use crate::runtime::snapshot::KeyEntry;
use crate::server::Gateway;
use crate::server::admin::api::models::{Picked, PickedAccount, PickedTarget};
use crate::server::admin::{self, Params, Refusal};

const DEFAULT_REQUESTS: u32 = 1000;
/// No drawing for longer, however many are left.
const LONGEST: Duration = Duration::from_secs(8);

pub(super) fn pick(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let model = params.need("model")?;
    let requests = params.number("requests");
    let requests = requests.and_then(|n| u32::try_from(n).ok());
    let requests = requests.unwrap_or(DEFAULT_REQUESTS);
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let key = match params.get("key") {
        None => Arc::new(KeyEntry::anybody()),
        Some(name) => snapshot
            .key_named(name)
            .ok_or_else(|| missing("key", format!("there is no key `{name}` in the file")))?,
    };
    let route = snapshot
        .route(model)
        .filter(|route| key.may_see(&route.name) || key.may_see(model))
        .ok_or_else(|| {
            let message = format!("there is no model `{model}`, or not for this key");
            missing("model", message)
        })?;
    let home = params
        .get("conversation")
        .filter(|_| route.affinity)
        .map(|name| affinity::named(&key.id, name));
    let seating = Seating {
        route: Arc::clone(route),
        key,
        queue: Arc::clone(&gateway.dispatcher.queue),
        home,
    };
    let nobody = Excluded::default();
    let lots = seating.lots(requests, Instant::now() + LONGEST);
    let now = Timestamp::now();
    let targets = route.targets.iter().zip(&lots.counts);
    let targets = targets.map(|(target, counts)| {
        let seats = target.seats.iter().zip(counts);
        let verdicts = seating.target_verdicts(target, &nobody);
        let accounts = seats.zip(verdicts).map(|((seat, count), verdict)| {
            let view = seat.lane.view(seat.credits, now);
            PickedAccount {
                name: seat.account.id.as_str().to_owned(),
                picked: u64::from(*count),
                share: f64::from(*count) / f64::from(lots.drawn.max(1)),
                weight: seat.weight,
                tier: seat.tier,
                remaining: view.remaining,
                health: view.health,
                verdict: verdict.text().to_string(),
            }
        });
        PickedTarget {
            upstream: target.upstream.id.as_str().to_owned(),
            model: target.model.clone(),
            accounts: accounts.collect(),
        }
    });
    admin::told(Picked {
        model: route.name.clone(),
        strategy: route.strategy.as_str().to_owned(),
        affinity: route.affinity,
        requests: u64::from(requests),
        drawn: u64::from(lots.drawn),
        blocked: lots.blocked.map(|why| why.to_string()),
        targets: targets.collect(),
    })
}

fn missing(field: &str, message: String) -> Refusal {
    Refusal::field(field, message).with(StatusCode::NOT_FOUND)
}
