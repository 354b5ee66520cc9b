//! One account as people see it.

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::config::model::{Account as Entry, Config};
use crate::pool::report::State;
use crate::runtime::account::AccountState;
use crate::runtime::snapshot::{Seat, Snapshot};
use crate::server::admin::api::accounts::{Account, ClosedModel, Quota};
use crate::store::UsageHead;

/// An account of the file, with what its models say and what it did within a day.
pub(in crate::server::admin) fn describe(
    snapshot: &Snapshot,
    id: &AccountId,
    day: Option<&UsageHead>,
    now: Timestamp,
) -> Option<Account> {
    let entry = snapshot.config.accounts.get(id)?;
    let mut account = of_file(&snapshot.config, id, entry);
    if let Some(day) = day {
        account.requests = day.requests;
        account.errors = day.errors.values().sum();
        account.cache_share = cache_share(day);
    }
    if let Some(state) = snapshot.accounts.get(id) {
        let seats: Vec<&Seat> = snapshot.seats(state.number).collect();
        living(&mut account, state, &seats, now);
    }
    Some(account)
}

/// What the file alone says of it: all there is to say of one that it does not enable.
fn of_file(config: &Config, id: &AccountId, entry: &Entry) -> Account {
    let limit = config.routing.max_concurrent_per_account;
    Account {
        name: id.to_string(),
        upstream: entry.upstream.to_string(),
        email: entry.email.clone(),
        enabled: entry.enabled,
        state: State::Paused.as_str().to_owned(),
        reason: Some("`enabled = false` in the file".to_owned()),
        since: None,
        step: Some("set `enabled = true` in the file".to_owned()),
        until: None,
        class: None,
        exhausted: None,
        link: None,
        cooling_until: None,
        in_flight: 0,
        tier: None,
        project: entry.project.clone(),
        weight: entry.weight,
        rank: entry.tier,
        max_concurrent: entry.max_concurrent.unwrap_or(limit),
        allowed: entry.models.clone(),
        tags: entry.tags.clone(),
        credits: entry.credits,
        token_until: None,
        last_used: None,
        requests: 0,
        errors: 0,
        cache_share: None,
        remaining: None,
        models: Vec::new(),
        quotas: Vec::new(),
    }
}

/// What is known of it while it is in use.
fn living(account: &mut Account, state: &AccountState, seats: &[&Seat], now: Timestamp) {
    let report = state.report(seats.iter().map(|seat| seat.offer(now)), now);
    let (_, whole, _) = state.health();
    let text = |time: Timestamp| time.to_string();
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    report.state.as_str().clone_into(&mut account.state);
    account.reason = said(&report.reason);
    account.since = report.since.map(text);
    account.step = said(report.step);
    account.until = report.state.until().map(text);
    match report.state {
        State::Cooling { class, .. } => account.class = Some(class.as_str().to_owned()),
        State::Exhausted { models, .. } => account.exhausted = Some(models),
        State::NeedsVerification(link) => account.link = link,
        _ => {}
    }
    account.cooling_until = whole.filter(|c| c.holds(now)).map(|c| text(c.until));
    account.in_flight = state.in_flight.count();
    let project = state.project.known().unwrap_or_default();
    account.tier = project.tier;
    account.project = account.project.take().or(project.id);
    account.token_until = state.credential.expires_at().map(text);
    account.last_used = Some(state.last_used()).filter(|at| at.0 > 0).map(text);
    account.remaining = remaining(seats.iter().copied(), now);
    account.models = seats
        .iter()
        .filter_map(|seat| closed(state, seat, now))
        .collect();
    account.quotas = seats.iter().map(|seat| quota(seat, now)).collect();
}

/// The least that is left of a model's quota; `None` where nothing is known.
pub(super) fn remaining<'a>(seats: impl Iterator<Item = &'a Seat>, now: Timestamp) -> Option<f64> {
    let known = seats.filter_map(|seat| seat.lane.remaining(now));
    known.reduce(f64::min)
}

/// The part of the input that was read from the upstream's cache; `None` where there was none.
fn cache_share(day: &UsageHead) -> Option<f64> {
    let all = day
        .input
        .saturating_add(day.cached)
        .saturating_add(day.cache_write);
    (all > 0).then(|| share(day.cached, all))
}

/// A part of a whole, 0 to 1; 0 of nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share for people, exact to far more digits than they see"
)]
pub(in crate::server::admin) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// A model that can't be had of this account now.
fn closed(account: &AccountState, seat: &Seat, now: Timestamp) -> Option<ClosedModel> {
    let view = seat.lane.view(seat.credits, now);
    let model = &seat.lane.model;
    (view.ready_at > now).then(|| {
        let machine = account.machine();
        let bench = machine.models.get(model).filter(|bench| bench.holds(now));
        ClosedModel {
            model: model.clone(),
            until: view.ready_at.to_string(),
            class: bench.map(|bench| bench.class.as_str().to_owned()),
        }
    })
}

fn quota(seat: &Seat, now: Timestamp) -> Quota {
    let view = seat.lane.view(seat.credits, now);
    Quota {
        model: seat.lane.model.clone(),
        remaining: view.remaining,
        reset: seat.lane.reset(now).map(|at| at.to_string()),
        health: view.health,
    }
}
