//! `cargo bench --bench store`: a log of a million rows (`AGP_ROWS` for another number), and what looking into it costs.
//! docs/store.md says how to read the figures.
//!
//! Filling and reading are processes of their own, so that each has its own peak of memory. `AGP_FOLDER` names a folder to
//! keep the log in; without it a temporary one is used.

#[path = "shared/no_keys.rs"]
mod no_keys;
#[path = "shared/rows.rs"]
mod rows;

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::no_keys::NoKeys;
use self::rows::{Crowd, Luck, row};
use agp::base::time::Timestamp;
use agp::store::{Cursor, Filter, LogPage, Options, Retention, RollUp, StatusFilter, Store};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Tells a child what it is for.
const STEP: &str = "AGP_STEP";
const DAYS: u64 = 30;
const CROWD: Crowd = Crowd {
    models: 20,
    accounts: 50,
    keys: 200,
};
/// Rows of a page.
const PAGE: usize = 50;
/// How often each look is taken.
const LOOKS: usize = 9;

fn options(rows: u64) -> Options {
    Options {
        retention: Retention {
            log_age: Duration::from_hours(24 * (DAYS + 1)),
            log_rows: rows,
            // The default for the default's number of rows, and as much for each million more.
            log_bytes: Retention::default().log_bytes * rows.div_ceil(1_000_000).max(1),
            ..Retention::default()
        },
        durable_wait: Duration::from_mins(10),
        ..Options::default()
    }
}

fn open(folder: &Path, rows: u64) -> Outcome<Store> {
    Ok(Store::open(folder, Arc::new(NoKeys), options(rows))?)
}

async fn fill(folder: &Path, rows: u64) -> Outcome<()> {
    let mut out = std::io::stdout();
    let store = open(folder, rows)?;
    let (begun, mut luck) = (Instant::now(), Luck(1));
    let span = DAYS * 24 * 3_600_000;
    let first = Timestamp::now().as_millis() - i64::try_from(span)?;
    for n in 0..rows {
        let at = first + i64::try_from(u128::from(span) * u128::from(n) / u128::from(rows))?;
        store.log(row(Timestamp(at), &mut luck, CROWD));
        if n % 8192 == 0 {
            store.flush().await?;
        }
    }
    store.close().await;
    let lost = store.health().dropped_logs;
    let took = begun.elapsed().as_secs_f64();
    let file = std::fs::metadata(folder.join("agp-log.redb"))?;
    let mark = options(rows).retention.log_bytes;
    writeln!(
        out,
        "{rows} rows written in {took:.1} s ({lost} lost); the file takes {} MiB of {} MiB; peak memory {} MiB",
        (file.blocks() * 512) >> 20,
        mark >> 20,
        peak()?
    )?;
    Ok(())
}

/// The process's peak of resident memory in MiB.
fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmHWM")?.parse::<u64>()? / 1024)
}

/// A whole page, in as many calls as that takes.
fn page(store: &Store, filter: &Filter, from: Option<Cursor>) -> Outcome<(LogPage, usize)> {
    let (mut whole, mut calls) = (
        LogPage {
            rows: Vec::new(),
            next: from,
        },
        0,
    );
    loop {
        let wanted = PAGE - whole.rows.len();
        let page = store.query(filter, whole.next, wanted)?;
        whole.rows.extend(page.rows);
        whole.next = page.next;
        calls += 1;
        if whole.next.is_none() || whole.rows.len() == PAGE {
            return Ok((whole, calls));
        }
    }
}

struct Bench<'a> {
    store: &'a Store,
    slowest: f64,
}

impl Bench<'_> {
    /// Takes a look several times; tells the first and the median, and what it found.
    fn look(&mut self, what: &str, look: impl Fn(&Store) -> Outcome<String>) -> Outcome<()> {
        let mut times = Vec::new();
        let mut found = String::new();
        for _ in 0..LOOKS {
            let begun = Instant::now();
            found = look(self.store)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let first = times[0];
        times.sort_by(f64::total_cmp);
        let slowest = times[LOOKS - 1];
        self.slowest = self.slowest.max(slowest);
        writeln!(
            std::io::stdout(),
            "{what:<58} first {first:>7.2} ms  median {:>7.2} ms  slowest {slowest:>7.2} ms  {found}",
            times[LOOKS / 2]
        )?;
        Ok(())
    }

    fn page(&mut self, what: &str, filter: &Filter, from: Option<Cursor>) -> Outcome<()> {
        self.look(what, |store| {
            let (page, calls) = page(store, filter, from)?;
            Ok(format!("{} rows, {calls} calls", page.rows.len()))
        })
    }
}

