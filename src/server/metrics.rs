//! `/metrics`: what was counted, and what holds at the moment of asking, in Prometheus' text form. docs/metrics.md lists it.
//!
//! Labels are bounded whatever clients send: names of upstreams and models come from the file, everything else from lists of
//! the program. No account and no key is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use warp::reply::Response;

use crate::base::metrics::Kind::{Counter, Gauge, Histogram};
use crate::base::metrics::{Page, seconds};
use crate::base::time::Timestamp;
use crate::runtime::metrics::ModelCounts;
use crate::runtime::snapshot::Snapshot;
use crate::server::login::Counts;
use crate::server::survey::{self, STATES};
use crate::server::{Gateway, reply};
use crate::store::{Condition, Health};

/// Stands for the models that an upstream publishes and the file does not name: no name in a file is like it.
const DISCOVERED: &str = "(discovered)";

/// Answers a scrape. The page is made beside the threads that serve, since it looks at every account.
pub async fn scrape(gateway: Arc<Gateway>) -> Response {
    let made = tokio::task::spawn_blocking(move || page(&gateway)).await;
    reply::metrics(made.unwrap_or_default())
}

/// The page. Looks at every account: not to be called on a thread that serves.
pub fn page(gateway: &Gateway) -> String {
    let mut page = Page::default();
    let snapshot = gateway.dispatcher.runtime.snapshot();
    process(&mut page, gateway);
    requests(&mut page, gateway);
    models(&mut page, gateway, &snapshot);
    upstreams(&mut page, &snapshot);
    accounts(&mut page, gateway, &snapshot);
    store(&mut page, &gateway.dispatcher.runtime.store.health());
    reloads(&mut page, gateway, &snapshot);
    sign_ins(&mut page, &gateway.login.counts);
    page.into_text()
}

/// A moment as Unix seconds.
fn moment(at: Timestamp) -> String {
    seconds(u64::try_from(at.0).unwrap_or_default().saturating_mul(1000))
}

fn sign_ins(page: &mut Page, counts: &Counts) {
    page.metric(
        "agp_sign_ins_total",
        Counter,
        "Passwords given at the panel, by what came of it.",
    )
    .sample(&[("result", "ok")], counts.ok.get())
    .sample(&[("result", "wrong")], counts.wrong.get())
    .sample(&[("result", "throttled")], counts.throttled.get());
}

fn process(page: &mut Page, gateway: &Gateway) {
    page.metric(
        "agp_build_info",
        Gauge,
        "Always 1; the label tells what runs.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1)
    .metric(
        "process_start_time_seconds",
        Gauge,
        "When the process started, in Unix seconds.",
    )
    .sample(&[], moment(gateway.dispatcher.runtime.started))
    .metric(
        "agp_connections",
        Gauge,
        "Open connections of clients to `server.listen`.",
    )
    .sample(&[], gateway.public.connections());
}

fn requests(page: &mut Page, gateway: &Gateway) {
    let metrics = gateway.dispatcher.runtime.metrics();
    page.metric(
        "agp_requests_total",
        Counter,
        "Requests that ended, by dialect, outcome, and whose fault a failure was.",
    );
    for (dialect, fault, outcome, n) in metrics.outcomes() {
        let labels = [("dialect", dialect), ("fault", fault), ("outcome", outcome)];
        page.sample(&labels, n);
    }
    page.metric(
        "agp_requests_in_flight",
        Gauge,
        "Requests that are being served or wait for it.",
    )
    .sample(&[], metrics.in_flight.get())
    .metric(
        "agp_queue_length",
        Gauge,
        "Requests that wait for a slot, a cooldown's end or a quota's reset.",
    )
    .sample(&[], gateway.dispatcher.queue.len())
    .metric(
        "agp_queue_wait_seconds",
        Histogram,
        "How long each request waited for slots, all its tries together.",
    )
    .histogram(&[], &metrics.waited)
    .metric(
        "agp_request_duration_seconds",
        Histogram,
        "How long requests took that were answered, from begin to the last byte.",
    )
    .histogram(&[], &metrics.latency)
    .metric(
        "agp_first_token_seconds",
        Histogram,
        "How long it took to the first content of an answer, failed tries and waiting included.",
    )
    .histogram(&[], &metrics.first_token);
}

/// The models of the file by name, those that upstreams publish as one.
fn models(page: &mut Page, gateway: &Gateway, snapshot: &Snapshot) {
    let mut counts: Vec<(&str, &ModelCounts)> = Vec::new();
    for name in snapshot.config.models.keys() {
        if let Some(route) = snapshot.route(name) {
            counts.push((name.as_str(), &route.counts));
        }
    }
    let metrics = gateway.dispatcher.runtime.metrics();
    if snapshot.upstreams.values().any(|u| u.config.discover) {
        counts.push((DISCOVERED, &metrics.discovered));
    }
    page.metric(
        "agp_model_requests_total",
        Counter,
        "Requests that ended, by public model and whose fault a failure was.",
    );
    for (model, counts) in &counts {
        for (fault, n) in counts.requests() {
            page.sample(&[("model", model), ("fault", fault)], n);
        }
    }
    page.metric(
        "agp_tokens_total",
        Counter,
        "Tokens as upstreams count them, by public model and kind; the kinds have no token in common.",
    );
    for (model, counts) in &counts {
        for (kind, n) in counts.tokens() {
            page.sample(&[("model", model), ("kind", kind)], n);
        }
    }
}

fn upstreams(page: &mut Page, snapshot: &Snapshot) {
    page.metric(
        "agp_tries_total",
        Counter,
        "Calls to upstreams that ended, by upstream and class of failure.",
    );
    for (id, upstream) in &snapshot.upstreams {
        for (class, n) in upstream.tries.counts() {
            page.sample(&[("upstream", id.as_str()), ("class", class)], n);
        }
    }
}

fn accounts(page: &mut Page, gateway: &Gateway, snapshot: &Snapshot) {
    let now = Timestamp::now();
    let tally = Tally::of(snapshot, now);
    page.metric(
        "agp_accounts",
        Gauge,
        "Accounts of the file, by upstream and state.",
    );
    for (upstream, states) in &tally.states {
        for (state, n) in STATES.iter().zip(states) {
            page.sample(&[("upstream", upstream), ("state", state)], n);
        }
    }
    page.metric(
        "agp_calls_in_flight",
        Gauge,
        "Calls to upstreams under way, by upstream.",
    );
    for (upstream, calls) in &tally.calls {
        page.sample(&[("upstream", upstream)], calls);
    }
    page.metric(
        "agp_cooldowns",
        Gauge,
        "Cooldowns in force, by what cools and the class of failure that brought them.",
    );
    for ((scope, class), n) in &tally.cooldowns {
        page.sample(&[("scope", scope), ("class", class)], n);
    }
    let models = gateway.dispatcher.runtime.registry.cooling_models(now);
    page.sample(&[("scope", "model"), ("class", "capacity")], models);
}

/// The pool in numbers.
#[derive(Default)]
struct Tally<'a> {
    states: BTreeMap<&'a str, [u64; STATES.len()]>,
    calls: BTreeMap<&'a str, u64>,
    cooldowns: BTreeMap<(&'static str, &'static str), u64>,
}

