//! `cargo bench --bench panel`: what the panel asks for, timed over HTTP: the release binary on a state with 10,000 accounts,
//! 10,000 keys and a million log rows, the simulator behind it. docs/performance.md has the figures.
//!
//! `AGP_FOLDER` names a folder to keep the state in; without it a temporary one is used. `AGP_ROWS` and `AGP_MANY` are other
//! numbers of rows, and of accounts and keys. With `AGP_SERVE` nothing is timed: the gateway runs until standard input ends, for
//! `npm run large` and for people.

#[path = "shared/no_keys.rs"]
mod no_keys;
#[path = "shared/rows.rs"]
mod rows;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::no_keys::NoKeys;
use self::rows::{Crowd, Luck, row};
use agp::base::time::Timestamp;
use agp::store::{Options, Retention, Store};
use reqwest::Client;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const DAYS: u64 = 30;
const MODELS: u64 = 20;
/// How often each call is made.
const CALLS: usize = 24;
/// What every answer must be under.
const AIM: Duration = Duration::from_millis(100);
const TOKEN: &str = "bench-token-that-protects-nothing";
const PASSWORD: &str = "a password for benches";
/// The log may grow so large.
const LOG_BYTES: u64 = 4 << 30;

fn number(name: &str, default: u64) -> Outcome<u64> {
    Ok(match std::env::var(name) {
        Ok(text) => text.parse()?,
        Err(_) => default,
    })
}

/// Writes the log, ended a minute ago.
async fn fill(folder: &Path, rows: u64, many: u64) -> Outcome<()> {
    let crowd = Crowd {
        models: MODELS,
        accounts: many,
        keys: many,
    };
    let options = Options {
        retention: Retention {
            log_age: Duration::from_hours(24 * (DAYS + 1)),
            log_rows: rows + rows / 10,
            log_bytes: LOG_BYTES,
            ..Retention::default()
        },
        durable_wait: Duration::from_mins(10),
        ..Options::default()
    };
    let store = Store::open(folder, Arc::new(NoKeys), options)?;
    let (begun, mut luck) = (Instant::now(), Luck(1));
    let span = DAYS * 24 * 3_600_000;
    let first = Timestamp::now().as_millis() - 60_000 - i64::try_from(span)?;
    for n in 0..rows {
        let at = first + i64::try_from(u128::from(span) * u128::from(n) / u128::from(rows))?;
        store.log(row(Timestamp(at), &mut luck, crowd));
        if n % 8192 == 0 {
            store.flush().await?;
        }
    }
    store.close().await;
    // Its key is not the gateway's, which begins a new one. The log needs none where no bodies are kept.
    std::fs::remove_file(folder.join("agp.redb"))?;
    let size = std::fs::metadata(folder.join("agp-log.redb"))?.len() >> 20;
    let (took, lost) = (begun.elapsed().as_secs(), store.health().dropped_logs);
    writeln!(
        std::io::stdout(),
        "{rows} rows written in {took} s ({lost} lost); the file takes {size} MiB"
    )?;
    Ok(())
}

fn config(listen: SocketAddr, sim: &str, many: u64) -> Outcome<String> {
    let hash = password()?;
    let token = Sha256::digest(TOKEN);
    let upstream = agp::cli::simulate::upstream_table("google", sim, "sim-client", "sim-secret");
    let mut text = format!(
        "version = 1\n[server]\nlisten = \"{listen}\"\n[log]\nlevel = \"error\"\n\
         [state]\nlog_retention = \"31d\"\nlog_max_rows = 1100000\nlog_max_size = \"4GiB\"\n\
         [admin]\n{hash}\n[admin.tokens.bench]\nsha256 = \"{token:x}\"\nrole = \"write\"\n\
         {upstream}[groups.all]\nrpm = 1000000\nbudget = {{ usd = 100000, per = \"month\" }}\n"
    );
    for n in 0..MODELS {
        write!(
            text,
            "[models.model-{n:02}]\nroute = [\"google/gemini-2.5-pro\"]\n"
        )?;
    }
    for n in 0..many {
        let (tag, digest) = (n % 7, Sha256::digest(format!("bench-key-{n}")));
        write!(
            text,
            "[accounts.account-{n:02}]\nupstream = \"google\"\nrefresh_token = \"sim-refresh-account-{n:02}\"\ntags = [\"t{tag}\"]\n\
             [keys.team-{n:03}]\nsha256 = \"{digest:x}\"\ngroup = \"all\"\nrpm = 600\n"
        )?;
    }
    Ok(text)
}

/// A process of the binary that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agp(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agp"));
    command.args(arguments);
    command
}

