//! `pick`: draws accounts for a model with the function that serves requests, and counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::base::time::Timestamp;
use crate::dispatch::affinity;
use crate::dispatch::seat::{Excluded, Seating};
use crate::runtime::snapshot::KeyEntry;
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal};

const DEFAULT_REQUESTS: u32 = 1000;
const MOST_REQUESTS: u32 = 1_000_000;
/// No drawing for longer, however many are left.
const LONGEST: Duration = Duration::from_secs(8);

pub(super) fn pick(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let model = params.need("model")?;
    let requests = match params.get("requests").map(str::parse::<u32>) {
        None => DEFAULT_REQUESTS,
        Some(Ok(n)) if (1..=MOST_REQUESTS).contains(&n) => n,
        Some(_) => {
            let message = format!("`requests` must be a number from 1 to {MOST_REQUESTS}");
            return Err(Refusal::mistake(message));
        }
    };
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let key = match params.get("key") {
        None => Arc::new(KeyEntry::anybody()),
        Some(name) => snapshot
            .key_named(name)
            .ok_or_else(|| Refusal::not_found(format!("there is no key `{name}` in the file")))?,
    };
    let route = snapshot
        .route(model)
        .filter(|route| key.may_see(&route.name) || key.may_see(model))
        .ok_or_else(|| {
            Refusal::not_found(format!("there is no model `{model}`, or not for this key"))
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
    let targets: Vec<_> = route
        .targets
        .iter()
        .zip(&lots.counts)
        .map(|(target, counts)| {
            let seats = target.seats.iter().zip(counts);
            let verdicts = seating.target_verdicts(target, &nobody);
            let accounts: Vec<_> = seats
                .zip(verdicts)
                .map(|((seat, count), verdict)| {
                    let view = seat.lane.view(seat.credits, now);
                    json!({
                        "name": seat.account.id.as_str(),
                        "picked": count,
                        "share": f64::from(*count) / f64::from(lots.drawn.max(1)),
                        "weight": seat.weight,
                        "tier": seat.tier,
                        "remaining": view.remaining,
                        "health": view.health,
                        "verdict": verdict.text(),
                    })
                })
                .collect();
            json!({
                "upstream": target.upstream.id.as_str(),
                "model": target.model,
                "accounts": accounts,
            })
        })
        .collect();
    Ok(json!({
        "model": route.name,
        "strategy": route.strategy.as_str(),
        "affinity": route.affinity,
        "requests": requests,
        "drawn": lots.drawn,
        "blocked": lots.blocked.map(|why| why.to_string()),
        "targets": targets,
    }))
}
