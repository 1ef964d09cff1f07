//! `tpch.md`: per query, the refresh beside the query.

use super::Cost;
use crate::report::micros;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// What a cycle's refresh may cost of the query's own time.
const GOAL: f64 = 1.0;

fn mean_micros(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len().max(1) as f64
}

impl Cost {
    fn ratio(&self) -> f64 {
        mean_micros(&self.refresh) / mean_micros(&self.query)
    }
}

pub(super) fn line(cost: &Cost) -> String {
    format!(
        "| {} | {} | {} | {:.2} | {} | {} MiB |",
        cost.name,
        micros(mean_micros(&cost.refresh)),
        micros(mean_micros(&cost.query)),
        cost.ratio(),
        cost.rows,
        cost.resident >> 20
    )
}

pub(super) fn write(output: &Path, costs: &[Cost], cycles: u32) -> std::io::Result<()> {
    let faster = costs.iter().filter(|cost| cost.ratio() < GOAL).count();
    let mut text = format!(
        "# TPC-H\n\nWritten by `make bench-tpch`: scale factor 0.1 (150,000 orders, 600,000 line items, dbgen's data), {cycles} \
         cycles of changes per query. A cycle inserts 1 % of the orders with their line items, deletes 1 % with theirs \
         and updates 1 % of both and of the other tables, in three transactions. After each the stream table equals \
         its query.\n\n\
         Both costs are processor time of one thread in one run: *refresh* is that of Weir's engine thread per cycle, from \
         the decoded rows of all eight tables to the published snapshot; *query* is that of a Postgres backend which evaluates \
         the query once, without parallel query, with the foreign keys indexed. The Weir of each query maintains that query alone.\n\n\
         **{faster} of {} are refreshed in less time than the query takes.**\n\n\
         | query | refresh per cycle | query in Postgres | ratio | rows | memory of Weir |\n|---|---|---|---|---|---|\n",
        costs.len(),
    );
    for cost in costs {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", line(cost));
    }
    std::fs::create_dir_all(output)?;
    std::fs::write(output.join("tpch.md"), text)
}
