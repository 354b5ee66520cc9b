//! `cargo bench --bench pool`: what a pick among 10,000 accounts costs, beside the decoding of a request of 20 KB.
//! docs/pool.md says how to read the figures.

#[path = "shared/no_keys.rs"]
mod no_keys;

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::no_keys::NoKeys;
use agp::base::secret::Secret;
use agp::base::task::Tasks;
use agp::base::time::Timestamp;
use agp::config::model::Config;
use agp::config::secret::Resolver;
use agp::config::source::Files;
use agp::dispatch::queue::{Freed, Queue};
use agp::dispatch::seat::{Excluded, Seating};
use agp::dispatch::wanted::Wanted;
use agp::pool::cooldown::Limits;
use agp::pool::failure::{Class, Failure};
use agp::runtime::build::{Context, build};
use agp::runtime::registry::Registry;
use agp::runtime::snapshot::Snapshot;
use agp::store::{Learned, Store};
use agp::wire::front::Front;
use sha2::{Digest as _, Sha256};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MODEL: &str = "gemini-2.5-flash";

fn file(accounts: usize, strategy: &str) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "version = 1\n\
         [routing]\nstrategy = \"{strategy}\"\nmax_concurrent_per_model = 0\n\
         [upstreams.u]\nkind = \"antigravity\"\n\
         oauth = {{ client_id = \"id\", client_secret = \"made-up\" }}\n\
         [keys.all]\nkey = \"bench-key-that-protects-nothing-1\"\n\
         [keys.some]\nkey = \"bench-key-that-protects-nothing-2\"\naccounts = [\"tag:some\"]\n\
         [models.\"{MODEL}\"]\nroute = [\"u/{MODEL}\"]\n"
    );
    for n in 0..accounts {
        let weight = 1 + n % 4;
        let tags = if n % 2 == 0 { "[\"some\"]" } else { "[]" };
        let _ = write!(
            text,
            "[accounts.a{n:05}]\nupstream = \"u\"\nrefresh_token = \"made-up-{n}\"\nweight = {weight}\ntags = {tags}\n"
        );
    }
    text
}

fn read(text: &str) -> Outcome<Config> {
    let files = Files::from_texts([(PathBuf::from("agp.toml"), text.to_owned())]);
    let config = agp::config::load(&files, std::iter::empty()).config;
    Ok(config.ok_or("the file of the bench is wrong")?)
}

fn wired(config: Config, registry: &Registry) -> Outcome<Snapshot> {
    let secrets = Resolver::new(|_| None, None, PathBuf::from("id"));
    let context = Context {
        secrets: &secrets,
        registry,
        present: None,
        generation: 1,
        revision: [0; 32],
    };
    Ok(build(Arc::new(config), &context).map_err(|errors| errors.join("\n"))?)
}

fn snapshot(text: &str, registry: &Registry) -> Outcome<Snapshot> {
    wired(read(text)?, registry)
}

/// The median of times, in microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Runs `work` and `beside` in turn for a while, so that both meet the same noise and each finds the caches as the other
/// left them; gives the median of each one's times, in microseconds.
fn in_turn(mut work: impl FnMut(), mut beside: impl FnMut()) -> (f64, f64) {
    let begun = Instant::now();
    let (mut times, mut others) = (Vec::new(), Vec::new());
    while begun.elapsed() < Duration::from_millis(200) {
        let one = Instant::now();
        work();
        times.push(one.elapsed());
        let other = Instant::now();
        beside();
        others.push(other.elapsed());
    }
    (median(times), median(others))
}

fn request() -> Vec<u8> {
    let sentence = "The quick brown fox jumps over the lazy dog, and says \\\"so\\\" twice. ";
    let turn = |role: &str| {
        let text = sentence.repeat(14);
        format!("{{\"role\":\"{role}\",\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}")
    };
    let turns: Vec<_> = (0..20)
        .map(|n| turn(if n % 2 == 0 { "user" } else { "assistant" }))
        .collect();
    format!(
        "{{\"model\":\"{MODEL}\",\"max_tokens\":100,\"messages\":[{}]}}",
        turns.join(",")
    )
    .into_bytes()
}

fn seating(snapshot: &Snapshot, key: &str, home: Option<u64>) -> Outcome<Seating> {
    let digest: [u8; 32] = Sha256::digest(Secret::new(key).expose()).into();
    Ok(Seating {
        route: Arc::clone(snapshot.route(MODEL).ok_or("no route")?),
        key: Arc::clone(snapshot.key(&digest).ok_or("no key")?),
        queue: Arc::new(Queue::default()),
        home,
    })
}

const ALL: &str = "bench-key-that-protects-nothing-1";
const SOME: &str = "bench-key-that-protects-nothing-2";
const STRATEGIES: [&str; 5] = [
    "weighted",
    "round_robin",
    "random",
    "least_busy",
    "fill_first",
];

fn registry() -> Registry {
    let store = Store::in_memory(Arc::new(NoKeys));
    Registry::new(store, Tasks::new(), &mut Learned::default())
}

/// Benches all accounts but one of so many; 0 leaves none.
fn bench_all_but(snapshot: &Snapshot, one_of: usize) {
    let limits = Limits {
        first: Duration::from_secs(3),
        max: Duration::from_mins(2),
    };
    let failure = Failure {
        delay: Some(Duration::from_hours(1)),
        ..Failure::new(Class::RateLimited, "")
    };
    for (n, account) in snapshot.accounts.values().enumerate() {
        if n.checked_rem(one_of) != Some(0) {
            account.failure(MODEL, &failure, Timestamp::now(), &limits);
        }
    }
}

