//! Stream tables over the suite's own tables, and reads of them, so that the suite runs not only through Weir's forwarding
//! but beside capture, the engine and answers from memory.

use super::run::Run;
use crate::oracle::{Order, compare};
use crate::wire::RawClient;
use std::time::{Duration, Instant};

/// The tests after which the suite pauses and the reads are compared; the stream tables are created in the first pause.
pub const PAUSES: [&str; 4] = ["create_index", "prepared_xacts", "privileges", "select_views"];

/// How long a read may be answered by Postgres after a pause began: the suite has just rewritten, truncated and altered
/// the tables below, and a busy machine follows behind.
const LIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Name and definition. The base tables exist after the test `create_index` and are never dropped.
const STREAM_TABLES: [(&str, &str); 22] = [
    ("tenk1_rows", "SELECT unique1, unique2, two, ten, hundred, stringu1, string4 FROM tenk1 WHERE unique1 < 5000"),
    (
        "tenk1_by_hundred",
        "SELECT hundred, count(*) AS n, sum(unique1) AS total, avg(unique2) AS mean, min(stringu1) AS low, \
         max(stringu2) AS high FROM tenk1 GROUP BY hundred",
    ),
    (
        "tenk1_onek",
        "SELECT o.unique1, t.unique2, o.stringu1, t.string4, t.ten + o.two AS both_small \
         FROM onek o JOIN tenk1 t ON o.unique1 = t.unique2",
    ),
    (
        "onek_ranked",
        "SELECT unique1, ten, rank() OVER (PARTITION BY ten ORDER BY hundred) AS place, \
         row_number() OVER (PARTITION BY ten ORDER BY unique1) AS line FROM onek",
    ),
    ("onek_top", "SELECT unique1, stringu1 FROM onek ORDER BY unique2 DESC LIMIT 10"),
    ("onek_having", "SELECT twenty, sum(thousand) AS s FROM onek GROUP BY twenty HAVING sum(thousand) > 24000"),
    ("onek_missing", "SELECT unique1 FROM onek o WHERE NOT EXISTS (SELECT FROM int4_tbl i WHERE i.f1 = o.unique1)"),
    ("int8_rows", "SELECT q1, q2 FROM int8_tbl"),
    (
        "int8_by_q1",
        "SELECT q1, count(*) AS n, sum(q2) AS total, avg(q2) AS mean, max(q2) AS high FROM int8_tbl GROUP BY q1",
    ),
    (
        "int8_outer",
        "SELECT a.q1, a.q2, b.q1 AS other, i.f1 FROM int8_tbl a LEFT JOIN int8_tbl b ON a.q2 = b.q1 \
                    FULL JOIN int4_tbl i ON a.q1 = i.f1",
    ),
    ("int4_int2", "SELECT f1::bigint AS f FROM int4_tbl UNION SELECT f1 FROM int2_tbl"),
    ("float8_rows", "SELECT f1, -f1 AS negative, f1 > 0 AS positive, abs(f1) AS size FROM float8_tbl"),
    ("float4_rows", "SELECT f1, f1::float8 AS wide FROM float4_tbl"),
    ("text_rows", "SELECT f1, length(f1) AS n, upper(f1) AS loud, f1 || '!' AS more FROM text_tbl"),
    ("char_rows", "SELECT f1, f1 = 'a' AS is_a FROM char_tbl"),
    ("varchar_counts", "SELECT f1, count(*) AS n FROM varchar_tbl GROUP BY f1"),
    ("points", "SELECT f1 FROM point_tbl"),
    ("dates", "SELECT f1, f1 + 1 AS next, extract(year FROM f1) AS y FROM date_tbl"),
    ("timestamps", "SELECT d1, date_trunc('hour', d1) AS hour, extract(epoch FROM d1) AS e FROM timestamp_tbl"),
    ("intervals", "SELECT f1 FROM interval_tbl"),
    ("numerics", "SELECT id, val, val + 1 AS more, round(val, 2) AS rounded, val * val AS square FROM num_data"),
    ("networks", "SELECT c, i FROM inet_tbl"),
];

/// Which way a read must go once everything is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Memory,
    /// It fails, and an error is Postgres' own.
    Postgres,
}

