//! `tpch.md`: per query, the refresh beside the query.

use super::Cost;
use crate::report::micros;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// What a refresh may cost of the query's own time.
const GOAL: f64 = 1.0;
/// Refreshes in a cycle: after the inserts, the deletes and the updates.
const TRANSACTIONS: f64 = 3.0;

fn mean_micros(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len().max(1) as f64
}

impl Cost {
    /// Of one refresh to one execution of the query.
    fn ratio(&self) -> f64 {
        mean_micros(&self.refresh) / mean_micros(&self.query)
    }
}

pub(super) fn line(cost: &Cost) -> String {
    let refresh = mean_micros(&cost.refresh);
    format!(
        "| {} | {} | {} | {:.2} | {} | {:.2} | {} | {} | {} MiB |",
        cost.name,
        micros(refresh),
        micros(mean_micros(&cost.query)),
        cost.ratio(),
        micros(refresh * TRANSACTIONS),
        cost.ratio() * TRANSACTIONS,
        micros(mean_micros(&cost.process)),
        cost.rows,
        cost.resident >> 20
    )
}

pub(super) fn write(output: &Path, costs: &[Cost], cycles: u32) -> std::io::Result<()> {
    let within = |factor: f64| costs.iter().filter(|cost| cost.ratio() * factor < GOAL).count();
    let mut text = format!(
        "# TPC-H\n\nWritten by `make bench-tpch`: scale factor 0.1 (150,000 orders, 600,000 line items, dbgen's data), {cycles} \
         cycles of changes per query. A cycle is three transactions: 1 % of the orders come with their line items, 1 % go \
         with theirs, 1 % of both and of the other tables are updated. After each the stream table is read at `latest`, \
         and after each cycle it equals its query.\n\n\
         All figures are processor time in one run: *refresh* is that of Weir's engine thread per \
         transaction, from the decoded rows to the published snapshot; *all of Weir* is that of all its threads from before the \
         transaction to the read that shows it, so with the decoding of the stream, where conditions of filters are asked, and \
         with the reading; *query* is that of a Postgres backend which \
         evaluates the query once (the fastest of three), without parallel query, with the foreign keys indexed. The \
         Weir of each query maintains that query alone, and has let go of the base tables that no join of it looks up. Load average of the machine at the end: {load}.\n\n\
         **Of {count} queries, {refreshes} are refreshed after a change of 1 % in less time than the query takes, and \
         {cycles_within} take less for the whole cycle.**\n\n\
         | query | refresh | query in Postgres | ratio | cycle of three | ratio | all of Weir | rows | memory of Weir |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        load = load_average(),
        count = costs.len(),
        refreshes = within(1.0),
        cycles_within = within(TRANSACTIONS),
    );
    for cost in costs {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", line(cost));
    }
    std::fs::create_dir_all(output)?;
    std::fs::write(output.join("tpch.md"), text)
}

/// Of the last quarter of an hour, beside the number of cores: how far others used the machine too.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} on {cores} cores", text.split(' ').nth(2).unwrap_or("unknown"))
}
