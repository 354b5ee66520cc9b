//! The rounds: each target in turn, then again, and the medians of it.

use std::time::{Duration, Instant};

use crate::client::{self, Client, Times};
use crate::scenario::{CHUNKS, END_MARK, Scenario};
use crate::servers::{Kind, Target, Targets, cpu_time};
use crate::upstream::Upstream;
use crate::{Options, Outcome};

/// Requests of one measurement at most.
const MOST: usize = 500_000;
/// Before each measurement, so that connections are open and buffers have their size.
const WARM_UP: Duration = Duration::from_millis(300);
/// Connections that share the fixed rate.
const RATE_CONNECTIONS: u32 = 4;
/// How long what is under way at the end may take.
const REST: Duration = Duration::from_secs(10);

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
    upstream: &mut Upstream,
    targets: &Targets,
    options: &Options,
) -> Outcome<Row> {
    upstream.play(scenario);
    let mut samples = [(); 3].map(|()| Samples::default());
    let mut turn: Vec<(usize, &Target)> = targets
        .all()
        .into_iter()
        .enumerate()
        .filter(|(_, target)| !options.alone || target.kind == Kind::Gateway)
        .collect();
    for (_, target) in &turn {
        check(scenario, upstream, target)?;
    }
    for _ in 0..options.rounds {
        for (at, target) in &turn {
            let mut load = Load::new(scenario, upstream, target, scenario.connections)?;
            filled(&mut load, options.window, &mut samples[*at])?;
        }
        if scenario.rate > 0 && !options.alone {
            for (at, target) in &turn {
                let mut load = Load::new(scenario, upstream, target, RATE_CONNECTIONS as usize)?;
                at_rate(&mut load, options.window, &mut samples[*at])?;
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

/// One request and its answer.
pub(crate) fn once(upstream: &mut Upstream, client: &mut Client) -> Outcome<Times> {
    client.begin()?;
    loop {
        upstream.poll()?;
        if let Some(times) = client.poll()? {
            return Ok(times);
        }
    }
}

/// The whole answer comes through, in the form that the target gives.
fn check(scenario: &Scenario, upstream: &mut Upstream, target: &Target) -> Outcome<()> {
    let request = client::post(target.path(scenario.stream), &scenario.body);
    let mut client = Client::connect(target.addr, &request)?;
    client.keep();
    once(upstream, &mut client)?;
    let text = client.kept();
    let text = String::from_utf8_lossy(&text);
    let events = text.matches("data: ").count();
    let right = match (target.kind, scenario.stream) {
        (Kind::Gateway, false) => events == 0 && text.contains(r#""finish_reason":"stop""#),
        (Kind::Gateway, true) => events >= CHUNKS && text.contains("data: [DONE]"),
        (_, stream) => events == if stream { CHUNKS } else { 2 },
    };
    if !right || !text.contains(END_MARK) {
        let (name, kind) = (scenario.name, target.kind);
        return Err(format!("{name}, {kind:?}: not the expected answer: {text}").into());
    }
    Ok(())
}

/// The clients of one measurement, and the upstream that is polled beside them.
struct Load<'a> {
    scenario: &'a Scenario,
    upstream: &'a mut Upstream,
    target: &'a Target,
    /// Each with the moment from which it may ask again.
    clients: Vec<(Client, Instant)>,
}

impl<'a> Load<'a> {
    fn new(
        scenario: &'a Scenario,
        upstream: &'a mut Upstream,
        target: &'a Target,
        connections: usize,
    ) -> Outcome<Self> {
        let request = client::post(target.path(scenario.stream), &scenario.body);
        let now = Instant::now();
        let clients = (0..connections).map(|n| {
            // Paced streams do not all begin at the same moment.
            let n = u32::try_from(n).unwrap_or(0);
            let length = scenario.pace * u32::try_from(CHUNKS).unwrap_or(0);
            let due = now + length * n / u32::try_from(connections).unwrap_or(1).max(1);
            Ok((Client::connect(target.addr, &request)?, due))
        });
        Ok(Self {
            clients: clients.collect::<Outcome<_>>()?,
            scenario,
            upstream,
            target,
        })
    }

    /// Runs the clients for a while. Each asks again when it has its answer, `between` after it asked before at the
    /// earliest.
    fn run(&mut self, length: Duration, between: Duration) -> Outcome<Vec<Times>> {
        let end = Instant::now() + length;
        let mut took = Vec::new();
        loop {
            self.upstream.poll()?;
            let now = Instant::now();
            for (client, due) in &mut self.clients {
                if client.is_busy() {
                    took.extend(client.poll()?);
                }
                if !client.is_busy() && *due <= now && took.len() < MOST {
                    client.begin()?;
                    // Who is late does not catch up in a burst.
                    *due = (*due + between).max(now);
                }
            }
            if now >= end {
                return Ok(took);
            }
        }
    }

    /// Waits for what is under way.
    fn finish(&mut self) -> Outcome<()> {
        let begin = Instant::now();
        while self.clients.iter().any(|(client, _)| client.is_busy()) {
            self.upstream.poll()?;
            for (client, _) in &mut self.clients {
                client.poll()?;
            }
            if begin.elapsed() > REST {
                return Err("answers do not come to their end".into());
            }
        }
        Ok(())
    }
}

/// A closed loop: each connection sends its next request when it has its answer.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times far below 2^52"
)]
fn filled(load: &mut Load<'_>, window: Duration, samples: &mut Samples) -> Outcome<()> {
    // Streams that take half a second need a longer look.
    let pace = load.scenario.pace;
    let (warm_up, window) = if pace.is_zero() {
        (WARM_UP, window)
    } else {
        (WARM_UP + pace * 100, window * 2)
    };
    load.run(warm_up, Duration::ZERO)?;
    let processes = &load.target.processes;
    let (cpu, began) = (cpu_time(processes)?, Instant::now());
    let mut took = load.run(window, Duration::ZERO)?;
    let cpu = cpu_time(&load.target.processes)?.since(&cpu).as_secs_f64();
    let length = began.elapsed().as_secs_f64();
    let count = took.len().max(1) as f64;
    samples.rate.push(count / length);
    samples.cpu.push(cpu * 1e6 / count);
    samples.busy.push(cpu / length);
    if load.scenario.rate == 0 {
        latencies(&mut took, |times| times.first, samples);
    }
    load.finish()
}

/// A fixed, moderate rate over a few connections, for latencies without a queue.
fn at_rate(load: &mut Load<'_>, window: Duration, samples: &mut Samples) -> Outcome<()> {
    let between = Duration::from_secs(1) * RATE_CONNECTIONS / load.scenario.rate;
    let now = Instant::now();
    for (n, (_, due)) in (0..).zip(&mut load.clients) {
        *due = now + between * n / RATE_CONNECTIONS;
    }
    let mut took = load.run(window, between)?;
    latencies(&mut took, |times| times.whole, samples);
    load.finish()
}

#[expect(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
fn latencies(took: &mut [Times], which: fn(&Times) -> Duration, samples: &mut Samples) {
    took.sort_unstable_by_key(which);
    let at = |part: usize| {
        let index = (took.len() * part / 1000).min(took.len().saturating_sub(1));
        took.get(index)
            .map_or(f64::NAN, |times| which(times).as_nanos() as f64 / 1000.0)
    };
    samples.p50.push(at(500));
    samples.p99.push(at(990));
}
