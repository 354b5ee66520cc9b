//! `kill -9` of the gateway under load: what it had promised is there at the next start. A few rounds by default;
//! `AGP_SERVE_KILLS=200` for more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agp::base::id::RequestId;
use agp::base::time::Timestamp;
use agp::runtime::keyring::Keyring;
use agp::store::{Learned, Options, Store};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::client::BOTH;
use crate::support::place::Place;
use crate::support::setup::Setup;

const FLASH: &str = "gemini-2.5-flash";
/// At most so much of what was written without waiting may be lost.
const LOST: Duration = Duration::from_secs(1);
/// The store opens within this.
const OPENING: Duration = Duration::from_secs(2);
/// Accounts whose tokens are rotated in turn. One that is killed between the provider's rotation and the commit is lost,
/// as the provider has it; the others go on.
const ROTATED: usize = 12;

fn rotated(n: usize) -> String {
    format!("r{:02}", n % ROTATED)
}

fn email(n: usize) -> String {
    format!("{}@example.com", rotated(n))
}

/// What the gateway promised in all its lives.
#[derive(Default)]
struct Promised {
    /// Requests that were answered, and when.
    answered: Vec<(RequestId, Timestamp)>,
    /// Of each account: how often its refresh token was rotated, and the last rotation whose token was used. That had to
    /// be on the disk before.
    rotations: [(usize, usize); ROTATED],
    /// When the upstream first asked for bob to be left alone.
    limited: Option<Timestamp>,
    /// The longest opening.
    slowest: Duration,
}

impl Promised {
    /// How many rotated tokens were used.
    fn used(&self) -> usize {
        self.rotations.iter().map(|(_, used)| used).sum()
    }

    /// Whether there is something of each kind to be lost: rows, rotations, and bob's quota.
    fn is_enough(&self, kills: usize) -> bool {
        self.answered.len() > 5 * kills && self.used() > 0 && self.limited.is_some()
    }

    /// Takes in what the upstream saw of a life.
    fn note(&mut self, place: &Place) {
        let seen = place.sim.requests();
        for (n, (rotations, used)) in self.rotations.iter_mut().enumerate() {
            let mut since = None;
            let good = |call: &&agp::sim::Seen| call.account == email(n) && call.status == 200;
            for call in seen.iter().filter(good) {
                if call.method == "token" {
                    *rotations += 1;
                    since = Some(call.at);
                } else if call.method == "streamGenerateContent"
                    && since.is_some_and(|at| call.at > at)
                {
                    *used = *rotations;
                }
            }
        }
        let limited = seen.iter().find(|call| call.status == 429);
        self.limited = self.limited.or(limited.map(|call| call.at));
    }

    /// Holds the store to the promises. `killed` is when the gateway ended.
    fn check(&mut self, store: &Store, learned: &Learned, killed: Timestamp) {
        assert_eq!(learned.unreadable, 0);
        for (n, (_, used)) in self.rotations.iter().enumerate() {
            let name = rotated(n);
            let mut tokens = learned.tokens.iter();
            let token = tokens.find(|token| token.account.as_str() == name);
            let refresh = token.and_then(|token| token.refresh_token.as_ref());
            let kept = refresh.and_then(|token| token.expose().split_once('~')?.1.parse().ok());
            let kept: usize = kept.unwrap_or_default();
            assert!(
                kept >= *used,
                "{name}: rotation {used} was used, {kept} is kept"
            );
        }
        let due = self.limited.is_some_and(|at| killed.since(at) > LOST);
        let mut cooldowns = learned.cooldowns.iter();
        let cooling = cooldowns.any(|c| c.account.as_str() == "bob" && c.until > killed);
        assert!(cooling || !due, "bob's cooldown is lost");
        self.answered.retain(|(id, at)| {
            let found = store.log_record(*id).unwrap().is_some();
            assert!(found || killed.since(*at) <= LOST, "{id} of {at} is lost");
            // What was lost with this kill stays lost.
            found
        });
    }
}

/// Asks until the gateway is gone, and notes what was answered.
async fn client(
    place: &Place,
    n: usize,
    over: &AtomicBool,
    answered: &Mutex<Vec<(RequestId, Timestamp)>>,
) {
    while !over.load(Ordering::Acquire) {
        // Another conversation each time, so that all accounts have their share.
        let text = format!("hi {}", RequestId::generate());
        let request = place.ask(BOTH[n % 2], FLASH, &text, n.is_multiple_of(3));
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

/// One life, ended after `life`: when that was. The tokens of account `n` are refused in it now and then.
async fn live(place: &Place, n: usize, life: Duration, promised: &mut Promised) -> Timestamp {
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
            // A refused token is renewed, and its refresh token rotated; two refusals in a row would be the account's end.
            place.sim.revoke(&email(n));
            tokio::time::sleep(life.min(Duration::from_millis(300))).await;
        }
        let killed = Timestamp::now();
        serving.kill().await;
        over.store(true, Ordering::Release);
        killed
    };
    let ((), killed) = tokio::join!(load, end);
    promised.answered.extend(answered.into_inner());
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_lost_when_the_gateway_is_killed() {
    let kills = std::env::var("AGP_SERVE_KILLS").map_or(5, |n| n.parse::<usize>().unwrap());
    let names: Vec<String> = (0..ROTATED).map(rotated).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("bob");
    let rules = json!({"rotate_refresh": true, "rules": [{"account": "bob@*",
        "method": "streamGenerateContent", "do": {"form": "retry_info", "delay": "3600s"}}]});
    let place = Place::new(Setup::new(&names).unlimited(), &rules).await;
    let data = place.path().join("data");
    let mut promised = Promised::default();
    // On a busy machine a life may end before anything was promised: then there are more of them.
    let mut n = 0;
    while n < kills || !promised.is_enough(kills) {
        assert!(n < 3 * kills + 20, "in {n} lives too little was promised");
        let random = getrandom::u64().unwrap() % 700;
        let life = Duration::from_millis(random + if n % 2 == 0 { 0 } else { 1000 });
        let killed = live(&place, n, life, &mut promised).await;
        promised.note(&place);
        let keyring = Keyring::open(&data.join("agp-identity.txt"), true).unwrap();
        let begun = Instant::now();
        let store = Store::open(&data, keyring, Options::default()).unwrap();
        let took = begun.elapsed();
        assert!(took < OPENING, "it opened in {took:?}");
        promised.slowest = promised.slowest.max(took);
        promised.check(&store, &store.load().unwrap(), killed);
        store.close().await;
        n += 1;
    }
    let used = promised.used();
    let (rows, slowest) = (promised.answered.len(), promised.slowest);
    println!("{n} kills: {rows} rows, {used} rotations used, opened in {slowest:?} at most");
}