/// Reads besides `SELECT *` of every table.
const READS: [(&str, Order, Route); 20] = [
    ("SELECT * FROM streams.tenk1_rows WHERE unique1 = 4711", Order::Exact, Route::Memory),
    ("SELECT count(*), sum(unique2), avg(hundred), max(stringu1) FROM streams.tenk1_rows", Order::Exact, Route::Memory),
    ("SELECT * FROM streams.tenk1_rows ORDER BY unique1 LIMIT 7 OFFSET 100", Order::Exact, Route::Memory),
    (
        "SELECT stringu1 FROM streams.tenk1_rows WHERE stringu1 > 'QA' AND ten = 3 ORDER BY unique1 DESC LIMIT 5",
        Order::Exact,
        Route::Memory,
    ),
    (
        "SELECT two, count(*) FROM streams.tenk1_rows GROUP BY two HAVING count(*) > 10 ORDER BY two",
        Order::Exact,
        Route::Memory,
    ),
    (
        "SELECT h.hundred, h.total, r.unique1 FROM streams.tenk1_by_hundred h JOIN streams.tenk1_rows r USING (hundred) WHERE h.hundred < 3",
        Order::Any,
        Route::Memory,
    ),
    ("SELECT total / n, total % 7, mean * 2 FROM streams.tenk1_by_hundred", Order::Any, Route::Memory),
    ("SELECT string4, count(*) FROM streams.tenk1_onek GROUP BY string4", Order::Any, Route::Memory),
    ("SELECT * FROM streams.onek_ranked WHERE place <= 3 ORDER BY ten, line", Order::Exact, Route::Memory),
    ("SELECT count(*) FROM streams.onek_missing", Order::Exact, Route::Memory),
    ("SELECT q1 + q2, q1 - q2, q1 = q2 FROM streams.int8_rows WHERE q2 > 0", Order::Any, Route::Memory),
    ("SELECT q1 * q2 FROM streams.int8_rows", Order::Any, Route::Postgres),
    ("SELECT q1 / 0 FROM streams.int8_rows", Order::Any, Route::Postgres),
    ("SELECT * FROM streams.int8_outer WHERE other IS NULL OR f1 IS NULL", Order::Any, Route::Memory),
    ("SELECT f1, f1 * f1 FROM streams.float8_rows", Order::Any, Route::Postgres),
    ("SELECT loud FROM streams.text_rows WHERE f1 LIKE '%o%' ORDER BY f1", Order::Exact, Route::Memory),
    ("SELECT max(f1), min(f1) FROM streams.dates", Order::Exact, Route::Memory),
    ("SELECT sum(val), count(DISTINCT rounded) FROM streams.numerics", Order::Exact, Route::Memory),
    ("SELECT id, val::text, square::float8 FROM streams.numerics ORDER BY id", Order::Exact, Route::Memory),
    (
        "SELECT a.n, b.q2 FROM streams.int8_by_q1 a, streams.int8_rows b WHERE a.q1 = b.q1 AND b.q2 <> 456",
        Order::Any,
        Route::Memory,
    ),
];

/// Creates the stream tables, or in a run without Weir the views that they are for Postgres.
pub fn create_stream_tables(run: &Run) {
    let mut client = run.client();
    client.execute("CREATE SCHEMA streams");
    for (name, query) in STREAM_TABLES {
        client.execute(&match run.weir {
            Some(_) => format!("SELECT pgtrickle.create_stream_table('streams.{name}', $query${query}$query$, '1s')"),
            None => format!("CREATE VIEW streams.{name} AS {query}"),
        });
    }
}

/// The suite leaves domains behind whose CHECK calls a user's function. While there are any, Weir analyses no statement,
/// and memory answers none that it has not met: right, but nothing would be compared.
pub fn drop_domains_that_run_code(run: &Run) {
    run.direct_client().execute("DROP DOMAIN plpgsql_domain, plpgsql_arr_domain CASCADE");
}

/// What a pause showed.
#[derive(Debug, Default)]
pub struct Compared {
    pub answers: usize,
    pub from_memory: usize,
    /// Reads that must come from memory and did not, or answers that differ.
    pub complaints: Vec<String>,
}

/// Compares all reads through Weir and directly on the server below it, while nothing writes.
pub fn compare_all(run: &Run) -> Compared {
    let (mut weir, mut direct) = (run.client(), run.direct_client());
    weir.execute("SET weir.consistency = 'latest'");
    let whole = STREAM_TABLES.map(|(name, _)| (format!("SELECT * FROM streams.{name}"), Order::Any, Route::Memory));
    let reads = READS.map(|(sql, order, route)| (sql.to_owned(), order, route));
    let mut compared = Compared::default();
    for (sql, order, route) in whole.into_iter().chain(reads) {
        match compare_one(&mut weir, &mut direct, &sql, order, route) {
            Ok(from_memory) => compared.from_memory += usize::from(from_memory),
            Err(complaint) => compared.complaints.push(complaint),
        }
        compared.answers += 1;
    }
    compared
}

/// Whether the read came from memory in the end; whatever answers on the way there must be right as well.
fn compare_one(
    weir: &mut RawClient,
    direct: &mut RawClient,
    sql: &str,
    order: Order,
    route: Route,
) -> Result<bool, String> {
    let started = Instant::now();
    loop {
        compare(weir, direct, sql, order)?;
        let taken = weir.last_route();
        if taken.starts_with("memory") {
            return Ok(true);
        }
        if route == Route::Postgres && !taken.contains("analysis") {
            return Ok(false);
        }
        if started.elapsed() > LIVE_TIMEOUT {
            return Err(format!("{sql}: not from memory but {taken:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
