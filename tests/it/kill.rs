//! `kill -9` of the gateway under load: what it had promised is there at the next start. A few rounds by default;
//! `AGP_SERVE_KILLS=200` for more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agp::base::id::RequestId;
use agp::base::time::Timestamp;
use agp::runtime::keyring::Keyring;
use agp::store::{Options, Store};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::client::BOTH;
use crate::support::place::Place;
use crate::support::script;
use crate::support::setup::Setup;

const FLASH: &str = "gemini-2.5-flash";
const ALICE: &str = "alice@example.com";
/// At most so much of what was written without waiting may be lost.
const LOST: Duration = Duration::from_secs(1);

/// What the gateway promised in all its lives.
#[derive(Default)]
struct Promised {
    /// Requests that were answered, and when.
    answered: Vec<(RequestId, Timestamp)>,
    /// How often alice's refresh token was rotated before this life.
    rotations: usize,
    /// The rotation whose token was used: it had to be on the disk before.
    used: usize,
    /// When the upstream first asked for bob to be left alone.
    limited: Option<Timestamp>,
    slowest: Duration,
}

/// Asks until the gateway is gone, and notes what was answered.
async fn client(
    place: &Place,
    n: usize,
    over: &AtomicBool,
    answered: &Mutex<Vec<(RequestId, Timestamp)>>,
) {
    while !over.load(Ordering::Acquire) {
        let request = place.ask(BOTH[n % 2], FLASH, n.is_multiple_of(3));
        let Ok(response) = request.send().await else {
            continue;
        };
        let id = response.headers().get("x-request-id").cloned();
        if response.bytes().await.is_err() {
            continue;
        }
        let id = id.and_then(|id| RequestId::parse(id.to_str().ok()?));
        answered.lock().extend(id.map(|id| (id, Timestamp::now())));
    }
}

/// One life, ended after `life`.
async fn live(place: &Place, life: Duration, promised: &mut Promised) {
    place.sim.clear();
    let mut serving = place.serve();
    place.ready().await;
    let (over, answered) = (AtomicBool::new(false), Mutex::default());
    let load = async {
        let clients = (0..6).map(|n| client(place, n, &over, &answered));
        futures_util::future::join_all(clients).await;
    };
    let end = async {
        let begun = Instant::now();
        while begun.elapsed() < life {
            // A refused token is renewed, and its refresh token rotated.
            place.sim.revoke(ALICE);
            tokio::time::sleep(Duration::from_millis(40).min(life)).await;
        }
        serving.kill().await;
        over.store(true, Ordering::Release);
    };
    tokio::join!(load, end);
    promised.answered.extend(answered.into_inner());
}

/// What the upstream saw of this life.
fn note(place: &Place, promised: &mut Promised) {
    let seen = place.sim.requests();
    let mut rotated = promised.rotations;
    let mut since = None;
    for call in seen.iter().filter(|call| call.account == ALICE) {
        match call.method.as_str() {
            "token" if call.status == 200 => {
                rotated += 1;
                since = Some(call.at);
            }
            "streamGenerateContent"
                if call.status == 200 && since.is_some_and(|at| call.at > at) =>
            {
                promised.used = rotated;
            }
            _ => {}
        }
    }
    promised.rotations = rotated;
    let limited = seen.iter().find(|call| call.status == 429);
    promised.limited = promised.limited.or(limited.map(|call| call.at));
}

/// Opens the store, and holds it to the promises.
async fn check(place: &Place, killed: Timestamp, promised: &mut Promised) {
    let data = place.path().join("data");
    let keyring: Arc<Keyring> = Keyring::open(&data.join("agp-identity.txt"), true).unwrap();
    let begun = Instant::now();
    let store = Store::open(&data, keyring, Options::default()).unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "it opened in {took:?}");
    promised.slowest = promised.slowest.max(took);
    let learned = store.load().unwrap();
    assert_eq!(learned.unreadable, 0);

    let alice = learned
        .tokens
        .iter()
        .find(|t| t.account.as_str() == "alice");
    let refresh = alice.and_then(|token| token.refresh_token.as_ref());
    let number = refresh.and_then(|token| token.expose().split_once('~')?.1.parse().ok());
    let number: usize = number.unwrap_or_default();
    let used = promised.used;
    assert!(number >= used, "rotation {used} was used, {number} is kept");

    let due = promised.limited.is_some_and(|at| killed.since(at) > LOST);
    let mut cooldowns = learned.cooldowns.iter();
    let cooling = cooldowns.any(|c| c.account.as_str() == "bob" && c.until > killed);
    assert!(cooling || !due, "bob's cooldown is lost");

    for (id, at) in &promised.answered {
        let found = store.log_record(*id).unwrap();
        assert!(
            found.is_some() || killed.since(*at) <= LOST,
            "{id} of {at} is lost"
        );
    }
    // What was lost with this kill stays lost.
    let mut kept = Vec::new();
    for (id, at) in promised.answered.drain(..) {
        if store.log_record(id).unwrap().is_some() {
            kept.push((id, at));
        }
    }
    promised.answered = kept;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_lost_when_the_gateway_is_killed() {
    let kills = std::env::var("AGP_SERVE_KILLS").map_or(5, |n| n.parse::<usize>().unwrap());
    let setup = Setup::new(&["alice", "bob", "carol"]).unlimited();
    let rules = json!({"rotate_refresh": true, "rules": [
        {"account": "bob@*", "method": "streamGenerateContent", "do": {"form": "retry_info", "delay": "3600s"}}]});
    let place = Place::new(setup, &rules).await;
    place.sim.set_script(script(&rules));
    let mut promised = Promised::default();
    for n in 0..kills {
        let random = getrandom::u64().unwrap() % 700;
        let life = Duration::from_millis(if n % 2 == 0 { random } else { 1000 + random });
        live(&place, life, &mut promised).await;
        let killed = Timestamp::now();
        note(&place, &mut promised);
        check(&place, killed, &mut promised).await;
    }
    println!(
        "{kills} kills: {} rows, {} rotations, {} used, opened in {:?} at most",
        promised.answered.len(),
        promised.rotations,
        promised.used,
        promised.slowest
    );
    assert!(promised.answered.len() > 10 * kills && promised.used > 0);
    assert!(promised.limited.is_some(), "bob was asked");
}
