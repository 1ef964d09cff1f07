//! The 22 queries of TPC-H, one at a time: what it costs to keep the stream table right when 1 % of the orders come, go
//! or change, against what Postgres spends on the query once.
//!
//! Both are processor time of one thread in the same run, so that other processes on the machine hardly matter: of Weir's
//! engine thread (decoded rows in, base tables changed, view refreshed, snapshot published) and of the Postgres backend
//! (parallel query switched off). What all of Weir's threads take meanwhile is told beside it: the stream is decoded by
//! others, which also ask the conditions of filters there. After every cycle the stream table is compared with its query.

mod report;

use crate::catch_up::catch_up;
use crate::processor;
use std::path::Path;
use std::time::Duration;
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::tpch::{self, Changes, QUERIES, TENTH};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Executions of the query by Postgres after each cycle; the fastest counts.
const EXECUTIONS: u32 = 3;
/// A table of 600,000 rows is copied and evaluated on a busy machine.
const POPULATION: Duration = Duration::from_secs(300);

/// Base tables that no join looks up are let go when so many milliseconds are over, and changes begin a little later: as it is
/// a minute after a stream table was made.
const LET_GO_AFTER_MS: &str = "500";
const LETTING_GO: Duration = Duration::from_secs(3);

/// One query's costs, in the order of the cycles.
struct Cost {
    name: &'static str,
    /// After each transaction.
    refresh: Vec<Duration>,
    /// The same of all threads, with decoding and the reads that wait for the refresh.
    process: Vec<Duration>,
    query: Vec<Duration>,
    /// Resident memory of Weir with this stream table alone, in bytes.
    resident: u64,
    rows: usize,
}

/// Measures `queries` (all when empty) over `cycles` cycles and writes `tpch.md`.
pub fn measure(queries: &[String], cycles: u32, output: &Path) -> std::io::Result<()> {
    let server = TestServer::start();
    println!("loading TPC-H at scale factor {}", TENTH.factor);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(tpch::load(&server, TENTH));
    let wanted = QUERIES.iter().filter(|(name, _)| queries.is_empty() || queries.iter().any(|query| query == name));
    let mut costs = Vec::new();
    for (at, (name, query)) in wanted.enumerate() {
        let cost = of_query(&server, name, query, at as u32 * cycles..(at as u32 + 1) * cycles);
        println!("{}", report::line(&cost));
        costs.push(cost);
    }
    report::write(output, &costs, cycles)
}

/// Each query has a Weir of its own, so that nobody else's work is counted.
fn of_query(server: &TestServer, name: &'static str, query: &str, cycles: std::ops::Range<u32>) -> Cost {
    let weir = TestWeir::start_with(server, &["--let-go-after-ms", LET_GO_AFTER_MS]);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    through.execute("SET weir.consistency = 'latest'");
    direct.execute("SET max_parallel_workers_per_gather = 0");
    through.execute(&tpch::create(name, query, TENTH));
    weir.wait_until_live_within(&[name], POPULATION);
    std::thread::sleep(LETTING_GO);
    let backend = direct.execute("SELECT pg_backend_pid()").rows[0][0].clone().expect("a process has an id");
    let backend = String::from_utf8_lossy(&backend).parse().expect("a process id is a number");
    let sql = format!("SELECT * FROM {name}");
    compare(&mut through, &mut direct, &sql);
    let mut cost = Cost { name, refresh: vec![], process: vec![], query: vec![], resident: 0, rows: 0 };
    for cycle in cycles {
        let changes = Changes { cycle };
        let engine = || processor::spent(weir.process_id(), Some("weir-engine"));
        let all = || processor::spent(weir.process_id(), None);
        for sql in [changes.insert(), changes.delete(), changes.update()] {
            let before = (engine(), all());
            direct.execute(&sql);
            catch_up(&mut through, name, POPULATION);
            cost.refresh.push(engine() - before.0);
            // Threads may have ended.
            cost.process.push(all().saturating_sub(before.1));
        }
        compare(&mut through, &mut direct, &sql);
        let executions = (0..EXECUTIONS).map(|_| {
            let before = processor::spent(backend, None);
            cost.rows = direct.execute(&sql).rows.len();
            processor::spent(backend, None) - before
        });
        cost.query.push(executions.min().unwrap_or_default());
    }
    cost.resident = processor::resident_bytes(weir.process_id());
    direct.execute(&format!("SELECT pgtrickle.drop_stream_table('{name}')"));
    cost
}

/// Equal, and from memory. A query that takes Postgres long may outlast the patience with an analysis once.
fn compare(through: &mut RawClient, direct: &mut RawClient, sql: &str) {
    let mut equal = || compare_from_memory(through, direct, sql, Order::Any);
    if let Err(found) = equal().or_else(|_| equal()) {
        panic!("{found}");
    }
}
