//! What a row costs in memory: of a base table, of a stream table, of a group, and of what operators keep.

use super::report;
use crate::catch_up::catch_up;
use crate::processor;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Rows of the fact table.
const ROWS: u64 = 500_000;
/// Keys that its rows refer to, each by ten.
const KEYS: u64 = ROWS / 10;
const POPULATION: Duration = Duration::from_secs(120);

/// A stream table, and what its memory is divided by.
struct Shape {
    name: &'static str,
    query: &'static str,
    per: &'static str,
    count: u64,
}

/// The first brings the base table in, whose columns all are then read.
const SHAPES: [Shape; 8] = [
    shape(
        "one aggregate over the fact table",
        "SELECT count(*) AS n, sum(key + length(name)) AS a, sum(amount) AS b, max(at) AS c FROM fact",
        "row of the base table",
        ROWS,
    ),
    shape("a filter that all rows pass", "SELECT id, key, amount, name, at FROM fact WHERE id > 0", "row", ROWS),
    shape("count and sum by key", "SELECT key, count(*) AS n, sum(amount) AS s FROM fact GROUP BY key", "group", KEYS),
    shape("count(DISTINCT) by key", "SELECT key, count(DISTINCT name) AS n FROM fact GROUP BY key", "group", KEYS),
    shape("min and max by key", "SELECT key, min(amount) AS a, max(at) AS b FROM fact GROUP BY key", "group", KEYS),
    shape("join with the keys", "SELECT f.id, f.amount, k.label FROM fact f JOIN keys k ON k.key = f.key", "row", ROWS),
    shape(
        "row_number by key",
        "SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY at, id) AS n FROM fact",
        "row",
        ROWS,
    ),
    shape(
        "the first 100",
        "SELECT id, amount FROM fact ORDER BY amount DESC, id LIMIT 100",
        "row that is ordered",
        ROWS,
    ),
];

const fn shape(name: &'static str, query: &'static str, per: &'static str, count: u64) -> Shape {
    Shape { name, query, per, count }
}

/// One shape's growth of resident memory.
pub(super) struct Grown {
    pub name: &'static str,
    pub per: &'static str,
    pub count: u64,
    pub bytes: u64,
}

pub fn measure(output: &Path) -> std::io::Result<()> {
    let server = TestServer::options().conf("max_wal_size = 4GB").conf("autovacuum = off").start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(&format!(
        "CREATE TABLE keys (key bigint PRIMARY KEY, label text NOT NULL); \
         CREATE TABLE fact (id bigint PRIMARY KEY, key bigint NOT NULL, amount numeric(10,2) NOT NULL, name text NOT NULL, at timestamptz NOT NULL); \
         INSERT INTO keys SELECT n, 'key number ' || n FROM generate_series(0, {KEYS} - 1) n; \
         INSERT INTO fact SELECT n, n % {KEYS}, n % 100000 / 100.0, 'name ' || n % 1000, timestamptz '2024-01-01' + n * interval '1 second' \
         FROM generate_series(1, {ROWS}) n; ANALYZE"
    ));
    let weir = TestWeir::start_with(&server, &["--let-go-after-ms", "0"]);
    let mut through = RawClient::superuser(&weir.address());
    let mut grown = Vec::new();
    for shape in &SHAPES {
        let before = settled(&weir);
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => 'of_shape_{}', query => $q$ {} $q$, schedule => '1s', refresh_mode => 'DIFFERENTIAL')",
            grown.len(),
            shape.query
        ));
        weir.wait_until_live_within(&[&format!("of_shape_{}", grown.len())], POPULATION);
        let bytes = settled(&weir).saturating_sub(before);
        grown.push(Grown { name: shape.name, per: shape.per, count: shape.count, bytes });
    }
    drop((through, weir));
    grown.push(without_the_facts(&server, &mut direct));
    report::memory(output, &grown, ROWS)
}

/// Transactions, each of a fiftieth of the rows, after the fact table was let go.
const CHANGES: u32 = 5;

/// The first shape alone, in a Weir that lets the fact table go.
fn without_the_facts(server: &TestServer, direct: &mut RawClient) -> Grown {
    direct
        .execute("SELECT pgtrickle.drop_stream_table(pgt_name) FROM pgtrickle.pgt_stream_tables ORDER BY pgt_id DESC");
    let weir = TestWeir::start_with(server, &["--let-go-after-ms", "1000"]);
    let before = settled(&weir);
    let [Shape { query, per, count, .. }, ..] = SHAPES;
    RawClient::superuser(&weir.address()).execute(&format!(
        "SELECT pgtrickle.create_stream_table(name => 'alone', query => $q$ {query} $q$, schedule => '1s', refresh_mode => 'DIFFERENTIAL')"
    ));
    weir.wait_until_live_within(&["alone"], POPULATION);
    let started = Instant::now();
    while weir.counter("weir_base_tables_let_go") < 1.0 && started.elapsed() < POPULATION {
        std::thread::sleep(Duration::from_millis(100));
    }
    // The allocator gives back what was freed a second ago and more, and only while somebody allocates.
    let mut through = RawClient::superuser(&weir.address());
    through.execute("SET weir.consistency = 'latest'");
    for change in 0..CHANGES {
        direct.execute(&format!("UPDATE fact SET amount = amount + 1 WHERE id % 50 = {change}"));
        catch_up(&mut through, "alone", POPULATION);
        std::thread::sleep(Duration::from_secs(1));
    }
    let bytes = settled(&weir).saturating_sub(before);
    Grown { name: "the first of these alone, and the fact table let go", per, count, bytes }
}

/// Resident bytes when they have stopped changing: what a population needs for a moment has been given back.
fn settled(weir: &TestWeir) -> u64 {
    let started = Instant::now();
    let mut last = 0;
    loop {
        std::thread::sleep(Duration::from_secs(2));
        let now = processor::resident_bytes(weir.process_id());
        if now.abs_diff(last) < 1 << 18 || started.elapsed() > POPULATION {
            return now;
        }
        last = now;
    }
}
