//! `cargo bench --bench pool`: what a pick among 10,000 accounts costs, beside the decoding of a request of 20 KB.
//! docs/pool.md says how to read the figures.

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agp::base::secret::Secret;
use agp::base::task::Tasks;
use agp::base::time::Timestamp;
use agp::config::secret::Resolver;
use agp::config::source::Files;
use agp::dispatch::queue::Queue;
use agp::dispatch::seat::{Excluded, Seating};
use agp::pool::cooldown::Limits;
use agp::pool::failure::{Class, Failure};
use agp::runtime::build::{Context, build};
use agp::runtime::registry::Registry;
use agp::runtime::snapshot::Snapshot;
use agp::store::{KeyWrap, Learned, Store};
use agp::wire::front::Front;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Nothing is sealed here.
struct NoKeys;

impl KeyWrap for NoKeys {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        Ok(data_key.to_vec())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Ok(Zeroizing::new(wrapped.to_vec()))
    }
}

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

fn snapshot(text: &str, registry: &Registry) -> Outcome<Snapshot> {
    let files = Files::from_texts([(PathBuf::from("agp.toml"), text.to_owned())]);
    let config = agp::config::load(&files, std::iter::empty())
        .config
        .ok_or("the file of the bench is wrong")?;
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

/// Runs `work` for a while and gives the median of its times, in microseconds.
fn median(mut work: impl FnMut(u64)) -> f64 {
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < Duration::from_millis(150) {
        let one = Instant::now();
        work(times.len() as u64);
        times.push(one.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
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
fn picks(accounts: usize, most: f64, out: &mut impl std::io::Write) -> Outcome<bool> {
    let mut good = true;
    let mut tell = |what: &str, seating: &Seating, excluded: &Excluded| -> Outcome<()> {
        let cost = median(|_| drop(black_box(seating.take(excluded))));
        let verdict = if cost <= most { "" } else { "  TOO MUCH" };
        good &= cost <= most;
        writeln!(
            out,
            "pick among {accounts:>6}, {what:<46} {cost:>8.1} us{verdict}"
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

fn main() -> Outcome<()> {
    let mut out = std::io::stdout();
    let body = bytes::Bytes::from(request());
    let mut decoding = f64::INFINITY;
    for front in [Front::OpenAiChat, Front::Anthropic] {
        let cost = median(|_| drop(black_box(front.decode_request(&body))));
        decoding = decoding.min(cost);
        writeln!(
            out,
            "decoding {:>6} bytes, {:<48} {cost:>8.1} us",
            body.len(),
            front.dialect().as_str()
        )?;
    }
    let mut good = true;
    for accounts in [100, 1000, 10_000] {
        good &= picks(accounts, 2.0 * decoding, &mut out)?;
    }
    let registry = registry();
    let text = file(10_000, "weighted");
    drop(snapshot(&text, &registry)?);
    let begun = Instant::now();
    drop(black_box(snapshot(&text, &registry)?));
    writeln!(
        out,
        "reload with 10000 accounts {:>50.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    )?;
    if good {
        Ok(())
    } else {
        Err("some picks cost more than twice the decoding of 20 KB".into())
    }
}
