//! The rounds: each target in turn, then again, and the medians of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::scenario::{CHUNKS, END_MARK, Scenario};
use crate::servers::{Kind, Target, Targets, cpu_time};
use crate::{Options, Outcome, upstream};

/// Requests of one measurement at most.
const MOST: u64 = 200_000;
/// Before each measurement, so that connections are open and buffers have their size.
const WARM_UP: Duration = Duration::from_millis(300);
/// Connections that share the fixed rate.
const RATE_CONNECTIONS: u32 = 4;

/// A scenario's medians.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) scenario: &'static Scenario,
    pub(crate) upstream: Figures,
    pub(crate) nginx: Figures,
    pub(crate) gateway: Figures,
}

/// One target's medians over all rounds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Figures {
    /// Requests per second with the core filled.
    pub(crate) rate: f64,
    /// CPU time per request in microseconds.
    pub(crate) cpu: f64,
    /// The share of its core that it used meanwhile.
    pub(crate) busy: f64,
    /// Latencies in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// What one round gave.
#[derive(Default)]
struct Samples {
    rate: Vec<f64>,
    cpu: Vec<f64>,
    busy: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Samples {
    fn medians(mut self) -> Figures {
        Figures {
            rate: median(&mut self.rate),
            cpu: median(&mut self.cpu),
            busy: median(&mut self.busy),
            p50: median(&mut self.p50),
            p99: median(&mut self.p99),
        }
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Runs all rounds of a scenario.
pub(crate) fn scenario(
    scenario: &'static Scenario,
    targets: &Targets,
    options: &Options,
) -> Outcome<Row> {
    upstream::play(scenario);
    let mut samples = [(); 3].map(|()| Samples::default());
    let mut turn: Vec<(usize, &Target)> = targets
        .all()
        .into_iter()
        .enumerate()
        .filter(|(_, target)| !options.alone || target.kind == Kind::Gateway)
        .collect();
    for (_, target) in &turn {
        check(scenario, target)?;
    }
    for _ in 0..options.rounds {
        for (at, target) in &turn {
            filled(scenario, target, options.window, &mut samples[*at])?;
        }
        if scenario.rate > 0 && !options.alone {
            for (at, target) in &turn {
                at_rate(scenario, target, options.window, &mut samples[*at])?;
            }
        }
        // Nobody is always first.
        turn.rotate_left(1);
    }
    let [upstream, nginx, gateway] = samples.map(Samples::medians);
    Ok(Row {
        scenario,
        upstream,
        nginx,
        gateway,
    })
}

/// The whole answer comes through, in the form that the target gives.
fn check(scenario: &Scenario, target: &Target) -> Outcome<()> {
    let mut client = connect(scenario, target)?;
    let mut text = Vec::new();
    client.exchange(|piece| text.extend_from_slice(piece))?;
    let text = String::from_utf8_lossy(&text);
    let events = text.matches("data: ").count();
    let right = match (target.kind, scenario.stream) {
        (Kind::Gateway, false) => events == 0 && text.contains(r#""finish_reason":"stop""#),
        (Kind::Gateway, true) => events >= CHUNKS && text.contains("data: [DONE]"),
        (_, stream) => events == if stream { CHUNKS } else { 2 },
    };
    if !right || !text.contains(END_MARK) {
        return Err(format!(
            "{}, {:?}: not the expected answer: {text}",
            scenario.name, target.kind
        )
        .into());
    }
    Ok(())
}

fn connect(scenario: &Scenario, target: &Target) -> Outcome<Client> {
    Client::connect(target.addr, target.path(scenario.stream), &scenario.body)
}

/// What clients share.
struct Shared<'a> {
    scenario: &'a Scenario,
    addr: SocketAddr,
    path: &'static str,
    done: AtomicU64,
    stop: AtomicBool,
}

impl Shared<'_> {
    /// Asks on and on until told to stop. Gives what each answer took.
    fn client(&self, pause: Option<(Duration, Duration)>) -> Outcome<Vec<Duration>> {
        let mut client = Client::connect(self.addr, self.path, &self.scenario.body)?;
        let mut took = Vec::new();
        let begin = Instant::now() + pause.map_or(Duration::ZERO, |(first, _)| first);
        let mut due = begin;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some((_, between)) = pause {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                // Who is late does not catch up in a burst.
                due = (due + between).max(Instant::now());
            }
            let times = client.exchange(|_| {})?;
            took.push(if self.scenario.pace.is_zero() {
                times.whole
            } else {
                times.first
            });
            if self.done.fetch_add(1, Ordering::Relaxed) >= MOST {
                return Ok(took);
            }
        }
        Ok(took)
    }
}

/// Runs clients for the warm-up and the window; `window` is called around the latter.
fn run(
    scenario: &Scenario,
    target: &Target,
    connections: usize,
    pause: impl Fn(usize) -> Option<(Duration, Duration)> + Sync,
    window: impl FnOnce(&AtomicU64) -> Outcome<()>,
) -> Outcome<Vec<Duration>> {
    let shared = Shared {
        scenario,
        addr: target.addr,
        path: target.path(scenario.stream),
        done: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let (shared, pause) = (&shared, &pause);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|n| {
                // Paced streams do not all begin at the same moment.
                let stagger = scenario.pace * u32::try_from(n % CHUNKS).unwrap_or(0)
                    + Duration::from_micros(157) * u32::try_from(n).unwrap_or(0);
                scope.spawn(move || {
                    if !scenario.pace.is_zero() {
                        std::thread::sleep(stagger);
                    }
                    shared.client(pause(n))
                })
            })
            .collect();
        let measured = window(&shared.done);
        shared.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client broke")??);
        }
        measured?;
        Ok(all)
    })
}

