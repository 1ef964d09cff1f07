//! `forwarding.md`: the three ways side by side.

use super::{Comparison, Way};
use crate::report::micros;
use std::fmt::Write;
use std::path::Path;

/// Processor time that 100,000 forwarded statements may cost Weir, in seconds.
const PROCESSOR_GOAL_SECONDS: f64 = 2.5;

/// Weir's own memory per idle connection, in bytes.
const IDLE_GOAL_BYTES: f64 = 64.0 * 1024.0;

/// Positions in [`Comparison::costs`].
const DIRECT: usize = 0;
const PEER: usize = 1;
const WEIR: usize = 2;

pub(super) fn write(
    output: &Path,
    version: &str,
    ways: &[Way],
    comparisons: &[Comparison],
    idle_bytes: f64,
) -> std::io::Result<()> {
    let mut text = format!(
        "# Forwarding\n\nWritten by `make bench` (`weir-bench --parts forwarding`): statements that Weir only passes on, beside \
         {version} in session mode and a direct connection. The ways took turns in one run, on cores shared with the \
         clients and Postgres: compare figures within a table. Processor time is the proxy's own.\n"
    );
    write_goals(&mut text, comparisons, idle_bytes);
    let short: Vec<_> = comparisons.iter().filter(|comparison| comparison.is_short).collect();
    let bulk: Vec<_> = comparisons.iter().filter(|comparison| !comparison.is_short).collect();
    text.push_str(
        "\n## Point reads\n\n| load | clients | way | statements/s | ratio to direct | p50 | added p50 | p99 \
         | processor time per 100,000 |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for comparison in short {
        for (way, cost) in ways.iter().zip(&comparison.costs) {
            let direct = &comparison.costs[DIRECT].latencies;
            let latencies = &cost.latencies;
            let (added, processor) = match way.process {
                None => (String::new(), String::new()),
                Some(_) => (
                    format!("{:+.0} µs", latencies.quantile(0.5) - direct.quantile(0.5)),
                    format!("{:.2} s", cost.processor_micros() / 10.0),
                ),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.0} | {:.2} | {} | {added} | {} | {processor} |",
                comparison.load,
                comparison.clients,
                way.name,
                latencies.throughput(),
                latencies.throughput() / direct.throughput(),
                micros(latencies.quantile(0.5)),
                micros(latencies.quantile(0.99)),
            );
        }
    }
    text.push_str("\n## Bulk\n\n| load | way | p50 | ratio to direct | processor time each |\n|---|---|---|---|---|\n");
    for comparison in bulk {
        for (way, cost) in ways.iter().zip(&comparison.costs) {
            let median = cost.latencies.quantile(0.5);
            let processor = way.process.map_or_else(String::new, |_| micros(cost.processor_micros()));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {processor} |",
                comparison.load,
                way.name,
                micros(median),
                median / comparison.costs[DIRECT].latencies.quantile(0.5),
            );
        }
    }
    std::fs::create_dir_all(output)?;
    std::fs::write(output.join("forwarding.md"), text)
}

fn write_goals(text: &mut String, comparisons: &[Comparison], idle_bytes: f64) {
    text.push_str("\n## Goals\n\n| goal | worst measured | met |\n|---|---|---|\n");
    let mut say = |goal: &str, measured: String, met: bool| {
        let _ = writeln!(text, "| {goal} | {measured} | {} |", if met { "yes" } else { "**no**" });
    };
    let short = || comparisons.iter().filter(|comparison| comparison.is_short);
    // The load on which Weir does worst against the goal, by a figure that is to be small.
    let worst = |figure: &dyn Fn(&Comparison) -> f64| {
        short().map(|c| (figure(c), format!("{}, {} clients", c.load, c.clients))).max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let median = |comparison: &Comparison, way: usize| comparison.costs[way].latencies.quantile(0.5);
    if let Some((more, load)) = worst(&|c| median(c, WEIR) - median(c, PEER)) {
        let measured = format!("{more:+.0} µs against PgBouncer's ({load})");
        say("added median latency at most PgBouncer's", measured, more <= 0.0);
    }
    let throughput = |c: &Comparison, way: usize| c.costs[way].latencies.throughput();
    if let Some((share, load)) = worst(&|c| throughput(c, PEER) / throughput(c, WEIR)) {
        let measured = format!("{:.2} of PgBouncer's ({load})", 1.0 / share);
        say("throughput at least PgBouncer's", measured, share <= 1.0);
    }
    if let Some((micros, load)) = worst(&|c| c.costs[WEIR].processor_micros()) {
        let goal = format!("processor time per 100,000 statements at most {PROCESSOR_GOAL_SECONDS} s");
        say(&goal, format!("{:.2} s ({load})", micros / 10.0), micros / 10.0 <= PROCESSOR_GOAL_SECONDS);
    }
    let goal = format!("memory per idle connection under {:.0} KiB", IDLE_GOAL_BYTES / 1024.0);
    say(&goal, format!("{:.0} KiB", idle_bytes / 1024.0), idle_bytes < IDLE_GOAL_BYTES);
}
