//! Reads that look at every row of a large stream table, beside Postgres over the same rows in an ordinary table.

use super::report;
use crate::catch_up::catch_up;
use crate::latencies::Latencies;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{RawClient, Table};

const ROWS: u32 = 1_000_000;
const REPETITIONS: u32 = 15;
const POPULATION: Duration = Duration::from_secs(120);

/// `{x}` is another number each time, so that no answer is one that is maintained.
const READS: [(&str, &str); 6] = [
    ("count, a condition on a number", "SELECT count(*) FROM {t} WHERE qty > {x}"),
    ("sums by a text", "SELECT kind, count(*), sum(qty) FROM {t} WHERE shop <> {x} GROUP BY kind ORDER BY kind"),
    (
        "sums of numerics by a number, the largest ten",
        "SELECT shop, sum(price), max(f) FROM {t} WHERE qty <> {x} GROUP BY shop ORDER BY 2 DESC, 1 LIMIT 10",
    ),
    ("extremes, a condition on a text", "SELECT min(at), max(at), count(*) FROM {t} WHERE kind <> 'kind{x}'"),
    ("a sum of products", "SELECT sum(price * qty), avg(price) FROM {t} WHERE qty <> {x}"),
    ("a condition on texts that hardly repeat", "SELECT count(*) FROM {t} WHERE note LIKE '%{x}%'"),
];

/// One read, here and there.
pub(super) struct Scan {
    pub name: &'static str,
    pub postgres: Latencies,
    pub memory: Latencies,
    /// The first from memory, which makes what the others find.
    pub first: Duration,
}

pub fn measure(output: &Path) -> std::io::Result<()> {
    let server = TestServer::options().conf("shared_buffers = 512MB").conf("max_wal_size = 8GB").start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(&format!(
        "CREATE TABLE facts (id bigint PRIMARY KEY, kind text NOT NULL, shop int NOT NULL, qty int NOT NULL, \
         price numeric(10,2) NOT NULL, f float8 NOT NULL, at timestamptz NOT NULL, note text); \
         INSERT INTO facts SELECT n, 'kind' || n * 7919 % 20, n * 104729 % 1000, n * 31 % 100, (n * 7907 % 1000000) / 100.0, \
         (n % 977) / 7.0, timestamptz '2026-01-01' + n * interval '1 second', CASE WHEN n % 3 > 0 THEN 'note ' || n % 5000 END \
         FROM generate_series(1::bigint, {ROWS}) n"
    ));
    direct.execute("VACUUM (ANALYZE) facts");
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    through.execute("SELECT pgtrickle.create_stream_table('big', 'SELECT * FROM facts', '1s')");
    weir.wait_until_live_within(&["big"], POPULATION);
    through.execute("SET weir.consistency = 'latest'");
    catch_up(&mut through, "big", POPULATION);
    let scans: Vec<Scan> = READS.iter().map(|(name, sql)| read(&mut through, &mut direct, name, sql)).collect();
    report::scans(output, &scans, ROWS)
}

fn read(through: &mut RawClient, direct: &mut RawClient, name: &'static str, sql: &str) -> Scan {
    let text = |table: &str, x: u32| sql.replace("{t}", table).replace("{x}", &x.to_string());
    let timed = |client: &mut RawClient, sql: &str| -> (Table, Duration) {
        let started = Instant::now();
        let table = client.query(sql);
        (table, started.elapsed())
    };
    let (mut postgres, mut memory, mut first) = (Latencies::default(), Latencies::default(), None);
    let mut at = 10;
    while memory.count() < REPETITIONS as usize {
        at += 1;
        let (want, spent) = timed(direct, &text("facts", at));
        let (found, took) = timed(through, &text("big", at));
        assert_eq!(found.rows, want.rows, "{name}");
        // The first execution of a text is forwarded while it is analysed.
        if through.last_route() != "memory" {
            std::thread::sleep(Duration::from_millis(20));
        } else if first.is_none() {
            first = Some(took);
        } else {
            postgres.record(spent);
            memory.record(took);
        }
    }
    Scan { name, postgres, memory, first: first.unwrap_or_default() }
}
