//! `make bench`: what a request costs at the gateway, beside nginx passing the same load through.
//!
//! One process on one core plays all clients and the upstream; gateway and nginx run on the other core, one after the
//! other in short rounds (ABAB), so that both meet the same noise. Everything is loopback, and bounded in count and time.
//! Only the standard library: one thread that asks all its sockets in turn and never sleeps. To wake a sleeping core costs
//! the waker an interrupt, which on a virtual machine is as dear as all else that a proxy does, and falls on the slower of
//! two proxies more often.
//! docs/performance.md says how to read the figures.

mod client;
mod measure;
mod report;
mod scenario;
mod servers;
mod upstream;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::upstream::Upstream;

/// What goes wrong here is told as it is and ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long and how often.
#[derive(Debug, Clone)]
struct Options {
    agp: PathBuf,
    nginx: PathBuf,
    gateway_core: usize,
    rounds: usize,
    /// One measurement's length.
    window: Duration,
    /// Scenarios whose name holds this; all of them where empty.
    only: String,
    /// Starts of the gateway, to time them.
    starts: usize,
    /// Measures nothing of nginx and of the upstream alone: for profiles.
    alone: bool,
}

fn options() -> Outcome<Option<Options>> {
    let mut options = Options {
        agp: PathBuf::new(),
        nginx: PathBuf::from("nginx"),
        gateway_core: 0,
        rounds: 5,
        window: Duration::from_millis(1500),
        only: String::new(),
        starts: 7,
        alone: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--agp" => options.agp = value()?.into(),
            "--nginx" => options.nginx = value()?.into(),
            "--gateway-core" => options.gateway_core = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse::<usize>()?.clamp(1, 50),
            "--window-ms" => {
                options.window = Duration::from_millis(value()?.parse::<u64>()?.clamp(100, 60_000));
            }
            "--only" => options.only = value()?,
            "--starts" => options.starts = value()?.parse::<usize>()?.clamp(1, 100),
            "--alone" => options.alone = true,
            // What `cargo bench` and `cargo test --benches` pass on.
            "--bench" | "--test" => {}
            _ => return Err(format!("`{arg}` is not known: see benches/run.sh").into()),
        }
    }
    Ok((!options.agp.as_os_str().is_empty()).then_some(options))
}

fn run() -> Outcome<()> {
    let mut out = std::io::stdout();
    let Some(options) = options()? else {
        writeln!(out, "this is started by benches/run.sh (`make bench`)")?;
        return Ok(());
    };
    let mut upstream = Upstream::start(&scenario::all()[0])?;
    let folder = servers::Folder::new()?;
    writeln!(out, "{}", report::machine(&options))?;
    let starts = servers::time_starts(&options, &folder, &mut upstream)?;
    writeln!(out, "{}", report::starts(&starts))?;
    let targets = servers::start(&options, &folder, &mut upstream)?;
    let mut rows = Vec::new();
    for scenario in scenario::all()
        .iter()
        .filter(|s| s.name.contains(&options.only))
    {
        let row = measure::scenario(scenario, &mut upstream, &targets, &options)?;
        writeln!(out, "{}", report::progress(&row))?;
        rows.push(row);
    }
    writeln!(
        out,
        "{}",
        report::tables(&rows, starts.idle_kib, targets.gateway_memory()?)
    )?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading: the code still tells.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