/// A filter by one column, and its name.
type Term = (&'static str, fn(&mut Filter));

/// Each column by a common and by a rare value.
const TERMS: [(usize, Term); 9] = [
    (0, ("model common", |f| f.model = Some("model-00".into()))),
    (0, ("model rare", |f| f.model = Some("model-16".into()))),
    (
        1,
        ("account common", |f| f.account = Some("account-00".into())),
    ),
    (
        1,
        ("account rare", |f| f.account = Some("account-44".into())),
    ),
    (2, ("key common", |f| f.key = Some("team-000".into()))),
    (2, ("key rare", |f| f.key = Some("team-180".into()))),
    (
        3,
        ("status 200", |f| {
            f.status = Some(StatusFilter::Exactly(200));
        }),
    ),
    (
        3,
        ("status 502", |f| {
            f.status = Some(StatusFilter::Exactly(502));
        }),
    ),
    (
        3,
        ("status 5xx", |f| f.status = Some(StatusFilter::Class(5))),
    ),
];

fn read(folder: &Path, rows: u64) -> Outcome<()> {
    let begun = Instant::now();
    let store = open(folder, rows)?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "opened in {:.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    )?;
    let mut bench = Bench {
        store: &store,
        slowest: 0.0,
    };
    bench.page("newest page", &Filter::default(), None)?;
    for (n, (column, (name, set))) in TERMS.iter().enumerate() {
        let mut filter = Filter::default();
        set(&mut filter);
        bench.page(name, &filter, None)?;
        for (other, (with, and)) in &TERMS[n + 1..] {
            if other == column {
                continue;
            }
            let mut both = filter.clone();
            and(&mut both);
            bench.page(&format!("{name}, {with}"), &both, None)?;
        }
    }
    let nothing = Filter {
        key: Some("nobody".into()),
        ..Filter::default()
    };
    bench.page("matches nothing: a key that never was", &nothing, None)?;
    let never = Filter {
        model: Some("model-19".into()),
        status: Some(StatusFilter::Exactly(418)),
        ..Filter::default()
    };
    bench.page("matches nothing: two columns", &never, None)?;
    let deep = Some(Cursor(rows / 2));
    bench.page("from the middle", &Filter::default(), deep)?;
    let mut filter = Filter::default();
    (TERMS[1].1.1)(&mut filter);
    (TERMS[5].1.1)(&mut filter);
    bench.page("from the middle, model rare, key rare", &filter, deep)?;
    let now = Timestamp::now();
    let ago = |hours: i64| Timestamp(now.as_millis() - hours * 3_600_000);
    let hour = Filter {
        from: Some(ago(361)),
        to: Some(ago(360)),
        status: Some(StatusFilter::Class(4)),
        ..Filter::default()
    };
    bench.page("an hour fifteen days ago, status 4xx", &hour, None)?;
    let known = store.query(&Filter::default(), deep, 1)?.rows;
    let id = known.first().ok_or("no row in the middle")?.id;
    bench.look("one row by its id, with its tries", |store| {
        let found = store.log_record(id)?.ok_or("it is gone")?;
        Ok(format!("{} tries", found.tries.len()))
    })?;
    for (what, kind) in [
        ("the day's totals", RollUp::All),
        ("the day's totals by model", RollUp::Model),
        ("the day's totals by account", RollUp::Account),
        ("the day's totals by key", RollUp::Key),
    ] {
        bench.look(what, |store| {
            let buckets = store.usage(kind, None, ago(24), now)?;
            let requests: u64 = buckets.iter().map(|b| b.sums.requests).sum();
            Ok(format!("{} buckets, {requests} requests", buckets.len()))
        })?;
    }
    writeln!(
        out,
        "slowest look {:.2} ms; peak memory {} MiB",
        bench.slowest,
        peak()?
    )?;
    Ok(())
}

fn main() -> Outcome<()> {
    let rows = match std::env::var("AGP_ROWS") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    let given = std::env::var_os("AGP_FOLDER").map(PathBuf::from);
    let step = std::env::var(STEP).unwrap_or_default();
    if let (Some(folder), false) = (&given, step.is_empty()) {
        return match step.as_str() {
            "fill" => tokio::runtime::Runtime::new()?.block_on(fill(folder, rows)),
            _ => read(folder, rows),
        };
    }
    let temporary = tempfile::tempdir()?;
    let folder = given.unwrap_or_else(|| temporary.path().to_owned());
    for step in ["fill", "read"] {
        if step == "fill" && folder.join("agp-log.redb").exists() {
            continue;
        }
        let done = Command::new(std::env::current_exe()?)
            .env(STEP, step)
            .env("AGP_FOLDER", &folder)
            .status()?;
        if !done.success() {
            return Err(format!("`{step}` failed").into());
        }
    }
    Ok(())
}
