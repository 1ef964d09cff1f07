//! `make bench`: Weir and Postgres measured against each other in one run, interleaved, on one machine.
//!
//! `dataset` fills the fraud scenario; `catch_up` waits for memory, `load` drives clients (each a `session`) and collects `latencies`, `metrics`
//! reads Weir's counters, `processor` what processes cost; `reads`, `writes`, `commits`, `capture` and `forwarding` are the
//! measurements, `tpch` and `scenarios` others over tables of their own; `report` writes the Markdown table and `plot` the
//! picture.

mod capture;
mod catch_up;
mod commits;
mod dataset;
mod forwarding;
mod latencies;
mod load;
mod metrics;
mod plot;
mod processor;
mod reads;
mod report;
mod scenarios;
mod session;
mod tpch;
mod writes;

use clap::{Parser, ValueEnum};
use dataset::Dataset;
use report::Report;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "weir-bench", about = "Measure Weir against Postgres in one run")]
struct Arguments {
    /// Transactions in the data set.
    #[arg(long, default_value_t = 1_000_000)]
    transactions: u64,
    #[arg(long, default_value_t = 1_000)]
    users: u64,
    #[arg(long, default_value_t = 100)]
    merchants: u64,
    /// Seconds per measurement and repetition.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Every measurement is made this often; the targets take turns.
    #[arg(long, default_value_t = 2)]
    repetitions: u32,
    /// What to measure; by default everything that reads the data set: neither `tpch` nor `finance`, `risk`, `many`, `order`,
    /// `memory`, `nexmark`, `scans`.
    #[arg(long, alias = "only", value_delimiter = ',')]
    parts: Vec<Part>,
    /// Queries of TPC-H to measure (q01 …); all by default.
    #[arg(long, value_delimiter = ',')]
    queries: Vec<String>,
    /// Cycles of changes per query of TPC-H.
    #[arg(long, default_value_t = 3)]
    cycles: u32,
    /// Price ticks of `finance`.
    #[arg(long, default_value_t = 1_000)]
    ticks: u32,
    /// Seconds of writing of `risk`.
    #[arg(long, default_value_t = 60)]
    risk_seconds: u32,
    /// Stream tables of `many`, and the base tables below them.
    #[arg(long, default_value_t = 500)]
    tables: u32,
    #[arg(long, default_value_t = 50)]
    bases: u32,
    /// Where the results go.
    #[arg(long, default_value = "bench/results")]
    output: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What forwarding costs, beside PgBouncer.
    Forwarding,
    /// Commits through the five tables without `risk_scores`.
    Light,
    /// Writers whose tables are captured.
    Writes,
    /// Commits through all nine tables.
    Heavy,
    /// Reads of the nine tables.
    Reads,
    /// Refreshes of TPC-H's queries against the queries.
    Tpch,
    /// A price tick through the finance chain.
    Finance,
    /// `risk_scores` beside a thousand inserts a second.
    Risk,
    /// Hundreds of stream tables.
    Many,
    /// Extremes, TopK and windows over ever more rows.
    Order,
    /// What a row costs in memory.
    Memory,
    /// Nexmark's queries, events a second.
    Nexmark,
    /// Reads of every row of a large stream table.
    Scans,
    /// What capture from the WAL and by triggers costs writers.
    Capture,
}

impl Part {
    /// It fills a server of its own instead of reading the data set.
    fn stands_alone(self) -> bool {
        matches!(
            self,
            Part::Tpch
                | Part::Forwarding
                | Part::Finance
                | Part::Risk
                | Part::Many
                | Part::Order
                | Part::Memory
                | Part::Nexmark
                | Part::Scans
                | Part::Capture
        )
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let slice = Duration::from_secs_f64(arguments.seconds);
    let wants = |part: Part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    if arguments.parts.contains(&Part::Tpch) {
        tpch::measure(&arguments.queries, arguments.cycles, &arguments.output)?;
    }
    if arguments.parts.contains(&Part::Finance) {
        scenarios::finance::measure(arguments.ticks, &arguments.output)?;
    }
    if arguments.parts.contains(&Part::Risk) {
        scenarios::risk::measure(arguments.risk_seconds, &arguments.output)?;
    }
    if arguments.parts.contains(&Part::Many) {
        scenarios::many::measure(arguments.tables, arguments.bases, &arguments.output)?;
    }
    if arguments.parts.contains(&Part::Order) {
        scenarios::order::measure(&arguments.output)?;
    }
    if arguments.parts.contains(&Part::Memory) {
        scenarios::memory::measure(&arguments.output)?;
    }
    if arguments.parts.contains(&Part::Nexmark) {
        scenarios::nexmark::measure(&arguments.output)?;
    }
    if arguments.parts.contains(&Part::Scans) {
        scenarios::scans::measure(&arguments.output)?;
    }
    if wants(Part::Capture) {
        capture::measure(arguments.repetitions.max(20), &arguments.output)?;
    }
    if wants(Part::Forwarding) {
        forwarding::measure(slice, arguments.repetitions.max(3), &arguments.output)?;
    }
    if !arguments.parts.is_empty() && arguments.parts.iter().all(|part| part.stands_alone()) {
        return Ok(());
    }
    let mut report = Report::new(arguments.transactions, arguments.users, arguments.merchants);

    println!("loading {} transactions", arguments.transactions);
    let dataset = Dataset::load(arguments.transactions, arguments.users, arguments.merchants);

    println!("stream tables without risk_scores");
    let created = dataset.create_light_tables();
    report.creation("five tables without risk_scores", created, dataset.resident_bytes());
    if wants(Part::Light) {
        report.commits("without risk_scores", commits::engine(&dataset, "user_velocity", 500));
        report.freshness("without risk_scores", commits::visibility(&dataset, "user_velocity", 1_000));
    }
    if wants(Part::Writes) {
        println!("writers");
        report.writes(writes::measure(&dataset, slice, arguments.repetitions.max(3)));
    }
    if wants(Part::Heavy) || wants(Part::Reads) {
        println!("all nine stream tables");
        let created = dataset.create_heavy_tables();
        report.creation("all nine tables", created, dataset.resident_bytes());
    }
    if wants(Part::Heavy) {
        report.commits("all nine", commits::engine(&dataset, "alert_summary", 100));
        report.freshness("all nine", commits::visibility(&dataset, "user_velocity", 500));
    }
    if wants(Part::Reads) {
        println!("reads");
        dataset.copy_to_plain_tables();
        report.reads(reads::measure(&dataset, slice, arguments.repetitions));
        report.dashboard(reads::dashboard(&dataset, slice.min(Duration::from_secs(1))));
    }
    report.memory(dataset.resident_bytes());

    report.write(&arguments.output)?;
    println!("written to {}", arguments.output.display());
    Ok(())
}