/// Starts a simulator; its address.
fn simulate() -> Outcome<(Running, String)> {
    let mut command = agp(&["simulate", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let said = child.stdout.take().ok_or("no output")?;
    let running = Running(child);
    let mut lines = BufReader::new(said).lines();
    for line in lines.by_ref() {
        if let Some((_, address)) = line?.split_once("listens on ") {
            let address = address.trim().to_owned();
            // What it goes on to say must find a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((running, address));
        }
    }
    Err("the simulator ended".into())
}

/// The line of the file for a password.
fn password() -> Outcome<String> {
    let mut command = agp(&["hash-password"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    input.write_all(PASSWORD.as_bytes())?;
    drop(input);
    let said = String::from_utf8(child.wait_with_output()?.stdout)?;
    let line = said.lines().find(|line| line.contains("password_hash"));
    Ok(line.ok_or("no hash")?.to_owned())
}

struct Bench {
    client: Client,
    url: String,
    missed: usize,
}

impl Bench {
    async fn get(&self, path: &str) -> Outcome<reqwest::Response> {
        let url = format!("{}/admin/api/v1{path}", self.url);
        let answer = self.client.get(url).bearer_auth(TOKEN).send().await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, text) = (answer.status(), answer.text().await?);
        Err(format!("{path}: {status} {text}").into())
    }

    async fn json(&self, path: &str) -> Outcome<Value> {
        Ok(serde_json::from_slice(
            &self.get(path).await?.bytes().await?,
        )?)
    }

    /// Times a call: to the last byte, or to the first of the body.
    async fn time(&mut self, what: &str, path: &str, whole: bool) -> Outcome<()> {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..CALLS {
            let begun = Instant::now();
            let mut answer = self.get(path).await?;
            bytes = answer.chunk().await?.map_or(0, |piece| piece.len());
            while let Some(piece) = if whole { answer.chunk().await? } else { None } {
                bytes += piece.len();
            }
            times.push(begun.elapsed());
        }
        let first = times[0];
        times.sort();
        let (p50, p95) = (times[CALLS / 2], times[CALLS * 95 / 100]);
        let missed = if p95 < AIM { "" } else { "  OVER" };
        self.missed += usize::from(p95 >= AIM);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(
            std::io::stdout(),
            "{what:<44} first {:>8.1}  p50 {:>7.1}  p95 {:>7.1} ms  {:>8} bytes{missed}",
            ms(first),
            ms(p50),
            ms(p95),
            bytes
        )?;
        Ok(())
    }
}

/// Of the list of accounts.
const ACCOUNTS: &[(&str, &str)] = &[
    ("accounts, a page", ""),
    ("accounts, a deep page", "&offset=9900"),
    ("accounts, search", "&q=account-77"),
    ("accounts, search that finds nothing", "&q=nobody"),
    ("accounts, by state", "&state=active"),
    ("accounts, by two states", "&state=cooling,exhausted"),
    ("accounts, by upstream", "&upstream=google"),
    ("accounts, by tag", "&tag=t3"),
    ("accounts, by tier", "&tier=g1-pro-tier"),
    (
        "accounts, sorted by name, last first",
        "&sort=name&desc=true",
    ),
    ("accounts, sorted by state", "&sort=state"),
    ("accounts, sorted by last use", "&sort=last_used&desc=true"),
    ("accounts, sorted by what is left", "&sort=remaining"),
    ("accounts, sorted by errors", "&sort=errors&desc=true"),
    ("accounts, sorted by in flight", "&sort=in_flight&desc=true"),
    ("accounts, sorted by requests", "&sort=requests&desc=true"),
    ("accounts, sorted by tier", "&sort=tier"),
];

/// Of the log.
const LOGS: &[(&str, &str)] = &[
    ("log, newest page", ""),
    ("log, model common", "&model=model-00"),
    ("log, model rare", "&model=model-16"),
    ("log, account common", "&account=account-00"),
    ("log, account rare", "&account=account-9000"),
    ("log, key common", "&key=team-000"),
    ("log, key rare", "&key=team-9000"),
    ("log, status 502", "&status=502"),
    ("log, status 4xx", "&status=4xx"),
    ("log, of the last hour", "&since=1h"),
    ("log, model and status", "&model=model-16&status=502"),
    ("log, account and key", "&account=account-00&key=team-000"),
    (
        "log, rare account and rare key",
        "&account=account-5000&key=team-5000",
    ),
    (
        "log, an hour 15 days ago, status 4xx",
        "&since=361h&until=360h&status=4xx",
    ),
];

async fn look(bench: &mut Bench) -> Outcome<()> {
    for (what, query) in ACCOUNTS {
        bench
            .time(what, &format!("/accounts?limit=100{query}"), true)
            .await?;
    }
    bench.time("overview", "/overview", true).await?;
    bench.time("status", "/status", true).await?;
    for since in ["today", "7d", "30d"] {
        for by in ["model", "account", "key"] {
            let path = format!("/usage?since={since}&by={by}");
            bench
                .time(&format!("usage, {since} by {by}"), &path, true)
                .await?;
        }
    }
    for (what, query) in LOGS {
        bench
            .time(what, &format!("/requests?limit=100{query}"), true)
            .await?;
    }
    let newest = bench.json("/requests?limit=1").await?;
    let (id, next) = (newest["rows"][0]["id"].as_str(), newest["next"].as_str());
    let (id, next) = (id.ok_or("no row")?, next.ok_or("one row only")?);
    let (begin, deep) = (&id[..14], next.parse::<u64>()? / 2);
    for (what, path) in [
        (
            "log, by the begin of an id",
            format!("/requests?limit=100&id={begin}"),
        ),
        (
            "log, a deep page",
            format!("/requests?limit=100&before={deep}"),
        ),
        ("one request", format!("/requests/{id}")),
        ("log names", "/request-names".to_owned()),
        ("model list", "/models".to_owned()),
        ("history", "/history".to_owned()),
        ("config show", "/config".to_owned()),
        (
            "config settings, as its view asks",
            "/config/settings?without=accounts,keys".to_owned(),
        ),
        (
            "config settings, of an account",
            "/config/settings?under=accounts.account-42".to_owned(),
        ),
    ] {
        bench.time(what, &path, true).await?;
    }
    for (what, query) in KEYS {
        bench
            .time(what, &format!("/keys?limit=100{query}"), true)
            .await?;
    }
    bench
        .time("log export, first byte", "/request-export", false)
        .await?;
    Ok(())
}

/// Of the list of keys.
const KEYS: &[(&str, &str)] = &[
    ("keys, a page", ""),
    ("keys, a deep page", "&offset=9900"),
    ("keys, one", "&name=team-5000"),
    ("keys, search", "&q=team-77"),
    ("keys, search that finds nothing", "&q=nobody"),
    ("keys, by state", "&state=active"),
    ("keys, by group", "&group=all"),
    ("keys, sorted by label, last first", "&sort=label&desc=true"),
    ("keys, sorted by state", "&sort=state"),
    ("keys, sorted by use of limits", "&sort=uses&desc=true"),
    ("keys, sorted by requests", "&sort=requests&desc=true"),
    ("keys, sorted by tokens", "&sort=tokens&desc=true"),
    ("keys, sorted by cost", "&sort=cost&desc=true"),
    ("keys, sorted by last use", "&sort=last_used&desc=true"),
];

/// Waits until the gateway answers, and then until it does nothing by itself: at first it asks for every account's token and
/// quotas.
async fn calm(bench: &Bench, gateway: &Running) -> Outcome<()> {
    let begun = Instant::now();
    while bench.json("/status").await.is_err() {
        if begun.elapsed() > Duration::from_mins(2) {
            return Err("the gateway does not answer".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ready = begun.elapsed().as_secs_f64();
    let mut before = u64::MAX;
    while begun.elapsed() < Duration::from_mins(5) {
        let now = ticks(gateway)?;
        if now.saturating_sub(before) < 10 && before != u64::MAX {
            break;
        }
        before = now;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let calm = begun.elapsed().as_secs_f64();
    let text = format!("answers after {ready:.1} s, calm after {calm:.0} s");
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// Processor time so far, in hundredths of a second.
fn ticks(process: &Running) -> Outcome<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id()))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
    let times = fields.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|n| n.parse::<u64>().ok()).sum())
}

async fn run(folder: &Path, rows: u64, many: u64) -> Outcome<()> {
    // Where `state.path` is by default.
    let data = folder.join("data");
    if !data.join("agp-log.redb").exists() {
        fill(&data, rows, many).await?;
    }
    let (_sim, sim) = simulate()?;
    let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let file = folder.join("agp.toml");
    std::fs::write(&file, config(listen, &sim, many)?)?;
    let (path, state) = (file.display().to_string(), folder.display().to_string());
    let gateway = agp(&["serve", "--config", &path, "--state-dir", &state]).spawn()?;
    let gateway = Running(gateway);
    let mut bench = Bench {
        client: Client::builder().no_proxy().build()?,
        url: format!("http://{listen}"),
        missed: 0,
    };
    calm(&bench, &gateway).await?;
    let mut out = std::io::stdout();
    if std::env::var_os("AGP_SERVE").is_some() {
        writeln!(out, "AGP_URL={} AGP_PASSWORD={PASSWORD:?}", bench.url)?;
        std::io::stdin().read_to_end(&mut Vec::new())?;
        return Ok(());
    }
    look(&mut bench).await?;
    let missed = bench.missed;
    writeln!(out, "{missed} over {} ms", AIM.as_millis())?;
    Ok(())
}

fn main() -> Outcome<()> {
    let (rows, many) = (number("AGP_ROWS", 1_000_000)?, number("AGP_MANY", 10_000)?);
    let temporary = tempfile::tempdir()?;
    let given = std::env::var_os("AGP_FOLDER").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| temporary.path().to_owned());
    tokio::runtime::Runtime::new()?.block_on(run(&folder, rows, many))
}
