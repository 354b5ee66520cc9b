//! Limits of requests at once, of accounts, models, keys and groups: kept under many clients, given back on every path.

use std::sync::Arc;

use agp::base::id::{Dialect as Spoken, RequestId};
use agp::dispatch::attempt::Sink;
use agp::dispatch::exchange::{Exchange, Until};
use agp::dispatch::ticket::Ticket;
use agp::ir::{BlockBody, Event, Request, Role, Turn};
use agp::pool::cooldown;
use agp::pool::failure::Class;
use agp::runtime::snapshot::KeyEntry;
use agp::wire::front::Front;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::client::Dialect::{Anthropic, OpenAi};
use crate::support::client::{BOTH, Got};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, until, within};

const FLASH: &str = "gemini-2.5-flash";
const PRO: &str = "gemini-2.5-pro";
const TEAM: &str = "another-key-that-protects-nothing-at-all";
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Two keys of one group.
fn keys(setup: Setup, each: i64, together: i64) -> Setup {
    setup
        .at(&["groups", "both"], "max_concurrent", together)
        .at(&["keys", "main"], "group", "both")
        .at(&["keys", "main"], "max_concurrent", each)
        .at(&["keys", "team"], "key", TEAM)
        .at(&["keys", "team"], "group", "both")
        .at(&["keys", "team"], "max_concurrent", each)
}

fn key(app: &TestApp, name: &str) -> Arc<KeyEntry> {
    app.runtime().snapshot().key_named(name).unwrap()
}

/// Nothing is held by anybody any more.
async fn assert_all_free(app: &TestApp) {
    until("every slot to be free", || {
        let snapshot = app.runtime().snapshot();
        let accounts = snapshot.accounts.values();
        let calls: u32 = accounts.map(|a| a.in_flight.count()).sum();
        let models = [FLASH, PRO].map(|m| app.runtime().registry.model(&"sim".into(), m));
        let models: u32 = models.iter().map(|m| m.in_flight.count()).sum();
        let keys = ["main", "team"].map(|name| snapshot.key_named(name));
        let counts = keys.iter().flatten().map(|key| key.slots.counts());
        calls == 0 && models == 0 && app.waiting() == 0 && counts.eq([(0, 0); 2])
    })
    .await;
}

/// 50 clients, three requests each; a few leave their streams in the middle. Gives how many requests were served and how
/// many were told when to come back.
async fn fifty_clients(app: &TestApp) -> (usize, usize) {
    let clients = (0..50).map(|n| async move {
        let dialect = BOTH[n % 2];
        // One key asks for one model, the other for the other: so the simulator sees each key's calls.
        let (key, model) = if n % 5 < 3 { (KEY, FLASH) } else { (TEAM, PRO) };
        let mut counts = (0, 0);
        for round in 0..3 {
            let body = dialect.saying(model, "hi", n % 3 == 0);
            let request = app.request_as(dialect, key, &body);
            if n % 10 == round {
                // The headers are there, the answer is not: this client leaves.
                drop(within("an answer", request.send()).await.unwrap());
                continue;
            }
            let got = Got::read(request).await;
            if got.status == 200 {
                counts.0 += 1;
            } else {
                let told = got.error(dialect);
                assert_eq!((told.status, told.retry_after), (429, Some(1)), "{told:?}");
                counts.1 += 1;
            }
        }
        counts
    });
    let counts = join_all(clients).await;
    counts
        .iter()
        .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}

fn script() -> serde_json::Value {
    json!({"answer_bytes": 300, "chunks": 3, "chunk_delay": "4ms"})
}

fn assert_peaks(app: &TestApp, account: usize, model: usize) {
    for name in NAMES {
        let peak = app.sim.peak_in_flight(&format!("{name}@example.com"));
        assert!((1..=account).contains(&peak), "{name}: {peak}");
    }
    for name in [FLASH, PRO] {
        let peak = app.sim.load("", name).peak;
        assert!((1..=model.min(8)).contains(&peak), "{name}: {peak}");
    }
    let together = app.sim.load("", "").peak;
    assert!((2..=10).contains(&together), "{together}");
}

#[tokio::test]
async fn fifty_clients_never_exceed_one_call_an_account_and_three_a_model() {
    let setup = keys(Setup::new(&NAMES), 8, 10)
        .routing("max_concurrent_per_account", 1)
        .routing("max_concurrent_per_model", 3);
    let app = TestApp::start(setup, script()).await;
    let (served, refused) = fifty_clients(&app).await;
    assert_eq!((served, refused), (135, 0), "the queue has room for all");
    assert_peaks(&app, 1, 3);
    assert_all_free(&app).await;
}

