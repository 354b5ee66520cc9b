//! `cargo bench --bench keys`: what 100,000 client keys cost: a reload, memory, and the admission of one request.
//! docs/performance.md says how to read the figures.

use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agp::base::task::Tasks;
use agp::config::secret::Resolver;
use agp::config::source::Files;
use agp::pool::limit::Amount;
use agp::runtime::build::{Context, build};
use agp::runtime::limits::Permit;
use agp::runtime::registry::Registry;
use agp::runtime::snapshot::Snapshot;
use agp::store::{KeyWrap, Learned, Store};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const KEYS: usize = 100_000;

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

fn digest(n: usize) -> [u8; 32] {
    Sha256::digest(format!("bench-key-that-protects-nothing-{n}")).into()
}

/// Keys that share a group, each with these limits of its own.
fn file(limits: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "version = 1\n[groups.all]\nrpm = 1000000000\nbudget = { usd = 100000000, per = \"month\" }\n",
    );
    for n in 0..KEYS {
        let digest = Sha256::digest(format!("bench-key-that-protects-nothing-{n}"));
        let _ = write!(
            text,
            "[keys.k{n:06}]\nsha256 = \"{digest:x}\"\ngroup = \"all\"\n{limits}"
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

/// Memory of the process in MB, as the kernel counts it.
fn resident() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .ok_or("no VmRSS")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// Seconds of processor time that the process has had: other work on the machine does not count. The kernel's clock ticks
/// are hundredths of a second.
fn processor() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold spaces: fields 14 and 15 are counted from its end.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// Runs `work` a hundred times for keys in turn, again and again, and gives the median of the time of one, in microseconds.
fn median(mut work: impl FnMut(usize)) -> f64 {
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut n = 0;
    while begun.elapsed() < Duration::from_millis(700) {
        let round = Instant::now();
        for _ in 0..100 {
            // Far apart in memory, as requests of many clients are.
            n = (n + 7919) % KEYS;
            work(n);
        }
        times.push(round.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e4
}

fn main() -> Outcome<()> {
    let mut out = std::io::stdout();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let digests: Vec<_> = (0..KEYS).map(digest).collect();
    let amount = Amount {
        tokens: 5000,
        nanos: 10_000_000,
    };
    let own = "rpm = 1000000000\ntokens_per_minute = 1000000000000\ntokens_per_day = 1000000000000\n\
               budget = { usd = 100000000, per = \"month\" }\n";
    for (what, limits) in [("no limits of their own", ""), ("four limits each", own)] {
        let store = Store::in_memory(Arc::new(NoKeys));
        let registry = Registry::new(store, Tasks::new(), &mut Learned::default());
        let text = file(limits);
        let before = resident()?;
        let begun = processor()?;
        let first = snapshot(&text, &registry)?;
        let cold = processor()? - begun;
        let memory = resident()? - before;
        let begun = processor()?;
        let second = snapshot(&text, &registry)?;
        let reload = processor()? - begun;
        drop(first);
        writeln!(
            out,
            "{KEYS} keys, {what}: first {cold:.2} s of processor time, reload {reload:.2} s, memory {memory:.0} MB"
        )?;
        let lookup = median(|n| {
            black_box(second.key(&digests[n]));
        });
        writeln!(out, "  look a key up {lookup:>24.2} us")?;
        let admit = median(|n| {
            let permit = second
                .key(&digests[n])
                .and_then(|key| Permit::reserve(&registry.limits, key, amount).ok());
            if let Some(permit) = black_box(permit) {
                permit.settle(Some(amount));
            }
        });
        writeln!(
            out,
            "  look up, reserve, settle {admit:>13.2} us; {:.0} MB more once all keys are in use",
            resident()? - before - memory
        )?;
    }
    Ok(())
}