/// A closed loop: each connection sends its next request when it has its answer.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times far below 2^52"
)]
fn filled(
    scenario: &Scenario,
    target: &Target,
    window: Duration,
    samples: &mut Samples,
) -> Outcome<()> {
    // Streams that take half a second need a longer look.
    let paced = !scenario.pace.is_zero();
    let (warm_up, window) = if paced {
        (WARM_UP + scenario.pace * 100, window * 2)
    } else {
        (WARM_UP, window)
    };
    let mut took = run(
        scenario,
        target,
        scenario.connections,
        |_| None,
        |done| {
            std::thread::sleep(warm_up);
            let (cpu, count, began) = (
                cpu_time(&target.processes)?,
                done.load(Ordering::Relaxed),
                Instant::now(),
            );
            std::thread::sleep(window);
            let count = (done.load(Ordering::Relaxed) - count) as f64;
            let cpu = cpu_time(&target.processes)?.since(&cpu);
            let took = began.elapsed();
            samples.rate.push(count / took.as_secs_f64());
            samples.cpu.push(cpu.as_secs_f64() * 1e6 / count.max(1.0));
            samples.busy.push(cpu.as_secs_f64() / took.as_secs_f64());
            Ok(())
        },
    )?;
    if scenario.rate == 0 {
        latencies(&mut took, samples);
    }
    Ok(())
}

/// A fixed, moderate rate over a few connections, for latencies without a queue.
fn at_rate(
    scenario: &Scenario,
    target: &Target,
    window: Duration,
    samples: &mut Samples,
) -> Outcome<()> {
    let between = Duration::from_secs(1) * RATE_CONNECTIONS / scenario.rate;
    let mut took = run(
        scenario,
        target,
        RATE_CONNECTIONS as usize,
        |n| {
            let n = u32::try_from(n).unwrap_or(0);
            Some((between * n / RATE_CONNECTIONS, between))
        },
        |_| {
            std::thread::sleep(window);
            Ok(())
        },
    )?;
    latencies(&mut took, samples);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
fn latencies(took: &mut [Duration], samples: &mut Samples) {
    took.sort_unstable();
    let at = |part: usize| {
        let index = (took.len() * part / 1000).min(took.len().saturating_sub(1));
        took.get(index)
            .map_or(f64::NAN, |d| d.as_nanos() as f64 / 1000.0)
    };
    samples.p50.push(at(500));
    samples.p99.push(at(990));
}