#[tokio::test]
async fn fifty_clients_never_exceed_three_calls_an_account_eight_a_key_and_ten_a_group() {
    let setup = keys(Setup::new(&NAMES), 8, 10)
        .routing("max_concurrent_per_account", 3)
        .routing("max_concurrent_per_model", 0);
    let app = TestApp::start(setup, script()).await;
    let (served, refused) = fifty_clients(&app).await;
    assert_eq!((served, refused), (135, 0), "the queue has room for all");
    assert_peaks(&app, 3, 15);
    assert_all_free(&app).await;
}

#[tokio::test]
async fn who_is_not_served_is_told_when_to_return() {
    let setup = keys(Setup::new(&NAMES), 8, 10)
        .routing("max_concurrent_per_account", 1)
        .routing("max_concurrent_per_model", 3)
        .routing("queue_timeout", "40ms")
        .routing("max_queue", 12);
    let app = TestApp::start(setup, script()).await;
    let (served, refused) = fifty_clients(&app).await;
    assert_eq!(served + refused, 135);
    assert!(served > 0 && refused > 0, "{served} {refused}");
    assert_peaks(&app, 1, 3);
    assert_all_free(&app).await;
}

#[tokio::test]
async fn a_full_key_or_group_is_named_and_others_go_on() {
    let pauses = json!({"rules": [
        {"model": FLASH, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    for (each, together, names) in [
        (1, 9, ["keys.main.max_concurrent", "(1)"]),
        (9, 1, ["groups.both.max_concurrent", "(1)"]),
    ] {
        let setup = keys(Setup::new(&["alice"]), each, together)
            .unlimited()
            .routing("queue_timeout", "150ms");
        let app = TestApp::start(setup, pauses.clone()).await;
        let mut long = app.stream(OpenAi, FLASH, "long").await;
        assert_eq!(long.text().await.as_deref(), Some("ab"));
        for dialect in BOTH {
            let told = app.say(dialect, PRO, "hi").await.error(dialect);
            assert_eq!(
                (told.status, told.kind.as_str(), told.retry_after),
                (429, "rate_limit_error", Some(1))
            );
            assert!(names.iter().all(|n| told.message.contains(n)), "{told:?}");
        }
        // The other key of the group shares the group's limit, and not the key's.
        let late = app.aside(Got::read(
            app.request(OpenAi, &OpenAi.saying(PRO, "late", false)),
        ));
        until("one to wait", || app.waiting() == 1).await;
        let body = Anthropic.saying(PRO, "hi", false);
        let other = Got::read(app.request_as(Anthropic, TEAM, &body)).await;
        assert_eq!(other.status, if together == 1 { 429 } else { 200 });
        assert_eq!(late.await.unwrap().status, 429);
        app.sim.release();
        long.rest().await.assert_whole();
        assert_eq!(app.say(OpenAi, PRO, "hi").await.status, 200);
        assert_all_free(&app).await;
    }
}

#[tokio::test]
async fn a_keys_slot_spans_a_failover_and_the_counts_a_reload() {
    let rules = json!({"rules": [
        {"account": "alice@*", "do": {"status": 503}},
        {"account": "bob@*", "times": 1, "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let setup = keys(Setup::new(&["alice", "bob"]), 1, 9)
        .account_set("bob", "tier", 2)
        .routing("queue_timeout", "150ms");
    let mut app = TestApp::start(setup, rules).await;
    let mut long = app.stream(OpenAi, FLASH, "long").await;
    assert_eq!(long.text().await.as_deref(), Some("ab"));
    assert!(app.served().len() > 1 && app.served().ends_with(&["bob".to_owned()]));
    assert_eq!(key(&app, "main").slots.counts(), (1, 1));
    // A reload renames the key's table: its requests are counted by the key itself.
    let before = app.runtime().snapshot().generation;
    app.setup = app
        .setup
        .clone()
        .without(&["keys"], "main")
        .at(&["keys", "renamed"], "key", KEY)
        .at(&["keys", "renamed"], "max_concurrent", 1);
    app.save();
    until("the reload", || {
        app.runtime().snapshot().generation > before
    })
    .await;
    let told = app.say(OpenAi, PRO, "hi").await.error(OpenAi);
    assert!(
        told.message.contains("keys.renamed.max_concurrent"),
        "{told:?}"
    );
    app.sim.release();
    long.rest().await.assert_whole();
    until("the key's slot", || {
        key(&app, "renamed").slots.counts() == (0, 0)
    })
    .await;
}

/// Panics with the first content.
struct Broken;

impl Sink for Broken {
    fn event(&mut self, event: &Event<'_>) {
        if event.is_content() {
            std::panic::resume_unwind(Box::new("made to break"));
        }
    }

    fn reset(&mut self) {}
}

#[tokio::test]
async fn a_panic_inside_a_request_gives_everything_back() {
    let app = TestApp::start(keys(Setup::new(&["alice"]), 1, 1), json!({})).await;
    let dispatcher = Arc::clone(&app.gateway().gateway().dispatcher);
    let snapshot = app.runtime().snapshot();
    let (route, key) = (
        Arc::clone(snapshot.route(FLASH).unwrap()),
        key(&app, "main"),
    );
    let id = RequestId::generate();
    let ticket = Ticket::open(app.runtime(), id, Front::OpenAiChat, Some(&key.id));
    let mut request = Request::new(Spoken::OpenAiChat, FLASH);
    request.turns = vec![Turn {
        role: Role::User,
        blocks: vec![BlockBody::Text("hi".to_owned()).into()],
    }];
    let mut exchange = Exchange::new(&dispatcher, snapshot, route, key, request, ticket);
    let broken = app.aside(async move { exchange.open(Until::End, &mut Broken).await });
    assert!(broken.await.unwrap_err().is_panic());
    assert_all_free(&app).await;
    assert_eq!(app.served(), ["alice"]);
    assert_eq!(app.say(OpenAi, FLASH, "next").await.status, 200);
    // Its row is in the log all the same.
    assert_eq!(app.log(&id.to_string()).await.tries.len(), 1);
}

#[tokio::test]
async fn a_session_header_names_the_conversation() {
    let names: Vec<String> = (0..8).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let app = TestApp::start(Setup::new(&names), json!({})).await;
    let say = async |text: &str, header: &str, session: &str| {
        let request = app.request(Anthropic, &Anthropic.saying(FLASH, text, false));
        let got = Got::read(request.header(header, session)).await;
        assert_eq!(got.status, 200, "{}", got.text);
        app.served().pop().unwrap()
    };
    // Other words in the same session stay where it is, whichever header names it.
    let home = say("one", "x-claude-code-session-id", "s1").await;
    for (n, header) in ["session_id", "session-id", "x-session-id"]
        .iter()
        .enumerate()
    {
        assert_eq!(say(&format!("{n}"), header, "s1").await, home, "{header}");
    }
    // The same words in other sessions are spread.
    let mut homes = std::collections::HashSet::new();
    for n in 0..24 {
        homes.insert(say("one", "session_id", &format!("s{n}")).await);
    }
    assert!(homes.len() > 2, "{homes:?}");
    // What the body says of its conversation goes first.
    let mut body = Anthropic.saying(FLASH, "one", false);
    body["metadata"] = json!({"user_id": "u1"});
    let mut served = std::collections::HashSet::new();
    for n in 0..12 {
        let request = app.request(Anthropic, &body);
        let got = Got::read(request.header("session_id", format!("s{n}"))).await;
        assert_eq!(got.status, 200);
        served.insert(app.served().pop().unwrap());
    }
    assert_eq!(served.len(), 1, "{served:?}");
}

#[tokio::test]
async fn an_exhausted_account_is_asked_again() {
    // The upstream states no delay, and its list says that all is left: right after the refusal that is not believed, and
    // what was a guess ends with a later reading.
    let script = json!({"rules": [
        {"account": "alice@*", "model": FLASH, "times": 1, "do": {"form": "limit_zero"}}]});
    let setup = Setup::new(&["alice"]).routing("queue_timeout", "50ms");
    let app = TestApp::start(setup, script).await;
    app.warm().await;
    let asked = app.calls("fetchAvailableModels");
    let got = app.say(OpenAi, FLASH, "hi").await;
    assert_eq!(app.tries(got.id()).await, ["alice quota_exhausted"]);
    within(
        "a question for quotas",
        app.sim.until(|sim| {
            let calls = sim.requests();
            let asking = calls.iter().filter(|c| c.method == "fetchAvailableModels");
            asking.count() > asked
        }),
    )
    .await;
    let account = app.account("alice");
    let (_, bench) = account.bench(FLASH, Class::QuotaExhausted).unwrap();
    let later = bench.since.plus(cooldown::BELIEVED);
    assert!(account.quota(FLASH, (Some(1.0), None), later, later));
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    assert_eq!(app.served(), ["alice", "alice"]);
}
