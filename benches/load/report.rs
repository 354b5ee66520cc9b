//! The tables.

use std::fmt::Write as _;
use std::fs;

use crate::Options;
use crate::measure::Row;
use crate::servers::Starts;

/// Where this ran.
pub(crate) fn machine(options: &Options) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{model}, Linux {}; gateway and nginx on core {}, clients and upstream on another; {} rounds of {:?}",
        kernel.trim(),
        options.gateway_core,
        options.rounds,
        options.window
    )
}

/// The starts.
pub(crate) fn starts(starts: &Starts) -> String {
    format!(
        "start to /readyz: {:.0} ms in an empty state folder, {:.0} ms in a used one\n\
         start to the first chat answer: {:.0} ms, {:.0} ms\n\
         idle memory: {} KiB",
        starts.ready_new, starts.ready_again, starts.chat_new, starts.chat_again, starts.idle_kib
    )
}

/// One line while it runs.
pub(crate) fn progress(row: &Row) -> String {
    format!(
        "{}: CPU {:.1} us, nginx {:.1} us: {:.2} times (aim {:.1})",
        row.scenario.name,
        row.gateway.cpu,
        row.nginx.cpu,
        row.gateway.cpu / row.nginx.cpu,
        row.scenario.aim
    )
}

/// The whole result as Markdown.
pub(crate) fn tables(rows: &[Row], idle_kib: u64, (now, most): (u64, u64)) -> String {
    let mut out = String::from(
        "\n| Load | req/s agp | nginx | no proxy | CPU ms per 1,000 agp | nginx | times nginx | aim | core busy agp | nginx |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} | {:.1} | {:.0} % | {:.0} % |",
            row.scenario.name,
            row.gateway.rate,
            row.nginx.rate,
            row.upstream.rate,
            row.gateway.cpu,
            row.nginx.cpu,
            row.gateway.cpu / row.nginx.cpu,
            row.scenario.aim,
            row.gateway.busy * 100.0,
            row.nginx.busy * 100.0,
        );
    }
    out.push_str(
        "\n| Load | added p50 agp, us | nginx | added p99 agp | nginx | p50, p99 without proxy |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0}, {:.0} |",
            row.scenario.name,
            row.gateway.p50 - row.upstream.p50,
            row.nginx.p50 - row.upstream.p50,
            row.gateway.p99 - row.upstream.p99,
            row.nginx.p99 - row.upstream.p99,
            row.upstream.p50,
            row.upstream.p99,
        );
    }
    let _ = write!(
        out,
        "\nmemory: idle {idle_kib} KiB, after the load {now} KiB, at most {most} KiB"
    );
    out
}
