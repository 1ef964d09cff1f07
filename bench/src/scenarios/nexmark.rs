//! Nexmark's queries one at a time: how many events a second the engine takes in, and how many the whole of it does, with
//! Postgres writing them.

use super::report;
use crate::catch_up::catch_up;
use crate::metrics::metric;
use crate::processor;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_tests::nexmark::{self, QUERIES, SCHEMA};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Events that are there when the stream table is made.
const FIRST: u64 = 100_000;
/// Events of one transaction.
const BATCH: u64 = 1_000;
/// Batches whose events are measured.
const BATCHES: u64 = 100;
const POPULATION: Duration = Duration::from_secs(120);

/// One query.
pub(super) struct Stream {
    pub name: &'static str,
    pub events: u64,
    /// Processor time of the engine's thread.
    pub engine: Duration,
    /// From the first transaction until memory had the last.
    pub elapsed: Duration,
    /// Rows of the stream table that changed.
    pub changed: f64,
    pub rows: usize,
}

pub fn measure(output: &Path) -> std::io::Result<()> {
    let streams: Vec<Stream> = QUERIES.iter().map(|(name, query)| play(name, query)).collect();
    report::nexmark(output, &streams, (FIRST, BATCH))
}

fn play(name: &'static str, query: &str) -> Stream {
    let server = TestServer::options().conf("max_wal_size = 4GB").conf("autovacuum = off").start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(SCHEMA);
    direct.execute(&nexmark::events(0, FIRST));
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    through.execute("SET weir.consistency = 'latest'");
    through.execute(&nexmark::create(name, query));
    weir.wait_until_live_within(&[name], POPULATION);
    catch_up(&mut through, name, POPULATION);
    let counters =
        || (processor::spent(weir.process_id(), Some("weir-engine")), metric(&weir, "weir_rows_changed_total"));
    let (engine, changed) = counters();
    let started = Instant::now();
    for batch in 0..BATCHES {
        let from = FIRST + batch * BATCH;
        direct.execute(&nexmark::events(from, from + BATCH));
    }
    catch_up(&mut through, name, POPULATION);
    let elapsed = started.elapsed();
    let after = counters();
    let sql = format!("SELECT * FROM {name}");
    if let Err(difference) = compare_from_memory(&mut through, &mut direct, &sql, Order::Any) {
        panic!("{name}:\n{difference}");
    }
    let stream = Stream {
        name,
        events: BATCHES * BATCH,
        engine: after.0 - engine,
        elapsed,
        changed: after.1 - changed,
        rows: direct.execute(&sql).rows.len(),
    };
    println!("{}", report::nexmark_line(&stream));
    stream
}