/// Every kind of pick among so many accounts: by what is picked and in which state of the pool.
fn picks(accounts: usize, body: &bytes::Bytes, out: &mut impl std::io::Write) -> Outcome<bool> {
    let mut good = true;
    let mut tell = |what: &str, seating: &Seating, excluded: &Excluded| -> Outcome<()> {
        let (cost, decoding) = in_turn(
            || drop(black_box(seating.take(excluded))),
            || drop(black_box(Front::OpenAiChat.decode_request(body))),
        );
        let fine = cost <= 2.0 * decoding;
        good &= fine;
        let verdict = if fine { "" } else { "  TOO MUCH" };
        writeln!(
            out,
            "pick among {accounts:>6}, {what:<46} {cost:>8.1} us beside {decoding:>5.1} us{verdict}"
        )?;
        Ok(())
    };
    let nobody = Excluded::default();
    for strategy in STRATEGIES {
        for affinity in [false, true] {
            if affinity && strategy == "fill_first" {
                continue;
            }
            let home = affinity.then_some(7);
            let what = format!("{strategy}{}", if affinity { ", conversation" } else { "" });
            let registry = registry();
            let snapshot = snapshot(&file(accounts, strategy), &registry)?;
            let free = seating(&snapshot, ALL, home)?;
            tell(&what, &free, &nobody)?;
            let some = seating(&snapshot, SOME, home)?;
            tell(&format!("{what}, half for the key"), &some, &nobody)?;
            let tried: Vec<u32> = (0..3)
                .filter_map(|_| free.take(&nobody).ok())
                .map(|held| held.seat().account.number)
                .collect();
            let excluded = Excluded {
                accounts: tried,
                upstreams: Vec::new(),
            };
            tell(&format!("{what}, three tried"), &free, &excluded)?;
            bench_all_but(&snapshot, 10);
            tell(&format!("{what}, nine of ten cool"), &free, &nobody)?;
            bench_all_but(&snapshot, 1000);
            tell(&format!("{what}, 999 of 1,000 cool"), &free, &nobody)?;
            bench_all_but(&snapshot, 0);
            tell(&format!("{what}, nobody can serve"), &free, &nobody)?;
        }
    }
    let registry = registry();
    let snapshot = snapshot(&file(accounts, "weighted"), &registry)?;
    let free = seating(&snapshot, ALL, None)?;
    let all: Vec<_> = std::iter::from_fn(|| free.take(&nobody).ok()).collect();
    tell("all full", &free, &nobody)?;
    drop(all);
    let text = file(accounts, "least_busy").replace(
        "[upstreams.u]",
        "max_concurrent_per_account = 0\n[upstreams.u]",
    );
    let snapshot = self::snapshot(&text, &self::registry())?;
    let free = seating(&snapshot, ALL, None)?;
    let busy: Vec<_> = (0..accounts)
        .filter_map(|_| free.take(&nobody).ok())
        .collect();
    tell("least_busy, everybody has a call", &free, &nobody)?;
    drop(busy);
    Ok(good)
}

/// What a release costs while a thousand wait, of whom every third has tried accounts of its own.
fn waiting(accounts: usize, out: &mut impl std::io::Write) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let _time = runtime.enter();
    let snapshot = snapshot(&file(accounts, "weighted"), &registry())?;
    let (all, some) = (
        seating(&snapshot, ALL, None)?,
        seating(&snapshot, SOME, None)?,
    );
    let queue = Arc::clone(&all.queue);
    let nobody = Excluded::default();
    let mut held: Vec<_> = std::iter::from_fn(|| all.take(&nobody).ok()).collect();
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    let mut waits = Vec::new();
    for n in 0..1000u32 {
        let of_key = if n % 2 == 0 { &all } else { &some };
        let wanted = Wanted {
            seating: Seating {
                queue: Arc::clone(&queue),
                ..of_key.clone()
            },
            excluded: Excluded {
                accounts: (n % 3 == 0).then_some(n).into_iter().collect(),
                upstreams: Vec::new(),
            },
            admit: true,
        };
        let mut wait = Box::pin(queue.acquire(wanted, Duration::from_mins(9), 1000));
        if wait.as_mut().poll(&mut task).is_ready() {
            return Err("somebody was served".into());
        }
        waits.push(wait);
    }
    let times = |most: usize, mut work: Box<dyn FnMut() + '_>| {
        let one = |_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        };
        median((0..most).map(one).collect())
    };
    let in_vain = times(300, Box::new(|| queue.freed(Freed::Anything, || false)));
    let given = times(held.len().min(300), Box::new(|| drop(held.pop())));
    writeln!(
        out,
        "among {accounts:>6}, 1000 wait: a walk in vain {in_vain:>8.1} us, a release that serves one {given:>8.1} us"
    )?;
    drop(held);
    Ok(())
}

fn main() -> Outcome<()> {
    let mut out = std::io::stdout();
    let body = bytes::Bytes::from(request());
    writeln!(out, "beside the decoding of {} bytes", body.len())?;
    let mut good = true;
    for accounts in [100, 1000, 10_000] {
        good &= picks(accounts, &body, &mut out)?;
    }
    for accounts in [5, 1000, 10_000] {
        waiting(accounts, &mut out)?;
    }
    let registry = registry();
    let text = file(10_000, "weighted");
    drop(snapshot(&text, &registry)?);
    let (mut reading, mut wiring) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let begun = Instant::now();
        let config = read(&text)?;
        reading.push(begun.elapsed());
        let begun = Instant::now();
        drop(black_box(wired(config, &registry)?));
        wiring.push(begun.elapsed());
    }
    writeln!(
        out,
        "reload with 10000 accounts: reading {:.1} ms, wiring {:.1} ms",
        median(reading) / 1e3,
        median(wiring) / 1e3
    )?;
    if good {
        Ok(())
    } else {
        Err("some picks cost more than twice the decoding of 20 KB".into())
    }
}
