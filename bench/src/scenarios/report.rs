//! One page of Markdown per part.

use super::finance::Chain;
use super::many::Many;
use super::memory::Grown;
use super::nexmark::Stream;
use super::order::Point;
use super::risk::KeepingUp;
use super::scans::Scan;
use crate::latencies::Latencies;
use crate::plot::{self, Series};
use crate::report::{mebibytes, micros};
use std::path::Path;
use std::time::Duration;

/// Every page ends with what else the machine did.
fn write(output: &Path, name: &str, text: String) -> std::io::Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "a debug build: do not quote these figures" } else { "release build" };
    let page = format!(
        "{text}\nClients, Weir and Postgres share {cores} cores; {build}. Load average of the machine at the end: {} (5 minutes).\n",
        load.split(' ').nth(1).unwrap_or("unknown")
    );
    print!("{page}");
    std::fs::create_dir_all(output)?;
    std::fs::write(output.join(name), page)
}

fn seconds(duration: Duration) -> String {
    micros(duration.as_secs_f64() * 1e6)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn quantiles(latencies: &Latencies) -> String {
    let of = |share| micros(latencies.quantile(share));
    format!("{} | {} | {}", of(0.5), of(0.99), of(1.0))
}

pub(super) fn finance(output: &Path, chain: &Chain, goal_micros: f64) -> std::io::Result<()> {
    let met = chain.latest.quantile(0.5) <= goal_micros && chain.pushed.quantile(0.5) <= goal_micros;
    let text = format!(
        "# A price tick through the finance chain\n\n\
         Written by `make bench-scenarios`: {positions} positions, {ticks} ticks of one price each, 50 a second, \
         `breach_dashboard` with {breaches}, `sector_exposure` maintained as {sector}. From the moment the commit has returned \
         to the writer.\n\n\
         | reader | p50 | p99 | longest |\n|---|---|---|---|\n\
         | one read of all 11 tables at `latest` | {latest} |\n\
         | a session that polls `breach_dashboard` at `scheduled` | {pushed} |\n\n\
         A tick changes {rows:.1} rows of stream tables and costs {engine} of the engine thread's processor time, {weir} of \
         Weir's altogether (the read of all 11 tables included).\n\n\
         Goal, at most {goal} at the median: {verdict}.\n",
        positions = chain.positions,
        ticks = chain.ticks,
        breaches = chain.breaches,
        sector = chain.sector_exposure,
        latest = quantiles(&chain.latest),
        pushed = quantiles(&chain.pushed),
        rows = chain.rows_per_tick,
        engine = micros(chain.engine_micros),
        weir = micros(chain.weir_micros),
        goal = micros(goal_micros),
        verdict = verdict(met),
    );
    write(output, "finance.md", text)
}

pub(super) fn risk_line(run: &KeepingUp) -> String {
    let share = |spent: Duration| format!("{:.0} %", spent.as_secs_f64() / run.elapsed.as_secs_f64() * 100.0);
    format!(
        "| {} × {} | {} | {:.0}/s | {} | {} | {} | {} | {} | {} | {:.0} | {:.0} | {} | {} | {} |",
        run.users,
        run.merchants,
        run.inserts,
        run.rate(),
        micros(run.behind.quantile(0.5)),
        micros(run.thirds[0].quantile(0.5)),
        micros(run.thirds[1].quantile(0.5)),
        micros(run.behind.quantile(1.0)),
        seconds(run.caught_up),
        verdict(run.keeps_up()),
        run.refreshes,
        run.rows_changed,
        share(run.engine),
        share(run.weir),
        mebibytes(run.resident)
    )
}

pub(super) fn risk(output: &Path, runs: &[KeepingUp], rate: u32, transactions: u32) -> std::io::Result<()> {
    let mut text = format!(
        "# `risk_scores` beside {rate} inserts a second\n\n\
         Written by `make bench-scenarios`: the fraud scenario's nine stream tables over {transactions} transactions, \
         eight writers through Weir that insert {rate} rows a second together, single statements, and a reader that asks \
         `alert_summary` at `latest` four times a second. A transaction changes the rows of its user and of its merchant in \
         `risk_scores`: with the seed's 30 users and 15 merchants a tenth of them. *Caught up* is from the last commit until all \
         nine tables had it. They keep up when the writers reach the rate (to 2 %), the reads of the last third of the run come \
         no later than those of the first (the median, to a half, beyond what the table has grown by: a queue that grows would \
         show as five times the first), and catching up takes at most five seconds. The engine's share of a processor is no part of it: one refresh takes in all that waits, and under a \
         reader that asks at `latest` oftener than a refresh takes, the next one follows at once.\n\n\
         | users × merchants | inserts | rate | read at `latest`, p50 | of the first third | of the last third | longest | caught up after | keeping up | refreshes | rows changed | engine thread, share of a processor | Weir | resident memory |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for run in runs {
        text.push_str(&risk_line(run));
        text.push('\n');
    }
    write(output, "risk.md", text)
}

pub(super) fn many(output: &Path, many: &Many) -> std::io::Result<()> {
    let tenth = many.tables as usize / 10;
    let mean = |times: &[Duration]| seconds(times.iter().sum::<Duration>() / times.len().max(1) as u32);
    let ends = |times: &[Duration]| {
        format!("{} | {} | {}", seconds(times.iter().sum()), mean(&times[..tenth]), mean(&times[times.len() - tenth..]))
    };
    let text = format!(
        "# {tables} stream tables over {bases} base tables\n\n\
         Written by `make bench-scenarios`. Five shapes in turn: groups, a filter, a join of two tables, distinct values, \
         a stream table over a stream table. All calls go through Weir, one after the other, each in a transaction of its own.\n\n\
         | | all | each of the first {tenth} | each of the last {tenth} |\n|---|---|---|---|\n\
         | create | {create} |\n| drop | {drop} |\n\n\
         | | |\n|---|---|\n\
         | from the last creation until all are in memory | {populated} |\n\
         | restart: from the start of the process until all are in memory | {restart} (processor time of Weir {processor}) |\n\
         | a transaction that writes to all {bases} base tables, until all {tables} tables have been read with it | {moved} |\n\
         | `refresh_stream_table`, each of all (p50, p99, longest) | {refresh} |\n\
         | insert of a row and a read of its sum at `latest` (p50, p99, longest) | {commit} |\n\
         | processor time of the engine thread per such commit | {engine} |\n\
         | nothing happens: Weir's share of a processor | {idle_weir:.1} % |\n\
         | nothing happens: its sessions in Postgres | {idle_postgres:.1} % |\n\
         | resident memory before, with all, after all were dropped | {before}, {resident}, {after} |\n",
        tables = many.tables,
        bases = many.bases,
        create = ends(&many.create),
        drop = ends(&many.drop),
        populated = seconds(many.populated),
        restart = seconds(many.restart),
        processor = seconds(many.restart_processor),
        moved = seconds(many.all_moved),
        refresh = quantiles(&many.refresh).replace(" | ", ", "),
        commit = quantiles(&many.commit).replace(" | ", ", "),
        engine = micros(many.engine_micros_per_commit),
        idle_weir = many.idle_weir * 100.0,
        idle_postgres = many.idle_postgres * 100.0,
        before = mebibytes(many.resident_before),
        resident = mebibytes(many.resident),
        after = mebibytes(many.resident_after),
    );
    write(output, "many.md", text)
}

pub(super) fn order(output: &Path, lines: &[(&'static str, Vec<Point>)]) -> std::io::Result<()> {
    let mut text = "# What a change costs where order matters\n\n\
        Written by `weir-bench --parts order`: one stream table over one table of so many rows (less the 600 that the \
        first three cases delete), in one partition; time of the engine per commit of one row, and the rows of the stream table \
        that changed.\n\n\
        ![engine time over the number of rows](order.svg)\n\n\
        | change | rows in order | engine per commit | rows changed | per changed row |\n|---|---|---|---|---|\n"
        .to_owned();
    for (name, points) in lines {
        for Point { rows, micros: each, changed } in points {
            let per_row = micros(each / changed.max(1.0));
            text += &format!("| {name} | {rows} | {} | {changed:.0} | {per_row} |\n", micros(*each));
        }
    }
    let series: Vec<Series> = lines
        .iter()
        .map(|(name, points)| Series {
            label: (*name).to_owned(),
            points: points.iter().map(|point| (f64::from(point.rows), point.micros)).collect(),
        })
        .collect();
    std::fs::create_dir_all(output)?;
    std::fs::write(output.join("order.svg"), plot::lines("Engine time per commit over the number of rows", &series))?;
    write(output, "order.md", text)
}

pub(super) fn nexmark_line(stream: &Stream) -> String {
    let a_second = |time: Duration| stream.events as f64 / time.as_secs_f64();
    format!(
        "| {} | {} | {:.0} | {:.0} | {:.0} | {} |",
        stream.name,
        micros(stream.engine.as_secs_f64() * 1e6 / stream.events as f64),
        a_second(stream.engine),
        a_second(stream.elapsed),
        stream.changed,
        stream.rows
    )
}

pub(super) fn nexmark(output: &Path, streams: &[Stream], (first, batch): (u64, u64)) -> std::io::Result<()> {
    let events = streams.first().map_or(0, |stream| stream.events);
    let mut text = format!(
        "# Nexmark\n\n\
         Written by `weir-bench --parts nexmark`: each query alone, made over {first} events, then {events} more in transactions of \
         {batch}, one after the other by one writer past Weir. *Engine* is processor time of the engine's thread, from the decoded \
         rows to the published snapshot; *altogether* counts from the first transaction until memory had the last, and is bounded by \
         Postgres writing them. At the end each stream table equals its query.\n\n\
         | query | engine per event | events/s of the engine | events/s altogether | rows changed | rows at the end |\n\
         |---|---|---|---|---|---|\n"
    );
    for stream in streams {
        text += &nexmark_line(stream);
        text.push('\n');
    }
    write(output, "nexmark.md", text)
}

pub(super) fn scans(output: &Path, scans: &[Scan], rows: u32) -> std::io::Result<()> {
    let mut text = format!(
        "# Scans of a large stream table\n\n\
         Written by `weir-bench --parts scans`: {rows} rows of eight columns, one client, each read with another constant every \
         time, in turns. Postgres reads the same rows from an ordinary table, with as many parallel workers as it chooses. *First* \
         is the first from memory, which makes the columns that the others find.\n\n\
         | read | Postgres p50 | p99 | memory p50 | p99 | ratio | first |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for scan in scans {
        let of = |latencies: &Latencies, share| micros(latencies.quantile(share));
        text += &format!(
            "| {} | {} | {} | {} | {} | {:.2} | {} |\n",
            scan.name,
            of(&scan.postgres, 0.5),
            of(&scan.postgres, 0.99),
            of(&scan.memory, 0.5),
            of(&scan.memory, 0.99),
            scan.memory.quantile(0.5) / scan.postgres.quantile(0.5),
            seconds(scan.first)
        );
    }
    write(output, "scans.md", text)
}

pub(super) fn memory(output: &Path, shapes: &[Grown], rows: u64) -> std::io::Result<()> {
    let mut text = format!(
        "# Memory per row\n\n\
         Written by `weir-bench --parts memory`: stream tables made one after the other over a fact table of {rows} rows (bigint, \
         bigint, numeric, text, timestamptz) in one Weir that lets nothing go, and by how much its resident memory grew with each. The first brings the \
         base table in; what later ones share with earlier ones (a join's index, rows) is not counted twice. \
         The last is the first once more in a Weir with `--let-go-after-ms 1000`, measured when the rows have been let go and 10 % have been updated.\n\n\
         | stream table | grown by | for each |\n|---|---|---|\n"
    );
    for shape in shapes {
        let each = shape.bytes as f64 / shape.count as f64;
        text += &format!("| {} | {} | {each:.0} bytes per {} |\n", shape.name, mebibytes(shape.bytes), shape.per);
    }
    write(output, "memory.md", text)
}