impl<'a> Tally<'a> {
    fn of(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let mut tally = Self::default();
        for id in snapshot.upstreams.keys() {
            tally.states.insert(id.as_str(), [0; STATES.len()]);
            tally.calls.insert(id.as_str(), 0);
        }
        for (id, account) in &snapshot.config.accounts {
            let Some(states) = tally.states.get_mut(account.upstream.as_str()) else {
                continue;
            };
            states[survey::place(&survey::state(snapshot, id, now))] += 1;
            let Some(account) = snapshot.accounts.get(id) else {
                continue;
            };
            if let Some(calls) = tally.calls.get_mut(account.upstream.as_str()) {
                *calls += u64::from(account.in_flight.count());
            }
            account.benches(now, |whole, class| {
                let scope = if whole { "account" } else { "account_model" };
                *tally.cooldowns.entry((scope, class.as_str())).or_default() += 1;
            });
        }
        tally
    }
}

fn store(page: &mut Page, health: &Health) {
    page.metric(
        "agp_store_ok",
        Gauge,
        "1 while the last write of the file went well, 0 while writing fails.",
    );
    for (file, condition) in [("state", &health.state), ("log", &health.log)] {
        let ok = u8::from(*condition == Condition::Ok);
        page.sample(&[("file", file)], ok);
    }
    page.metric(
        "agp_store_queued",
        Gauge,
        "Writes that wait for the disk, by file.",
    )
    .sample(&[("file", "state")], health.queued_writes)
    .sample(&[("file", "log")], health.queued_logs)
    .metric(
        "agp_store_dropped_total",
        Counter,
        "Writes that were lost for want of room in memory while the disk failed, by file.",
    )
    .sample(&[("file", "state")], health.dropped_writes)
    .sample(&[("file", "log")], health.dropped_logs)
    .metric(
        "agp_store_last_commit_seconds",
        Gauge,
        "When something was last written, in Unix seconds; 0 before the first.",
    )
    .sample(&[], moment(health.last_commit.unwrap_or(Timestamp(0))));
}

fn reloads(page: &mut Page, gateway: &Gateway, snapshot: &Snapshot) {
    let runtime = &gateway.dispatcher.runtime;
    let metrics = runtime.metrics();
    let reload = runtime.reload.lock().clone();
    page.metric(
        "agp_config_generation",
        Gauge,
        "The number of the configuration in force.",
    )
    .sample(&[], snapshot.generation)
    .metric(
        "agp_config_reload_ok",
        Gauge,
        "1 where the files as they were last read are in force, 0 where they were refused.",
    )
    .sample(&[], u8::from(reload.errors.is_empty()))
    .metric(
        "agp_config_reload_errors",
        Gauge,
        "How many errors the files had when they were last read.",
    )
    .sample(&[], reload.errors.len())
    .metric(
        "agp_config_reload_time_seconds",
        Gauge,
        "When changed files were last read, in Unix seconds; 0 before the first change.",
    )
    .sample(&[], moment(reload.at))
    .metric(
        "agp_config_reloads_total",
        Counter,
        "Changed files that were read since the start, by what became of them.",
    )
    .sample(&[("result", "applied")], metrics.applied.get())
    .sample(&[("result", "refused")], metrics.refused.get());
}
